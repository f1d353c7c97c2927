//! The REST API's description: `/api/plenum/v1/openapi.json`, and a page made of it at `/api/docs` that needs no other server
//! and no script.

use crate::http::App;
use crate::http::problem::ProblemBody;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;

/// Where the page may load from: nowhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;\
    background:#fff}code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:1rem;overflow:auto}\
    summary{cursor:pointer;padding:.3rem 0}summary b{display:inline-block;width:4.5rem}table{border-collapse:collapse}\
    td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#eee}pre{background:#262626}a{color:#8ab4f8}}";

static JSON: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", openapi()));
static PAGE: LazyLock<String> = LazyLock::new(|| page(&openapi()));

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/plenum/v1/openapi.json", get(description)).route("/api/docs", get(documents))
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], JSON.as_str()).into_response()
}

async fn documents() -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    (headers, PAGE.as_str()).into_response()
}

/// The description, made from the handlers.
pub fn openapi() -> Value {
    let (_, mut api) = super::api().split_for_parts();
    about(&mut api);
    let mut api = serde_json::to_value(api).unwrap_or_default();
    // Every operation needs somebody who may, and may refuse.
    api["components"]["securitySchemes"] = json!({
        "account": {"type": "http", "scheme": "basic", "description": "Name and password of an account"},
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: plk_…"},
    });
    api["security"] = json!([{"account": []}, {"key": []}]);
    api["components"]["schemas"]["Problem"] = problem();
    let refusals = [
        ("400", "Something in the request is wrong; `field` says which"),
        ("401", "Nobody, or a wrong password or key"),
        ("403", "The role is not enough"),
        ("404", "No such thing"),
        ("409", "It does not fit what is there"),
        ("413", "The body is too long"),
        ("429", "Too many requests or attempts"),
        ("503", "Not possible at the moment: the store cannot be written, or too many wait"),
    ];
    let operations = api["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in operations.flat_map(|path| path.as_object_mut().into_iter().flat_map(|path| path.values_mut())) {
        for (status, description) in refusals {
            let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
            operation["responses"][status] = json!({"description": description, "content": content});
        }
    }
    api
}

fn about(api: &mut OpenApi) {
    api.info.title = "Plenum".into();
    api.info.version = "1".into();
    api.info.description = Some(
        "Plenum's own REST API for operators and integrators. Log in with an account (Basic) or an API key (Bearer)."
            .into(),
    );
    api.info.license = None;
    api.info.contact = None;
}

fn problem() -> Value {
    use utoipa::PartialSchema as _;
    serde_json::to_value(ProblemBody::schema()).unwrap_or_default()
}

/// The page: one part that opens for each operation, then the schemas.
fn page(api: &Value) -> String {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Plenum API</title><style>{STYLE}</style><h1>Plenum's REST API</h1><p>{}</p>\
         <p>For machines: <a href=\"/api/plenum/v1/openapi.json\">openapi.json</a></p><h2>Operations</h2>",
        text(&api["info"]["description"])
    );
    let members = |value: &Value| -> Vec<(String, Value)> {
        value.as_object().map(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default()
    };
    for (path, operations) in members(&api["paths"]) {
        for (method, operation) in members(&operations) {
            let (summary, more) = (text(&operation["summary"]), text(&operation["description"]));
            let (method, path) = (method.to_uppercase(), escaped(&path));
            let _ =
                write!(page, "<details><summary><b>{method}</b> <code>{path}</code> {summary}</summary><p>{more}</p>");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.is_empty() {
                let _ = write!(page, "<table><tr><th>Parameter<th>In<th>Meaning</tr>");
                for p in &parameters {
                    let (name, place, said) = (text(&p["name"]), text(&p["in"]), text(&p["description"]));
                    let _ = write!(page, "<tr><td><code>{name}</code><td>{place}<td>{said}</tr>");
                }
                let _ = write!(page, "</table>");
            }
            for (what, content) in [("Body", &operation["requestBody"]["content"])] {
                if let Some(name) = reference(content) {
                    let _ = write!(page, "<p>{what}: <a href=\"#{name}\">{name}</a></p>");
                }
            }
            let _ = write!(page, "<table>");
            for (status, response) in members(&operation["responses"]) {
                let name = reference(&response["content"]);
                let link = name.map(|name| format!("<a href=\"#{name}\">{name}</a>")).unwrap_or_default();
                let _ = write!(page, "<tr><td>{status}<td>{link}<td>{}</tr>", text(&response["description"]));
            }
            let _ = write!(page, "</table></details>");
        }
    }
    let _ = write!(page, "<h2>Forms</h2>");
    for (name, schema) in members(&api["components"]["schemas"]) {
        let (name, schema) = (escaped(&name), escaped(&format!("{schema:#}")));
        let _ = write!(
            page,
            "<details id=\"{name}\" open><summary><code>{name}</code></summary><pre>{schema}</pre></details>"
        );
    }
    page
}

/// The schema that a content names.
fn reference(content: &Value) -> Option<String> {
    let schema = content.as_object()?.values().next()?["schema"]["$ref"].as_str()?;
    schema.rsplit('/').next().map(escaped)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_operation_and_loads_nothing() {
        let (api, page) = (openapi(), page(&openapi()));
        for (path, operations) in api["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let row = format!("<b>{}</b> <code>{path}</code>", method.to_uppercase());
                assert!(page.contains(&row), "{row}");
            }
        }
        for foreign in ["<script", "<link", "<img", "src=", "url(", "href=\"http"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
