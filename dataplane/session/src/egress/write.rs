//! Writing one packet into a send slot: header, extensions, payload, patch. The tag comes when the tick is sealed.

use crate::egress::slot::Slot;
use plenum_packet::{Buf, DropReason, HEADROOM, Pool, SLOT_SIZE, Time};
use plenum_wire::ext::{self, Kind, Writer};
use plenum_wire::payload::{self, dd};
use plenum_wire::{Plan, rtp};

/// Room behind the packet for the longest tag (16 bytes) and for padding that makes the segments of a train equal (16 bytes).
const TAILROOM: usize = 32;
/// Longest value of an extension with two-byte elements (RFC 8285 §4.3).
const MAX_VALUE: usize = 255;

/// A packet in its slot, not sealed yet.
pub(crate) struct Written {
    pub(crate) buf: Buf,
    pub(crate) header_len: u16,
    /// Bytes of payload, for sender reports.
    pub(crate) payload_len: usize,
    /// Where the transport-wide sequence number stands, counted from the packet's first byte.
    pub(crate) transport_sequence: Option<usize>,
}

/// How a packet differs when it is sent again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtx {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
}

/// Writes `plan` as its slot sends it, or as a retransmission (RFC 4588 §4) with `rtx`.
///
/// # Errors
/// [`DropReason::Evicted`] when the payload left the cache, [`DropReason::NoBuffer`] when no slot is free,
/// [`DropReason::MalformedPayload`] when it does not fit.
pub(crate) fn write(
    pool: &mut Pool,
    slot: &Slot,
    plan: &Plan,
    rtx: Option<Rtx>,
    now: Time,
) -> Result<Written, DropReason> {
    if pool.get(plan.payload).is_none() {
        return Err(DropReason::Evicted);
    }
    let mut descriptor = [0; MAX_VALUE];
    let descriptor = copy_descriptor(pool, slot, plan, &mut descriptor);
    let buf = pool.alloc().ok_or(DropReason::NoBuffer)?;
    match fill(pool, &buf, slot, plan, rtx, now, descriptor) {
        Some((header_len, payload_len, transport_sequence)) => {
            let mut buf = buf;
            buf.set_range(HEADROOM, header_len + payload_len);
            Ok(Written { buf, header_len: header_len as u16, payload_len, transport_sequence })
        }
        None => {
            pool.free(buf);
            Err(DropReason::MalformedPayload)
        }
    }
}

fn fill(
    pool: &mut Pool,
    buf: &Buf,
    slot: &Slot,
    plan: &Plan,
    rtx: Option<Rtx>,
    now: Time,
    descriptor: &[u8],
) -> Option<(usize, usize, Option<usize>)> {
    let out = &mut pool.slot_bytes_mut(buf)[HEADROOM..];
    let mut writer = Writer::new(&slot.map);
    fill_extensions(&mut writer, slot, plan, now, descriptor);
    let fields = rtp::Fields {
        marker: plan.marker,
        padding: false,
        extension: !writer.is_empty(),
        payload_type: rtx.map_or(plan.payload_type, |r| r.payload_type),
        sequence: rtx.map_or(plan.sequence, |r| r.sequence),
        timestamp: plan.timestamp,
        ssrc: rtx.map_or(slot.ssrc, |r| r.ssrc),
    };
    let fixed = rtp::write_header(out, &fields).ok()?;
    let written = writer.write(&mut out[fixed..]).ok()?;
    let header_len = fixed + written.len;
    let osn = if rtx.is_some() { 2 } else { 0 };
    let payload_len = osn + plan.payload.len();
    if HEADROOM + header_len + payload_len + TAILROOM > SLOT_SIZE {
        return None;
    }
    if rtx.is_some() {
        out[header_len..header_len + 2].copy_from_slice(&plan.sequence.to_be_bytes());
    }
    let at = HEADROOM + header_len + osn;
    pool.copy_from(plan.payload, buf, at)?;
    payload::patch(&mut pool.slot_bytes_mut(buf)[at..at + plan.payload.len()], plan.patch);
    Some((header_len, payload_len, written.transport_sequence.map(|t| fixed + t)))
}

fn fill_extensions<'a>(writer: &mut Writer<'a>, slot: &'a Slot, plan: &Plan, now: Time, descriptor: &'a [u8]) {
    writer.mid(slot.mid.as_bytes());
    writer.transport_sequence(0);
    writer.abs_send_time(ext::abs_send_time(now));
    if !descriptor.is_empty() {
        writer.dependency_descriptor(descriptor);
    }
    let values = &plan.extensions;
    if let Some(level) = values.audio_level {
        writer.audio_level(level);
    }
    if let Some(orientation) = values.video_orientation {
        writer.video_orientation(orientation);
    }
    if let Some(delay) = values.playout_delay {
        writer.playout_delay(delay);
    }
    if let Some(ntp) = values.abs_capture_time {
        writer.abs_capture_time(ntp);
    }
}

/// The dependency descriptor out of the cache, with the receiver's frame number; empty when there is none to send.
fn copy_descriptor<'a>(pool: &Pool, slot: &Slot, plan: &Plan, out: &'a mut [u8; MAX_VALUE]) -> &'a [u8] {
    let reference =
        plan.extensions.dependency_descriptor.filter(|_| slot.map.id_of(Kind::DependencyDescriptor).is_some());
    let Some(bytes) = reference.and_then(|r| pool.get(r)).filter(|b| b.len() <= MAX_VALUE) else { return &[] };
    let out = &mut out[..bytes.len()];
    out.copy_from_slice(bytes);
    if let Some(number) = plan.extensions.dependency_frame_number {
        dd::set_frame_number(out, number);
    }
    out
}

/// Writes a packet of padding only on the RTX SSRC (what libwebrtc's own probes look like): 255 bytes of padding.
pub(crate) fn write_padding(
    pool: &mut Pool,
    slot: &Slot,
    rtx: Rtx,
    timestamp: u32,
    now: Time,
) -> Result<Written, DropReason> {
    const PADDING: u8 = 255;
    let buf = pool.alloc().ok_or(DropReason::NoBuffer)?;
    let out = &mut pool.slot_bytes_mut(&buf)[HEADROOM..];
    let mut writer = Writer::new(&slot.map);
    writer.mid(slot.mid.as_bytes());
    writer.transport_sequence(0);
    writer.abs_send_time(ext::abs_send_time(now));
    let fields = rtp::Fields {
        marker: false,
        padding: true,
        extension: !writer.is_empty(),
        payload_type: rtx.payload_type,
        sequence: rtx.sequence,
        timestamp,
        ssrc: rtx.ssrc,
    };
    let filled = rtp::write_header(out, &fields).ok().and_then(|fixed| {
        let written = writer.write(&mut out[fixed..]).ok()?;
        let header_len = fixed + written.len;
        let end = rtp::write_padding(out, header_len, PADDING).ok()?;
        Some((header_len, end, written.transport_sequence.map(|t| fixed + t)))
    });
    let mut buf = buf;
    match filled {
        Some((header_len, end, transport_sequence)) => {
            buf.set_range(HEADROOM, end);
            Ok(Written { buf, header_len: header_len as u16, payload_len: end - header_len, transport_sequence })
        }
        None => {
            pool.free(buf);
            Err(DropReason::NoBuffer)
        }
    }
}
