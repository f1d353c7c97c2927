//! The profile `dedicated_compat` (MGMT-60): what the dedicated cloud's column of the support matrix says.
#![allow(missing_docs)]

mod house;

use house::{House, ROOM, SIMPLE, pin_room};
use plenum::serve::Settings;
use serde_json::{Value, json};

#[tokio::test]
async fn mgmt_60_the_dedicated_profile_lacks_what_its_column_lacks_and_the_pexip_paths_do_not() {
    let settings = Settings { dedicated_compat: true, ..Settings::default() };
    let mut house = House::with(pin_room(), settings).await;
    house.media_up(1, false).await;
    let joined = house.try_join("H", Some("1234")).await;
    assert!(joined.result()["chat_enabled"].is_boolean() && joined.result()["allow_1080p"].is_null());
    let host = house::person(&joined);
    let guest = house.join("G", Some("99")).await;
    assert_eq!(house.act(&host, "start_service", Value::Null).await.result(), &json!(true));
    let status = house.get(&format!("{ROOM}/service_status"), Some(&host.token)).await;
    assert_eq!(status.result()["started"], false, "answered without effect");
    house.act(&guest, "start_service", Value::Null).await.refused(403);
    house.act(&host, "override_layout", json!({"layouts": []})).await.refused(404);
    for name in ["spotlighton", "spotlightoff", "unlock", "role", "transfer"] {
        house.to(&host, &guest, name, json!({"role": "chair"})).await.refused(404);
    }
    assert!(
        house.act(&host, "dial", json!({"destination": "b", "protocol": "rtmp"})).await.refused(400).contains("h323")
    );
    house.act(&host, "dial", json!({"destination": "b", "protocol": "h323"})).await.refused(501);
    let mut events = house.events(&host).await;
    assert!(events.sync().await.is_empty(), "no participant_create, not even in the sync");
    house.to(&host, &guest, "mute", Value::Null).await.result();
    assert_eq!(events.until("participant_update").await["is_muted"], "YES");
    // The other paths are whole.
    let base = "/api/client/v2/conferences/1061";
    house.post(&format!("{base}/start_conference"), Some(&host.token), Value::Null).await.result();
    house
        .post(&format!("{base}/participants/{}/spotlighton", guest.uuid), Some(&host.token), Value::Null)
        .await
        .result();
    let mut whole = house.events_at(&format!("{base}/events?token={}", host.token), None).await;
    assert_eq!(whole.sync().await, ["H", "G"]);
    // MGMT-22: everybody but chairs and the presenter.
    house.to(&host, &guest, "unmute", Value::Null).await.result();
    house.call(&guest, json!({"call_type": "WEBRTC", "sdp": SIMPLE, "present": "send"})).await;
    let silent = house.join("Silent", Some("99")).await;
    house.act(&host, "muteguests", Value::Null).await.result();
    let list = house.get(&format!("{ROOM}/participants"), Some(&host.token)).await;
    let muted = |who: &house::Person| {
        let list = list.result().as_array().unwrap();
        list.iter().find(|p| p["uuid"] == json!(who.uuid)).unwrap()["is_muted"].clone()
    };
    assert_eq!((muted(&guest), muted(&silent), muted(&host)), (json!("NO"), json!("YES"), json!("NO")));
}

#[tokio::test]
async fn mgmt_61_the_version_is_published_and_the_calls_of_the_chapter_that_was_removed_are_served() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let joined = house.try_join("A", None).await;
    assert_eq!(joined.result()["version"]["version_id"], "12");
    let alice = house::person(&joined);
    let (call, _) = house.call(&alice, json!({"call_type": "WEBRTC", "sdp": SIMPLE})).await;
    let path = format!("participants/{}/calls/{call}", alice.uuid);
    house.act(&alice, &format!("{path}/update"), json!({"sdp": SIMPLE})).await.result();
    house.act(&alice, &format!("{path}/disconnect"), Value::Null).await.result();
}
