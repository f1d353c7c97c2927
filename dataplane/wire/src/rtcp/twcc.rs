//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): read and built.
//!
//! Times are ticks of 250 µs of the receiver's clock. The view checks once that all chunks and deltas are there, so that
//! its iterator cannot fail. Building needs no memory: chunks are written as they fill, deltas in a second pass.

use crate::bytes::{Put, u16_at, u24_at, u32_at};
use crate::{Malformed, NoRoom};
use core::time::Duration;
use plenum_packet::Time;

/// Most packets that one feedback may speak of. Feedback comes every 50 to 250 ms, so that this is far above any rate we
/// forward; without a limit, a message of 20 bytes could claim 65535. Larger ones are malformed, and none is built.
pub const MAX_STATUSES: u16 = 8192;

/// The unit of arrival times.
pub const TICK: Duration = Duration::from_micros(250);

/// Ticks of one unit of the reference time (64 ms).
pub const REFERENCE_TICKS: i64 = 256;

/// Fixed part of the body: two SSRCs, base, count, reference time, feedback count.
const FIXED: usize = 16;

/// A feedback message.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// Who received the packets.
    pub sender_ssrc: u32,
    /// One of the sources that sent them.
    pub media_ssrc: u32,
    /// Transport sequence number of the first packet spoken of.
    pub base_sequence: u16,
    /// Number of packets spoken of, at most [`MAX_STATUSES`].
    pub status_count: u16,
    /// Time that the deltas count from, in 64 ms, 24 bits: wraps after 12.4 days.
    pub reference_time: u32,
    /// Number of this feedback; wraps.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its transport sequence number.
    pub sequence: u16,
    /// When it arrived, in ticks of 250 µs since the zero of the reference time; `None` when it did not.
    pub arrival: Option<i64>,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let status_count = u16_at(body, 10)?;
        if status_count > MAX_STATUSES {
            return Err(Malformed::TooLarge);
        }
        let rest = body.get(FIXED..).ok_or(Malformed::Truncated)?;
        let (mut at, mut covered, mut delta_bytes) = (0, 0, 0);
        while covered < status_count {
            let chunk = u16_at(rest, at)?;
            at += 2;
            let (count, bytes) = chunk_cost(chunk, status_count - covered)?;
            covered += count;
            delta_bytes += bytes;
        }
        let (chunks, deltas) = rest.split_at(at);
        if deltas.len() < delta_bytes {
            return Err(Malformed::Truncated);
        }
        Ok(TransportFeedback {
            sender_ssrc: u32_at(body, 0)?,
            media_ssrc: u32_at(body, 4)?,
            base_sequence: u16_at(body, 8)?,
            status_count,
            reference_time: u24_at(body, 12)?,
            feedback_count: body[15],
            chunks,
            deltas,
        })
    }

    /// What became of each packet, in order of sequence numbers.
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            chunks: self.chunks,
            deltas: self.deltas,
            chunk: 0,
            left: 0,
            sequence: self.base_sequence,
            remaining: self.status_count,
            arrival: i64::from(self.reference_time) * REFERENCE_TICKS,
        }
    }
}

/// How many of at most `wanted` packets a chunk covers, and the bytes of their deltas.
fn chunk_cost(chunk: u16, wanted: u16) -> Result<(u16, usize), Malformed> {
    if chunk & 0x8000 == 0 {
        let (symbol, count) = (chunk >> 13 & 3, (chunk & 0x1fff).min(wanted));
        return if symbol == 3 { Err(Malformed::Value) } else { Ok((count, usize::from(symbol * count))) };
    }
    let count = vector_len(chunk).min(wanted);
    let mut bytes = 0;
    for i in 0..count {
        match symbol_at(chunk, vector_len(chunk) - i) {
            3 => return Err(Malformed::Value),
            symbol => bytes += usize::from(symbol),
        }
    }
    Ok((count, bytes))
}

/// Symbols in a status vector chunk.
fn vector_len(chunk: u16) -> u16 {
    if chunk & 0x4000 == 0 { 14 } else { 7 }
}

/// The symbol that has `left - 1` symbols behind it in the chunk: 0 not received, 1 small delta, 2 large delta.
fn symbol_at(chunk: u16, left: u16) -> u16 {
    match chunk >> 14 {
        0b10 => chunk >> (left - 1) & 1,
        0b11 => chunk >> (2 * (left - 1)) & 3,
        _ => chunk >> 13 & 3,
    }
}

/// Iterator over what became of each packet, made by [`TransportFeedback::statuses`].
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: u16,
    /// Symbols of `chunk` that are still to come.
    left: u16,
    sequence: u16,
    remaining: u16,
    arrival: i64,
}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        if self.remaining == 0 {
            return None;
        }
        while self.left == 0 {
            let (chunk, rest) = self.chunks.split_first_chunk::<2>()?;
            self.chunks = rest;
            self.chunk = u16::from_be_bytes(*chunk);
            self.left = if self.chunk & 0x8000 == 0 { self.chunk & 0x1fff } else { vector_len(self.chunk) };
        }
        let arrival = match symbol_at(self.chunk, self.left) {
            1 => {
                let (delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(*delta))
            }
            2 => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(*delta)))
            }
            _ => None,
        };
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.left -= 1;
        self.remaining -= 1;
        self.arrival += arrival.unwrap_or(0);
        Some(Status { sequence, arrival: arrival.map(|_| self.arrival) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.remaining)))
    }
}

