//! The audit log as REST: `/api/plenum/v1/audit`. For admins.

use super::body::Query;
use super::{Answer, ask, json, unexpected};
use crate::accounts::Admin;
use crate::audit::{self, Entry, PAGE};
use crate::driver::{Reply, Request as Ask};
use crate::http::App;
use crate::http::problem::Problem;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which entries; everything that is given must fit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
struct Which {
    /// Only entries before this id: `next` of the answer before.
    before: u64,
    /// Most of them.
    #[param(minimum = 1, maximum = 1000)]
    limit: u32,
    /// Unix seconds: not before.
    since: u64,
    /// Unix seconds: before.
    until: u64,
    /// Exactly this account, key or host.
    who: Option<String>,
    /// Exactly this action.
    action: Option<String>,
    /// Exactly this conference, as it was named.
    conference: Option<String>,
}

impl Default for Which {
    fn default() -> Which {
        Which { before: 0, limit: 100, since: 0, until: 0, who: None, action: None, conference: None }
    }
}

/// An entry with its id.
#[derive(Debug, Serialize, ToSchema)]
struct Numbered {
    /// Grows with time.
    id: u64,
    #[serde(flatten)]
    entry: Entry,
}

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditList {
    /// The newest first.
    audit: Vec<Numbered>,
    /// Give it as `before` to go on; `null` = that was all. There may be more although fewer than `limit` came: an answer looks
    /// at 10,000 entries.
    next: Option<u64>,
}

/// Reads the audit log, the newest first
#[utoipa::path(get, path = "/api/plenum/v1/audit", tag = "audit", params(Which),
    responses((status = 200, body = AuditList)))]
async fn list(State(app): State<App>, Admin(operator): Admin, Query(which): Query<Which>) -> Answer {
    if !(1..=PAGE).contains(&which.limit) {
        return Err(Problem::field("limit", format!("limit must be 1 to {PAGE}")));
    }
    let Which { before, limit, since, until, who, action, conference } = which;
    let query = audit::Query { before, limit, since, until, who, action, conference };
    match ask(&app, &operator, Ask::Audit(query)).await? {
        Reply::Audit(found) => {
            let audit = found.entries.into_iter().map(|(id, entry)| Numbered { id, entry }).collect();
            Ok(json(&AuditList { audit, next: found.next }))
        }
        _ => Err(unexpected()),
    }
}
