//! Conferences as REST: `/api/plenum/v1/conferences`. A conference is named by its UUID or by any of its aliases.

use super::body::{Json, Query, given};
use super::{Answer, PAGE, USUAL_PAGE, ask, created, json, unexpected};
use crate::accounts::{Operator, Role, Steerer};
use crate::driver::{ConferenceInfo, Reply, Request as Ask};
use crate::http::App;
use crate::http::problem::Problem;
use crate::store::rows::{KindRow, SettingsRow};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use plenum_model::{LayoutName, Settings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const BASE: &str = "/api/plenum/v1/conferences";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, replace, change, delete))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
struct Page {
    /// How many are left out at first.
    offset: u32,
    /// Most of them.
    #[param(minimum = 1, maximum = 1000)]
    limit: u32,
    /// What the name or an alias contains, in any letter case.
    filter: String,
}

impl Default for Page {
    fn default() -> Page {
        Page { offset: 0, limit: USUAL_PAGE, filter: String::new() }
    }
}

/// A conference.
#[derive(Debug, Serialize, ToSchema)]
struct Conference {
    /// UUID.
    id: String,
    /// Shown to people.
    name: String,
    /// Digits or addresses.
    aliases: Vec<String>,
    /// PIN of hosts; operators and admins see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_pin: Option<String>,
    /// PIN of guests; operators and admins see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_pin: Option<String>,
    /// Whether hosts need a PIN.
    host_pin_set: bool,
    /// Whether guests need a PIN.
    guest_pin_set: bool,
    /// Whether guests may enter.
    allow_guests: bool,
    /// Whether chat is passed on.
    chat: bool,
    /// Whether guests may present.
    guests_can_present: bool,
    /// Whether everybody joins muted.
    mute_on_join: bool,
    /// `A:B`.
    layout: String,
    /// When the last host leaves, the guest who came first becomes host.
    hand_over: bool,
    /// How long it exists.
    kind: KindRow,
    /// New guests wait.
    locked: bool,
    /// Guests are let in.
    started: bool,
    /// People, waiting ones included.
    participants: usize,
    /// Of them with media.
    with_media: usize,
    /// Whether it has a logo of its own.
    logo_set: bool,
}

/// Conferences.
#[derive(Debug, Serialize, ToSchema)]
struct ConferenceList {
    /// This part of them.
    conferences: Vec<Conference>,
    /// How many fit in all.
    total: usize,
}

/// Settings of a conference. What is left out is the default (POST, PUT) or stays (PATCH).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct ConferenceSettings {
    /// Shown to people; without it the first alias.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// Digits or addresses, 1 to 16. A new conference with one alias of digits gets an address of our domain beside it.
    aliases: Option<Vec<String>>,
    /// The same as `aliases` with this one, for a new conference.
    #[schema(example = "2000")]
    number: Option<String>,
    /// Makes a host; `null` = hosts need none.
    #[serde(deserialize_with = "given")]
    host_pin: Option<Option<String>>,
    /// Makes a guest; `null` = guests need none.
    #[serde(deserialize_with = "given")]
    guest_pin: Option<Option<String>>,
    /// Whether guests may enter.
    allow_guests: Option<bool>,
    /// Whether chat is passed on.
    chat: Option<bool>,
    /// Whether guests may present.
    guests_can_present: Option<bool>,
    /// Whether everybody joins muted.
    mute_on_join: Option<bool>,
    /// `A:B`, one of `GET …/available_layouts`.
    #[schema(example = "1:7")]
    layout: Option<String>,
    /// When the last host leaves, the guest who came first becomes host.
    hand_over: Option<bool>,
    /// How long it exists.
    kind: Option<KindRow>,
}

/// Lists conferences
#[utoipa::path(get, path = "/api/plenum/v1/conferences", tag = "conferences", params(Page),
    responses((status = 200, body = ConferenceList)))]
async fn list(State(app): State<App>, operator: Operator, Query(page): Query<Page>) -> Answer {
    if !(1..=PAGE).contains(&page.limit) {
        return Err(Problem::field("limit", format!("limit must be 1 to {PAGE}")));
    }
    let (offset, limit) = (page.offset as usize, page.limit as usize);
    match ask(&app, &operator, Ask::Page { offset, limit, filter: page.filter }).await? {
        Reply::Page(list, total) => {
            let conferences = list.into_iter().map(|info| shown(info, operator.role)).collect();
            Ok(json(&ConferenceList { conferences, total }))
        }
        _ => Err(unexpected()),
    }
}

/// Makes a conference
#[utoipa::path(post, path = "/api/plenum/v1/conferences", tag = "conferences", request_body = ConferenceSettings,
    responses((status = 201, body = Conference, headers(("location" = String)))))]
async fn create(
    State(app): State<App>,
    Steerer(operator): Steerer,
    Json(mut body): Json<ConferenceSettings>,
) -> Answer {
    if let Some(number) = body.number.take() {
        body.aliases.get_or_insert(vec![number]);
    }
    if let Some([only]) = body.aliases.as_deref()
        && !only.is_empty()
        && only.chars().all(|c| c.is_ascii_digit())
    {
        body.aliases = Some(vec![only.clone(), format!("{only}@{}", app.settings.domain)]);
    }
    let settings = body.over(Settings::default())?;
    match ask(&app, &operator, Ask::Create(settings)).await? {
        Reply::Created(id) => {
            let answer = one(&app, &operator, &id.to_string()).await?;
            Ok(created(answer, &format!("{BASE}/{id}")))
        }
        _ => Err(unexpected()),
    }
}

