//! A media packet's way out: plans wait in the pacer, leave as packets in send slots, and are remembered for NACK.
//!
//! ```text
//!  Plan ─► enqueue ─► pacer ─► release: write, number, stamp ─► Job ─► (shard: protect) ─► sealed ─► train
//!                       ▲                       │
//!              NACK ─► history ◄────────────────┘
//! ```
//!
//! An SRTP index is given once ([`index`]); lost packets leave again on the RTX SSRC, or, for a peer without RTX, as the same
//! sealed bytes ([`resend`]); probes use the RTX SSRC.

mod history;
mod index;
mod repairs;
mod resend;
mod slot;
mod stats;
mod write;

use crate::cc::pacer::{Paced, Pacer};
use crate::cc::{BandwidthEstimator, Limits};
use crate::env::Env;
use crate::events::Outbox;
use crate::report::Rtt;
use crate::session::{Session, SpecError};
use plenum_contract::SessionSpec;
use plenum_packet::{Bitrate, DropCounts, DropReason, Path, Pool, Time};
use plenum_srtp::{Job, KeyId};
use plenum_wire::rtcp::ReportBlock;
use plenum_wire::{Class, Plan, ext};
pub(crate) use slot::Slot;
use std::fmt;
use std::time::Duration;
use write::{Rtx, Written};

/// Slots whose m-line is gone but whose numbering is kept. At the limit a spec that removes more is refused: giving up a
/// numbering would let an index come back.
const MAX_PARKED: usize = 256;
/// A packet is sent again at most once in this time when no round trip was measured yet.
const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// And never more often than this, whatever round trip the peer makes us believe in.
const LEAST_RTT: Duration = Duration::from_millis(10);
/// Most bytes that a peer may ask for again without anything new being sent. Each byte that leaves for the first time allows one
/// more, so that a peer that asks for everything at most doubles its traffic. Larger than what a slot remembers: an outage can
/// be made up for at once.
const MAX_CREDIT: usize = 1 << 20;

/// The rate of a pacer that holds nothing back: above what any leg is given in a tick.
const UNSMOOTHED: Bitrate = Bitrate::kbps(10_000_000);

/// Bytes of UDP and IPv4 around a packet: the bottleneck carries them too. Those of IPv6 and TCP differ little.
const HEADERS: usize = 28;

/// Packets of a probe in one tick.
const MAX_PROBE_PACKETS: usize = 32;

/// The key that packets are sealed with, and the bytes of its tag.
#[derive(Clone, Copy, Debug)]
struct Sealing {
    id: KeyId,
    tag: usize,
}

/// When a released packet was received from its sender, and when it was queued here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Reception from the sender; `None` of what did not just arrive: probes, and packets that are sent again.
    pub received: Option<Time>,
    /// When it entered the pacer.
    pub queued: Time,
}

/// What a tick releases; kept by the shard and used again, so that nothing is allocated after warm-up.
#[derive(Debug, Default)]
pub struct Released {
    /// Packets to seal, those of a session side by side.
    pub jobs: Vec<Job>,
    /// For each job.
    pub timings: Vec<Timing>,
    /// Plans that could not become packets.
    pub drops: DropCounts,
}

/// One thing that waits to leave.
#[derive(Clone, Copy, Debug)]
enum Item {
    Plan(Plan),
    /// A packet that the peer asked for again.
    Resend {
        /// The slot's m-line.
        media: u16,
        index: u64,
        size: u16,
    },
}

impl Paced for Item {
    fn class(&self) -> Class {
        match self {
            Item::Plan(plan) => plan.class,
            Item::Resend { .. } => Class::Retransmission,
        }
    }
    fn slot(&self) -> u16 {
        match self {
            Item::Plan(plan) => plan.media,
            Item::Resend { media, .. } => *media,
        }
    }
    fn frame(&self) -> u32 {
        match self {
            Item::Plan(plan) => plan.timestamp,
            Item::Resend { index, .. } => *index as u32,
        }
    }
    fn size(&self) -> usize {
        match self {
            Item::Plan(plan) => plan.size(),
            Item::Resend { size, .. } => usize::from(*size),
        }
    }
}

