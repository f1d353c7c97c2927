//! Who is in a conference, and what operators do there: participants, actions, events as they happen.

use super::body::Json;
use super::{Answer, ask, json, unexpected};
use crate::accounts::{Operator, Role as Needed, Standing, Steerer};
use crate::driver::{Reply, Request as Ask};
use crate::events::{Observer, Seen};
use crate::http::App;
use crate::http::problem::Problem;
use crate::outside::{self, Person};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use plenum_model::layout::{LAYOUTS, LayoutAudience, PresentationPlace};
use plenum_model::{By, Command, ConferenceKey, LayoutEntry, LayoutName, MemberCommand, ParticipantId, Role, Transfer};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What people write.
const TEXT: &str = "text/plain";
/// Between signs of life of an event stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(act))
        .routes(routes!(act_on))
        .routes(routes!(events))
}

/// Who is in a conference.
#[derive(Debug, Serialize, ToSchema)]
struct Participants {
    /// In the order in which they came.
    participants: Vec<Person>,
}

/// What is done in a conference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum ConferenceAction {
    /// New guests wait.
    Lock,
    /// No longer.
    Unlock,
    /// Guests need not wait for a host.
    Start,
    /// Every guest, also later ones.
    MuteGuests,
    /// No longer.
    UnmuteGuests,
    /// Everybody who is in, at the server.
    MuteAll,
    /// No longer.
    UnmuteAll,
    /// Whether who joins this meeting from now on is muted.
    MuteOnJoin {
        /// `null` = as the settings say.
        muted: Option<bool>,
    },
    /// Lower every hand.
    LowerHands,
    /// What hosts and guests are shown; without both, what the settings say again.
    Layout {
        /// `A:B`; without it, as it is.
        #[serde(default)]
        hosts: Option<String>,
        /// `A:B`; without it, as it is.
        #[serde(default)]
        guests: Option<String>,
        /// Where composed pictures of those that are named here have the presentation: `main` (the main tile, which it is without),
        /// `beside` it, or `full`.
        #[serde(default)]
        presentation: Option<String>,
        /// Text over their composed pictures; without it, none.
        #[serde(default)]
        text: Option<String>,
        /// Whether people's pictures are cropped to fill their tiles; without it, they are fitted whole, with bars.
        #[serde(default)]
        fill: Option<bool>,
    },
    /// Everybody is told and out.
    End,
    /// Chat to everybody.
    Message {
        /// Plain text.
        text: String,
    },
}

/// What is done to a participant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum ParticipantAction {
    /// Mute at the server.
    Mute,
    /// No longer.
    Unmute,
    /// Stop their picture at the server.
    VideoMute,
    /// No longer.
    VideoUnmute,
    /// Stand first.
    SpotlightOn,
    /// No longer.
    SpotlightOff,
    /// May be given the presentation.
    AllowPresentation,
    /// No longer.
    DenyPresentation,
    /// Stand before others, after spotlights.
    Importance {
        /// 0 to 255, the higher the earlier; `null` = as everybody.
        importance: Option<u8>,
    },
    /// How loud they are in mixed sound.
    Volume {
        /// 0 to 400; 100 = as they are.
        percent: u16,
    },
    /// Their own layout.
    Layout {
        /// `A:B`; `null` = the one of hosts or guests.
        layout: Option<String>,
    },
    /// Another name on the picture.
    OverlayText {
        /// Empty = their name again.
        text: String,
    },
    /// Lower their hand.
    LowerHand,
    /// Chat to them alone.
    Message {
        /// Plain text.
        text: String,
    },
    /// Let in who waits.
    Admit,
    /// Back into the waiting room.
    Lobby,
    /// Another role.
    Role {
        /// Which.
        role: RoleName,
    },
    /// To another conference.
    Transfer {
        /// Its alias.
        alias: String,
        /// Its PIN, where one is needed.
        #[serde(default)]
        pin: Option<String>,
    },
    /// Throw out.
    Disconnect,
}

/// Rights in a conference.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RoleName {
    /// May steer.
    Host,
    /// May not.
    Guest,
}

/// Lists who is in a conference
#[utoipa::path(get, path = "/api/plenum/v1/conferences/{name}/participants", tag = "participants",
    params(("name" = String, Path, description = "UUID or alias")), responses((status = 200, body = Participants)))]
async fn list(State(app): State<App>, operator: Operator, Path(name): Path<String>) -> Answer {
    Ok(json(&Participants { participants: people(&app, &operator, name).await? }))
}

