//! Times `Sealer::protect` and `Opener::open_rtp`: one packet to a fan-out, each receiver with its own key.
//!
//! Prints the median over rounds in which the cases take turns, so that a change of the host's speed meets them all.
//! `cargo run --release -p plenum-srtp --example protect [-- fan-out payload-bytes]`

use plenum_packet::{HEADROOM, Pool};
use plenum_srtp::{Backend, Job, MasterKey, Opener, Sealer, Suite};
use std::time::Instant;

const ROUNDS: u64 = 2000;
const HEADER: usize = 20;

struct Case {
    suite: Suite,
    pool: Pool,
    sealer: Sealer,
    openers: Vec<Opener>,
    jobs: Vec<Job>,
    seal: Vec<f64>,
    open: Vec<f64>,
}

impl Case {
    fn new(suite: Suite, backend: Backend, fan_out: usize) -> Case {
        let mut pool = Pool::new(fan_out);
        let mut sealer = Sealer::with_backend(backend);
        let mut openers = Vec::new();
        let mut jobs = Vec::new();
        for n in 0..fan_out {
            let key = vec![n as u8; suite.key_len()];
            let master = MasterKey::new(suite, &key, &vec![3; suite.salt_len()]).expect("lengths of the suite");
            let buf = pool.alloc().expect("a slot for each receiver");
            jobs.push(Job::new(sealer.insert(&master), buf, HEADER as u16, 0));
            openers.push(Opener::with_backend(&master, backend));
        }
        Case { suite, pool, sealer, openers, jobs, seal: Vec::new(), open: Vec::new() }
    }

    /// Writes a new packet into every slot, then seals all and opens all.
    fn round(&mut self, index: u64, payload: usize) {
        for job in &mut self.jobs {
            job.index = index;
            job.buf.set_range(HEADROOM, HEADER + payload);
            let packet = self.pool.bytes_mut(&job.buf);
            packet.fill(index as u8);
            packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
            packet[8..12].copy_from_slice(&7u32.to_be_bytes());
        }
        let start = Instant::now();
        self.sealer.protect(&mut self.pool, &mut self.jobs);
        let sealed = Instant::now();
        for (job, opener) in self.jobs.iter().zip(&mut self.openers) {
            assert!(job.result.is_ok());
            let opened = opener.open_rtp(7, index as u16, HEADER, self.pool.bytes_mut(&job.buf));
            assert!(opened.is_ok());
        }
        let packets = self.jobs.len() as f64;
        self.seal.push(1e6 * (sealed - start).as_secs_f64() / packets);
        self.open.push(1e6 * sealed.elapsed().as_secs_f64() / packets);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let fan_out = arguments.next().unwrap_or(50);
    let payload = arguments.next().unwrap_or(1200);
    let mut cases: Vec<_> = Backend::available()
        .iter()
        .flat_map(|&backend| Suite::ALL.map(|suite| Case::new(suite, backend, fan_out)))
        .collect();
    for index in 0..ROUNDS {
        for case in &mut cases {
            case.round(index, payload);
        }
    }
    println!("fan-out {fan_out}, payload {payload} B, microseconds a packet (median of {ROUNDS} rounds):");
    for mut case in cases {
        let (suite, backend) = (case.suite.name(), case.sealer.backend().name());
        println!("{suite:24} {backend:9} seal {:.3}  open {:.3}", median(&mut case.seal), median(&mut case.open));
        case.jobs.into_iter().for_each(|job| case.pool.free(job.buf));
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
