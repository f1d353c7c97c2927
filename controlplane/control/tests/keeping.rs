//! `kill -9` of the control plane between an answer and its delivery: what was answered with success is told to everybody who
//! had not got it, once, and event streams continue from their last id (MGMT-42, MGMT-59).
#![allow(missing_docs)]

mod house;

use house::{Events, House, Person, ice_restart, login, session, webrtc};
use plenum::events::KEPT;
use plenum_contract::Command;
use plenum_contract::event::EventBody;
use plenum_contract::snapshot::Snapshot;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A host with a call, on a store that outlives the program.
struct Stay {
    _folder: tempfile::TempDir,
    file: PathBuf,
    house: House,
    host: Person,
    call: String,
}

async fn stay() -> Stay {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut house = House::on(&file).await;
    house.media_up(1, false).await;
    let host = house.join("Host", Some("1234")).await;
    let (call, _) = house.call(&host, webrtc()).await;
    Stay { _folder: folder, file, house, host, call }
}

/// The control plane is gone from one moment to the next, and another one starts on the same store.
async fn killed(house: House, file: &Path) -> House {
    house.driving.abort();
    let _ = house.driving.await;
    House::on(file).await
}

/// What a stream tells up to the chat message `mark`, with ids.
async fn told(events: &mut Events, mark: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    loop {
        let (name, data) = events.next().await.expect("the stream goes on");
        if name == "message" && data["payload"] == mark {
            return all;
        }
        all.push((name, data));
    }
}

async fn say(house: &House, who: &Person, text: &str) {
    house.act(who, "message", json!({"payload": text})).await.result();
}

fn names(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(name, _)| name.as_str()).collect()
}

fn chats(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().filter(|(name, _)| name == "message").filter_map(|(_, data)| data["payload"].as_str()).collect()
}

#[tokio::test]
async fn mgmt_26_what_hosts_chose_for_the_picture_outlives_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let host = house.join("Host", Some("1234")).await;
    let entry = json!({
        "audience": "", "actors": [host.uuid], "vad_backfill": false, "layout": "2:21", "plus_n": "off",
        "actors_overlay_text": "off", "remove_self": true, "presentation": "beside", "overlay_text": "Minutes",
        "indicate_speaker": false, "fill": true,
    });
    house.act(&host, "override_layout", json!({"layouts": [entry]})).await.result();
    let house = killed(house, &file).await;
    let kept = house.get(&format!("{}/override_layout", house::ROOM), Some(&host.token)).await;
    assert_eq!(kept.result()[1], entry);
}

#[tokio::test]
async fn mgmt_57_who_is_on_hold_is_so_after_a_kill_until_they_are_back() {
    let Stay { _folder, file, house, host, call } = stay().await;
    let path = format!("participants/{}/calls/{call}/update", host.uuid);
    let held = house::OFFER.replace("a=sendrecv", "a=sendonly").replace("a=recvonly", "a=inactive");
    house.act(&host, &path, json!({"sdp": held})).await.result();
    let mut house = killed(house, &file).await;
    let on_hold = async |house: &House| {
        house.get(&format!("{}/participants", house::ROOM), Some(&host.token)).await.result()[0]["is_on_hold"].clone()
    };
    assert_eq!(on_hold(&house).await, true);
    let restart = |sdp: &str| json!({"sdp": sdp.replace("a=ice-ufrag:Yk2b", "a=ice-ufrag:Zz9q")});
    house.media_up(1, true).await;
    house.media_up(2, false).await;
    house.act(&host, &path, restart(&held)).await.result();
    assert_eq!(on_hold(&house).await, true, "set up again after media restarted, on hold as it was");
    house.act(&host, &path, restart(house::OFFER)).await.result();
    assert_eq!(on_hold(&house).await, false);
}

