//! What a request does, in words for the log: which requests are written down, under which name, and what is said of them.

use crate::accounts::Change;
use crate::driver::Request;
use plenum_model::layout::LayoutAudience;
use plenum_model::{By, Command, MemberCommand, ParticipantId, Role, Settings};

/// What a request does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// Its name.
    pub action: &'static str,
    /// The conference, as it is named.
    pub conference: Option<String>,
    /// To whom or what.
    pub target: Option<String>,
    /// More, never a secret.
    pub detail: Option<String>,
}

/// What a request does; `None` = it steers nothing.
pub fn deed(request: &Request) -> Option<Deed> {
    let conference = |action, name: &str| Deed { action, conference: Some(name.into()), ..Deed::default() };
    Some(match request {
        Request::Create(settings) => conference("conference_create", first_alias(settings)),
        Request::Change(name, settings) => {
            Deed { detail: Some(what(settings)), ..conference("conference_change", name) }
        }
        Request::SetLogo(name, Some(_)) => conference("conference_logo_set", name),
        Request::SetLogo(name, None) => conference("conference_logo_delete", name),
        Request::Delete(name) => conference("conference_delete", name),
        Request::Do { alias, by, command } => {
            let (action, target, detail) = command_deed(command, *by)?;
            Deed { target: target.map(|id| id.to_string()), detail, ..conference(action, alias) }
        }
        Request::Accounts(change) => account_deed(change),
        _ => return None,
    })
}

fn first_alias(settings: &Settings) -> &str {
    settings.aliases.first().map_or("", String::as_str)
}

/// The settings that are no secret, and whether there are PINs.
fn what(settings: &Settings) -> String {
    let pin = |set: bool| if set { "set" } else { "none" };
    let (host, guest) = (pin(settings.host_pin.is_some()), pin(settings.guest_pin.is_some()));
    format!("name {}, aliases {}, host PIN {host}, guest PIN {guest}", settings.name, settings.aliases.join(" "))
}

fn account_deed(change: &Change) -> Deed {
    let deed = |action, target: &str, detail: Option<String>| Deed {
        action,
        target: Some(target.into()),
        detail,
        ..Deed::default()
    };
    match change {
        Change::AddAccount { name, role, .. } => deed("account_add", name, Some(role.name().into())),
        Change::SetAccount { name, role, password } => {
            let role = role.map(|role| format!("role {}", role.name()));
            let password = password.is_some().then(|| "another password".to_owned());
            let said: Vec<String> = role.into_iter().chain(password).collect();
            deed("account_change", name, Some(said.join(", ")))
        }
        Change::DeleteAccount(name) => deed("account_delete", name, None),
        Change::AddKey { id, name, role, .. } => deed("key_add", name, Some(format!("{id}, {}", role.name()))),
        Change::DeleteKey(id) => deed("key_delete", id, None),
        Change::AddHook { id, hook } => deed("webhook_add", id, Some(hook.url.clone())),
        Change::SetHook { id, change } => {
            let secret = change.secret.is_some().then(|| "another secret".to_owned());
            let rest = change.kinds.is_some() || change.conferences.is_some();
            let rest = rest.then(|| "other kinds or conferences".to_owned());
            let said: Vec<String> = change.url.iter().cloned().chain(rest).chain(secret).collect();
            deed("webhook_change", id, Some(said.join(", ")))
        }
        Change::DeleteHook(id) => deed("webhook_delete", id, None),
    }
}

