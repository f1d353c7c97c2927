//! The mixer's part of the contract: what a conference's mix looks like ([`MixSpec`], from control), and what a shard and the mixer say
//! to each other about it ([`ToMix`], [`FromMix`]).
//!
//! Control gives the spec to media; the conference's home shard gives it on. A mixer keeps nothing: one that starts again is told everything
//! again. Packets are borrowed and carry whole decrypted RTP packets, without padding. Nothing here does I/O or decides anything.

use crate::{Codec, ConferenceKey, ParticipantKey};
use serde::{Deserialize, Serialize};

/// Most scenes of a conference; a spec with more is cut, and the legs of the others see scene 0.
pub const MAX_SCENES: usize = 16;
/// Most members that a spec names; those beyond count in `+N` and are heard, but not placed.
pub const MAX_MEMBERS: usize = 512;
/// Most single tracks of a conference that are made in another codec; a spec with more is cut. Control gives legs that would need more the mix.
pub const MAX_TRANSCODES: usize = 64;
/// Most bytes of a logo's PNG: with the largest conference a spec still fits a record.
pub const MAX_LOGO: usize = 64 << 10;
/// Most sizes in which pictures of the presentation are made at a time.
pub const MAX_STILLS: usize = 2;
/// Most bytes of such a picture; one that would be longer is made smaller.
pub const MAX_STILL: usize = 448 << 10;
/// Most bytes of what the mixer says of a part of the spec that it cannot do.
pub const MAX_REASON: usize = 256;
/// Highest [`FromMix::Shed`].
pub const MAX_SHED: u8 = 3;

/// What a conference's mix is to look and sound like. Whole value; the conference is the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixSpec {
    /// Whose mix.
    pub conference: ConferenceKey,
    /// Grows with each change.
    pub revision: u64,
    /// Pictures that somebody looks at, by their id.
    pub scenes: Vec<SceneSpec>,
    /// Who may be shown and heard, in the order of joining.
    pub members: Vec<MixMember>,
    /// Who holds the presentation floor.
    #[serde(default)]
    pub presenter: Option<ParticipantKey>,
    /// How many of the loudest are mixed.
    #[serde(default = "default_loudest")]
    pub loudest: u8,
    /// Frames a second of the pictures, 1 to 60.
    #[serde(default = "default_fps")]
    pub fps: u8,
    /// What members send that somebody who is forwarded to cannot decode: it is made in a codec that they can.
    #[serde(default)]
    pub transcodes: Vec<TranscodeSpec>,
    /// Heights in pixels of pictures of the presentation that are wanted as JPEG, at most [`MAX_STILLS`]; none = nobody asks.
    #[serde(default)]
    pub stills: Vec<u16>,
    /// Whether voices are brought to about the same loudness.
    #[serde(default)]
    pub level: bool,
    /// A PNG in the upper right of every scene, at most [`MAX_LOGO`] bytes.
    #[serde(default, with = "serde_bytes")]
    pub logo: Option<Vec<u8>>,
}

/// A single track that exists in another codec too, for those who cannot decode the original. It is made while somebody's slot holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TranscodeSpec {
    /// Whose stream.
    pub source: Feed,
    /// What it is made in; as for [`MixOutput`].
    pub codec: Codec,
}

fn default_loudest() -> u8 {
    3
}

fn default_fps() -> u8 {
    30
}

