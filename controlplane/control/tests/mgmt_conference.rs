//! MGMT sections C and D over HTTP: steering, participants, calls.
#![allow(missing_docs)]

mod house;

use house::{House, OFFER, ROOM, SIMPLE, webrtc};
use plenum_contract::Command;
use serde_json::{Value, json};

#[tokio::test]
async fn mgmt_6_answers_are_framed_and_mgmt_25_the_list_has_the_fields_of_participant_create() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let list = house.get(&format!("{ROOM}/participants"), Some(&alice.token)).await;
    assert_eq!(list.headers["content-type"], "application/json");
    assert_eq!(list.json["status"], "success");
    let mut events = house.events(&alice).await;
    assert_eq!(&events.until("participant_create").await, &list.result()[0]);
    let failed = house.get(&format!("{ROOM}/participants"), Some("nobody")).await;
    assert_eq!(failed.headers["content-type"], "application/json");
    assert_eq!(failed.refused(403), "Invalid token");
}

#[tokio::test]
async fn mgmt_39_a_call_may_be_limited_and_may_carry_the_presentation_alone() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    let session = |told: Vec<Command>| {
        told.into_iter().find_map(|c| if let Command::Session(spec) = c { Some(spec) } else { None }).unwrap()
    };
    house.call(&alice, json!({"call_type": "webrtc", "sdp": OFFER, "bandwidth": "500"})).await;
    assert_eq!(session(house.told()).max_bitrate, Some(500_000), "kbit/s");
    for present in ["send", "RECEIVE"] {
        house.call(&alice, json!({"Call_Type": "WebRTC", "SDP": SIMPLE, "present": present})).await;
        assert!(session(house.told()).media.iter().all(|media| media.presentation), "B14");
    }
    let path = format!("participants/{}/calls", alice.uuid);
    house.act(&alice, &path, json!({"sdp": SIMPLE, "present": "sideways"})).await.refused(400);
}

#[tokio::test]
async fn mgmt_40_offer_answer_ack_and_media_is_told_in_order() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    assert!(house.told().is_empty(), "media does not hear of sessions without media");
    let path = format!("participants/{}/calls", alice.uuid);
    let answer = house.act(&alice, &path, webrtc()).await;
    let call = answer.result()["call_uuid"].as_str().unwrap().to_owned();
    assert!(answer.result()["sdp"].as_str().unwrap().contains("a=ice-lite"));
    let told = house.told();
    assert!(matches!(&told[..], [Command::Conference(_), Command::Participant(_), Command::Session(_)]), "{told:?}");
    let Command::Session(spec) = &told[2] else { panic!() };
    assert_eq!((spec.revision, spec.shard), (1, 0));
    house.act(&alice, &format!("{path}/{call}/ack"), json!({"sdp": ""})).await.result();
    assert!(matches!(&house.told()[..], [Command::Start(leg)] if *leg == spec.key));
    let list = house.get(&format!("{ROOM}/participants"), Some(&alice.token)).await;
    let me = &list.result()[0];
    assert_eq!(
        (&me["has_media"], &me["protocol"], &me["is_video_call"]),
        (&json!(true), &json!("webrtc"), &json!("YES"))
    );
    assert_eq!(me["encryption"], "On", "B12");
    let candidate = json!({"candidate": "candidate:1 1 udp 1 192.0.2.9 5 typ host", "mid": "0"});
    house.act(&alice, &format!("{path}/{call}/new_candidate"), candidate).await.result();
    house.act(&alice, &format!("{path}/{call}/disconnect"), Value::Null).await.result();
    assert!(matches!(&house.told()[..], [Command::RemoveSession(leg)] if *leg == spec.key));
    house.act(&alice, &format!("{path}/{call}/ack"), Value::Null).await.refused(404);
    house.act(&alice, "end_session", Value::Null).await.result();
    assert!(matches!(&house.told()[..], [Command::RemoveParticipant(_), Command::RemoveConference(_)]));
}

#[tokio::test]
async fn an_update_answers_an_ice_restart_with_the_next_revision() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    let (call, _) = house.call(&alice, json!({"call_type": "WebRTC", "sdp": SIMPLE})).await;
    let first =
        house.told().into_iter().find_map(|c| if let Command::Session(spec) = c { Some(spec) } else { None }).unwrap();
    let offer = SIMPLE.replace("ice-ufrag:Yk2b", "ice-ufrag:Zz9q");
    let path = format!("participants/{}/calls/{call}/update", alice.uuid);
    let answer = house.act(&alice, &path, json!({"sdp": offer})).await;
    assert_eq!(answer.result()["call_uuid"], json!(call));
    let told = house.told();
    let [Command::Session(second)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((second.key, second.revision), (first.key, 2));
    assert_eq!(second.ice.remote_ufrag, "Zz9q");
    assert_ne!(second.ice.local_ufrag, first.ice.local_ufrag);
}

