//! What those are shown who watch all conferences and are in none: meetings that begin, change and end.
//!
//! A meeting lasts from the first who comes to the last who goes. Its outside name is fresh each time and needs no random
//! source: the conference's own, in which a number that is never used again takes part.

use crate::access::Role;
use crate::conference::{Conference, Kind};
use crate::effects::Row;
use crate::event::{Audience, EventBody, Status};
use crate::ids::{ConferenceId, ConferenceKey, MeetingId, ParticipantKey};
use crate::layout::LayoutName;
use crate::model::{Fx, Model};

/// A meeting as observers see it (CMS-20, CMS-21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingView {
    /// Inside name of the conference.
    pub conference: ConferenceKey,
    /// Outside name of the conference.
    pub id: ConferenceId,
    /// Outside name of the meeting.
    pub meeting: MeetingId,
    /// Shown to people.
    pub name: String,
    /// The first of the conference's aliases.
    pub alias: String,
    /// How long the conference exists.
    pub kind: Kind,
    /// State.
    pub status: Status,
    /// Whoever joins is muted.
    pub mute_on_join: bool,
    /// What hosts see who have chosen no layout of their own.
    pub host_layout: LayoutName,
    /// What guests see who have chosen no layout of their own.
    pub guest_layout: LayoutName,
    /// [`Conference::mix_shed`].
    pub mix_shed: u8,
}

impl MeetingView {
    /// The layout of people of a role who have chosen none of their own.
    pub fn layout_of(&self, role: Role) -> LayoutName {
        match role {
            Role::Host => self.host_layout,
            Role::Guest => self.guest_layout,
        }
    }
}

impl Conference {
    /// The meeting that goes on; `None` = nobody is there.
    pub fn meeting_id(&self) -> Option<MeetingId> {
        if self.meeting == 0 {
            return None;
        }
        let mut id = self.id.0;
        for (byte, of) in id[8..].iter_mut().zip(self.meeting.to_be_bytes()) {
            *byte ^= of;
        }
        Some(MeetingId(id))
    }

    /// The meeting that goes on, as observers see it.
    pub fn meeting_view(&self) -> Option<MeetingView> {
        let layout = |role| self.override_for(role).map_or(self.settings.layout, |entry| entry.layout);
        Some(MeetingView {
            conference: self.key,
            id: self.id,
            meeting: self.meeting_id()?,
            name: self.settings.name.clone(),
            alias: self.settings.aliases.first().cloned().unwrap_or_default(),
            kind: self.settings.kind,
            status: self.status(),
            mute_on_join: self.mute_on_join.unwrap_or(self.settings.mute_on_join),
            host_layout: layout(Role::Host),
            guest_layout: layout(Role::Guest),
            mix_shed: self.mix_shed,
        })
    }

    /// Everything that a new observer must know of the meeting that goes on; nothing when there is none. Who hides is not shown.
    pub fn picture_for_observers(&self) -> Vec<EventBody> {
        let Some(meeting) = self.meeting_view() else { return Vec::new() };
        let people = self.members.values().filter(|member| !member.hidden);
        let created = people.map(|m| EventBody::Created(Box::new(m.view(self.presenter == Some(m.key)))));
        let mut picture = vec![EventBody::Meeting(Box::new(meeting))];
        picture.extend(created);
        picture.push(EventBody::Stage(self.stage_view()));
        picture
    }

    /// Whether a newcomer of this role is muted.
    pub(crate) fn joins_muted(&self, role: Role) -> bool {
        self.mute_on_join.unwrap_or(self.settings.mute_on_join) || (role == Role::Guest && self.guests_muted)
    }
}

impl Model {
    /// Somebody came: with the first one a meeting begins.
    pub(crate) fn meeting_begins(&mut self, fx: &mut Fx, place: ConferenceKey) {
        if self.conference(place).is_none_or(|conference| conference.meeting != 0) {
            return;
        }
        let number = self.fresh_key();
        let Some(conference) = self.conference_mut(place) else { return };
        conference.meeting = number;
        fx.rows.push(Row::Conference(place));
        self.meeting_changed(fx, place);
    }

    /// Observers are told of the meeting that goes on.
    pub(crate) fn meeting_changed(&self, fx: &mut Fx, place: ConferenceKey) {
        if let Some(meeting) = self.conference(place).and_then(Conference::meeting_view) {
            fx.event(place, Audience::Observers, EventBody::Meeting(Box::new(meeting)));
        }
    }

    /// Another part of the composed pictures is left out.
    pub(crate) fn set_mix_shed(&mut self, fx: &mut Fx, place: ConferenceKey, level: u8) {
        let live = self.conference_mut(place).filter(|place| place.meeting != 0 && place.mix_shed != level);
        if let Some(conference) = live {
            conference.mix_shed = level;
            self.meeting_changed(fx, place);
        }
    }

    pub(crate) fn set_mute_on_join(&mut self, fx: &mut Fx, place: ConferenceKey, muted: Option<bool>) {
        let Some(conference) = self.conference_mut(place) else { return };
        if conference.mute_on_join == muted || conference.members.is_empty() {
            return;
        }
        conference.mute_on_join = muted;
        fx.rows.push(Row::Conference(place));
        self.meeting_changed(fx, place);
    }

    pub(crate) fn mute_all(&mut self, fx: &mut Fx, place: ConferenceKey, audio: Option<bool>, video: Option<bool>) {
        let Some(conference) = self.conference(place) else { return };
        let everybody: Vec<ParticipantKey> = conference.members.keys().copied().collect();
        for key in everybody {
            self.set(fx, place, key, true, |member| {
                member.audio_muted = audio.unwrap_or(member.audio_muted);
                member.video_muted = video.unwrap_or(member.video_muted);
            });
        }
    }
}
