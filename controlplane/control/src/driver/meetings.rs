//! What operators are shown of the meetings that go on.

use super::{Driver, MeetingNow, Which};
use plenum_model::Conference;

impl Driver {
    pub(super) fn meetings(&self, which: Which) -> Vec<MeetingNow> {
        let wanted = |conference: &&Conference| match which {
            Which::All => true,
            Which::Call(id) => conference.meeting_id() == Some(id),
            Which::Participant(id) => conference.member_by_id(id).is_some_and(|member| !member.hidden),
            Which::Leg(id) => conference.members.values().any(|member| !member.hidden && member.call(id).is_some()),
        };
        self.model.conferences().filter(wanted).filter_map(now).collect()
    }
}

fn now(conference: &Conference) -> Option<MeetingNow> {
    let speaking = conference.stage.iter().filter(|(_, speaks)| *speaks).map(|(key, _)| *key);
    Some(MeetingNow {
        view: conference.meeting_view()?,
        members: conference.members.values().filter(|member| !member.hidden).cloned().collect(),
        presenter: conference.presenter,
        speaking: speaking.collect(),
    })
}
