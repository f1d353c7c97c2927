//! What people in a conference, and operators, do: who may (MGMT-7), and what it changes.

use crate::access::Role;
use crate::action::{By, Command, MemberCommand};
use crate::conference::{Conference, Token};
use crate::effects::{MediaChange, Outcome, Refusal, Row};
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, Now, ParticipantId, ParticipantKey, TokenHash};
use crate::join::{clean_name, clean_text};
use crate::limits::{MESSAGE_BYTES, NAME_CHARS, TOKEN_LIFE_MS, TOKENS_PER_PARTICIPANT, VOLUME};
use crate::model::{Fx, Model, Step};
use crate::participant::{Participant, ServiceState};

/// Who acts, once that is known: `me` is `None` for an operator.
#[derive(Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) me: Option<ParticipantKey>,
    host: bool,
    admitted: bool,
}

impl Actor {
    fn must_host(&self) -> Result<(), Refusal> {
        self.host.then_some(()).ok_or(Refusal::HostOnly)
    }

    fn must_be_in(&self) -> Result<(), Refusal> {
        self.admitted.then_some(()).ok_or(Refusal::Waiting)
    }
}

impl Model {
    pub(crate) fn command(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey, by: By, command: Command) -> Step {
        let conference = self.conference(place).ok_or(Refusal::NoSuchConference)?;
        let actor = match by {
            By::Operator => Actor { me: None, host: true, admitted: true },
            By::Token(token) => {
                let me = self.authenticate(now, place, &token).ok_or(Refusal::InvalidToken)?;
                let standing = conference.standing(me).ok_or(Refusal::InvalidToken)?;
                Actor { me: Some(me), host: standing.host, admitted: standing.admitted }
            }
        };
        match command {
            Command::Refresh { token, display_name } => self.refresh(now, fx, place, actor, by, token, display_name),
            Command::Extend => self.extend(now, place, by),
            Command::Leave => {
                let me = actor.me.ok_or_else(no_member)?;
                self.remove(fx, place, me, "Participant left");
                Ok(Outcome::Done)
            }
            Command::Roster => Ok(Outcome::Roster(match actor.me {
                Some(me) => conference.roster_for(me),
                None => conference.members.keys().filter_map(|key| conference.view(*key)).collect(),
            })),
            Command::Status => Ok(Outcome::Status(conference.status())),
            Command::Message { content_type, payload } => self.message(fx, place, actor, None, content_type, payload),
            Command::To { target, command } => self.for_member(now, fx, place, actor, target, command),
            steering => {
                actor.must_host()?;
                self.steer(now, fx, place, steering)
            }
        }
    }

    /// Commands of hosts to the conference.
    fn steer(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey, command: Command) -> Step {
        match command {
            Command::Lock(locked) => {
                let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
                // An empty conference has no meeting that could be locked.
                if conference.locked != locked && !conference.members.is_empty() {
                    conference.locked = locked;
                    self.status_changed(fx, place);
                    self.admit_all_if_open(fx, place);
                }
            }
            Command::Nothing => {}
            Command::Layouts => return self.layouts(place),
            Command::Start => self.start(fx, place),
            Command::MuteGuests { muted, but_presenter } => self.mute_guests(fx, place, muted, but_presenter),
            Command::MuteOnJoin(muted) => self.set_mute_on_join(fx, place, muted),
            Command::MuteAll { audio, video } => self.mute_all(fx, place, audio, video),
            Command::Dial(dial) => return self.dial(now, fx, place, *dial),
            Command::End => self.remove_everybody(fx, place, "Conference terminated by a host"),
            Command::OverrideLayout { entries, whole } => return self.override_layout(fx, place, entries, whole),
            Command::ClearHands => {
                let Some(conference) = self.conference(place) else { return Err(Refusal::NoSuchConference) };
                let raised: Vec<_> = conference.members.values().filter(|m| m.buzz_time != 0).map(|m| m.key).collect();
                for key in raised {
                    self.set(fx, place, key, false, |member| member.buzz_time = 0);
                }
            }
            _ => return Err(Refusal::HostOnly),
        }
        Ok(Outcome::Done)
    }

    #[allow(clippy::too_many_arguments)]
    fn refresh(
        &mut self,
        now: Now,
        fx: &mut Fx,
        place: ConferenceKey,
        actor: Actor,
        by: By,
        new: TokenHash,
        display_name: Option<String>,
    ) -> Step {
        let (Some(me), By::Token(_)) = (actor.me, by) else { return Err(no_member()) };
        let name = display_name.map(|name| clean_name(&name)).transpose()?;
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        if conference.tokens.contains_key(&new) {
            return Err(Refusal::BadValue("the random source gave a known value".into()));
        }
        let mut mine: Vec<_> =
            conference.tokens.iter().filter(|(_, t)| t.participant == me).map(|(h, t)| (t.expires_ms, *h)).collect();
        mine.sort_unstable();
        let surplus = (mine.len() + 1).saturating_sub(TOKENS_PER_PARTICIPANT);
        for (_, hash) in mine.into_iter().take(surplus) {
            conference.tokens.remove(&hash);
            fx.rows.push(Row::Token(place, hash));
        }
        conference.tokens.insert(new, Token { participant: me, expires_ms: now.ms + TOKEN_LIFE_MS });
        fx.rows.push(Row::Token(place, new));
        let role = conference.member(me).map_or(Role::Guest, |member| member.role);
        if let Some(name) = name.filter(|name| conference.member(me).is_some_and(|member| member.display_name != *name))
        {
            self.set(fx, place, me, false, |member| member.display_name = name);
        }
        Ok(Outcome::Refreshed(role))
    }

