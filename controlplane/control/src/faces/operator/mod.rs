//! For operators: `/health`, `/metrics`, and our REST API under `/api/plenum/v1/`.
//!
//! Who may what is said by each handler: it takes an [`crate::accounts::Operator`] and requires a role. Health and metrics
//! need none: they tell numbers only.

mod accounts;
mod body;
mod conferences;
mod metrics;

use crate::driver::Failure;
use crate::http::App;
use crate::http::problem::Problem;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use plenum_model::Refusal;

/// Routes of this face.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .merge(conferences::routes())
        .merge(accounts::routes())
}

/// A driver's refusal as a problem.
fn refuse(failure: Failure) -> Problem {
    use crate::accounts::Refused;
    match failure {
        Failure::Refused(Refusal::NoSuchConference) => Problem::new(StatusCode::NOT_FOUND, "No such conference"),
        Failure::Refused(Refusal::AliasTaken(alias)) => {
            Problem::new(StatusCode::CONFLICT, format!("Another conference has the alias {alias}"))
        }
        Failure::Refused(Refusal::BadValue(text)) => Problem::new(StatusCode::BAD_REQUEST, text),
        Failure::Refused(Refusal::Limit(text)) => Problem::new(StatusCode::CONFLICT, text),
        Failure::Refused(_) => Problem::new(StatusCode::BAD_REQUEST, "This cannot be done"),
        Failure::Accounts(refused) => match &refused {
            Refused::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, refused.to_string()),
            Refused::Bad(field, _) => Problem::field(*field, refused.to_string()),
            _ => Problem::new(StatusCode::CONFLICT, refused.to_string()),
        },
        other => Problem::new(StatusCode::SERVICE_UNAVAILABLE, other.to_string()),
    }
}

fn unexpected() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Unexpected answer")
}