/// One composed picture: for the hosts, for the guests, or for one participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneSpec {
    /// Chosen by control, unique in the conference; legs name it.
    pub id: u16,
    /// Layout name of spec/layouts.md (`1:7`).
    pub layout: String,
    /// Size of the picture in pixels, even.
    pub width: u16,
    /// See `width`.
    pub height: u16,
    /// Who stands first, in this order: actors, then spotlights, then by importance. Speakers follow.
    #[serde(default)]
    pub first: Vec<ParticipantKey>,
    /// When there are any: these and nobody else, each in their place; `None` = a place that stays empty.
    #[serde(default)]
    pub fixed: Vec<Option<ParticipantKey>>,
    /// Who is left out (a viewer that does not want to see themselves, MGMT `remove_self`).
    #[serde(default)]
    pub without: Option<ParticipantKey>,
    /// Names in the tiles.
    #[serde(default = "yes")]
    pub names: bool,
    /// `+N` in the last small tile when more members exist than tiles.
    #[serde(default = "yes")]
    pub plus_n: bool,
    /// A border on the current speaker.
    #[serde(default = "yes")]
    pub border: bool,
    /// Sources of another aspect ratio are cropped to fill the tile instead of being fitted whole.
    #[serde(default)]
    pub fill: bool,
    /// Text over the picture.
    #[serde(default)]
    pub banner: Option<String>,
    /// Where a presentation is shown.
    #[serde(default)]
    pub presentation: PresentationPlace,
}

fn yes() -> bool {
    true
}

/// One encoding of a scene: its size and what it is meant to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Width in pixels, even.
    pub width: u16,
    /// Height in pixels, even.
    pub height: u16,
    /// Bits a second that it needs to look well at 30 frames a second.
    pub bitrate: u32,
    /// Bits a second below which the rung beneath it looks better; of rung 0 the least that is tried.
    pub least: u32,
}

impl Rung {
    /// Most pictures a second that a single track is made of at this size: beyond 1280×720 as many as have the pixels of 15 of 1920×1080, and 5 at least.
    pub fn most_fps(&self) -> u32 {
        let pixels = u32::from(self.width) * u32::from(self.height);
        if pixels <= 1280 * 720 { 60 } else { (1920 * 1080 * 15 / pixels).clamp(5, 60) }
    }
}

/// Of the bits of a picture that the mixer makes the base temporal layer takes so much, in per cent. The base has every second frame; VP8's descriptor
/// tells it, of H.264 it is what is referred to (nal_ref_idc above 0).
pub const BASE_SHARE: u32 = 60;
/// Most rungs of a scene.
pub const MAX_RUNGS: u8 = 3;
/// A rung is not made when its picture would be lower than this.
const LEAST_HEIGHT: u16 = 144;

impl SceneSpec {
    /// A scene of this layout and size in pixels (even) as it is when nobody says more: everybody by importance, with names, border and `+N`, and a
    /// presentation in the main tile.
    pub fn new(id: u16, layout: &str, width: u16, height: u16) -> SceneSpec {
        SceneSpec {
            id,
            layout: layout.into(),
            width,
            height,
            first: Vec::new(),
            fixed: Vec::new(),
            without: None,
            names: true,
            plus_n: true,
            border: true,
            fill: false,
            banner: None,
            presentation: PresentationPlace::default(),
        }
    }

    /// How many encodings the scene has, 1 to [`MAX_RUNGS`]: each is half as wide and high as the one above.
    pub fn rungs(&self) -> u8 {
        (1..MAX_RUNGS).take_while(|halvings| self.height >> halvings >= LEAST_HEIGHT).count() as u8 + 1
    }

    /// Size and rate of an encoding; 0 is the smallest. `None` for one that the scene does not have.
    pub fn rung(&self, rung: u8) -> Option<Rung> {
        let halvings = self.rungs().checked_sub(1)?.checked_sub(rung)?;
        let (width, height) = ((self.width >> halvings) & !1, (self.height >> halvings) & !1);
        let bitrate = bitrate_for(u32::from(width) * u32::from(height));
        Some(Rung {
            width: width.max(2),
            height: height.max(2),
            bitrate,
            least: if rung == 0 { 60_000 } else { bitrate / 2 },
        })
    }
}

/// 1280x720: 1.8 Mbit/s; 640x360: 600 kbit/s; 320x180: 200 kbit/s. A picture of a quarter takes a third.
fn bitrate_for(pixels: u32) -> u32 {
    match pixels {
        0..=60_000 => 200_000,
        60_001..=240_000 => 600_000,
        240_001..=950_000 => 1_800_000,
        _ => 3_500_000,
    }
}

