//! What a run found: figures with the bound they are held to, skips with their reason, and the machine they were taken on.
//!
//! One [`Report`] is printed as text and kept as JSON in `target/bench/`. It decides nothing: a missed bound is shown, and is no
//! error of the run, because the machines that we measure on are noisy.

use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a figure is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Smaller is better.
    AtMost(f64),
    /// Larger is better.
    AtLeast(f64),
}

impl Bound {
    /// Whether `value` keeps it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        }
    }
}

/// One number.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The chapter it stands in.
    pub group: String,
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// What it is held to, where something was promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// How it is to be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What could not be measured here.
#[derive(Clone, Debug, Serialize)]
pub struct Skip {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Logical cores.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine, as `/proc` tells it.
    pub fn detect() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| cpuinfo.lines().find(|l| l.starts_with(name)).and_then(|l| l.split(": ").nth(1));
        let memory = read("/proc/meminfo");
        let kib = memory.lines().next().and_then(|l| l.split_whitespace().nth(1)).and_then(|n| n.parse::<u64>().ok());
        Machine {
            processor: field("model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// When: the day, UTC.
    pub date: String,
    /// The figures, in the order they were taken.
    pub figures: Vec<Figure>,
    /// What could not be measured.
    pub skips: Vec<Skip>,
}

impl Default for Report {
    fn default() -> Report {
        Report::new()
    }
}

impl Report {
    /// An empty report of today and this machine.
    pub fn new() -> Report {
        Report { machine: Machine::detect(), date: today(), figures: Vec::new(), skips: Vec::new() }
    }

    /// Adds a figure.
    pub fn add(&mut self, group: &str, name: impl Into<String>, value: f64, unit: &str) -> &mut Figure {
        self.figures.push(Figure {
            group: group.to_owned(),
            name: name.into(),
            value,
            unit: unit.to_owned(),
            bound: None,
            note: String::new(),
        });
        let last = self.figures.len() - 1;
        &mut self.figures[last]
    }

    /// Adds a skip.
    pub fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let skip = Skip { what: what.into(), why: why.into() };
        eprintln!("skipped: {}: {}", skip.what, skip.why);
        self.skips.push(skip);
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let m = &self.machine;
        let _ = writeln!(
            out,
            "Plenum benchmarks, {}\n{}, {} cores, {} GiB, Linux {}",
            self.date, m.processor, m.cores, m.memory_gib, m.kernel
        );
        let mut groups: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if !groups.contains(&figure.group.as_str()) {
                groups.push(&figure.group);
            }
        }
        for group in groups {
            let _ = writeln!(out, "\n{group}");
            for figure in self.figures.iter().filter(|f| f.group == group) {
                let _ = writeln!(out, "  {}", line(figure));
            }
        }
        let missed = self.figures.iter().filter(|f| f.bound.is_some_and(|b| !b.holds(f.value))).count();
        let bound = self.figures.iter().filter(|f| f.bound.is_some()).count();
        let _ = writeln!(out, "\n{} of {bound} bounds kept, {} skipped", bound - missed, self.skips.len());
        for skip in &self.skips {
            let _ = writeln!(out, "  skipped {}: {}", skip.what, skip.why);
        }
        out
    }

    /// Writes `<name>.txt` and `<name>.json` into `folder`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, folder: &Path, name: &str) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(format!("{name}.txt")), self.text())?;
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join(format!("{name}.json")), json)
    }
}

impl Figure {
    /// Holds the figure to `bound`.
    pub fn bound(&mut self, bound: Bound) -> &mut Figure {
        self.bound = Some(bound);
        self
    }

    /// Says how it is to be read.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Figure {
        self.note = note.into();
        self
    }
}

/// One line of the text report.
fn line(figure: &Figure) -> String {
    let value = match figure.value.abs() {
        v if v >= 1000.0 || v == 0.0 => format!("{:.0}", figure.value),
        v if v >= 10.0 => format!("{:.1}", figure.value),
        _ => format!("{:.3}", figure.value),
    };
    let mut line = format!("{:<58} {value:>10} {:<12}", figure.name, figure.unit);
    if let Some(bound) = figure.bound {
        let (sign, limit) = match bound {
            Bound::AtMost(most) => ("<=", most),
            Bound::AtLeast(least) => (">=", least),
        };
        let verdict = if bound.holds(figure.value) { "kept" } else { "MISSED" };
        let _ = write!(line, " {sign} {limit} {verdict}");
    }
    if !figure.note.is_empty() {
        let _ = write!(line, "  ({})", figure.note);
    }
    line.trim_end().to_owned()
}

/// The day in UTC as `2026-11-21`.
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400);
    date_of(days)
}

/// The civil date of a day counted from 1970-01-01.
fn date_of(days: u64) -> String {
    // Eras of 400 years that begin in March, so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let civil = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{civil:02}-{of_month:02}", year + era * 400 + u64::from(civil <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_kept_and_missed_bounds_and_counts_skips() {
        let mut report = Report::new();
        report.add("Protect", "GCM", 0.15, "us/packet").bound(Bound::AtMost(0.17));
        report.add("Protect", "CM", 0.7, "us/packet").bound(Bound::AtMost(0.5)).note("portable");
        report.add("Peers", "Janus", 3.1, "x").bound(Bound::AtLeast(2.5));
        report.skip("Pion", "not installed");
        let text = report.text();
        assert!(text.contains("<= 0.17 kept") && text.contains("<= 0.5 MISSED  (portable)"));
        assert!(text.contains("2 of 3 bounds kept, 1 skipped"), "{text}");
        assert_eq!(text.matches("\nProtect\n").count(), 1);
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(19_782), "2024-02-29");
        assert_eq!(date_of(19_783), "2024-03-01");
        assert_eq!(date_of(20_778), "2026-11-21");
    }
}
