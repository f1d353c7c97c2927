//! NACK, PLI, FIR and REMB: views (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb-03).
//!
//! Every message starts with the SSRC of its sender and that of the media it is about; the lists behind them are
//! iterators that cannot fail.

use crate::Malformed;
use crate::bytes::{u8_at, u24_at, u32_at};
use plenum_packet::Bitrate;

/// Generic NACK (RFC 4585 section 6.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    /// Whose packets are missing.
    pub media_ssrc: u32,
    entries: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let (sender_ssrc, media_ssrc) = (u32_at(body, 0)?, u32_at(body, 4)?);
        if !body.len().is_multiple_of(4) {
            return Err(Malformed::Length);
        }
        Ok(Nack { sender_ssrc, media_ssrc, entries: &body[8..] })
    }

    /// The missing sequence numbers: at most 17 for each four bytes of the message.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + 'a {
        self.entries.as_chunks::<4>().0.iter().flat_map(|e| {
            let first = u16::from_be_bytes([e[0], e[1]]);
            let following = u16::from_be_bytes([e[2], e[3]]);
            let others = (0..16).filter(move |i| following >> i & 1 == 1).map(move |i| first.wrapping_add(i + 1));
            core::iter::once(first).chain(others)
        })
    }
}

/// Picture loss indication (RFC 4585 section 6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender_ssrc: u32,
    /// Whose key frame is wanted.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Pli { sender_ssrc: u32_at(body, 0)?, media_ssrc: u32_at(body, 4)? })
    }
}

/// Full intra request (RFC 5104 section 4.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    entries: &'a [u8],
}

/// One source of a full intra request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// Whose key frame is wanted.
    pub ssrc: u32,
    /// Number of the request: a repeated number is a repeated message, not a new request.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let sender_ssrc = u32_at(body, 0)?;
        let entries = body.get(8..).ok_or(Malformed::Truncated)?;
        if !entries.len().is_multiple_of(8) {
            return Err(Malformed::Length);
        }
        Ok(Fir { sender_ssrc, entries })
    }

    /// Its sources.
    pub fn entries(&self) -> impl Iterator<Item = FirEntry> + 'a {
        let entries = self.entries.as_chunks::<8>().0.iter();
        entries.map(|e| FirEntry { ssrc: u32::from_be_bytes([e[0], e[1], e[2], e[3]]), sequence: e[4] })
    }
}

/// Receiver estimated maximum bitrate.
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender_ssrc: u32,
    /// For all the sources together; saturates at the largest rate.
    pub bitrate: Bitrate,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    /// Whether an application layer feedback body is a REMB.
    pub(super) fn is(body: &[u8]) -> bool {
        body.get(8..12) == Some(b"REMB")
    }

    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let count = usize::from(u8_at(body, 12)?);
        let value = u24_at(body, 13)?;
        let (exponent, mantissa) = (value >> 18, u64::from(value & 0x3_ffff));
        let bps = if mantissa.leading_zeros() < exponent { u64::MAX } else { mantissa << exponent };
        let ssrcs = body.get(16..16 + 4 * count).ok_or(Malformed::Truncated)?;
        Ok(Remb { sender_ssrc: u32_at(body, 0)?, bitrate: Bitrate(bps), ssrcs })
    }

    /// The sources that the estimate is for.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.ssrcs.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b))
    }
}
