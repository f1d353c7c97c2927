//! A peer on `str0m`, a WebRTC stack that is none of ours: its ICE agent, SDP, SRTP, RTP, repair, feedback and pacer.
//!
//! Only what stands around the stack is the synthetic peer's own: cameras and microphones ([`super::studio`]), and the counting of
//! what arrives ([`super::receiver`]), so that the two report the same things in the same words. The stack runs in RTP mode: frames
//! are cut as libwebrtc cuts them, and every packet that it opened is seen. Counted is what it opened; what it then did not
//! hand out is [`PeerStats::withheld`].

use super::config::{Guarding, OPUS, PeerConfig, VP8};
use super::pacing::Pacing;
use super::receiver::Receiver;
use super::stats::PeerStats;
use super::studio::{Feed, Studio};
use super::tap::Tap;
use super::{Endpoint, Shared, Sink};
use plenum_contract::Kind;
use plenum_packet::{Bitrate, DropReason, Path, Time, Transport};
use plenum_wire::demux::{PacketKind, classify};
use plenum_wire::ext::ExtensionMap;
use plenum_wire::rtp;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::bwe::BweKind;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::rtcp::Rtcp;
use str0m::rtp::{ExtensionValues, RawPacket, RtpHeader, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// The stack's bandwidth estimate before it has one: libwebrtc's.
const FIRST_ESTIMATE: u64 = 300_000;
/// The stack's "never" is cut to this, which is soon enough to look again.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// A stream that is sent.
struct Sending {
    mid: Mid,
    rid: Option<Rid>,
    video: bool,
    /// The next RTP sequence number, with its rollovers. The first is below 2¹⁵ (RFC 3711 §3.3.1).
    next: u64,
    packets: u64,
}

/// A peer on `str0m`.
pub struct ForeignPeer {
    config: PeerConfig,
    shared: Arc<Shared>,
    rtc: Rtc,
    /// An offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    /// The stack's MID of each line, and the server's SSRC on it once it answered.
    lines: Vec<(Mid, Option<u32>)>,
    studio: Studio,
    sending: Vec<Sending>,
    pacing: Pacing,
    adaptive: bool,
    map: ExtensionMap,
    receiver: Receiver,
    tap: Tap,
    stats: PeerStats,
    up: bool,
    deadline: Time,
    /// Packets that the stack opened in this turn, and that it ever handed out.
    opened: u64,
    handed_out: u64,
    /// Why it ended.
    ended: Option<String>,
}

impl ForeignPeer {
    /// A peer that has not called yet, and its offer.
    ///
    /// # Errors
    /// When the stack refuses the address or the media.
    pub fn new(mut config: PeerConfig, shared: &Arc<Shared>, now: Time) -> Result<(ForeignPeer, String), String> {
        // The stack takes the RIDs that an answer receives for those that it sends, and then refuses packets without RID: a line
        // with simulcast can only send.
        config.shares_lines = false;
        let mut random = config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut feeds = vec![];
        let studio = Studio::new(&config, now, &mut draw, &mut |feed: Feed<'_>| {
            feeds.push((feed.line.0, feed.line.1.kind == Kind::Video, feed.rid, feed.random & 0x7fff));
        });
        let (wanted, adaptive) = (studio.wanted(), studio.is_adaptive());
        let estimate = adaptive.then(|| str0m::bwe::Bitrate::bps(FIRST_ESTIMATE));
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .enable_raw_packets(true)
            .enable_bwe(estimate)
            .build(shared.anchor.instant(now));
        let candidate = Candidate::host(config.path.remote, "udp").map_err(|e| e.to_string())?;
        rtc.add_local_candidate(candidate);
        if adaptive {
            let desired = str0m::bwe::Bitrate::bps(wanted.bps());
            rtc.bwe().set_bitrate(str0m::bwe::Bitrate::ZERO, desired);
        }
        let mut changes = rtc.sdp_api();
        let mut lines = vec![];
        for line in config.lines().iter().filter(|l| l.kind != Kind::Data) {
            let direction = match (line.publish, line.slot) {
                (Some(_), Some(_)) => Direction::SendRecv,
                (Some(_), None) => Direction::SendOnly,
                (None, _) => Direction::RecvOnly,
            };
            let rids = line.publish.map(|p| config.publishes[p].rids()).unwrap_or_default();
            let layers = Simulcast { send: rids.iter().map(|r| SimulcastLayer::new(r)).collect(), recv: vec![] };
            let kind = if line.kind == Kind::Video { MediaKind::Video } else { MediaKind::Audio };
            let simulcast = (!rids.is_empty()).then_some(layers);
            lines.push((changes.add_media(kind, direction, None, None, simulcast), None));
        }
        let (offer, pending) = changes.apply().ok_or("there is nothing to offer")?;
        let sending = feeds.into_iter().map(|(line, video, rid, next)| Sending {
            mid: lines[line].0,
            rid: rid.as_deref().map(Rid::from),
            video,
            next,
            packets: 0,
        });
        let mut pacing = Pacing::new(wanted, config.burst);
        pacing.set_rate(wanted);
        let peer = ForeignPeer {
            shared: Arc::clone(shared),
            rtc,
            pending: Some(pending),
            studio,
            sending: sending.collect(),
            lines,
            pacing,
            adaptive,
            map: config.map(),
            receiver: Receiver::new(&config, 1, now).counting(),
            tap: Tap::of(&config),
            stats: PeerStats::new(),
            up: false,
            deadline: now,
            opened: 0,
            handed_out: 0,
            ended: None,
            config,
        };
        Ok((peer, offer.to_sdp_string()))
    }

    /// The answer came: the description, and what it tells.
    ///
    /// # Errors
    /// What the stack has against it.
    pub fn answered(
        &mut self,
        sdp: &str,
        address: SocketAddr,
        ssrcs: Vec<Option<(u32, Option<u32>)>>,
    ) -> Result<(), String> {
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|e| format!("the server's SDP: {e}"))?;
        let pending = self.pending.take().ok_or("nothing was offered")?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|e| format!("the server's answer: {e}"))?;
        for (line, told) in self.lines.iter_mut().zip(&ssrcs) {
            line.1 = told.map(|(ssrc, _)| ssrc);
        }
        self.config.path.local = address;
        self.config.answered = ssrcs;
        self.receiver = Receiver::new(&self.config, 1, self.deadline).counting();
        self.tap = Tap::of(&self.config);
        Ok(())
    }

    fn instant(&self, now: Time) -> Instant {
        self.shared.anchor.instant(now)
    }

    /// Hands the stack what is due.
    fn write_media(&mut self, now: Time) {
        while let Some((stream, sound)) = self.studio.take_sound(now) {
            let level = ExtensionValues {
                audio_level: sound.level.map(|l| -((l & 0x7f) as i8)),
                voice_activity: sound.level.map(|l| l & 0x80 != 0),
                ..ExtensionValues::default()
            };
            self.write(now, stream, (sound.timestamp, sound.marker), level, sound.payload);
        }
        self.studio.take_pictures(now, &mut self.pacing);
        while let Some(mut waiting) = self.pacing.pop(now) {
            if waiting.stamped {
                super::video::stamp_sent(&mut waiting.payload, now);
            }
            let place = (waiting.timestamp, waiting.marker);
            self.write(now, waiting.stream, place, ExtensionValues::default(), waiting.payload);
        }
        let (lines, rtc) = (&self.lines, &mut self.rtc);
        for ssrc in self.receiver.take_key_requests(now) {
            let mid = lines.iter().find(|(_, told)| *told == Some(ssrc)).map(|(mid, _)| *mid);
            let mut direct = rtc.direct_api();
            if let Some(stream) = mid.and_then(|mid| direct.stream_rx_by_mid(mid, None)) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    fn write(
        &mut self,
        now: Time,
        stream: usize,
        (timestamp, marker): (u32, bool),
        ext: ExtensionValues,
        payload: Vec<u8>,
    ) {
        let at = self.instant(now);
        let sending = &mut self.sending[stream];
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(sending.mid, sending.rid) else { return };
        let pt = if sending.video { VP8 } else { OPUS };
        let packet = RtpWrite::new(pt.into(), sending.next.into(), timestamp, at, payload);
        stream.write_rtp(packet.marker(marker).ext_vals(ext).nackable(sending.video));
        sending.next += 1;
        sending.packets += 1;
    }

    /// Gives the stack an input, and takes everything that comes of it.
    fn drive(&mut self, now: Time, input: Input<'_>, out: &mut Sink<'_>) {
        if self.ended.is_some() {
            return;
        }
        if let Err(why) = self.rtc.handle_input(input) {
            return self.end(now, &why.to_string());
        }
        self.drain(now, out);
    }

    fn drain(&mut self, now: Time, out: &mut Sink<'_>) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = self.shared.anchor.time(at).min(now + LOOK_AGAIN);
                    return;
                }
                Ok(Output::Transmit(packet)) => {
                    let path = Path { transport: Transport::Udp, local: packet.destination, remote: packet.source };
                    out(path, &packet.contents);
                }
                Ok(Output::Event(event)) => self.event(now, event),
                Err(why) => return self.end(now, &why.to_string()),
            }
        }
    }

    fn event(&mut self, now: Time, event: Event) {
        match event {
            Event::Connected => self.up = true,
            Event::RtpPacket(_) => self.handed_out += 1,
            Event::RawPacket(packet) => self.raw(now, &packet),
            Event::KeyframeRequest(request) => {
                self.stats.key_requests += 1;
                let of = |s: &Sending| s.mid == request.mid && s.rid == request.rid;
                if let Some(stream) = self.sending.iter().position(of) {
                    self.studio.want_key_frame(stream);
                }
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) if self.adaptive => {
                let target = Bitrate(estimate.as_u64());
                self.pacing.set_rate(target);
                self.studio.set_target(target);
            }
            Event::Closed => self.end(now, "closed by the server"),
            _ => {}
        }
    }

    /// A packet as the stack has it before sealing or after opening.
    fn raw(&mut self, now: Time, packet: &RawPacket) {
        match packet {
            RawPacket::RtpRx(header, payload) => {
                self.opened += 1;
                let packet = plain(header, payload);
                if self.config.guarding == Guarding::Arrival {
                    self.tap.see(now, &packet, &mut self.stats);
                }
                self.receiver.packet(now, &self.map, &packet, &mut self.stats);
            }
            RawPacket::RtpTx(header, _) => {
                let repairs = *header.payload_type == super::config::VP8_RTX && !header.has_padding;
                self.stats.resent += u64::from(repairs);
            }
            RawPacket::RtcpTx(Rtcp::Nack(nack)) => {
                let missing = nack.reports.iter().map(|r| 1 + u64::from(r.blp.count_ones())).sum();
                self.receiver.asked(*nack.ssrc, missing);
            }
            RawPacket::RtcpRx(Rtcp::Twcc(_)) => self.stats.feedback += 1,
            RawPacket::RtcpRx(Rtcp::Remb(remb)) => self.stats.remb = Some(remb.bitrate as u64),
            RawPacket::RtcpRx(Rtcp::Goodbye(_)) => self.stats.byes += 1,
            _ => {}
        }
    }

    fn end(&mut self, now: Time, why: &str) {
        if self.ended.is_none() {
            self.stats.wrong(now, "", format!("str0m: {why}"));
            self.ended = Some(why.to_owned());
        }
    }
}

