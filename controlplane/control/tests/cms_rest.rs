//! The REST API beside the CMS events: what it shows, what it does, what it refuses, and that MGMT sees it at once.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use house::{Answer, House, OFFER, Person, login, request};
use serde_json::{Value, json};

const CONFERENCE: &str = "5e010203-0405-0607-0809-0a0b0c0d0eff";

/// A request as somebody; a body is a form.
async fn as_(house: &House, who: &str, method: &str, path: &str, form: &str) -> Answer {
    let asked = request(method, &format!("/api/v1/{path}"), None).header("authorization", login(who));
    let asked = asked.header("content-type", "application/x-www-form-urlencoded");
    house.send(asked.body(Body::from(form.to_owned())).unwrap()).await
}

async fn get(house: &House, path: &str) -> String {
    let answer = as_(house, "viewer", "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "text/xml; charset=utf-8");
    assert!(answer.text.starts_with("<?xml version=\"1.0\"?>"));
    answer.text
}

async fn does(house: &House, method: &str, path: &str, form: &str) -> Answer {
    let answer = as_(house, "operator", method, path, form).await;
    assert_eq!(answer.status, 200, "{method} {path} {form}: {}", answer.text);
    answer
}

/// The failure's name, with everything about it.
async fn refused(house: &House, method: &str, path: &str, form: &str) -> String {
    let answer = as_(house, "operator", method, path, form).await;
    assert_eq!(answer.status, 400, "{method} {path} {form}: {}", answer.text);
    let rest = answer.text.split_once("<failureDetails><").unwrap_or_else(|| panic!("{}", answer.text)).1;
    assert!(rest.contains("reason=\""), "{rest}");
    rest.split_once("/></failureDetails>").unwrap().0.to_owned()
}

/// The text of the first element of this name.
fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let rest = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}")).1;
    rest.split_once('<').unwrap().0
}

fn id_of<'a>(xml: &'a str, name: &str) -> &'a str {
    xml.split_once(&format!("<{name} id=\""))
        .unwrap_or_else(|| panic!("no {name} in {xml}"))
        .1
        .split_once('"')
        .unwrap()
        .0
}

async fn alice_and_bob(house: &House) -> (Person, Person, String) {
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob & <Co>", None).await);
    let call = id_of(&get(house, "calls").await, "call").to_owned();
    (alice, bob, call)
}

#[tokio::test]
async fn cms_25_calls_and_participants_are_listed_filtered_and_paged() {
    let house = House::open().await;
    assert_eq!(get(&house, "calls").await, "<?xml version=\"1.0\"?><calls total=\"0\"/>");
    let (alice, bob, call) = alice_and_bob(&house).await;
    let one = get(&house, &format!("calls/{call}")).await;
    assert_eq!((text(&one, "name"), text(&one, "coSpace")), ("Conference 1061", CONFERENCE));
    assert_eq!((text(&one, "callCorrelator"), text(&one, "callType")), (CONFERENCE, "coSpace"));
    assert_eq!((text(&one, "numParticipantsLocal"), text(&one, "locked")), ("2", "false"));
    let list = get(&house, &format!("calls/{call}/participants")).await;
    assert!(list.contains("<participants total=\"2\">") && list.contains("Bob &amp; &lt;Co&gt;"), "{list}");
    let found = get(&house, "participants?filter=BOB").await;
    assert!(found.contains("total=\"1\"") && id_of(&found, "participant") == bob.uuid, "{found}");
    let second = get(&house, "participants?offset=1&limit=1").await;
    assert!(second.contains("total=\"2\"") && !second.contains(&alice.uuid) && second.contains(&bob.uuid));
    assert!(get(&house, "participants?offset=9").await.contains("total=\"2\"/>"));
    assert!(get(&house, &format!("calls?coSpaceFilter={CONFERENCE}")).await.contains("total=\"1\""));
    let person = get(&house, &format!("participants/{}", alice.uuid)).await;
    assert_eq!(
        (text(&person, "layout"), text(&person, "canMove"), text(&person, "state")),
        ("onePlusSeven", "true", "initial")
    );
    for (path, failure) in [
        ("calls?limit=x", "parameterError"),
        ("calls?limit=1&limit=2", "parameterError"),
        ("calls?callFilter=1", "parameterError"),
        ("calls/97c771ae-fc2e-4257-b129-30ee818e034b", "callDoesNotExist"),
        ("calls/..%2f..", "callDoesNotExist"),
        ("participants/x", "participantDoesNotExist"),
        ("callLegs/x", "callLegDoesNotExist"),
        ("coSpaces/x", "coSpaceDoesNotExist"),
    ] {
        assert!(refused(&house, "GET", path, "").await.starts_with(failure), "{path}");
    }
}

