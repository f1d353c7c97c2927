//! One slot of a receiver: decides for each packet of its source whether it passes, and as what.
//!
//! ```text
//!            assign()                key frame of the target encoding
//!  empty ───────────────► waiting ─────────────────────────────────────► running ──┐
//!    ▲                      ▲  ▲                                            │  ▲    │ key frame of another
//!    │ assign(None)         │  └── pause, codec or stream changed ──────────┘  └────┘ target encoding
//!    └──────────────────────┴─ assign() of another source
//! ```
//! The egress stream is one: numbers, timestamps and picture ids go on through every change. [`Subscriber::forward`] is
//! straight-line code over `Copy` values and allocates nothing. It does not choose the target ([`crate::layers`] does)
//! and does not send key-frame requests (it says when it needs one).

use crate::info::{Codec, Format, Kind, Layer, PacketInfo};
use crate::rewrite::clock::Moment;
use crate::rewrite::{Clock, LeftOut, Pictures, Splice};
use core::time::Duration;
use plenum_packet::{DropReason, PacketRef, Time};
use plenum_wire::{Class, Patch, Plan};

/// A slot that had to go down stays down this long: going up at once would fill the same bottleneck again.
pub const HOLD_DOWN: Duration = Duration::from_secs(3);

/// A payload type that the receiver takes in this slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it carries.
    pub format: Format,
    /// Its number for this receiver.
    pub payload_type: u8,
}

/// Where the slot's numbers start; from a random source of the caller's (RFC 3550, section 5.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Seed {
    /// First sequence number.
    pub sequence: u16,
    /// First timestamp.
    pub timestamp: u32,
    /// First picture id.
    pub picture_id: u16,
}

/// Cached packets that are to be forwarded now: they arrived before the packet that makes them decodable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Of this encoding.
    pub encoding: u8,
    /// From this sequence number.
    pub from: u64,
    /// Up to and with this one.
    pub to: u64,
}

/// The ingress stream that runs now.
#[derive(Clone, Copy, Debug)]
struct Running {
    layer: Layer,
    epoch: u32,
    format: Format,
    payload_type: u8,
    /// Timestamp of the newest frame: another one begins a frame.
    newest: u32,
    /// The last packet left out: timestamp, spatial and temporal layer.
    left_out: Option<(u32, u8, u8)>,
    /// Timestamp of the first packet: redundant audio from before it is cut off.
    started: u32,
}

/// One slot.
#[derive(Debug)]
pub struct Subscriber {
    media: u16,
    kind: Kind,
    accepted: Vec<Accepted>,
    source: Option<u32>,
    target: Option<Layer>,
    running: Option<Running>,
    sequence: Splice,
    clock: Clock,
    pictures: Pictures,
    replay: Option<Replay>,
    lowered: Option<Time>,
}

impl Subscriber {
    /// An empty slot: index of the receiver's m-line, kind, payload types in the receiver's order of preference.
    pub fn new(media: u16, kind: Kind, accepted: Vec<Accepted>, seed: Seed) -> Subscriber {
        let layered = kind == Kind::Video;
        Subscriber {
            media,
            kind,
            accepted,
            source: None,
            target: None,
            running: None,
            sequence: Splice::new(seed.sequence, layered),
            clock: Clock::new(seed.timestamp),
            pictures: Pictures::new(seed.picture_id, layered),
            replay: None,
            lowered: None,
        }
    }

    /// Index of the receiver's m-line.
    pub fn media(&self) -> u16 {
        self.media
    }

    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the receiver takes from now on. A stream that it does not take any more, or takes under another number, waits for a
    /// key frame.
    pub fn set_accepted(&mut self, accepted: Vec<Accepted>) {
        self.accepted = accepted;
        let stays = |r: &Running| self.kind == Kind::Audio || self.payload_type(r.format) == Some(r.payload_type);
        if !self.running.as_ref().is_some_and(stays) {
            self.stop();
        }
    }

    /// What the receiver takes, in its order of preference.
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// The track that fills the slot: the number that [`Subscriber::assign`] was given.
    pub fn source(&self) -> Option<u32> {
        self.source
    }