impl Endpoint for ForeignPeer {
    fn address(&self) -> SocketAddr {
        self.config.path.remote
    }

    fn is_up(&self) -> bool {
        self.up
    }

    fn set_speaking(&mut self, speaking: bool) {
        self.studio.set_speaking(speaking);
    }

    fn handle(&mut self, now: Time, path: Path, bytes: &mut [u8], out: &mut Sink<'_>) {
        let Ok(contents) = (&*bytes).try_into() else {
            return self.stats.refused.count(DropReason::NotClassified);
        };
        let media = classify(bytes) == PacketKind::Rtp;
        let received = Receive { proto: Protocol::Udp, source: path.local, destination: path.remote, contents };
        self.opened = 0;
        self.drive(now, Input::Receive(self.instant(now), received), out);
        if media && self.opened == 0 {
            // The stack does not say why.
            self.stats.refused.count(DropReason::BadTag);
        }
    }

    fn poll_timeout(&self) -> Time {
        match (&self.ended, self.up) {
            (Some(_), _) => Time::NEVER,
            (None, false) => self.deadline,
            (None, true) => {
                let media = self.studio.poll_timeout().min(self.pacing.poll_timeout());
                self.deadline.min(media).min(self.receiver.poll_timeout())
            }
        }
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Sink<'_>) {
        if self.up && self.ended.is_none() {
            self.write_media(now);
        }
        self.drive(now, Input::Timeout(self.instant(now)), out);
    }

