//! What is on screen: layouts per audience (MGMT-26), spotlights (MGMT-34), importance and a participant's own layout (CMS-22).
//!
//! Who stands where, first rule that applies: actors of the audience's layout in their order, spotlights in the order they were
//! set, importance, then the speakers, which media knows (spec/layouts.md).

use crate::access::Role;
use crate::conference::Conference;
use crate::effects::{MediaChange, Outcome, Refusal};
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, Now, ParticipantId, ParticipantKey};
use crate::join::clean_text;
use crate::layout::{LayoutAudience, LayoutEntry, LayoutName};
use crate::limits::ACTORS;
use crate::model::{Fx, Model, Step};
use crate::participant::Participant;

impl LayoutAudience {
    /// The audience that people of a role are.
    pub fn of(role: Role) -> LayoutAudience {
        match role {
            Role::Host => LayoutAudience::Hosts,
            Role::Guest => LayoutAudience::Guests,
        }
    }
}

impl Conference {
    /// Who stands before the speakers for everybody: spotlights in the order they were set, then importance, highest first.
    pub fn pinned(&self) -> Vec<ParticipantKey> {
        let mut order: Vec<(bool, u64, u64, ParticipantKey)> = Vec::new();
        for member in self.members.values() {
            if member.spotlight != 0 {
                order.push((false, member.spotlight, member.spotlight_order, member.key));
            } else if let Some(importance) = member.importance {
                order.push((true, u64::from(u8::MAX - importance), 0, member.key));
            }
        }
        order.sort_unstable();
        order.into_iter().map(|(_, _, _, key)| key).collect()
    }

    /// The layout that a host chose for people of this role.
    pub fn override_for(&self, role: Role) -> Option<&LayoutEntry> {
        self.layouts.iter().find(|entry| entry.audience == LayoutAudience::of(role))
    }

    /// Actors whom `viewer` is shown first, in their order; `None` in the place of one who left.
    pub fn actors_for(&self, viewer: &Participant) -> Vec<Option<ParticipantKey>> {
        let entry = self.override_for(viewer.role);
        entry.map_or_else(Vec::new, |entry| entry.actors.iter().map(|id| self.by_id.get(id).copied()).collect())
    }

    /// The layout that a member sees: their own choice, else what a host chose for their role, else the conference's.
    pub fn layout_for(&self, member: &Participant) -> LayoutName {
        let chosen = || self.override_for(member.role).map(|entry| entry.layout);
        member.layout.or_else(chosen).unwrap_or(self.settings.layout)
    }
}

impl Model {
    /// What hosts and guests have: what was chosen for them, else the conference's layout.
    pub(crate) fn layouts(&self, place: ConferenceKey) -> Step {
        let conference = self.conference(place).ok_or(Refusal::NoSuchConference)?;
        let of = |role: Role| {
            let usual = || LayoutEntry::new(LayoutAudience::of(role), conference.settings.layout);
            conference.override_for(role).cloned().unwrap_or_else(usual)
        };
        Ok(Outcome::Layouts(vec![of(Role::Host), of(Role::Guest)]))
    }

