//! Limits, a full disk and hostile clients, at the running programs: the next request is refused with a reason, and everybody
//! who is there goes on.

use crate::appliance::Appliance;
use crate::browser::Browser;
use crate::client::{OFFER, act, call, events, exchange, join, person, post, try_join};
use crate::conference::{join as enter, open, sees_and_hears};
use crate::prometheus;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// The soft limit of the sizes of files that a process may write, as on a disk that is full.
fn largest_file(pid: i32, bytes: &str) {
    let done = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit (util-linux) changes a limit of our own process");
}

#[test]
fn a_full_shard_refuses_the_third_call_and_a_full_disk_disturbs_no_call() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1", "PLENUM_LIMITS_SESSIONS_PER_SHARD=2"]);
    let mut browser = Browser::start(&[]);
    let alice = enter(&mut browser, &at, "Alice");
    let bob = enter(&mut browser, &at, "Bob");
    sees_and_hears(&mut browser, &alice, "Alice");
    sees_and_hears(&mut browser, &bob, "Bob");

    // The third has no place for media, is told so, and stays in the conference.
    let carol = join(&at, "Carol");
    assert_eq!(call(&at, &carol, "").refused(503), "Limit of media sessions reached");
    let dora = open(&mut browser, &at, "Dora");
    browser.until(&dora, "Dora's page says that the server is full", "/no room/i.test(document.body.innerText)");
    sees_and_hears(&mut browser, &alice, "Alice beside those who were refused");

    // While two talk, the metrics are what Prometheus takes, and tell what operators must know.
    let metrics = exchange(&at, "GET", "/metrics", &[], "");
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let samples = prometheus::read(&metrics.body).unwrap_or_else(|problem| panic!("{problem}\n{}", metrics.body));
    let of = |name: &str| samples.iter().filter(|s| s.name == name).map(|s| s.value).collect::<Vec<_>>();
    assert_eq!(of("plenum_shard_sessions"), [2.0]);
    assert_eq!((of("plenum_calls"), of("plenum_participants").len()), (vec![2.0], 1));
    assert!(of("plenum_leg_bandwidth_bits").len() == 2, "an estimate for each leg");
    for name in [
        "plenum_shard_received_packets_total",
        "plenum_shard_sent_bytes_total",
        "plenum_shard_busy_seconds_total",
        "plenum_shard_turns_total",
        "plenum_residence_seconds_count",
        "plenum_pacer_wait_seconds_count",
    ] {
        assert!(of(name).iter().all(|value| *value > 0.0) && !of(name).is_empty(), "{name}: {:?}", of(name));
    }

    // The disk is full: what changes state is refused, what only reads is not, and nobody who talks notices.
    largest_file(at.control_pid(), "1");
    assert!(act(&at, &carol, "lock", json!({})).refused(503).contains("store"));
    try_join(&at, "Late").refused(503);
    let health = exchange(&at, "GET", "/health", &[], "");
    assert_eq!((health.status, &health.json()["store"], &health.json()["media"]), (503, &json!("down"), &json!("up")));
    let headers = [("token", carol.token.as_str())];
    let status = exchange(&at, "GET", "/api/services/1061/service_status", &headers, "");
    assert_eq!(status.result()["locked"], false);
    sees_and_hears(&mut browser, &alice, "Alice with a full disk");
    sees_and_hears(&mut browser, &bob, "Bob with a full disk");

    largest_file(at.control_pid(), "unlimited");
    act(&at, &carol, "lock", json!({})).result();
    assert_eq!(exchange(&at, "GET", "/health", &[], "").status, 200);
    act(&at, &carol, "unlock", json!({})).result();
    browser.eval(&bob, "document.getElementById('leave').click()");
    browser.until(&bob, "Bob left", "document.body.dataset.view === 'over' || !window.plenum.room");
    call(&at, &carol, "").result();
}

