//! Single voices in another codec, for those who are forwarded to and cannot decode the original.
//!
//! The voice is the one that is mixed, with its jitter buffer and its concealment, before any gain. In the pauses of the original a little noise goes on in
//! codecs that cannot pause (all but Opus). Opus pauses too, with a packet now and then; by how loud it is, because the encoder's own judgement takes a steady
//! tone for noise. A voice of which nothing ever came is silent.

use super::maker::{Maker, Step};
use super::{FRAME, KEEP_ENCODER, MAX_PACKET};
use plenum_contract::{Codec, ParticipantKey};
use plenum_kernels::Kernels;
use plenum_wire::rtp;

/// Most single voices that are made; a further one is refused.
pub const MAX_SINGLES: usize = 32;

/// Samples up to this are silence: about −56 dBov.
const SILENCE: u16 = 50;
/// So many frames of silence are sent before a pause, and one of so many in it: 200 and 400 ms.
const PAUSE: (u32, u32) = (10, 20);

/// Takes a packet of a single voice: its codec, whose it is, when what it says was captured, and the RTP packet.
pub type EmitSingle<'a> = dyn FnMut(Codec, ParticipantKey, u64, &[u8]) + 'a;

/// One voice in one codec.
pub(super) struct Single {
    pub(super) key: ParticipantKey,
    pub(super) codec: Codec,
    maker: Maker,
    /// Since when nobody needs it.
    pub(super) idle: Option<u64>,
    bitrate: u32,
    sequence: u16,
    /// Frames of silence so far.
    silent: u32,
    /// Whether the packet before was left out: the next one begins to speak.
    paused: bool,
    /// What the voice says in these 20 ms, and when that was captured; `None` when there is no voice.
    heard: Option<u64>,
    frame: [i16; FRAME],
}

/// The single voices of a room.
#[derive(Default)]
pub(super) struct Singles {
    pub(super) list: Vec<Single>,
    packet: Vec<u8>,
}

impl Singles {
    /// Somebody needs a voice in a codec; whether it can be made.
    pub(super) fn need(&mut self, kernels: Kernels, codec: Codec, key: ParticipantKey, bitrate: u32) -> bool {
        if let Some(single) = self.find(codec, key) {
            single.idle = None;
            if single.bitrate != bitrate && bitrate > 0 {
                single.bitrate = bitrate;
                single.maker.set_rate(bitrate);
            }
            return true;
        }
        if self.list.len() >= MAX_SINGLES {
            return false;
        }
        let Some(maker) = Maker::new(kernels, codec, bitrate) else { return false };
        self.list.push(Single {
            key,
            codec,
            maker,
            idle: None,
            bitrate,
            sequence: 0,
            silent: 0,
            paused: true,
            heard: None,
            frame: [0; FRAME],
        });
        true
    }

    /// Its receivers lose so many per cent.
    pub(super) fn expect_loss(&mut self, codec: Codec, key: ParticipantKey, percent: u8) {
        if let Some(single) = self.find(codec, key) {
            single.maker.set_loss(percent);
        }
    }

    /// Nobody needs it any more.
    pub(super) fn unneeded(&mut self, codec: Codec, key: ParticipantKey, now: u64) {
        if let Some(single) = self.find(codec, key) {
            single.idle.get_or_insert(now);
        }
    }

    fn find(&mut self, codec: Codec, key: ParticipantKey) -> Option<&mut Single> {
        self.list.iter_mut().find(|s| (s.codec, s.key) == (codec, key))
    }

    /// The next 20 ms begin: nobody said anything yet, and encoders that were long idle go.
    pub(super) fn begin(&mut self, now: u64) {
        self.list.retain(|s| s.idle.is_none_or(|since| now.saturating_sub(since) < KEEP_ENCODER));
        self.list.iter_mut().for_each(|s| s.heard = None);
    }

    /// What a voice says in these 20 ms.
    pub(super) fn hear(&mut self, key: ParticipantKey, frame: &[i16; FRAME], captured: u64) {
        for single in self.list.iter_mut().filter(|s| s.key == key && s.idle.is_none()) {
            single.frame = *frame;
            single.heard = Some(captured);
        }
    }

    /// Encodes what was heard: `frames` are counted since the beginning of the room. `noise`: laid under it, `sum` is used for that.
    pub(super) fn encode(
        &mut self,
        kernels: Kernels,
        frames: u64,
        mut noise: impl FnMut(&mut [i32]),
        (sum, pcm): (&mut [i32], &mut [i16]),
        emit: &mut EmitSingle<'_>,
    ) {
        for single in &mut self.list {
            let Some(captured) = single.heard else { continue };
            if single.pauses() {
                single.paused = true;
                continue;
            }
            sum.fill(0);
            noise(sum);
            kernels.mix(sum, &single.frame);
            kernels.limit(sum, pcm);
            self.packet.clear();
            self.packet.resize(rtp::FIXED_LEN, 0);
            let timestamp = match single.maker.make(frames, pcm, &mut self.packet) {
                Step::Packet { timestamp, .. } => Some(timestamp),
                Step::Waits => continue,
                Step::Nothing => None,
            };
            let fields = rtp::Fields {
                marker: single.paused,
                sequence: single.sequence,
                timestamp: timestamp.unwrap_or(0),
                ..rtp::Fields::default()
            };
            let header = rtp::write_header(&mut self.packet, &fields);
            let fits = (rtp::FIXED_LEN + 1..=MAX_PACKET).contains(&self.packet.len());
            single.paused = !(header.is_ok() && fits && timestamp.is_some());
            if !single.paused {
                single.sequence = single.sequence.wrapping_add(1);
                emit(single.codec, single.key, captured, &self.packet);
            }
        }
    }
}

impl Single {
    /// Whether nothing is sent of these 20 ms.
    fn pauses(&mut self) -> bool {
        let silent = self.frame.iter().all(|sample| sample.unsigned_abs() <= SILENCE);
        self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
        let (after, every) = PAUSE;
        self.codec == Codec::Opus && self.silent > after && !self.silent.is_multiple_of(every)
    }
}
