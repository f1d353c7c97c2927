//! What a connection knows of all calls, kept small: one row of values for each call and each participant. Events of the log
//! change it and come out as changes; nothing is looked up anywhere else and nothing is rendered here.

use super::elements::{self, LAYOUT, SPEAKER, Val};
use super::names::{MOVED, reason};
use crate::events::Observed;
use plenum_model::{
    Audience, ConferenceKey, EventBody, LayoutName, MeetingId, MeetingView, ParticipantId, ParticipantKey,
    ParticipantView, Role,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What happened to a call or to a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Added,
    /// These elements.
    Changed(u32),
    /// For this reason, where there is one.
    Removed(Option<&'static str>),
}

/// One change; `person` = `None` is about the call itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) call: MeetingId,
    pub(super) person: Option<ParticipantId>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) struct Person {
    key: ParticipantKey,
    role: Role,
    own_layout: Option<LayoutName>,
    shown_layout: Option<LayoutName>,
    records: bool,
    pub(super) values: [Val; 15],
}

#[derive(Debug)]
pub(super) struct Call {
    view: MeetingView,
    pub(super) people: BTreeMap<ParticipantId, Person>,
    speaking: BTreeSet<ParticipantId>,
    recording_people: usize,
    pub(super) values: [Val; 10],
}

#[derive(Debug)]
pub(super) struct World {
    bridge: Arc<str>,
    calls: BTreeMap<ConferenceKey, Call>,
    by_id: BTreeMap<MeetingId, ConferenceKey>,
    changes: Vec<Change>,
}

impl World {
    /// `bridge`: this server's own GUID.
    pub(super) fn new(bridge: Arc<str>) -> World {
        World { bridge, calls: BTreeMap::new(), by_id: BTreeMap::new(), changes: Vec::new() }
    }

    pub(super) fn call(&self, id: MeetingId) -> Option<&Call> {
        self.calls.get(self.by_id.get(&id)?)
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = (MeetingId, &Call)> {
        self.calls.values().map(|call| (call.view.meeting, call))
    }

    /// Takes what happened at one time; what changed by it, in order.
    pub(super) fn apply(&mut self, happened: &[Observed]) -> Vec<Change> {
        for observed in happened {
            // Reasons come just before the end that they are for, to whom it concerns.
            let mut reasons: BTreeMap<ParticipantKey, &'static str> = BTreeMap::new();
            for entry in observed.entries.iter() {
                match (entry.audience, &entry.body) {
                    (Audience::One(key), EventBody::Disconnected { reason: text }) => {
                        reasons.insert(key, reason(text));
                    }
                    (Audience::One(key), EventBody::Moved { .. }) => {
                        reasons.insert(key, reason(MOVED));
                    }
                    (Audience::One(_) | Audience::Guests, _) => {}
                    (_, body) => self.take(observed.conference, body, &mut reasons),
                }
            }
        }
        std::mem::take(&mut self.changes)
    }

    fn take(&mut self, place: ConferenceKey, body: &EventBody, reasons: &mut BTreeMap<ParticipantKey, &'static str>) {
        match body {
            EventBody::Meeting(view) => return self.meeting(place, view),
            EventBody::MeetingEnded => return self.ended(place),
            _ => {}
        }
        let Some(call) = self.calls.get_mut(&place) else { return };
        match body {
            EventBody::Created(view) | EventBody::Updated(view) => call.person(view, &self.bridge, &mut self.changes),
            EventBody::Deleted(id) => {
                let reason = call.people.get(id).and_then(|person| reasons.remove(&person.key));
                call.gone(*id, reason, &mut self.changes);
            }
            EventBody::Stage(stage) => call.stage(stage, &mut self.changes),
            EventBody::Status(status) => call.view.status = *status,
            EventBody::Disconnected { reason: text } => {
                let everybody: Vec<ParticipantId> = call.people.keys().copied().collect();
                for id in everybody {
                    call.gone(id, Some(reason(text)), &mut self.changes);
                }
            }
            _ => return,
        }
        call.refresh(&mut self.changes);
    }

    fn meeting(&mut self, place: ConferenceKey, view: &MeetingView) {
        let Some(call) = self.calls.get_mut(&place) else {
            let values = elements::call(view, 0, false);
            let call = Call {
                view: view.clone(),
                people: BTreeMap::new(),
                speaking: BTreeSet::new(),
                recording_people: 0,
                values,
            };
            self.calls.insert(place, call);
            self.by_id.insert(view.meeting, place);
            self.changes.push(Change { call: view.meeting, person: None, what: What::Added });
            return;
        };
        let before = (call.view.host_layout, call.view.guest_layout);
        call.view = view.clone();
        if before != (view.host_layout, view.guest_layout) {
            call.relaid(&mut self.changes);
        }
        call.refresh(&mut self.changes);
    }

    fn ended(&mut self, place: ConferenceKey) {
        if let Some(call) = self.calls.remove(&place) {
            self.by_id.remove(&call.view.meeting);
            self.changes.push(Change { call: call.view.meeting, person: None, what: What::Removed(None) });
        }
    }
}

impl Call {
    fn change(&self, person: Option<ParticipantId>, what: What) -> Change {
        Change { call: self.view.meeting, person, what }
    }

