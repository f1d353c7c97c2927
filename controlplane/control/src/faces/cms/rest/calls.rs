//! `/calls`: meetings that go on.

use super::answer::{Fail, Node};
use super::{Asked, Which};
use crate::driver::MeetingNow;
use crate::faces::cms::names;
use axum::response::{IntoResponse, Response};
use plenum_model::{Command, ConferenceId, LayoutName, MemberCommand, ParticipantId};

pub(super) async fn list(asked: Asked) -> Result<Response, Fail> {
    let space = asked.query.guid("coSpaceFilter", ConferenceId::parse)?;
    let mut all = asked.meetings(Which::All).await?;
    all.retain(|meeting| space.is_none_or(|space| meeting.view.id == space));
    asked.page(
        "calls",
        all,
        |meeting, filter| meeting.view.name.to_lowercase().contains(filter),
        |meeting| node(&meeting),
    )
}

pub(super) async fn one(asked: Asked, id: &str) -> Result<Response, Fail> {
    Ok(node(&asked.call(id).await?).into_response())
}

fn node(meeting: &MeetingNow) -> Node {
    let view = &meeting.view;
    let active = |active: bool| if active { "active" } else { "inactive" };
    let legs: usize = meeting.members.iter().map(|member| member.calls.len()).sum();
    Node::new("call")
        .with("id", view.meeting)
        .text("name", &view.name)
        .text("coSpace", view.id)
        .text("callCorrelator", view.id)
        .text("callType", names::call_type(view.kind))
        .text("numCallLegs", legs)
        .text("numParticipantsLocal", meeting.members.len())
        .text("numParticipantsRemote", 0)
        .text("locked", view.status.locked)
        .text("lockState", if view.status.locked { "locked" } else { "unlocked" })
        .text("recording", active(view.status.recording))
        .text("streaming", active(view.status.streaming))
        .text("joinAudioMuteOverride", view.mute_on_join)
}

pub(super) async fn change(asked: Asked, id: &str) -> Result<Response, Fail> {
    let meeting = asked.call(id).await?;
    let form = &asked.form;
    let states = [("locked", true), ("unlocked", false), ("notLocked", false)];
    let lock = form.word("lockState", &states)?.or(form.flag("locked")?);
    let muted = form.flag("joinAudioMuteOverride")?;
    let all = form.flag("allRxAudioMute")?;
    form.lacking("recording", &["false", "inactive"], "recording needs a recorder, which this server lacks")?;
    form.lacking("streaming", &["false", "inactive"], "streaming needs a streamer, which this server lacks")?;
    form.lacking("allowAllMuteSelf", &["true"], "everybody may mute themselves")?;
    form.all_taken()?;
    let mut commands = Vec::new();
    commands.extend(lock.map(Command::Lock));
    commands.extend(muted.map(|muted| Command::MuteOnJoin(Some(muted))));
    commands.extend(all.map(|muted| Command::MuteAll { audio: Some(muted), video: None }));
    asked.commands(&meeting, commands).await
}

pub(super) async fn end(asked: Asked, id: &str) -> Result<Response, Fail> {
    let meeting = asked.call(id).await?;
    asked.commands(&meeting, vec![Command::End]).await
}

/// `PUT /calls/<id>/participants/*`: mute everybody, and give everybody a layout or an importance.
pub(super) async fn change_all(asked: Asked, id: &str) -> Result<Response, Fail> {
    let meeting = asked.call(id).await?;
    let wishes = Wishes::read(&asked)?;
    let mut commands = Vec::new();
    if wishes.audio.is_some() || wishes.video.is_some() {
        commands.push(Command::MuteAll { audio: wishes.audio, video: wishes.video });
    }
    for member in &meeting.members {
        commands.extend(wishes.own(member.id));
    }
    asked.commands(&meeting, commands).await
}

/// What can be wished for a participant, or for everybody.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) audio: Option<bool>,
    pub(super) video: Option<bool>,
    importance: Option<Option<u8>>,
    layout: Option<Option<LayoutName>>,
}

impl Wishes {
    pub(super) fn read(asked: &Asked) -> Result<Wishes, Fail> {
        let wishes = Wishes::some(asked)?;
        asked.form.all_taken()?;
        Ok(wishes)
    }

    /// The same, where more parameters may follow.
    pub(super) fn some(asked: &Asked) -> Result<Wishes, Fail> {
        let form = &asked.form;
        let layouts = |name| match form.text(name) {
            None => Ok(None),
            Some(word) => names::layout_wish(&word).map(Some).ok_or_else(|| {
                let reason = format!("the value must be one of {}", names::LAYOUTS.join(", "));
                Fail::parameter(name, "invalid", reason)
            }),
        };
        let wishes = Wishes {
            audio: form.flag("rxAudioMute")?,
            video: form.flag("rxVideoMute")?,
            importance: form.number("importance")?,
            layout: layouts("layout")?.or(layouts("chosenLayout")?),
        };
        for name in ["txAudioMute", "txVideoMute"] {
            form.lacking(name, &["false"], "what a participant is sent cannot be muted for them alone")?;
        }
        Ok(wishes)
    }

    /// The commands for one participant, but for muting.
    pub(super) fn own(&self, id: ParticipantId) -> Vec<Command> {
        let importance = self.importance.map(MemberCommand::Importance);
        let layout = self.layout.map(MemberCommand::Layout);
        importance.into_iter().chain(layout).map(|command| super::to(id, command)).collect()
    }

    /// All of them.
    pub(super) fn all(&self, id: ParticipantId) -> Vec<Command> {
        let audio = self.audio.map(|muted| super::to(id, MemberCommand::Mute(muted)));
        let video = self.video.map(|muted| super::to(id, MemberCommand::VideoMute(muted)));
        audio.into_iter().chain(video).chain(self.own(id)).collect()
    }
}
