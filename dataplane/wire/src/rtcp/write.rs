//! Writing RTCP: packets are appended to one buffer, whole or not at all.
//!
//! A compound starts with SR or RR, reduced size may start with anything (RFC 5506); the caller keeps that order. List
//! functions that may take only a part say how many entries they took.

use super::twcc::{self, Arrival};
use super::{ReportBlock, format, packet_type, sdes_item};
use crate::NoRoom;
use crate::bytes::Put;
use plenum_packet::Bitrate;

/// Most report blocks, SDES chunks or BYE sources in one packet: the count has five bits. More are refused with
/// [`NoRoom`]; write another packet.
pub const MAX_REPORTS: usize = 31;

/// Appends RTCP packets to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Writes from the start of `out`.
    pub fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.out.len() - self.len
    }

    /// Reserves a packet with `body` bytes (a multiple of four) and writes its header.
    fn packet(&mut self, packet_type: u8, format: u8, body: usize) -> Result<Put<'_>, NoRoom> {
        debug_assert!(body.is_multiple_of(4) && format < 32);
        let words = u16::try_from(body / 4).map_err(|_| NoRoom)?;
        let out = self.out.get_mut(self.len..self.len + 4 + body).ok_or(NoRoom)?;
        self.len += 4 + body;
        let mut put = Put::new(out);
        put.u8(0x80 | format).u8(packet_type).u16(words);
        Ok(put)
    }

    /// SR with at most [`MAX_REPORTS`] blocks.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        ntp: u64,
        rtp_timestamp: u32,
        counts: (u32, u32),
        reports: &[ReportBlock],
    ) -> Result<(), NoRoom> {
        let count = count_of(reports.len())?;
        let mut put = self.packet(packet_type::SR, count, 24 + 24 * reports.len())?;
        put.u32(ssrc).u64(ntp).u32(rtp_timestamp).u32(counts.0).u32(counts.1);
        reports.iter().for_each(|r| put_block(&mut put, r));
        Ok(())
    }

    /// RR with at most [`MAX_REPORTS`] blocks.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Result<(), NoRoom> {
        let count = count_of(reports.len())?;
        let mut put = self.packet(packet_type::RR, count, 4 + 24 * reports.len())?;
        put.u32(ssrc);
        reports.iter().for_each(|r| put_block(&mut put, r));
        Ok(())
    }

    /// SDES with the CNAME of each source, at most 255 bytes each.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn sdes(&mut self, sources: &[(u32, &[u8])]) -> Result<(), NoRoom> {
        let count = count_of(sources.len())?;
        if sources.iter().any(|(_, name)| name.len() > 255) {
            return Err(NoRoom);
        }
        // SSRC, item header, text, and at least one zero byte up to the next boundary.
        let chunk = |name: &[u8]| (4 + 2 + name.len() + 1).next_multiple_of(4);
        let body = sources.iter().map(|(_, name)| chunk(name)).sum();
        let mut put = self.packet(packet_type::SDES, count, body)?;
        for (ssrc, name) in sources {
            put.u32(*ssrc).u8(sdes_item::CNAME).u8(name.len() as u8).bytes(name);
            put.bytes(&[0; 4][..chunk(name) - 6 - name.len()]);
        }
        Ok(())
    }

    /// BYE of `sources`, at most [`MAX_REPORTS`], without a reason.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn bye(&mut self, sources: &[u32]) -> Result<(), NoRoom> {
        let mut put = self.packet(packet_type::BYE, count_of(sources.len())?, 4 * sources.len())?;
        sources.iter().for_each(|s| {
            put.u32(*s);
        });
        Ok(())
    }

    /// Generic NACK for `missing`, which ascends (across wraps). How many of them fit; the rest goes into another packet.
    ///
    /// # Errors
    /// [`NoRoom`] when not even one fits; nothing is written.
    pub fn nack(&mut self, sender_ssrc: u32, media_ssrc: u32, missing: &[u16]) -> Result<usize, NoRoom> {
        if missing.is_empty() {
            return Ok(0);
        }
        let most = self.room().checked_sub(12).ok_or(NoRoom)? / 4;
        let (mut entries, mut taken) = (0, 0);
        while entries < most && taken < missing.len() {
            taken += nack_entry(&missing[taken..]).1;
            entries += 1;
        }
        if entries == 0 {
            return Err(NoRoom);
        }
        let mut put = self.packet(packet_type::RTPFB, format::NACK, 8 + 4 * entries)?;
        put.u32(sender_ssrc).u32(media_ssrc);
        let mut rest = &missing[..taken];
        while let Some(&first) = rest.first() {
            let (following, used) = nack_entry(rest);
            put.u16(first).u16(following);
            rest = &rest[used..];
        }
        Ok(taken)
    }

    /// Picture loss indication.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn pli(&mut self, sender_ssrc: u32, media_ssrc: u32) -> Result<(), NoRoom> {
        self.packet(packet_type::PSFB, format::PLI, 8)?.u32(sender_ssrc).u32(media_ssrc);
        Ok(())
    }

    /// Full intra request for each (SSRC, request number).
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn fir(&mut self, sender_ssrc: u32, entries: &[(u32, u8)]) -> Result<(), NoRoom> {
        let mut put = self.packet(packet_type::PSFB, format::FIR, 8 + 8 * entries.len())?;
        put.u32(sender_ssrc).u32(0);
        for &(ssrc, sequence) in entries {
            put.u32(ssrc).u8(sequence).u24(0);
        }
        Ok(())
    }

    /// REMB for `ssrcs`, at most 255. The rate is rounded down to 18 significant bits.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written.
    pub fn remb(&mut self, sender_ssrc: u32, bitrate: Bitrate, ssrcs: &[u32]) -> Result<(), NoRoom> {
        let count = u8::try_from(ssrcs.len()).map_err(|_| NoRoom)?;
        let exponent = (64 - bitrate.bps().leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate.bps() >> exponent) as u32;
        let mut put = self.packet(packet_type::PSFB, format::APPLICATION, 16 + 4 * ssrcs.len())?;
        put.u32(sender_ssrc).u32(0).bytes(b"REMB").u8(count).u24(exponent << 18 | mantissa);
        ssrcs.iter().for_each(|s| {
            put.u32(*s);
        });
        Ok(())
    }

    /// Transport-wide feedback. `arrivals` ascend in sequence without duplicates; packets from `base` on that are not
    /// among them are reported as lost. How many arrivals it speaks of: fewer when the room ends, when two arrivals are
    /// more than 8 s apart, or beyond [`super::MAX_STATUSES`]; go on with another feedback whose base follows the last
    /// one spoken of. A `base` too far below the first arrival is moved up to it.
    ///
    /// # Errors
    /// [`NoRoom`] when not even one arrival fits; nothing is written.
    pub fn transport_feedback(
        &mut self,
        sender_ssrc: u32,
        media_ssrc: u32,
        feedback_count: u8,
        base: u64,
        arrivals: &[Arrival],
    ) -> Result<usize, NoRoom> {
        if arrivals.is_empty() {
            return Ok(0);
        }
        // The body ends at a 32-bit boundary, so that padding always fits.
        let room = self.room().checked_sub(4).ok_or(NoRoom)? / 4 * 4;
        let body = &mut self.out[self.len + 4..][..room];
        let (len, consumed) = twcc::build(body, (sender_ssrc, media_ssrc), feedback_count, base, arrivals)?;
        let padded = len.next_multiple_of(4);
        let padding = (padded - len) as u8;
        if padding > 0 {
            body[len..padded].fill(0);
            body[padded - 1] = padding;
        }
        let start = self.len;
        self.packet(packet_type::RTPFB, format::TRANSPORT, padded)?;
        self.out[start] |= u8::from(padding > 0) << 5;
        Ok(consumed)
    }
}

fn count_of(n: usize) -> Result<u8, NoRoom> {
    if n <= MAX_REPORTS { Ok(n as u8) } else { Err(NoRoom) }
}

fn put_block(put: &mut Put<'_>, r: &ReportBlock) {
    let lost = r.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
    put.u32(r.ssrc).u8(r.fraction_lost).u24(lost).u32(r.highest_sequence);
    put.u32(r.jitter).u32(r.last_sender_report).u32(r.delay_since_last);
}

/// The bit mask of the entry that starts with the first of `missing`, and how many of them it says.
fn nack_entry(missing: &[u16]) -> (u16, usize) {
    let mut mask = 0;
    let mut used = 1;
    for &sequence in &missing[1..] {
        let ahead = sequence.wrapping_sub(missing[0]);
        if ahead == 0 || ahead > 16 {
            break;
        }
        mask |= 1 << (ahead - 1);
        used += 1;
    }
    (mask, used)
}