    /// The call's own row follows what happened.
    fn refresh(&mut self, changes: &mut Vec<Change>) {
        let after = elements::call(&self.view, self.people.len(), self.recording_people > 0);
        let mask = elements::changed(&self.values, &after);
        if mask != 0 {
            self.values = after;
            changes.push(self.change(None, What::Changed(mask)));
        }
    }

    fn person(&mut self, view: &ParticipantView, bridge: &Arc<str>, changes: &mut Vec<Change>) {
        let values = elements::person(&self.view, view, self.speaking.contains(&view.id), bridge);
        let before = self.people.get(&view.id);
        let what = match before {
            None => What::Added,
            Some(before) => What::Changed(elements::changed(&before.values, &values)),
        };
        self.recording_people -= usize::from(before.is_some_and(|before| before.records));
        self.recording_people += usize::from(view.endpoint_recording);
        let person = Person {
            key: view.key,
            role: view.role,
            own_layout: view.layout,
            shown_layout: view.shown_layout,
            records: view.endpoint_recording,
            values,
        };
        self.people.insert(view.id, person);
        if what != What::Changed(0) {
            changes.push(self.change(Some(view.id), what));
        }
    }

    fn gone(&mut self, id: ParticipantId, reason: Option<&'static str>, changes: &mut Vec<Change>) {
        if let Some(person) = self.people.remove(&id) {
            self.recording_people -= usize::from(person.records);
            self.speaking.remove(&id);
            changes.push(self.change(Some(id), What::Removed(reason)));
        }
    }

    fn stage(&mut self, stage: &[(ParticipantId, bool)], changes: &mut Vec<Change>) {
        let now: BTreeSet<ParticipantId> = stage.iter().filter(|(_, speaks)| *speaks).map(|(id, _)| *id).collect();
        let differ: Vec<ParticipantId> = now.symmetric_difference(&self.speaking).copied().collect();
        for id in differ {
            if let Some(person) = self.people.get_mut(&id) {
                person.values[SPEAKER] = Val::Flag(now.contains(&id));
                changes.push(self.change(Some(id), What::Changed(1 << SPEAKER)));
            }
        }
        self.speaking = now;
    }

    /// The layouts of hosts or guests changed: for those who have chosen none of their own.
    fn relaid(&mut self, changes: &mut Vec<Change>) {
        for (id, person) in &mut self.people {
            let layout = elements::layout(&self.view, person.role, person.own_layout, person.shown_layout);
            if person.values[LAYOUT] != layout {
                person.values[LAYOUT] = layout;
                let what = What::Changed(1 << LAYOUT);
                changes.push(Change { call: self.view.meeting, person: Some(*id), what });
            }
        }
    }
}