#[tokio::test]
async fn cms_25_steering_a_call_shows_in_mgmt_and_in_every_answer_at_once() {
    let house = House::open().await;
    let (alice, bob, call) = alice_and_bob(&house).await;
    let mut events = house.events(&alice).await;
    events.sync().await;
    let call_path = format!("calls/{call}");
    does(&house, "PUT", &call_path, "lockState=locked&joinAudioMuteOverride=true").await;
    while events.until("service_update").await["locked"] != json!(true) {}
    let now = get(&house, &call_path).await;
    assert_eq!((text(&now, "locked"), text(&now, "joinAudioMuteOverride")), ("true", "true"));
    does(&house, "PUT", &call_path, "locked=false").await;
    house.join("Carol", None).await;
    assert_eq!(events.until("participant_create").await["is_muted"], "YES", "she joined muted");
    does(&house, "PUT", &format!("{call_path}/participants/*"), "rxAudioMute=true").await;
    let muted = events.until("participant_update").await;
    assert_eq!((&muted["uuid"], &muted["is_muted"]), (&json!(alice.uuid), &json!("YES")));
    does(&house, "PUT", &format!("participants/{}", bob.uuid), "rxAudioMute=false&importance=5&layout=speakerOnly")
        .await;
    let person = get(&house, &format!("participants/{}", bob.uuid)).await;
    assert_eq!(
        (text(&person, "audioMuted"), text(&person, "importance"), text(&person, "layout")),
        ("false", "5", "speakerOnly")
    );
    does(&house, "PUT", &format!("participants/{}", bob.uuid), "importance=&layout=automatic").await;
    let person = get(&house, &format!("participants/{}", bob.uuid)).await;
    assert!(!person.contains("<importance>") && text(&person, "chosenLayout") == "automatic");
    let audit = house.operate(&login("admin"), "GET", "audit?action=layout", Value::Null).await;
    let entry = &audit.json["audit"][0];
    assert_eq!(
        (&entry["who"], &entry["face"], &entry["target"]),
        (&json!("operator"), &json!("cms"), &json!(bob.uuid))
    );
    does(&house, "DELETE", &format!("participants/{}", bob.uuid), "").await;
    assert_eq!(events.until("participant_delete").await, json!({"uuid": bob.uuid}));
    does(&house, "DELETE", &call_path, "").await;
    events.until("disconnect").await;
    assert!(refused(&house, "PUT", &call_path, "locked=true").await.starts_with("callDoesNotExist"));
}

#[tokio::test]
async fn cms_25_call_legs_are_media_connections_and_hanging_up_ends_the_participation() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob, _) = alice_and_bob(&house).await;
    let (leg, _) = house.call(&bob, json!({"call_type": "WEBRTC", "sdp": OFFER})).await;
    let list = get(&house, "callLegs").await;
    assert!(list.contains("total=\"1\"") && id_of(&list, "callLeg") == leg, "{list}");
    let one = get(&house, &format!("callLegs/{leg}")).await;
    assert_eq!(
        (text(&one, "participant"), text(&one, "state"), text(&one, "type")),
        (bob.uuid.as_str(), "connected", "acano")
    );
    assert!(get(&house, &format!("callLegs?participantFilter={}", alice.uuid)).await.contains("total=\"0\""));
    does(&house, "PUT", &format!("callLegs/{leg}"), "rxVideoMute=true").await;
    assert_eq!(text(&get(&house, &format!("participants/{}", bob.uuid)).await, "videoMuted"), "true");
    does(&house, "DELETE", &format!("callLegs/{leg}"), "").await;
    assert!(
        refused(&house, "GET", &format!("participants/{}", bob.uuid), "").await.starts_with("participantDoesNotExist")
    );
}

