//! Control packets: what we report and ask for, and when. What the peer says is in [`feedback`].
//!
//! Sender and receiver reports leave about once a second in one compound (RFC 3550 §6); requests and feedback leave as soon
//! as they are due, as reduced-size packets (RFC 5506).

mod feedback;

use crate::events::Outbox;
use crate::report::ArrivalRecorder;
use crate::session::Session;
use plenum_contract::SessionSpec;
use plenum_packet::{HEADROOM, Time};
use plenum_wire::rtcp::{MAX_REPORTS, ReportBlock, Writer};
use std::time::Duration;

/// Between two reports, plus or minus a fifth.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of a control packet before it is sealed.
const MAX_PACKET: usize = 1150;
/// Key-frame requests that wait for the next turn; more are the same ones again.
const MAX_REQUESTS: usize = 64;

/// Lost packets of one stream that are asked for at once; the list gives the rest at the next turn.
const MAX_MISSING: usize = 128;
/// Slots in one packet of sender reports: with names of 60 bytes they fit [`MAX_PACKET`].
const SLOTS_PER_PACKET: usize = 10;
/// Report blocks that travel in the first sender report; more get a packet of their own.
const FEW_BLOCKS: usize = 8;
/// Feedback messages in one turn: the window of arrivals needs six.
const MAX_FEEDBACKS: usize = 8;

/// What waits to be reported.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// The SSRC that our feedback comes from: the first slot's, or 1 when there is none (as libwebrtc does).
    local_ssrc: u32,
    cname: Box<[u8]>,
    next_report: Time,
    jitter: u64,
    /// (SSRC, FIR instead of PLI).
    requests: Vec<(u32, bool)>,
    fir_sequence: u8,
}

impl Reporter {
    pub(crate) fn new(spec: &SessionSpec, seed: &[u8; 32], _now: Time) -> Reporter {
        let mut jitter = [0; 8];
        jitter.copy_from_slice(&seed[8..16]);
        let mut reporter = Reporter {
            local_ssrc: 1,
            cname: Box::default(),
            next_report: Time::NEVER,
            jitter: u64::from_be_bytes(jitter) | 1,
            requests: Vec::with_capacity(MAX_REQUESTS),
            fir_sequence: 0,
        };
        reporter.apply(spec);
        reporter
    }

    pub(crate) fn apply(&mut self, spec: &SessionSpec) {
        self.local_ssrc = spec.media.iter().find_map(|m| m.slot.as_ref()).map_or(1, |s| s.ssrc);
        let len = spec.cname.len().min(255);
        self.cname = spec.cname.as_bytes()[..len].into();
    }

    /// The session is up.
    pub(crate) fn start(&mut self, now: Time) {
        self.next_report = now + REPORT_INTERVAL / 2;
    }

    pub(crate) fn deadline(&self) -> Time {
        if self.requests.is_empty() { self.next_report } else { Time::ZERO }
    }

    /// The next interval: RFC 3550 §6.3.1 wants it random, so that peers do not fall into step.
    fn interval(&mut self) -> Duration {
        // xorshift64: not secret, only uneven.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        REPORT_INTERVAL * 4 / 5 + Duration::from_micros(self.jitter % 400_000)
    }
}

impl Session {
    /// Asks the peer for a key frame of one encoding, by PLI, or by FIR when only that was negotiated. It leaves with the next
    /// [`Session::handle_timeout`], which is due at once. Throttling is the caller's. Without a bound SSRC nothing is asked.
    pub fn request_key_frame(&mut self, media: u16, encoding: u8) {
        let Some(primary) = self.bindings.primary(media, encoding) else { return };
        let stream = &self.bindings.streams[primary];
        let source = &self.bindings.sources[usize::from(stream.source)];
        let fir = !source.codecs.iter().any(|c| c.pli) && source.codecs.iter().any(|c| c.fir);
        let request = (stream.ssrc, fir);
        let requests = &mut self.reporter.requests;
        if requests.len() < MAX_REQUESTS && !requests.contains(&request) {
            requests.push(request);
        }
    }

    /// Sends what is due.
    pub(crate) fn report(&mut self, now: Time, out: &mut Outbox<'_>) {
        if !self.is_connected() {
            return;
        }
        self.send_requests(out);
        self.send_arrivals(now, out);
        self.send_nacks(now, out);
        if now >= self.reporter.next_report {
            let interval = self.reporter.interval();
            self.reporter.next_report = now + interval;
            self.send_reports(now, out);
        }
    }

    /// When [`Session::report`] has something to do.
    pub(crate) fn report_deadline(&self) -> Time {
        let arrivals = self.ingress.arrivals.as_ref().map_or(Time::NEVER, ArrivalRecorder::poll_timeout);
        self.reporter.deadline().min(arrivals).min(self.ingress.next_nack)
    }

    /// Transport-wide feedback for what arrived.
    fn send_arrivals(&mut self, now: Time, out: &mut Outbox<'_>) {
        let local = self.reporter.local_ssrc;
        let media = self.bindings.streams.iter().find(|s| s.heard).map_or(0, |s| s.ssrc);
        for _ in 0..MAX_FEEDBACKS {
            let Some(arrivals) = self.ingress.arrivals.as_mut().filter(|a| a.poll_timeout() <= now) else { return };
            let mut bytes = [0; MAX_PACKET];
            let mut writer = Writer::new(&mut bytes);
            let _ = arrivals.write(&mut writer, local, media);
            let len = writer.len();
            self.send_rtcp(&bytes[..len], out);
        }
    }

