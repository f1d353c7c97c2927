//! The kept form of a conference's event log: a part of it is a row, a JSON list of entries in a row.
//!
//! What steers a stream without being shown (a change of rights, and the first picture that follows it) is kept as a mark alone:
//! a reader who missed it begins anew. What passes is not kept ([`plenum_model::EventBody::is_passing`]).

use super::rows::{ProtocolRow, StateRow, twin};
use crate::events::{Entry, Part};
use plenum_model::event::Status;
use plenum_model::layout::LayoutName;
use plenum_model::{
    Audience, CallId, CameraAction, CameraMove, CameraMovement, ConferenceKey, EventBody, ParticipantId,
    ParticipantKey, ParticipantView, Role,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The entries of a part.
///
/// Strings and numbers always have a JSON form.
pub fn body(part: &Part) -> String {
    let rows: Vec<(AudienceRow, BodyRow)> = part
        .entries
        .iter()
        .filter_map(|entry| Some((AudienceRow::of(entry.audience)?, BodyRow::of(&entry.body)?)))
        .collect();
    serde_json::to_string(&rows).unwrap_or_default()
}

/// The part of a row; `None` when it cannot be read.
pub fn part(after: u64, last: u64, body: &str) -> Option<Part> {
    let rows: Vec<(AudienceRow, BodyRow)> = serde_json::from_str(body).ok()?;
    let first = last.checked_sub(u64::try_from(rows.len()).ok()?)? + 1;
    let entry = |(number, (audience, body)): (u64, (AudienceRow, BodyRow))| {
        Some(Arc::new(Entry::new(number, audience.audience(), body.body()?)))
    };
    let entries: Vec<Arc<Entry>> = (first..).zip(rows).map(entry).collect::<Option<_>>()?;
    (!entries.is_empty()).then_some(Part { after, entries })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AudienceRow {
    Everybody,
    Admitted,
    Hosts,
    Guests,
    One(u64),
}

impl AudienceRow {
    /// `None`: what is for observers is not kept.
    fn of(audience: Audience) -> Option<AudienceRow> {
        Some(match audience {
            Audience::Everybody => AudienceRow::Everybody,
            Audience::Admitted => AudienceRow::Admitted,
            Audience::Hosts => AudienceRow::Hosts,
            Audience::Guests => AudienceRow::Guests,
            Audience::One(key) => AudienceRow::One(key.0),
            Audience::Observers => return None,
        })
    }

    fn audience(&self) -> Audience {
        match self {
            AudienceRow::Everybody => Audience::Everybody,
            AudienceRow::Admitted => Audience::Admitted,
            AudienceRow::Hosts => Audience::Hosts,
            AudienceRow::Guests => Audience::Guests,
            AudienceRow::One(key) => Audience::One(ParticipantKey(*key)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyRow {
    /// The receiver begins anew: their rights changed.
    Anew,
    Created(Box<PersonRow>),
    Updated(Box<PersonRow>),
    Deleted(String),
    Status(StatusRow),
    Message {
        origin: String,
        from: Option<String>,
        direct: bool,
        content_type: String,
        payload: String,
    },
    PresentationStarted {
        name: String,
        uri: String,
        id: String,
    },
    PresentationStopped,
    CallEnded {
        call: String,
        reason: String,
    },
    Camera(CameraRow),
    Moved {
        to: u64,
        alias: String,
        name: String,
        host: bool,
    },
    Disconnected(String),
}

impl BodyRow {
    /// `None`: it is not kept.
    fn of(body: &EventBody) -> Option<BodyRow> {
        Some(match body {
            EventBody::Roster(_) | EventBody::Standing(_) => BodyRow::Anew,
            EventBody::Created(view) => BodyRow::Created(Box::new(PersonRow::of(view))),
            EventBody::Updated(view) => BodyRow::Updated(Box::new(PersonRow::of(view))),
            EventBody::Deleted(id) => BodyRow::Deleted(id.to_string()),
            EventBody::Status(status) => BodyRow::Status(StatusRow::of(status)),
            EventBody::Message { origin, from, direct, content_type, payload } => BodyRow::Message {
                origin: origin.clone(),
                from: from.map(|id| id.to_string()),
                direct: *direct,
                content_type: content_type.clone(),
                payload: payload.clone(),
            },
            EventBody::PresentationStarted { name, uri, id } => {
                BodyRow::PresentationStarted { name: name.clone(), uri: uri.clone(), id: id.to_string() }
            }
            EventBody::PresentationStopped => BodyRow::PresentationStopped,
            EventBody::CallEnded { call, reason } => {
                BodyRow::CallEnded { call: call.to_string(), reason: reason.clone() }
            }
            EventBody::Camera(movement) => BodyRow::Camera(CameraRow::of(movement)),
            EventBody::Moved { to, alias, name, role } => {
                BodyRow::Moved { to: to.0, alias: alias.clone(), name: name.clone(), host: *role == Role::Host }
            }
            EventBody::Disconnected { reason } => BodyRow::Disconnected(reason.clone()),
            EventBody::Stage(_)
            | EventBody::Layout(_)
            | EventBody::PresentationFrame
            | EventBody::Meeting(_)
            | EventBody::MeetingEnded => return None,
        })
    }

    fn body(self) -> Option<EventBody> {
        Some(match self {
            BodyRow::Anew => EventBody::Roster(Vec::new()),
            BodyRow::Created(person) => EventBody::Created(Box::new(person.view()?)),
            BodyRow::Updated(person) => EventBody::Updated(Box::new(person.view()?)),
            BodyRow::Deleted(id) => EventBody::Deleted(ParticipantId::parse(&id)?),
            BodyRow::Status(status) => EventBody::Status(status.status()),
            BodyRow::Message { origin, from, direct, content_type, payload } => {
                let from = from.map(|id| ParticipantId::parse(&id).ok_or(())).transpose().ok()?;
                EventBody::Message { origin, from, direct, content_type, payload }
            }
            BodyRow::PresentationStarted { name, uri, id } => {
                EventBody::PresentationStarted { name, uri, id: ParticipantId::parse(&id)? }
            }
            BodyRow::PresentationStopped => EventBody::PresentationStopped,
            BodyRow::CallEnded { call, reason } => EventBody::CallEnded { call: CallId::parse(&call)?, reason },
            BodyRow::Camera(row) => EventBody::Camera(row.movement()),
            BodyRow::Moved { to, alias, name, host } => {
                EventBody::Moved { to: ConferenceKey(to), alias, name, role: role(host) }
            }
            BodyRow::Disconnected(reason) => EventBody::Disconnected { reason },
        })
    }
}

const fn role(host: bool) -> Role {
    if host { Role::Host } else { Role::Guest }
}

#[derive(Serialize, Deserialize)]
struct StatusRow {
    locked: bool,
    guests_muted: bool,
    started: bool,
    chat: bool,
    recording: bool,
    streaming: bool,
}

impl StatusRow {
    fn of(status: &Status) -> StatusRow {
        let Status { locked, guests_muted, started, chat, recording, streaming } = *status;
        StatusRow { locked, guests_muted, started, chat, recording, streaming }
    }

    fn status(self) -> Status {
        let StatusRow { locked, guests_muted, started, chat, recording, streaming } = self;
        Status { locked, guests_muted, started, chat, recording, streaming }
    }
}

twin!(ActionRow, CameraAction, Start Stop Continue);
twin!(MovementRow, CameraMovement, PanLeft PanRight TiltUp TiltDown ZoomIn ZoomOut);

#[derive(Serialize, Deserialize)]
struct CameraRow {
    action: ActionRow,
    movements: Vec<MovementRow>,
    timeout_ms: u32,
}

impl CameraRow {
    fn of(movement: &CameraMove) -> CameraRow {
        CameraRow {
            action: ActionRow::of(movement.action),
            movements: movement.movements.iter().copied().map(MovementRow::of).collect(),
            timeout_ms: movement.timeout_ms,
        }
    }

    fn movement(self) -> CameraMove {
        CameraMove {
            action: self.action.model(),
            movements: self.movements.iter().map(MovementRow::model).collect(),
            timeout_ms: self.timeout_ms,
        }
    }
}

/// Declares [`PersonRow`] and both ways between it and a view. Most of what it says of most people is nothing: that is left out.
macro_rules! person {
    ($($plain:ident: $type:ty),+ $(,)?) => {
        #[derive(Serialize, Deserialize)]
        struct PersonRow {
            key: u64,
            id: String,
            host: bool,
            state: StateRow,
            protocol: ProtocolRow,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            layout: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            shown_layout: Option<String>,
            $(#[serde(default, skip_serializing_if = "is_default")] $plain: $type),+
        }

        impl PersonRow {
            fn of(view: &ParticipantView) -> PersonRow {
                PersonRow {
                    key: view.key.0,
                    id: view.id.to_string(),
                    host: view.role == Role::Host,
                    state: StateRow::of(view.state),
                    protocol: ProtocolRow::of(view.protocol),
                    layout: view.layout.map(|layout| layout.as_str().into()),
                    shown_layout: view.shown_layout.map(|layout| layout.as_str().into()),
                    $($plain: view.$plain.clone()),+
                }
            }

            fn view(self) -> Option<ParticipantView> {
                Some(ParticipantView {
                    key: ParticipantKey(self.key),
                    id: ParticipantId::parse(&self.id)?,
                    role: role(self.host),
                    state: self.state.model(),
                    protocol: self.protocol.model(),
                    layout: self.layout.as_deref().and_then(LayoutName::parse),
                    shown_layout: self.shown_layout.as_deref().and_then(LayoutName::parse),
                    $($plain: self.$plain),+
                })
            }
        }
    };
}

person!(
    display_name: String,
    overlay_text: String,
    uri: String,
    local_alias: String,
    vendor: String,
    start_time: u64,
    has_media: bool,
    video: bool,
    on_hold: bool,
    presenting: bool,
    audio_muted: bool,
    self_muted: bool,
    video_muted: bool,
    presentation_denied: bool,
    volume: u16,
    spotlight: u64,
    buzz_time: u64,
    importance: Option<u8>,
    outgoing: bool,
    streaming: bool,
    fecc: bool,
    moved: bool,
    endpoint_recording: bool,
);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::{Protocol, ServiceState};

    fn somebody() -> ParticipantView {
        ParticipantView {
            key: ParticipantKey(9),
            id: ParticipantId([3; 16]),
            display_name: "Ada \u{1F600} \"".into(),
            overlay_text: "A".into(),
            role: Role::Host,
            state: ServiceState::WaitingRoom,
            uri: "sip:a@b".into(),
            local_alias: "1061".into(),
            vendor: "V".into(),
            start_time: 7,
            has_media: true,
            video: true,
            on_hold: true,
            presenting: true,
            audio_muted: true,
            self_muted: true,
            video_muted: true,
            presentation_denied: true,
            volume: 250,
            shown_layout: LayoutName::parse("2:21"),
            spotlight: 5,
            buzz_time: 6,
            importance: Some(0),
            layout: LayoutName::parse("1:21"),
            protocol: Protocol::MsSip,
            outgoing: true,
            streaming: true,
            fecc: true,
            moved: true,
            endpoint_recording: true,
        }
    }

    fn kept(bodies: Vec<EventBody>) -> Vec<EventBody> {
        let audiences = [
            Audience::Everybody,
            Audience::Admitted,
            Audience::Hosts,
            Audience::Guests,
            Audience::One(ParticipantKey(4)),
        ];
        let entry = |(n, body): (u64, _)| Arc::new(Entry::new(n + 11, audiences[n as usize % 5], body));
        let before = Part { after: 10, entries: (0..).zip(bodies).map(entry).collect() };
        let after = part(before.after, before.last(), &body(&before)).unwrap();
        assert_eq!((after.after, after.last()), (before.after, before.last()));
        for (one, other) in before.entries.iter().zip(&after.entries) {
            assert_eq!((one.number, one.audience), (other.number, other.audience));
        }
        after.entries.iter().map(|entry| entry.body.clone()).collect()
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let plain = ParticipantView {
            overlay_text: String::new(),
            importance: None,
            layout: None,
            ..PersonRow::of(&somebody()).view().unwrap()
        };
        let id = ParticipantId([3; 16]);
        let status = |locked| {
            EventBody::Status(Status {
                locked,
                guests_muted: !locked,
                started: locked,
                chat: !locked,
                recording: locked,
                streaming: !locked,
            })
        };
        let message = |from, direct| EventBody::Message {
            origin: "O".into(),
            from,
            direct,
            content_type: "text/plain".into(),
            payload: "line\n\u{0}\"".into(),
        };
        let camera =
            CameraMove { action: CameraAction::Continue, movements: vec![CameraMovement::ZoomOut], timeout_ms: 8 };
        let bodies = vec![
            EventBody::Created(Box::new(somebody())),
            EventBody::Updated(Box::new(plain)),
            EventBody::Deleted(id),
            status(true),
            status(false),
            message(Some(id), true),
            message(None, false),
            EventBody::PresentationStarted { name: "N".into(), uri: "u".into(), id },
            EventBody::PresentationStopped,
            EventBody::CallEnded { call: CallId([8; 16]), reason: "r".into() },
            EventBody::Camera(camera),
            EventBody::Moved { to: ConferenceKey(77), alias: "2000".into(), name: "n".into(), role: Role::Host },
            EventBody::Disconnected { reason: "out".into() },
        ];
        assert_eq!(kept(bodies.clone()), bodies);
        let rights = vec![EventBody::Standing(plenum_model::event::Standing {
            viewer: ParticipantKey(4),
            host: true,
            admitted: true,
        })];
        assert_eq!(kept(rights), [EventBody::Roster(Vec::new())], "a mark is enough");
    }

    #[test]
    fn a_part_that_cannot_be_read_is_none() {
        for bad in ["", "[]", "{}", r#"[["nobody","anew"]]"#, r#"[["hosts",{"deleted":"x"}]]"#, r#"[["hosts","anew"]"#]
        {
            assert!(part(0, 1, bad).is_none(), "{bad}");
        }
        assert!(part(0, 1, r#"[["hosts","anew"],["hosts","anew"],["hosts","anew"]]"#).is_none(), "more than numbers");
        assert!(part(0, 1, r#"[["hosts","anew"]]"#).is_some());
    }
}
