//! Who gets the mix (`media` of `calls`), and what media is told that it is to look like.
#![allow(missing_docs)]

mod house;

use house::{House, OFFER, Person, SIMPLE, pin_room, three_sounds};
use plenum::serve::Settings;
use plenum_contract::{
    Codec, Command, EventBody, FeedKind, MemberPicture, MixSpec, PresentationPlace, SubscriptionSpec,
};
use serde_json::{Value, json};

async fn with_mixer() -> House {
    let mut house = House::with(pin_room(), Settings { mixer: true, ..Settings::default() }).await;
    house.media_up(1, false).await;
    house
}

fn webrtc(media: &str) -> Value {
    json!({"call_type": "WEBRTC", "sdp": OFFER, "media": media})
}

/// Of a client that has no m-line for presentations.
fn simple() -> Value {
    json!({"call_type": "WEBRTC", "sdp": SIMPLE, "media": "mix"})
}

/// The last mix that was told, and what legs were told to see.
fn told(house: &mut House) -> (Option<MixSpec>, Vec<SubscriptionSpec>) {
    let (mut mix, mut sight) = (None, Vec::new());
    for command in house.told() {
        match command {
            Command::Mix(spec) => mix = Some(spec),
            Command::Subscription(spec) => sight.push(spec),
            _ => {}
        }
    }
    (mix, sight)
}

async fn two(house: &mut House) -> (Person, Person) {
    let host = house.join("H", Some("1234")).await;
    let guest = house.join("Zoë 小林", Some("99")).await;
    (host, guest)
}

#[tokio::test]
async fn a_mix_has_as_many_pictures_a_second_as_the_operator_set() {
    for (settings, expected) in [(Settings::default(), 30), (Settings { frame_rate: 50, ..Settings::default() }, 50)] {
        let mut house = House::with(pin_room(), Settings { mixer: true, ..settings }).await;
        house.media_up(1, false).await;
        let (host, _) = two(&mut house).await;
        house.call(&host, webrtc("mix")).await;
        assert_eq!(told(&mut house).0.map(|mix| mix.fps), Some(expected));
    }
}

#[tokio::test]
async fn a_call_that_asks_for_the_mix_is_told_with_its_scene_and_one_that_does_not_is_forwarded_to() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, ask(&three_sounds(), "forward")).await;
    assert_eq!(told(&mut house), (None, vec![]));
    house.call(&guest, webrtc("mix")).await;
    let (mix, sight) = told(&mut house);
    let mix = mix.expect("a mix");
    assert_eq!((mix.scenes.len(), mix.members.len()), (1, 2));
    assert_eq!((mix.scenes[0].layout.as_str(), mix.scenes[0].width, mix.scenes[0].height), ("1:7", 1280, 720));
    assert_eq!(sight.iter().map(|s| s.mix).collect::<Vec<_>>(), [Some(mix.scenes[0].id)]);
    let path = format!("participants/{}/calls", host.uuid);
    let reason = house.act(&host, &path, webrtc("both")).await.refused(400);
    assert!(reason.contains("mix or forward"), "{reason}");
}

#[tokio::test]
async fn who_is_forwarded_to_with_a_single_sound_hears_the_mix_of_which_no_picture_is_made() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let (call, answer) = house.call(&host, webrtc("forward")).await;
    let (mix, sight) = told(&mut house);
    assert_eq!(mix.expect("a mix").scenes, []);
    assert_eq!(sight.iter().map(|s| (s.mix, s.mixed_sound)).collect::<Vec<_>>(), [(None, true)]);
    // Pictures that are forwarded and sound that is mixed go by different clocks: they are not one stream.
    let streams: std::collections::BTreeSet<_> =
        answer.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next()).collect();
    let lines = answer.lines().filter(|line| line.starts_with("a=msid:")).count();
    assert_eq!((streams.len(), lines > 1), (lines, true), "{answer}");
    house.call(&guest, ask(&three_sounds(), "forward")).await;
    let sight = told(&mut house).1;
    assert!(sight.iter().all(|s| (s.mix, s.mixed_sound) == (None, false)), "{sight:?}");
    house.act(&host, &format!("participants/{}/calls/{call}/disconnect", host.uuid), json!({})).await.result();
    assert!(house.told().iter().any(|command| matches!(command, Command::RemoveMix(_))));
}