/// What became of a request for a lost packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It leaves again.
    Sent,
    /// It is on its way again, or was never sent.
    Nothing,
    /// It is a picture's, and cannot be sent any more: only a key frame helps.
    Gone,
}

/// The sending side of a session.
pub(crate) struct Egress {
    slots: Vec<Slot>,
    /// Index in `slots` of each m-line; `u16::MAX` for those that do not receive.
    by_media: Vec<u16>,
    parked: Vec<Slot>,
    pacer: Pacer<Item>,
    /// Packets that were forgotten in it and not counted yet.
    cleared: u64,
    /// Bytes that may still be sent again.
    credit: usize,
    /// Whether the pacer spreads what is sent over the estimated rate.
    smoothing: bool,
    first_rtx: u16,
    /// Whether some slot keeps sealed packets.
    keeps_sealed: bool,
    rtt: Rtt,
    repairs: repairs::Repairs,
    pub(crate) cc: BandwidthEstimator,
}

impl Egress {
    pub(crate) fn new(seed: &[u8; 32]) -> Egress {
        let cc = BandwidthEstimator::new(Limits::default(), u16::from_be_bytes([seed[2], seed[3]]));
        Egress {
            slots: Vec::new(),
            by_media: Vec::new(),
            parked: Vec::new(),
            pacer: Pacer::new(cc.target(), cc.pacing_rate()),
            cleared: 0,
            credit: 0,
            smoothing: true,
            first_rtx: u16::from_be_bytes([seed[0], seed[1]]),
            keeps_sealed: false,
            rtt: Rtt::default(),
            repairs: repairs::Repairs::default(),
            cc,
        }
    }

