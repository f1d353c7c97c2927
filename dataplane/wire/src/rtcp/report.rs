//! SR, RR, SDES and BYE (RFC 3550 sections 6.4 to 6.6): views.
//!
//! A view is only made when all its lists lie in the packet, so its iterators cannot fail. Profile-specific extensions
//! behind the report blocks are ignored.

use crate::Malformed;
use crate::bytes::{u8_at, u32_at, u64_at};

const BLOCK: usize = 24;

/// What a receiver says about one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits signed: duplicates make it negative.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the count of cycles above it.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report; 0 when there was none.
    pub last_sender_report: u32,
    /// Delay since that report, in 1/65536 s.
    pub delay_since_last: u32,
}

impl ReportBlock {
    fn read(bytes: &[u8; BLOCK]) -> ReportBlock {
        let word = |i: usize| u32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        ReportBlock {
            ssrc: word(0),
            fraction_lost: bytes[4],
            cumulative_lost: (word(4) << 8) as i32 >> 8,
            highest_sequence: word(8),
            jitter: word(12),
            last_sender_report: word(16),
            delay_since_last: word(20),
        }
    }
}

fn blocks(count: u8, body: &[u8]) -> Result<&[u8], Malformed> {
    body.get(..BLOCK * usize::from(count)).ok_or(Malformed::Truncated)
}

fn iter_blocks(bytes: &[u8]) -> impl Iterator<Item = ReportBlock> + '_ {
    bytes.as_chunks::<BLOCK>().0.iter().map(ReportBlock::read)
}

/// Sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The sender.
    pub ssrc: u32,
    /// NTP time of the report, 32.32.
    pub ntp: u64,
    /// RTP timestamp of the same instant.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packet_count: u32,
    /// Payload bytes sent.
    pub octet_count: u32,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(SenderReport {
            ssrc: u32_at(body, 0)?,
            ntp: u64_at(body, 4)?,
            rtp_timestamp: u32_at(body, 12)?,
            packet_count: u32_at(body, 16)?,
            octet_count: u32_at(body, 20)?,
            blocks: blocks(count, &body[24..])?,
        })
    }

    /// Its report blocks, at most 31.
    pub fn reports(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        iter_blocks(self.blocks)
    }
}

/// Receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// The sender of the report.
    pub ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(ReceiverReport { ssrc: u32_at(body, 0)?, blocks: blocks(count, &body[4..])? })
    }

    /// Its report blocks, at most 31.
    pub fn reports(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        iter_blocks(self.blocks)
    }
}

/// Item types of SDES.
pub mod sdes_item {
    /// Canonical name.
    pub const CNAME: u8 = 1;
    /// MID (RFC 9143).
    pub const MID: u8 = 15;
    /// RTP stream id (RFC 8852).
    pub const RID: u8 = 12;
    /// Repaired RTP stream id (RFC 8852).
    pub const REPAIRED_RID: u8 = 13;
}

/// Source descriptions.
#[derive(Clone, Copy, Debug)]
pub struct Sdes<'a> {
    count: u8,
    body: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = SdesChunk::split(rest)?;
        }
        Ok(Sdes { count, body })
    }

    /// One chunk for each source.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + 'a {
        let mut rest = self.body;
        (0..self.count).map_while(move |_| {
            let (chunk, after) = SdesChunk::split(rest).ok()?;
            rest = after;
            Some(chunk)
        })
    }
}

/// The description of one source.
#[derive(Clone, Copy, Debug)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

/// One item of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// Its type, see [`sdes_item`].
    pub kind: u8,
    /// Its text, UTF-8 when the sender keeps the rules.
    pub value: &'a [u8],
}

impl<'a> SdesChunk<'a> {
    /// Items end with a zero byte; the chunk ends at the next 32-bit boundary.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let ssrc = u32_at(bytes, 0)?;
        let mut at = 4;
        while u8_at(bytes, at)? != 0 {
            at += 2 + usize::from(u8_at(bytes, at + 1)?);
        }
        let items = &bytes[4..at];
        let rest = bytes.get((at + 1).next_multiple_of(4)..).ok_or(Malformed::Truncated)?;
        Ok((SdesChunk { ssrc, items }, rest))
    }

    /// Its items.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + 'a {
        let mut rest = self.items;
        core::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<2>()?;
            let (value, after) = after.split_at_checked(usize::from(head[1]))?;
            rest = after;
            Some(SdesItem { kind: head[0], value })
        })
    }

    /// The canonical name.
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == sdes_item::CNAME).map(|item| item.value)
    }
}

/// Sources that leave.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a> {
    sources: &'a [u8],
    /// Why, when the sender says so.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn read(count: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        let (sources, rest) = body.split_at_checked(4 * usize::from(count)).ok_or(Malformed::Truncated)?;
        let reason = match rest.split_first() {
            None => None,
            Some((&len, text)) => Some(text.get(..usize::from(len)).ok_or(Malformed::Truncated)?),
        };
        Ok(Bye { sources, reason })
    }

    /// Their SSRCs.
    pub fn sources(&self) -> impl Iterator<Item = u32> + 'a {
        self.sources.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b))
    }
}