/// Shows a participant
#[utoipa::path(get, path = "/api/plenum/v1/conferences/{name}/participants/{id}", tag = "participants",
    params(("name" = String, Path, description = "UUID or alias"), ("id" = String, Path, description = "UUID")),
    responses((status = 200, body = Person)))]
async fn show(State(app): State<App>, operator: Operator, Path((name, id)): Path<(String, String)>) -> Answer {
    let people = people(&app, &operator, name).await?;
    let wanted = target(&id)?.to_string();
    let person = people.iter().find(|person| person.id == wanted).ok_or_else(nobody)?;
    Ok(json(person))
}

/// Does something in a conference
#[utoipa::path(post, path = "/api/plenum/v1/conferences/{name}/actions", tag = "participants",
    params(("name" = String, Path, description = "UUID or alias")), request_body = ConferenceAction,
    responses((status = 204)))]
async fn act(
    State(app): State<App>,
    Steerer(operator): Steerer,
    Path(name): Path<String>,
    Json(action): Json<ConferenceAction>,
) -> Answer {
    let guests = |muted| Command::MuteGuests { muted, but_presenter: false };
    let command = match action {
        ConferenceAction::Lock => Command::Lock(true),
        ConferenceAction::Unlock => Command::Lock(false),
        ConferenceAction::Start => Command::Start,
        ConferenceAction::MuteGuests => guests(true),
        ConferenceAction::UnmuteGuests => guests(false),
        ConferenceAction::MuteAll => Command::MuteAll { audio: Some(true), video: None },
        ConferenceAction::UnmuteAll => Command::MuteAll { audio: Some(false), video: None },
        ConferenceAction::MuteOnJoin { muted } => Command::MuteOnJoin(muted),
        ConferenceAction::LowerHands => Command::ClearHands,
        ConferenceAction::Layout { hosts, guests, presentation, text, fill } => {
            let places = || Problem::field("presentation", "presentation must be main, beside or full");
            let place = presentation.map(|word| PresentationPlace::parse(&word).ok_or_else(places)).transpose()?;
            let (presentation, banner) = (place.unwrap_or_default(), text.unwrap_or_default());
            let entry = |name: Option<String>, field, audience| -> Result<Option<LayoutEntry>, Problem> {
                let Some(name) = name else { return Ok(None) };
                let plain = LayoutEntry::new(audience, layout_name(&name, field)?);
                Ok(Some(LayoutEntry { presentation, banner: banner.clone(), fill: fill.unwrap_or(false), ..plain }))
            };
            let hosts = entry(hosts, "hosts", LayoutAudience::Hosts)?;
            let guests = entry(guests, "guests", LayoutAudience::Guests)?;
            Command::OverrideLayout { entries: hosts.into_iter().chain(guests).collect(), whole: false }
        }
        ConferenceAction::End => Command::End,
        ConferenceAction::Message { text } => Command::Message { content_type: TEXT.into(), payload: text },
    };
    ask(&app, &operator, Ask::Do { alias: name, by: By::Operator, command }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Does something to a participant
#[utoipa::path(post, path = "/api/plenum/v1/conferences/{name}/participants/{id}/actions", tag = "participants",
    params(("name" = String, Path, description = "UUID or alias"), ("id" = String, Path, description = "UUID")),
    request_body = ParticipantAction, responses((status = 204)))]