    /// Slots of a newer spec. Slots are known by their SSRC: numbering goes on wherever the m-line moved.
    pub(crate) fn apply(&mut self, spec: &SessionSpec, env: &Env) -> Result<(), SpecError> {
        let wanted = |ssrc: u32| spec.media.iter().filter_map(|m| m.slot.as_ref()).any(|s| s.ssrc == ssrc);
        let ssrcs =
            spec.media.iter().filter_map(|m| m.slot.as_ref()).flat_map(|s| [Some(s.ssrc), s.rtx_ssrc]).flatten();
        let mut ssrcs: Vec<u32> = ssrcs.collect();
        let count = ssrcs.len();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        let removed = self.slots.iter().filter(|s| !wanted(s.ssrc)).count();
        if ssrcs.len() != count || self.parked.len() + removed > MAX_PARKED {
            return Err(SpecError::SsrcReused);
        }
        let mut old = std::mem::take(&mut self.slots);
        old.append(&mut self.parked);
        self.by_media.clear();
        self.by_media.resize(spec.media.len(), u16::MAX);
        for (index, media) in spec.media.iter().enumerate() {
            let Some(slot) = media.slot.as_ref() else { continue };
            let new = match old.iter().position(|s| s.ssrc == slot.ssrc) {
                Some(at) => {
                    let mut kept = old.swap_remove(at);
                    kept.apply(index as u16, media, slot);
                    kept
                }
                None => Slot::new(index as u16, media, slot, self.first_rtx),
            };
            self.by_media[index] = self.slots.len() as u16;
            self.slots.push(new);
        }
        for index in (0..spec.media.len()).filter(|&i| self.by_media[i] == u16::MAX) {
            self.pacer.clear_slot(index as u16, |_| {});
        }
        self.parked = old;
        self.keeps_sealed = self.slots.iter().any(|s| s.sealed.is_some());
        let max = Bitrate(spec.max_bitrate.unwrap_or(u64::MAX).min(env.limits.max_bitrate));
        let defaults = Limits::default();
        self.cc.set_limits(Limits { start: defaults.start.min(max), min: defaults.min.min(max), max });
        Ok(())
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn by_ssrc(&self, ssrc: u32) -> Option<usize> {
        self.slots.iter().position(|s| s.ssrc == ssrc)
    }

    fn slot_of(&self, media: u16) -> Option<usize> {
        let index = usize::from(*self.by_media.get(usize::from(media))?);
        (index < self.slots.len()).then_some(index)
    }

    /// Share of a slot's packets that the peer says it lost lately.
    pub(crate) fn loss(&self, media: u16) -> f32 {
        self.slot_of(media).map_or(0.0, |slot| self.slots[slot].stats.loss())
    }

    pub(crate) fn path_changed(&mut self, _now: Time) {
        // What was measured on the old path says little of the new one.
        self.rtt.reset();
    }

    /// The round trip to the peer, or a guess before one was measured.
    pub(crate) fn rtt(&self) -> Duration {
        self.rtt.get().unwrap_or(DEFAULT_RTT)
    }

    /// A report block about a slot: loss, and the round trip. `ntp` is the middle of the present NTP time.
    pub(crate) fn reported(&mut self, now: Time, ntp: u32, block: &ReportBlock) {
        let Some(slot) = self.by_ssrc(block.ssrc) else { return };
        self.slots[slot].stats.lost(block.fraction_lost);
        self.cc.on_rtcp_loss(now, block.fraction_lost);
        if let Some(sample) = self.rtt.reported(ntp, block.last_sender_report, block.delay_since_last) {
            self.cc.on_rtt(sample);
        }
    }

    /// The peer asks for `sequence` of a slot again.
    pub(crate) fn nack(
        &mut self,
        now: Time,
        slot: usize,
        sequence: u16,
        path: Option<Path>,
        out: &mut Outbox<'_>,
    ) -> Answer {
        let rtt = self.rtt();
        let Some(slot) = self.slots.get_mut(slot) else { return Answer::Nothing };
        let Some(index) = slot.index.find(sequence) else { return Answer::Nothing };
        let gone = if slot.video { Answer::Gone } else { Answer::Nothing };
        let Some(sent) = slot.history.get(index) else {
            // It may still come, late or repaired on the way in; unless the pacer dropped a frame, and this is part of it.
            return if std::mem::take(&mut slot.starved) { gone } else { Answer::Nothing };
        };
        let size = sent.plan.size();
        if sent.resent != Time::ZERO && now.since(sent.resent) < rtt.max(LEAST_RTT) || size > self.credit {
            return Answer::Nothing;
        }
        sent.resent = now;
        let answer = match (&slot.sealed, slot.rtx_ssrc, path) {
            (_, Some(_), _) if out.pool.get(sent.plan.payload).is_none() => gone,
            (_, Some(_), _) => {
                match self.pacer.push(now, Item::Resend { media: slot.media, index, size: size as u16 }, |_| {}) {
                    Ok(()) => Answer::Sent,
                    Err(_) => Answer::Nothing,
                }
            }
            (Some(sealed), None, Some(path)) => match sealed.get(index) {
                Some(bytes) if out.push(path, bytes) => Answer::Sent,
                Some(_) => Answer::Nothing,
                None => gone,
            },
            _ => Answer::Nothing,
        };
        if answer == Answer::Sent {
            self.credit -= size;
            if slot.rtx_ssrc.is_none() {
                self.repairs.sent(now, size, true);
            }
        }
        answer
    }

    fn make(
        &mut self,
        pool: &mut Pool,
        now: Time,
        item: Item,
        key: Sealing,
    ) -> Result<(Job, Option<Time>), DropReason> {
        match item {
            Item::Plan(plan) => {
                let at = self.slot_of(plan.media).ok_or(DropReason::UnknownSsrc)?;
                let slot = &mut self.slots[at];
                let clock = slot.clock(plan.payload_type).ok_or(DropReason::UnknownPayloadType)?;
                let written = write::write(pool, slot, &plan, None, now)?;
                let Some(index) = slot.index.assign(plan.sequence) else {
                    pool.free(written.buf);
                    return Err(DropReason::Duplicate);
                };
                if slot.nack {
                    slot.history.push(index, plan);
                }
                slot.stats.sent(plan.timestamp, plan.captured, clock, written.payload_len);
                slot.last_payload_type = Some(plan.payload_type);
                self.credit = (self.credit + plan.size()).min(MAX_CREDIT);
                self.repairs.sent(now, plan.size(), false);
                Ok((self.job(pool, now, key, written, index), Some(plan.received)))
            }
            Item::Resend { media, index, .. } => {
                let at = self.slot_of(media).ok_or(DropReason::UnknownSsrc)?;
                let slot = &mut self.slots[at];
                let sent = *slot.history.get(index).ok_or(DropReason::Evicted)?;
                let ssrc = slot.rtx_ssrc.ok_or(DropReason::Evicted)?;
                let payload_type =
                    slot.rtx_payload_type(sent.plan.payload_type).ok_or(DropReason::UnknownPayloadType)?;
                let rtx = Rtx { ssrc, payload_type, sequence: slot.rtx_index as u16 };
                let written = write::write(pool, slot, &sent.plan, Some(rtx), now)?;
                let index = slot.take_rtx_index();
                self.repairs.sent(now, sent.plan.size(), true);
                Ok((self.job(pool, now, key, written, index), None))
            }
        }
    }

    /// Numbers the packet for transport-wide feedback, if the peer gives that, and hands it to the sealer.
    fn job(&mut self, pool: &mut Pool, now: Time, key: Sealing, written: Written, index: u64) -> Job {
        if let Some(at) = written.transport_sequence {
            let sequence = self.cc.on_sent(now, written.buf.len() + key.tag + HEADERS);
            ext::stamp_transport_sequence(pool.bytes_mut(&written.buf), at, sequence);
        }
        Job::new(key.id, written.buf, written.header_len, index)
    }

    /// Fills a probe on the RTX SSRC of a slot that has one: with the newest packets once more, else with padding. The index
    /// is a new one in both cases.
    fn probe(&mut self, pool: &mut Pool, now: Time, key: Sealing, released: &mut Released) {
        for _ in 0..MAX_PROBE_PACKETS {
            let Some(slot) = self.slots.iter().position(Slot::can_probe) else { return };
            if self.cc.next_probe(now).is_none() {
                return;
            }
            let slot = &mut self.slots[slot];
            let Some((rtx, timestamp)) = slot.padding_header() else { return };
            let newest = slot.newest_sent();
            let written = match newest.map(|plan| write::write(pool, slot, &plan, Some(rtx), now)) {
                Some(Ok(written)) => written,
                _ => match write::write_padding(pool, slot, rtx, timestamp, now) {
                    Ok(written) => written,
                    Err(reason) => return released.drops.count(reason),
                },
            };
            let index = slot.take_rtx_index();
            released.jobs.push(self.job(pool, now, key, written, index));
            released.timings.push(Timing { received: None, queued: now });
        }
    }
}

/// The pacer dropped a picture: what follows it cannot be decoded.
fn starve(slots: &mut [Slot], dropped: &Item) {
    if let Some(slot) = slots.iter_mut().find(|s| s.media == dropped.slot()) {
        slot.starved = true;
    }
}

impl Session {
    /// Queues a planned packet in the pacer.
    ///
    /// # Errors
    /// [`DropReason::NoPath`] without keys or path, [`DropReason::PacerFull`], [`DropReason::UnknownSsrc`] when the m-line is
    /// no slot, [`DropReason::UnknownPayloadType`] when the slot did not negotiate the payload type.
    pub fn enqueue(&mut self, now: Time, plan: Plan) -> Result<(), DropReason> {
        if self.path().is_none() || self.keys.is_none() {
            return Err(DropReason::NoPath);
        }
        let slot = self.egress.slot_of(plan.media).ok_or(DropReason::UnknownSsrc)?;
        self.egress.slots[slot].clock(plan.payload_type).ok_or(DropReason::UnknownPayloadType)?;
        let slots = &mut self.egress.slots;
        self.egress.pacer.push(now, Item::Plan(plan), |dropped| starve(slots, dropped))
    }