/// Where a scene shows the presentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresentationPlace {
    /// In the main tile; people take the others.
    #[default]
    Main,
    /// Beside the main tile, with two thirds of its room.
    Beside,
    /// It fills the picture.
    Full,
    /// Nowhere: the leg receives it on an m-line of its own, or is denied it.
    Absent,
}

/// A member as the mix knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixMember {
    /// Who.
    pub participant: ParticipantKey,
    /// Name for the tile, any Unicode.
    pub name: String,
    /// What of them is shown.
    pub shown: MemberPicture,
    /// Whether they are heard.
    pub heard: bool,
    /// Gain of their sound in percent, 100 = as it comes, at most 400.
    #[serde(default = "full_volume")]
    pub volume: u16,
}

fn full_volume() -> u16 {
    100
}

/// What a member's tile shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberPicture {
    /// Their camera; an avatar while nothing comes.
    Camera,
    /// An avatar: they send sound alone.
    AudioOnly,
    /// An avatar with the camera-off sign: their video is muted.
    CameraOff,
    /// Their last picture, frozen and grey: they hold the call.
    Held,
    /// No tile (a waiting participant, a recorder).
    Nothing,
}

/// Which of a participant's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// Microphone.
    Audio,
    /// Camera.
    Camera,
    /// Screen.
    Presentation,
    /// What the screen sounds.
    PresentationAudio,
}

impl FeedKind {
    /// Whether it is sound.
    pub const fn is_sound(self) -> bool {
        matches!(self, FeedKind::Audio | FeedKind::PresentationAudio)
    }
}

/// A stream that a participant sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Feed {
    /// Whose.
    pub participant: ParticipantKey,
    /// Which.
    pub kind: FeedKind,
}

/// Something that the mixer makes for a conference: a track that slots can be filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixOutput {
    /// A scene's picture, in two temporal layers ([`BASE_SHARE`]).
    Video {
        /// [`SceneSpec::id`].
        scene: u16,
        /// [`Codec::Vp8`] or [`Codec::H264`] (constrained baseline, packetization mode 1).
        codec: Codec,
        /// 0 = the smallest encoding.
        rung: u8,
    },
    /// The mixed sound.
    Audio {
        /// [`Codec::Opus`] and others that have an encoder.
        codec: Codec,
        /// Whose own voice is left out; `None` = the mix of everybody, for those who do not speak.
        without: Option<ParticipantKey>,
    },
    /// A single stream of a member in another codec ([`MixSpec::transcodes`]).
    Track {
        /// Which stream.
        feed: Feed,
        /// As for pictures and sound of the mix.
        codec: Codec,
        /// Of a picture: 0 = the smallest encoding, see [`track_rung`]. 0 for sound.
        rung: u8,
    },
}

/// Shorter sides of the encodings of a transcoded camera: those of a scene's usual rungs.
const CAMERA_HEIGHTS: [u16; MAX_RUNGS as usize] = [180, 360, 720];
/// The same of a presentation, which is read: the largest is its own size.
const PRESENTATION_HEIGHTS: [u16; MAX_RUNGS as usize] = [360, 720, 2160];
/// The longest side of an encoding.
const LONGEST_SIDE: u16 = 3840;

