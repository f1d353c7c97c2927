//! A conference: its settings, which an operator makes, and its live state, which ends with the last participant.

use crate::access::Role;
use crate::effects::Refusal;
use crate::ids::{ConferenceId, ConferenceKey, LegKey, ParticipantId, ParticipantKey, TokenHash};
use crate::layout::{LayoutEntry, LayoutName};
use crate::limits::{ALIAS_CHARS, ALIASES, NAME_CHARS, PIN_CHARS};
use crate::participant::{Participant, ServiceState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a conference exists, and when it may be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Until an operator deletes it; always open.
    Permanent,
    /// Open from `begins` to `ends`, unix seconds; at its end everybody is out.
    Scheduled {
        /// First second.
        begins: u64,
        /// First second after it.
        ends: u64,
    },
    /// Gone with its last participant.
    AdHoc,
}

/// What an operator decides about a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Shown to people.
    pub name: String,
    /// Digits or address; each is unique among all conferences, without regard to letter case. The first is canonical.
    pub aliases: Vec<String>,
    /// Makes a host. Without it everybody is host.
    pub host_pin: Option<String>,
    /// Makes a guest.
    pub guest_pin: Option<String>,
    /// Whether guests may enter at all.
    pub allow_guests: bool,
    /// Whether chat messages are passed on.
    pub chat: bool,
    /// Whether guests may take the presentation.
    pub guests_can_present: bool,
    /// Whether everybody's microphone is muted on joining (CMS-21 joinAudioMuteOverride).
    pub mute_on_join: bool,
    /// Layout unless a host says otherwise.
    pub layout: LayoutName,
    /// When the last host leaves, the guest who came first becomes host. Else the meeting goes on without one.
    pub hand_over: bool,
    /// How long it exists.
    pub kind: Kind,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            aliases: Vec::new(),
            host_pin: None,
            guest_pin: None,
            allow_guests: true,
            chat: true,
            guests_can_present: true,
            mute_on_join: false,
            layout: LayoutName::DEFAULT,
            hand_over: false,
            kind: Kind::Permanent,
        }
    }
}

impl Settings {
    /// Why these settings cannot be, if so.
    pub fn problem(&self) -> Option<String> {
        let plain = |text: &str| !text.chars().any(char::is_control);
        if self.name.is_empty() || self.name.chars().count() > NAME_CHARS || !plain(&self.name) {
            return Some(format!("name must have 1 to {NAME_CHARS} printable characters"));
        }
        if self.aliases.is_empty() || self.aliases.len() > ALIASES {
            return Some(format!("a conference has 1 to {ALIASES} aliases"));
        }
        for alias in &self.aliases {
            let allowed = |c: char| c.is_alphanumeric() || "@.-_+".contains(c);
            let length = alias.chars().count();
            if length == 0 || length > ALIAS_CHARS || !alias.chars().all(allowed) || alias.starts_with('.') {
                return Some(format!("alias {alias:?}: 1 to {ALIAS_CHARS} letters, digits and @ . - _ +"));
            }
        }
        for pin in [&self.host_pin, &self.guest_pin].into_iter().flatten() {
            if pin.is_empty()
                || pin.chars().count() > PIN_CHARS
                || !pin.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
            {
                return Some(format!("a PIN has 1 to {PIN_CHARS} letters or digits"));
            }
            if pin.eq_ignore_ascii_case("none") {
                return Some("a PIN cannot be the word none".into());
            }
        }
        if matches!(self.kind, Kind::Scheduled { begins, ends } if ends <= begins) {
            return Some("a scheduled conference ends after it begins".into());
        }
        match (&self.host_pin, &self.guest_pin) {
            (None, Some(_)) => Some("a guest PIN needs a host PIN".into()),
            (Some(host), Some(guest)) if host == guest => Some("host and guest PIN must differ".into()),
            _ => None,
        }
    }

    /// Whether the conference may be entered at this time.
    pub(crate) fn open_at(&self, unix: u64) -> Result<(), Refusal> {
        match self.kind {
            Kind::Scheduled { begins, .. } if unix < begins => {
                Err(Refusal::NotNow("This conference has not begun yet".into()))
            }
            Kind::Scheduled { ends, .. } if unix >= ends => {
                Err(Refusal::NotNow("The time of this conference is over".into()))
            }
            _ => Ok(()),
        }
    }
}

/// A token of the session (MGMT-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose.
    pub participant: ParticipantKey,
    /// Monotonic milliseconds at which it is no longer valid.
    pub expires_ms: u64,
}