type Told = (&'static str, Option<ParticipantId>, Option<String>);

fn command_deed(command: &Command, by: By) -> Option<Told> {
    let plain = |action| Some((action, None, None));
    match command {
        Command::Lock(true) => plain("lock"),
        Command::Lock(false) => plain("unlock"),
        Command::Start => plain("start"),
        Command::MuteGuests { muted: true, .. } => plain("mute_guests"),
        Command::MuteGuests { muted: false, .. } => plain("unmute_guests"),
        Command::MuteOnJoin(muted) => Some(("mute_on_join", None, Some(format!("{muted:?}")))),
        Command::MuteAll { audio, video } => {
            Some(("mute_all", None, Some(format!("audio {audio:?}, video {video:?}"))))
        }
        Command::Dial(_) => plain("dial"),
        Command::End => plain("end"),
        Command::ClearHands => plain("clear_hands"),
        Command::OverrideLayout { entries, .. } => {
            let entry = |entry: &plenum_model::LayoutEntry| {
                let whom = if entry.audience == LayoutAudience::Hosts { "hosts" } else { "guests" };
                format!("{whom} {}", entry.layout.as_str())
            };
            Some(("override_layout", None, Some(entries.iter().map(entry).collect::<Vec<_>>().join(", "))))
        }
        // What people say is nobody's business; that an operator spoke is.
        Command::Message { .. } => (by == By::Operator).then_some(("message", None, None)),
        Command::To { target, command } => {
            let (action, detail) = member_deed(command, by)?;
            Some((action, Some(*target), detail))
        }
        Command::Refresh { .. } | Command::Extend | Command::Leave => None,
        Command::Roster | Command::Status | Command::Layouts | Command::Nothing => None,
    }
}

fn member_deed(command: &MemberCommand, by: By) -> Option<(&'static str, Option<String>)> {
    let on = |on: bool, yes, no| Some((if on { yes } else { no }, None));
    match command {
        MemberCommand::Disconnect => Some(("disconnect", None)),
        MemberCommand::Mute(muted) => on(*muted, "mute", "unmute"),
        MemberCommand::VideoMute(muted) => on(*muted, "video_mute", "video_unmute"),
        MemberCommand::LowLatency(low) => on(*low, "cancel_delay", "resume_delay"),
        MemberCommand::ReceivePresentation(may) => on(*may, "allow_presentation", "deny_presentation"),
        MemberCommand::Spotlight(stands) => on(*stands, "spotlight_on", "spotlight_off"),
        MemberCommand::Importance(value) => Some(("importance", value.map(|value| value.to_string()))),
        MemberCommand::Volume(percent) => Some(("volume", Some(percent.to_string()))),
        MemberCommand::Layout(layout) => Some(("layout", layout.map(|layout| layout.as_str().to_owned()))),
        MemberCommand::Admit => Some(("admit", None)),
        MemberCommand::Lobby => Some(("lobby", None)),
        MemberCommand::Transfer(transfer) => Some(("transfer", Some(format!("to {}", transfer.alias)))),
        MemberCommand::Digits(_) => Some(("dtmf", None)),
        MemberCommand::Camera(_) => Some(("camera", None)),
        MemberCommand::Role(role) => Some(("role", Some(if *role == Role::Host { "host" } else { "guest" }.into()))),
        MemberCommand::OverlayText(_) => Some(("overlay_text", None)),
        MemberCommand::Hand(false) if by == By::Operator => Some(("clear_hand", None)),
        MemberCommand::Message { .. } if by == By::Operator => Some(("message", None)),
        // What everybody does for themselves.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::{TokenHash, Transfer};

    #[test]
    fn what_steers_is_named_and_no_secret_is_said() {
        let id = ParticipantId([7; 16]);
        let by = By::Token(TokenHash([9; 32]));
        let to = |command| Request::Do { alias: "1061".into(), by, command: Command::To { target: id, command } };
        let transfer = Transfer { alias: "2000".into(), pin: Some("48151623".into()), role: None, ending: Vec::new() };
        let settings = Settings {
            aliases: vec!["2000".into()],
            host_pin: Some("48151623".into()),
            guest_pin: Some("48151623".into()),
            ..Settings::default()
        };
        let account = Change::SetAccount { name: "a".into(), role: None, password: Some("48151623".into()) };
        let requests = [
            to(MemberCommand::Transfer(transfer)),
            to(MemberCommand::Digits("48151623".into())),
            to(MemberCommand::OverlayText("48151623".into())),
            Request::Create(settings.clone()),
            Request::Change("2000".into(), settings),
            Request::Accounts(account),
            Request::Accounts(Change::AddKey {
                id: "k".into(),
                name: "r".into(),
                role: crate::accounts::Role::Viewer,
                hash: [1; 32],
            }),
        ];
        for request in requests {
            let said = format!("{:?}", deed(&request).expect("it steers"));
            assert!(!said.contains("48151623"), "{said}");
        }
        assert_eq!(deed(&to(MemberCommand::Mute(true))).unwrap().action, "mute");
        assert_eq!(deed(&to(MemberCommand::Message { content_type: "t".into(), payload: "p".into() })), None);
        assert_eq!(deed(&to(MemberCommand::SelfMute(true))), None);
        assert_eq!(deed(&Request::Conferences(None)), None);
    }
}