    fn send_requests(&mut self, out: &mut Outbox<'_>) {
        if self.reporter.requests.is_empty() {
            return;
        }
        let mut bytes = [0; MAX_PACKET];
        let mut writer = Writer::new(&mut bytes);
        let local = self.reporter.local_ssrc;
        for (ssrc, fir) in self.reporter.requests.drain(..) {
            // 64 requests of 20 bytes do not fit one packet; the rest is asked for again when it is missed.
            let _ = match fir {
                false => writer.pli(local, ssrc),
                true => {
                    self.reporter.fir_sequence = self.reporter.fir_sequence.wrapping_add(1);
                    writer.fir(local, &[(ssrc, self.reporter.fir_sequence)])
                }
            };
        }
        let len = writer.len();
        self.send_rtcp(&bytes[..len], out);
    }

    /// Asks for lost packets again. What is given up of a picture needs a key frame.
    fn send_nacks(&mut self, now: Time, out: &mut Outbox<'_>) {
        if self.ingress.next_nack > now {
            return;
        }
        let (local, rtt) = (self.reporter.local_ssrc, self.egress.rtt());
        let mut missing = [0; MAX_MISSING];
        let mut from = 0;
        while let Some((stream, count, gave_up)) = self.ingress.missing(now, from, rtt, &mut missing) {
            from = stream + 1;
            let Some(stream) = self.bindings.streams.get(stream) else { continue };
            let (ssrc, media, encoding) = (stream.ssrc, stream.media, stream.encoding);
            if gave_up {
                self.request_key_frame(media, encoding);
            }
            let mut bytes = [0; MAX_PACKET];
            let mut writer = Writer::new(&mut bytes);
            let _ = writer.nack(local, ssrc, &missing[..count]);
            let len = writer.len();
            self.send_rtcp(&bytes[..len], out);
        }
    }

    /// SR of every slot that sent, or RR when none did; report blocks; CNAMEs; several packets when it is much.
    fn send_reports(&mut self, now: Time, out: &mut Outbox<'_>) {
        let mut blocks = [ReportBlock::default(); MAX_REPORTS];
        let count = self.ingress.reports(now, &self.bindings, &mut blocks);
        let blocks = &blocks[..count];
        let ntp = self.env.anchor.ntp(now);
        let separate = match self.send_sender_reports(now, ntp, if count <= FEW_BLOCKS { blocks } else { &[] }, out) {
            0 => blocks,
            _ if count > FEW_BLOCKS => blocks,
            _ => return,
        };
        let mut bytes = [0; MAX_PACKET];
        let mut writer = Writer::new(&mut bytes);
        let local = self.reporter.local_ssrc;
        let _ = writer.receiver_report(local, separate);
        let _ = writer.sdes(&[(local, &self.reporter.cname)]);
        let len = writer.len();
        self.send_rtcp(&bytes[..len], out);
    }

    /// Sender reports, some slots a packet; `blocks` go into the first. How many slots reported.
    fn send_sender_reports(&self, now: Time, ntp: u64, mut blocks: &[ReportBlock], out: &mut Outbox<'_>) -> usize {
        let mut sending = self.egress.slots().iter().filter_map(|s| Some((s, s.stats.rtp_at(now)?)));
        let mut total = 0;
        loop {
            let mut bytes = [0; MAX_PACKET];
            let mut writer = Writer::new(&mut bytes);
            let mut reported: [(u32, &[u8]); SLOTS_PER_PACKET] = [(0, &[]); SLOTS_PER_PACKET];
            let mut count = 0;
            for (slot, rtp) in sending.by_ref().take(SLOTS_PER_PACKET) {
                let counts = (slot.stats.packets, slot.stats.octets);
                let _ = writer.sender_report(slot.ssrc, ntp, rtp, counts, std::mem::take(&mut blocks));
                reported[count] = (slot.ssrc, &self.reporter.cname);
                count += 1;
            }
            if count == 0 {
                return total;
            }
            total += count;
            let _ = writer.sdes(&reported[..count]);
            let len = writer.len();
            self.send_rtcp(&bytes[..len], out);
        }
    }

    /// BYE of every slot.
    pub(crate) fn send_bye(&mut self, out: &mut Outbox<'_>) {
        let mut ssrcs = [0; MAX_REPORTS];
        let mut count = 0;
        for (slot, place) in self.egress.slots().iter().zip(ssrcs.iter_mut()) {
            *place = slot.ssrc;
            count += 1;
        }
        if count == 0 {
            return;
        }
        let mut bytes = [0; MAX_PACKET];
        let mut writer = Writer::new(&mut bytes);
        let _ = writer.receiver_report(self.reporter.local_ssrc, &[]);
        let _ = writer.bye(&ssrcs[..count]);
        let len = writer.len();
        self.send_rtcp(&bytes[..len], out);
    }

    /// Seals and queues a control packet. Without a path, keys or a free slot it is lost: all of them are repeated.
    fn send_rtcp(&self, packet: &[u8], out: &mut Outbox<'_>) {
        if packet.is_empty() {
            return;
        }
        let (Some(path), Some(keys)) = (self.path(), self.keys.as_ref()) else { return };
        let Some(mut buf) = out.pool.copy_in(HEADROOM, packet) else { return };
        match out.sealer.protect_rtcp(keys.sealing, out.pool, &mut buf) {
            Ok(()) => out.packets.push((path, buf)),
            Err(_) => out.pool.free(buf),
        }
    }
}