/// One conference. Cheap to clone: participants are shared until they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    /// Inside name.
    pub key: ConferenceKey,
    /// Outside name.
    pub id: ConferenceId,
    /// What the operator decided.
    pub settings: Settings,
    /// Grows with each change that media must know.
    pub revision: u64,
    /// New guests wait until a host lets them in (MGMT-20).
    pub locked: bool,
    /// Guests who join are muted (MGMT-22).
    pub guests_muted: bool,
    /// A host with media is or was there, or a host started it (MGMT-21).
    pub started: bool,
    /// A recorder runs.
    pub recording: bool,
    /// Number of the meeting that goes on, never used again; 0 = nobody is there.
    pub meeting: u64,
    /// For this meeting, instead of [`Settings::mute_on_join`].
    pub mute_on_join: Option<bool>,
    /// Who holds the presentation floor.
    pub presenter: Option<ParticipantKey>,
    /// Layouts that a host chose, per audience.
    pub layouts: Vec<LayoutEntry>,
    /// How much of its composed pictures is left out, because the mixer is behind; 0 = nothing.
    pub mix_shed: u8,
    /// Speakers, most recent first, with whether they speak now.
    pub stage: Vec<(ParticipantKey, bool)>,
    /// Everybody.
    pub members: BTreeMap<ParticipantKey, Arc<Participant>>,
    /// Outside names of the members.
    pub by_id: BTreeMap<ParticipantId, ParticipantKey>,
    /// Valid tokens, and such as have expired since the last tick.
    pub tokens: BTreeMap<TokenHash, Token>,
}

impl Conference {
    pub(crate) fn new(key: ConferenceKey, id: ConferenceId, settings: Settings) -> Conference {
        Conference {
            key,
            id,
            settings,
            revision: 0,
            locked: false,
            guests_muted: false,
            started: false,
            recording: false,
            meeting: 0,
            mute_on_join: None,
            presenter: None,
            layouts: Vec::new(),
            mix_shed: 0,
            stage: Vec::new(),
            members: BTreeMap::new(),
            by_id: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// The member with this key.
    pub fn member(&self, key: ParticipantKey) -> Option<&Participant> {
        self.members.get(&key).map(Arc::as_ref)
    }

    /// The member with this outside name.
    pub fn member_by_id(&self, id: ParticipantId) -> Option<&Participant> {
        self.by_id.get(&id).and_then(|key| self.member(*key))
    }

    /// The media connections of all members.
    pub fn legs(&self) -> impl Iterator<Item = LegKey> {
        self.members.values().flat_map(|member| &member.calls).map(|call| call.leg)
    }

    pub(crate) fn member_mut(&mut self, key: ParticipantKey) -> Option<&mut Participant> {
        self.members.get_mut(&key).map(Arc::make_mut)
    }

    /// Whether guests may be let in without anybody's doing: it has started, or has no host PIN that makes roles differ.
    pub fn open_to_guests(&self) -> bool {
        !self.locked && (self.started || self.settings.host_pin.is_none())
    }

    /// The members whom `viewer` may see, in the order they came: hosts see who waits, those who wait see themselves.
    pub fn visible_to(&self, viewer: ParticipantKey) -> Vec<&Participant> {
        let Some(me) = self.member(viewer) else { return Vec::new() };
        let waits = me.state == ServiceState::WaitingRoom;
        let sees = |other: &&Participant| {
            if other.key == viewer {
                return true;
            }
            !waits && (other.state != ServiceState::WaitingRoom || me.role == Role::Host)
        };
        self.members.values().map(Arc::as_ref).filter(|member| !member.hidden).filter(sees).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_named() {
        let good = Settings {
            name: "Room".into(),
            aliases: vec!["1061".into(), "1061@plenum.local".into()],
            ..Settings::default()
        };
        assert_eq!(good.problem(), None);
        let bad = |change: fn(&mut Settings)| {
            let mut settings = good.clone();
            change(&mut settings);
            settings.problem().is_some()
        };
        assert!(bad(|s| s.name = "a\u{7}b".into()));
        assert!(bad(|s| s.aliases = vec!["../etc".into()]));
        assert!(bad(|s| s.aliases.clear()));
        assert!(bad(|s| s.guest_pin = Some("12".into())));
        assert!(bad(|s| (s.host_pin, s.guest_pin) = (Some("12".into()), Some("12".into()))));
        assert!(bad(|s| s.host_pin = Some("none".into())));
    }
}
