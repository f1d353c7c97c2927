//! What the peer's control packets mean for us; what they mean for others leaves as [`Feedback`].

use crate::egress::Answer;
use crate::events::{Feedback, Outbox};
use crate::session::{Session, State};
use plenum_packet::{DropReason, Path, Time};
use plenum_wire::rtcp::{self, Nack, Packet};

/// Packets of one datagram that are looked at: a compound of ours has far fewer, and a hostile one costs no more.
const MAX_PACKETS: usize = 64;
/// Lost packets of one datagram that are answered; the rest is asked for again.
const MAX_NACKED: usize = 256;

impl Session {
    /// An RTCP datagram. What concerns others is appended to `feedback`.
    ///
    /// # Errors
    /// A [`DropReason`] for the datagram as a whole; one that is partly broken is used as far as it goes.
    pub fn handle_rtcp(
        &mut self,
        now: Time,
        path: Path,
        bytes: &mut [u8],
        out: &mut Outbox<'_>,
        feedback: &mut Vec<Feedback>,
    ) -> Result<(), DropReason> {
        if self.state == State::Ended {
            return Err(DropReason::SessionGone);
        }
        let keys = self.keys.as_mut().ok_or(DropReason::NoKeys)?;
        let len = keys.opener.open_rtcp(bytes)?;
        self.heard(now, path);
        let packets = rtcp::parse(&bytes[..len]).map_err(|_| DropReason::MalformedRtcp)?;
        let middle = (self.env.anchor.ntp(now) >> 16) as u32;
        for packet in packets.take(MAX_PACKETS) {
            match packet {
                Packet::SenderReport(report) => {
                    if let Some((media, encoding)) = self.source_of(report.ssrc) {
                        self.ingress.sender_reported(now, &self.bindings, report.ssrc, report.ntp);
                        let (ntp, rtp) = (report.ntp, report.rtp_timestamp);
                        feedback.push(Feedback::SenderReport { media, encoding, ntp, rtp });
                    }
                    report.reports().for_each(|block| self.egress.reported(now, middle, &block));
                }
                Packet::ReceiverReport(report) => {
                    report.reports().for_each(|block| self.egress.reported(now, middle, &block))
                }
                Packet::Bye(bye) => {
                    for (media, encoding) in bye.sources().filter_map(|s| self.source_of(s)) {
                        feedback.push(Feedback::Bye { media, encoding });
                    }
                }
                Packet::Nack(nack) => self.nacked(now, &nack, out, feedback),
                Packet::Pli(pli) => self.wants_key_frame(pli.media_ssrc, feedback),
                Packet::Fir(fir) => fir.entries().for_each(|e| self.wants_key_frame(e.ssrc, feedback)),
                Packet::Remb(remb) => self.egress.cc.on_remb(now, remb.bitrate),
                Packet::TransportFeedback(twcc) => self.egress.cc.on_feedback(now, twcc.statuses()),
                Packet::Sdes(_) | Packet::Unknown { .. } | Packet::Broken { .. } => {}
            }
        }
        Ok(())
    }

    fn source_of(&mut self, ssrc: u32) -> Option<(u16, u8)> {
        let stream = self.bindings.find(ssrc)?;
        let stream = &self.bindings.streams[stream];
        (!stream.rtx).then_some((stream.media, stream.encoding))
    }

    fn wants_key_frame(&self, ssrc: u32, feedback: &mut Vec<Feedback>) {
        if let Some(slot) = self.egress.by_ssrc(ssrc) {
            let wanted = Feedback::KeyFrame { media: self.egress.slots()[slot].media };
            if !feedback.contains(&wanted) {
                feedback.push(wanted);
            }
        }
    }

    /// Lost packets leave again; where one is gone for good, a key frame is asked for before the peer has to.
    fn nacked(&mut self, now: Time, nack: &Nack<'_>, out: &mut Outbox<'_>, feedback: &mut Vec<Feedback>) {
        let Some(slot) = self.egress.by_ssrc(nack.media_ssrc) else { return };
        let path = self.path();
        let mut gone = false;
        for sequence in nack.sequences().take(MAX_NACKED) {
            gone |= self.egress.nack(now, slot, sequence, path, out) == Answer::Gone;
        }
        if gone {
            self.wants_key_frame(nack.media_ssrc, feedback);
        }
    }
}
