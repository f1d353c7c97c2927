//! The elements that can be subscribed to (CMS-20 to CMS-22): their names, their order, and their values as JSON has them.
//!
//! A call, or a participant, is a row of values in the order of its names; what changed is a mask over that row.

use super::names;
use plenum_model::{MeetingView, ParticipantView, Role, ServiceState};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Elements of `callInfo`; those of `calls` are the same without the last one.
pub(super) const CALL: [&str; 10] = [
    "name",
    "participants",
    "distributedInstances",
    "recording",
    "endpointRecording",
    "streaming",
    "lockState",
    "callType",
    "callCorrelator",
    "joinAudioMuteOverride",
];
/// How many of them `calls` has.
pub(super) const OF_CALLS: usize = 9;
/// Elements of `callRoster`.
pub(super) const PERSON: [&str; 15] = [
    "name",
    "uri",
    "state",
    "direction",
    "audioMuted",
    "videoMuted",
    "importance",
    "layout",
    "activeSpeaker",
    "presenter",
    "endpointRecording",
    "canMove",
    "canMoveToLobby",
    "movedParticipant",
    "movedParticipantCallBridge",
];
/// Where a row of `callRoster` has the layout and the speaker.
pub(super) const LAYOUT: usize = 7;
pub(super) const SPEAKER: usize = 8;

/// A value of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Val {
    Null,
    Flag(bool),
    Number(u64),
    Word(&'static str),
    Text(Arc<str>),
    /// `lockState`: its words differ between `calls` and `callInfo` (D1).
    Lock(bool),
}

impl Val {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Val {
        Val::Text(text.into())
    }

    /// As XML has it; `None` = there is no value.
    pub(super) fn plain(&self) -> Option<String> {
        match self {
            Val::Null => None,
            Val::Flag(flag) => Some(flag.to_string()),
            Val::Number(number) => Some(number.to_string()),
            Val::Word(word) => Some((*word).into()),
            Val::Text(text) => Some(text.to_string()),
            Val::Lock(locked) => Some(if *locked { "locked" } else { "unlocked" }.into()),
        }
    }

    /// As `calls` writes it; everything else writes values as they are.
    pub(super) fn of_calls(&self) -> Val {
        match self {
            Val::Lock(locked) => Val::Word(if *locked { "locked" } else { "notLocked" }),
            other => other.clone(),
        }
    }
}

impl Serialize for Val {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Val::Null => s.serialize_none(),
            Val::Flag(flag) => s.serialize_bool(*flag),
            Val::Number(number) => s.serialize_u64(*number),
            Val::Word(word) => s.serialize_str(word),
            Val::Text(text) => s.serialize_str(text),
            Val::Lock(locked) => s.serialize_str(if *locked { "locked" } else { "unlocked" }),
        }
    }
}

/// The elements whose values differ.
pub(super) fn changed(before: &[Val], after: &[Val]) -> u32 {
    let differs = |(at, (one, other)): (usize, (&Val, &Val))| if one == other { 0 } else { 1u32 << at };
    before.iter().zip(after).enumerate().map(differs).sum()
}

/// The elements that these names wish for; names that we do not know are of other releases and wish for nothing.
pub(super) fn mask(names: &[String], of: &[&str]) -> u32 {
    let bit = |name: &String| of.iter().position(|known| known == name).map_or(0, |at| 1u32 << at);
    names.iter().map(bit).fold(0, |all, bit| all | bit)
}

fn active(active: bool) -> Val {
    Val::Word(if active { "active" } else { "inactive" })
}

/// The row of a call in which `participants` people are.
pub(super) fn call(meeting: &MeetingView, participants: usize, endpoint_recording: bool) -> [Val; 10] {
    [
        Val::text(meeting.name.as_str()),
        Val::Number(participants as u64),
        Val::Number(0),
        active(meeting.status.recording),
        active(endpoint_recording),
        active(meeting.status.streaming),
        Val::Lock(meeting.status.locked),
        Val::Word(names::call_type(meeting.kind)),
        Val::text(meeting.id.to_string()),
        Val::Flag(meeting.mute_on_join),
    ]
}

/// The row of a participant. `bridge`: this server's own GUID.
pub(super) fn person(meeting: &MeetingView, view: &ParticipantView, speaks: bool, bridge: &Arc<str>) -> [Val; 15] {
    let moved = |value: Val| if view.moved { value } else { Val::Null };
    [
        Val::text(view.display_name.as_str()),
        Val::text(names::user_part(&view.uri)),
        Val::Word(names::state(view)),
        Val::Word(if view.outgoing { "outgoing" } else { "incoming" }),
        Val::Flag(view.audio_muted),
        Val::Flag(view.video_muted),
        view.importance.map_or(Val::Null, |importance| Val::Number(importance.into())),
        layout(meeting, view.role, view.layout, view.shown_layout),
        Val::Flag(speaks),
        Val::Flag(view.presenting),
        active(view.endpoint_recording),
        Val::Flag(can_move(view)),
        Val::Flag(can_move_to_lobby(view)),
        moved(Val::text(view.id.to_string())),
        moved(Val::Text(bridge.clone())),
    ]
}

/// The layout that somebody sees: their own choice, else that of their role. What is drawn for them counts more, but that a layout which grows
/// is called what was chosen.
pub(super) fn layout(
    meeting: &MeetingView,
    role: Role,
    own: Option<plenum_model::LayoutName>,
    shown: Option<plenum_model::LayoutName>,
) -> Val {
    let chosen = own.unwrap_or(meeting.layout_of(role));
    let grows = chosen.drawn(1) != chosen;
    Val::Word(names::layout_word(shown.filter(|_| !grows).unwrap_or(chosen)))
}

/// CMS-24: whoever is being called, and a stream, cannot be moved.
pub(super) fn can_move(view: &ParticipantView) -> bool {
    view.state != ServiceState::Connecting && !view.streaming
}

/// CMS-24: guests who are in.
pub(super) fn can_move_to_lobby(view: &ParticipantView) -> bool {
    view.state == ServiceState::Conference && view.role == Role::Guest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CMS-20 to CMS-22: the names of the guide, nothing missing. Its tables print `callType` and the others in this order.
    #[test]
    fn cms_20_cms_21_cms_22_names_are_those_of_the_guide() {
        let guide = include_str!("../../../tests/fixtures/cms_elements.txt");
        let of = |resource: &str| -> Vec<&str> {
            let line = guide.lines().find_map(|line| line.strip_prefix(&format!("{resource}: ")));
            line.unwrap().split(' ').collect()
        };
        assert_eq!(of("calls"), CALL[..OF_CALLS]);
        assert_eq!(of("callInfo"), CALL);
        assert_eq!(of("callRoster"), PERSON);
    }

    #[test]
    fn cms_20_cms_21_lock_state_is_not_locked_in_calls_and_unlocked_in_call_info() {
        let word = |value: Val| serde_json::to_string(&value).unwrap();
        assert_eq!(word(Val::Lock(false)), "\"unlocked\"");
        assert_eq!(word(Val::Lock(false).of_calls()), "\"notLocked\"");
        assert_eq!(word(Val::Lock(true)), word(Val::Lock(true).of_calls()));
    }
}