    /// Whether what is sent is spread over the estimated rate, as it is unless this says otherwise. Without it everything leaves at
    /// once: the lowest latency, and bursts that a narrow link loses. The estimate still decides which layers are sent.
    pub fn set_smoothing(&mut self, on: bool) {
        self.egress.smoothing = on;
    }

    /// Forgets what waits to leave on an m-line: it is switched off, or somebody else fills it. Lost packets that were asked for
    /// again are among it.
    pub fn clear_slot(&mut self, media: u16) {
        let mut cleared = 0;
        self.egress.pacer.clear_slot(media, |_| cleared += 1);
        self.egress.cleared += cleared;
    }

    /// Takes what may leave now out of the pacer and writes it into send slots. The shard seals the jobs, calls
    /// [`Session::sealed`] with those of this session, and sends them to [`Session::path`].
    pub fn release(&mut self, now: Time, pool: &mut Pool, released: &mut Released) {
        let (Some(_), Some(keys)) = (self.path(), self.keys.as_ref()) else { return };
        let key = Sealing { id: keys.sealing, tag: keys.suite.tag_len() };
        let egress = &mut self.egress;
        if egress.cc.poll_timeout() <= now {
            egress.cc.handle_timeout(now);
        }
        let (target, pacing) = match egress.smoothing {
            true => (egress.cc.target(), egress.cc.pacing_rate()),
            false => (UNSMOOTHED, UNSMOOTHED),
        };
        egress.pacer.set_rate(now, target, pacing);
        while let Some(popped) = egress.pacer.pop(now, |dropped| starve(&mut egress.slots, dropped)) {
            match egress.make(pool, now, popped.item, key) {
                Ok((job, received)) => {
                    released.jobs.push(job);
                    released.timings.push(Timing { received, queued: popped.queued });
                }
                Err(reason) => released.drops.count(reason),
            }
        }
        released.drops.add(DropReason::PacerFull, egress.pacer.take_dropped());
        released.drops.add(DropReason::Cleared, std::mem::take(&mut egress.cleared));
        self.egress.probe(pool, now, key, released);
    }