    /// Fills the slot with another track (`None` empties it). `source` tells tracks apart, whatever the caller numbers
    /// them by. What the old one sends is dropped from now on; the new one begins at its first key frame (sound: at
    /// once). Video starts with the smallest encoding until [`Subscriber::set_target`]. Returns whether anything changed.
    pub fn assign(&mut self, source: Option<u32>) -> bool {
        if self.source == source {
            return false;
        }
        self.source = source;
        self.stop();
        self.target = source.map(|_| Layer::default());
        self.lowered = None;
        true
    }

    /// The target of the layer decision; `None` pauses at once. Sound has no layers: any target lets it pass.
    pub fn set_target(&mut self, target: Option<Layer>, now: Time) {
        if self.source.is_none() || target == self.target {
            return;
        }
        if target.is_none() || target < self.target {
            self.lowered = Some(now);
        }
        self.target = target;
        if target.is_none() {
            self.stop();
        }
    }

    /// The wanted layer; `None` while empty or paused.
    pub fn target(&self) -> Option<Layer> {
        self.target
    }

    /// The layer that flows; `None` while waiting for a key frame, paused or empty.
    pub fn current(&self) -> Option<Layer> {
        self.running.map(|r| r.layer)
    }

    /// Whether the layer decision may raise this slot: not soon after it was lowered.
    pub fn may_rise(&self, now: Time) -> bool {
        self.lowered.is_none_or(|at| now.since(at) >= HOLD_DOWN)
    }

    /// The receiver wants something else than before (a larger tile): it may rise at once.
    pub fn wish_changed(&mut self) {
        self.lowered = None;
    }

    /// The encoding that a key frame is needed of to reach the target: ask for it now and with each tick; the track's
    /// [`crate::Throttle`] makes that few.
    pub fn wants_key_frame(&self) -> Option<u8> {
        let target = self.target.filter(|_| self.kind == Kind::Video)?;
        match &self.running {
            Some(r) if r.layer.encoding == target.encoding && r.layer.spatial >= target.spatial => None,
            _ => Some(target.encoding),
        }
    }

    /// The encoding to ask for a key frame when the receiver lost its picture (PLI, FIR).
    pub fn key_frame_encoding(&self) -> Option<u8> {
        self.running.map(|r| r.layer.encoding).or(self.target.map(|t| t.encoding))
    }

    /// Cached packets that must be forwarded now, before anything else: call after a [`Subscriber::forward`] that
    /// returned a plan, give what [`crate::Track::replay`] yields to `forward`.
    pub fn take_replay(&mut self) -> Option<Replay> {
        self.replay.take()
    }

    /// The newest egress timestamp and when its frame arrived: what our sender reports are made from.
    pub fn newest(&self) -> Option<(u32, Time)> {
        self.clock.newest()
    }

    /// Decides about one packet of the slot's source.
    ///
    /// A plan with an empty payload fills the place of a packet that came too late to close its gap: receivers take it
    /// for padding, and stop asking for it.
    ///
    /// # Errors
    /// [`DropReason::NotSelected`] when the layer decision leaves it out, [`DropReason::AwaitingKeyFrame`],
    /// [`DropReason::UnsupportedPayload`] when the receiver has no payload type for it, [`DropReason::Padding`].
    pub fn forward(&mut self, info: &PacketInfo) -> Result<Plan, DropReason> {
        let target = self.target.ok_or(DropReason::NotSelected)?;
        match self.kind {
            Kind::Audio => self.forward_audio(info),
            Kind::Video => self.forward_video(info, target),
        }
    }

    // ---- sound ----------------------------------------------------------------------------------------------------

    fn forward_audio(&mut self, info: &PacketInfo) -> Result<Plan, DropReason> {
        let continues = self.running.is_some_and(|r| r.epoch == info.epoch && r.format.clock == info.format.clock);
        if info.payload.is_empty() {
            return if continues { self.leave_out(info, DropReason::Padding) } else { Err(DropReason::Padding) };
        }
        let started = self.running.filter(|_| continues).map_or(info.timestamp, |r| r.started);
        let Some((payload_type, payload)) = self.audio_payload(info, started) else {
            return if continues {
                self.leave_out(info, DropReason::UnsupportedPayload)
            } else {
                Err(DropReason::UnsupportedPayload)
            };
        };
        if !continues {
            self.begin(info, payload_type, Layer::default());
        }
        let sequence = self.sequence.pass(info.sequence).ok_or(DropReason::NotSelected)?;
        // A receiver adapts its buffer at a marker: the first packet of each speaker is one.
        let marker = info.marker || !continues;
        Ok(Plan { payload, payload_type, marker, ..self.plan(info, sequence, Patch::None, Class::Audio) })
    }

