//! The REST API's description in docs/openapi.json is what the handlers say.
//! `PLENUM_UPDATE_DOCS=1 cargo test -p plenum --test openapi` writes it anew.
#![allow(missing_docs)]

mod house;

use house::House;
use std::path::Path;

#[tokio::test]
async fn the_description_is_served_and_the_one_that_is_checked_in_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let house = House::open().await;
    let served = house.get("/api/plenum/v1/openapi.json", None).await;
    assert_eq!(served.headers["content-type"], "application/json");
    if std::env::var_os("PLENUM_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &served.text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept == served.text, "docs/openapi.json is stale: PLENUM_UPDATE_DOCS=1 writes it anew");
    assert!(served.json["openapi"].as_str().unwrap().starts_with("3."));
    let page = house.get("/api/docs", None).await;
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text.contains("/api/plenum/v1/conferences/{name}/participants/{id}/actions"));
}

#[test]
fn every_form_that_is_named_is_there() {
    let api = plenum::faces::operator::openapi();
    let text = api.to_string();
    let schemas = api["components"]["schemas"].as_object().unwrap();
    for (at, mark) in text.match_indices("#/components/schemas/") {
        let name: String = text[at + mark.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        assert!(schemas.contains_key(&name), "{name}");
    }
}
