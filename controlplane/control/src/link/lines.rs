//! Media's log becomes part of ours: its lines arrive over the contract, what it says before that (or when it dies) by its
//! standard error. Both bounded; nothing here decides anything.

use plenum_contract::{LogLevel, LogLine};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tracing::Level;

/// Target of media's lines: `[log] level = "info,plenum_media=debug"`.
const TARGET: &str = "plenum_media";
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
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        match LogLevel::ALL
            .into_iter()
            .find_map(|level| Some((level, text.strip_prefix(level.name())?.strip_prefix(": ")?)))
        {
            Some((level, text)) => {
                log(&LogLine { level, text: text.to_owned(), leg: None, shard: None, age_ms: 0 });
            }
            None if text.is_empty() => {}
            None => tracing::error!(target: TARGET, "{text}"),
        }
        line.clear();
    }
}
