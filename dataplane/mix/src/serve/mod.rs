//! `plenum-mix serve`: connects to media, gets a pair of rings for each shard, confines itself, and mixes until either ends.
//!
//! It keeps nothing and asks for nothing: whoever starts it again has it told everything anew. Fonts are read before it confines
//! itself; afterwards it opens no file and no socket. A worker thread serves one shard's rings and its conferences; the threads of one pool do for all of
//! them what takes long.

mod link;
mod pool;
mod worker;

use clap::Args;
use plenum_host::Confine;
use plenum_mix::fonts;
use plenum_mix::room::RoomSettings;
use pool::Pool;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use worker::Worker;

/// What it is started with.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Unix socket of media at which mixers get their rings.
    #[arg(long)]
    socket: PathBuf,
    /// How much less weight it has than other programs (nice level); 0 = as much.
    #[arg(long, default_value_t = 5)]
    nice: i32,
    /// Threads that decode, compose and encode, 1 to 256; 0 = one less than there are cores, at least one.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    threads: u16,
    /// Give up the right to open files and sockets once it runs.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    confine: bool,
}

/// How often the first thread looks whether it was asked to end, and whether media is there.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until media is gone (an error: whoever supervises starts it again) or it is asked to end.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Box<dyn Error>> {
    plenum_host::handle_end_signals()?;
    // A thread has the weight of the one that starts it, and gets no more: pictures are late before sound is, and before rings are not read.
    weigh(args.nice / 2)?;
    let loaded = fonts::load(fonts::DIRECTORIES);
    for package in &loaded.missing {
        say("warn", &format!("names may lack letters: {package} is not installed"));
    }
    let settings = RoomSettings::new(loaded.fonts);
    let (stream, links) = link::connect(&args.socket)?;
    let count = links.len();
    let (ended, end) = channel();
    let threads = match args.threads {
        // A core is left to forwarding: its tail feels every other thread that may run where it does.
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        threads => usize::from(threads),
    };
    let pool = Pool::new();
    let mut ready = Vec::new();
    for link in links {
        let (settings, ended, hand) = (settings.clone(), Ended(ended.clone()), pool.hand()?);
        let (go, wait) = channel::<()>();
        ready.push(go);
        std::thread::Builder::new().name(format!("mix-{}", link.shard)).spawn(move || {
            // Nothing of a peer's is looked at before the program is confined.
            if wait.recv().is_ok() {
                let reason = Worker::new(link, settings, hand).run();
                let _ = ended.0.send(reason);
            }
        })?;
    }
    weigh(args.nice)?;
    pool.start(threads, || Ended(ended.clone()))?;
    if args.confine {
        plenum_host::confine(Confine::Process)?;
    }
    let confined = if args.confine { "confined" } else { "not confined" };
    say("info", &format!("mixes for {count} shard(s) with {threads} thread(s), {confined}"));
    for go in ready {
        let _ = go.send(());
    }
    loop {
        if let Ok(reason) = end.recv_timeout(LOOK) {
            return Err(reason.into());
        }
        if plenum_host::asked_to_end() {
            return Ok(());
        }
        if link::ended(&stream) {
            return Err("media is gone, or has another mixer".into());
        }
    }
}

/// Gives this thread, and those that it starts from now on, less weight; 0 = as much as others have.
fn weigh(nice: i32) -> std::io::Result<()> {
    if nice > 0 { plenum_host::yield_to_others(nice) } else { Ok(()) }
}

/// Tells the first thread that a worker or a thread of the pool is gone, however it went.
struct Ended(Sender<String>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.send("a thread ended".into());
    }
}

/// A line for whoever started us, who may be gone.
fn say(level: &str, line: &str) {
    let _ = writeln!(std::io::stderr(), "{level}: {line}");
}