    fn extend(&mut self, now: Now, place: ConferenceKey, by: By) -> Step {
        let By::Token(hash) = by else { return Err(no_member()) };
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        let Some(token) = conference.tokens.get_mut(&hash) else { return Err(Refusal::InvalidToken) };
        token.expires_ms = now.ms + TOKEN_LIFE_MS;
        let participant = token.participant;
        let role = conference.member(participant).map_or(Role::Guest, |member| member.role);
        Ok(Outcome::Refreshed(role))
    }

    /// A host is there with media, or says that guests may come in.
    pub(crate) fn start(&mut self, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference_mut(place) else { return };
        if conference.started || conference.members.is_empty() {
            return;
        }
        conference.started = true;
        self.status_changed(fx, place);
        self.admit_all_if_open(fx, place);
    }

    pub(crate) fn start_if_a_host_has_media(&mut self, fx: &mut Fx, place: ConferenceKey) {
        let hosted =
            |conference: &Conference| conference.members.values().any(|m| m.role == Role::Host && m.has_media());
        if self.conference(place).is_some_and(|conference| !conference.started && hosted(conference)) {
            self.start(fx, place);
        }
    }

    fn mute_guests(&mut self, fx: &mut Fx, place: ConferenceKey, muted: bool, but_presenter: bool) {
        let Some(conference) = self.conference_mut(place) else { return };
        if conference.members.is_empty() {
            return;
        }
        if conference.guests_muted != muted {
            conference.guests_muted = muted;
            self.status_changed(fx, place);
        }
        let Some(conference) = self.conference(place) else { return };
        let spared = conference.presenter.filter(|_| but_presenter && muted);
        let guests: Vec<_> = conference
            .members
            .values()
            .filter(|m| m.role == Role::Guest && m.audio_muted != muted && spared != Some(m.key))
            .map(|m| m.key)
            .collect();
        for guest in guests {
            self.set(fx, place, guest, true, |member| member.audio_muted = muted);
        }
    }

    fn message(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        actor: Actor,
        to: Option<ParticipantKey>,
        content_type: String,
        payload: String,
    ) -> Step {
        actor.must_be_in()?;
        let Some(conference) = self.conference(place) else { return Err(Refusal::NoSuchConference) };
        if !conference.settings.chat {
            return Err(Refusal::ChatDisabled);
        }
        if payload.len() > MESSAGE_BYTES {
            return Err(Refusal::BadValue(format!("payload is longer than {MESSAGE_BYTES} bytes")));
        }
        if content_type.len() > NAME_CHARS || content_type.chars().any(char::is_control) {
            return Err(Refusal::BadValue("type is no MIME type".into()));
        }
        let sender = actor.me.and_then(|me| conference.member(me));
        let body = EventBody::Message {
            origin: sender.map_or_else(|| "Operator".into(), |member| member.display_name.clone()),
            from: sender.map(|member| member.id),
            direct: to.is_some(),
            content_type,
            payload,
        };
        fx.event(place, to.map_or(Audience::Admitted, Audience::One), body);
        Ok(Outcome::Done)
    }

