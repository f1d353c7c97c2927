//! The loads that are compared everywhere: who sends what, and who receives it.

use crate::peer::{AudioConfig, Encoding, PeerConfig, Publish, Slots, VideoConfig};
use plenum_contract::TrackKey;
use plenum_packet::Path;
use plenum_srtp::Suite;
use std::time::Duration;

/// What a publisher sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Opus-sized packets every 20 ms.
    Audio,
    /// 1280×720, 30 frames a second, 6 to 10 packets a frame, one encoding; and a silent microphone with DTX, as anybody who
    /// shows themselves has one.
    Video,
}

impl Media {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Media::Audio => "audio",
            Media::Video => "video",
        }
    }
}

/// What leaves a browser at once: libwebrtc's `kDefaultBurstInterval`. Ordinary frames go out whole.
pub(crate) const BURST: Duration = Duration::from_millis(40);

/// Kilobits a second of [`Media::Video`]: eight packets of 1160 bytes in each of 30 frames.
pub const VIDEO_KBPS: u64 = 2200;

/// Somebody who sends `media` and receives nothing.
pub fn publisher(leg: u64, path: Path, media: Media, suite: Suite) -> PeerConfig {
    let sound = |dtx| Publish::Audio(AudioConfig { track: TrackKey(2 * leg), dtx, levels: true });
    let picture = VideoConfig::single(TrackKey(2 * leg + 1), Encoding::new("", 1280, 720, VIDEO_KBPS));
    let publishes = match media {
        Media::Audio => vec![sound(false)],
        Media::Video => vec![sound(true), Publish::Video(picture)],
    };
    PeerConfig { publishes, suite: Some(suite), burst: BURST, ..PeerConfig::new(leg, path) }
}

/// Somebody who receives `media` and sends nothing.
pub fn viewer(leg: u64, path: Path, media: Media, suite: Suite) -> PeerConfig {
    let slots = match media {
        Media::Audio => Slots { audio: 1, ..Slots::default() },
        Media::Video => Slots { audio: 1, video: 1, presentation: false },
    };
    PeerConfig { slots, suite: Some(suite), ..PeerConfig::new(leg, path) }
}

/// A short name of a suite, as people say it.
pub const fn suite_name(suite: Suite) -> &'static str {
    match suite {
        Suite::AeadAes128Gcm => "GCM",
        Suite::AeadAes256Gcm => "GCM-256",
        Suite::AesCm128HmacSha1_80 => "CM",
    }
}