#[tokio::test]
async fn an_offer_that_cannot_be_answered_says_why_and_changes_nothing() {
    let mut house = House::open().await;
    let alice = house.join("Alice", None).await;
    let path = format!("participants/{}/calls", alice.uuid);
    assert!(house.act(&alice, &path, webrtc()).await.refused(503).contains("media plane"));
    house.media_up(1, false).await;
    house.act(&alice, &path, json!({"call_type": "WEBRTC", "sdp": "nonsense"})).await.refused(400);
    house.act(&alice, &path, json!({"call_type": "WEBRTC"})).await.refused(400);
    house.act(&alice, &path, json!({"call_type": "PHONE", "sdp": ""})).await.refused(400);
    house.act(&alice, &path, json!({"call_type": "RTMP"})).await.refused(501);
    assert!(house.told().is_empty());
    house.act(&alice, &path, webrtc()).await.result();
}

#[tokio::test]
async fn the_page_tells_the_sizes_that_it_shows() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    let (call, _) = house.call(&alice, webrtc()).await;
    house.told();
    let slots =
        json!({"slots": [{"mid": "1", "width": 1280, "height": 720}, {"mid": "nope", "width": 1, "height": 1}]});
    house.act(&alice, &format!("participants/{}/calls/{call}/wishes", alice.uuid), slots.clone()).await.result();
    let told = house.told();
    let [Command::Subscription(first)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(first.slots.iter().map(|s| (s.mid.as_str(), s.width, s.height)).collect::<Vec<_>>(), [("1", 1280, 720)]);
    let path = format!("participants/{}/calls/{call}/wishes", alice.uuid);
    house.act(&alice, &path, slots).await.result();
    assert!(house.told().is_empty(), "the same again is no news");
    house.act(&alice, &path, json!({"slots": [{"mid": "1", "width": 640, "height": 360}]})).await.result();
    let told = house.told();
    assert!(matches!(&told[..], [Command::Subscription(second)] if second.revision > first.revision));
}

#[tokio::test]
async fn mgmt_21_guests_wait_for_a_host_with_media_and_then_see_the_room() {
    let mut house = House::with_pins().await;
    house.media_up(1, false).await;
    let guest = house.join("G", Some("99")).await;
    let mut events = house.events(&guest).await;
    assert_eq!(events.sync().await, ["G"]);
    let host = house.join("H", Some("1234")).await;
    house.act(&guest, "message", json!({"payload": "x"})).await.refused(403);
    house.call(&guest, webrtc()).await;
    let told = house.told();
    assert!(
        told.iter().any(|c| matches!(c, Command::Participant(spec) if spec.waiting)),
        "nothing flows while waiting"
    );
    house.call(&host, webrtc()).await;
    loop {
        let update = events.until("participant_update").await;
        assert_eq!(update["uuid"], json!(guest.uuid), "whoever waits hears of themselves alone");
        if update["service_type"] == "conference" {
            break;
        }
    }
    assert_eq!(events.sync().await, ["G", "H"]);
    let told = house.told();
    assert!(told.iter().any(|c| matches!(c, Command::Participant(spec) if !spec.waiting && spec.revision > 0)));
}