/// Size and rate of an encoding of a picture of `width` × `height` that is transcoded: the picture fitted to the rung's shorter side and never enlarged,
/// sides even, 16 to 3840. A presentation that is hardly larger than its rung keeps its size: scaled a little, letters blur.
/// `None` for a rung that would be hardly larger than the one below, and above [`MAX_RUNGS`].
pub fn track_rung(kind: FeedKind, width: u16, height: u16, rung: u8) -> Option<Rung> {
    let (width, height) = (width.max(1), height.max(1));
    let (shorter, longer) = (u32::from(width.min(height)), u32::from(width.max(height)));
    let presentation = kind == FeedKind::Presentation;
    let heights = if presentation { PRESENTATION_HEIGHTS } else { CAMERA_HEIGHTS };
    let hardly_above = |height: u16| shorter * 4 <= u32::from(height) * 5;
    let limit = *heights.get(usize::from(rung))?;
    if rung.checked_sub(1).is_some_and(|below| hardly_above(heights[usize::from(below)])) {
        return None;
    }
    let keeps = presentation && rung + 1 < MAX_RUNGS && hardly_above(limit);
    let (of, by) = if shorter > u32::from(limit) && !keeps { (u32::from(limit), shorter) } else { (1, 1) };
    let longest = u32::from(LONGEST_SIDE);
    let (of, by) = if longer * of / by > longest { (longest, longer) } else { (of, by) };
    let side = |side: u16| ((u32::from(side) * of / by).clamp(16, longest) & !1) as u16;
    let (width, height) = (side(width), side(height));
    let bitrate = bitrate_for(u32::from(width) * u32::from(height));
    Some(Rung { width, height, bitrate, least: if rung == 0 { 60_000 } else { bitrate / 2 } })
}

/// A picture of the presentation, as JPEG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Still {
    /// Where.
    pub conference: ConferenceKey,
    /// Whose presentation.
    pub presenter: ParticipantKey,
    /// The height that was asked for ([`MixSpec::stills`]); the picture may be smaller.
    pub height: u16,
    /// The file, at most [`MAX_STILL`] bytes.
    #[serde(with = "serde_bytes")]
    pub jpeg: Vec<u8>,
}

/// A decrypted RTP packet on its way to the mixer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixPacket<'a> {
    /// The conference that it is for.
    pub conference: ConferenceKey,
    /// Whose stream.
    pub feed: Feed,
    /// Simulcast encoding; numbers and timestamps of two encodings have nothing in common.
    pub encoding: u8,
    /// What the payload is.
    pub codec: Codec,
    /// RTP clock in Hz.
    pub clock: u32,
    /// When it arrived: nanoseconds of the monotonic clock.
    pub arrival: u64,
    /// RFC 6464 level in -dBov (0 to 127), when it was given.
    pub level: Option<u8>,
    /// The RTP packet: header, extensions, payload; no padding.
    pub rtp: &'a [u8],
}

/// What a shard tells the mixer.
#[derive(Clone, Debug, PartialEq)]
pub enum ToMix<'a> {
    /// Make or change a conference's mix.
    Spec(MixSpec),
    /// End it.
    Remove(ConferenceKey),
    /// Who speaks: most recent first, as the shard's stage has it.
    Speakers {
        /// Whose.
        conference: ConferenceKey,
        /// Most recent speaker first.
        order: Vec<ParticipantKey>,
        /// Those to be heard, loudest first, with the stage's hysteresis.
        loudest: Vec<ParticipantKey>,
    },
    /// A packet of a feed that was wanted.
    Packet(MixPacket<'a>),
    /// A sender report of a feed: how its RTP clock and its wall clock belong together, for lip sync.
    Report {
        /// Whose conference.
        conference: ConferenceKey,
        /// Which stream.
        feed: Feed,
        /// Simulcast encoding.
        encoding: u8,
        /// NTP time of the report, 32.32 fixed point (RFC 3550).
        ntp: u64,
        /// RTP time of the report.
        rtp: u32,
    },
    /// A feed has ended or changed its source: what is kept of it is to be forgotten.
    Gone {
        /// Whose conference.
        conference: ConferenceKey,
        /// Which stream.
        feed: Feed,
    },
    /// Somebody needs this output, at about this rate; or its rate changes.
    Need {
        /// Whose conference.
        conference: ConferenceKey,
        /// What.
        output: MixOutput,
        /// Bits a second that it may take.
        bitrate: u32,
        /// Of sound: packets that are to be expected to get lost, in per cent; how much is spent on copies of what was said before (FEC).
        loss: u8,
    },
    /// Nobody needs this output any more.
    Unneeded {
        /// Whose conference.
        conference: ConferenceKey,
        /// What.
        output: MixOutput,
    },
    /// A viewer of this output needs a key frame.
    KeyFrame {
        /// Whose conference.
        conference: ConferenceKey,
        /// What.
        output: MixOutput,
    },
}

