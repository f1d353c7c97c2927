//! Sealing a fan-out: one packet to 50 receivers, each with a key of its own, in one `protect`.

use crate::report::{Bound, Report};
use crate::timing::{Case, in_turns};
use plenum_packet::{HEADROOM, Pool};
use plenum_srtp::{Backend, Job, MasterKey, Sealer, Suite};

const FAN_OUT: usize = 50;
const ROUNDS: usize = 1500;
/// Fixed header and two small extensions.
const HEADER: usize = 24;

struct Fan {
    pool: Pool,
    sealer: Sealer,
    jobs: Vec<Job>,
    index: u64,
    size: usize,
}

impl Fan {
    fn new(suite: Suite, backend: Backend, size: usize) -> Fan {
        let mut pool = Pool::new(FAN_OUT);
        let mut sealer = Sealer::with_backend(backend);
        let jobs = (0..FAN_OUT).map(|n| {
            let (key, salt) = (vec![n as u8; suite.key_len()], vec![3; suite.salt_len()]);
            let master = MasterKey::new(suite, &key, &salt).expect("lengths of the suite");
            let mut buf = pool.alloc().expect("a slot for each receiver");
            buf.set_range(HEADROOM, size);
            pool.bytes_mut(&buf).fill(n as u8);
            Job::new(sealer.insert(&master), buf, HEADER as u16, 0)
        });
        let jobs = jobs.collect();
        Fan { pool, sealer, jobs, index: 0, size }
    }

    /// The next packet to everybody. Only its number changes: what is sealed costs the same.
    fn round(&mut self) -> u64 {
        self.index += 1;
        for job in &mut self.jobs {
            job.index = self.index;
            job.buf.set_range(HEADROOM, self.size);
            let packet = self.pool.bytes_mut(&job.buf);
            packet[2..4].copy_from_slice(&(self.index as u16).to_be_bytes());
            packet[8..12].copy_from_slice(&7u32.to_be_bytes());
        }
        self.sealer.protect(&mut self.pool, &mut self.jobs);
        assert!(self.jobs.iter().all(|job| job.result.is_ok()));
        FAN_OUT as u64
    }
}

/// Times every suite on every back-end of this machine, for a video and an audio packet.
pub(super) fn run(report: &mut Report) {
    let mut kinds = Vec::new();
    for size in [1200, 160] {
        for suite in Suite::ALL {
            kinds.extend(Backend::available().iter().map(|&backend| (size, suite, backend)));
        }
    }
    let mut cases: Vec<_> = kinds
        .iter()
        .map(|&(size, suite, backend)| {
            let mut fan = Fan::new(suite, backend, size);
            Case::new(format!("{size} B, {}, {}", suite.name(), backend.name()), move || fan.round())
        })
        .collect();
    let times = in_turns(&mut cases, ROUNDS);
    for ((case, (size, suite, backend)), taken) in cases.iter().zip(&kinds).zip(times) {
        let figure = report.add("Protect, fan-out 50", &case.name, taken.median / 1000.0, "us/packet");
        if *size == 1200 && *backend == Backend::detect() {
            match suite {
                Suite::AeadAes128Gcm => figure.bound(Bound::AtMost(0.17)),
                Suite::AesCm128HmacSha1_80 => figure.bound(Bound::AtMost(0.5)),
                Suite::AeadAes256Gcm => figure,
            };
        }
        if *backend == Backend::PORTABLE && Backend::detect() != Backend::PORTABLE {
            figure.note("not used here");
        }
    }
}
