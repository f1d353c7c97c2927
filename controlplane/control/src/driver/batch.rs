//! One batch: apply, write once, then publish, tell media and answer.

use super::mixing::MAX_LOGOS;
use super::{Clock, ConferenceInfo, Driver, Failure, Input, Newest, Reply, Request, Size};
use crate::audit::Origin;
use crate::events::Observed;
use crate::store::Write;
use crate::store::rows::SettingsRow;
use plenum_contract as contract;
use plenum_model::{
    Action, By, Command, Conference, ConferenceId, ConferenceKey, Effects, Event, LegKey, MediaChange, MemberCommand,
    NewConference, Outcome, Refusal, Row, ServiceState, TokenHash,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<Reply, Failure>>;

/// What a batch does outside of the model once it is written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) rows: BTreeSet<Row>,
    /// What is written beside the model's rows.
    pub(super) writes: Vec<Write>,
    events: Vec<Event>,
    media: Vec<MediaChange>,
    commands: Vec<contract::Command>,
    /// Logos that are given and taken away.
    logos: Vec<(ConferenceKey, Option<Arc<[u8]>>)>,
    /// Legs whose client said what it wants to see.
    pub(super) sight: BTreeSet<LegKey>,
}

impl Pending {
    /// Takes the effects of a step; its answer comes back.
    pub(super) fn take(&mut self, effects: Effects) -> Result<Outcome, Refusal> {
        self.rows.extend(effects.rows);
        self.events.extend(effects.events);
        self.media.extend(effects.media);
        effects.outcome
    }

    /// Grows with all that must be kept before it is answered.
    fn size(&self) -> (usize, usize, usize) {
        (self.rows.len(), self.writes.len(), self.events.len())
    }

    /// A command to media that follows the changes so far.
    pub(super) fn command(&mut self, command: contract::Command) {
        self.commands.push(command);
    }
}

impl Driver {
    /// Does a batch. Returns the sender to answer when the program shall end.
    pub(super) async fn batch(&mut self, inputs: &mut Vec<Input>) -> Option<oneshot::Sender<()>> {
        let (mut asks, mut follows, mut ticks, mut end) = (Vec::new(), Vec::new(), Vec::new(), None);
        let mut reads = Vec::new();
        for input in inputs.drain(..) {
            match input {
                Input::Ask(
                    request
                    @ (Request::Follow { .. } | Request::Resume(_) | Request::Observe | Request::Picture { .. }),
                    _,
                    answer,
                ) => follows.push((request, answer)),
                Input::Ask(request @ (Request::Audit(_) | Request::Spooled { .. }), _, answer) => {
                    reads.push((request, answer))
                }
                Input::Ask(request, origin, answer) => asks.push((request, origin, answer)),
                Input::Note(note) => self.noted(note),
                Input::Tick(done) => ticks.push(done),
                Input::End(done) => end = Some(done),
            }
        }
        if !ticks.is_empty() {
            self.tick().await;
        }
        self.asks(asks).await;
        for (request, answer) in reads {
            let _ = answer.send(self.read(request).await);
        }
        // Readers begin after the events of this batch: what they are shown first already contains them.
        for (request, answer) in follows {
            let reply = match request {
                Request::Picture { alias, token, size } => self.picture(&alias, token, size),
                request => self.follow(request),
            };
            let _ = answer.send(reply);
        }
        for done in ticks {
            let _ = done.send(());
        }
        end
    }

