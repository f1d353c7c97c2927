//! Who stands where (MGMT-26 to MGMT-28, MGMT-34, MGMT-52): what is chosen reaches media as the order and the slots of each leg.
#![allow(missing_docs)]

mod house;

use house::{House, OFFER, Person, ROOM};
use plenum_contract::event::EventBody;
use plenum_contract::{Command, ParticipantKey, SubscriptionSpec};
use serde_json::{Value, json};

fn entry(audience: &str, layout: &str, actors: Value) -> Value {
    json!({"audience": audience, "actors": actors, "vad_backfill": true, "layout": layout, "plus_n": "auto", "actors_overlay_text": "auto"})
}

struct Meeting {
    house: House,
    host: Person,
    guest: Person,
    /// Inside names of host and guest, and their legs.
    keys: [ParticipantKey; 2],
    legs: [plenum_contract::LegKey; 2],
}

/// A host and a guest with calls of several slots.
async fn meeting() -> Meeting {
    let mut house = House::with_pins().await;
    house.media_up(1, false).await;
    let host = house.join("H", Some("1234")).await;
    let guest = house.join("G", Some("99")).await;
    let webrtc = json!({"call_type": "WEBRTC", "sdp": OFFER});
    house.call(&host, webrtc.clone()).await;
    house.call(&guest, webrtc).await;
    let told = house.told();
    let specs: Vec<_> =
        told.iter().filter_map(|c| if let Command::Session(spec) = c { Some(spec.clone()) } else { None }).collect();
    let (keys, legs) = ([specs[0].participant, specs[1].participant], [specs[0].key, specs[1].key]);
    Meeting { house, host, guest, keys, legs }
}

impl Meeting {
    async fn choose(&mut self, layouts: Value) -> Vec<Command> {
        self.house.act(&self.host, "override_layout", json!({"layouts": layouts})).await.result();
        self.house.told()
    }

    /// What a leg was last told to see.
    fn sight(told: &[Command], leg: plenum_contract::LegKey) -> Option<SubscriptionSpec> {
        let mut specs = told.iter().filter_map(|c| if let Command::Subscription(spec) = c { Some(spec) } else { None });
        specs.rfind(|spec| spec.leg == leg).cloned()
    }
}

fn shown(spec: &SubscriptionSpec) -> usize {
    spec.slots.iter().filter(|slot| slot.width > 0).count()
}

#[tokio::test]
async fn mgmt_26_layouts_are_checked_answered_and_told() {
    let mut m = meeting().await;
    let both = json!([entry("hosts", "2:21", json!([])), entry("", "2:21", json!([]))]);
    let answer = m.house.act(&m.host, "override_layout", json!({"layouts": both})).await;
    assert_eq!(answer.result(), &both, "B10");
    let mut events = m.house.events(&m.guest).await;
    events.sync().await;
    let seats = EventBody::Seats { leg: m.legs[1], seats: vec![Some(m.keys[0])], presentation: None, layout: None };
    m.house.media_says(seats).await;
    let layout = events.until("layout").await;
    assert_eq!((&layout["view"], &layout["participants"]), (&json!("2:21"), &json!([m.host.uuid])));
    m.choose(json!([entry("", "1:0", json!([]))])).await;
    assert_eq!(events.until("layout").await["view"], "1:0", "MGMT-52");
    let only_guests = m.house.act(&m.host, "override_layout", json!({"layouts": [entry("", "4:0", json!([]))]})).await;
    assert_eq!(only_guests.result()[0]["layout"], "2:21", "B7: hosts keep what they have");
    for bad in [
        json!({"layouts": [{"audience": "", "layout": "3:3"}]}),
        json!({}),
        json!({"layouts": [entry("x", "1:7", json!([]))]}),
        json!({"layouts": [entry("", "1:7", json!(["me"]))]}),
        json!({"layouts": [entry("", "1:7", json!([])), entry("", "1:0", json!([]))]}),
    ] {
        m.house.act(&m.host, "override_layout", bad).await.refused(400);
    }
    let stranger = json!({"layouts": [entry("", "1:7", json!([uuid::Uuid::new_v4().to_string()]))]});
    m.house.act(&m.host, "override_layout", stranger).await.refused(404);
    m.house.act(&m.guest, "override_layout", json!({"layouts": []})).await.refused(403);
    assert_eq!(m.house.act(&m.host, "override_layout", json!({"layouts": []})).await.result(), &json!([]), "MGMT-27");
}