async fn act_on(
    State(app): State<App>,
    Steerer(operator): Steerer,
    Path((name, id)): Path<(String, String)>,
    Json(action): Json<ParticipantAction>,
) -> Answer {
    let command = match action {
        ParticipantAction::Mute => MemberCommand::Mute(true),
        ParticipantAction::Unmute => MemberCommand::Mute(false),
        ParticipantAction::VideoMute => MemberCommand::VideoMute(true),
        ParticipantAction::VideoUnmute => MemberCommand::VideoMute(false),
        ParticipantAction::SpotlightOn => MemberCommand::Spotlight(true),
        ParticipantAction::SpotlightOff => MemberCommand::Spotlight(false),
        ParticipantAction::AllowPresentation => MemberCommand::ReceivePresentation(true),
        ParticipantAction::DenyPresentation => MemberCommand::ReceivePresentation(false),
        ParticipantAction::Importance { importance } => MemberCommand::Importance(importance),
        ParticipantAction::Volume { percent } => MemberCommand::Volume(percent),
        ParticipantAction::Layout { layout } => {
            MemberCommand::Layout(layout.map(|name| layout_name(&name, "layout")).transpose()?)
        }
        ParticipantAction::OverlayText { text } => MemberCommand::OverlayText(text),
        ParticipantAction::LowerHand => MemberCommand::Hand(false),
        ParticipantAction::Message { text } => MemberCommand::Message { content_type: TEXT.into(), payload: text },
        ParticipantAction::Admit => MemberCommand::Admit,
        ParticipantAction::Lobby => MemberCommand::Lobby,
        ParticipantAction::Role { role: RoleName::Host } => MemberCommand::Role(Role::Host),
        ParticipantAction::Role { role: RoleName::Guest } => MemberCommand::Role(Role::Guest),
        ParticipantAction::Transfer { alias, pin } => {
            let pin = Some(pin.unwrap_or_default());
            MemberCommand::Transfer(Transfer { alias, pin, role: None, ending: Vec::new() })
        }
        ParticipantAction::Disconnect => MemberCommand::Disconnect,
    };
    let command = Command::To { target: target(&id)?, command };
    ask(&app, &operator, Ask::Do { alias: name, by: By::Operator, command }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn layout_name(name: &str, field: &str) -> Result<LayoutName, Problem> {
    let known = || Problem::field(field, format!("{field} must be one of {}", LAYOUTS.join(", ")));
    LayoutName::parse(name).ok_or_else(known)
}

/// Follows a conference: first what is, then what happens, as server-sent events
///
/// `event:` is the kind, `data:` what it says. A stream that is too slow ends; who comes back is told everything anew. It ends
/// too when the account or key that opened it is deleted or gets another secret; a comment says so.
#[utoipa::path(get, path = "/api/plenum/v1/conferences/{name}/events", tag = "participants",
    params(("name" = String, Path, description = "UUID or alias")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn events(State(app): State<App>, operator: Operator, Path(name): Path<String>) -> Answer {
    let key = match ask(&app, &operator, Ask::Conferences(Some(name))).await? {
        Reply::Conferences(list) => list.first().map(|info| info.key),
        _ => None,
    };
    let key = key.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such conference"))?;
    let limit = app.settings.limits.event_streams;
    let place = app.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("Limit of {limit} event streams reached"))
    })?;
    let Reply::Observing(observer) = ask(&app, &operator, Ask::Observe).await? else { return Err(unexpected()) };
    let begin = stream::once(async { Ok::<_, std::convert::Infallible>(Bytes::from_static(b"retry: 1000\n\n")) });
    let standing = Standing::new(operator, Needed::Viewer, &app.accounts);
    let rest = stream::unfold(Some(Following { observer, key, standing, _place: place }), next_text);
    let mut answer = Response::new(Body::from_stream(futures_util::StreamExt::chain(begin, rest)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    Ok(answer)
}

struct Following {
    observer: Observer,
    key: ConferenceKey,
    standing: Standing,
    _place: OwnedSemaphorePermit,
}

async fn next_text(state: Option<Following>) -> Option<(Result<Bytes, std::convert::Infallible>, Option<Following>)> {
    let mut following = state?;
    let seen = tokio::select! {
        biased;
        reason = following.standing.lost() => return Some((Ok(format!(": over, {reason}\n\n").into()), None)),
        seen = tokio::time::timeout(KEEP_ALIVE, following.observer.next()) => seen,
    };
    let mut text = String::new();
    match seen {
        Err(_) => text.push_str(": keep-alive\n\n"),
        Ok(Seen::Over) => return None,
        Ok(Seen::Lagged) => return Some((Ok(Bytes::from_static(b": too slow, begin again\n\n")), None)),
        Ok(Seen::Happened(batch)) => {
            let here = batch.iter().filter(|observed| observed.conference == following.key);
            for entry in here.flat_map(|observed| observed.entries.iter()) {
                if let Some(kind) = outside::kind(entry.audience, &entry.body) {
                    let data = outside::data(&entry.body);
                    text.push_str(&format!("event: {}\ndata: {data}\n\n", kind.name()));
                }
            }
        }
    }
    Some((Ok(text.into()), Some(following)))
}

async fn people(app: &App, operator: &Operator, name: String) -> Result<Vec<Person>, Problem> {
    match ask(app, operator, Ask::Do { alias: name, by: By::Operator, command: Command::Roster }).await? {
        Reply::Roster(list) => Ok(list.iter().map(Person::of).collect()),
        _ => Err(unexpected()),
    }
}

fn target(id: &str) -> Result<ParticipantId, Problem> {
    ParticipantId::parse(id).ok_or_else(nobody)
}

fn nobody() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "No such participant")
}