/// CMS-24: a move keeps the participant, and an operator needs no passcode for it.
#[tokio::test]
async fn cms_24_somebody_is_moved_to_another_call_and_to_the_lobby() {
    let house = House::with_pins().await;
    let host = house.join("Alice", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let guest = house.join("Bob", Some("99")).await;
    let made = does(&house, "POST", "coSpaces", "name=Other&callId=2000&passcode=7777").await;
    let space = made.headers["location"].to_str().unwrap().strip_prefix("/api/v1/coSpaces/").unwrap().to_owned();
    let person = format!("participants/{}", guest.uuid);
    assert_eq!(text(&get(&house, &person).await, "canMoveToLobby"), "true");
    does(&house, "PUT", &person, "moveToLobby=true").await;
    assert_eq!(text(&get(&house, &person).await, "state"), "initial");
    does(&house, "PUT", &person, "moveToLobby=false").await;
    // The other call begins with somebody in it.
    let joined = house
        .send(
            request("POST", "/api/services/2000/new_session", None)
                .header("pin", "7777")
                .body(Body::from("{}"))
                .unwrap(),
        )
        .await;
    joined.result();
    let calls = get(&house, &format!("calls?coSpaceFilter={space}")).await;
    let other = id_of(&calls, "call").to_owned();
    let moved =
        does(&house, "POST", &format!("calls/{other}/participants"), &format!("movedParticipant={}", guest.uuid)).await;
    assert_eq!(moved.headers["location"].to_str().unwrap(), format!("/api/v1/participants/{}", guest.uuid));
    let now = get(&house, &person).await;
    assert_eq!((text(&now, "call"), text(&now, "movedParticipant")), (other.as_str(), guest.uuid.as_str()));
    let first = id_of(&get(&house, &format!("calls?coSpaceFilter={CONFERENCE}")).await, "call").to_owned();
    does(&house, "PUT", &person, &format!("call={first}")).await;
    assert_eq!(text(&get(&house, &person).await, "call"), first);
}

#[tokio::test]
async fn cms_25_co_spaces_are_conferences() {
    let house = House::open().await;
    let made = does(
        &house,
        "POST",
        "coSpaces",
        "name=Andy%27s+coSpace&uri=andy&callId=3000&passcode=1234&defaultLayout=speakerOnly",
    )
    .await;
    let path = made.headers["location"].to_str().unwrap().strip_prefix("/api/v1/").unwrap().to_owned();
    let one = get(&house, &path).await;
    assert_eq!((text(&one, "name"), text(&one, "uri")), ("Andy&apos;s coSpace", "andy"));
    assert_eq!((text(&one, "callId"), text(&one, "defaultLayout")), ("3000", "speakerOnly"));
    assert!(!one.contains("passcode"), "who may only read is shown no secret");
    assert_eq!(text(&as_(&house, "operator", "GET", &path, "").await.text, "passcode"), "1234");
    let ours = house.operate(&login("viewer"), "GET", "conferences/andy@plenum.local", Value::Null).await;
    assert_eq!(ours.json["aliases"], json!(["3000", "3000@plenum.local", "andy@plenum.local"]));
    does(&house, "PUT", &path, "callId=3001&uri=bob&passcode=").await;
    let one = as_(&house, "operator", "GET", &path, "").await.text;
    assert!(text(&one, "callId") == "3001" && text(&one, "uri") == "bob" && !one.contains("passcode"), "{one}");
    assert!(get(&house, "coSpaces?filter=bob").await.contains("total=\"1\""));
    assert!(refused(&house, "POST", "coSpaces", "callId=1061").await.starts_with("duplicateCoSpaceUri"));
    does(&house, "POST", "coSpaces", "").await;
    does(&house, "DELETE", &path, "").await;
    assert!(refused(&house, "GET", &path, "").await.starts_with("coSpaceDoesNotExist"));
}

#[tokio::test]
async fn cms_25_what_needs_a_missing_part_is_refused_with_its_reason() {
    let house = House::open().await;
    let (alice, _, call) = alice_and_bob(&house).await;
    let (call, person) = (format!("calls/{call}"), format!("participants/{}", alice.uuid));
    let people = format!("{call}/participants");
    for (method, path, form, words) in [
        ("POST", &people, "remoteParty=sip:bob@example.com", "needs SIP"),
        ("PUT", &call, "recording=true", "recorder"),
        ("PUT", &call, "streaming=true", "streamer"),
        ("PUT", &person, "txAudioMute=true", "alone"),
        ("PUT", &person, "rxAudioMute=true&cameraControl=zoomIn", "cameraControl"),
    ] {
        let failure = refused(&house, method, path, form).await;
        assert!(failure.contains(words), "{path} {form}: {failure}");
    }
    assert_eq!(text(&get(&house, &person).await, "audioMuted"), "false", "a refused wish changes nothing");
    assert!(refused(&house, "POST", "callProfiles", "locked=true").await.starts_with("notPermitted"));
}

#[tokio::test]
async fn cms_25_hostile_bodies_are_refused_with_the_parameter_and_change_nothing() {
    let house = House::open().await;
    let (alice, _, call) = alice_and_bob(&house).await;
    let person = format!("participants/{}", alice.uuid);
    for form in [
        "rxAudioMute=yes",
        "rxAudioMute=true&rxAudioMute=true",
        "rxAudioMute=true&importance=-1",
        "rxAudioMute=true&importance=256",
        "rxAudioMute=true&layout=onePlusTwo",
        "rxAudioMute=true&call=x",
        "rxAudioMute=true&call=97c771ae-fc2e-4257-b129-30ee818e034b",
        "rxAudioMute=%",
        "rxAudioMute=%ff",
        "%00=1",
        "=",
    ] {
        refused(&house, "PUT", &person, form).await;
    }
    for form in [
        "name=%00",
        "name=a%0ab",
        "uri=..%2f..%2fetc",
        "callId=12a",
        "passcode=none",
        "defaultLayout=x",
        "callProfile=x",
    ] {
        refused(&house, "POST", "coSpaces", form).await;
    }
    let long = format!("name={}", "x".repeat(100_000));
    refused(&house, "POST", "coSpaces", &long).await;
    // Bodies of other kinds, XML among them, well-formed or not.
    for (kind, body) in
        [("application/xml", "<call><locked>true</locked></call>"), ("text/xml", "<call"), ("application/json", "{}")]
    {
        let asked = request("PUT", &format!("/api/v1/calls/{call}"), None).header("authorization", login("operator"));
        let answer = house.send(asked.header("content-type", kind).body(Body::from(body)).unwrap()).await;
        assert!(answer.status == 400 && answer.text.contains("<failureDetails><invalidOperation"), "{}", answer.text);
    }
    assert_eq!(as_(&house, "operator", "PUT", "coSpaces", &"a".repeat(300_000)).await.status, 400);
    assert_eq!(text(&get(&house, &person).await, "audioMuted"), "false");
    assert_eq!(text(&get(&house, &format!("calls/{call}")).await, "locked"), "false");
    assert_eq!(as_(&house, "operator", "GET", "unknown", "").await.status, 404);
    assert_eq!(as_(&house, "operator", "PATCH", "calls", "").await.status, 405);
}

#[tokio::test]
async fn cms_1_cms_25_reading_needs_an_account_and_steering_the_role_for_it() {
    let house = House::open().await;
    let (alice, _, call) = alice_and_bob(&house).await;
    assert_eq!(house.get("/api/v1/calls", None).await.status, 401);
    for (method, path) in [
        ("PUT", format!("calls/{call}")),
        ("DELETE", format!("calls/{call}")),
        ("PUT", format!("calls/{call}/participants/*")),
        ("DELETE", format!("participants/{}", alice.uuid)),
        ("POST", "coSpaces".into()),
        ("DELETE", format!("coSpaces/{CONFERENCE}")),
    ] {
        assert_eq!(as_(&house, "viewer", method, &path, "").await.status, 403, "{method} {path}");
    }
    assert!(get(&house, "participants").await.contains("total=\"2\""), "nothing was done");
}

/// CMS-27: the release whose interface this is. CMS-26: there is no push of call records; clients learn of calls by events.
#[tokio::test]
async fn cms_27_cms_26_the_system_says_its_release_and_its_alarms() {
    let mut house = House::open().await;
    let status = get(&house, "system/status").await;
    assert!(text(&status, "softwareVersion").starts_with("3.6 "), "{status}");
    let alarms = get(&house, "system/alarms").await;
    assert!(alarms.contains("total=\"1\"") && text(&alarms, "type") == "mediaPlaneDown", "{alarms}");
    house.media_up(1, false).await;
    assert!(get(&house, "system/alarms").await.contains("total=\"0\""));
    assert_eq!(text(&get(&house, "callProfiles").await, "recordingMode"), "disabled");
    assert_eq!(as_(&house, "viewer", "GET", "system/cdrReceivers", "").await.status, 405);
}