#[tokio::test]
async fn mgmt_20_mgmt_35_a_locked_room_lets_guests_in_one_by_one() {
    let house = House::with_pins().await;
    let host = house.join("H", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    assert_eq!(house.act(&host, "lock", Value::Null).await.result(), &json!(true));
    let status = house.get(&format!("{ROOM}/service_status"), Some(&host.token)).await;
    assert_eq!(
        (&status.result()["locked"], &status.result()["guests_muted"]),
        (&json!(true), &json!(false)),
        "MGMT-19"
    );
    let guest = house.join("G", Some("99")).await;
    assert_eq!(guest.state, "waiting_room");
    house.act(&guest, "unlock", Value::Null).await.refused(403);
    house.to(&host, &guest, "unlock", Value::Null).await.result();
    let list = house.get(&format!("{ROOM}/participants"), Some(&guest.token)).await;
    assert_eq!(list.result().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn mgmt_30_mgmt_31_mgmt_33_server_side_reasons_reach_media() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    house.call(&bob, webrtc()).await;
    house.told();
    for name in ["mute", "hard_vmute", "denyrxpresentation"] {
        house.to(&alice, &bob, name, Value::Null).await.result();
    }
    let told = house.told();
    let Some(Command::Participant(spec)) = told.last() else { panic!("{told:?}") };
    assert!(spec.audio_blocked && spec.video_blocked && spec.presentation_denied && !spec.waiting);
    for name in ["unmute", "hard_uvmute", "allowrxpresentation"] {
        house.to(&alice, &bob, name, Value::Null).await.result();
    }
    let Some(Command::Participant(after)) = house.told().pop() else { panic!() };
    assert!(
        !after.audio_blocked && !after.video_blocked && !after.presentation_denied && after.revision > spec.revision
    );
}

#[tokio::test]
async fn mgmt_23_disconnect_ends_the_conference_for_all() {
    let house = House::open().await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    let mut events = house.events(&bob).await;
    events.sync().await;
    house.act(&alice, "disconnect", Value::Null).await.result();
    events.until("disconnect").await;
    house.get(&format!("{ROOM}/service_status"), Some(&alice.token)).await.refused(403);
}

#[tokio::test]
async fn mgmt_15_dialling_is_checked_and_what_is_not_there_yet_refused_with_its_reason() {
    let house = House::open().await;
    let alice = house.join("A", None).await;
    let sample =
        json!({"role": "guest", "destination": "bob@example.com", "protocol": "sip", "source_display_name": "Alice"});
    assert!(house.act(&alice, "dial", sample).await.refused(501).contains("SIP"));
    let stream = json!({"destination": "rtmp://a/b", "protocol": "rtmp", "streaming": "yes", "Role": "GUEST"});
    assert!(house.act(&alice, "dial", stream).await.refused(501).contains("RTMP"));
    for bad in [
        json!({"protocol": "sip"}),
        json!({"destination": "b", "protocol": "pigeon"}),
        json!({"destination": "b", "call_type": "smell"}),
        json!({"destination": "b", "keep_conference_alive": "maybe"}),
        json!({"destination": "b", "role": "king"}),
        json!({"destination": "b", "dtmf_sequence": "x"}),
        json!({"destination": " "}),
    ] {
        house.act(&alice, "dial", bad).await.refused(400);
    }
    assert_eq!(
        house.get(&format!("{ROOM}/participants"), Some(&alice.token)).await.result().as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn mgmt_36_digits_are_checked_and_a_browser_takes_none() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("A", None).await;
    assert!(house.to(&alice, &alice, "dtmf", json!({"digits": "1234"})).await.refused(501).contains("tones"));
    house.to(&alice, &alice, "dtmf", json!({"digits": "hello"})).await.refused(400);
    house.to(&alice, &alice, "dtmf", json!({})).await.refused(400);
    let (call, _) = house.call(&alice, webrtc()).await;
    let path = format!("participants/{}/calls/{call}/dtmf", alice.uuid);
    house.act(&alice, &path, json!({"digits": "1"})).await.refused(501);
}

#[tokio::test]
async fn mgmt_41_a_stream_to_us_needs_rtmp_and_is_refused_with_its_reason() {
    let house = House::open().await;
    let alice = house.join("A", None).await;
    let path = format!("participants/{}/calls", alice.uuid);
    let body = json!({"call_type": "rtmp", "streaming": true, "bandwidth": 500});
    assert!(house.act(&alice, &path, body).await.refused(501).contains("RTMP"));
}

#[tokio::test]
async fn mgmt_32_a_leg_without_delay_is_told_to_media() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    house.call(&bob, webrtc()).await;
    house.told();
    for (name, wanted) in [("cancel_delay", true), ("resume_delay", false)] {
        assert_eq!(house.to(&alice, &bob, name, Value::Null).await.result(), &json!(true));
        let last = house.told().into_iter().rev().find_map(|c| match c {
            Command::Subscription(spec) => Some(spec.low_latency),
            _ => None,
        });
        assert_eq!(last, Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn mgmt_37_a_new_role_is_in_the_next_refresh_and_in_every_event() {
    let house = House::with_pins().await;
    let host = house.join("H", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let guest = house.join("G", Some("99")).await;
    let mut events = house.events(&guest).await;
    events.sync().await;
    house.to(&host, &guest, "role", json!({"role": "chair"})).await.result();
    assert_eq!(events.until("participant_update").await["role"], "chair");
    assert_eq!(house.act(&guest, "refresh_session", Value::Null).await.result()["role"], "HOST");
    house.act(&guest, "lock", Value::Null).await.result();
    house.to(&host, &guest, "role", json!({"Role": "GUEST"})).await.result();
    assert_eq!(events.until("participant_update").await["role"], "guest");
    house.act(&guest, "unlock", Value::Null).await.refused(403);
    house.to(&host, &guest, "role", json!({"role": "pope"})).await.refused(400);
}

#[tokio::test]
async fn a_guest_sent_to_the_lobby_waits_and_nothing_flows() {
    let mut house = House::with_pins().await;
    house.media_up(1, false).await;
    let host = house.join("H", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let guest = house.join("G", Some("99")).await;
    house.call(&guest, webrtc()).await;
    let mut events = house.events(&guest).await;
    events.sync().await;
    house.told();
    house.to(&host, &guest, "lobby", Value::Null).await.result();
    assert!(matches!(&house.told()[..], [Command::Participant(spec)] if spec.waiting));
    assert_eq!(events.until("participant_update").await["service_type"], "waiting_room");
    assert_eq!(events.sync().await, ["G"]);
    house.to(&host, &guest, "unlock", Value::Null).await.result();
    assert_eq!(events.until("participant_update").await["service_type"], "conference");
    assert_eq!(events.sync().await, ["H", "G"]);
}
