//! Participants whom we call (MGMT-15 to MGMT-18), and when a conference goes on without people of its own (MGMT-17).
//!
//! The model knows that somebody is being called, by when they must have answered, and what they are there for; how a call is
//! made is another part's business, which hears of it as a [`Signal`] and answers with facts. A protocol that no part speaks
//! is refused before anything changes.

use crate::access::Role;
use crate::conference::Conference;
use crate::effects::{Outcome, Refusal, Signal};
use crate::ids::{ConferenceKey, Now, ParticipantId, ParticipantKey};
use crate::join::clean_name;
use crate::limits::{ALIAS_CHARS, ANSWER_MS, DTMF_DIGITS, NAME_CHARS, URL_CHARS};
use crate::model::{Fx, Model, Step};
use crate::participant::{Participant, ServiceState};
use std::sync::Arc;

/// How a participant is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Steers only.
    Api,
    /// A browser or app.
    WebRtc,
    /// SIP.
    Sip,
    /// H.323.
    H323,
    /// Lync.
    MsSip,
    /// A telephone.
    Phone,
    /// A stream, or a recorder.
    Rtmp,
    /// A camera.
    Rtsp,
    /// One of our own users or terminals, whatever they use.
    Auto,
}

/// Which protocols can be dialled: those whose parts are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// SIP, telephones, and our own users.
    pub sip: bool,
    /// RTMP.
    pub rtmp: bool,
}

/// Whether a conference goes on when, apart from people who were dialled, everybody has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeepAlive {
    /// Until this participant leaves, if they are a host.
    Yes,
    /// While there are two of this kind, one of them a host.
    IfMultiple,
    /// Not for this participant's sake.
    Never,
}

/// What a dialled call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialMedia {
    /// Main picture and presentation.
    Video,
    /// Main picture.
    VideoOnly,
    /// Sound.
    Audio,
}

/// Somebody to call (MGMT-15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Outside name of the new participant, from a random source.
    pub id: ParticipantId,
    /// Whom: address, short number, telephone number or URL.
    pub destination: String,
    /// Rights of the new participant.
    pub role: Role,
    /// See [`Dialled`].
    pub how: Dialled,
    /// Name in the list; empty = the destination.
    pub display_name: String,
}

/// What is kept of a call that we made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// By what.
    pub protocol: Protocol,
    /// What it carries.
    pub media: DialMedia,
    /// A stream or recorder, not a person.
    pub streaming: bool,
    /// Whether the conference goes on for their sake.
    pub keep_alive: KeepAlive,
    /// Digits to send right after they answered (MGMT-18).
    pub dtmf_sequence: String,
    /// RTMP: where the presentation goes.
    pub presentation_url: String,
    /// Conference alias to call from; empty = the first.
    pub source: String,
    /// What the called side sees; empty = the conference's name.
    pub source_display_name: String,
    /// Monotonic milliseconds at which nobody has answered; set by the model.
    pub answer_by_ms: u64,
}

impl Model {
    /// Says which protocols there are parts for.
    pub fn set_capabilities(&mut self, capabilities: Capabilities) {
        self.capabilities = capabilities;
    }

