//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, RFC 5506): compound and reduced-size packets, read and written.
//!
//! [`parse`] checks the framing of the whole datagram; then each packet is a borrowed view whose lists are iterators. A
//! packet whose body is wrong becomes [`Packet::Broken`] and does not spoil its neighbours. What a report means is the
//! session's business.

mod feedback;
mod report;
#[cfg(test)]
mod tests;
mod twcc;
mod write;

pub use feedback::{Fir, FirEntry, Nack, Pli, Remb};
pub use report::{Bye, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport, sdes_item};
pub use twcc::{Arrival, MAX_STATUSES, REFERENCE_TICKS, Status, Statuses, TICK, TransportFeedback};
pub use write::{MAX_REPORTS, Writer};

use crate::Malformed;
use crate::bytes::u16_at;

/// Packet types of RFC 3550 and RFC 4585.
pub mod packet_type {
    /// Sender report.
    pub const SR: u8 = 200;
    /// Receiver report.
    pub const RR: u8 = 201;
    /// Source description.
    pub const SDES: u8 = 202;
    /// Goodbye.
    pub const BYE: u8 = 203;
    /// Application-defined.
    pub const APP: u8 = 204;
    /// Transport-layer feedback.
    pub const RTPFB: u8 = 205;
    /// Payload-specific feedback.
    pub const PSFB: u8 = 206;
    /// Extended reports (RFC 3611).
    pub const XR: u8 = 207;
}

/// Feedback message types of RTPFB and PSFB.
pub mod format {
    /// Generic NACK (RFC 4585 section 6.2.1), in RTPFB.
    pub const NACK: u8 = 1;
    /// Transport-wide congestion control feedback, in RTPFB.
    pub const TRANSPORT: u8 = 15;
    /// Picture loss indication (RFC 4585 section 6.3.1), in PSFB.
    pub const PLI: u8 = 1;
    /// Full intra request (RFC 5104 section 4.3.1), in PSFB.
    pub const FIR: u8 = 4;
    /// Application layer feedback, which REMB uses, in PSFB.
    pub const APPLICATION: u8 = 15;
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    Sdes(Sdes<'a>),
    /// BYE.
    Bye(Bye<'a>),
    /// Generic NACK.
    Nack(Nack<'a>),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb).
    Remb(Remb<'a>),
    /// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback(TransportFeedback<'a>),
    /// Well framed, of a type that is not read here.
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The five bits of count, subtype or feedback message type.
        format: u8,
        /// What follows the four-byte header, without padding.
        body: &'a [u8],
    },
    /// Well framed and of a known type, with a body that cannot be read.
    Broken {
        /// The packet type.
        packet_type: u8,
        /// The five bits of count, subtype or feedback message type.
        format: u8,
        /// What is wrong with it.
        error: Malformed,
    },
}

/// The packets of a decrypted RTCP datagram, compound or reduced size.
///
/// # Errors
/// When the datagram is empty, is no whole number of 32-bit words, or a header has a wrong version, a length beyond the
/// datagram or wrong padding: then nothing of it is used.
pub fn parse(datagram: &[u8]) -> Result<Packets<'_>, Malformed> {
    if datagram.is_empty() {
        return Err(Malformed::Truncated);
    }
    let mut rest = datagram;
    while !rest.is_empty() {
        (_, rest) = split(rest)?;
    }
    Ok(Packets { rest: datagram })
}

/// Iterator over the packets of a compound, made by [`parse`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (raw, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(read(raw))
    }
}

/// One framed packet: what its header says, and its body without padding.
#[derive(Clone, Copy)]
struct Raw<'a> {
    packet_type: u8,
    format: u8,
    body: &'a [u8],
}

/// Splits the first packet off. Padding is accepted on each packet of a compound, as libwebrtc sends it.
fn split(bytes: &[u8]) -> Result<(Raw<'_>, &[u8]), Malformed> {
    let len = 4 + 4 * usize::from(u16_at(bytes, 2)?);
    if bytes[0] >> 6 != 2 {
        return Err(Malformed::Version);
    }
    let (packet, rest) = bytes.split_at_checked(len).ok_or(Malformed::Length)?;
    let mut body = &packet[4..];
    if bytes[0] & 0x20 != 0 {
        match body.last() {
            Some(&n) if n > 0 && usize::from(n) <= body.len() => body = &body[..body.len() - usize::from(n)],
            _ => return Err(Malformed::Padding),
        }
    }
    Ok((Raw { packet_type: bytes[1], format: bytes[0] & 0x1f, body }, rest))
}

fn read(raw: Raw<'_>) -> Packet<'_> {
    let Raw { packet_type, format, body } = raw;
    let packet = match (packet_type, format) {
        (packet_type::SR, count) => SenderReport::read(count, body).map(Packet::SenderReport),
        (packet_type::RR, count) => ReceiverReport::read(count, body).map(Packet::ReceiverReport),
        (packet_type::SDES, count) => Sdes::read(count, body).map(Packet::Sdes),
        (packet_type::BYE, count) => Bye::read(count, body).map(Packet::Bye),
        (packet_type::RTPFB, format::NACK) => Nack::read(body).map(Packet::Nack),
        (packet_type::RTPFB, format::TRANSPORT) => TransportFeedback::read(body).map(Packet::TransportFeedback),
        (packet_type::PSFB, format::PLI) => Pli::read(body).map(Packet::Pli),
        (packet_type::PSFB, format::FIR) => Fir::read(body).map(Packet::Fir),
        (packet_type::PSFB, format::APPLICATION) if Remb::is(body) => Remb::read(body).map(Packet::Remb),
        _ => Ok(Packet::Unknown { packet_type, format, body }),
    };
    packet.unwrap_or_else(|error| Packet::Broken { packet_type, format, error })
}

/// The SSRC of the sender of an RTCP datagram, which SRTCP leaves in the clear.
///
/// # Errors
/// [`Malformed::Truncated`].
pub fn sender_ssrc(datagram: &[u8]) -> Result<u32, Malformed> {
    crate::bytes::u32_at(datagram, 4)
}
