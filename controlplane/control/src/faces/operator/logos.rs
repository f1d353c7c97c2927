//! A conference's own logo as REST: `/api/plenum/v1/conferences/{name}/logo`, a PNG. What cannot be one is refused with the reason, and the logo
//! before it stays.

use super::{Answer, ask, unexpected};
use crate::accounts::{Operator, Steerer};
use crate::driver::{Reply, Request as Ask};
use crate::http::App;
use crate::http::problem::Problem;
use crate::logo::{MAX_LOGO, problem};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, set, delete))
}

/// A conference's own logo
#[utoipa::path(get, path = "/api/plenum/v1/conferences/{name}/logo", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")),
    responses((status = 200, content_type = "image/png", body = Vec<u8>)))]
async fn show(State(app): State<App>, operator: Operator, Path(name): Path<String>) -> Answer {
    match ask(&app, &operator, Ask::Logo(name)).await? {
        Reply::Logo(Some(png)) => {
            let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-cache")];
            Ok((headers, png.to_vec()).into_response())
        }
        Reply::Logo(None) => Err(Problem::new(StatusCode::NOT_FOUND, "The conference has no logo of its own")),
        _ => Err(unexpected()),
    }
}

/// Gives a conference a logo: a PNG of at most 65536 bytes and 1024 pixels a side, whatever its content type says
///
/// It stands in the upper right of the conference's composed pictures, at once, instead of the server's. A PNG whose parts are whole and whose
/// pixels cannot be decoded all the same is not drawn: `GET …/status` (`mix_problems`) says so while the conference goes on.
#[utoipa::path(put, path = "/api/plenum/v1/conferences/{name}/logo", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")),
    request_body(content_type = "image/png", content = Vec<u8>), responses((status = 204)))]
async fn set(State(app): State<App>, Steerer(operator): Steerer, Path(name): Path<String>, request: Request) -> Answer {
    let png = axum::body::to_bytes(request.into_body(), MAX_LOGO).await.map_err(|_| {
        let reason = format!("The logo is longer than {MAX_LOGO} bytes, or broke off");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })?;
    if let Some(why) = problem(&png) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("The logo cannot be used: {why}")));
    }
    ask(&app, &operator, Ask::SetLogo(name, Some(png[..].into()))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes a conference's own logo away; it has the server's again
#[utoipa::path(delete, path = "/api/plenum/v1/conferences/{name}/logo", tag = "conferences",
    params(("name" = String, Path, description = "UUID or alias")), responses((status = 204)))]
async fn delete(State(app): State<App>, Steerer(operator): Steerer, Path(name): Path<String>) -> Answer {
    ask(&app, &operator, Ask::SetLogo(name, None)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
