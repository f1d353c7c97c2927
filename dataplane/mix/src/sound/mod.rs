//! Mixed sound: the voices of a room become one stream for all who listen, and one less their own voice for each who speaks.
//!
//! Every 20 ms the loudest are summed (exactly, in 32 bits), a little noise is laid under them so that the line never sounds dead, and each
//! output that somebody needs is limited and encoded. An output is common or *without* one voice (mix-minus); its encoder outlives the need for it by
//! [`KEEP_ENCODER`]. Who is no longer among the loudest fades out. All state is per voice and per output, both bounded.
//!
//! Of Opus the loss that receivers report says how much goes into copies of what was said before (FEC). A mix does not pause when nobody speaks (DTX),
//! unlike a voice alone, although silence takes some 36 kbit/s: what never stops keeps ways through NATs open and timers of phones quiet, receivers
//! count no loss where nothing was lost, and the noise that tells a listener that the line lives is what a pause would leave out.

mod gain;
mod maker;
mod single;
pub mod stretch;
mod voice;

pub use gain::Leveller;
pub use single::{EmitSingle, MAX_SINGLES};
pub use voice::{FRAME, Voice, engine};

use maker::{Maker, Step};
use plenum_contract::{Codec, ParticipantKey};
use plenum_kernels::Kernels;
use plenum_wire::rtp;
use single::Singles;

/// How long the encoder of an output lives that nobody needs: a speaker who pauses comes back to the same one.
pub const KEEP_ENCODER: u64 = 5_000_000_000;
/// Most voices that are decoded at once: the loudest, and those who fade out or may come back.
pub const MAX_VOICES: usize = 16;
/// Most outputs; a further one is refused.
pub const MAX_OUTPUTS: usize = 64;
/// Loudness of the noise under the mix, as the largest sample: about −75 dBov.
const NOISE: u32 = 11;
/// Largest packet that an audio encoder makes, with its header.
const MAX_PACKET: usize = 1200;

/// How the sound of a room is mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundSettings {
    /// Noise under the mix.
    pub comfort_noise: bool,
    /// Quiet voices are made louder, loud ones quieter.
    pub level: bool,
}

impl Default for SoundSettings {
    fn default() -> Self {
        SoundSettings { comfort_noise: true, level: false }
    }
}

/// Takes a packet of an output: its codec, whose voice is left out, and the RTP packet.
pub type Emit<'a> = dyn FnMut(Codec, Option<ParticipantKey>, &[u8]) + 'a;

struct Speaker {
    key: ParticipantKey,
    voice: Voice,
    /// Gain of the last frame, and what it goes to.
    gain: (f32, f32),
    leveller: Leveller,
    frame: [i16; FRAME],
    /// Whether the frame has anything in it.
    sounds: bool,
}

struct Output {
    codec: Codec,
    without: Option<ParticipantKey>,
    maker: Maker,
    /// Since when nobody needs it.
    idle: Option<u64>,
    bitrate: u32,
}

/// The sound of one room.
pub struct Sound {
    kernels: Kernels,
    settings: SoundSettings,
    speakers: Vec<Speaker>,
    outputs: Vec<Output>,
    singles: Singles,
    /// Frames since the beginning: sequence numbers and timestamps of every output.
    frames: u64,
    noise: u32,
    sum: Vec<i32>,
    pcm: Vec<i16>,
    packet: Vec<u8>,
}

impl Sound {
    /// Silence.
    pub fn new(kernels: Kernels, settings: SoundSettings) -> Sound {
        Sound {
            kernels,
            settings,
            speakers: Vec::new(),
            outputs: Vec::new(),
            singles: Singles::default(),
            frames: 0,
            noise: 0x9e37_79b9,
            sum: vec![0; FRAME],
            pcm: vec![0; FRAME],
            packet: Vec::with_capacity(MAX_PACKET),
        }
    }