    /// Sees the packets that [`Session::release`] made, sealed: those that a peer without RTX may ask for again are kept.
    pub fn sealed(&mut self, pool: &Pool, jobs: &[Job]) {
        if !self.egress.keeps_sealed {
            return;
        }
        for job in jobs.iter().filter(|j| j.result.is_ok()) {
            let packet = pool.bytes(&job.buf);
            let Ok(ssrc) = plenum_wire::rtp::ssrc(packet) else { continue };
            let slot = self.egress.slots.iter_mut().find(|s| s.ssrc == ssrc);
            if let Some(sealed) = slot.and_then(|s| s.sealed.as_mut()) {
                sealed.push(job.index, packet);
            }
        }
    }

    /// When [`Session::release`] has something to do: packets that may leave, a probe, or congestion control itself.
    /// [`Time::NEVER`] when nothing waits.
    pub fn poll_release(&self) -> Time {
        if self.path().is_none() || self.keys.is_none() {
            return Time::NEVER;
        }
        self.egress.pacer.poll_timeout().min(self.egress.cc.poll_timeout())
    }

    /// What may be sent to the peer on average, by congestion control and the limits.
    pub fn target_bitrate(&self) -> Bitrate {
        self.egress.cc.target()
    }

    /// What of it new packets may take: what is sent again needs the rest.
    pub fn media_bitrate(&self) -> Bitrate {
        self.target_bitrate().scale(1.0 - self.egress.repairs.share())
    }

    /// Bytes of what is kept of sent packets, so that they can be sent again: plans, and sealed packets for a peer without RTX.
    pub fn resend_footprint(&self) -> usize {
        let slots = self.egress.slots.iter().chain(&self.egress.parked);
        slots.map(|s| s.history.footprint() + s.sealed.as_ref().map_or(0, resend::SealedRing::footprint)).sum()
    }

    /// What would be sent if bandwidth were no matter: congestion control does not probe beyond it.
    pub fn set_wanted_bitrate(&mut self, wanted: Bitrate) {
        self.egress.cc.set_wanted(wanted.scale(1.0 / (1.0 - self.egress.repairs.share())));
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("slots", &self.slots.len()).field("target", &self.cc.target()).finish()
    }
}