    fn close(&mut self, now: Time, out: &mut Sink<'_>) {
        if self.ended.is_none() && self.rtc.close().is_ok() {
            self.drain(now, out);
        }
        self.ended.get_or_insert_with(String::new);
    }

    fn stats(&self) -> PeerStats {
        let mut stats = self.stats.clone();
        stats.slots = self.receiver.slots.iter().map(super::slot::Slot::stats).collect();
        stats.sent = self.sending.iter().map(|s| s.packets).sum();
        stats.withheld = self.receiver.unique().saturating_sub(self.handed_out);
        stats
    }

    fn media_received(&self) -> u64 {
        self.receiver.slots.iter().map(|s| s.stats.packets).sum()
    }
}

/// The packet again as it was on the wire, without what the stack took from it: extensions and padding.
fn plain(header: &RtpHeader, payload: &[u8]) -> Vec<u8> {
    let fields = rtp::Fields {
        marker: header.marker,
        payload_type: *header.payload_type,
        sequence: header.sequence_number,
        timestamp: header.timestamp,
        ssrc: *header.ssrc,
        ..rtp::Fields::default()
    };
    let mut packet = vec![0; rtp::FIXED_LEN + payload.len()];
    let len = rtp::write_header(&mut packet, &fields).expect("room for a header");
    packet[len..].copy_from_slice(payload);
    packet
}