#[tokio::test]
async fn mgmt_26_an_audience_is_given_as_many_pictures_as_its_layout_has_tiles() {
    let mut m = meeting().await;
    let told = m.choose(json!([entry("", "1:0", json!([]))])).await;
    let guest = Meeting::sight(&told, m.legs[1]).unwrap();
    assert_eq!(shown(&guest), 1, "{guest:?}");
    assert_eq!(Meeting::sight(&told, m.legs[0]), None, "hosts keep what they have");
    // The client shows larger tiles: the layout still bounds their number.
    let path = format!("{ROOM}/participants/{}/calls", m.guest.uuid);
    let calls = m.house.call(&m.guest, json!({"call_type": "WEBRTC", "sdp": OFFER})).await.0;
    let told = m.house.told();
    let leg = told.iter().find_map(|c| if let Command::Session(spec) = c { Some(spec.clone()) } else { None }).unwrap();
    assert_eq!(shown(&Meeting::sight(&told, leg.key).unwrap()), 1, "a new call as well");
    let mids = leg.media.iter().filter(|media| media.slot.is_some()).map(|media| media.mid.clone());
    let slots: Vec<Value> = mids.map(|mid| json!({"mid": mid, "width": 1280, "height": 720})).collect();
    let wishes = m.house.post(&format!("{path}/{calls}/wishes"), Some(&m.guest.token), json!({"slots": slots})).await;
    wishes.result();
    let sight = Meeting::sight(&m.house.told(), leg.key).unwrap();
    let pictures: Vec<_> =
        leg.media.iter().filter(|media| media.kind == plenum_contract::Kind::Video && !media.presentation).collect();
    let wide = |mid: &str| sight.slots.iter().find(|slot| slot.mid == mid).unwrap().width;
    assert_eq!(pictures.iter().map(|media| wide(&media.mid)).filter(|width| *width > 0).collect::<Vec<_>>(), [1280]);
    let told = m.choose(json!([])).await;
    let sight = Meeting::sight(&told, leg.key).unwrap();
    assert!(sight.slots.iter().all(|slot| slot.width == 1280), "MGMT-27: what the client wished for comes back");
}

#[tokio::test]
async fn mgmt_28_actors_stand_first_for_their_audience_and_gaps_stay_where_they_are_wanted() {
    let mut m = meeting().await;
    let actor = m.house.join("Actor", Some("1234")).await;
    m.house.call(&actor, json!({"call_type": "WEBRTC", "sdp": OFFER})).await;
    let told = m.house.told();
    let key =
        told.iter().find_map(|c| if let Command::Session(spec) = c { Some(spec.participant) } else { None }).unwrap();
    let told = m.choose(json!([entry("", "1:7", json!([actor.uuid, m.host.uuid]))])).await;
    assert_eq!(Meeting::sight(&told, m.legs[1]).unwrap().first, [key, m.keys[0]]);
    assert_eq!(Meeting::sight(&told, m.legs[0]), None);
    let mut strict = entry("", "1:7", json!([actor.uuid, m.host.uuid]));
    strict["vad_backfill"] = json!(false);
    strict["plus_n"] = json!("off");
    let told = m.choose(json!([strict])).await;
    let sight = Meeting::sight(&told, m.legs[1]).unwrap();
    assert_eq!(sight.slots.iter().filter_map(|slot| slot.pinned).collect::<Vec<_>>(), [key, m.keys[0]]);
    assert_eq!(shown(&sight), 2, "nobody else is shown");
    m.house.act(&actor, "end_session", Value::Null).await.result();
    let sight = Meeting::sight(&m.house.told(), m.legs[1]).unwrap();
    assert_eq!(
        (shown(&sight), sight.slots.iter().filter_map(|slot| slot.pinned).collect::<Vec<_>>()),
        (1, vec![m.keys[0]])
    );
    assert_eq!(sight.slots.iter().position(|slot| slot.pinned.is_some()), Some(1), "the place of who left is empty");
}

#[tokio::test]
async fn mgmt_34_spotlights_reach_media_in_the_order_they_were_set() {
    let mut m = meeting().await;
    let mut events = m.house.events(&m.host).await;
    events.sync().await;
    m.house.to(&m.host, &m.guest, "spotlighton", Value::Null).await.result();
    m.house.to(&m.host, &m.host, "spotlighton", Value::Null).await.result();
    assert!(events.until("participant_update").await["spotlight"].as_u64().unwrap() > 1_000_000_000);
    let pinned = |told: Vec<Command>| {
        told.into_iter().rev().find_map(|c| if let Command::Conference(spec) = c { Some(spec.pinned) } else { None })
    };
    assert_eq!(pinned(m.house.told()), Some(vec![m.keys[1], m.keys[0]]));
    m.house.to(&m.host, &m.guest, "spotlightoff", Value::Null).await.result();
    assert_eq!(pinned(m.house.told()), Some(vec![m.keys[0]]));
    m.house.to(&m.guest, &m.guest, "spotlighton", Value::Null).await.refused(403);
}

#[tokio::test]
async fn mgmt_62_pexips_transform_layout_does_the_same_and_its_empty_audience_is_everybody_else() {
    let mut m = meeting().await;
    let alias = "/api/client/v2/conferences/1061";
    let transform = json!({"transforms": {"layout": "1:0", "guest_layout": "4:0"}});
    let answer = m.house.post(&format!("{alias}/transform_layout"), Some(&m.host.token), transform).await;
    assert_eq!(answer.result(), &json!(true));
    let told = m.house.told();
    let of = |leg| Meeting::sight(&told, leg).map(|spec| shown(&spec));
    assert_eq!((of(m.legs[0]), of(m.legs[1])), (Some(1), Some(4)));
    let everybody = json!({"layouts": [entry("", "1:7", json!([]))]});
    let answer = m.house.post(&format!("{alias}/override_layout"), Some(&m.host.token), everybody).await;
    let audiences: Vec<_> = answer.result().as_array().unwrap().iter().map(|e| e["audience"].clone()).collect();
    assert_eq!(audiences, ["hosts", ""]);
    m.house.post(&format!("{alias}/transform_layout"), Some(&m.host.token), json!({"transforms": {}})).await.result();
    m.house
        .post(&format!("{alias}/transform_layout"), Some(&m.host.token), json!({"transforms": {"layout": "7:7"}}))
        .await
        .refused(400);
}
