//! Somebody who watches all conferences and is in none: keeps what they were told, to compare it with what is.

use plenum_model::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub struct Meeting {
    pub view: MeetingView,
    pub roster: BTreeMap<ParticipantId, ParticipantView>,
    pub stage: Vec<(ParticipantId, bool)>,
}

#[derive(Clone, Debug, Default)]
pub struct Observer {
    pub meetings: BTreeMap<ConferenceKey, Meeting>,
    /// Meetings that ended, in their order.
    pub ended: Vec<MeetingId>,
}

impl Observer {
    pub fn take(&mut self, event: &Event) {
        if matches!(event.audience, Audience::One(_) | Audience::Guests) {
            return;
        }
        match &event.body {
            EventBody::Meeting(view) => {
                let fresh = || Meeting { view: (**view).clone(), roster: BTreeMap::new(), stage: Vec::new() };
                self.meetings.entry(event.conference).or_insert_with(fresh).view = (**view).clone();
                return;
            }
            EventBody::MeetingEnded => {
                let over = self.meetings.remove(&event.conference).expect("it began");
                self.ended.push(over.view.meeting);
                return;
            }
            _ => {}
        }
        let Some(meeting) = self.meetings.get_mut(&event.conference) else {
            assert!(matches!(event.body, EventBody::Status(_)), "{event:?} outside of a meeting");
            return;
        };
        match &event.body {
            EventBody::Created(view) => {
                assert!(meeting.roster.insert(view.id, (**view).clone()).is_none(), "created twice");
            }
            EventBody::Updated(view) => {
                assert!(meeting.roster.insert(view.id, (**view).clone()).is_some(), "an update before the create");
            }
            EventBody::Deleted(id) => assert!(meeting.roster.remove(id).is_some(), "somebody unknown was deleted"),
            EventBody::Status(status) => meeting.view.status = *status,
            EventBody::Stage(stage) => meeting.stage.clone_from(stage),
            _ => {}
        }
    }

    /// What they were told is what is.
    pub fn agrees(&self, model: &Model) {
        let mut fresh = Observer::default();
        for conference in model.conferences() {
            for body in conference.picture_for_observers() {
                fresh.take(&Event { conference: conference.key, audience: Audience::Observers, body });
            }
        }
        assert_eq!(self.meetings, fresh.meetings, "the observer was told something else");
    }
}
