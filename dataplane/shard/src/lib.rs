//! One core's world: commands and datagrams in, transmits and events out; no I/O.
//!
//! ```text
//!  Datagram ─► steer ─► session (ICE, DTLS, open) ─► route: plan for each slot ─► session (pacer)
//!  Command  ─► commands ─► world                                                     │
//!  time     ─► tick: sessions' timers, stage, layers, release, protect ─► trains ◄───┘
//! ```
//!
//! [`Shard::handle`] takes a packet, [`Shard::command`] what control wants, [`Shard::tick`] lets time pass and says what is to
//! be sent. Nothing is allocated per packet after warm-up; conferences share nothing but the pool and the sealer.

#![forbid(unsafe_code)]

mod channels;
mod commands;
mod egress;
mod histogram;
mod ingress;
mod inspect;
mod layers;
mod mix;
mod reconcile;
mod report;
mod seats;
mod slab;
mod steer;
mod timers;
mod trains;
mod world;

pub use histogram::Histogram;

use plenum_contract::{EventBody, LegKey, Still};
use plenum_packet::{DropCounts, Path, Time};
use plenum_session::{Env, Feedback, Released};
use plenum_srtp::Sealer;
use std::sync::Arc;
use steer::Steer;
use timers::Timers;
use world::{ConferenceIndex, LegIndex, TrackIndex, World};

/// What a shard is made with.
pub struct ShardConfig {
    /// What all sessions share.
    pub env: Arc<Env>,
    /// Most sessions; one more is refused.
    pub max_sessions: usize,
    /// Fills a seed from a CSPRNG (a simulation: from its own seed).
    pub random: SeedSource,
}

/// Fills a seed.
pub type SeedSource = Box<dyn FnMut(&mut [u8; 32]) + Send>;

/// One core's world.
pub struct Shard {
    config: ShardConfig,
    world: World,
    steer: Steer,
    timers: Timers,
    sealer: Sealer,
    /// Control packets that wait for the end of the tick.
    control: Vec<(Path, plenum_packet::Buf)>,
    /// Legs whose timers run now; kept for its capacity.
    due: Vec<LegIndex>,
    /// During a tick: no session is armed for an earlier instant.
    not_before: Time,
    /// Legs with something to release.
    dirty: Vec<LegIndex>,
    released: Released,
    /// For each run of released packets: whose, and the index of the first.
    runs: Vec<(LegIndex, usize)>,
    feedback: Vec<Feedback>,
    unsettled: Vec<ConferenceIndex>,
    /// Of the layer decisions; kept for their capacity.
    targets: Vec<Option<plenum_route::Layer>>,
    asks: Vec<(TrackIndex, u8)>,
    changed: Vec<TrackIndex>,
    due_key_frames: Vec<(TrackIndex, u8)>,
    next_key_frames: Time,
    next_stage: Time,
    next_layers: Time,
    events: Vec<(bool, EventBody)>,
    /// Pictures of presentations that the mixer made, for control.
    stills: Vec<Still>,
    drops: DropCounts,
    mixer: mix::Mixer,
    /// Of each packet of the last tick: when it was received, its wait in the pacer added.
    left: Vec<Time>,
    residence: Histogram,
    pacer_wait: Histogram,
}

impl Shard {
    /// An empty shard.
    pub fn new(config: ShardConfig) -> Shard {
        Shard {
            config,
            world: World::default(),
            steer: Steer::default(),
            timers: Timers::default(),
            sealer: Sealer::new(),
            control: Vec::new(),
            due: Vec::new(),
            not_before: Time::ZERO,
            dirty: Vec::new(),
            released: Released::default(),
            runs: Vec::new(),
            feedback: Vec::new(),
            unsettled: Vec::new(),
            targets: Vec::new(),
            asks: Vec::new(),
            changed: Vec::new(),
            due_key_frames: Vec::new(),
            next_key_frames: Time::NEVER,
            next_stage: Time::ZERO,
            next_layers: Time::ZERO,
            events: Vec::new(),
            stills: Vec::new(),
            drops: DropCounts::default(),
            mixer: mix::Mixer::default(),
            left: Vec::new(),
            residence: Histogram::default(),
            pacer_wait: Histogram::default(),
        }
    }

    /// When [`Shard::tick`] is due at the latest.
    pub fn deadline(&self) -> Time {
        if !self.dirty.is_empty() || !self.unsettled.is_empty() || !self.control.is_empty() {
            return Time::ZERO;
        }
        let housekeeping = match self.world.legs.len() {
            0 => Time::NEVER,
            _ => self.next_stage.min(self.next_layers).min(self.next_key_frames),
        };
        self.timers.next().min(housekeeping)
    }

    /// Hands out what happened since the last call: whether it is durable, and what it is.
    pub fn drain_events(&mut self, mut take: impl FnMut(bool, EventBody)) {
        for (durable, body) in self.events.drain(..) {
            take(durable, body);
        }
    }

    /// Hands out pictures of presentations that came since the last call.
    pub fn drain_stills(&mut self, take: impl FnMut(Still)) {
        self.stills.drain(..).for_each(take);
    }

    /// Whether it has a session with this key.
    pub fn has_leg(&self, key: LegKey) -> bool {
        self.world.leg(key).is_some()
    }

    fn tell(&mut self, durable: bool, body: EventBody) {
        self.events.push((durable, body));
    }

    fn random(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        (self.config.random)(&mut seed);
        seed
    }
}
