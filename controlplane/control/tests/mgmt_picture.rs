//! Pictures of the presentation (MGMT-46): who is given them, when media is asked for them, and who is told.
#![allow(missing_docs)]

mod house;

use house::{House, Person, ROOM, SIMPLE, pin_room, three_sounds};
use plenum::link::LinkEvent;
use plenum::serve::Settings;
use plenum_contract::{Command, ConferenceKey, MixSpec, ParticipantKey, Still};
use serde_json::{Value, json};

const PICTURE: &str = "/api/services/1061/presentation.jpeg";
const HIGH: &str = "/api/services/1061/presentation_high.jpeg";

/// A host who follows the events, and a guest who is forwarded to.
async fn room(settings: Settings) -> (House, Person, Person) {
    let mut house = House::with(pin_room(), settings).await;
    house.media_up(1, false).await;
    let host = house.join("H", Some("1234")).await;
    let guest = house.join("G", Some("99")).await;
    for person in [&host, &guest] {
        house.call(person, json!({"call_type": "WEBRTC", "sdp": three_sounds(), "media": "forward"})).await;
    }
    (house, host, guest)
}

fn mixing() -> Settings {
    Settings { mixer: true, ..Settings::default() }
}

/// Somebody's screen.
async fn share(house: &House, who: &Person) -> String {
    house.call(who, json!({"call_type": "WEBRTC", "sdp": SIMPLE, "present": "send"})).await.0
}

async fn stop(house: &House, who: &Person, call: &str) {
    house.act(who, &format!("participants/{}/calls/{call}/disconnect", who.uuid), Value::Null).await.result();
}

/// What media was told of mixes: a spec, or that there is none any more.
fn mixes(house: &mut House) -> Vec<Option<MixSpec>> {
    let told = house.told().into_iter().filter_map(|command| match command {
        Command::Mix(spec) => Some(Some(spec)),
        Command::RemoveMix(_) => Some(None),
        _ => None,
    });
    told.collect()
}

async fn media_shows(house: &House, conference: ConferenceKey, presenter: ParticipantKey, height: u16, text: &str) {
    let still = Still { conference, presenter, height, jpeg: text.as_bytes().to_vec() };
    house.media.send(LinkEvent::Still(still)).await.unwrap();
    house.settle().await;
}

#[tokio::test]
async fn mgmt_46_a_picture_of_the_presentation_is_made_while_somebody_asks_and_each_new_one_is_told() {
    let (mut house, host, guest) = room(mixing()).await;
    assert!(mixes(&mut house).is_empty(), "nobody presents");
    let mut events = house.events(&host).await;
    events.sync().await;
    let call = share(&house, &guest).await;
    let spec = mixes(&mut house).pop().flatten().expect("pictures are wanted: somebody follows the events");
    assert_eq!((spec.stills.as_slice(), spec.scenes.len()), (&[720][..], 0), "and nobody gets the mix");
    let (room, presenter) = (spec.conference, spec.presenter.unwrap());
    media_shows(&house, room, presenter, 720, "one").await;
    events.until("presentation_start").await;
    assert_eq!(events.until("presentation_frame").await, Value::Null);
    let answer = house.get(PICTURE, Some(&host.token)).await;
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "one"));
    assert_eq!((header("content-type").as_str(), header("cache-control").as_str()), ("image/jpeg", "no-store"));
    let request = house::request("GET", PICTURE, Some(&host.token)).header("if-none-match", header("etag"));
    let same = house.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    let query = format!("{PICTURE}?id=1&token={}", guest.token);
    assert_eq!(house.get(&query, None).await.text, "one", "also to guests, with the token in the query");

    // A larger one is waited for.
    let (large, ()) = tokio::join!(house.get(HIGH, Some(&host.token)), async {
        house.settle().await;
        media_shows(&house, room, presenter, 1080, "large").await;
    });
    assert_eq!(large.text, "large");
    assert_eq!(mixes(&mut house).pop().flatten().unwrap().stills, [720, 1080]);
    house.pass(9).await;
    house.get(PICTURE, Some(&host.token)).await;
    house.pass(2).await;
    assert_eq!(mixes(&mut house).pop().flatten().unwrap().stills, [720], "nobody asked for the larger one for 10 s");
    house.pass(10).await;
    assert_eq!(mixes(&mut house), [None], "nobody asked for 10 s: nothing is decoded any more");
    media_shows(&house, room, presenter, 720, "unasked").await;
    house.act(&host, "message", json!({"payload": "x"})).await.result();
    assert!(mixes(&mut house).is_empty(), "what happens in the conference asks for nothing");

    // Who waits for a picture when the presentation ends is told so at once, and the old picture is gone.
    let (none, ()) = tokio::join!(house.get(PICTURE, Some(&host.token)), async {
        house.settle().await;
        stop(&house, &guest, &call).await;
    });
    assert!(none.refused(404).contains("yet"));
    assert!(house.get(PICTURE, Some(&host.token)).await.refused(404).contains("nobody presents"));
    events.until("presentation_stop").await;
}

#[tokio::test]
async fn mgmt_46_mgmt_33_who_may_not_see_the_presentation_is_given_no_picture_of_it() {
    let (mut house, host, guest) = room(mixing()).await;
    share(&house, &host).await;
    house.to(&host, &guest, "denyrxpresentation", Value::Null).await.result();
    assert!(house.get(PICTURE, Some(&guest.token)).await.refused(403).contains("presentation"));
    house.get(PICTURE, None).await.refused(403);
    house.get(&format!("{PICTURE}?token=x"), None).await.refused(403);
    house.act(&host, "lock", Value::Null).await.result();
    let waiting = house.join("W", Some("99")).await;
    assert!(house.get(PICTURE, Some(&waiting.token)).await.refused(403).contains("Waiting"));
    assert!(mixes(&mut house).is_empty(), "none of them had anything decoded");
    let path = "/api/services/none/presentation.jpeg";
    house.get(path, Some(&host.token)).await.refused(404);
}

#[tokio::test]
async fn mgmt_46_who_comes_while_somebody_presents_learns_of_the_picture_too() {
    let (mut house, host, guest) = room(mixing()).await;
    share(&house, &host).await;
    assert!(mixes(&mut house).is_empty(), "nobody follows the events");
    let mut events = house.events(&guest).await;
    events.sync().await;
    let spec = mixes(&mut house).pop().flatten().expect("pictures are wanted");
    media_shows(&house, spec.conference, spec.presenter.unwrap(), 720, "one").await;
    events.until("presentation_frame").await;
    // Another media plane knows of nothing: it is told as soon as somebody asks again.
    house.media_up(2, false).await;
    assert!(house.get(PICTURE, Some(&guest.token)).await.refused(404).contains("nobody presents"));
}

#[tokio::test]
async fn mgmt_46_without_a_mixer_there_is_no_picture_and_the_answer_says_so() {
    let (mut house, host, guest) = room(Settings::default()).await;
    let mut events = house.events(&host).await;
    events.sync().await;
    share(&house, &guest).await;
    assert!(house.get(PICTURE, Some(&host.token)).await.refused(404).contains("does not decode"));
    assert!(mixes(&mut house).is_empty());
    assert!(house.get(&format!("{ROOM}/presentation.jpeg"), Some(&guest.token)).await.refused(404).contains("picture"));
}