#[tokio::test]
async fn names_mutes_and_layouts_reach_the_mix_and_scenes_keep_their_ids() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, webrtc("mix")).await;
    house.call(&guest, webrtc("mix")).await;
    let first = told(&mut house).0.expect("a mix");
    assert_eq!(first.scenes.len(), 1, "who sees the same shares a scene");
    let entry = json!({"audience": "", "actors": [], "vad_backfill": true, "layout": "4:0", "plus_n": "off", "actors_overlay_text": "off"});
    house.act(&host, "override_layout", json!({"layouts": [entry]})).await.result();
    let (mix, sight) = told(&mut house);
    let mix = mix.expect("a change");
    assert!(mix.revision > first.revision);
    let [hosts, guests] = &mix.scenes[..] else { panic!("{:?}", mix.scenes) };
    assert_eq!((hosts.id, hosts.layout.as_str(), hosts.names, hosts.plus_n), (first.scenes[0].id, "1:7", true, true));
    assert_eq!((guests.layout.as_str(), guests.names, guests.plus_n), ("4:0", false, false));
    assert_eq!(sight.iter().map(|s| s.mix).collect::<Vec<_>>(), [Some(guests.id)], "the host's leg has what it had");
    house.to(&host, &guest, "mute", json!({})).await.result();
    house.to(&host, &guest, "video_muted", json!({})).await.result();
    let member = told(&mut house).0.expect("a change").members[1].clone();
    assert_eq!((member.name.as_str(), member.heard, member.shown), ("Zoë 小林", false, MemberPicture::CameraOff));
    house.to(&host, &guest, "spotlighton", json!({})).await.result();
    let mix = told(&mut house).0.expect("a change");
    assert_eq!(mix.scenes[0].first, [mix.members[1].participant]);
    house.to(&host, &guest, "overlaytext", json!({"text": "The guest"})).await.result();
    assert_eq!(told(&mut house).0.expect("a change").members[1].name, "The guest");
}

#[tokio::test]
async fn mgmt_52_who_gets_the_mix_is_told_the_layout_and_the_presenter_that_are_drawn() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let mut events = house.events(&guest).await;
    events.sync().await;
    house.call(&host, webrtc("mix")).await;
    house.call(&guest, webrtc("mix")).await;
    let leg = told(&mut house).1.last().expect("a leg").leg;
    let seen = |layout: Option<&str>| EventBody::Seats {
        leg,
        seats: vec![None],
        presentation: None,
        layout: layout.map(Into::into),
    };
    house.media_says(seen(Some("1:21"))).await;
    let told = events.until("layout").await;
    assert_eq!((&told["view"], &told["mixed"]), (&json!("1:21"), &json!(true)));
    // No mixer runs: a single picture comes instead.
    house.media_says(seen(None)).await;
    let told = events.until("layout").await;
    assert_eq!((&told["view"], &told["mixed"]), (&json!("1:7"), &json!(false)), "what was chosen, and is not drawn");
    house.media_says(seen(Some("1:21"))).await;
    events.until("layout").await;
    house.media_says(seen(Some("nonsense"))).await;
    assert_eq!(events.until("layout").await["view"], "1:7", "of an unknown one, what was chosen");
    house.act(&host, "message", json!({"payload": "end"})).await.result();
    events.until("message").await;
}

