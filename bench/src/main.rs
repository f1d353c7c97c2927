//! `plenum-bench`: measures Plenum and its peers, prints the report and keeps it in `target/bench/`.
//!
//! Each chapter stands alone (`plenum-bench micro`); without a name all of them run. Missed bounds do not fail the run.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use plenum_bench::{compose, engines, events, fanout, micro, mixed, mixing, report::Report, rivals};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::path::PathBuf;
use std::process::ExitCode;

/// Counts allocations, for the figures that must be zero and for memory by participant.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Measures Plenum.
#[derive(Parser, Debug)]
#[command(name = "plenum-bench", version)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value_t = Chapter::All)]
    chapter: Chapter,
    /// Where the reports go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Leaves out what differs little.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chapter {
    /// Single steps of a packet's way.
    Micro,
    /// The media plane on sockets, over veth and into a null device.
    Fanout,
    /// Janus and a Pion SFU under the same load, in turns with Plenum.
    Peers,
    /// A whole appliance with thousands of event subscribers, and joins.
    Events,
    /// Layouts from pictures, beside libyuv, FFmpeg and GStreamer.
    Compose,
    /// A whole room of the mixer: pictures, sound, and what each who receives them costs.
    Mix,
    /// Every codec's encoder and decoder, by size.
    Engines,
    /// Single tracks in another codec, by size.
    Transcode,
    /// How old the mixed picture is that a viewer sees.
    Glass,
    /// What a mixed room costs by the number of its viewers.
    Viewers,
    /// What two mixes do to forwarding on the same machine.
    Beside,
    /// Everything.
    All,
}

impl Chapter {
    fn name(self) -> &'static str {
        match self {
            Chapter::Micro => "micro",
            Chapter::Fanout => "fanout",
            Chapter::Peers => "peers",
            Chapter::Events => "events",
            Chapter::Compose => "compose",
            Chapter::Mix => "mix",
            Chapter::Engines => "engines",
            Chapter::Transcode => "transcode",
            Chapter::Glass => "glass",
            Chapter::Viewers => "viewers",
            Chapter::Beside => "beside",
            Chapter::All => "report",
        }
    }

    fn includes(self, other: Chapter) -> bool {
        self == other || self == Chapter::All
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::new();
    if options.chapter.includes(Chapter::Micro) {
        micro::run(&mut report);
    }
    if options.chapter.includes(Chapter::Fanout) {
        fanout::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Peers) {
        rivals::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Events) {
        events::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Compose) {
        compose::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Mix) {
        mixing::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Engines) {
        engines::run(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Transcode) {
        mixing::transcode(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Glass) {
        mixed::glass(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Viewers) {
        mixed::viewers(&mut report, options.quick);
    }
    if options.chapter.includes(Chapter::Beside) {
        mixed::beside(&mut report, options.quick);
    }
    print!("{}", report.text());
    match report.write(&options.out, options.chapter.name()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("plenum-bench: {}: {e}", options.out.display());
            ExitCode::FAILURE
        }
    }
}
