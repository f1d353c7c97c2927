//! How the appliance is doing, and who asks.

use super::{Answer, json};
use crate::accounts::{Operator, Role};
use crate::http::App;
use axum::extract::State;
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Most problems of mixes that are told.
const SHOWN_PROBLEMS: usize = 16;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(me))
}

/// How the appliance is doing.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// Version of the program.
    version: &'static str,
    /// Seconds since the control plane started.
    uptime_s: u64,
    /// `up` or `down`.
    media: &'static str,
    /// Media planes that replaced another since the start.
    media_restarts: u64,
    /// Shards of the media plane.
    shards: usize,
    /// `ok` or `failed`.
    store: &'static str,
    /// Conferences that exist.
    conferences: u64,
    /// Conferences with somebody in them.
    active_conferences: u64,
    /// Participants.
    participants: u64,
    /// Media connections.
    calls: u64,
    /// Open event streams.
    event_streams: u64,
    /// What the mixer cannot do for meetings that go on: each with the conference and the reason; the first 16.
    mix_problems: Vec<MixProblem>,
}

/// A part of a conference's mix that cannot be done; the rest is.
#[derive(Debug, Serialize, ToSchema)]
struct MixProblem {
    /// First alias.
    conference: String,
    /// What and why.
    reason: String,
}

/// How the appliance is doing
#[utoipa::path(get, path = "/api/plenum/v1/status", tag = "status", responses((status = 200, body = Status)))]
async fn status(State(app): State<App>, _: Operator) -> Answer {
    let gauges = &app.gauges;
    Ok(json(&Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: app.started.elapsed().as_secs(),
        media: if gauges.media_up.load(Relaxed) { "up" } else { "down" },
        media_restarts: gauges.media_restarts.load(Relaxed),
        shards: gauges.media().shards.len(),
        store: if gauges.store_ok.load(Relaxed) { "ok" } else { "failed" },
        conferences: gauges.conferences.load(Relaxed),
        active_conferences: gauges.active_conferences.load(Relaxed),
        participants: gauges.participants.load(Relaxed),
        calls: gauges.calls.load(Relaxed),
        event_streams: gauges.event_streams.load(Relaxed),
        mix_problems: gauges.mix_problems(|all| {
            let problem = |(conference, reason): &(String, String)| MixProblem {
                conference: conference.clone(),
                reason: reason.clone(),
            };
            all.values().take(SHOWN_PROBLEMS).map(problem).collect()
        }),
    }))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Name of the account or key; `local` for who comes by the socket.
    name: String,
    /// What they may.
    role: Role,
    /// `password`, `key` or `socket`.
    via: &'static str,
}

/// Who asks, and what they may
#[utoipa::path(get, path = "/api/plenum/v1/me", tag = "status", responses((status = 200, body = Me)))]
async fn me(operator: Operator) -> Answer {
    Ok(json(&Me { name: operator.name, role: operator.role, via: operator.via.name() }))
}