    /// Payload type and payload for sound. RED whose redundancy reaches back before `started` or that the receiver cannot
    /// read is cut to its primary block and sent as what that is.
    fn audio_payload(&self, info: &PacketInfo, started: u32) -> Option<(u8, PacketRef)> {
        let Some(red) = info.frame.red else {
            return Some((self.payload_type(info.format)?, info.payload));
        };
        let primary_format = Format { codec: Codec::Opus, ..info.format };
        let primary_type = self.payload_type(primary_format);
        let age = info.timestamp.wrapping_sub(started) as i32;
        let whole = age >= i32::from(red.oldest_offset) && primary_type == Some(red.payload_type);
        if let Some(payload_type) = self.payload_type(info.format).filter(|_| whole) {
            return Some((payload_type, info.payload));
        }
        let primary = info.payload.slice(usize::from(red.primary_start), usize::from(red.primary_len))?;
        (!primary.is_empty()).then_some((primary_type?, primary))
    }

    // ---- pictures -------------------------------------------------------------------------------------------------

    fn forward_video(&mut self, info: &PacketInfo, target: Layer) -> Result<Plan, DropReason> {
        let Some(running) = self.running else { return self.start(info, target) };
        if running.layer.encoding != info.encoding {
            return self.start(info, target);
        }
        if running.epoch != info.epoch || (running.format != info.format && !info.payload.is_empty()) {
            // The sender began afresh: what follows means nothing to a decoder until the next key frame.
            self.stop();
            return self.start(info, target);
        }
        if !self.sequence.is_new(info.sequence) {
            return self.forward_late(info, running.layer);
        }
        if info.payload.is_empty() {
            return self.leave_out(info, DropReason::Padding);
        }
        let layer = self.follow_target(info, target);
        if !selects(layer, info) {
            self.pictures.leave_out(info.format.codec, &info.frame);
            return self.leave_out(info, DropReason::NotSelected);
        }
        self.pass(info)
    }

    /// Begins with this packet if a decoder can, else says what is missing.
    fn start(&mut self, info: &PacketInfo, target: Layer) -> Result<Plan, DropReason> {
        if info.encoding != target.encoding {
            return Err(DropReason::NotSelected);
        }
        let payload_type = self.payload_type(info.format).ok_or(DropReason::UnsupportedPayload)?;
        if !info.frame.key || info.payload.is_empty() {
            return Err(DropReason::AwaitingKeyFrame);
        }
        // All spatial layers of a key picture can be begun with it; of temporal ones all that follow it.
        self.begin(info, payload_type, target);
        if info.highest > info.sequence {
            self.replay = Some(Replay { encoding: info.encoding, from: info.sequence + 1, to: info.highest });
        }
        self.pass(info)
    }

    /// A packet that others overtook: it fills its hole, if there is one, whatever the layer decision is now.
    fn forward_late(&mut self, info: &PacketInfo, layer: Layer) -> Result<Plan, DropReason> {
        let wanted = !info.payload.is_empty()
            && selects(layer, info)
            && !self.pictures.was_left_out(info.format.codec, &info.frame);
        if wanted { self.pass(info) } else { self.leave_out(info, DropReason::NotSelected) }
    }

