//! The room page: static files, part of the program, so that nothing has to be installed beside it.

use crate::http::App;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

macro_rules! file {
    ($path:literal, $kind:literal, $name:literal) => {
        ($path, $kind, include_bytes!(concat!("../../../page/", $name)).as_slice())
    };
}

/// Address, content type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    file!("/", "text/html; charset=utf-8", "index.html"),
    file!("/style.css", "text/css; charset=utf-8", "style.css"),
    file!("/app.js", "text/javascript; charset=utf-8", "app.js"),
    file!("/api.js", "text/javascript; charset=utf-8", "api.js"),
    file!("/call.js", "text/javascript; charset=utf-8", "call.js"),
    file!("/devices.js", "text/javascript; charset=utf-8", "devices.js"),
    file!("/i18n.js", "text/javascript; charset=utf-8", "i18n.js"),
    file!("/network.js", "text/javascript; charset=utf-8", "network.js"),
    file!("/tiles.js", "text/javascript; charset=utf-8", "tiles.js"),
    file!("/icon.svg", "image/svg+xml", "icon.svg"),
];

/// What the page may do: load from here, talk to here, show blobs of its own camera.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
                      style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Routes of the page.
pub fn routes() -> Router<App> {
    let mut router = Router::new();
    for (path, kind, content) in FILES {
        let tag = format!("\"{:.16}\"", hex(&Sha256::digest(content)));
        router = router.route(path, get(move |request: Request| async move { file(&request, kind, content, &tag) }));
    }
    router
}

fn file(request: &Request, kind: &'static str, content: &'static [u8], tag: &str) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = if known { StatusCode::NOT_MODIFIED.into_response() } else { content.into_response() };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