#[tokio::test]
async fn mgmt_26_who_is_not_to_see_themselves_has_a_picture_of_their_own() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    for person in [&host, &guest] {
        house.call(person, webrtc("mix")).await;
    }
    let shared = told(&mut house).0.expect("a mix");
    let entry = json!({"audience": "", "layout": "1:7", "remove_self": true});
    let answer = house.act(&host, "override_layout", json!({"layouts": [entry]})).await;
    assert_eq!(answer.result()[0]["remove_self"], true);
    let (mix, sight) = told(&mut house);
    let mix = mix.expect("a change");
    let key = mix.members[1].participant;
    assert_eq!(mix.scenes.iter().map(|s| s.without).collect::<Vec<_>>(), [None, Some(key)]);
    assert_eq!(mix.scenes[0], shared.scenes[0], "the host sees what they saw");
    assert_eq!(sight.last().map(|s| s.mix), Some(Some(mix.scenes[1].id)));
    house.act(&host, "override_layout", json!({"layouts": []})).await.result();
    assert_eq!(told(&mut house).0.expect("a change").scenes.len(), 1, "MGMT-27");
}

#[tokio::test]
async fn mgmt_62_transform_layout_leaves_viewers_out_of_their_pictures_too() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    for person in [&host, &guest] {
        house.call(person, webrtc("mix")).await;
    }
    let transform = json!({"transforms": {"layout": "4:0", "remove_self": true}});
    house.post("/api/client/v2/conferences/1061/transform_layout", Some(&host.token), transform).await.result();
    let mix = told(&mut house).0.expect("a change");
    let without: Vec<_> = mix.scenes.iter().map(|s| (s.layout.as_str(), s.without)).collect();
    let [a, b] = [&mix.members[0], &mix.members[1]].map(|m| Some(m.participant));
    assert_eq!(without, [("4:0", None), ("4:0", a), ("4:0", b)]);
}

#[tokio::test]
async fn a_mix_ends_with_the_last_call_that_gets_it() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, ask(&three_sounds(), "forward")).await;
    let (call, _) = house.call(&guest, webrtc("mix")).await;
    assert!(told(&mut house).0.is_some());
    house.act(&guest, &format!("participants/{}/calls/{call}/disconnect", guest.uuid), json!({})).await.result();
    assert!(house.told().iter().any(|command| matches!(command, Command::RemoveMix(_))));
}

#[tokio::test]
async fn a_call_with_a_single_picture_gets_the_mix_unless_it_says_otherwise() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let single = OFFER.split("m=").filter(|part| !part.starts_with("video")).collect::<Vec<_>>().join("m=");
    let videos: Vec<&str> = OFFER.split("m=").filter(|part| part.starts_with("video")).collect();
    let sdp = format!("{single}m={}", videos[0]);
    let mids: Vec<&str> = sdp.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
    let bundle = format!("a=group:BUNDLE {}", mids.join(" "));
    let sdp: String = sdp
        .lines()
        .map(|line| if line.starts_with("a=group:BUNDLE") { bundle.as_str() } else { line })
        .flat_map(|line| [line, "\r\n"])
        .collect();
    house.call(&host, json!({"call_type": "WEBRTC", "sdp": sdp.clone(), "media": "forward"})).await;
    assert!(told(&mut house).0.expect("the sound of one").scenes.is_empty());
    house.call(&guest, json!({"call_type": "WEBRTC", "sdp": sdp})).await;
    let (mix, sight) = told(&mut house);
    assert!(mix.is_some() && sight.iter().all(|s| s.mix.is_some()) && !sight.is_empty());
}

#[tokio::test]
async fn a_media_plane_that_is_connected_again_is_told_of_the_mix_again() {
    let mut house = with_mixer().await;
    let (host, _) = two(&mut house).await;
    house.call(&host, webrtc("mix")).await;
    let (first, sight) = told(&mut house);
    let (first, sight) = (first.expect("a mix"), sight[0].clone());
    house.media_up(1, true).await;
    let (again, seen) = told(&mut house);
    let again = again.expect("told again");
    assert_eq!((again.scenes, again.members), (first.scenes, first.members));
    assert_eq!((seen[0].leg, seen[0].mix), (sight.leg, sight.mix));
}

#[tokio::test]
async fn without_a_mixer_media_is_told_of_no_mix() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    house.call(&alice, webrtc("mix")).await;
    assert_eq!(told(&mut house), (None, vec![]));
}