/// What the mixer tells a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum FromMix<'a> {
    /// A packet of an output.
    Packet {
        /// Whose conference.
        conference: ConferenceKey,
        /// Of what.
        output: MixOutput,
        /// When what it shows was captured, as far as it is known: nanoseconds of the monotonic clock. Pictures and sound share it.
        captured: u64,
        /// The RTP packet: header (SSRC and payload type mean nothing), payload; at most 1,200 bytes.
        rtp: &'a [u8],
    },
    /// This feed is wanted for a tile of this size; sound has none. Said again when the size changes.
    Want {
        /// Whose conference.
        conference: ConferenceKey,
        /// Which stream.
        feed: Feed,
        /// Tile size in pixels.
        width: u16,
        /// See `width`.
        height: u16,
    },
    /// This feed is not wanted any more.
    Unwant {
        /// Whose conference.
        conference: ConferenceKey,
        /// Which stream.
        feed: Feed,
    },
    /// This feed cannot be decoded without a key frame.
    KeyFrame {
        /// Whose conference.
        conference: ConferenceKey,
        /// Which stream.
        feed: Feed,
    },
    /// A scene shows these, by tile; told when it changes.
    Seats {
        /// Whose conference.
        conference: ConferenceKey,
        /// [`SceneSpec::id`].
        scene: u16,
        /// Layout that is really drawn.
        layout: String,
        /// Who stands in each tile.
        seats: Vec<Option<ParticipantKey>>,
    },
    /// Another part of the pictures is left out, because the mixer is behind. Told when it changes; a room begins at 0.
    Shed {
        /// Whose conference.
        conference: ConferenceKey,
        /// 0 = everything is done; then, in this order: 1 half the frame rate, 2 the smallest rung alone, 3 half the resolution.
        level: u8,
    },
    /// A part of the spec that cannot be done; the rest is. Told once for each part.
    Unable {
        /// Whose conference.
        conference: ConferenceKey,
        /// What and why, in words for an operator; at most [`MAX_REASON`] bytes.
        reason: String,
    },
    /// A new picture of the presentation, see [`Still`].
    Still {
        /// Whose conference.
        conference: ConferenceKey,
        /// Whose presentation.
        presenter: ParticipantKey,
        /// The height that was asked for.
        height: u16,
        /// The file.
        jpeg: &'a [u8],
    },
    /// How loaded the mixer is. Told when `shed` changes, and otherwise once a second at most.
    Load {
        /// The highest [`FromMix::Shed`] of this shard's conferences.
        shed: u8,
        /// What this shard's conferences took so far.
        spent: MixerSpent,
    },
}

/// What a shard's conferences have taken of the mixer's threads since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MixerSpent {
    /// Nanoseconds of the worker, who has packets and sound.
    pub worker_ns: u64,
    /// Jobs that the pool did: frames decoded, scenes composed, frames encoded.
    pub jobs: u64,
    /// Nanoseconds that they took.
    pub job_ns: u64,
    /// Nanoseconds that they waited for a thread.
    pub wait_ns: u64,
}

impl MixerSpent {
    /// Both together. Counts come from a program that is not trusted: they stay where they would overflow.
    #[must_use]
    pub fn with(self, other: MixerSpent) -> MixerSpent {
        MixerSpent {
            worker_ns: self.worker_ns.saturating_add(other.worker_ns),
            jobs: self.jobs.saturating_add(other.jobs),
            job_ns: self.job_ns.saturating_add(other.job_ns),
            wait_ns: self.wait_ns.saturating_add(other.wait_ns),
        }
    }
}
