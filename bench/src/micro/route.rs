//! Deciding for each receiver: `Subscriber::forward` from one received packet to a plan, for 30 receivers.

use crate::report::Report;
use crate::timing::{Case, in_turns};
use plenum_packet::{Buf, HEADROOM, Pool, Time};
use plenum_route::subscriber::Seed;
use plenum_route::{Accepted, Codec, Format, Frame, Kind, PacketInfo, PictureId, Subscriber};
use plenum_wire::PlanExtensions;
use std::hint::black_box;

const RECEIVERS: usize = 30;
/// Received packets in a round.
const BATCH: u64 = 64;
const ROUNDS: usize = 400;
/// Packets of a video frame.
const FRAME: u64 = 8;

/// Receivers of one stream, and where the stream stands.
struct Fan {
    subscribers: Vec<Subscriber>,
    info: PacketInfo,
    planned: u64,
    /// The payload's slot: taken for the run, so that the reference goes on resolving.
    _held: Buf,
}

impl Fan {
    fn new(kind: Kind, format: Format, pool: &mut Pool) -> Fan {
        let accepted = vec![Accepted { format, payload_type: 96 }];
        let subscribers = (0..RECEIVERS).map(|n| {
            let seed = Seed { sequence: n as u16 * 1000, timestamp: n as u32, picture_id: n as u16 };
            let mut subscriber = Subscriber::new(0, kind, accepted.clone(), seed);
            subscriber.assign(Some(7));
            subscriber
        });
        let buf = pool.copy_in(HEADROOM, &[0; 1100]).expect("an empty pool has room");
        let info = PacketInfo {
            encoding: 0,
            epoch: 0,
            format,
            sequence: 1 << 16,
            highest: 1 << 16,
            timestamp: 0,
            captured: None,
            marker: false,
            received: Time::ZERO,
            taken: Time::ZERO,
            payload: pool.reference(&buf),
            frame: Frame::default(),
            extensions: PlanExtensions::default(),
        };
        Fan { subscribers: subscribers.collect(), info, planned: 0, _held: buf }
    }

    /// Describes packet `n` of the stream.
    fn next(&mut self, n: u64, video: bool) {
        self.info.sequence = (1 << 16) + n;
        self.info.highest = self.info.sequence;
        self.info.received = Time::from_millis(n);
        let frame = if video { n / FRAME } else { n };
        self.info.timestamp = frame as u32 * if video { 3000 } else { 960 };
        if video {
            let begins = n.is_multiple_of(FRAME);
            self.info.marker = n % FRAME == FRAME - 1;
            self.info.frame = Frame {
                key: begins && frame == 0,
                begins,
                ends: self.info.marker,
                picture_id: Some(PictureId { value: frame as u16 & 0x7fff, wide: true }),
                tl0_pic_idx: Some(frame as u8),
                ..Frame::default()
            };
        }
    }

    fn forward(&mut self) {
        for subscriber in &mut self.subscribers {
            self.planned += u64::from(black_box(subscriber.forward(black_box(&self.info))).is_ok());
        }
    }
}

/// Times the decision and adds its figures.
pub(super) fn run(report: &mut Report) {
    let mut pool = Pool::new(8);
    let vp8 = Format { codec: Codec::Vp8, profile: 0, clock: 90_000 };
    let opus = Format { codec: Codec::Opus, profile: 0, clock: 48_000 };
    let mut fans = [Fan::new(Kind::Video, vp8, &mut pool), Fan::new(Kind::Audio, opus, &mut pool)];
    let names = ["VP8 packet to one of 30 receivers", "Opus packet to one of 30 receivers"];
    let mut cases: Vec<_> = fans
        .iter_mut()
        .zip(names)
        .enumerate()
        .map(|(kind, (fan, name))| {
            let mut n = 0;
            Case::new(name, move || {
                for _ in 0..BATCH {
                    fan.next(n, kind == 0);
                    fan.forward();
                    n += 1;
                }
                BATCH * RECEIVERS as u64
            })
        })
        .collect();
    let times = in_turns(&mut cases, ROUNDS);
    drop(cases);
    let offered = BATCH * RECEIVERS as u64 * (ROUNDS + ROUNDS / 10) as u64;
    for ((fan, name), taken) in fans.iter().zip(names).zip(times) {
        assert_eq!(fan.planned, offered, "every packet of {name} is planned");
        report.add("Route (Subscriber::forward)", name, taken.median, "ns");
    }
}
