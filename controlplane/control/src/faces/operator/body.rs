//! JSON bodies and queries of the REST API: bounded, typed, and refused with the name of the field that is wrong.

use crate::http::problem::Problem;
use crate::http::{App, BODY};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// A body of at most [`BODY`] bytes.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Json<T>, Problem> {
        let body = axum::body::to_bytes(request.into_body(), BODY).await.map_err(|_| {
            let reason = format!("The body is longer than {BODY} bytes, or broke off");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
        })?;
        read(&body).map(Json)
    }
}

/// What the query says.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Query<T>, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Query(query.0)).map_err(|error| {
            let text = error.body_text();
            let reason = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, reason)| reason);
            let path = reason.split_once(": ").map(|(path, _)| path).filter(|path| !path.contains(' '));
            match named(reason).or(path) {
                Some(field) => Problem::field(field, reason),
                None => Problem::new(StatusCode::BAD_REQUEST, reason),
            }
        })
    }
}

/// A value that may be left out, or be `null`.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, text) = (error.path().to_string(), error.inner().to_string());
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned();
        match (path.as_str(), named(&reason)) {
            ("." | "?", Some(field)) => Problem::field(field, reason.clone()),
            ("." | "?", None) => Problem::new(StatusCode::BAD_REQUEST, format!("The body cannot be read: {text}")),
            (path, _) => Problem::field(path, reason.clone()),
        }
    })?;
    json.end().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("Behind the body: {error}")))?;
    Ok(value)
}

/// The field that serde names in "missing field `x`", "unknown field `x`" and "duplicate field `x`".
fn named(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once(" field `")?;
    rest.split_once('`').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Body {
        name: String,
        #[serde(default)]
        list: Vec<u8>,
    }

    #[test]
    fn a_bad_body_is_told_with_its_field() {
        let problem = |text: &str| read::<Body>(text.as_bytes()).unwrap_err();
        assert_eq!(problem("{}"), Problem::field("name", "missing field `name`"));
        assert_eq!(problem(r#"{"name":"a","list":[1,"x"]}"#), {
            Problem::field("list[1]", "invalid type: string \"x\", expected u8")
        });
        let text = format!("{:?}", problem(r#"{"name":"a","colour":1}"#));
        assert!(text.contains("Some(\"colour\")"), "{text}");
        let text = format!("{:?}", problem(r#"{"name":"a","name":"b"}"#));
        assert!(text.contains("Some(\"name\")"), "{text}");
        for bad in ["", "x", "[]", "{", "{\"name\":\"a\"} more", &"[".repeat(10_000)] {
            assert!(read::<Body>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