#[test]
fn at_a_limit_the_next_is_refused_with_a_reason_and_the_others_go_on() {
    let at = Appliance::start(&[
        "--shards",
        "1",
        "PLENUM_LIMITS_CONFERENCES=2",
        "PLENUM_LIMITS_PARTICIPANTS=4",
        "PLENUM_LIMITS_PARTICIPANTS_PER_CONFERENCE=3",
        "PLENUM_LIMITS_CALLS_PER_PARTICIPANT=1",
        "PLENUM_LIMITS_TRACKS_PER_CALL=2",
        "PLENUM_LIMITS_EVENT_STREAMS=1",
    ]);
    let alice = join(&at, "Alice");
    let (opened, mut reading) = events(&at, &alice);
    assert_eq!(opened.status, 200);
    let (bob, _carol) = (join(&at, "Bob"), join(&at, "Carol"));
    assert!(try_join(&at, "Dora").refused(503).contains("full"));
    // Beside 1061, which the first start made, there is place for one conference; and for one participant in it.
    at.create(&["2000"]);
    let (made, said) = at.conference("create", &["2001"]);
    assert!(!made && said.contains("imit of 2 conferences reached"), "{said}");
    let elsewhere = || post(&at, "/api/services/2000/new_session", None, json!({"display_name": "Erin"}));
    person(&elsewhere());
    assert_eq!(elsewhere().refused(503), "Limit of 4 participants reached");

    // A track more than a call may have: neither at its start nor later.
    let picture = OFFER.find("m=video").expect("two tracks");
    let three = format!("{OFFER}{}", OFFER[picture..].replace("a=mid:1", "a=mid:2"));
    let wide = json!({"call_type": "WEBRTC", "sdp": three});
    let refused = act(&at, &bob, &format!("participants/{}/calls", bob.uuid), wide.clone()).refused(400);
    assert!(refused.contains("3 m-lines, at most 2"), "{refused}");
    let first = call(&at, &alice, "").result();
    assert!(call(&at, &alice, "receive").refused(503).contains("1 calls"), "one call for each");
    assert!(events(&at, &bob).0.refused(503).contains("event streams"));
    let large = "x".repeat(300_000);
    let asked = exchange(&at, "POST", "/api/services/1061/message", &[("token", &bob.token)], &large);
    asked.refused(413);

    // What ran before still does.
    let path = format!("participants/{}/calls/{}", alice.uuid, first["call_uuid"].as_str().expect("a call"));
    act(&at, &alice, &format!("{path}/ack"), json!({})).result();
    assert!(act(&at, &alice, &format!("{path}/update"), wide).refused(400).contains("at most 2"));
    act(&at, &alice, &format!("{path}/update"), json!({"sdp": OFFER})).result();
    act(&at, &bob, "message", json!({"payload": "still here"})).result();
    let mut heard = String::new();
    let mut chunk = [0; 4096];
    while !heard.contains("still here") {
        let n = reading.read(&mut chunk).expect("an event");
        assert!(n > 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    // A place that becomes free is taken by the next.
    act(&at, &bob, "end_session", json!({})).result();
    join(&at, "Dora");
}

#[test]
fn who_joins_too_often_waits_and_what_runs_goes_on() {
    let at = Appliance::start(&["--shards", "1", "PLENUM_LIMITS_JOINS_PER_ADDRESS=1"]);
    let alice = join(&at, "Alice");
    let refused: Vec<_> = (0..30).map(|_| try_join(&at, "B")).filter(|answer| answer.status == 429).collect();
    assert!(refused.len() >= 5, "{}", refused.len());
    assert!(refused[0].refused(429).contains("Too many") && refused[0].header("retry-after").is_some());
    act(&at, &alice, "message", json!({"payload": "hello"})).result();
}

#[test]
fn connections_beyond_the_limit_are_told_so_and_room_is_made_again() {
    let at = Appliance::start(&[
        "--shards",
        "1",
        "PLENUM_LIMITS_CONNECTIONS=40",
        "PLENUM_LIMITS_CONNECTIONS_PER_ADDRESS=20",
    ]);
    let alice = join(&at, "Alice");
    let (opened, _reading) = events(&at, &alice);
    assert_eq!(opened.status, 200);
    // Idle connections without a word of TLS hold places until their time is over.
    let silent = |count: usize| -> Vec<TcpStream> {
        (0..count).filter_map(|_| TcpStream::connect(("127.0.0.1", at.port())).ok()).collect()
    };
    let mut idle = silent(30);
    assert!(exchange(&at, "GET", "/health", &[], "").refused(503).contains("20 connections from one address"));
    idle.extend(silent(1_000));
    let beyond = at.get("/health");
    assert!(beyond.as_ref().is_none_or(|(status, _)| *status == 503), "nobody is told any more: {beyond:?}");
    drop(idle);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while at.get("/health").is_none_or(|(status, _)| status != 200) {
        assert!(std::time::Instant::now() < end, "places are given back");
        crate::appliance::pause();
    }
    act(&at, &alice, "message", json!({"payload": "hello"})).result();
}

#[test]
fn hostile_clients_get_a_clear_answer_or_none_and_disturb_nobody() {
    let at = Appliance::start(&["--shards", "1"]);
    let alice = join(&at, "Alice");
    let (_, mut reading) = events(&at, &alice);
    // No TLS, half of it, and plain HTTP at the TLS port.
    for bytes in
        [&[0xff; 2_000][..], &[22, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xff], b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", &[]]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", at.port())).expect("accepted");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    // A way out of the page's folder: there is no folder.
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2fplenum.db",
        "//etc/passwd",
        "/page/../plenum.db",
        "/style.css%00.html",
        "/app.js/../../plenum.db",
    ] {
        let answer = exchange(&at, "GET", path, &[], "");
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("root:") && !answer.body.contains("SQLite"));
    }
    let long = "y".repeat(100_000);
    assert_eq!(exchange(&at, "GET", "/health", &[("x", &long)], "").status, 431);
    assert!((400..=431).contains(&exchange(&at, "GET", &format!("/{long}"), &[], "").status));
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let asked = |body: &str| exchange(&at, "POST", "/api/services/1061/message", &[("token", &alice.token)], body);
    assert!(asked(&format!("{{\"payload\":{deep}}}")).refused(400).contains("JSON"));
    asked(&"{\"a\":".repeat(20_000)).refused(400);
    assert_eq!(exchange(&at, "BREW", "/api/services/1061/message", &[], "").status, 405);
    // Alice's stream is still open, and tells what she says now.
    act(&at, &alice, "message", json!({"payload": "still here"})).result();
    let mut heard = String::new();
    let mut chunk = [0; 4096];
    while !heard.contains("still here") {
        let n = reading.read(&mut chunk).expect("an event");
        assert!(n > 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    assert_eq!(at.get("/health").map(|(status, _)| status), Some(200));
}