    pub(crate) fn dial(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey, dial: Dial) -> Step {
        let Dial { id, destination, role, mut how, display_name } = dial;
        let text = |text: &str, most: usize, what: &str| {
            if text.chars().count() > most || text.chars().any(char::is_control) {
                return Err(Refusal::BadValue(format!("{what} must have at most {most} printable characters")));
            }
            Ok(())
        };
        if destination.trim().is_empty() {
            return Err(Refusal::BadValue("destination is missing".into()));
        }
        text(&destination, URL_CHARS, "destination")?;
        text(&how.presentation_url, URL_CHARS, "presentation_url")?;
        text(&how.source, ALIAS_CHARS, "source")?;
        text(&how.source_display_name, NAME_CHARS, "source_display_name")?;
        digits(&how.dtmf_sequence).map_or(Ok(()), Err)?;
        let name = if display_name.trim().is_empty() {
            destination.trim().chars().take(NAME_CHARS).collect()
        } else {
            clean_name(&display_name)?
        };
        if !self.speaks(how.protocol) {
            return Err(Refusal::NotAvailable(
                match how.protocol {
                    Protocol::Rtmp | Protocol::Rtsp => {
                        "dialling out by RTMP or RTSP needs streaming, which this server lacks"
                    }
                    Protocol::H323 => "this server speaks no H.323",
                    _ => "dialling out needs SIP, which this server lacks",
                }
                .into(),
            ));
        }
        self.room_for_one_more(place)?;
        let conference = self.conference(place).ok_or(Refusal::NoSuchConference)?;
        if conference.by_id.contains_key(&id) {
            return Err(Refusal::BadValue("the random source gave a known value".into()));
        }
        if conference.members.is_empty() {
            return Err(Refusal::BadValue("nobody is in the conference".into()));
        }
        how.answer_by_ms = now.ms + ANSWER_MS;
        let muted = conference.joins_muted(role);
        let key = ParticipantKey(self.fresh_key());
        let participant = Participant {
            uri: destination.trim().into(),
            audio_muted: muted,
            dialled: Some(how),
            state: ServiceState::Connecting,
            ..Participant::new(key, id, name, role, now.unix)
        };
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        conference.by_id.insert(id, key);
        conference.members.insert(key, Arc::new(participant));
        self.index_participant(key, Some(place));
        fx.keep(place, key);
        fx.signals.push(Signal::Dial(place, key));
        self.tell_created(fx, place, key);
        Ok(Outcome::Dialled(id))
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Sip | Protocol::Phone | Protocol::MsSip | Protocol::Auto => self.capabilities.sip,
            Protocol::Rtmp => self.capabilities.rtmp,
            Protocol::Api | Protocol::WebRtc | Protocol::H323 | Protocol::Rtsp => false,
        }
    }

    /// They answered: they are in, whatever the room's lock says, because a host called them.
    pub(crate) fn answered(&mut self, fx: &mut Fx, key: ParticipantKey) {
        let Some(place) = self.conference_of(key) else { return };
        let Some(member) = self.conference(place).and_then(|c| c.member(key)) else { return };
        let Some(how) = member.dialled.as_ref().filter(|_| member.state == ServiceState::Connecting) else { return };
        let sequence = how.dtmf_sequence.clone();
        let streamed = self.conference(place).is_some_and(Conference::streaming);
        self.set(fx, place, key, true, |member| member.state = ServiceState::Conference);
        if !sequence.is_empty() {
            fx.signals.push(Signal::Digits(key, sequence));
        }
        self.streams_changed(fx, place, streamed);
    }

    /// They are rejected, unreachable, or hung up.
    pub(crate) fn hung_up(&mut self, fx: &mut Fx, key: ParticipantKey, reason: &str) {
        let Some(place) = self.conference_of(key) else { return };
        if self.conference(place).and_then(|c| c.member(key)).is_some_and(|member| member.dialled.is_some()) {
            self.remove(fx, place, key, reason);
        }
    }

    /// Calls that nobody answered in time end (MGMT-16).
    pub(crate) fn unanswered(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference(place) else { return };
        let late = |member: &&Arc<Participant>| {
            member.state == ServiceState::Connecting
                && member.dialled.as_ref().is_some_and(|how| how.answer_by_ms <= now.ms)
        };
        let late: Vec<ParticipantKey> = conference.members.values().filter(late).map(|member| member.key).collect();
        for key in late {
            self.remove(fx, place, key, "No answer");
        }
    }

    /// MGMT-36: only whom we called takes tones.
    pub(crate) fn send_digits(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        text: String,
    ) -> Result<(), Refusal> {
        if text.is_empty() {
            return Err(Refusal::BadValue("digits is missing".into()));
        }
        digits(&text).map_or(Ok(()), Err)?;
        let member = self.conference(place).and_then(|c| c.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        if member.dialled.is_none() {
            let reason = "this participant takes no tones: they joined by a browser or the API";
            return Err(Refusal::NotAvailable(reason.into()));
        }
        if !member.admitted() {
            return Err(Refusal::BadValue("this participant has not answered yet".into()));
        }
        fx.signals.push(Signal::Digits(key, text));
        Ok(())
    }

    /// A stream began or ended, if `before` is what was: everybody is told.
    pub(crate) fn streams_changed(&self, fx: &mut Fx, place: ConferenceKey, before: bool) {
        if self.conference(place).is_some_and(|conference| conference.streaming() != before) {
            self.status_changed(fx, place);
        }
    }
}

impl Conference {
    /// Whether a stream of this conference runs.
    pub fn streaming(&self) -> bool {
        let streams =
            |member: &Arc<Participant>| member.admitted() && member.dialled.as_ref().is_some_and(|how| how.streaming);
        self.members.values().any(streams)
    }

    /// Whether there is reason to go on: somebody came by themselves, or those who were dialled keep it alive.
    pub(crate) fn lives(&self) -> bool {
        let (mut yes, mut multiple, mut hosted) = (false, 0usize, false);
        for member in self.members.values() {
            let Some(how) = &member.dialled else { return true };
            let host = member.role == Role::Host;
            match how.keep_alive {
                KeepAlive::Yes => yes |= host,
                KeepAlive::IfMultiple => {
                    multiple += 1;
                    hosted |= host;
                }
                KeepAlive::Never => {}
            }
        }
        self.members.is_empty() || yes || (multiple >= 2 && hosted)
    }
}

/// Why these cannot be digits to send; `None` = they can.
fn digits(text: &str) -> Option<Refusal> {
    let tone = |digit: char| digit.is_ascii_digit() || matches!(digit, '*' | '#' | ',' | 'A'..='D' | 'a'..='d');
    let wrong = text.len() > DTMF_DIGITS || !text.chars().all(tone);
    wrong.then(|| Refusal::BadValue(format!("digits must be at most {DTMF_DIGITS} of 0-9 * # A-D and the pause ,")))
}