    /// Moves the running layer towards the target where this packet allows it.
    fn follow_target(&mut self, info: &PacketInfo, target: Layer) -> Layer {
        let Some(running) = &mut self.running else { return Layer::default() };
        let frame = &info.frame;
        let layer = &mut running.layer;
        let new_picture = info.timestamp != running.newest;
        running.newest = info.timestamp;
        // While another encoding is awaited, this one goes on as it is.
        if target.encoding != layer.encoding {
            return *layer;
        }
        if frame.key {
            (layer.spatial, layer.temporal) = (target.spatial, target.temporal);
            return *layer;
        }
        if new_picture {
            layer.spatial = layer.spatial.min(target.spatial);
            layer.temporal = layer.temporal.min(target.temporal);
        }
        if frame.begins {
            if frame.temporal_sync
                && frame.temporal.checked_sub(1) == Some(layer.temporal)
                && frame.temporal <= target.temporal
            {
                layer.temporal = frame.temporal;
            }
            if frame.switch_up && frame.temporal <= layer.temporal && layer.temporal < target.temporal {
                // Holds from this frame on: it lies within the old limit itself.
                layer.temporal = target.temporal;
            }
            if frame.spatial_sync
                && frame.spatial.checked_sub(1) == Some(layer.spatial)
                && frame.spatial <= target.spatial
            {
                layer.spatial = frame.spatial;
            }
        }
        *layer
    }

    fn pass(&mut self, info: &PacketInfo) -> Result<Plan, DropReason> {
        let patch = self.pictures.pass(info.format.codec, &info.frame);
        let Some(patch) = patch else { return self.leave_out(info, DropReason::NotSelected) };
        let sequence = self.sequence.pass(info.sequence).ok_or(DropReason::NotSelected)?;
        let mut plan = self.plan(info, sequence, patch, Class::Video);
        // The picture ends where the highest spatial layer that passes does.
        plan.marker |= info.frame.ends && self.running.is_some_and(|r| info.frame.spatial == r.layer.spatial);
        if let Some(number) = info.frame.frame_number {
            plan.extensions.dependency_frame_number = Some(self.pictures.frame_number(number));
        }
        Ok(plan)
    }

    // ---- both -----------------------------------------------------------------------------------------------------

    fn begin(&mut self, info: &PacketInfo, payload_type: u8, layer: Layer) {
        self.sequence.begin(info.sequence);
        let at = self.moment(info);
        self.clock.begin(info.timestamp, at, info.format.clock);
        self.pictures.begin();
        self.running = Some(Running {
            layer,
            epoch: info.epoch,
            format: info.format,
            payload_type,
            newest: info.timestamp,
            left_out: None,
            started: info.timestamp,
        });
    }

    fn stop(&mut self) {
        self.running = None;
        self.replay = None;
    }

    fn plan(&mut self, info: &PacketInfo, sequence: u64, patch: Patch, class: Class) -> Plan {
        let at = self.moment(info);
        Plan {
            payload: info.payload,
            media: self.media,
            payload_type: self.running.map_or(0, |r| r.payload_type),
            marker: info.marker,
            sequence: sequence as u16,
            timestamp: self.clock.pass(info.timestamp, at),
            patch,
            extensions: info.extensions,
            received: info.received,
            captured: info.taken,
            class,
        }
    }

    /// Leaves the packet out for `reason`; when its place shows as a hole already, fills that with an empty packet.
    fn leave_out(&mut self, info: &PacketInfo, reason: DropReason) -> Result<Plan, DropReason> {
        let Some(running) = &mut self.running else { return Err(reason) };
        let key = (info.timestamp, info.frame.spatial, info.frame.temporal);
        let joined = running.left_out == Some(key) && !info.payload.is_empty();
        running.left_out = Some(key);
        let LeftOut::Hole(sequence) = self.sequence.leave_out(info.sequence, joined) else { return Err(reason) };
        let Some(payload) = info.payload.slice(0, 0) else { return Err(reason) };
        // From now on the number is taken: a copy of this packet must not take it again.
        let class = if self.kind == Kind::Audio { Class::Audio } else { Class::Video };
        let mut plan = self.plan(info, sequence, Patch::None, class);
        (plan.payload, plan.marker, plan.extensions) = (payload, false, Default::default());
        Ok(plan)
    }

    fn payload_type(&self, format: Format) -> Option<u8> {
        self.accepted.iter().find(|a| a.format == format).map(|a| a.payload_type)
    }

    fn moment(&self, info: &PacketInfo) -> Moment {
        Moment { received: info.received, captured: info.captured, sender: self.source.unwrap_or(0) }
    }
}

fn selects(layer: Layer, info: &PacketInfo) -> bool {
    info.frame.spatial <= layer.spatial && info.frame.temporal <= layer.temporal
}