/// The offer of a client that does not have these codecs.
fn lacking(codecs: &[&str]) -> String {
    codecs.iter().fold(OFFER.to_owned(), |sdp, codec| sdp.replace(codec, "other/90000"))
}

fn ask(sdp: &str, media: &str) -> Value {
    json!({"call_type": "WEBRTC", "sdp": sdp, "media": media})
}

#[tokio::test]
async fn who_gets_the_mix_need_not_decode_what_the_others_send() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let publisher = lacking(&["H264/90000"]);
    let viewer = lacking(&["VP8/90000"]).replace("a=sendrecv", "a=recvonly").replace("a=sendonly", "a=recvonly");
    house.call(&host, ask(&publisher, "forward")).await;
    let (_, answer) = house.call(&guest, ask(&viewer, "mix")).await;
    assert!(answer.contains("H264/90000") && !answer.contains("VP8/90000"), "{}", answer);
    assert!(told(&mut house).0.expect("a mix").transcodes.is_empty(), "the picture is in the mix");
    // And they do not hold up whoever comes next.
    let third = house.join("T", Some("99")).await;
    let (_, answer) = house.call(&third, ask(&publisher, "forward")).await;
    assert!(answer.contains("VP8/90000"), "{}", answer);
}

#[tokio::test]
async fn who_is_forwarded_to_and_lacks_a_codec_gets_it_in_one_they_have() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, ask(&lacking(&["H264/90000"]), "forward")).await;
    let (call, answer) = house.call(&guest, ask(&lacking(&["VP8/90000"]), "forward")).await;
    assert!(answer.contains("H264/90000") && !answer.contains("VP8/90000"), "{}", answer);
    let (mix, sight) = told(&mut house);
    let mix = mix.expect("a mix");
    let [host_key, guest_key] = [&mix.members[0], &mix.members[1]].map(|m| m.participant);
    let made = |mix: &MixSpec| mix.transcodes.iter().map(|t| (t.source.participant, t.source.kind, t.codec)).collect();
    let wanted: Vec<_> = [(host_key, FeedKind::Camera, Codec::H264), (guest_key, FeedKind::Camera, Codec::Vp8)].into();
    assert_eq!((mix.scenes.len(), made(&mix)), (0, wanted));
    assert!(sight.iter().all(|s| s.mix.is_none()), "nobody gets the mix");
    // Whoever decodes both sends what was preferred, and gets the originals.
    let third = house.join("T", Some("99")).await;
    let (_, answer) = house.call(&third, ask(OFFER, "forward")).await;
    assert!(answer.find("VP8/90000") < answer.find("H264/90000"), "{}", answer);
    let mix = told(&mut house).0.expect("a change");
    let third_key = mix.members[2].participant;
    let wanted: Vec<_> = [
        (host_key, FeedKind::Camera, Codec::H264),
        (guest_key, FeedKind::Camera, Codec::Vp8),
        (third_key, FeedKind::Camera, Codec::H264),
    ]
    .into();
    assert_eq!(made(&mix), wanted);
    // It ends with whoever needed it.
    house.act(&guest, &format!("participants/{}/calls/{call}/disconnect", guest.uuid), json!({})).await.result();
    assert!(told(&mut house).0.expect("a change").transcodes.is_empty());
}

#[tokio::test]
async fn a_phone_that_has_g711_alone_is_let_in_and_nobody_else_sounds_worse_for_it() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let phone = lacking(&["opus/48000/2", "red/48000/2", "G722/8000"]);
    let (_, answer) = house.call(&guest, ask(&phone, "forward")).await;
    assert!(answer.contains("PCMU/8000") && !answer.contains("opus"), "{}", answer);
    let (_, answer) = house.call(&host, ask(&three_sounds(), "forward")).await;
    assert!(answer.contains("opus/48000/2") && !answer.contains("PCMU"), "{}", answer);
    let (mix, sight) = told(&mut house);
    let made: Vec<_> = mix.expect("a mix").transcodes.iter().map(|t| (t.source.kind, t.codec)).collect();
    assert_eq!(made, [(FeedKind::Audio, Codec::Opus)], "the phone hears the mix");
    assert!(sight.iter().any(|s| s.mixed_sound));
}