    /// A packet of somebody's sound; whether it was taken. Who is not among the voices becomes one while there is room.
    pub fn packet(
        &mut self,
        key: ParticipantKey,
        codec: Codec,
        clock: u32,
        header: &rtp::Header,
        payload: &[u8],
        arrival: u64,
    ) -> bool {
        let at = match self.speakers.iter().position(|s| s.key == key) {
            Some(at) => at,
            None => {
                let alone = self.singles().any(|single| single == key);
                let room = self.speakers.len() < MAX_VOICES + if alone { MAX_SINGLES } else { 0 };
                let Some(voice) = Some(()).filter(|()| room).and_then(|()| Voice::new(self.kernels, codec, clock))
                else {
                    return false;
                };
                let leveller = Leveller::default();
                self.speakers.push(Speaker {
                    key,
                    voice,
                    gain: (0.0, 0.0),
                    leveller,
                    frame: [0; FRAME],
                    sounds: false,
                });
                self.speakers.len() - 1
            }
        };
        self.speakers[at].voice.packet(codec, clock, header, payload, arrival);
        true
    }

    /// How loud somebody is mixed from the next frame on: 1 = as it comes, 0 = not at all.
    pub fn set_gain(&mut self, key: ParticipantKey, gain: f32) {
        if let Some(speaker) = self.speakers.iter_mut().find(|s| s.key == key) {
            speaker.gain.1 = gain;
        }
    }

    /// Whether voices are brought to about the same loudness. One that never spoke begins as it comes.
    pub fn set_level(&mut self, level: bool) {
        self.settings.level = level;
    }

    /// Forgets a voice.
    pub fn remove(&mut self, key: ParticipantKey) {
        self.speakers.retain(|s| s.key != key);
    }

    /// Somebody's voice, while there is one.
    pub fn voice(&mut self, key: ParticipantKey) -> Option<&mut Voice> {
        self.speakers.iter_mut().find(|s| s.key == key).map(|s| &mut s.voice)
    }

    /// Somebody needs this output at `bitrate` bit/s; whether it can be made.
    pub fn need(&mut self, codec: Codec, without: Option<ParticipantKey>, bitrate: u32) -> bool {
        if let Some(output) = self.outputs.iter_mut().find(|o| o.codec == codec && o.without == without) {
            output.idle = None;
            if output.bitrate != bitrate && bitrate > 0 {
                output.bitrate = bitrate;
                output.maker.set_rate(bitrate);
            }
            return true;
        }
        if self.outputs.len() >= MAX_OUTPUTS {
            return false;
        }
        let Some(maker) = Maker::new(self.kernels, codec, bitrate) else { return false };
        self.outputs.push(Output { codec, without, maker, idle: None, bitrate });
        true
    }

    /// Receivers of this output lose so many per cent of it: the encoder spends as much on copies of what was said before (Opus FEC).
    pub fn expect_loss(&mut self, codec: Codec, without: Option<ParticipantKey>, percent: u8) {
        for output in self.outputs.iter_mut().filter(|o| o.codec == codec && o.without == without) {
            output.maker.set_loss(percent);
        }
    }

    /// The same of a voice alone.
    pub fn expect_loss_of_single(&mut self, codec: Codec, key: ParticipantKey, percent: u8) {
        self.singles.expect_loss(codec, key, percent);
    }

    /// Nobody needs this output any more.
    pub fn unneeded(&mut self, codec: Codec, without: Option<ParticipantKey>, now: u64) {
        for output in self.outputs.iter_mut().filter(|o| o.codec == codec && o.without == without) {
            output.idle.get_or_insert(now);
        }
    }

    /// Somebody needs this voice alone in `codec`; whether it can be made.
    pub fn need_single(&mut self, codec: Codec, key: ParticipantKey, bitrate: u32) -> bool {
        self.singles.need(self.kernels, codec, key, bitrate)
    }

    /// Nobody needs it any more.
    pub fn unneeded_single(&mut self, codec: Codec, key: ParticipantKey, now: u64) {
        self.singles.unneeded(codec, key, now);
    }

