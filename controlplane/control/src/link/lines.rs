//! Media's log becomes part of ours: its lines arrive over the contract, what it says before that (or when it dies) by its
//! standard error; a mixer has its standard error alone. All bounded; nothing here decides anything.

use plenum_contract::{LogLevel, LogLine};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tracing::Level;

/// Target of media's lines: `[log] level = "info,plenum_media=debug"`.
const TARGET: &str = "plenum_media";
/// Target of the mixer's lines.
const MIXER: &str = "plenum_mix";
/// Longest line of standard error; a longer one comes in pieces.
const MAX_LINE: u64 = 4_096;
/// Lines that waited for longer say so.
const OLD_MS: u64 = 1_000;

/// How loud media shall be, so that it makes no line that our filter drops.
pub(super) fn level() -> &'static str {
    if tracing::enabled!(target: TARGET, Level::TRACE) {
        "trace"
    } else if tracing::enabled!(target: TARGET, Level::DEBUG) {
        "debug"
    } else if tracing::enabled!(target: TARGET, Level::INFO) {
        "info"
    } else if tracing::enabled!(target: TARGET, Level::WARN) {
        "warn"
    } else if tracing::enabled!(target: TARGET, Level::ERROR) {
        "error"
    } else {
        "off"
    }
}

/// Writes a line of media's into our log.
pub(super) fn log(line: &LogLine) {
    let (text, leg, shard) = (line.text.as_str(), line.leg.map(|leg| leg.0), line.shard);
    let age_ms = (line.age_ms >= OLD_MS).then_some(line.age_ms);
    match line.level {
        LogLevel::Error => tracing::error!(target: TARGET, leg, shard, age_ms, "{text}"),
        LogLevel::Warn => tracing::warn!(target: TARGET, leg, shard, age_ms, "{text}"),
        LogLevel::Info => tracing::info!(target: TARGET, leg, shard, age_ms, "{text}"),
        LogLevel::Debug => tracing::debug!(target: TARGET, leg, shard, age_ms, "{text}"),
        LogLevel::Trace => tracing::trace!(target: TARGET, leg, shard, age_ms, "{text}"),
    }
}

/// Logs what media writes to standard error until it ends: why it could not start, or how it panicked.
pub(super) async fn follow(from: impl AsyncRead + Unpin) {
    each(from, |level, text| log(&LogLine { level, text: text.to_owned(), leg: None, shard: None, age_ms: 0 })).await;
}

/// Logs what a mixer writes to standard error until it ends.
pub(super) async fn follow_mixer(from: impl AsyncRead + Unpin) {
    each(from, |level, text| match level {
        LogLevel::Error => tracing::error!(target: MIXER, "{text}"),
        LogLevel::Warn => tracing::warn!(target: MIXER, "{text}"),
        _ => tracing::info!(target: MIXER, "{text}"),
    })
    .await;
}

/// Takes lines apart: a level's name and a colon, or an error.
async fn each(from: impl AsyncRead + Unpin, mut take: impl FnMut(LogLevel, &str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let named = |level: LogLevel| Some((level, text.strip_prefix(level.name())?.strip_prefix(": ")?));
        match LogLevel::ALL.into_iter().find_map(named) {
            Some((level, text)) => take(level, text),
            None if text.is_empty() => {}
            None => take(LogLevel::Error, text),
        }
        line.clear();
    }
}
