//! A conference's own logo: given and taken away by REST, told to media at once, kept; what cannot be one is refused with the reason and
//! loses nothing; what the mixer cannot draw is told to operators.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{Answer, House, OFFER, login, open_room, request};
use plenum::serve::Settings;
use plenum_contract::{Command, ConferenceKey, EventBody};
use serde_json::{Value, json};
use std::path::Path;
use tower::ServiceExt;

const LOGO: &str = "/api/plenum/v1/conferences/1061/logo";
/// The logo of every conference that has none of its own.
const COMMON: &[u8] = b"the server's";

fn png(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![9; (side * side) as usize]).unwrap();
    bytes
}

fn settings() -> Settings {
    Settings { mixer: true, logo: Some(COMMON.to_vec()), ..Settings::default() }
}

async fn put(house: &House, who: &str, at: &str, body: Vec<u8>) -> Answer {
    let asked = request("PUT", at, None).header("authorization", who).header("content-type", "image/png");
    house.send(asked.body(Body::from(body)).unwrap()).await
}

async fn bytes(house: &House) -> (StatusCode, Vec<u8>) {
    let asked = request("GET", LOGO, None).header("authorization", login("viewer")).body(Body::empty()).unwrap();
    let answer = house.router.clone().oneshot(asked).await.unwrap();
    let (status, body) = (answer.status(), answer.into_body());
    (status, axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec())
}

/// The logo, and the conference, of the last mix that media was told of.
fn told(house: &mut House) -> Option<(ConferenceKey, Option<Vec<u8>>)> {
    let mixes = house.told().into_iter();
    mixes.filter_map(|c| if let Command::Mix(spec) = c { Some((spec.conference, spec.logo)) } else { None }).next_back()
}

/// A meeting in which somebody gets the mix.
async fn meeting() -> (House, ConferenceKey) {
    let mut house = House::with(open_room(), settings()).await;
    house.media_up(1, false).await;
    let host = house.join("H", None).await;
    house.call(&host, json!({"call_type": "WEBRTC", "sdp": OFFER, "media": "mix"})).await;
    let (key, logo) = told(&mut house).expect("a mix");
    assert_eq!(logo.as_deref(), Some(COMMON));
    (house, key)
}

#[tokio::test]
async fn a_logo_is_drawn_at_once_and_the_servers_is_back_when_it_is_taken_away() {
    let (mut house, _) = meeting().await;
    let operator = login("operator");
    assert_eq!(put(&house, &operator, LOGO, png(40)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(told(&mut house).map(|(_, logo)| logo), Some(Some(png(40))));
    assert_eq!(bytes(&house).await, (StatusCode::OK, png(40)));
    let shown = house.operate(&operator, "GET", "conferences/1061", Value::Null).await;
    assert_eq!(shown.json["logo_set"], true);
    house.operate(&operator, "PUT", "conferences/1061", json!({"aliases": ["1061"]})).await;
    assert_eq!(bytes(&house).await.0, StatusCode::OK, "settings are another thing");
    told(&mut house);
    for _ in 0..2 {
        let gone = house.operate(&operator, "DELETE", "conferences/1061/logo", Value::Null).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(told(&mut house).map(|(_, logo)| logo), Some(Some(COMMON.to_vec())));
    assert_eq!(bytes(&house).await.0, StatusCode::NOT_FOUND);
    let audit = house.operate(&login("admin"), "GET", "audit", Value::Null).await;
    assert!(
        audit.text.contains("conference_logo_set") && audit.text.contains("conference_logo_delete"),
        "{}",
        audit.text
    );
}

#[tokio::test]
async fn what_can_be_no_logo_is_refused_with_the_reason_and_the_one_before_stays() {
    let (mut house, _) = meeting().await;
    let operator = login("operator");
    put(&house, &operator, LOGO, png(40)).await;
    told(&mut house);
    let mut bent = png(40);
    let at = bent.len() - 20;
    bent[at] ^= 1;
    for (status, body, why) in [
        (400, vec![], "nothing was sent"),
        (400, b"GIF89a".to_vec(), "no PNG"),
        (400, bent, "checksum"),
        (400, png(40)[..60].to_vec(), "broken PNG"),
        (400, png(1025), "1025x1025 pixels, at most 1024"),
        (413, vec![0; 65_537], "longer than 65536 bytes"),
    ] {
        let (detail, _) = put(&house, &operator, LOGO, body).await.problem(status);
        assert!(detail.contains(why), "{why}: {detail}");
    }
    assert_eq!((told(&mut house), bytes(&house).await), (None, (StatusCode::OK, png(40))));
    put(&house, &login("viewer"), LOGO, png(8)).await.problem(403);
    put(&house, &operator, "/api/plenum/v1/conferences/9/logo", png(8)).await.problem(404);
}

/// The program is killed and started again.
async fn again(house: House, file: &Path) -> House {
    house.driving.abort();
    let _ = house.driving.await;
    House::on(file).await
}

#[tokio::test]
async fn a_logo_outlives_the_program_and_goes_with_its_conference() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let operator = login("operator");
    let house = House::on(&file).await;
    put(&house, &operator, LOGO, png(40)).await;
    let house = again(house, &file).await;
    assert_eq!(bytes(&house).await, (StatusCode::OK, png(40)));
    house.operate(&operator, "DELETE", "conferences/1061", Value::Null).await;
    house.operate(&operator, "POST", "conferences", json!({"number": "1061"})).await;
    assert_eq!(bytes(&house).await.0, StatusCode::NOT_FOUND, "another conference");
    assert_eq!(bytes(&again(house, &file).await).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_the_mixer_cannot_draw_is_told_until_there_is_another_logo() {
    let (house, conference) = meeting().await;
    let operator = login("operator");
    let problems =
        async || house.operate(&login("viewer"), "GET", "status", Value::Null).await.json["mix_problems"].clone();
    assert_eq!(problems().await, json!([]));
    let reason = String::from("the logo cannot be drawn: corrupt deflate stream");
    house.media_says(EventBody::MixUnable { conference, reason: reason.clone() }).await;
    assert_eq!(problems().await, json!([{"conference": "1061", "reason": reason}]));
    put(&house, &operator, LOGO, png(8)).await;
    assert_eq!(problems().await, json!([]));
    house.media_says(EventBody::MixUnable { conference: ConferenceKey(99), reason }).await;
    assert_eq!(problems().await, json!([]), "of no conference of ours");
}
