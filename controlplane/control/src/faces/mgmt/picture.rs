//! Pictures of the presentation (MGMT-46): for clients that show it without receiving it.
//!
//! The first request has the presentation decoded, so its answer may take as long as a key frame of the presenter. Whoever fetches once a second,
//! or at each `presentation_frame`, is answered at once.

use super::{Ctx, render};
use crate::driver::{Failure, Reply, Request as Ask, Size};
use crate::http::failed;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plenum_model::Refusal;
use std::time::Duration;

/// How long a request waits for a picture.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET presentation.jpeg` and `presentation_high.jpeg`.
pub(super) async fn picture(c: &Ctx, size: Size) -> Response {
    let Some(token) = c.token_or_query() else {
        return render::refuse(Failure::Refused(Refusal::InvalidToken));
    };
    let mut newest = match c.ask(Ask::Picture { alias: c.alias.clone(), token, size }).await {
        Ok(Reply::Picture(Some(newest))) => newest,
        Ok(_) if c.app.settings.mixer => {
            return failed(StatusCode::NOT_FOUND, "There is no picture of the presentation: nobody presents");
        }
        Ok(_) => {
            let reason = "There is no picture of the presentation: this server does not decode video";
            return failed(StatusCode::NOT_FOUND, reason);
        }
        Err(refusal) => return refusal,
    };
    let picture = match tokio::time::timeout(PATIENCE, newest.wait_for(Option::is_some)).await {
        Ok(Ok(picture)) => picture.clone(),
        _ => None,
    };
    let Some(picture) = picture else {
        return failed(StatusCode::NOT_FOUND, "There is no picture of the presentation yet");
    };
    let tag = format!("\"{:x}\"", picture.number);
    let known = c.headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut answer = if known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        picture.jpeg.clone().into_response()
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}
