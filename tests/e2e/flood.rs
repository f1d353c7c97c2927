//! A hundred thousand `new_session` from one address: refused in words, memory bounded, and a meeting goes on.

use crate::appliance::{Appliance, tls_over};
use crate::client::{act, events, join, try_join};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

const FLOOD: usize = 100_000;
const CONNECTIONS: usize = 4;
/// Requests on their way on one connection.
const AT_ONCE: usize = 100;
/// What the control plane may grow by, in KiB: a session of every request would be some ten times that.
const GROWTH: u64 = 64 << 10;

/// A connection from another address of this machine: limits are for each address.
fn connect(at: &Appliance) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), 0)).into()).expect("all of 127/8 is this machine");
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, at.port())).into()).expect("accepted");
    socket.into()
}

/// Sends `count` joins on one connection; how many were answered with which status.
fn flood(at: &Appliance, count: usize) -> Vec<(u16, usize)> {
    let mut stream = tls_over(connect(at)).expect("TLS");
    let body = json!({"display_name": "Flood", "hideme": "no"}).to_string();
    let one = format!(
        "POST /api/services/1061/new_session HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let many = one.repeat(AT_ONCE);
    let mut counts: Vec<(u16, usize)> = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    for _ in 0..count / AT_ONCE {
        stream.write_all(many.as_bytes()).expect("requests are taken");
        let (mut answered, mut text) = (0, String::new());
        while answered < AT_ONCE {
            let n = stream.read(&mut chunk).expect("an answer");
            assert!(n > 0, "the connection is kept");
            text.push_str(&String::from_utf8_lossy(&chunk[..n]));
            // A status line is looked at only when it is whole.
            while let Some(begin) = text.find("HTTP/1.1 ").filter(|begin| text.len() >= begin + 12) {
                let status = text[begin + 9..begin + 12].parse().expect("a status");
                match counts.iter_mut().find(|(known, _)| *known == status) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((status, 1)),
                }
                answered += 1;
                text.drain(..begin + 12);
            }
        }
    }
    counts
}

/// Resident memory of the control plane in KiB.
fn resident(at: &Appliance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", at.control_pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn a_hundred_thousand_joins_from_one_address_are_refused_in_words_and_a_meeting_goes_on() {
    let at = Appliance::start(&["--shards", "1", "PLENUM_LIMITS_PARTICIPANTS_PER_CONFERENCE=50"]);
    let mut alice = join(&at, "Alice");
    let (_, mut reading) = events(&at, &alice);
    let before = resident(&at);
    let counts: Vec<(u16, usize)> = std::thread::scope(|scope| {
        let floods: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| flood(&at, FLOOD / CONNECTIONS))).collect();
        // Meanwhile she acts, and her token is refreshed.
        for n in 0..20 {
            act(&at, &alice, "message", json!({"payload": format!("meanwhile {n}")})).result();
            let fresh = act(&at, &alice, "refresh_session", json!({})).result();
            alice.token = fresh["token"].as_str().expect("a token").to_owned();
        }
        floods.into_iter().flat_map(|flood| flood.join().expect("answered")).collect()
    });
    let of = |status: u16| counts.iter().filter(|(s, _)| *s == status).map(|(_, count)| count).sum::<usize>();
    assert_eq!(of(200) + of(429) + of(503), FLOOD, "{counts:?}");
    assert!(of(200) < 50, "no more than there is room for: {counts:?}");
    let grown = resident(&at).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} KiB for {FLOOD} refused requests");
    let mut heard = String::new();
    let mut chunk = [0; 4096];
    while !heard.contains("meanwhile 19") {
        let n = reading.read(&mut chunk).expect("an event");
        assert!(n > 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    // Who comes from elsewhere is let in as far as there is room; here the conference is full by now, in words.
    let late = try_join(&at, "Late");
    assert!(late.status == 200 || late.refused(503).contains("full"), "{}", late.body);
}