#[tokio::test]
async fn a_phone_that_has_ilbc_or_g726_alone_is_let_in_and_hears_the_mix() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, ask(&three_sounds(), "forward")).await;
    let phone = lacking(&["opus/48000/2", "red/48000/2", "G722/8000", "PCMA/8000"]);
    let named =
        [("iLBC/8000\r\na=fmtp:0 mode=20", Codec::Ilbc), ("iLBC/8000", Codec::Ilbc30), ("G726-32/8000", Codec::G726)];
    for (name, codec) in named {
        let offer = phone.replace("PCMU/8000", name);
        let (call, answer) = house.call(&guest, ask(&offer, "forward")).await;
        assert!(answer.contains(name), "{answer}");
        let (mix, sight) = told(&mut house);
        assert!(sight.iter().any(|s| s.mixed_sound), "{sight:?}");
        let made: Vec<_> = mix.expect("a mix").transcodes.iter().map(|t| (t.source.kind, t.codec)).collect();
        assert_eq!(made, [(FeedKind::Audio, Codec::Opus)], "{codec:?}: what they say");
        house.act(&guest, &format!("participants/{}/calls/{call}/disconnect", guest.uuid), json!({})).await.result();
        told(&mut house);
    }
}

#[tokio::test]
async fn without_a_mixer_who_lacks_a_codec_is_told_why() {
    let mut house = House::with(pin_room(), Settings::default()).await;
    house.media_up(1, false).await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, ask(&lacking(&["H264/90000"]), "forward")).await;
    let path = format!("participants/{}/calls", guest.uuid);
    let reason = house.act(&guest, &path, ask(&lacking(&["VP8/90000"]), "forward")).await.refused(400);
    assert!(reason.contains("codec"), "{reason}");
}

/// MGMT-26, MGMT-28: what a host chooses is drawn.
#[tokio::test]
async fn mgmt_26_mgmt_28_every_field_of_override_layout_reaches_the_mix() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    let actor = house.join("Actor", Some("99")).await;
    for person in [&host, &guest, &actor] {
        house.call(person, simple()).await;
    }
    let key = told(&mut house).0.expect("a mix").members[2].participant;
    let entry = json!({
        "audience": "", "layout": "stacked", "actors": [actor.uuid, guest.uuid], "vad_backfill": false, "plus_n": "off",
        "presentation": "beside", "overlay_text": "Recorded", "indicate_speaker": false,
        "fill": true,
    });
    let answer = house.act(&host, "override_layout", json!({"layouts": [entry]})).await;
    let entry = &answer.result()[0];
    assert_eq!((&entry["presentation"], &entry["overlay_text"]), (&json!("beside"), &json!("Recorded")));
    assert_eq!((&entry["layout"], &entry["indicate_speaker"]), (&json!("stacked"), &json!(false)));
    assert_eq!(entry["fill"], true);
    let mix = told(&mut house).0.expect("a change");
    let guests = mix.scenes.iter().find(|scene| scene.layout == "stacked").expect("a scene of the guests");
    let other = mix.members[1].participant;
    assert_eq!(guests.fixed, [Some(key), Some(other)]);
    assert_eq!((guests.banner.as_deref(), guests.border, guests.fill), (Some("Recorded"), false, true));
    assert!(mix.scenes.iter().any(|scene| !scene.fill), "hosts see whole pictures");
    assert_eq!(guests.presentation, PresentationPlace::Beside);
    house.act(&actor, "end_session", Value::Null).await.result();
    let mix = told(&mut house).0.expect("a change");
    let guests = mix.scenes.iter().find(|scene| scene.layout == "stacked").expect("a scene of the guests");
    assert_eq!(guests.fixed, [None, Some(other)], "nobody takes the place of who left");
    for (name, wrong) in
        [("presentation", json!("above")), ("overlay_text", json!("a\u{202e}b")), ("layout", json!("3:3"))]
    {
        let mut entry = json!({"audience": "", "layout": "1:7"});
        entry[name] = wrong;
        house.act(&host, "override_layout", json!({"layouts": [entry]})).await.refused(400);
    }
}

