//! `/participants` and `/callLegs`: who is in a call, and their media connections.

use super::answer::{Fail, Node, made};
use super::calls::Wishes;
use super::{Asked, Which, to};
use crate::driver::{MeetingNow, Reply, Request as Ask};
use crate::faces::cms::elements;
use crate::faces::cms::names;
use axum::response::{IntoResponse, Response};
use plenum_model::{
    By, Call, CallCommand, Command, Dial, DialMedia, Dialled, KeepAlive, MeetingId, MemberCommand, Participant,
    ParticipantId, Protocol, Purpose, Role, Transfer,
};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A participant with the call that they are in.
type One = (Arc<MeetingNow>, Arc<Participant>);

fn everybody(meetings: Vec<MeetingNow>) -> Vec<One> {
    let of =
        |meeting: Arc<MeetingNow>| meeting.members.clone().into_iter().map(move |member| (meeting.clone(), member));
    meetings.into_iter().map(Arc::new).flat_map(of).collect()
}

fn is_named((_, member): &One, filter: &str) -> bool {
    member.display_name.to_lowercase().contains(filter) || member.uri.to_lowercase().contains(filter)
}

pub(super) async fn list(asked: Asked, call: Option<&str>) -> Result<Response, Fail> {
    let meetings = match call {
        Some(id) => vec![asked.call(id).await?],
        None => asked.meetings(Which::All).await?,
    };
    let bridge = asked.app.cms.bridge.clone();
    asked.page("participants", everybody(meetings), is_named, |one| participant(&one, &bridge))
}

pub(super) async fn one(asked: Asked, id: &str) -> Result<Response, Fail> {
    let (meeting, id) = asked.call_of(id).await?;
    let found = everybody(vec![meeting]).into_iter().find(|(_, member)| member.id == id);
    let found = found.ok_or_else(|| Fail::no_such("participantDoesNotExist"))?;
    Ok(participant(&found, &asked.app.cms.bridge).into_response())
}

/// The elements of CMS-22, and what the REST API has beside them.
fn participant((meeting, member): &One, bridge: &Arc<str>) -> Node {
    let view = member.view(meeting.presenter == Some(member.key));
    let values = elements::person(&meeting.view, &view, meeting.speaking.contains(&member.key), bridge);
    let mut node = Node::new("participant").with("id", member.id);
    for (name, value) in elements::PERSON.iter().zip(&values) {
        if let Some(text) = value.plain() {
            node = node.text(name, text);
        }
    }
    node.text("call", meeting.view.meeting)
        .text("callBridge", bridge)
        .text("numCallLegs", member.calls.len())
        .child(configuration(member))
}

fn configuration(member: &Participant) -> Node {
    let node = Node::new("configuration")
        .text("rxAudioMute", member.audio_muted)
        .text("rxVideoMute", member.video_muted)
        .text("chosenLayout", member.layout.map_or("automatic", names::layout_word));
    member.importance.into_iter().fold(node, |node, importance| node.text("importance", importance))
}

pub(super) async fn change(asked: Asked, id: &str) -> Result<Response, Fail> {
    let (meeting, id) = asked.call_of(id).await?;
    let wishes = Wishes::some(&asked)?;
    let lobby = asked.form.flag("moveToLobby")?;
    let target = asked.form.guid("call", MeetingId::parse)?;
    asked.form.all_taken()?;
    let mut commands = wishes.all(id);
    commands.extend(lobby.map(|lobby| to(id, if lobby { MemberCommand::Lobby } else { MemberCommand::Admit })));
    if let Some(target) = target {
        let target = asked.meetings(Which::Call(target)).await?.pop();
        let target = target.ok_or_else(|| Fail::parameter("call", "invalid", "there is no such call"))?;
        commands.push(moving(&asked, &meeting, id, &target).await?);
    }
    asked.commands(&meeting, commands).await
}

pub(super) async fn disconnect(asked: Asked, id: &str) -> Result<Response, Fail> {
    let (meeting, id) = asked.call_of(id).await?;
    asked.commands(&meeting, vec![to(id, MemberCommand::Disconnect)]).await
}

/// `POST /calls/<id>/participants`: moves somebody here (CMS-24), or calls them.
pub(super) async fn add(asked: Asked, id: &str) -> Result<Response, Fail> {
    let here = asked.call(id).await?;
    let moved = asked.form.text("movedParticipant");
    if let Some(moved) = moved {
        asked.form.lacking("movedParticipantCallBridge", &[&asked.app.cms.bridge], "there is no other call bridge")?;
        asked.form.all_taken()?;
        let (from, who) = asked.call_of(&moved).await?;
        let command = moving(&asked, &from, who, &here).await?;
        asked.command(&from, command).await?;
        return Ok(made("participants", who));
    }
    let text = |name: &str| asked.form.text(name).unwrap_or_default();
    let destination = text("remoteParty");
    if destination.is_empty() {
        return Err(Fail::parameter("remoteParty", "missing", "who is to be called, or movedParticipant"));
    }
    let dial = Dial {
        id: ParticipantId(*uuid::Uuid::new_v4().as_bytes()),
        destination,
        role: Role::Guest,
        display_name: text("nameLabelOverride"),
        how: Dialled {
            protocol: Protocol::Sip,
            media: DialMedia::Video,
            streaming: false,
            keep_alive: KeepAlive::Yes,
            dtmf_sequence: text("dtmfSequence"),
            presentation_url: String::new(),
            source: String::new(),
            source_display_name: text("ownerName"),
            answer_by_ms: 0,
        },
    };
    asked.form.all_taken()?;
    let alias = here.view.id.to_string();
    match asked.ask(Ask::Do { alias, by: By::Operator, command: Command::Dial(Box::new(dial)) }).await? {
        Reply::Dialled(id) => Ok(made("participants", id)),
        _ => Err(Fail::new("invalidOperation", "nobody was called")),
    }
}

