//! The one task that mutates. It owns the model, the store and the event log.
//!
//! Requests come through a bounded queue ([`Handle`]) and are taken in batches: apply all, write all in one transaction,
//! then publish events, tell media and answer. What could not be written is taken back and answered [`Failure::Store`]; a
//! refreshed token is prolonged instead, so that a sick disk throws nobody out, and sizes of tiles are carried in memory. What
//! media tells is applied whether it can be written or not (it has happened) and written with the next batch that can.

mod accounts;
mod audited;
mod batch;
mod clock;
mod gauges;
mod legs;
mod lost;
mod media;
mod meetings;
mod mixing;
mod moves;
mod offers;
mod persist;
mod request;
mod sight;
mod spool;
mod stills;
mod telling;
mod transcoding;

pub use clock::Clock;
pub use gauges::Gauges;
pub use request::{ConferenceInfo, Failure, MeetingNow, Offer, Reply, Request, Which};
pub use stills::{Newest, Picture, Size};

use crate::accounts::Accounts;
use crate::audit::{Note, Origin};
use crate::events::Logs;
use crate::link::{LinkEvent, MediaLink};
use crate::serve::Settings;
use crate::store::{LegRecord, Loaded, Store, StoreError, Write};
use accounts::Directories;
use audited::Auditor;
use legs::Legs;
use lost::Lost;
use media::Media;
use plenum_contract::event::EventBody as Told;
use plenum_model::{
    Action, ConferenceKey, Event, Fact, LayoutName, LegKey, Limits, Model, Outcome, ParticipantKey, Row,
};
use spool::Spool;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that wait. Behind them the next is refused at once: a queue that is longer than this takes longer than clients
/// wait, and would only hold memory.
const QUEUE: usize = 4_096;
/// Requests, or what media tells, in one transaction.
const BATCH: usize = 256;
/// Writes that wait for a store that fails; beyond them, entries of the audit log and events of webhooks are lost and counted.
const UNWRITTEN: usize = 4_096;
/// How often time is looked at: tokens end at most this late.
const TICK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) enum Input {
    Ask(Request, Option<Origin>, oneshot::Sender<Result<Reply, Failure>>),
    /// For the audit log.
    Note(Note),
    /// Looks at the time, at once: for tests with a manual clock.
    Tick(oneshot::Sender<()>),
    /// Tells everybody to go and ends the driver.
    End(oneshot::Sender<()>),
}

/// A way to ask the driver. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
    clock: Clock,
    accounts: Accounts,
    spooled: watch::Receiver<()>,
}

impl Handle {
    /// Changes whenever something is written for webhooks.
    pub fn spooled(&self) -> watch::Receiver<()> {
        self.spooled.clone()
    }