    /// What is not in memory.
    async fn read(&mut self, request: Request) -> Result<Reply, Failure> {
        let found = match request {
            Request::Audit(query) => self.store.audit(&query).await.map(Reply::Audit),
            Request::Spooled { hook, limit } => self.store.spooled(&hook, limit).await.map(Reply::Spooled),
            _ => return Err(Failure::Busy),
        };
        found.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store cannot be read");
            Failure::Store
        })
    }

    async fn asks(&mut self, asks: Vec<(Request, Option<Origin>, Answer)>) {
        if asks.is_empty() {
            return;
        }
        let mut pending = Pending::default();
        let mut done: Vec<(Request, Answer, Result<Reply, Failure>, bool)> = Vec::with_capacity(asks.len());
        self.begin();
        for (request, origin, answer) in asks {
            let deed = origin.and_then(|origin| self.deed(origin, &request));
            let before = pending.size();
            let reply = self.one(request.clone(), &mut pending);
            // A row that another request touched already still counts as written by both.
            let touched = pending.size() != before;
            let wrote = reply.is_ok() && (touched || writes(&request));
            if let Some(deed) = deed {
                pending.writes.extend(self.audited(deed, &reply));
            }
            done.push((request, answer, reply, wrote));
        }
        let spooled = self.spool(&pending.events);
        pending.writes.extend(spooled);
        let places = super::mixing::touched(&pending.events, &pending.media);
        let told = self.numbered(std::mem::take(&mut pending.events));
        pending.writes.extend(self.parts(&told));
        let (rows, more) = (std::mem::take(&mut pending.rows), std::mem::take(&mut pending.writes));
        if (rows.is_empty() && more.is_empty()) || self.write(rows, more).await {
            self.keep(pending, told, places);
            for (_, answer, reply, _) in done {
                let _ = answer.send(reply);
            }
            return;
        }
        self.rollback();
        for (request, answer, _, wrote) in done {
            let _ = answer.send(self.without_store(request, wrote));
        }
    }

    fn begin(&mut self) {
        self.model.begin();
        self.legs.begin();
    }

    fn rollback(&mut self) {
        self.model.rollback();
        self.legs.rollback();
        self.accounts.rollback();
    }

    fn keep(&mut self, pending: Pending, told: Vec<Observed>, mut places: BTreeSet<ConferenceKey>) {
        self.model.commit();
        self.legs.commit();
        self.accounts.commit();
        self.publish(told);
        for (key, logo) in pending.logos {
            self.media.mixes.set_logo(key, logo);
            self.gauges.mix_problems(|problems| problems.remove(&key.0));
            places.insert(key);
        }
        // A call that is opened again starts in the same batch: media must have its session first.
        let (starts, changes): (Vec<_>, Vec<_>) =
            pending.media.iter().partition(|change| matches!(change, MediaChange::StartLeg(_)));
        self.media.tell(&self.model, &mut self.legs, &changes);
        let mut legs = pending.sight;
        if !pending.commands.is_empty() {
            let forgotten = self.lost.sweep(self.clock.now(), &self.model);
            self.later(forgotten);
        }
        for command in pending.commands {
            let contract::Command::Session(spec) = &command else { continue };
            let leg = LegKey(spec.key.0);
            // A later request of the same batch may have ended the call.
            if self.legs.get(leg).is_some() {
                self.media.send(command);
                legs.insert(leg);
                places.extend(self.model.owner_of(leg).map(|(place, _)| place));
            }
        }
        self.media.tell(&self.model, &mut self.legs, &starts);
        self.tell_sight(&pending.media, legs, places);
    }

    /// The store failed: what only reads is answered, a token is prolonged, sizes of tiles are taken and written when they can be,
    /// everything else is refused.
    fn without_store(&mut self, request: Request, wrote: bool) -> Result<Reply, Failure> {
        let request = match request {
            Request::Do { alias, by, command: Command::Refresh { .. } } => {
                Request::Do { alias, by, command: Command::Extend }
            }
            other if wrote && !matches!(other, Request::Wishes { .. }) => {
                tracing::debug!(request = other.name(), "refused: the store cannot be written");
                return Err(Failure::Store);
            }
            other => other,
        };
        let sizes = matches!(request, Request::Wishes { .. });
        let mut pending = Pending::default();
        self.begin();
        let reply = self.one(request, &mut pending);
        if sizes {
            self.unwritten.append(&mut pending.rows);
        }
        if pending.size() == (0, 0, 0) {
            self.keep(pending, Vec::new(), BTreeSet::new());
            return reply;
        }
        self.rollback();
        Err(Failure::Store)
    }

    /// One request.
    fn one(&mut self, request: Request, pending: &mut Pending) -> Result<Reply, Failure> {
        let now = self.clock.now();
        match request {
            Request::Join(join) => {
                let outcome = pending.take(self.model.apply(now, Action::Join(join)))?;
                self.note(&outcome);
                self.joined(outcome)
            }
            Request::Check { alias, pin } => {
                let (conference, role) = self.model.check_access(&alias, pin.as_deref())?;
                Ok(Reply::Checked { role, settings: conference.settings.clone() })
            }
            Request::Do { alias, by, command } => {
                let conference = self.place(&alias, by)?;
                let prolonged = matches!(command, Command::Extend);
                let moved = match &command {
                    Command::To { target, command: MemberCommand::Transfer(_) } => Some(*target),
                    _ => None,
                };
                let command = self.completed(conference, command);
                let outcome = pending.take(self.model.apply(now, Action::Do { conference, by, command }))?;
                if let Some(target) = moved {
                    self.settled(target);
                }
                Ok(match outcome {
                    Outcome::Layouts(layouts) => Reply::Layouts(layouts),
                    Outcome::Dialled(id) => Reply::Dialled(id),
                    Outcome::Refreshed(role) => Reply::Refreshed { role, prolonged },
                    Outcome::Roster(list) => Reply::Roster(list),
                    Outcome::Status(status) => Reply::Status(status),
                    _ => Reply::Done,
                })
            }
            Request::Offer(offer) => self.offer(offer, pending),
            Request::Wishes { alias, by, target, call, slots } => self.wishes(&alias, by, target, call, slots, pending),
            Request::Follow { .. } | Request::Resume(_) | Request::Observe => self.follow(request),
            Request::Picture { alias, token, size } => self.picture(&alias, token, size),
            Request::Meetings(which) => Ok(Reply::Meetings(self.meetings(which))),
            Request::Conferences(None) => {
                Ok(Reply::Conferences(self.model.conferences().map(|c| self.info(c)).collect()))
            }
            Request::Conferences(Some(name)) => {
                let key = self.place(&name, By::Operator)?;
                Ok(Reply::Conferences(self.model.conference(key).map(|c| self.info(c)).into_iter().collect()))
            }
            Request::Page { offset, limit, filter } => {
                let filter = filter.to_lowercase();
                let fits = |text: &String| text.to_lowercase().contains(&filter);
                let all = self.model.conferences();
                let found: Vec<&Conference> =
                    all.filter(|c| fits(&c.settings.name) || c.settings.aliases.iter().any(fits)).collect();
                let page = found.iter().skip(offset).take(limit).map(|conference| self.info(conference)).collect();
                Ok(Reply::Page(page, found.len()))
            }
            // Read beside the batch.
            Request::Audit(_) | Request::Spooled { .. } => Err(Failure::Busy),
            Request::Delivered { hook, last } => {
                pending.writes.push(Write::Delivered(hook, last));
                Ok(Reply::Done)
            }
            Request::Create(settings) => {
                let id = ConferenceId(*uuid::Uuid::new_v4().as_bytes());
                match pending.take(self.model.apply(now, Action::Create(NewConference { id, settings })))? {
                    Outcome::Created(_, id) => Ok(Reply::Created(id)),
                    _ => Ok(Reply::Done),
                }
            }
            Request::Change(name, settings) => {
                let key = self.place(&name, By::Operator)?;
                pending.take(self.model.apply(now, Action::Change { key, settings }))?;
                Ok(Reply::Done)
            }
            Request::Delete(name) => {
                let key = self.place(&name, By::Operator)?;
                pending.take(self.model.apply(now, Action::Delete(key)))?;
                Ok(Reply::Done)
            }
            Request::Logo(name) => Ok(Reply::Logo(self.media.mixes.logo(self.place(&name, By::Operator)?))),
            Request::SetLogo(name, logo) => {
                let key = self.place(&name, By::Operator)?;
                if logo.is_some() && !self.media.mixes.has_room_for_logo(key) {
                    return Err(
                        Refusal::Limit(format!("{MAX_LOGOS} conferences have a logo of their own already")).into()
                    );
                }
                pending.writes.push(Write::Logo(key.0.cast_signed(), logo.clone()));
                pending.logos.push((key, logo));
                Ok(Reply::Done)
            }
            Request::Accounts(change) => {
                pending.writes.push(self.accounts.change(now.unix, change)?);
                Ok(Reply::Done)
            }
        }
    }

    fn joined(&self, outcome: Outcome) -> Result<Reply, Failure> {
        let Outcome::Joined { conference, key, id, role, state } = outcome else { return Ok(Reply::Done) };
        let conference = self.model.conference(conference).ok_or(Refusal::NoSuchConference)?;
        let display_name = conference.member(key).map(|member| member.display_name.clone()).unwrap_or_default();
        Ok(Reply::Joined { id, role, state, settings: conference.settings.clone(), display_name })
    }

    /// The conference that a request means; only operators may name it by its UUID.
    pub(super) fn place(&self, name: &str, by: By) -> Result<ConferenceKey, Refusal> {
        let place = match by {
            By::Token(token) => self.model.place_for(name, &token),
            By::Operator => self.model.resolve(name).map(|conference| conference.key),
        };
        if let Some(place) = place {
            return Ok(place);
        }
        let id = ConferenceId::parse(name).filter(|_| by == By::Operator).ok_or(Refusal::NoSuchConference)?;
        self.model.conferences().find(|conference| conference.id == id).map(|c| c.key).ok_or(Refusal::NoSuchConference)
    }

    fn follow(&mut self, request: Request) -> Result<Reply, Failure> {
        let (key, viewer, last_id) = match request {
            Request::Follow { alias, token, last_id } => {
                let key = self.place(&alias, By::Token(token))?;
                let viewer = self.model.authenticate(self.clock.now(), key, &token).ok_or(Refusal::InvalidToken)?;
                (key, viewer, last_id)
            }
            Request::Resume(viewer) => (self.model.conference_of(viewer).ok_or(Refusal::InvalidToken)?, viewer, None),
            _ => {
                let pictures = self.model.conferences().map(|c| (c.key, c.picture_for_observers()));
                return Ok(Reply::Observing(self.logs.observe(pictures.filter(|(_, picture)| !picture.is_empty()))));
            }
        };
        let conference = self.model.conference(key).ok_or(Refusal::NoSuchConference)?;
        let standing = conference.standing(viewer).ok_or(Refusal::InvalidToken)?;
        let picture = || conference.picture_for(viewer);
        let passing = || conference.passing_for(viewer);
        let log = (key, conference.meeting);
        let stream = self.logs.follow(log, standing, last_id.as_deref(), picture, passing);
        // They are to learn that there is a picture of a presentation that began before they came.
        if self.settings.mixer && standing.admitted {
            self.ask_picture(key, Size::Usual);
        }
        Ok(Reply::Stream(stream))
    }

    /// MGMT-46: whoever is in and may see the presentation.
    fn picture(&mut self, alias: &str, token: TokenHash, size: Size) -> Result<Reply, Failure> {
        let key = self.place(alias, By::Token(token))?;
        let viewer = self.model.authenticate(self.clock.now(), key, &token).ok_or(Refusal::InvalidToken)?;
        let conference = self.model.conference(key).ok_or(Refusal::NoSuchConference)?;
        let member = conference.member(viewer).ok_or(Refusal::InvalidToken)?;
        if !member.admitted() {
            return Err(Refusal::Waiting.into());
        }
        if member.presentation_denied {
            return Err(Refusal::NotNow("The presentation is not shown to this participant".into()).into());
        }
        let newest = if self.settings.mixer { self.ask_picture(key, size) } else { None };
        Ok(Reply::Picture(newest))
    }

    /// Has pictures of a presentation made for a while; `None` when nobody presents.
    fn ask_picture(&mut self, key: ConferenceKey, size: Size) -> Option<Newest> {
        let (newest, news) = self.media.stills.ask(self.clock.now().ms, key, size)?;
        if news {
            self.tell_sight(&[], [], BTreeSet::from([key]));
        }
        Some(newest)
    }

    fn info(&self, conference: &Conference) -> ConferenceInfo {
        ConferenceInfo {
            key: conference.key,
            id: conference.id,
            settings: SettingsRow::of(&conference.settings),
            status: conference.status(),
            participants: conference.members.values().filter(|m| m.state != ServiceState::Connecting).count(),
            with_media: conference.members.values().filter(|m| m.has_media()).count(),
            logo: self.media.mixes.logo(conference.key).is_some(),
        }
    }

    /// Wall-clock milliseconds, for revisions that outlive the process.
    pub(super) fn unix_ms(&self) -> u64 {
        match &self.clock {
            Clock::System(_) => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Clock::Manual(_) => self.clock.now().unix * 1000,
        }
    }
}

/// Whether a request that succeeds changes what is kept, whatever else the batch did.
fn writes(request: &Request) -> bool {
    match request {
        Request::Check { .. } | Request::Follow { .. } | Request::Resume(_) | Request::Observe => false,
        Request::Conferences(_) | Request::Page { .. } | Request::Audit(_) => false,
        Request::Wishes { .. } | Request::Meetings(_) | Request::Picture { .. } => false,
        Request::Spooled { .. } | Request::Logo(_) => false,
        Request::Do { command, .. } => {
            !matches!(command, Command::Roster | Command::Status | Command::Layouts | Command::Extend)
        }
        _ => true,
    }
}