/// A received packet: its extended transport sequence number and when it came.
pub type Arrival = (u64, Time);

/// Writes the body of a feedback to `out`; the bytes written and how many of `arrivals` it speaks of. See
/// [`super::Writer::transport_feedback`].
pub(super) fn build(
    out: &mut [u8],
    ssrcs: (u32, u32),
    feedback_count: u8,
    base: u64,
    arrivals: &[Arrival],
) -> Result<(usize, usize), NoRoom> {
    let Some(&(first, first_time)) = arrivals.first() else {
        return Err(NoRoom);
    };
    let base = if base > first || first - base >= u64::from(MAX_STATUSES) { first } else { base };
    let reference = tick(first_time) / REFERENCE_TICKS;

    let mut chunks = Chunks { at: FIXED, ..Chunks::default() };
    let (mut next, mut last, mut delta_bytes, mut consumed) = (base, reference * REFERENCE_TICKS, 0, 0);
    for &(sequence, time) in arrivals {
        let Ok(delta) = i16::try_from(tick(time) - last) else { break };
        if sequence < next || sequence - base >= u64::from(MAX_STATUSES) {
            break;
        }
        let size = delta_size(delta);
        let mut longer = chunks;
        let fits = (next..sequence).try_for_each(|_| longer.push(out, 0)).and_then(|()| longer.push(out, size));
        if fits.is_err() || longer.end() + delta_bytes + usize::from(size) > out.len() {
            break;
        }
        (chunks, next, last) = (longer, sequence + 1, tick(time));
        delta_bytes += usize::from(size);
        consumed += 1;
    }
    if consumed == 0 {
        return Err(NoRoom);
    }
    let end = chunks.finish(out)?;
    let mut put = Put::new(out);
    put.u32(ssrcs.0).u32(ssrcs.1).u16(base as u16).u16((next - base) as u16);
    put.u24(reference as u32).u8(feedback_count);
    let mut put = Put::new(&mut out[end..]);
    let mut last = reference * REFERENCE_TICKS;
    for &(_, time) in &arrivals[..consumed] {
        let delta = (tick(time) - last) as i16;
        match delta_size(delta) {
            1 => put.u8(delta as u8),
            _ => put.u16(delta as u16),
        };
        last = tick(time);
    }
    Ok((end + delta_bytes, consumed))
}

fn tick(time: Time) -> i64 {
    (time.nanos() / TICK.as_nanos() as u64) as i64
}

/// The symbol of a delta, which is also its size in bytes.
fn delta_size(delta: i16) -> u8 {
    if (0..=255).contains(&delta) { 1 } else { 2 }
}

/// Collects symbols and writes them in the chunk type that holds most of them.
#[derive(Clone, Copy, Debug, Default)]
struct Chunks {
    /// Where the next chunk goes.
    at: usize,
    symbols: [u8; 14],
    /// Symbols collected; above 14 only while they are all the same.
    count: u16,
    mixed: bool,
    large: bool,
}

impl Chunks {
    fn push(&mut self, out: &mut [u8], symbol: u8) -> Result<(), NoRoom> {
        if !self.accepts(symbol) {
            self.emit(out, false)?;
        }
        if let Some(place) = self.symbols.get_mut(usize::from(self.count)) {
            *place = symbol;
        }
        self.count += 1;
        self.mixed |= symbol != self.symbols[0];
        self.large |= symbol == 2;
        Ok(())
    }

    fn accepts(&self, symbol: u8) -> bool {
        self.count < 7
            || (self.count < 14 && !self.large && symbol != 2)
            || (self.count < 0x1fff && !self.mixed && symbol == self.symbols[0])
    }

    /// Writes one chunk; keeps the symbols that it could not hold. Only the `last` one may be a vector with empty places.
    fn emit(&mut self, out: &mut [u8], last: bool) -> Result<(), NoRoom> {
        let (chunk, taken) = if !self.mixed {
            (u16::from(self.symbols[0]) << 13 | self.count, self.count)
        } else if !self.large && (self.count == 14 || last && self.count > 7) {
            (self.vector(1, 14), self.count.min(14))
        } else {
            (self.vector(2, 7), self.count.min(7))
        };
        let place = out.get_mut(self.at..).and_then(|o| o.first_chunk_mut::<2>()).ok_or(NoRoom)?;
        *place = chunk.to_be_bytes();
        self.at += 2;
        let rest = self.count - taken;
        if rest > 0 {
            self.symbols.copy_within(usize::from(taken)..usize::from(self.count), 0);
        }
        self.count = rest;
        let kept = &self.symbols[..usize::from(rest)];
        self.mixed = kept.iter().any(|&s| s != kept[0]);
        self.large = kept.contains(&2);
        Ok(())
    }

    /// A status vector chunk of `len` symbols, `width` bits each; those that are not there are 0.
    fn vector(&self, width: u16, len: u16) -> u16 {
        let symbols = self.symbols[..usize::from(self.count.min(len))].iter();
        let bits = symbols.fold(0u16, |bits, &s| bits << width | u16::from(s));
        let missing = len - self.count.min(len);
        0x8000 | (width - 1) << 14 | bits << (width * missing)
    }

    /// Where the chunks end once all symbols are written: what is collected always fits into one more.
    fn end(&self) -> usize {
        self.at + if self.count > 0 { 2 } else { 0 }
    }

    fn finish(mut self, out: &mut [u8]) -> Result<usize, NoRoom> {
        while self.count > 0 {
            self.emit(out, true)?;
        }
        Ok(self.at)
    }
}