    /// The driver's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Accounts and keys as they are now.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`Failure`]: refused, not kept, too busy, or the program ends.
    pub async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.send(request, None).await
    }

    /// The same for a request that steers, or may: what was done goes into the audit log.
    ///
    /// # Errors
    /// As [`Handle::ask`].
    pub async fn ask_from(&self, origin: Origin, request: Request) -> Result<Reply, Failure> {
        self.send(request, Some(origin)).await
    }

    async fn send(&self, request: Request, origin: Option<Origin>) -> Result<Reply, Failure> {
        let (reply, answer) = oneshot::channel();
        self.inputs.try_send(Input::Ask(request, origin, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Busy,
            mpsc::error::TrySendError::Closed(_) => Failure::Ending,
        })?;
        answer.await.unwrap_or(Err(Failure::Ending))
    }

    /// Writes into the audit log what is no request. Nobody waits for it: when the queue is full it is left out.
    pub(crate) fn note(&self, note: Note) {
        let _ = self.inputs.try_send(Input::Note(note));
    }

    /// Lets the driver look at the time now.
    pub async fn tick(&self) {
        let (done, wait) = oneshot::channel();
        if self.inputs.send(Input::Tick(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Tells every client that the server goes, and ends the driver.
    pub async fn end(&self) {
        let (done, wait) = oneshot::channel();
        if self.inputs.send(Input::End(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// The task's state.
#[derive(Debug)]
pub struct Driver {
    settings: Arc<Settings>,
    clock: Clock,
    model: Model,
    legs: Legs,
    lost: Lost,
    media: Media,
    store: Store,
    accounts: Directories,
    auditor: Auditor,
    spool: Spool,
    logs: Logs,
    gauges: Arc<Gauges>,
    inputs: mpsc::Receiver<Input>,
    facts: mpsc::Receiver<LinkEvent>,
    /// Rows that are not written yet although what they say has happened.
    unwritten: BTreeSet<Row>,
    /// The same for what is no row of the model.
    unwritten_writes: Vec<Write>,
    /// What happened and is not told yet.
    untold: Vec<Event>,
}

impl Driver {
    /// A driver with what the store has. Nobody is thrown out: tokens get a fresh 120 s.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn new(
        settings: Arc<Settings>,
        mut store: Store,
        clock: Clock,
        link: MediaLink,
        facts: mpsc::Receiver<LinkEvent>,
    ) -> Result<(Driver, Handle, Arc<Gauges>), StoreError> {
        let Loaded { saved, legs: kept, lost, logos, logs, unreadable } = store.load().await?;
        let accounts = Accounts::new(store.directory().await?);
        let (conferences, participants) = (saved.conferences.len(), saved.participants.len());
        let now = clock.now();
        let limits = Limits {
            conferences: settings.limits.conferences,
            participants_per_conference: settings.limits.participants_per_conference,
            participants: settings.limits.participants,
            calls_per_participant: settings.limits.calls_per_participant,
        };
        let first_key = first_key(
            now.unix,
            &saved,
            kept.iter().map(|(_, record)| record).chain(lost.iter().map(|(_, _, call)| &call.record)),
        );
        let (model, left_out) = Model::restore(limits, first_key, now, saved);
        let mut unwritten = BTreeSet::new();
        let mut legs = Legs::default();
        for (leg, record) in kept {
            match model.owner_of(leg) {
                Some(_) => legs.insert(leg, record),
                None => {
                    unwritten.insert(Row::Leg(leg, plenum_model::CallId([0; 16])));
                }
            }
        }
        let (lost, mut unwritten_writes) = Lost::restored(now, &model, lost);
        let (logs, over) = telling::restored(&model, logs, left_out + unreadable == 0);
        unwritten_writes.extend(over);
        tracing::info!(conferences, participants, left_out, unreadable, "the store is read");
        let gauges = Arc::new(Gauges::default());
        gauges.store_ok.store(true, Relaxed);
        let (inputs, queue) = mpsc::channel(QUEUE);
        let look = mixing::Look { logo: settings.logo.clone(), level: settings.auto_gain, fps: settings.frame_rate };
        let media = Media::new(link, settings.mixer, mixing::Mixes::new(look, logos));
        let (spool, spooled) = Spool::new(&model);
        let driver = Driver {
            settings,
            clock: clock.clone(),
            model,
            legs,
            lost,
            media,
            store,
            accounts: Directories::new(accounts.clone()),
            auditor: Auditor::default(),
            spool,
            logs,
            gauges: gauges.clone(),
            inputs: queue,
            facts,
            unwritten,
            unwritten_writes,
            untold: Vec::new(),
        };
        Ok((driver, Handle { inputs, clock, accounts, spooled }, gauges))
    }

    /// Runs until [`Handle::end`] or until nobody can ask any more.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut batch, mut facts) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut media_open = true;
        loop {
            self.count();
            tokio::select! {
                count = self.inputs.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    if let Some(ended) = self.batch(&mut batch).await {
                        self.finish().await;
                        let _ = ended.send(());
                        return;
                    }
                }
                count = self.facts.recv_many(&mut facts, BATCH), if media_open => {
                    media_open = count > 0;
                    facts.drain(..).for_each(|fact| self.told(fact));
                    self.write_what_happened().await;
                }
                _ = ticks.tick() => self.tick().await,
            }
        }
        self.store.close().await;
    }

    /// Time passed.
    async fn tick(&mut self) {
        self.happened(Action::Tick);
        let used = self.accounts.used(self.clock.now().ms);
        self.later(used);
        let forgotten = self.lost.sweep(self.clock.now(), &self.model);
        self.later(forgotten);
        let unasked = self.media.stills.sweep(self.clock.now().ms);
        self.tell_sight(&[], [], unasked.into_iter().collect());
        self.media.mixes.sweep(&self.model);
        let mixes = &self.media.mixes;
        self.gauges.mix_problems(|problems| problems.retain(|key, _| mixes.is_told(ConferenceKey(*key))));
        self.write_what_happened().await;
        self.survey();
    }

    /// Writes `rows`, `more` and what was left unwritten. `false` = nothing was written.
    async fn write(&mut self, rows: BTreeSet<Row>, more: Vec<Write>) -> bool {
        let mut all = self.unwritten.clone();
        all.extend(rows);
        if all.is_empty() && more.is_empty() && self.unwritten_writes.is_empty() {
            return true;
        }
        let written = match persist::writes(&self.model, &self.legs, &all) {
            Ok(mut writes) => {
                let before = writes.len();
                writes.append(&mut self.unwritten_writes);
                let waited = before..writes.len();
                writes.extend(more);
                let written = self.store.commit(&writes).await;
                if written.is_err() {
                    self.unwritten_writes.extend(writes.drain(waited));
                }
                written
            }
            Err(error) => Err(error.into()),
        };
        match written {
            Ok(()) => {
                self.unwritten.clear();
                self.spool_written();
                if !self.gauges.store_ok.swap(true, Relaxed) {
                    tracing::info!("the store can be written again");
                }
                true
            }
            Err(error) => {
                Gauges::count(&self.gauges.store_failures);
                if self.gauges.store_ok.swap(false, Relaxed) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be written");
                }
                false
            }
        }
    }

    /// Written with the next batch, or at the next tick. While the store fails there is a bound; what is beyond it is lost.
    fn later(&mut self, writes: Vec<Write>) {
        for write in writes {
            if self.unwritten_writes.len() < UNWRITTEN {
                self.unwritten_writes.push(write);
                continue;
            }
            match &write {
                Write::Spool(hook, _) => self.gauges.hooks.of(hook, |state| state.lost += 1),
                Write::Audit(_) => Gauges::count(&self.gauges.audit_dropped),
                _ => {}
            }
        }
    }

    /// Media says something.
    fn told(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { hello, same_boot, snapshot } => self.media_up(hello, same_boot, &snapshot),
            LinkEvent::Down => {
                self.media.hello = None;
                self.gauges.media_up.store(false, Relaxed);
            }
            LinkEvent::Metrics(metrics) => self.gauges.set_media(metrics),
            LinkEvent::Still(still) => {
                let place = ConferenceKey(still.conference.0);
                if self.media.stills.take(self.clock.now().ms, self.unix_ms(), still) {
                    self.happened(Action::Fact(Fact::PresentationFrame(place)));
                }
            }
            LinkEvent::Refused { index, reason, leg } => {
                tracing::error!(index, reason, leg = leg.map(|leg| leg.0), "media refused a command");
                if let Some(leg) = leg {
                    self.session_refused(leg, &reason);
                }
            }
            LinkEvent::Event(body) => self.media_event(body),
        }
    }

    fn media_up(
        &mut self,
        hello: plenum_contract::event::Hello,
        same_boot: bool,
        snapshot: &plenum_contract::Snapshot,
    ) {
        tracing::info!(same_boot, shards = hello.shards.len(), calls = self.legs.len(), "media is connected");
        self.media.hello = Some(hello);
        self.gauges.media_up.store(true, Relaxed);
        if same_boot {
            self.media.reconcile(&mut self.model, &mut self.legs, snapshot);
            self.legs.forget_told();
            let all: Vec<LegKey> = self.legs.iter().map(|(leg, _)| leg).collect();
            let places = self.model.conferences().map(|conference| conference.key).collect();
            self.tell_sight(&[], all, places);
        } else {
            if self.media.seen {
                Gauges::count(&self.gauges.media_restarts);
            }
            let lost = self.lost.remember(self.clock.now(), &self.model, &self.legs);
            self.later(lost);
            self.happened(Action::Fact(Fact::EveryLegEnded { reason: "media restarted".into() }));
            self.media.forget();
        }
        self.media.seen = true;
    }

    /// Media does not have the session that the client was answered with: the call is over, and the client is told why. Where
    /// media kept an older one it is removed with the call.
    fn session_refused(&mut self, leg: plenum_contract::LegKey, reason: &str) {
        let why = reason.strip_prefix(&format!("leg {}: ", leg.0)).unwrap_or(reason);
        self.happened(Action::Fact(Fact::LegEnded { leg: LegKey(leg.0), reason: format!("Call refused: {why}") }));
    }

    fn media_event(&mut self, body: Told) {
        let key = |key: plenum_contract::ParticipantKey| ParticipantKey(key.0);
        let fact = match body {
            Told::LegConnected { leg, suite, remote, tcp, dtls } => {
                tracing::info!(leg = leg.0, suite, %remote, tcp, dtls, "a leg is connected");
                Fact::LegConnected(LegKey(leg.0))
            }
            Told::LegEnded { leg, reason } => {
                tracing::info!(leg = leg.0, ?reason, "a leg ended");
                Fact::LegEnded { leg: LegKey(leg.0), reason: reason.text().into() }
            }
            Told::LegSilent { leg } => {
                tracing::info!(leg = leg.0, "a leg is silent: nothing is sent to it");
                return;
            }
            Told::Bound { leg, binding } => {
                tracing::debug!(leg = leg.0, ssrc = binding.ssrc, media = binding.media, "a source is bound");
                self.legs.bind(LegKey(leg.0), binding);
                return;
            }
            Told::Speakers { conference, order } => Fact::Speakers {
                conference: ConferenceKey(conference.0),
                order: order.into_iter().map(|(who, speaks)| (key(who), speaks)).collect(),
            },
            Told::MixUnable { conference, reason } => {
                let alias = self.model.conference(ConferenceKey(conference.0)).and_then(|c| c.settings.aliases.first());
                let Some(alias) = alias.cloned() else { return };
                tracing::warn!(conference = alias, reason, "the mixer cannot do a part of a mix");
                self.gauges.mix_problems(|problems| problems.insert(conference.0, (alias, reason)));
                return;
            }
            Told::MixShed { conference, level } => {
                let conference = ConferenceKey(conference.0);
                let Some(place) = self.model.conference(conference).filter(|place| place.mix_shed != level) else {
                    return;
                };
                let (alias, before) = (place.settings.aliases.first(), place.mix_shed);
                if level > before {
                    tracing::warn!(
                        conference = alias,
                        level,
                        before,
                        "the mixer is behind and leaves out more of a mix"
                    );
                } else {
                    tracing::info!(conference = alias, level, before, "the mixer leaves out less of a mix");
                }
                Fact::MixShed { conference, level }
            }
            Told::Seats { leg, seats, presentation, layout } => Fact::Seats {
                leg: LegKey(leg.0),
                seats: seats.into_iter().map(|seat| seat.map(key)).collect(),
                presentation: presentation.map(key),
                layout: layout.as_deref().and_then(LayoutName::parse),
            },
            Told::TrackActive { .. } | Told::Layer { .. } | Told::Bandwidth { .. } | Told::Dtmf { .. } => return,
        };
        self.happened(Action::Fact(fact));
    }

    /// Tells everybody that the server goes. Their sessions end: after a start in order nobody is there.
    async fn finish(mut self) {
        self.happened(Action::EndAll { reason: "The server is shutting down".into() });
        self.write_what_happened().await;
        self.count();
        self.survey();
        // Readers see the end of the log only when it is dropped.
        self.logs = Logs::default();
        self.store.close().await;
    }

    /// Numbers that cost nothing to know.
    fn count(&self) {
        let gauges = &self.gauges;
        gauges.conferences.store(self.model.conference_count() as u64, Relaxed);
        gauges.participants.store(self.model.participant_count() as u64, Relaxed);
        gauges.calls.store(self.legs.len() as u64, Relaxed);
        gauges.events.store(self.logs.appended, Relaxed);
    }

    /// Numbers that cost a walk over all conferences.
    fn survey(&self) {
        let active = self.model.conferences().filter(|conference| !conference.members.is_empty()).count();
        self.gauges.active_conferences.store(active as u64, Relaxed);
        self.gauges.event_streams.store(self.logs.readers() as u64, Relaxed);
    }

    /// Counts what an outcome means.
    fn note(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Joined { .. }) {
            Gauges::count(&self.gauges.joins);
        }
    }
}

/// Keys above everything that was ever used: from the wall clock, so that a key whose row is gone meanwhile is not given
/// again to something else while media still knows it; and above all rows, should the clock have been turned back.
fn first_key<'a>(unix: u64, saved: &plenum_model::Saved, legs: impl Iterator<Item = &'a LegRecord>) -> u64 {
    let conferences = saved.conferences.iter().map(|conference| conference.key.0.max(conference.meeting));
    let participants = saved.participants.iter().map(|(_, participant)| participant.key.0);
    let legs = legs.map(|record| record.spec.key.0.max(record.first_track + crate::calls::TRACKS_PER_LEG));
    let used = conferences.chain(participants).chain(legs).max().unwrap_or(0);
    (unix << 20).max(used + 1)
}