/// MGMT-62
#[tokio::test]
async fn mgmt_62_transform_layout_writes_over_the_picture_and_takes_the_border_off() {
    let mut house = with_mixer().await;
    let (host, _) = two(&mut house).await;
    house.call(&host, webrtc("mix")).await;
    told(&mut house);
    let transforms = json!({
        "layout": "onePlusN", "free_form_overlay_text": ["Board", "Friday"], "enable_active_speaker_indication": false,
        "fill": true,
    });
    let path = "/api/client/v2/conferences/1061/transform_layout";
    house.post(path, Some(&host.token), json!({"transforms": transforms})).await.result();
    let mix = told(&mut house).0.expect("a change");
    let scene = &mix.scenes[0];
    assert_eq!(
        (scene.layout.as_str(), scene.banner.as_deref(), scene.border, scene.fill),
        ("onePlusN", Some("Board  Friday"), false, true)
    );
}

#[tokio::test]
async fn an_operator_sets_how_loud_somebody_is_and_what_lies_over_pictures() {
    let settings = Settings { mixer: true, logo: Some(vec![7; 9]), auto_gain: true, ..Settings::default() };
    let mut house = House::with(pin_room(), settings).await;
    house.media_up(1, false).await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, simple()).await;
    let mix = told(&mut house).0.expect("a mix");
    assert_eq!((mix.logo, mix.level, mix.members[1].volume), (Some(vec![7; 9]), true, 100));
    let operator = house::login("operator");
    let who = format!("conferences/1061/participants/{}", guest.uuid);
    let louder = json!({"action": "volume", "percent": 250});
    assert_eq!(house.operate(&operator, "POST", &format!("{who}/actions"), louder).await.status.as_u16(), 204);
    assert_eq!(told(&mut house).0.expect("a change").members[1].volume, 250);
    assert_eq!(house.operate(&operator, "GET", &who, Value::Null).await.json["volume"], 250);
    let much = json!({"action": "volume", "percent": 401});
    house.operate(&operator, "POST", &format!("{who}/actions"), much).await.problem(400);
    let layout = json!({"action": "layout", "hosts": "1:0", "presentation": "full", "text": "Welcome", "fill": true});
    let path = "conferences/1061/actions";
    assert_eq!(house.operate(&operator, "POST", path, layout).await.status.as_u16(), 204);
    let mix = told(&mut house).0.expect("a change");
    assert_eq!((mix.scenes[0].layout.as_str(), mix.scenes[0].presentation), ("1:0", PresentationPlace::Full));
    assert_eq!((mix.scenes[0].banner.as_deref(), mix.scenes[0].fill), (Some("Welcome"), true));
    let wrong = json!({"action": "layout", "hosts": "1:0", "presentation": "above"});
    assert_eq!(house.operate(&operator, "POST", path, wrong).await.problem(400).1.as_deref(), Some("presentation"));
}