#[tokio::test]
async fn mgmt_42_mgmt_53_after_a_kill_streams_continue_from_their_id_and_chat_reaches_who_had_not_got_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let host = house.join("Host", Some("1234")).await;
    let guest = house.join("Guest", Some("99")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let (mut fast, mut slow) = (house.events(&host).await, house.events(&guest).await);
    say(&house, &host, "one").await;
    told(&mut fast, "one").await;
    told(&mut slow, "one").await;
    let behind = slow.last_id.clone().unwrap();
    say(&house, &guest, "two").await;
    house.to(&host, &guest, "mute", Value::Null).await.result();
    house.act(&host, &format!("participants/{}/message", guest.uuid), json!({"payload": "for you"})).await.result();
    say(&house, &host, "three").await;
    told(&mut fast, "three").await;
    let ahead = fast.last_id.clone().unwrap();

    let house = killed(house, &file).await;
    let mut fast = house.events_since(&host, Some(&ahead)).await;
    let mut slow = house.events_since(&guest, Some(&behind)).await;
    say(&house, &host, "four").await;
    let missed = told(&mut slow, "four").await;
    assert_eq!(chats(&missed), ["two", "for you", "three"], "each once");
    let updates: Vec<_> = missed.iter().filter(|(name, _)| name == "participant_update").collect();
    assert_eq!((updates.len(), &updates[0].1["is_muted"]), (1, &json!("YES")));
    assert!(!names(&missed).contains(&"participant_sync_begin"), "nothing begins anew: {missed:?}");
    let missed = told(&mut fast, "four").await;
    assert_eq!(names(&missed), ["stage"], "who had everything is told how things are, and no more");

    // Once more, and from before the first kill.
    let far = slow.last_id.clone().unwrap();
    say(&house, &guest, "five").await;
    let house = killed(house, &file).await;
    let mut slow = house.events_since(&guest, Some(&far)).await;
    let mut oldest = house.events_since(&guest, Some(&behind)).await;
    say(&house, &host, "six").await;
    assert_eq!(chats(&told(&mut slow, "six").await), ["five"]);
    assert_eq!(chats(&told(&mut oldest, "six").await), ["two", "for you", "three", "four", "five"]);
}

#[tokio::test]
async fn mgmt_43_what_cannot_be_continued_gets_everything_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let host = house.join("Host", Some("1234")).await;
    let mut events = house.events(&host).await;
    events.sync().await;
    say(&house, &host, "early").await;
    told(&mut events, "early").await;
    let (early, guest) = (events.last_id.clone().unwrap(), house.join("Guest", Some("99")).await);
    let mut waiting = house.events(&guest).await;
    waiting.sync().await;
    waiting.until("service_update").await;
    let outside = waiting.last_id.clone().unwrap();
    house.act(&host, "start_service", Value::Null).await.result();
    for n in 0..=KEPT {
        let text = format!("{n}");
        say(&house, &host, &text).await;
        told(&mut events, &text).await;
    }
    let late = events.last_id.clone().unwrap();

    let house = killed(house, &file).await;
    for id in [early.as_str(), "1234abcd-3", "nonsense"] {
        assert_eq!(house.events_since(&host, Some(id)).await.sync().await, ["Host", "Guest"], "{id}");
    }
    assert_eq!(house.events_since(&host, Some(&late)).await.next().await.unwrap().0, "stage");
    // Whoever was let in meanwhile sees more than before.
    assert_eq!(house.events_since(&guest, Some(&outside)).await.sync().await, ["Host", "Guest"]);

    // The meeting ends: the next one's log has nothing of it.
    house.act(&host, "disconnect", Value::Null).await.result();
    let again = house.join("Host", Some("1234")).await;
    let house = killed(house, &file).await;
    assert_eq!(house.events_since(&again, Some(&late)).await.sync().await, ["Host"]);
}

async fn rows(file: &Path) -> usize {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM log").fetch_one(&mut other).await.unwrap();
    other.close().await.unwrap();
    rows.try_into().unwrap()
}

#[tokio::test]
async fn what_is_kept_of_logs_is_bounded_goes_with_the_meeting_and_leaves_out_who_speaks() {
    let Stay { _folder, file, mut house, host, .. } = stay().await;
    let spec = session(&house.told());
    for n in 0..2 * KEPT {
        say(&house, &host, &format!("{n}")).await;
    }
    let kept = rows(&file).await;
    assert!((KEPT..=KEPT + KEPT / 2).contains(&kept), "{kept} rows");
    let mut events = house.events(&host).await;
    events.sync().await;
    events.until("stage").await;
    for n in 0..20 {
        let order = vec![(spec.participant, n % 2 == 0)];
        house.media_says(EventBody::Speakers { conference: plenum_contract::ConferenceKey(1), order }).await;
        events.until("stage").await;
    }
    assert_eq!(rows(&file).await, kept, "who speaks is not written down");
    house.act(&host, "end_session", Value::Null).await.result();
    assert_eq!(rows(&file).await, 0);
}