    fn for_member(
        &mut self,
        now: Now,
        fx: &mut Fx,
        place: ConferenceKey,
        actor: Actor,
        target: ParticipantId,
        command: MemberCommand,
    ) -> Step {
        let conference = self.conference(place).ok_or(Refusal::NoSuchConference)?;
        let member = conference
            .member_by_id(target)
            .filter(|member| visible(&actor, member))
            .ok_or(Refusal::NoSuchParticipant)?;
        let (key, state) = (member.key, member.state);
        let own = actor.me == Some(key);
        let for_all = matches!(command, MemberCommand::Message { .. });
        let for_self = matches!(
            command,
            MemberCommand::Call(_)
                | MemberCommand::SelfMute(_)
                | MemberCommand::Hand(_)
                | MemberCommand::TakeFloor
                | MemberCommand::ReleaseFloor
        );
        let may = for_all || (own && for_self);
        if !may {
            actor.must_host()?;
        }
        if matches!(command, MemberCommand::Hand(true) | MemberCommand::SelfMute(_)) && !own {
            return Err(Refusal::BadValue("only the participant can do this".into()));
        }
        match command {
            MemberCommand::Disconnect => self.remove(fx, place, key, "API initiated participant disconnect"),
            MemberCommand::Mute(muted) => self.set(fx, place, key, true, |m| m.audio_muted = muted),
            MemberCommand::SelfMute(muted) => self.set(fx, place, key, true, |m| m.self_muted = muted),
            MemberCommand::VideoMute(muted) => self.set(fx, place, key, true, |m| m.video_muted = muted),
            MemberCommand::LowLatency(wanted) => self.set(fx, place, key, true, |m| m.low_latency = wanted),
            MemberCommand::ReceivePresentation(allowed) => {
                self.set(fx, place, key, true, |m| m.presentation_denied = !allowed)
            }
            MemberCommand::Hand(raised) => {
                self.set(fx, place, key, false, |m| m.buzz_time = if raised { now.unix.max(1) } else { 0 });
            }
            MemberCommand::OverlayText(text) => {
                let text = clean_text(&text)?;
                // No text is the name again.
                let or_name = |m: &mut Participant| if text.is_empty() { m.display_name.clone() } else { text };
                self.set(fx, place, key, false, |m| m.overlay_text = or_name(m));
            }
            MemberCommand::Spotlight(on) => self.spotlight(now, fx, place, key, on),
            MemberCommand::Importance(importance) => self.set_importance(fx, place, key, importance),
            MemberCommand::Volume(percent) if percent > VOLUME => {
                return Err(Refusal::BadValue(format!("volume: at most {VOLUME} percent")));
            }
            MemberCommand::Volume(percent) => self.set(fx, place, key, true, |m| m.volume = percent),
            MemberCommand::Layout(layout) => self.set_own_layout(fx, place, key, layout),
            MemberCommand::Lobby => self.send_to_lobby(fx, place, key)?,
            MemberCommand::Transfer(transfer) => return self.transfer(now, fx, place, key, transfer),
            MemberCommand::Digits(digits) => self.send_digits(fx, place, key, digits)?,
            MemberCommand::Camera(movement) => self.steer_camera(fx, place, key, EventBody::Camera(movement))?,
            MemberCommand::Admit => {
                if state == ServiceState::WaitingRoom {
                    self.admit(fx, place, key);
                }
            }
            MemberCommand::Role(role) => self.set_role(fx, place, key, role),
            MemberCommand::Message { content_type, payload } => {
                return self.message(fx, place, actor, Some(key), content_type, payload);
            }
            MemberCommand::TakeFloor => self.take_floor_checked(fx, place, key)?,
            MemberCommand::ReleaseFloor => self.release_floor(fx, place, key),
            MemberCommand::Call(call) => return self.call(fx, place, key, own, call),
        }
        Ok(Outcome::Done)
    }

    /// Changes one member. Nothing happens when the change changes nothing; `media` says whether media must know.
    pub(crate) fn set(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        media: bool,
        change: impl FnOnce(&mut Participant),
    ) {
        let Some(member) = self.conference(place).and_then(|conference| conference.member(key)) else { return };
        let mut after = member.clone();
        change(&mut after);
        if after == *member {
            return;
        }
        let Some(member) = self.conference_mut(place).and_then(|conference| conference.member_mut(key)) else { return };
        *member = after;
        if media {
            member.revision += 1;
            fx.media.push(MediaChange::Participant(place, key));
        }
        self.updated(fx, place, key);
    }

    /// MGMT-37. A host who becomes guest is muted where guests are.
    pub(crate) fn set_role(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, role: Role) {
        let Some(before) = self.conference(place).and_then(|c| c.member(key)).map(|member| member.role) else { return };
        if before == role {
            return;
        }
        if role == Role::Host {
            self.admit(fx, place, key);
        }
        let mute = role == Role::Guest && self.conference(place).is_some_and(|conference| conference.guests_muted);
        self.set(fx, place, key, true, |member| {
            member.role = role;
            member.audio_muted |= mute;
        });
        self.tell_standing(fx, place, key);
        // What a host sees and a guest does not: who waits.
        let Some(conference) = self.conference(place) else { return };
        let waiting = conference.members.values().filter(|m| m.state == ServiceState::WaitingRoom && !m.hidden);
        for member in waiting {
            let body = match role {
                Role::Host => EventBody::Created(Box::new(member.view(false))),
                Role::Guest => EventBody::Deleted(member.id),
            };
            fx.event(place, Audience::One(key), body);
        }
        if !conference.layouts.is_empty() {
            self.tell_layout(fx, place, key);
        }
        self.start_if_a_host_has_media(fx, place);
        self.end_if_nobody_keeps_it(fx, place);
    }
}

fn visible(actor: &Actor, member: &Participant) -> bool {
    if actor.me == Some(member.key) || actor.me.is_none() {
        return true;
    }
    actor.admitted && !member.hidden && (actor.host || member.state != ServiceState::WaitingRoom)
}

fn no_member() -> Refusal {
    Refusal::BadValue("an operator is no participant".into())
}
