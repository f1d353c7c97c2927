//! `plenum-swarm`: fills conferences of a running appliance with synthetic peers and tells what they saw.
//!
//! `plenum-swarm --url https://127.0.0.1:8443 --insecure --conference 1061 --publishers 2 --viewers 20 --seconds 30`

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use plenum_bench::swarm::{Camera, Plan, Stack};
use plenum_srtp::Suite;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Peers in the conferences of a running appliance: what they send is frame-shaped as a browser's, and what they see is counted.
///
/// Reported are packets lost, reordered, duplicated, asked for again and recovered; frames, key frames and freezes; the times from
/// sending to arrival, from asking for a key frame to decoding it, and from the offer to keys on both sides, as quantiles and, with
/// --json, as histograms.
#[derive(Parser, Debug)]
#[command(name = "plenum-swarm", version)]
struct Options {
    /// The appliance.
    #[arg(long, default_value = "https://127.0.0.1:8443")]
    url: String,
    /// Accept the appliance's own certificate, whatever it is.
    #[arg(long)]
    insecure: bool,
    /// Conferences; peers take them in turn.
    #[arg(long, value_delimiter = ',', default_value = "1061")]
    conference: Vec<String>,
    /// PIN.
    #[arg(long)]
    pin: Option<String>,
    /// Peers that send and receive.
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Peers that only receive.
    #[arg(long, default_value_t = 5)]
    viewers: usize,
    /// Seconds of media once everybody is in.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Picture: width, height and frames a second.
    #[arg(long, default_value = "1280x720@30", value_parser = picture)]
    video: Picture,
    /// Kilobits a second of the largest encoding.
    #[arg(long, default_value_t = 1700)]
    bitrate: u64,
    /// Simulcast encodings, 1 to 3.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    simulcast: u8,
    /// No pictures.
    #[arg(long)]
    no_video: bool,
    /// What publishers send: stamped bytes, which peers count and no decoder understands, or painted pictures and tones, whose frames are
    /// counted and whose delays are not.
    #[arg(long, value_enum, default_value_t = Media::Stamped)]
    media: Media,
    /// IVF file of VP8 or AV1 that publishers show over and over, each with a tone of its own; in place of --media, --video and --bitrate.
    #[arg(long, conflicts_with_all = ["simulcast", "adaptive", "no_video"])]
    film: Option<PathBuf>,
    /// Seconds that each publisher of a conference speaks in turn; without it the first one speaks all the time.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    turns: Option<u64>,
    /// Whether publishers have a microphone.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    audio: bool,
    /// WebRTC stack of the peers: our synthetic one, str0m, which is independent of ours, or both in turns.
    #[arg(long, value_enum, default_value_t = Choice::Own)]
    stack: Choice,
    /// Cameras follow the server's feedback, as browsers do, instead of keeping their rate.
    #[arg(long)]
    adaptive: bool,
    /// Percent of RTP packets that are lost at the peers' sockets, in each direction.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Seconds after which every peer asks for a key frame of each picture, again and again, to time the answer.
    #[arg(long)]
    key_frames: Option<u64>,
    /// SRTP profile that peers insist on; the own stack only.
    #[arg(long, value_enum)]
    suite: Option<Profile>,
    /// Pictures that each peer has room for.
    #[arg(long, default_value_t = 1)]
    tiles: u16,
    /// Check every received stream with the independent guard.
    #[arg(long)]
    guard: bool,
    /// Address to send from.
    #[arg(long)]
    bind: Option<IpAddr>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// AEAD_AES_128_GCM.
    Gcm,
    /// AES_CM_128_HMAC_SHA1_80.
    Cm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The synthetic peer: cheap enough for hundreds.
    Own,
    /// str0m.
    Str0m,
    /// Every second peer on str0m.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Media {
    /// Bytes of the size and shape of a browser's, with stamps.
    Stamped,
    /// Each publisher's own colour with its number in VP8, and its own tone in Opus.
    Painted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Picture {
    width: u16,
    height: u16,
    fps: u8,
}

/// Reads `1280x720@30`.
fn picture(text: &str) -> Result<Picture, String> {
    let wrong = || format!("{text}: expected width x height @ frames a second, as 1280x720@30");
    let (size, fps) = text.split_once('@').ok_or_else(wrong)?;
    let (width, height) = size.split_once('x').ok_or_else(wrong)?;
    let number = |t: &str| t.trim().parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(wrong);
    let fps = u8::try_from(number(fps)?).map_err(|_| wrong())?;
    Ok(Picture { width: number(width)?, height: number(height)?, fps })
}

/// Reads a share of less than all.
fn percent(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|p| (0.0..100.0).contains(p));
    share.ok_or_else(|| format!("{text}: expected a percentage from 0 to below 100"))
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Picture { width, height, fps } = options.video;
    let camera =
        Camera { width, height, fps, kbps: options.bitrate, encodings: options.simulcast, adaptive: options.adaptive };
    let plan = Plan {
        url: options.url,
        insecure: options.insecure,
        conferences: options.conference,
        pin: options.pin,
        publishers: options.publishers,
        viewers: options.viewers,
        seconds: options.seconds,
        camera: (!options.no_video).then_some(camera),
        audio: options.audio,
        turns: options.turns.map(Duration::from_secs),
        painted: options.media == Media::Painted,
        film: options.film,
        cues: None,
        suite: options.suite.map(|s| match s {
            Profile::Gcm => Suite::AeadAes128Gcm,
            Profile::Cm => Suite::AesCm128HmacSha1_80,
        }),
        tiles: options.tiles,
        guard: options.guard,
        stack: match options.stack {
            Choice::Own => Stack::Own,
            Choice::Str0m => Stack::Str0m,
            Choice::Both => Stack::Both,
        },
        loss: options.loss / 100.0,
        key_frames: options.key_frames.map(Duration::from_secs),
        bind: options.bind,
    };
    match plan.run() {
        Ok(summary) => {
            match serde_json::to_string_pretty(&summary) {
                Ok(json) if options.json => println!("{json}"),
                _ => print!("{}", summary.text()),
            }
            if summary.connected == summary.peers { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            eprintln!("plenum-swarm: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_loss_is_read_and_nonsense_is_refused() {
        assert_eq!(percent("2.5"), Ok(2.5));
        for wrong in ["100", "-1", "NaN", "x", ""] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_picture_is_read_and_nonsense_is_refused() {
        assert_eq!(picture("1280x720@30"), Ok(Picture { width: 1280, height: 720, fps: 30 }));
        for wrong in ["1280x720", "x@1", "0x720@30", "1280x720@300", ""] {
            assert!(picture(wrong).is_err(), "{wrong}");
        }
    }
}
