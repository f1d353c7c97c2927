//! The data plane program: parses its options, opens the sockets, starts a thread for each shard, serves the control socket.
//!
//! Everything it holds is made at start and sized then; what each shard may use is printed. It ends when control says so, or
//! on SIGTERM, after saying goodbye to every peer.

mod control;
mod event_loop;
mod journal;
mod legs;
mod log;
mod mixer;
mod options;
mod shards;
mod watch;

use clap::Parser;
use control::Control;
use event_loop::EventLoop;
use log::{About, Log};
use options::Options;
use plenum_contract::VERSION;
use plenum_contract::event::{Hello, Limits, ShardInfo};
use plenum_io::{Io, Options as IoOptions};
use plenum_packet::{Pool, SLOT_SIZE, Time};
use plenum_session::{Anchor, Certificates, Env, SessionLimits};
use plenum_shard::{Shard, ShardConfig};
use shards::ShardEnd;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let log = Log::default();
    match run(&options, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log.dump();
            // Whoever started us may be gone, and its end of the pipe with it.
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, log: &Log) -> Result<(), Box<dyn Error>> {
    plenum_host::raise_open_files()?;
    plenum_host::handle_end_signals()?;
    let certificates = Certificates::generate()?;
    let env = make_env(options, &certificates)?;
    let listener = control::bind(&options.socket)?;
    let mixers = options.mixer_socket.as_deref().map(control::bind).transpose()?;
    let count = options.shard_count();
    let (shards, from_shards, ends) = shards::queues(usize::from(count))?;
    let mut infos = Vec::new();
    let mut loops = Vec::new();
    for (index, end) in ends.into_iter().enumerate() {
        let (event_loop, info) = make_shard(options, index as u16, &env, end)?;
        loops.push(event_loop);
        infos.push(info);
    }
    tell_sizes(options, &infos, log);
    let hello = Hello {
        version: VERSION,
        boot: boot_id()?,
        fingerprints: vec![certificates.fingerprint()],
        shards: infos,
        limits: Limits {
            sessions_per_shard: options.max_sessions,
            media_per_session: options.max_tracks,
            max_bitrate: options.max_bitrate,
        },
    };
    let cores = plenum_host::usable_cores();
    let threads: Vec<_> =
        loops.into_iter().map(|l| spawn(l, options.pin, &cores, log.clone())).collect::<Result<_, _>>()?;
    let failed = || threads.iter().any(std::thread::JoinHandle::is_finished);
    let (mut watch, mut hangs) = (shards.watch(), None);
    let mut control = Control::new(listener, shards, from_shards, hello, log.clone());
    control.serve_mixers(mixers);
    control.run(&mut || {
        hangs = watch.look(event_loop::now());
        hangs.is_some() || plenum_host::asked_to_end() || failed()
    })?;
    if let Some(shard) = hangs.filter(|_| !failed()) {
        // Its thread cannot be waited for; whoever started us starts us anew.
        let problem = format!("shard {shard} hangs: no turn for {} s; the program ends", watch::STALL_AFTER.as_secs());
        log.error(About::shard(shard), || problem.clone());
        control.say_last();
        return Err(problem.into());
    }
    control.finish();
    for thread in threads {
        thread.join().map_err(|_| "a shard's thread panicked")??;
    }
    Ok(())
}

fn make_env(options: &Options, certificates: &Certificates) -> Result<Arc<Env>, Box<dyn Error>> {
    let wall = plenum_host::anchor();
    let anchor =
        Anchor::new(Instant::now(), Time(plenum_host::now()), Duration::from_nanos(wall.unix_at(plenum_host::now())));
    let media = options.max_tracks as usize;
    let limits = SessionLimits { media, max_bitrate: options.max_bitrate, max_ingest: options.max_ingest };
    Ok(Env::new(anchor, certificates, limits)?)
}

fn make_shard(
    options: &Options,
    index: u16,
    env: &Arc<Env>,
    end: ShardEnd,
) -> Result<(EventLoop, ShardInfo), Box<dyn Error>> {
    let addresses = options.addresses(index);
    let tcp = if options.tcp { addresses.clone() } else { Vec::new() };
    let mut io = Io::open(options.io.into(), &addresses, &tcp, IoOptions::default())
        .map_err(|e| format!("shard {index} cannot open {addresses:?}: {e}"))?;
    plenum_packet::PacketIo::watch(&mut io, std::os::fd::AsRawFd::as_raw_fd(&end.waker))?;
    let info = ShardInfo {
        udp: plenum_packet::PacketIo::local_addrs(&io).to_vec(),
        tcp: io.tcp_addrs().to_vec(),
        back_end: io.back_end().to_owned(),
    };
    let shard = Shard::new(ShardConfig {
        env: env.clone(),
        max_sessions: options.max_sessions as usize,
        random: Box::new(|seed| {
            // The system's random source does not fail once the process runs.
            if aws_lc_rs::rand::fill(seed).is_err() {
                std::process::abort();
            }
        }),
    });
    let pool = Pool::new(options.slots_per_shard());
    Ok((EventLoop { index, shard, io, pool, end, mixer: None, mixer_starts: 0, mixer_lost: 0 }, info))
}

fn spawn(
    event_loop: EventLoop,
    pin: bool,
    cores: &[usize],
    log: Log,
) -> std::io::Result<std::thread::JoinHandle<std::io::Result<()>>> {
    let index = event_loop.index;
    let core = cores[usize::from(index) % cores.len()];
    std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
        if pin && let Err(e) = plenum_host::pin_to_core(core) {
            log.warn(About::shard(index), || format!("not pinned to core {core}: {e}"));
        }
        event_loop.run()
    })
}

fn boot_id() -> Result<u128, Box<dyn Error>> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no randomness")?;
    Ok(u128::from_be_bytes(bytes))
}

fn tell_sizes(options: &Options, infos: &[ShardInfo], log: &Log) {
    let slots = options.slots_per_shard();
    let pool = (slots * SLOT_SIZE) >> 20;
    log.info(About::PROGRAM, || {
        format!(
            "{} shard(s), {slots} packet slots each ({pool} MiB, {} MiB in all), at most {} sessions each, io {}, cpu {}",
            infos.len(),
            pool * infos.len(),
            options.max_sessions,
            infos.first().map_or("none", |i| i.back_end.as_str()),
            plenum_host::cpu_features().join("+"),
        )
    });
    for (index, info) in infos.iter().enumerate() {
        log.info(About::shard(index as u16), || format!("receives at udp {:?}, tcp {:?}", info.udp, info.tcp));
    }
}
