//! The program's log: short lines that wait, bounded, until control takes them.
//!
//! Control has the one log of the appliance; media's lines go there over the control socket. While control is away the newest
//! [`MAX_LINES`] are kept. Nothing is written per packet: only the program's start and end, what control does, and (at `debug`)
//! commands come by here. Secrets (passwords, keys) never do. Writing a line never blocks on I/O, except to a terminal, which
//! only an engineer who started the program by hand has.

use plenum_contract::{LegKey, LogLevel, LogLine};
use plenum_packet::Time;
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that wait for control; beyond it the oldest goes, and how many went is said.
const MAX_LINES: usize = 1_024;
/// Most bytes of a line; what is longer is cut.
const MAX_TEXT: usize = 2_048;
/// [`Log::set_level`] counts levels from 1; nothing is written at 0.
const OFF: usize = 0;

/// A handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log(Arc<Inner>);

struct Inner {
    level: AtomicUsize,
    terminal: bool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Time, LogLine)>,
    lost: u64,
}

impl Default for Log {
    /// At `info`, until control says otherwise.
    fn default() -> Log {
        Log(Arc::new(Inner {
            level: AtomicUsize::new(LogLevel::Info as usize + 1),
            terminal: std::io::stderr().is_terminal(),
            waiting: Mutex::default(),
        }))
    }
}

impl Log {
    /// Sets how loud it is.
    ///
    /// # Errors
    /// When `name` is none of the contract's words; the level stays.
    pub(crate) fn set_level(&self, name: &str) -> Result<(), String> {
        let level = match LogLevel::ALL.into_iter().find(|level| level.name() == name) {
            Some(level) => level as usize + 1,
            None if name == "off" => OFF,
            None => return Err(format!("log level {name:?} is unknown")),
        };
        self.0.level.store(level, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a line, when it is important enough; `text` is only called then.
    pub(crate) fn write(&self, level: LogLevel, about: About, text: impl FnOnce() -> String) {
        if level as usize >= self.0.level.load(Ordering::Relaxed) {
            return;
        }
        let mut text = text().replace(['\n', '\r'], " ");
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        if self.0.terminal {
            let _ = writeln!(std::io::stderr(), "plenum-media: {}: {text}", level.name());
        }
        let line = LogLine { level, text, leg: about.leg, shard: about.shard, age_ms: 0 };
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() == MAX_LINES {
            waiting.lines.pop_front();
            waiting.lost += 1;
        }
        waiting.lines.push_back((crate::event_loop::now(), line));
    }

    pub(crate) fn error(&self, about: About, text: impl FnOnce() -> String) {
        self.write(LogLevel::Error, about, text);
    }

    pub(crate) fn warn(&self, about: About, text: impl FnOnce() -> String) {
        self.write(LogLevel::Warn, about, text);
    }

    pub(crate) fn info(&self, about: About, text: impl FnOnce() -> String) {
        self.write(LogLevel::Info, about, text);
    }

    pub(crate) fn debug(&self, about: About, text: impl FnOnce() -> String) {
        self.write(LogLevel::Debug, about, text);
    }

    /// Takes at most `most` of the lines that wait, the oldest first, each with its age.
    pub(crate) fn take(&self, now: Time, most: usize) -> Vec<LogLine> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        if waiting.lost > 0 {
            let text = format!("{} earlier lines are lost: nobody took them", std::mem::take(&mut waiting.lost));
            taken.push(LogLine { level: LogLevel::Warn, text, leg: None, shard: None, age_ms: 0 });
        }
        let count = waiting.lines.len().min(most);
        taken.extend(waiting.lines.drain(..count).map(|(written, mut line)| {
            line.age_ms = now.since(written).as_millis() as u64;
            line
        }));
        taken
    }

    /// The program ends with an error: what nobody took goes to standard error, where our starter may still read it.
    pub(crate) fn dump(&self) {
        if self.0.terminal {
            return;
        }
        let mut out = std::io::stderr();
        for line in self.take(crate::event_loop::now(), MAX_LINES) {
            let _ = writeln!(out, "{}: {}", line.level.name(), line.text);
        }
    }
}

/// What a line is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct About {
    leg: Option<LegKey>,
    shard: Option<u16>,
}

impl About {
    /// About the program.
    pub(crate) const PROGRAM: About = About { leg: None, shard: None };

    /// About a shard.
    pub(crate) const fn shard(shard: u16) -> About {
        About { leg: None, shard: Some(shard) }
    }

    /// About a leg, where there is one.
    pub(crate) const fn leg(leg: Option<LegKey>) -> About {
        About { leg, shard: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &Log, most: usize) -> Vec<String> {
        log.take(crate::event_loop::now(), most).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_wait_in_order_and_quiet_ones_are_not_even_made() {
        let log = Log::default();
        log.info(About::PROGRAM, || "one".into());
        log.debug(About::PROGRAM, || unreachable!("not at info"));
        log.set_level("debug").unwrap();
        log.debug(About::leg(Some(LegKey(7))), || "two\nlines".into());
        let taken = log.take(crate::event_loop::now(), 10);
        assert_eq!(taken.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["one", "two lines"]);
        assert_eq!(taken[1].leg, Some(LegKey(7)));
        assert!(log.set_level("loud").is_err());
        log.set_level("off").unwrap();
        log.error(About::PROGRAM, || unreachable!("off"));
    }

    #[test]
    fn a_long_absence_of_control_costs_bounded_memory_and_is_admitted() {
        let log = Log::default();
        for n in 0..MAX_LINES + 3 {
            log.warn(About::shard(1), || format!("{n} {}", "ä".repeat(MAX_TEXT)));
        }
        let first = texts(&log, 1);
        assert_eq!(first.len(), 2);
        assert!(first[0].starts_with("3 earlier lines are lost"));
        assert!(first[1].starts_with("3 ") && first[1].len() <= MAX_TEXT);
        assert_eq!(texts(&log, MAX_LINES).len(), MAX_LINES - 1);
        assert!(texts(&log, 1).is_empty());
    }
}
