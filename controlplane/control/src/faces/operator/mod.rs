//! For operators: `/health`, `/metrics`, and our REST API under `/api/plenum/v1/` with its description in OpenAPI.
//!
//! Who may what is said by each handler: it takes an [`Operator`], or who may more, before it reads anything else. Health and
//! metrics need nobody: they tell numbers only, and so does the description.

mod accounts;
mod audit;
mod body;
mod conferences;
mod docs;
mod logos;
mod metrics;
mod participants;
mod status;
mod webhooks;

pub use docs::openapi;

use crate::accounts::{Operator, Refused};
use crate::driver::{Failure, Reply, Request};
use crate::http::App;
use crate::http::problem::Problem;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use plenum_model::Refusal;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

/// Most items in one answer of a list.
const PAGE: u32 = 1_000;
/// Items in an answer when nobody says how many.
const USUAL_PAGE: u32 = 100;

/// What handlers answer.
type Answer = Result<Response, Problem>;

/// Routes of this face.
pub fn routes() -> Router<App> {
    let (router, _) = api().split_for_parts();
    router.merge(docs::routes()).route("/health", get(metrics::health)).route("/metrics", get(metrics::metrics))
}

/// The operations with their descriptions.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(status::routes())
        .merge(conferences::routes())
        .merge(logos::routes())
        .merge(participants::routes())
        .merge(accounts::routes())
        .merge(webhooks::routes())
        .merge(audit::routes())
}

/// Asks the driver in an operator's name.
async fn ask(app: &App, operator: &Operator, request: Request) -> Result<Reply, Problem> {
    app.driver.ask_from(operator.origin("rest"), request).await.map_err(refuse)
}

fn json(body: &impl Serialize) -> Response {
    axum::Json(body).into_response()
}

/// Something was made, and is here from now on.
fn created(mut answer: Response, location: &str) -> Response {
    *answer.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// A driver's refusal as a problem.
fn refuse(failure: Failure) -> Problem {
    match failure {
        Failure::Refused(Refusal::NoSuchConference) => Problem::new(StatusCode::NOT_FOUND, "No such conference"),
        Failure::Refused(Refusal::NoSuchParticipant) => Problem::new(StatusCode::NOT_FOUND, "No such participant"),
        Failure::Refused(Refusal::AliasTaken(alias)) => {
            Problem::new(StatusCode::CONFLICT, format!("Another conference has the alias {alias}")).about("aliases")
        }
        Failure::Refused(Refusal::BadValue(text)) => {
            let field = ["alias", "PIN", "name", "layout", "role"].into_iter().find(|word| text.contains(word));
            let problem = Problem::new(StatusCode::BAD_REQUEST, text);
            match field {
                Some("alias") => problem.about("aliases"),
                Some("PIN") => problem.about("host_pin"),
                Some(field) => problem.about(field),
                None => problem,
            }
        }
        Failure::Refused(Refusal::Limit(text)) => Problem::new(StatusCode::CONFLICT, text),
        Failure::Refused(Refusal::NotAvailable(text)) => Problem::new(StatusCode::NOT_IMPLEMENTED, text),
        Failure::Refused(Refusal::NotNow(text)) => Problem::new(StatusCode::CONFLICT, text),
        Failure::Refused(Refusal::WrongPin) => Problem::new(StatusCode::BAD_REQUEST, "Wrong PIN").about("pin"),
        Failure::Refused(Refusal::ChatDisabled) => Problem::new(StatusCode::CONFLICT, "Chat is off here"),
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