#[tokio::test]
async fn mgmt_55_what_media_told_before_a_kill_is_told_after_it() {
    let Stay { _folder, file, mut house, host, call } = stay().await;
    let mut events = house.events(&host).await;
    say(&house, &host, "mark").await;
    told(&mut events, "mark").await;
    let last = events.last_id.clone().unwrap();
    let leg = session(&house.told()).key;
    house.media_says(EventBody::LegEnded { leg, reason: plenum_contract::LegEnd::PeerClosed }).await;
    let house = killed(house, &file).await;
    let mut events = house.events_since(&host, Some(&last)).await;
    say(&house, &host, "end").await;
    let missed = told(&mut events, "end").await;
    assert_eq!(names(&missed), ["call_disconnected", "participant_update", "stage"]);
    assert_eq!((&missed[0].1["call_uuid"], &missed[1].1["has_media"]), (&json!(call), &json!(false)));
}

#[tokio::test]
async fn mgmt_38_whoever_is_moved_before_a_kill_is_told_where_they_are_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let room = json!({"aliases": ["2000"], "name": "Other"});
    assert_eq!(house.operate(&login("operator"), "POST", "conferences", room).await.status.as_u16(), 201);
    let (host, guest) = (house.join("Host", Some("1234")).await, house.join("Guest", Some("99")).await);
    house.act(&host, "start_service", Value::Null).await.result();
    let mut events = house.events(&guest).await;
    events.sync().await;
    say(&house, &host, "mark").await;
    told(&mut events, "mark").await;
    let last = events.last_id.clone().unwrap();
    house.to(&host, &guest, "transfer", json!({"conference_alias": "2000"})).await.result();
    let house = killed(house, &file).await;
    assert_eq!(house.events_since(&guest, Some(&last)).await.sync().await, ["Guest"], "the picture of the other room");
    say(&house, &host, "end").await;
    let mut others = house.events_since(&host, Some(&last)).await;
    assert_eq!(names(&told(&mut others, "end").await), ["participant_delete"]);
}

#[tokio::test]
async fn a_call_that_media_lost_comes_back_across_a_kill_too_and_sizes_of_tiles_stay() {
    let Stay { _folder, file, mut house, host, call } = stay().await;
    let before = session(&house.told());
    let mid = before.media.iter().rfind(|media| media.slot.is_some()).unwrap().mid.clone();
    let size = json!({"slots": [{"mid": mid, "width": 333, "height": 222}]});
    house.act(&host, &format!("participants/{}/calls/{call}/wishes", host.uuid), size).await.result();
    let wished = |told: &[Command]| {
        let subscriptions = told.iter().filter_map(|c| if let Command::Subscription(s) = c { Some(s) } else { None });
        subscriptions.flat_map(|s| &s.slots).any(|slot| (slot.width, slot.height) == (333, 222))
    };
    assert!(wished(&house.told()));

    // Control alone is killed: media is told the sizes again.
    let mut house = killed(house, &file).await;
    let leg = plenum_contract::snapshot::LegState {
        key: before.key,
        revision: 1,
        participant: before.participant,
        connected: true,
        started: true,
        bindings: Vec::new(),
    };
    house.media_up_with(1, true, Snapshot { legs: vec![leg], last: true, ..Snapshot::default() }).await;
    assert!(wished(&house.told()));

    // Media is killed, and control after it.
    house.media_up(2, false).await;
    let mut house = killed(house, &file).await;
    house.media_up(2, true).await;
    house.told();
    let update = format!("participants/{}/calls/{call}/update", host.uuid);
    let answer = house.act(&host, &update, ice_restart()).await;
    assert_eq!(answer.result()["call_uuid"], json!(call));
    assert_eq!(session(&house.told()).key, before.key);
    // It is no lost call any more.
    house.act(&host, &format!("participants/{}/calls/{call}/disconnect", host.uuid), Value::Null).await.result();
    let mut house = killed(house, &file).await;
    house.media_up(2, true).await;
    house.act(&host, &update, ice_restart()).await.refused(404);
}