/// The command that moves somebody, who keeps their role, into another call. An operator needs no passcode: the other
/// coSpace's own is given.
async fn moving(asked: &Asked, from: &MeetingNow, id: ParticipantId, here: &MeetingNow) -> Result<Command, Fail> {
    let role = from.members.iter().find(|member| member.id == id).map(|member| member.role);
    let Reply::Conferences(there) = asked.ask(Ask::Conferences(Some(here.view.id.to_string()))).await? else {
        return Err(Fail::no_such("callDoesNotExist"));
    };
    let settings =
        there.into_iter().next().map(|info| info.settings).ok_or_else(|| Fail::no_such("callDoesNotExist"))?;
    let guest = settings.guest_pin.filter(|_| settings.allow_guests);
    let pin = match role {
        Some(Role::Guest) => guest.or(settings.host_pin),
        _ => settings.host_pin,
    };
    let alias = here.view.alias.clone();
    Ok(to(id, MemberCommand::Transfer(Transfer { alias, pin, role, ending: Vec::new() })))
}

pub(super) async fn legs(asked: Asked, call: Option<&str>, person: Option<&str>) -> Result<Response, Fail> {
    let filtered = asked.query.guid("callFilter", MeetingId::parse)?;
    let who = asked.query.guid("participantFilter", ParticipantId::parse)?;
    let (meetings, who) = match (call, person) {
        (Some(id), _) => (vec![asked.call(id).await?], who),
        (_, Some(id)) => {
            let (meeting, id) = asked.call_of(id).await?;
            (vec![meeting], Some(id))
        }
        _ => (asked.meetings(Which::All).await?, who),
    };
    let wanted =
        |one: &One| filtered.is_none_or(|call| one.0.view.meeting == call) && who.is_none_or(|id| one.1.id == id);
    let legs = |one: One| one.1.calls.clone().into_iter().map(move |call| (one.clone(), call));
    let all: Vec<(One, Call)> = everybody(meetings).into_iter().filter(wanted).flat_map(legs).collect();
    asked.page("callLegs", all, |(one, _), filter| is_named(one, filter), |(one, call)| leg_node(&one, &call))
}

pub(super) async fn leg(asked: Asked, id: &str) -> Result<Response, Fail> {
    let (one, call) = find_leg(&asked, id).await?;
    Ok(leg_node(&one, &call).into_response())
}

async fn find_leg(asked: &Asked, id: &str) -> Result<(One, Call), Fail> {
    let (meeting, id) = asked.call_of_leg(id).await?;
    let found = everybody(vec![meeting]).into_iter().find_map(|one| one.1.call(id).cloned().map(|call| (one, call)));
    found.ok_or_else(|| Fail::no_such("callLegDoesNotExist"))
}

fn leg_node((meeting, member): &One, call: &Call) -> Node {
    let view = member.view(false);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let state = if call.connected || call.started { "connected" } else { "initial" };
    let layout = member.layout.unwrap_or(meeting.view.layout_of(member.role));
    let status = Node::new("status")
        .text("state", state)
        .text("durationSeconds", now.saturating_sub(member.start_time))
        .text("layout", names::layout_word(layout))
        .text("encryptedMedia", true);
    Node::new("callLeg")
        .with("id", call.id)
        .text("name", &member.display_name)
        .text("remoteParty", &member.uri)
        .text("call", meeting.view.meeting)
        .text("participant", member.id)
        .text("type", if member.dialled.is_some() { "sip" } else { "acano" })
        .text("subType", if call.purpose == Purpose::Main { "main" } else { "presentation" })
        .text("direction", if member.dialled.is_some() { "outgoing" } else { "incoming" })
        .text("canMove", elements::can_move(&view))
        .child(configuration(member))
        .child(status)
}

pub(super) async fn change_leg(asked: Asked, id: &str) -> Result<Response, Fail> {
    let ((meeting, member), _) = find_leg(&asked, id).await?;
    let wishes = Wishes::read(&asked)?;
    asked.commands(&meeting, wishes.all(member.id)).await
}

/// `DELETE /callLegs/<id>`: whose main connection is hung up is out; a presentation alone ends alone.
pub(super) async fn hang_up(asked: Asked, id: &str) -> Result<Response, Fail> {
    let ((meeting, member), call) = find_leg(&asked, id).await?;
    let command = match call.purpose {
        Purpose::Main => MemberCommand::Disconnect,
        _ => MemberCommand::Call(CallCommand::Close(call.id)),
    };
    asked.commands(&meeting, vec![to(member.id, command)]).await
}
