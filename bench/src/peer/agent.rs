//! The peer: packets and time come in, packets leave through a sink. Everything else of it is in the modules beside this one.

use super::Shared;
use super::config::{Guarding, PeerConfig};
use super::data::{self, Data, Message};
use super::pacing::{Pacing, Waiting};
use super::receiver::{Receiver, Watch};
use super::sender::Stream;
use super::stats::PeerStats;
use super::studio::{Feed, Studio};
use super::tap::Tap;
use super::transport::Transport;
use plenum_contract::spec::IceSpec;
use plenum_packet::{Bitrate, DropReason, Path, Time};
use plenum_session::cc::{BandwidthEstimator, Limits};
use plenum_srtp::Suite;
use plenum_wire::demux::{PacketKind, classify};
use plenum_wire::ext::ExtensionMap;
use plenum_wire::rtcp::{self, Packet, ReportBlock, Writer};
use std::sync::Arc;
use std::time::Duration;

/// Where packets leave: the way as the server sees it, and the bytes.
pub type Sink<'a> = dyn FnMut(Path, &[u8]) + 'a;

/// Bytes of an RTCP packet before it is sealed.
const MAX_RTCP: usize = 1150;
/// Congestion control is looked at this often at most, also when a probe finds nothing to send.
const LOOK: Duration = Duration::from_millis(1);
/// Seconds from the NTP epoch to the peers' own: any constant will do.
const NTP: u64 = 3_900_000_000;

/// A synthetic WebRTC peer.
pub struct Peer {
    config: PeerConfig,
    shared: Arc<Shared>,
    map: ExtensionMap,
    transport: Transport,
    studio: Studio,
    streams: Vec<Stream>,
    pacing: Pacing,
    cc: BandwidthEstimator,
    adaptive: bool,
    /// When congestion control may be looked at again.
    next_look: Time,
    next_number: u16,
    receiver: Receiver,
    tap: Tap,
    data: Option<Data>,
    stats: PeerStats,
    scratch: Vec<Vec<u8>>,
}