/// Shows a conference
#[utoipa::path(get, path = "/api/plenum/v1/conferences/{name}", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")), responses((status = 200, body = Conference)))]
async fn show(State(app): State<App>, operator: Operator, Path(name): Path<String>) -> Answer {
    one(&app, &operator, &name).await
}

/// Gives a conference these settings and no others
#[utoipa::path(put, path = "/api/plenum/v1/conferences/{name}", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")), request_body = ConferenceSettings,
    responses((status = 200, body = Conference)))]
async fn replace(
    State(app): State<App>,
    Steerer(operator): Steerer,
    Path(name): Path<String>,
    Json(body): Json<ConferenceSettings>,
) -> Answer {
    let before = find(&app, &operator, &name).await?;
    set(&app, &operator, &before, body, Settings::default()).await
}

/// Changes some settings of a conference
#[utoipa::path(patch, path = "/api/plenum/v1/conferences/{name}", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")), request_body = ConferenceSettings,
    responses((status = 200, body = Conference)))]
async fn change(
    State(app): State<App>,
    Steerer(operator): Steerer,
    Path(name): Path<String>,
    Json(body): Json<ConferenceSettings>,
) -> Answer {
    let before = find(&app, &operator, &name).await?;
    let base = before.settings.clone().settings().ok_or_else(unexpected)?;
    set(&app, &operator, &before, body, base).await
}

/// Deletes a conference; who is in it is told and out
#[utoipa::path(delete, path = "/api/plenum/v1/conferences/{name}", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")), responses((status = 204)))]
async fn delete(State(app): State<App>, Steerer(operator): Steerer, Path(name): Path<String>) -> Answer {
    ask(&app, &operator, Ask::Delete(name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn set(
    app: &App,
    operator: &Operator,
    before: &ConferenceInfo,
    body: ConferenceSettings,
    base: Settings,
) -> Answer {
    if body.number.is_some() {
        return Err(Problem::field("number", "number is for new conferences; aliases says all of them"));
    }
    let id = before.id.to_string();
    ask(app, operator, Ask::Change(id.clone(), body.over(base)?)).await?;
    one(app, operator, &id).await
}

async fn one(app: &App, operator: &Operator, name: &str) -> Result<Response, Problem> {
    Ok(json(&shown(find(app, operator, name).await?, operator.role)))
}

async fn find(app: &App, operator: &Operator, name: &str) -> Result<ConferenceInfo, Problem> {
    match ask(app, operator, Ask::Conferences(Some(name.into()))).await? {
        Reply::Conferences(mut list) if !list.is_empty() => Ok(list.remove(0)),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, "No such conference")),
    }
}

impl ConferenceSettings {
    /// These settings, and for what they leave out those of `base`.
    fn over(self, base: Settings) -> Result<Settings, Problem> {
        let aliases = self.aliases.unwrap_or(base.aliases);
        if aliases.is_empty() {
            return Err(Problem::field("aliases", "A conference needs an alias: aliases or number"));
        }
        let name = self.name.or(Some(base.name).filter(|name| !name.is_empty()));
        let layout = match self.layout {
            Some(layout) => LayoutName::parse(&layout)
                .ok_or_else(|| Problem::field("layout", "layout is not one of those that are served"))?,
            None => base.layout,
        };
        let kind = match self.kind {
            Some(kind) => kind.kind(),
            None => base.kind,
        };
        Ok(Settings {
            name: name.unwrap_or_else(|| aliases.first().cloned().unwrap_or_default()),
            aliases,
            host_pin: self.host_pin.unwrap_or(base.host_pin),
            guest_pin: self.guest_pin.unwrap_or(base.guest_pin),
            allow_guests: self.allow_guests.unwrap_or(base.allow_guests),
            chat: self.chat.unwrap_or(base.chat),
            guests_can_present: self.guests_can_present.unwrap_or(base.guests_can_present),
            mute_on_join: self.mute_on_join.unwrap_or(base.mute_on_join),
            layout,
            hand_over: self.hand_over.unwrap_or(base.hand_over),
            kind,
        })
    }
}

fn shown(info: ConferenceInfo, role: Role) -> Conference {
    let SettingsRow { name, aliases, host_pin, guest_pin, .. } = info.settings;
    let (host_pin_set, guest_pin_set) = (host_pin.is_some(), guest_pin.is_some());
    let tell = |pin: Option<String>| pin.filter(|_| role >= Role::Operator);
    Conference {
        id: info.id.to_string(),
        name,
        aliases,
        host_pin: tell(host_pin),
        guest_pin: tell(guest_pin),
        host_pin_set,
        guest_pin_set,
        allow_guests: info.settings.allow_guests,
        chat: info.settings.chat,
        guests_can_present: info.settings.guests_can_present,
        mute_on_join: info.settings.mute_on_join,
        layout: info.settings.layout,
        hand_over: info.settings.hand_over,
        kind: info.settings.kind,
        locked: info.status.locked,
        started: info.status.started,
        participants: info.participants,
        with_media: info.with_media,
        logo_set: info.logo,
    }
}
