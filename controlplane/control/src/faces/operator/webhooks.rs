//! Webhooks as REST: `/api/plenum/v1/webhooks`. For admins. The secret is shown once, to who made the webhook.

use super::body::Json;
use super::{Answer, ask, created, json};
use crate::accounts::{Admin, Change};
use crate::driver::Request as Ask;
use crate::hooks::{Hook, HookChange, MAX_NAMED, State as Delivery, Target, make_secret};
use crate::http::App;
use crate::http::problem::Problem;
use crate::outside::Kind;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(show, change, delete))
}

/// A webhook, and how its deliveries go since the server started.
#[derive(Debug, Serialize, ToSchema)]
struct Webhook {
    /// Its id.
    id: String,
    /// Where events are sent.
    url: String,
    /// What is told.
    kinds: Vec<Kind>,
    /// Conferences by UUID or alias; empty = all.
    conferences: Vec<String>,
    /// Unix seconds.
    created: u64,
    /// Events that wait.
    pending: u64,
    /// Deliveries that were taken.
    delivered: u64,
    /// Deliveries that failed; they are tried again.
    failed: u64,
    /// Events that gave way because too many waited.
    lost: u64,
    /// Why the last delivery failed; empty once one was taken.
    error: String,
    /// Signs what is sent; told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// All webhooks.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookList {
    /// By id.
    webhooks: Vec<Webhook>,
}

/// A new webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// `https://…`
    #[schema(example = "https://example.org/plenum")]
    url: String,
    /// What is told; without it everything but `message` and `stage`.
    #[serde(default)]
    kinds: Option<Vec<Kind>>,
    /// Conferences by UUID or alias, at most 100; empty = all.
    #[serde(default)]
    conferences: Vec<String>,
}

/// What is to be another; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookPatch {
    /// `https://…`
    #[serde(default)]
    url: Option<String>,
    /// What is told.
    #[serde(default)]
    kinds: Option<Vec<Kind>>,
    /// Conferences by UUID or alias, at most 100; empty = all.
    #[serde(default)]
    conferences: Option<Vec<String>>,
    /// Another secret: told once, in the answer. The old one signs nothing from then on.
    #[serde(default)]
    new_secret: bool,
}

/// Lists webhooks
#[utoipa::path(get, path = "/api/plenum/v1/webhooks", tag = "webhooks", responses((status = 200, body = WebhookList)))]
async fn list(State(app): State<App>, _: Admin) -> Answer {
    let (directory, states) = (app.accounts.now(), app.gauges.hooks.now());
    let shown = |(id, hook): (&String, &Hook)| shown(id, hook, states.get(id).cloned(), None);
    Ok(json(&WebhookList { webhooks: directory.hooks.iter().map(shown).collect() }))
}

/// Shows a webhook
#[utoipa::path(get, path = "/api/plenum/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")), responses((status = 200, body = Webhook)))]
async fn show(State(app): State<App>, _: Admin, Path(id): Path<String>) -> Answer {
    Ok(json(&one(&app, &id, None)?))
}

/// Makes a webhook
#[utoipa::path(post, path = "/api/plenum/v1/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, body = Webhook, headers(("location" = String)))))]
async fn add(State(app): State<App>, Admin(operator): Admin, Json(new): Json<NewWebhook>) -> Answer {
    check_url(&app, &new.url)?;
    check_conferences(&new.conferences)?;
    let kinds = in_order(new.kinds.unwrap_or_else(|| Kind::USUAL.to_vec()))?;
    let (id, secret) = make_secret();
    let hook = Hook { url: new.url, secret: secret.clone(), kinds, conferences: new.conferences, created: 0 };
    ask(&app, &operator, Ask::Accounts(Change::AddHook { id: id.clone(), hook })).await?;
    let made = one(&app, &id, Some(secret))?;
    Ok(created(json(&made), &format!("/api/plenum/v1/webhooks/{id}")))
}

/// Changes a webhook, or gives it another secret
#[utoipa::path(patch, path = "/api/plenum/v1/webhooks/{id}", tag = "webhooks", request_body = WebhookPatch,
    params(("id" = String, Path, description = "Id of the webhook")), responses((status = 200, body = Webhook)))]
async fn change(
    State(app): State<App>,
    Admin(operator): Admin,
    Path(id): Path<String>,
    Json(patch): Json<WebhookPatch>,
) -> Answer {
    patch.url.iter().try_for_each(|url| check_url(&app, url))?;
    patch.conferences.iter().try_for_each(|names| check_conferences(names))?;
    let kinds = patch.kinds.map(in_order).transpose()?;
    let secret = patch.new_secret.then(|| make_secret().1);
    let change = HookChange { url: patch.url, kinds, conferences: patch.conferences, secret: secret.clone() };
    ask(&app, &operator, Ask::Accounts(Change::SetHook { id: id.clone(), change })).await?;
    Ok(json(&one(&app, &id, secret)?))
}

/// Deletes a webhook, and what waits for it
#[utoipa::path(delete, path = "/api/plenum/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Id of the webhook")), responses((status = 204)))]
async fn delete(State(app): State<App>, Admin(operator): Admin, Path(id): Path<String>) -> Answer {
    ask(&app, &operator, Ask::Accounts(Change::DeleteHook(id))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn check_url(app: &App, url: &str) -> Result<(), Problem> {
    Target::read(url, app.settings.webhook_private).map(drop).map_err(|reason| Problem::field("url", reason))
}

fn check_conferences(names: &[String]) -> Result<(), Problem> {
    if names.len() > MAX_NAMED || names.iter().any(|name| name.len() > 512) {
        return Err(Problem::field("conferences", format!("conferences: at most {MAX_NAMED} aliases or UUIDs")));
    }
    Ok(())
}

/// At least one kind, each once.
fn in_order(mut kinds: Vec<Kind>) -> Result<Vec<Kind>, Problem> {
    kinds.sort();
    kinds.dedup();
    if kinds.is_empty() { Err(Problem::field("kinds", "kinds: at least one")) } else { Ok(kinds) }
}

fn one(app: &App, id: &str, secret: Option<String>) -> Result<Webhook, Problem> {
    let directory = app.accounts.now();
    let hook = directory.hooks.get(id).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such webhook"))?;
    Ok(shown(id, hook, app.gauges.hooks.now().get(id).cloned(), secret))
}

fn shown(id: &str, hook: &Hook, state: Option<Delivery>, secret: Option<String>) -> Webhook {
    let Delivery { pending, delivered, failed, lost, error } = state.unwrap_or_default();
    Webhook {
        id: id.into(),
        url: hook.url.clone(),
        kinds: hook.kinds.clone(),
        conferences: hook.conferences.clone(),
        created: hook.created,
        pending,
        delivered,
        failed,
        lost,
        error,
        secret,
    }
}