impl Peer {
    /// A peer that connects with these ICE credentials as soon as time passes.
    pub fn new(config: PeerConfig, ice: &IceSpec, shared: &Arc<Shared>, now: Time) -> Peer {
        let mut random = config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut streams = vec![];
        let studio = Studio::new(&config, now, &mut draw, &mut |feed: Feed<'_>| {
            let ssrc = config.source_ssrc(feed.line.0, usize::from(feed.encoding));
            streams.push(Stream::new(feed, ssrc, config.rtx, config.announced).described(config.describer()));
        });
        let tap = Tap::of(&config);
        // Probes are made of retransmissions.
        let (wanted, adaptive) = (studio.wanted(), studio.is_adaptive() && config.rtx);
        let mut cc = BandwidthEstimator::new(Limits::default(), draw() as u16);
        cc.set_wanted(wanted);
        let local_ssrc = streams.first().map_or(1, |s: &Stream| s.ssrc);
        let mut pacing = Pacing::new(wanted, config.burst);
        pacing.set_rate(wanted);
        Peer {
            map: config.map(),
            transport: Transport::new(&config, ice, shared, now),
            receiver: Receiver::new(&config, local_ssrc, now),
            data: config.data.then(Data::new),
            shared: Arc::clone(shared),
            studio,
            streams,
            pacing,
            cc,
            adaptive,
            next_look: now,
            next_number: 0,
            tap,
            stats: PeerStats::new(),
            scratch: Vec::new(),
            config,
        }
    }

    /// Lets somebody look at the first picture that it receives, packet by packet.
    pub fn watch(&mut self, watch: Watch) {
        self.receiver.watch = Some(watch);
    }

    /// Asks for a key frame of that picture, as soon as it may ask again.
    pub fn ask_key_frame(&mut self) {
        self.receiver.ask_key_frame();
    }

    /// What it was made from.
    pub fn config(&self) -> &PeerConfig {
        &self.config
    }

    /// Whether ICE has a pair and DTLS gave keys.
    pub fn is_up(&self) -> bool {
        self.transport.is_up()
    }

    /// Whether the present ICE credentials have an answered pair.
    pub fn is_nominated(&self) -> bool {
        self.transport.ice.is_nominated()
    }

    /// The SRTP profile in use.
    pub fn suite(&self) -> Option<Suite> {
        self.transport.suite()
    }

    /// Where it sends media.
    pub fn path(&self) -> Option<Path> {
        self.transport.active()
    }

    /// A packet of the server arrived on `path`.
    pub fn handle(&mut self, now: Time, path: Path, bytes: &mut [u8], out: &mut Sink<'_>) {
        let _ = path;
        let mut data = std::mem::take(&mut self.scratch);
        match classify(bytes) {
            PacketKind::Stun => self.transport.handle_stun(now, bytes, &mut data, out),
            PacketKind::Dtls => self.transport.handle_dtls(now, bytes, &mut data, out),
            PacketKind::Rtp => self.handle_rtp(now, bytes),
            PacketKind::Rtcp => self.handle_rtcp(now, bytes),
            PacketKind::Unknown => self.stats.refused.count(DropReason::NotClassified),
        }
        self.scratch = data;
        self.drive_data(now, out);
    }

    /// When [`Peer::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Time {
        let mut at = self.transport.poll_timeout();
        if !self.is_up() {
            return at;
        }
        at = at.min(self.studio.poll_timeout());
        if self.adaptive {
            at = at.min(self.cc.poll_timeout().max(self.next_look));
        }
        let sctp = self.data.as_ref().and_then(Data::poll_timeout);
        at.min(self.pacing.poll_timeout()).min(self.receiver.poll_timeout()).min(data::time(&self.shared.anchor, sctp))
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Sink<'_>) {
        let mut data = std::mem::take(&mut self.scratch);
        self.transport.handle_timeout(now, &mut data, out);
        self.scratch = data;
        if !self.is_up() {
            return;
        }
        self.drive_data(now, out);
        self.record_sound(now, out);
        self.studio.take_pictures(now, &mut self.pacing);
        self.release(now, out);
        if self.receiver.poll_timeout() <= now {
            self.send_rtcp(now, out);
        }
    }

    /// Shows the guard a packet as it leaves the server ([`Guarding::Tap`]).
    pub fn tap(&mut self, now: Time, bytes: &[u8]) {
        if self.config.guarding != Guarding::Tap || classify(bytes) != PacketKind::Rtp {
            return;
        }
        if self.transport.suite().is_none() {
            return self.tap.wait(now, bytes);
        }
        for (at, mut bytes) in std::mem::take(&mut self.tap.waiting) {
            self.look(at, &mut bytes);
        }
        self.look(now, &mut bytes.to_vec());
    }

    fn look(&mut self, at: Time, bytes: &mut [u8]) {
        match self.transport.open_tapped(bytes) {
            Ok(len) => self.tap.see(at, &bytes[..len], &mut self.stats),
            // The same sealed bytes again: a peer without RTX asked for them.
            Err(DropReason::Replayed) => {}
            Err(reason) => self.stats.wrong(at, "", format!("the server sealed what cannot be opened: {reason:?}")),
        }
    }

    /// New ICE credentials, perhaps from another address; media goes on over the old pair until the new one is answered.
    pub fn restart_ice(&mut self, now: Time, ice: &IceSpec, path: Path) {
        self.config.path = path;
        self.transport.ice.restart(ice.clone(), path, now);
    }

    /// Begins anew with a server that lost everything: new ICE, new handshake, new keys; SSRCs and numbers go on.
    pub fn reconnect(&mut self, now: Time, ice: &IceSpec) {
        self.transport.reconnect(&self.config, ice, now);
        self.streams.iter_mut().for_each(Stream::rekeyed);
        self.pacing.clear();
        self.receiver.reset(&self.config, now);
        self.tap = Tap::of(&self.config);
        self.data = self.config.data.then(Data::new);
    }

    /// Says goodbye: DTLS close-notify.
    pub fn close(&mut self, now: Time, out: &mut Sink<'_>) {
        self.transport.close(now, out);
    }

    /// Whether ICE checks are sent.
    pub fn set_checks(&mut self, checks: bool) {
        self.transport.ice.checks = checks;
    }

    /// Whether somebody speaks into the microphone.
    pub fn set_speaking(&mut self, speaking: bool) {
        self.studio.set_speaking(speaking);
    }

    /// Switches a camera or screen, by its place among the videos in [`PeerConfig::publishes`], on or off.
    pub fn set_camera(&mut self, camera: usize, on: bool) {
        if let Some(camera) = self.studio.camera(camera) {
            camera.set_on(on);
        }
    }

    /// Switches one encoding of a camera on or off.
    pub fn set_encoding(&mut self, camera: usize, encoding: usize, active: bool) {
        if let Some(camera) = self.studio.camera(camera) {
            camera.set_active(encoding, active);
        }
    }

    /// Sends a message on a data channel, which is opened when it is not there.
    pub fn send_message(&mut self, label: &str, binary: bool, payload: &[u8]) {
        if let Some(data) = &mut self.data {
            data.send(label, binary, payload);
        }
    }

    /// Whether messages can be sent and received.
    pub fn takes_messages(&self) -> bool {
        self.data.as_ref().is_some_and(Data::is_up)
    }

    /// Messages that arrived since the last call.
    pub fn take_messages(&mut self) -> Vec<Message> {
        self.data.as_mut().map(|d| std::mem::take(&mut d.received)).unwrap_or_default()
    }

    /// What it may send by the server's feedback, when a camera is adaptive.
    pub fn send_target(&self) -> Bitrate {
        self.cc.target()
    }

    /// Everything that it saw.
    pub fn stats(&self) -> PeerStats {
        let mut stats = self.stats.clone();
        stats.slots = self.receiver.slots.iter().map(super::slot::Slot::stats).collect();
        stats.sent = self.streams.iter().map(|s| u64::from(s.packets)).sum();
        stats.resent = self.streams.iter().map(|s| s.resent).sum();
        stats
    }

    /// Counters of one slot, by kind and index, without copying the rest.
    pub fn slot(&self, kind: plenum_contract::Kind, presentation: bool, index: u16) -> Option<&super::SlotStats> {
        let fits = |s: &&super::SlotStats| s.kind == kind && s.presentation == presentation && s.index == index;
        self.receiver.slots.iter().map(|s| &s.stats).find(fits)
    }

    /// Packets with content that it received, each counted once.
    pub fn media_received(&self) -> u64 {
        self.receiver.slots.iter().map(|s| s.stats.packets).sum()
    }

    /// Media packets that it sent, without retransmissions.
    pub fn media_sent(&self) -> u64 {
        self.streams.iter().map(|s| u64::from(s.packets)).sum()
    }

    /// Rules that were broken so far.
    pub fn violations(&self) -> u64 {
        self.stats.violation_count
    }

    // ---- in -------------------------------------------------------------------------------------------------------

    fn handle_rtp(&mut self, now: Time, bytes: &mut [u8]) {
        let len = match self.transport.open_rtp(bytes) {
            Ok(len) => len,
            Err(reason) => return self.stats.refused.count(reason),
        };
        if self.config.guarding == Guarding::Arrival {
            self.tap.see(now, &bytes[..len], &mut self.stats);
        }
        self.receiver.packet(now, &self.map, &bytes[..len], &mut self.stats);
    }

    fn handle_rtcp(&mut self, now: Time, bytes: &mut [u8]) {
        let len = match self.transport.open_rtcp(bytes) {
            Ok(len) => len,
            Err(reason) => return self.stats.refused.count(reason),
        };
        let Ok(packets) = rtcp::parse(&bytes[..len]) else {
            return self.stats.refused.count(DropReason::MalformedRtcp);
        };
        for packet in packets {
            match packet {
                Packet::SenderReport(report) => {
                    self.receiver.sender_report(now, &report);
                    report.reports().for_each(|block| self.reported(now, &block));
                }
                Packet::ReceiverReport(report) => report.reports().for_each(|block| self.reported(now, &block)),
                Packet::Nack(nack) => {
                    for sequence in nack.sequences() {
                        self.repair(now, nack.media_ssrc, sequence);
                    }
                }
                Packet::Pli(pli) => self.key_frame(pli.media_ssrc),
                Packet::Fir(fir) => fir.entries().for_each(|e| self.key_frame(e.ssrc)),
                Packet::Remb(remb) => {
                    self.stats.remb = Some(remb.bitrate.bps());
                    self.cc.on_remb(now, remb.bitrate);
                }
                Packet::TransportFeedback(feedback) => {
                    self.stats.feedback += 1;
                    if self.adaptive {
                        self.cc.on_feedback(now, feedback.statuses());
                    }
                }
                Packet::Bye(_) => self.stats.byes += 1,
                Packet::Sdes(sdes) => self.receiver.described(&sdes),
                Packet::Unknown { .. } => {}
                Packet::Broken { .. } => self.stats.refused.count(DropReason::MalformedRtcp),
            }
        }
        self.follow_target();
    }

    fn reported(&mut self, now: Time, block: &ReportBlock) {
        let Some(stream) = self.streams.iter_mut().find(|s| s.ssrc == block.ssrc) else { return };
        stream.acknowledged();
        self.cc.on_rtcp_loss(now, block.fraction_lost);
        if block.last_sender_report != 0 {
            let units = ((ntp(now) >> 16) as u32).wrapping_sub(block.last_sender_report + block.delay_since_last);
            if units < 10 << 16 {
                let rtt = Duration::from_micros(u64::from(units) * 1_000_000 / 65_536);
                self.receiver.rtt = rtt;
                self.cc.on_rtt(rtt);
            }
        }
    }

    fn repair(&mut self, now: Time, ssrc: u32, sequence: u16) {
        let Some(stream) = self.streams.iter().position(|s| s.ssrc == ssrc) else { return };
        if let Some((timestamp, marker, payload)) = self.streams[stream].repair(now, sequence) {
            self.pacing.push(Waiting { stream, timestamp, marker, stamped: false, repairs: Some(sequence), payload });
        }
    }

    fn key_frame(&mut self, ssrc: u32) {
        let Some(stream) = self.streams.iter().position(|s| s.ssrc == ssrc) else { return };
        self.stats.key_requests += 1;
        self.studio.want_key_frame(stream);
    }

    // ---- out ------------------------------------------------------------------------------------------------------

    fn record_sound(&mut self, now: Time, out: &mut Sink<'_>) {
        while let Some((stream, sound)) = self.studio.take_sound(now) {
            let size = sound.payload.len() + 40;
            let number = number(&mut self.cc, &mut self.next_number, self.adaptive, now, size);
            let media = (sound.timestamp, sound.marker, sound.level);
            let twcc = self.config.twcc.then_some(number);
            let packet = self.streams[stream].packet(now, &self.map, twcc, media, sound.payload);
            self.transport.send_rtp(&packet.bytes, packet.header_len, packet.index, out);
        }
    }

    fn release(&mut self, now: Time, out: &mut Sink<'_>) {
        if self.adaptive && self.cc.poll_timeout().max(self.next_look) <= now {
            self.next_look = now + LOOK;
            self.cc.handle_timeout(now);
            self.follow_target();
            self.probe(now, out);
        }
        while let Some(mut waiting) = self.pacing.pop(now) {
            let size = waiting.payload.len() + 40 + self.transport.tag_len();
            let number = number(&mut self.cc, &mut self.next_number, self.adaptive, now, size);
            let twcc = self.config.twcc.then_some(number);
            let stream = &mut self.streams[waiting.stream];
            let media = (waiting.timestamp, waiting.marker);
            let packet = match waiting.repairs {
                None => {
                    if waiting.stamped {
                        super::video::stamp_sent(&mut waiting.payload, now);
                    }
                    Some(stream.packet(now, &self.map, twcc, (media.0, media.1, None), waiting.payload))
                }
                Some(sequence) => stream.rtx_packet(now, &self.map, twcc, media, (sequence, &waiting.payload)),
            };
            if let Some(packet) = packet {
                self.transport.send_rtp(&packet.bytes, packet.header_len, packet.index, out);
            }
        }
    }

    /// Fills a probe with packets that were sent before, as libwebrtc does.
    fn probe(&mut self, now: Time, out: &mut Sink<'_>) {
        while self.cc.next_probe(now).is_some() {
            let newest = self.streams.iter().enumerate().rev().find_map(|(at, s)| Some((at, s.newest_repair()?)));
            let Some((at, (sequence, timestamp, marker, payload))) = newest else { return };
            let twcc = self.config.twcc.then(|| self.cc.on_sent(now, payload.len() + 40));
            let repair = (sequence, &payload[..]);
            if let Some(packet) = self.streams[at].rtx_packet(now, &self.map, twcc, (timestamp, marker), repair) {
                self.transport.send_rtp(&packet.bytes, packet.header_len, packet.index, out);
            }
        }
    }

    fn follow_target(&mut self) {
        if !self.adaptive {
            return;
        }
        let target = self.cc.target();
        self.pacing.set_rate(target);
        self.studio.set_target(target);
    }

    fn send_rtcp(&mut self, now: Time, out: &mut Sink<'_>) {
        let mut bytes = [0; MAX_RTCP];
        if self.receiver.report_due(now) {
            let mut writer = Writer::new(&mut bytes);
            let blocks = self.receiver.reports(now);
            let first = self.streams.first().map_or(1, |s| s.ssrc);
            let sending: Vec<_> =
                self.streams.iter().filter_map(|s| Some((s.ssrc, s.rtp_at(now)?, (s.packets, s.octets)))).collect();
            for (ssrc, rtp, counts) in &sending {
                let _ = writer.sender_report(*ssrc, ntp(now), *rtp, *counts, &[]);
            }
            let _ = writer.receiver_report(first, &blocks);
            let _ = writer.sdes(&[(first, b"peer")]);
            let len = writer.len();
            self.transport.send_rtcp(&bytes[..len], out);
        }
        // What does not fit one packet goes into the next; the bound only ends what can never fit.
        for _ in 0..8 {
            let mut writer = Writer::new(&mut bytes);
            self.receiver.write(now, &mut writer);
            let len = writer.len();
            if len == 0 {
                return;
            }
            self.transport.send_rtcp(&bytes[..len], out);
            if self.receiver.poll_timeout() > now {
                return;
            }
        }
    }

    fn drive_data(&mut self, now: Time, out: &mut Sink<'_>) {
        let Some(data) = self.data.as_mut().filter(|_| self.transport.is_up()) else {
            return self.scratch.clear();
        };
        let instant = self.shared.anchor.instant(now);
        for packet in self.scratch.drain(..) {
            data.handle(instant, packet);
        }
        let mut packets = Vec::new();
        data.drive(instant, &mut packets);
        for packet in packets {
            self.transport.send_data(now, &packet, out);
        }
    }
}

/// The next transport-wide number; congestion control remembers what it stands for.
fn number(cc: &mut BandwidthEstimator, next: &mut u16, adaptive: bool, now: Time, size: usize) -> u16 {
    if adaptive {
        return cc.on_sent(now, size);
    }
    *next = next.wrapping_add(1);
    *next
}

fn ntp(now: Time) -> u64 {
    let nanos = now.nanos();
    ((NTP + nanos / 1_000_000_000) << 32) | (((nanos % 1_000_000_000) << 32) / 1_000_000_000)
}
