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
    file!("/chat.js", "text/javascript; charset=utf-8", "chat.js"),
    file!("/devices.js", "text/javascript; charset=utf-8", "devices.js"),
    file!("/dom.js", "text/javascript; charset=utf-8", "dom.js"),
    file!("/i18n.js", "text/javascript; charset=utf-8", "i18n.js"),
    file!("/layouts.js", "text/javascript; charset=utf-8", "layouts.js"),
    file!("/network.js", "text/javascript; charset=utf-8", "network.js"),
    file!("/people.js", "text/javascript; charset=utf-8", "people.js"),
    file!("/picture.js", "text/javascript; charset=utf-8", "picture.js"),
    file!("/refusals.js", "text/javascript; charset=utf-8", "refusals.js"),
    file!("/room.js", "text/javascript; charset=utf-8", "room.js"),
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

#[cfg(test)]
mod tests {
    use super::FILES;
    use std::collections::{BTreeMap, BTreeSet};

    const LANGUAGES: usize = 4;

    fn text(path: &str) -> &'static str {
        let (_, _, content) = FILES.iter().find(|(at, _, _)| *at == path).expect("the file is served");
        std::str::from_utf8(content).expect("UTF-8")
    }

    fn scripts() -> impl Iterator<Item = &'static str> {
        let code = |(path, _, _): &&(&'static str, _, _)| path.ends_with(".js") && *path != "/i18n.js";
        FILES.iter().filter(code).map(|(path, _, _)| text(path))
    }

    /// What stands between `before` and the next `after`, everywhere.
    fn between<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
    }

    fn quoted(text: &str) -> Vec<&str> {
        text.split('\'').skip(1).step_by(2).collect()
    }

    /// Each key with its words, as i18n.js has them: a line for each key.
    fn words() -> BTreeMap<&'static str, Vec<&'static str>> {
        let table =
            text("/i18n.js").split_once("const words = {").expect("a table").1.split_once("\n};").expect("its end").0;
        let entry = |line: &'static str| {
            let (key, list) = line.trim().split_once(": [")?;
            Some((key, quoted(list)))
        };
        table.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(entry).collect()
    }

    /// The arguments of every call of `t`.
    fn translated(script: &str) -> BTreeSet<&str> {
        let mut keys = BTreeSet::new();
        for (at, _) in script.match_indices("t(") {
            if script[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_$.#".contains(c)) {
                continue;
            }
            let mut depth = 0;
            let end = script[at..].find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ')' && depth == 0
            });
            let call = &script[at..at + end.expect("a call ends")];
            keys.extend(quoted(call).into_iter().filter(|word| !word.is_empty()));
        }
        keys
    }

    fn shown_by_html() -> BTreeSet<&'static str> {
        let attributes = ["data-i18n=\"", "data-i18n-label=\"", "data-i18n-placeholder=\""];
        attributes.into_iter().flat_map(|attribute| between(text("/"), attribute, '"')).collect()
    }

    #[test]
    fn every_text_of_the_page_stands_in_every_language_with_the_same_places_for_names() {
        let words = words();
        assert!(words.len() > 60, "the table is read");
        for (key, texts) in words {
            assert_eq!(texts.len(), LANGUAGES, "{key}");
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{key} has an empty text");
            let places = |text: &&'static str| between(text, "{", '}').collect::<BTreeSet<_>>();
            assert!(texts.iter().all(|text| places(text) == places(&texts[0])), "{key}: {texts:?}");
        }
    }

    #[test]
    fn every_text_that_is_asked_for_exists_and_none_is_left_over() {
        let words = words();
        let mut asked = shown_by_html();
        for script in scripts() {
            asked.extend(translated(script));
            // Tables of keys: the network panel's rows, farewells, refusals, choices of the picture.
            let family = |word: &&str| {
                let rest = ["stat", "ended", "refused", "problem", "own", "audience", "slides", "layout"]
                    .iter()
                    .find_map(|name| word.strip_prefix(name));
                rest.is_some_and(|rest| {
                    rest.starts_with(|c: char| c.is_ascii_uppercase())
                        && rest.chars().all(|c| c.is_ascii_alphanumeric())
                })
            };
            asked.extend(script.lines().flat_map(quoted).filter(family));
        }
        let missing: Vec<_> = asked.iter().filter(|key| !words.contains_key(**key)).collect();
        assert!(missing.is_empty(), "not in i18n.js: {missing:?}");
        let unused: Vec<_> = words.keys().filter(|key| !asked.contains(**key)).collect();
        assert!(unused.is_empty(), "in i18n.js, but used nowhere: {unused:?}");
    }

    #[test]
    fn scripts_find_every_element_they_name_and_every_file_they_import() {
        let html = text("/");
        let ids: Vec<&str> = between(html, " id=\"", '"').collect();
        let once: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), once.len(), "an id stands twice");
        for script in scripts() {
            for id in between(script, "$('", '\'') {
                assert!(once.contains(id), "no element {id:?}");
            }
            for file in between(script, " from './", '\'') {
                text(&format!("/{file}"));
            }
        }
        for icon in scripts().flat_map(|script| between(script, "icon('", '\'')).map(|name| format!("i-{name}")) {
            assert!(once.contains(icon.as_str()), "no icon {icon:?}");
        }
        for icon in between(html, "href=\"#", '"') {
            assert!(once.contains(icon), "no icon {icon:?}");
        }
        for panel in between(html, "data-panel=\"", '"') {
            assert!(once.contains(panel), "no panel {panel:?}");
        }
    }
}