/// MGMT-57: `is_on_hold`.
#[tokio::test]
async fn mgmt_57_who_puts_the_conference_on_hold_is_a_still_picture_until_they_are_back() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    house.call(&host, webrtc("mix")).await;
    let (call, _) = house.call(&guest, simple()).await;
    let mut shown = told(&mut house).0.expect("a mix").members[1].shown;
    assert_eq!(shown, MemberPicture::Camera);
    let mut events = house.events(&host).await;
    events.sync().await;
    let who = format!("conferences/1061/participants/{}", guest.uuid);
    let path = format!("participants/{}/calls/{call}/update", guest.uuid);
    assert!(SIMPLE.contains("c=IN IP4 0.0.0.0"), "an address that is not known yet holds nobody");
    for (direction, held) in
        [("sendonly", true), ("inactive", true), ("sendrecv", false), ("inactive", true), ("recvonly", false)]
    {
        let sdp = SIMPLE.replace("a=sendrecv", &format!("a={direction}"));
        let before = shown;
        house.act(&guest, &path, json!({"sdp": sdp})).await.result();
        if let Some(mix) = told(&mut house).0 {
            shown = mix.members[1].shown;
        }
        assert_eq!(shown, if held { MemberPicture::Held } else { MemberPicture::Camera }, "{direction}");
        assert_eq!(house.operate(&house::login("viewer"), "GET", &who, Value::Null).await.json["on_hold"], held);
        if shown != before {
            assert_eq!(events.until("participant_update").await["is_on_hold"], held, "{direction}");
        }
    }
    // Who only sends from the beginning holds nobody up.
    let sender = house.join("Camera", Some("99")).await;
    let sends = json!({"call_type": "WEBRTC", "sdp": SIMPLE.replace("a=sendrecv", "a=sendonly"), "media": "forward"});
    let (call, _) = house.call(&sender, sends.clone()).await;
    house.act(&sender, &format!("participants/{}/calls/{call}/update", sender.uuid), sends).await.result();
    assert_eq!(told(&mut house).0.expect("a change").members[2].shown, MemberPicture::Camera);
}

/// CMS-22: the layout that is drawn is told with the participant.
#[tokio::test]
async fn cms_22_the_layout_on_the_screen_of_who_gets_the_mix_is_told_with_them() {
    let mut house = with_mixer().await;
    let (host, _) = two(&mut house).await;
    let mut events = house.events(&host).await;
    events.sync().await;
    house.call(&host, webrtc("mix")).await;
    let leg = told(&mut house).1.last().expect("a leg").leg;
    let seen = EventBody::Seats { leg, seats: vec![None], presentation: None, layout: Some("1:21".into()) };
    house.media_says(seen).await;
    let who = format!("conferences/1061/participants/{}", host.uuid);
    let person = house.operate(&house::login("viewer"), "GET", &who, Value::Null).await;
    assert_eq!(person.json["shown_layout"], "1:21");
    assert_eq!(events.until("layout").await["view"], "1:21");
}

#[tokio::test]
async fn hosts_read_what_is_in_force_and_set_how_loud_somebody_is() {
    let mut house = with_mixer().await;
    let (host, guest) = two(&mut house).await;
    for person in [&host, &guest] {
        house.call(person, webrtc("mix")).await;
    }
    let read = async |who: &Person| house.get("/api/services/1061/override_layout", Some(&who.token)).await;
    let layouts = |answer: &Value| [0, 1].map(|n| (answer[n]["audience"].clone(), answer[n]["layout"].clone()));
    let pair = |audience: &str, layout: &str| (json!(audience), json!(layout));
    assert_eq!(layouts(read(&host).await.result()), [pair("hosts", "1:7"), pair("", "1:7")], "nothing was chosen");
    let chosen = json!({"layouts": [{"audience": "", "layout": "4:0"}]});
    house.act(&host, "override_layout", chosen).await.result();
    assert_eq!(layouts(read(&host).await.result()), [pair("hosts", "1:7"), pair("", "4:0")]);
    read(&guest).await.refused(403);

    told(&mut house);
    let mut events = house.events(&host).await;
    events.sync().await;
    house.to(&host, &guest, "volume", json!({"percent": 250})).await.result();
    assert_eq!(told(&mut house).0.expect("a change").members[1].volume, 250);
    assert_eq!(events.until("participant_update").await["volume"], 250);
    house.to(&host, &guest, "volume", json!({"percent": 100})).await.result();
    assert!(events.until("participant_update").await.get("volume").is_none(), "nothing unusual");
    for wrong in [json!({}), json!({"percent": "loud"}), json!({"percent": 401}), json!({"percent": 70000})] {
        house.to(&host, &guest, "volume", wrong).await.refused(400);
    }
    house.to(&guest, &host, "volume", json!({"percent": 0})).await.refused(403);
}
