//! Accounts and API keys as REST: `/api/plenum/v1/accounts` and `/api/plenum/v1/keys`. For admins; everybody may ask who they
//! are. Passwords and keys are shown once, to who made them, and never again.

use super::body::Json;
use super::{Answer, ask, created, json};
use crate::accounts::{
    Account, Admin, Change, Key, Operator, PASSWORD_LENGTH, Role, hash_password, make_key, make_password,
};
use crate::driver::Request as Ask;
use crate::http::App;
use crate::http::problem::Problem;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_accounts, add_account))
        .routes(routes!(show_account, change_account, delete_account))
        .routes(routes!(list_keys, add_key))
        .routes(routes!(show_key, delete_key))
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
struct AccountList {
    /// By name.
    accounts: Vec<AccountBody>,
}

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
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
#[derive(Debug, Deserialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
struct KeyList {
    /// By id.
    keys: Vec<KeyBody>,
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What uses it: 1 to 64 letters, digits and `. _ - @`.
    name: String,
    /// What it may.
    role: Role,
}

/// Lists accounts
#[utoipa::path(get, path = "/api/plenum/v1/accounts", tag = "accounts", responses((status = 200, body = AccountList)))]
async fn list_accounts(State(app): State<App>, _: Admin) -> Answer {
    let accounts = app.accounts.now();
    let accounts = accounts.accounts.iter().map(|(name, account)| account_body(name, account, None)).collect();
    Ok(json(&AccountList { accounts }))
}

/// Shows an account
#[utoipa::path(get, path = "/api/plenum/v1/accounts/{name}", tag = "accounts",
    params(("name" = String, Path, description = "Name of the account")), responses((status = 200, body = AccountBody)))]
async fn show_account(State(app): State<App>, _: Admin, Path(name): Path<String>) -> Answer {
    account(&app, &name, None)
}

/// Makes an account
#[utoipa::path(post, path = "/api/plenum/v1/accounts", tag = "accounts", request_body = NewAccount,
    responses((status = 201, body = AccountBody, headers(("location" = String)))))]
async fn add_account(State(app): State<App>, Admin(operator): Admin, Json(new): Json<NewAccount>) -> Answer {
    let told = new.password.is_none();
    let password = new.password.unwrap_or_else(make_password);
    let hash = hashed(&password).await?;
    let change = Change::AddAccount { name: new.name.clone(), role: new.role, password: hash };
    manage(&app, &operator, change).await?;
    let answer = account(&app, &new.name, told.then_some(password))?;
    Ok(created(answer, &format!("/api/plenum/v1/accounts/{}", new.name)))
}

/// Gives an account another role or password
#[utoipa::path(patch, path = "/api/plenum/v1/accounts/{name}", tag = "accounts",
    params(("name" = String, Path, description = "Name of the account")),
    request_body = AccountChange, responses((status = 200, body = AccountBody)))]
async fn change_account(
    State(app): State<App>,
    Admin(operator): Admin,
    Path(name): Path<String>,
    Json(change): Json<AccountChange>,
) -> Answer {
    let made = change.new_password.then(make_password);
    let password = match made.as_ref().or(change.password.as_ref()) {
        Some(password) => Some(hashed(password).await?),
        None => None,
    };
    manage(&app, &operator, Change::SetAccount { name: name.clone(), role: change.role, password }).await?;
    account(&app, &name, made)
}

/// Deletes an account
#[utoipa::path(delete, path = "/api/plenum/v1/accounts/{name}", tag = "accounts",
    params(("name" = String, Path, description = "Name of the account")), responses((status = 204)))]
async fn delete_account(State(app): State<App>, Admin(operator): Admin, Path(name): Path<String>) -> Answer {
    manage(&app, &operator, Change::DeleteAccount(name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists API keys
#[utoipa::path(get, path = "/api/plenum/v1/keys", tag = "keys", responses((status = 200, body = KeyList)))]
async fn list_keys(State(app): State<App>, _: Admin) -> Answer {
    let keys = app.accounts.now();
    let keys = keys.keys.iter().map(|(id, key)| key_body(id, key, None)).collect();
    Ok(json(&KeyList { keys }))
}

/// Shows an API key
#[utoipa::path(get, path = "/api/plenum/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "Id of the key")), responses((status = 200, body = KeyBody)))]
async fn show_key(State(app): State<App>, _: Admin, Path(id): Path<String>) -> Answer {
    key(&app, &id, None)
}

/// Makes an API key
#[utoipa::path(post, path = "/api/plenum/v1/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, body = KeyBody, headers(("location" = String)))))]
async fn add_key(State(app): State<App>, Admin(operator): Admin, Json(new): Json<NewKey>) -> Answer {
    let (id, shown, hash) = make_key();
    manage(&app, &operator, Change::AddKey { id: id.clone(), name: new.name, role: new.role, hash }).await?;
    let answer = key(&app, &id, Some(shown))?;
    Ok(created(answer, &format!("/api/plenum/v1/keys/{id}")))
}

/// Revokes an API key, named by its id or name
#[utoipa::path(delete, path = "/api/plenum/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "Id of the key")), responses((status = 204)))]
async fn delete_key(State(app): State<App>, Admin(operator): Admin, Path(id): Path<String>) -> Answer {
    manage(&app, &operator, Change::DeleteKey(id)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn manage(app: &App, operator: &Operator, change: Change) -> Result<(), Problem> {
    ask(app, operator, Ask::Accounts(change)).await.map(drop)
}

fn account(app: &App, name: &str, password: Option<String>) -> Answer {
    let accounts = app.accounts.now();
    let account = accounts.accounts.get(name);
    let account = account.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such account"))?;
    Ok(json(&account_body(name, account, password)))
}

fn key(app: &App, id: &str, shown: Option<String>) -> Answer {
    let accounts = app.accounts.now();
    let key = accounts.keys.get(id);
    let key = key.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "No such key"))?;
    Ok(json(&key_body(id, key, shown)))
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