    /// MGMT-26: `whole` says that audiences without an entry go back to the default, as on the Pexip paths; else they keep what
    /// they have (B7). No entry at all is the default for everybody (MGMT-27).
    pub(crate) fn override_layout(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        entries: Vec<LayoutEntry>,
        whole: bool,
    ) -> Step {
        let Some(conference) = self.conference(place) else { return Err(Refusal::NoSuchConference) };
        if entries.len() > 2 || (entries.len() == 2 && entries[0].audience == entries[1].audience) {
            return Err(Refusal::BadValue("layouts: one entry for hosts and one for guests".into()));
        }
        for entry in &entries {
            if entry.actors.len() > ACTORS {
                return Err(Refusal::BadValue(format!("actors: at most {ACTORS}")));
            }
            clean_text(&entry.banner)?;
            let before = |id: &ParticipantId| conference.layouts.iter().any(|entry| entry.actors.contains(id));
            if !entry.actors.iter().all(|id| conference.by_id.contains_key(id) || before(id)) {
                return Err(Refusal::NoSuchParticipant);
            }
        }
        let mut layouts = entries;
        if !layouts.is_empty() && !whole {
            let named: Vec<LayoutAudience> = layouts.iter().map(|entry| entry.audience).collect();
            layouts.extend(conference.layouts.iter().filter(|kept| !named.contains(&kept.audience)).cloned());
        }
        layouts.sort_by_key(|entry| entry.audience == LayoutAudience::Guests);
        if conference.members.is_empty() || conference.layouts == layouts {
            return Ok(Outcome::Layouts(conference.layouts.clone()));
        }
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        conference.layouts = layouts.clone();
        fx.rows.push(crate::effects::Row::Conference(place));
        self.order_changed_for_all(fx, place);
        self.tell_layouts(fx, place);
        self.meeting_changed(fx, place);
        Ok(Outcome::Layouts(layouts))
    }

    pub(crate) fn tell_layouts(&self, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference(place) else { return };
        for viewer in conference.members.keys() {
            self.tell_layout(fx, place, *viewer);
        }
    }

    pub(crate) fn tell_layout(&self, fx: &mut Fx, place: ConferenceKey, viewer: ParticipantKey) {
        if let Some(layout) = self.conference(place).and_then(|conference| conference.layout_event(viewer)) {
            fx.event(place, Audience::One(viewer), layout);
        }
    }

    /// Everybody who has media is to be given others, or in another order.
    pub(crate) fn order_changed_for_all(&mut self, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference(place) else { return };
        let viewers: Vec<ParticipantKey> =
            conference.members.values().filter(|member| !member.calls.is_empty()).map(|member| member.key).collect();
        for viewer in viewers {
            self.order_changed(fx, place, viewer);
        }
    }

    /// One participant is to be given others, or in another order.
    pub(crate) fn order_changed(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey) {
        let Some(member) = self.conference_mut(place).and_then(|conference| conference.member_mut(key)) else { return };
        member.revision += 1;
        fx.keep(place, key);
        fx.media.push(MediaChange::Participant(place, key));
    }

    pub(crate) fn spotlight(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, on: bool) {
        let lit = self.conference(place).and_then(|c| c.member(key)).is_some_and(|member| member.spotlight != 0);
        if lit == on {
            return;
        }
        let order = self.fresh_key();
        self.set(fx, place, key, false, |member| {
            member.spotlight = if on { now.unix.max(1) } else { 0 };
            member.spotlight_order = if on { order } else { 0 };
        });
        self.conference_media_changed(fx, place);
    }

    pub(crate) fn set_importance(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        importance: Option<u8>,
    ) {
        let before = self.conference(place).and_then(|c| c.member(key)).map(|member| member.importance);
        if before != Some(importance) {
            self.set(fx, place, key, false, |member| member.importance = importance);
            self.conference_media_changed(fx, place);
        }
    }

    pub(crate) fn set_own_layout(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        layout: Option<LayoutName>,
    ) {
        let before = self.conference(place).and_then(|c| c.member(key)).map(|member| member.layout);
        if before != Some(layout) {
            self.set(fx, place, key, true, |member| member.layout = layout);
            self.tell_layout(fx, place, key);
        }
    }

    /// MGMT-58: the camera's owner is told how it is to be moved.
    pub(crate) fn steer_camera(
        &self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        body: EventBody,
    ) -> Result<(), Refusal> {
        let member = self.conference(place).and_then(|c| c.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        if !member.calls.iter().any(|call| call.fecc) {
            return Err(Refusal::NotAvailable("this participant has no camera that can be steered".into()));
        }
        fx.event(place, Audience::One(key), body);
        Ok(())
    }
}