    /// Lets single voices go that may not be made any more.
    pub fn retain_singles(&mut self, stays: impl Fn(Codec, ParticipantKey) -> bool) {
        self.singles.list.retain(|s| stays(s.codec, s.key));
    }

    /// Whose voice is needed alone.
    pub fn singles(&self) -> impl Iterator<Item = ParticipantKey> + '_ {
        self.singles.list.iter().filter(|s| s.idle.is_none()).map(|s| s.key)
    }

    /// Hands out a packet for each single voice that is needed, of the 20 ms that were just mixed.
    pub fn singles_of(&mut self, emit: &mut EmitSingle<'_>) {
        let Sound { singles, noise, sum, pcm, kernels, frames, settings, .. } = self;
        let lay = |sum: &mut [i32]| {
            if settings.comfort_noise {
                lay_noise(noise, sum);
            }
        };
        singles.encode(*kernels, frames.saturating_sub(1), lay, (sum, pcm), emit);
    }

    /// Mixes 20 ms and hands out a packet for each output that is needed.
    pub fn mix(&mut self, now: u64, emit: &mut Emit<'_>) {
        self.outputs.retain(|o| o.idle.is_none_or(|since| now.saturating_sub(since) < KEEP_ENCODER));
        self.singles.begin(now);
        self.sum.fill(0);
        if self.settings.comfort_noise {
            lay_noise(&mut self.noise, &mut self.sum);
        }
        for speaker in &mut self.speakers {
            let delay = speaker.voice.delay(now).unwrap_or(0).max(0);
            speaker.sounds = speaker.voice.pull(now, &mut speaker.frame);
            self.singles.hear(speaker.key, &speaker.frame, now.saturating_sub(delay as u64));
            let level = if self.settings.level { speaker.leveller.gain(&speaker.frame) } else { 1.0 };
            let (from, to) = (speaker.gain.0, speaker.gain.1 * level);
            speaker.gain.0 = to;
            speaker.sounds &= from > 0.0 || to > 0.0;
            if !speaker.sounds {
                continue;
            }
            if (from, to) != (1.0, 1.0) {
                self.kernels.gain(&mut speaker.frame, from, to);
            }
            self.kernels.mix(&mut self.sum, &speaker.frame);
        }
        for output in self.outputs.iter_mut().filter(|o| o.idle.is_none()) {
            let own = self.speakers.iter().find(|s| s.sounds && Some(s.key) == output.without);
            match own {
                Some(own) => self.kernels.limit_without(&self.sum, &own.frame, &mut self.pcm),
                None => self.kernels.limit(&self.sum, &mut self.pcm),
            }
            self.packet.clear();
            self.packet.resize(rtp::FIXED_LEN, 0);
            let step = output.maker.make(self.frames, &self.pcm, &mut self.packet);
            let Step::Packet { number, timestamp } = step else { continue };
            let fields = rtp::Fields { sequence: number as u16, timestamp, ..rtp::Fields::default() };
            let header = rtp::write_header(&mut self.packet, &fields);
            if header.is_ok() && (rtp::FIXED_LEN + 1..=MAX_PACKET).contains(&self.packet.len()) {
                emit(output.codec, output.without, &self.packet);
            }
        }
        self.frames += 1;
    }

    /// Whether anybody needs an output.
    pub fn is_needed(&self) -> bool {
        self.outputs.iter().any(|o| o.idle.is_none())
    }

    /// Leaves out so many frames of 20 ms: the room was stopped. Numbers and timestamps go on by time.
    pub fn skip(&mut self, frames: u64) {
        self.frames += frames;
    }

    /// Voices that are kept.
    pub fn voices(&self) -> impl Iterator<Item = ParticipantKey> + '_ {
        self.speakers.iter().map(|s| s.key)
    }
}

fn lay_noise(noise: &mut u32, sum: &mut [i32]) {
    for sample in sum {
        *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = (((*noise >> 16) * (2 * NOISE + 1)) >> 16) as i32 - NOISE as i32;
    }
}
