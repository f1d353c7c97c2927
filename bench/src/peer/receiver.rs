//! All that the peer receives: from a plaintext packet to its slot, and the RTCP that answers.

use super::config::{OPUS, PeerConfig, VP8, VP8_RTX};
use super::remb::Remb;
use super::slot::Slot;
use super::stats::PeerStats;
use super::twcc::Feedback;
use plenum_contract::Kind;
use plenum_packet::{DropReason, Time};
use plenum_wire::ext::{self, ExtensionMap};
use plenum_wire::rtcp::{MAX_REPORTS, ReportBlock, Sdes, SenderReport, Writer};
use plenum_wire::rtp;
use std::time::Duration;

/// Looks at what comes for the first picture: when, the header with the number of the stream itself, the payload.
pub type Watch = Box<dyn FnMut(Time, &rtp::Header, &[u8]) + Send>;

/// Between two receiver reports.
const REPORTS: Duration = Duration::from_secs(1);

fn is_first_picture(slot: &Slot) -> bool {
    slot.stats.kind == Kind::Video && slot.stats.index == 0 && !slot.stats.presentation
}

/// The receiving half.
pub(crate) struct Receiver {
    pub(crate) slots: Vec<Slot>,
    /// SSRC, index in `slots`, whether it carries retransmissions; sorted.
    by_ssrc: Vec<(u32, usize, bool)>,
    feedback: Option<Feedback>,
    remb: Option<Remb>,
    pub(crate) rtt: Duration,
    next_report: Time,
    /// What our RTCP comes from.
    local_ssrc: u32,
    /// The server's SSRC of the newest packet.
    newest: u32,
    missing: Vec<u16>,
    pub(crate) watch: Option<Watch>,
}

impl Receiver {
    pub(crate) fn new(config: &PeerConfig, local_ssrc: u32, now: Time) -> Receiver {
        let mut slots = Vec::new();
        let mut by_ssrc = Vec::new();
        for (at, line) in config.lines().iter().enumerate() {
            let Some(index) = line.slot else { continue };
            let ssrcs = config.slot_ssrcs(at, line.kind);
            let slot = Slot::new(
                (&line.mid, line.kind, line.presentation, index),
                ssrcs,
                (config.asks_key_frames, config.stamped),
            );
            by_ssrc.push((slot.ssrc, slots.len(), false));
            by_ssrc.extend(slot.rtx_ssrc.map(|ssrc| (ssrc, slots.len(), true)));
            slots.push(slot);
        }
        by_ssrc.sort_unstable();
        Receiver {
            slots,
            by_ssrc,
            feedback: config.twcc.then(Feedback::default),
            remb: (!config.twcc).then(|| Remb::new(config.first_remb)),
            rtt: Duration::from_millis(100),
            next_report: now + REPORTS / 2 + Duration::from_millis(config.seed % 500),
            local_ssrc,
            newest: 0,
            missing: Vec::new(),
            watch: None,
        }
    }

    /// Only counts: another stack asks for what is missing, reports and gives feedback.
    pub(crate) fn counting(mut self) -> Receiver {
        self.slots.iter_mut().for_each(|slot| slot.repairs = false);
        (self.feedback, self.remb, self.next_report) = (None, None, Time::NEVER);
        self
    }

    /// Who looks at the first picture cannot go on.
    pub(crate) fn ask_key_frame(&mut self) {
        if let Some(slot) = self.slots.iter_mut().find(|s| is_first_picture(s)) {
            slot.next_asked = Time::ZERO;
        }
    }

    /// The server's SSRCs of the pictures that need a key frame now.
    pub(crate) fn take_key_requests(&mut self, now: Time) -> impl Iterator<Item = u32> {
        self.slots.iter_mut().filter_map(move |slot| slot.needs_key_frame(now).then_some(slot.ssrc))
    }

    /// Another stack asked for this many packets of a stream.
    pub(crate) fn asked(&mut self, ssrc: u32, packets: u64) {
        if let Some(slot) = self.slots.iter_mut().find(|s| s.ssrc == ssrc) {
            slot.nack.note_asked(packets);
        }
    }

    /// Packets of all streams, each counted once.
    pub(crate) fn unique(&self) -> u64 {
        self.slots.iter().map(|s| s.stats.packets + s.stats.fillers).sum()
    }

    /// The server is another one now; its streams begin anew.
    pub(crate) fn reset(&mut self, config: &PeerConfig, now: Time) {
        let old = std::mem::replace(self, Receiver::new(config, self.local_ssrc, now));
        for (slot, old) in self.slots.iter_mut().zip(old.slots) {
            slot.stats = old.stats;
        }
        self.watch = old.watch;
        if let Some(feedback) = &mut self.feedback {
            feedback.reset();
        }
    }

