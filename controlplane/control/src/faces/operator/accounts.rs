//! Accounts and API keys as REST: `/api/plenum/v1/accounts` and `/api/plenum/v1/keys`. For admins; everybody may ask who they
//! are. Passwords and keys are shown once, to who made them, and never again.

use super::body::Json;
use super::refuse;
use crate::accounts::{
    Account, Admin, Change, Key, Operator, PASSWORD_LENGTH, Role, hash_password, make_key, make_password,
};
use crate::driver::Request as Ask;
use crate::http::App;
use crate::http::problem::Problem;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/plenum/v1/me", get(me))
        .route("/api/plenum/v1/accounts", get(list_accounts).post(add_account))
        .route("/api/plenum/v1/accounts/{name}", get(show_account).patch(change_account).delete(delete_account))
        .route("/api/plenum/v1/keys", get(list_keys).post(add_key))
        .route("/api/plenum/v1/keys/{id}", get(show_key).delete(delete_key))
}

/// Who asks.
#[derive(Debug, Serialize)]
struct Me {
    /// Name of the account or key; `local` for who comes by the socket.
    name: String,
    /// What they may.
    role: Role,
    /// `password`, `key` or `socket`.
    via: &'static str,
}

/// An account.
#[derive(Debug, Serialize)]
struct AccountBody {
    /// Its name.
    name: String,
    /// What it may.
    role: Role,
    /// Unix seconds.
    created: u64,
    /// The password that was made for it; told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// All accounts.
#[derive(Debug, Serialize)]
struct AccountList {
    /// By name.
    accounts: Vec<AccountBody>,
}

/// A new account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    /// 1 to 64 letters, digits and `. _ - @`.
    name: String,
    /// What it may.
    role: Role,
    /// 12 to 256 characters; without it one is made and told in the answer.
    #[serde(default)]
    password: Option<String>,
}

/// What changes of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    /// Another role.
    #[serde(default)]
    role: Option<Role>,
    /// Another password, 12 to 256 characters.
    #[serde(default)]
    password: Option<String>,
    /// Make a password and tell it in the answer.
    #[serde(default)]
    new_password: bool,
}

/// An API key.
#[derive(Debug, Serialize)]
struct KeyBody {
    /// Its public part.
    id: String,
    /// What uses it.
    name: String,
    /// What it may.
    role: Role,
    /// Unix seconds.
    created: u64,
    /// Unix seconds of its last request, when there was one.
    last_used: Option<u64>,
    /// What the program sends as `Authorization: Bearer`; told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// All keys.
#[derive(Debug, Serialize)]
struct KeyList {
    /// By id.
    keys: Vec<KeyBody>,
}

/// A new key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What uses it: 1 to 64 letters, digits and `. _ - @`.
    name: String,
    /// What it may.
    role: Role,
}

type Answer = Result<Response, Problem>;

async fn me(operator: Operator) -> Response {
    axum::Json(Me { name: operator.name, role: operator.role, via: operator.via.name() }).into_response()
}

async fn list_accounts(State(app): State<App>, _: Admin) -> Answer {
    let accounts = app.accounts.now();
    let accounts = accounts.accounts.iter().map(|(name, account)| account_body(name, account, None)).collect();
    Ok(axum::Json(AccountList { accounts }).into_response())
}

async fn show_account(State(app): State<App>, _: Admin, Path(name): Path<String>) -> Answer {
    account(&app, &name, None)
}

async fn add_account(State(app): State<App>, _: Admin, Json(new): Json<NewAccount>) -> Answer {
    let told = new.password.is_none();
    let password = new.password.unwrap_or_else(make_password);
    let hash = hashed(&password).await?;
    let change = Change::AddAccount { name: new.name.clone(), role: new.role, password: hash };
    ask(&app, change).await?;
    let mut answer = account(&app, &new.name, told.then_some(password))?;
    created(&mut answer, &format!("/api/plenum/v1/accounts/{}", new.name));
    Ok(answer)
}

async fn change_account(
    State(app): State<App>,
    _: Admin,
    Path(name): Path<String>,
    Json(change): Json<AccountChange>,
) -> Answer {
    let made = change.new_password.then(make_password);
    let password = match made.as_ref().or(change.password.as_ref()) {
        Some(password) => Some(hashed(password).await?),
        None => None,
    };
    ask(&app, Change::SetAccount { name: name.clone(), role: change.role, password }).await?;
    account(&app, &name, made)
}

async fn delete_account(State(app): State<App>, _: Admin, Path(name): Path<String>) -> Answer {
    ask(&app, Change::DeleteAccount(name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_keys(State(app): State<App>, _: Admin) -> Answer {
    let keys = app.accounts.now();
    let keys = keys.keys.iter().map(|(id, key)| key_body(id, key, None)).collect();
    Ok(axum::Json(KeyList { keys }).into_response())
}

async fn show_key(State(app): State<App>, _: Admin, Path(id): Path<String>) -> Answer {
    key(&app, &id, None)
}

async fn add_key(State(app): State<App>, _: Admin, Json(new): Json<NewKey>) -> Answer {
    let (id, shown, hash) = make_key();
    ask(&app, Change::AddKey { id: id.clone(), name: new.name, role: new.role, hash }).await?;
    let mut answer = key(&app, &id, Some(shown))?;
    created(&mut answer, &format!("/api/plenum/v1/keys/{id}"));
    Ok(answer)
}

async fn delete_key(State(app): State<App>, _: Admin, Path(id): Path<String>) -> Answer {
    ask(&app, Change::DeleteKey(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn ask(app: &App, change: Change) -> Result<(), Problem> {
    match app.driver.ask(Ask::Accounts(change)).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(refuse(failure)),
    }
}

fn account(app: &App, name: &str, password: Option<String>) -> Answer {
    let accounts = app.accounts.now();
    let account = accounts.accounts.get(name);
    let account = account.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such account"))?;
    Ok(axum::Json(account_body(name, account, password)).into_response())
}

fn key(app: &App, id: &str, shown: Option<String>) -> Answer {
    let accounts = app.accounts.now();
    let key = accounts.keys.get(id);
    let key = key.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such key"))?;
    Ok(axum::Json(key_body(id, key, shown)).into_response())
}

fn account_body(name: &str, account: &Account, password: Option<String>) -> AccountBody {
    AccountBody { name: name.into(), role: account.role, created: account.created, password }
}

fn key_body(id: &str, key: &Key, shown: Option<String>) -> KeyBody {
    let last_used = Some(key.used.load(Relaxed)).filter(|used| *used > 0);
    KeyBody { id: id.into(), name: key.name.clone(), role: key.role, created: key.created, last_used, key: shown }
}

/// Hashes a chosen password, off the async threads.
async fn hashed(password: &str) -> Result<String, Problem> {
    if !PASSWORD_LENGTH.contains(&password.chars().count()) {
        return Err(Problem::field("password", "A password must have 12 to 256 characters"));
    }
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    hash.ok().and_then(Result::ok).ok_or_else(|| Problem::field("password", "This password cannot be hashed"))
}

fn created(answer: &mut Response, location: &str) {
    *answer.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
}