    /// A plaintext RTP packet.
    pub(crate) fn packet(&mut self, now: Time, map: &ExtensionMap, packet: &[u8], stats: &mut PeerStats) {
        let Ok(header) = rtp::parse(packet) else { return stats.refused.count(DropReason::MalformedRtp) };
        let values = ext::read(map, &header, packet);
        if let (Some(feedback), Some(sequence)) = (&mut self.feedback, values.transport_sequence) {
            feedback.record(sequence, now);
        }
        let Ok(at) = self.by_ssrc.binary_search_by_key(&header.ssrc, |s| s.0) else {
            return stats.refused.count(DropReason::UnknownSsrc);
        };
        let (_, slot, repaired) = self.by_ssrc[at];
        self.newest = header.ssrc;
        let slot = &mut self.slots[slot];
        let expected = match (slot.stats.kind, repaired) {
            (_, true) => VP8_RTX,
            (Kind::Video, false) => VP8,
            (_, false) => OPUS,
        };
        if header.payload_type != expected {
            return stats.refused.count(DropReason::UnknownPayloadType);
        }
        if values.mid.is_some_and(|mid| mid.of(packet) != slot.stats.mid.as_bytes()) {
            stats.wrong(now, &slot.stats.mid, "another line's MID".into());
        }
        let Ok((start, len)) = rtp::payload_range(&header, packet) else {
            return stats.refused.count(DropReason::MalformedRtp);
        };
        let payload = &packet[start..start + len];
        if let Some(remb) = &mut self.remb {
            let delay = super::stamp::Stamp::in_vp8(payload).filter(|_| !repaired).map(|s| now.since(s.sent));
            remb.packet(now, packet.len(), delay);
        }
        let (sequence, payload) = match repaired {
            false => (header.sequence, payload),
            true if len > 2 => (u16::from_be_bytes([payload[0], payload[1]]), &payload[2..]),
            true => return,
        };
        slot.packet(now, (sequence, header.timestamp), repaired, payload, stats);
        if let Some(watch) = self.watch.as_mut().filter(|_| is_first_picture(slot)) {
            watch(now, &rtp::Header { sequence, ..header }, payload);
        }
    }

    /// A sender report of the server.
    pub(crate) fn sender_report(&mut self, now: Time, report: &SenderReport<'_>) {
        if let Some(slot) = self.slots.iter_mut().find(|s| s.ssrc == report.ssrc) {
            slot.sender_report = Some(((report.ntp >> 16) as u32, now));
            slot.stats.report = Some((report.ntp, report.rtp_timestamp));
        }
    }

    /// Names of the server's streams.
    pub(crate) fn described(&mut self, sdes: &Sdes<'_>) {
        for chunk in sdes.chunks() {
            if let Some(slot) = self.slots.iter_mut().find(|s| s.ssrc == chunk.ssrc) {
                slot.stats.cname = chunk.cname().map(<[u8]>::to_vec);
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        let slots = self.slots.iter().map(|s| s.nack.poll_timeout().min(s.key_frame_deadline()));
        let feedback = self.feedback.as_ref().map_or(Time::NEVER, Feedback::poll_timeout);
        let remb = self.remb.as_ref().map_or(Time::NEVER, Remb::poll_timeout);
        slots.min().unwrap_or(Time::NEVER).min(feedback).min(remb).min(self.next_report)
    }

    /// Whether a report is due, which stands first in a compound.
    pub(crate) fn report_due(&mut self, now: Time) -> bool {
        if now < self.next_report {
            return false;
        }
        self.next_report = now + REPORTS;
        true
    }

    /// Report blocks of every stream that was heard.
    pub(crate) fn reports(&mut self, now: Time) -> Vec<ReportBlock> {
        self.slots.iter_mut().filter_map(|s| s.report(now)).take(MAX_REPORTS).collect()
    }

    /// Writes requests and feedback that are due.
    pub(crate) fn write(&mut self, now: Time, writer: &mut Writer<'_>) {
        for slot in &mut self.slots {
            if slot.nack.poll_timeout() <= now {
                self.missing.clear();
                slot.nack.take(now, self.rtt, &mut self.missing);
                let mut rest = &self.missing[..];
                while let Ok(told @ 1..) = writer.nack(self.local_ssrc, slot.ssrc, rest) {
                    rest = &rest[told..];
                }
            }
            if slot.needs_key_frame(now) {
                let _ = writer.pli(self.local_ssrc, slot.ssrc);
            }
        }
        if let Some(bitrate) = self.remb.as_mut().and_then(|r| r.take(now)) {
            let ssrcs: Vec<u32> = self.slots.iter().map(|s| s.ssrc).take(64).collect();
            let _ = writer.remb(self.local_ssrc, bitrate, &ssrcs);
        }
        if let Some(feedback) = &mut self.feedback {
            feedback.write(now, writer, (self.local_ssrc, self.newest));
        }
    }
}
