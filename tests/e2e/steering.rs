//! `kill -9` of the control plane in the middle of steering and chat: what was answered with success is there afterwards, event
//! streams of both kinds continue from their last id, and every message that was answered is told once to each. Actions and
//! kills are random with a fixed seed.

use crate::appliance::{Appliance, kill, pause, tls_connect};
use crate::client::{Person, attempt_post, exchange, person, post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;

const ROOMS: [&str; 2] = ["1061", "2000"];
const KILLS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// Layouts that hosts are given; guests' stays as it is.
const LAYOUTS: [&str; 4] = ["1:0", "4:0", "1:7", "2:21"];

/// xorshift64*: any fixed seed does.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// What a stream told; shared by its thread and the story.
#[derive(Default)]
struct Told {
    chats: Vec<String>,
    syncs: usize,
    last_id: Option<String>,
}

/// A client that follows a conference and comes back whenever its stream ends.
#[derive(Default)]
struct Follower {
    told: Mutex<Told>,
    /// Stay away for now.
    away: AtomicBool,
    stop: AtomicBool,
}

impl Follower {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> bool {
        self.away.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst)
    }

    fn hear(&self, name: &str, data: &Value, id: Option<&str>) {
        let mut told = self.told();
        match name {
            "participant_sync_begin" => told.syncs += 1,
            "message" => told.chats.push(data["payload"].as_str().expect("text").into()),
            _ => {}
        }
        if let Some(id) = id {
            told.last_id = Some(id.into());
        }
    }

    fn run(&self, at: &Port, token: &str, follow: fn(&Follower, &Port, &str, Option<String>) -> Option<()>) {
        while !self.stop.load(Ordering::SeqCst) {
            if !self.away.load(Ordering::SeqCst) {
                let last = self.told().last_id.clone();
                let _ = follow(self, at, token, last);
            }
            pause();
        }
    }

    /// Waits until `what` holds of what was told.
    fn until(&self, why: &str, what: impl Fn(&Told) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !what(&self.told()) {
            assert!(Instant::now() < end, "a stream does not go on: {why}");
            pause();
        }
    }
}

/// Where the appliance is: it stays there when it is started again.
struct Port(u16);

/// `None` = the stream ended or broke.
fn server_sent(follower: &Follower, at: &Port, token: &str, last: Option<String>) -> Option<()> {
    let mut stream = tls_connect(at.0)?;
    stream.sock.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    let path = format!("/api/services/{}/events?token={token}", ROOMS[0]);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{last}\r\n").ok()?;
    let mut text = String::new();
    let mut chunk = [0; 16_384];
    while !follower.rests() {
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(n) => text.push_str(&String::from_utf8_lossy(&chunk[..n])),
            Err(error) if quiet(&error) => continue,
            Err(_) => return None,
        }
        while let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                follower.hear(name, &serde_json::from_str(data).expect("JSON"), field("id:"));
            }
            text = rest.to_owned();
        }
    }
    Some(())
}

fn quiet(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn web_socket(follower: &Follower, at: &Port, token: &str, last: Option<String>) -> Option<()> {
    let stream = tls_connect(at.0)?;
    let last = last.map(|id| format!("&last_event_id={id}")).unwrap_or_default();
    let url = format!("wss://127.0.0.1:{}/wapi/services/{}/wsevents?token={token}{last}", at.0, ROOMS[0]);
    let (mut socket, _) = tungstenite::client(url.into_client_request().ok()?, stream).ok()?;
    socket.get_ref().sock.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    while !follower.rests() {
        match socket.read() {
            Ok(message) if message.is_text() => {
                let event: Value = serde_json::from_str(message.to_text().ok()?).expect("JSON");
                let name = event["_eventName"].as_str().expect("a name");
                follower.hear(name, &event["data"], event["_eventId"].as_str());
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if quiet(&error) => {}
            Err(_) => return None,
        }
    }
    Some(())
}

/// What was answered with success, and so must be there. What a request left open that was never answered is not in it.
#[derive(Default)]
struct Answered {
    /// By place.
    conferences: [BTreeMap<&'static str, Value>; 2],
    /// By person.
    people: Vec<BTreeMap<&'static str, Value>>,
    places: Vec<Option<usize>>,
}

/// The story's world: a host in each conference, and people to whom things happen.
struct World {
    hosts: [Person; 2],
    people: Vec<Person>,
    random: Random,
    answered: Answered,
    /// Messages that were answered, and so must be heard.
    said: Vec<String>,
    messages: usize,
}

fn enter(at: &Appliance, room: &str, name: &str) -> Person {
    person(&post(at, &format!("/api/services/{room}/new_session"), None, json!({"display_name": name})))
}

impl World {
    fn new(at: &Appliance) -> World {
        let people: Vec<Person> = ["A", "B", "C"].iter().map(|name| enter(at, ROOMS[0], name)).collect();
        let answered = Answered {
            people: vec![BTreeMap::new(); people.len()],
            places: vec![Some(0); people.len()],
            ..Answered::default()
        };
        let hosts = [enter(at, ROOMS[0], "H"), enter(at, ROOMS[1], "K")];
        World { hosts, people, random: Random(20_260_101), answered, said: Vec::new(), messages: 0 }
    }

    fn ask(&self, at: &Appliance, place: usize, path: &str, body: Value) -> Option<Value> {
        attempt_post(at, &format!("/api/services/{}/{path}", ROOMS[place]), &self.hosts[place].token, &body)
    }

    /// One action; `false` = it was not answered, so nobody knows whether it was done.
    fn act(&mut self, at: &Appliance) -> bool {
        match self.random.below(10) {
            0..6 => self.act_on_somebody(at),
            6 => self.say(at),
            _ => self.act_on_a_conference(at),
        }
    }

    fn act_on_somebody(&mut self, at: &Appliance) -> bool {
        let who = self.random.below(self.people.len());
        let Some(place) = self.answered.places[who] else { return true };
        let on = self.random.below(2) == 1;
        let yes = |on: bool| json!(if on { "YES" } else { "NO" });
        let (name, body, field, value) = match self.random.below(6) {
            0 => (if on { "mute" } else { "unmute" }, json!({}), "is_muted", yes(on)),
            1 => (if on { "hard_vmute" } else { "hard_uvmute" }, json!({}), "is_video_muted", json!(on)),
            2 => (if on { "spotlighton" } else { "spotlightoff" }, json!({}), "spotlight", json!(on)),
            3 => {
                let text = format!("Text {}", self.random.below(1_000));
                ("overlaytext", json!({"text": text}), "overlay_text", json!(text))
            }
            4 => {
                let policy = if on { "ALLOW" } else { "DENY" };
                let name = if on { "allowrxpresentation" } else { "denyrxpresentation" };
                (name, json!({}), "rx_presentation_policy", json!(policy))
            }
            _ => return self.transfer(at, who, place),
        };
        let path = format!("participants/{}/{name}", self.people[who].uuid);
        let done = self.ask(at, place, &path, body).is_some();
        let known = &mut self.answered.people[who];
        if done {
            known.insert(field, value)
        } else {
            known.remove(field)
        };
        done
    }

    fn transfer(&mut self, at: &Appliance, who: usize, place: usize) -> bool {
        let path = format!("participants/{}/transfer", self.people[who].uuid);
        let done = self.ask(at, place, &path, json!({"conference_alias": ROOMS[1 - place]})).is_some();
        // What somebody brings along is another story.
        self.answered.people[who].clear();
        self.answered.places[who] = done.then_some(1 - place);
        done
    }

    fn act_on_a_conference(&mut self, at: &Appliance) -> bool {
        let (place, on) = (self.random.below(2), self.random.below(2) == 1);
        let (name, body, field, value) = match self.random.below(3) {
            0 => (if on { "lock" } else { "unlock" }, json!({}), "locked", json!(on)),
            1 => (if on { "muteguests" } else { "unmuteguests" }, json!({}), "guests_muted", json!(on)),
            _ => {
                let layout = LAYOUTS[self.random.below(LAYOUTS.len())];
                ("override_layout", layouts("hosts", layout), "layout", json!(layout))
            }
        };
        let done = self.ask(at, place, name, body).is_some();
        let known = &mut self.answered.conferences[place];
        if done {
            known.insert(field, value)
        } else {
            known.remove(field)
        };
        done
    }

    fn say(&mut self, at: &Appliance) -> bool {
        let payload = format!("said {}", self.messages);
        self.messages += 1;
        let done = self.ask(at, 0, "message", json!({"payload": payload})).is_some();
        if done {
            self.said.push(payload);
        }
        done
    }

    /// Whether all that was said is heard.
    fn heard(&self, told: &Told) -> bool {
        self.said.iter().all(|said| told.chats.contains(said))
    }

    /// Everything that was answered is so.
    fn check(&mut self, at: &Appliance) {
        let mut seen = BTreeMap::new();
        for (place, room) in ROOMS.iter().enumerate() {
            let token = [("token", self.hosts[place].token.as_str())];
            let get = |name| exchange(at, "GET", &format!("/api/services/{room}/{name}"), &token, "").result();
            let status = get("service_status");
            for (field, value) in &self.answered.conferences[place] {
                let is = if *field == "layout" { self.layout(at, place) } else { status[field].clone() };
                assert_eq!(is, *value, "{field} of {room}");
            }
            for one in get("participants").as_array().expect("a list") {
                seen.insert(one["uuid"].as_str().expect("a uuid").to_owned(), (place, one.clone()));
            }
        }
        for (who, known) in self.answered.people.iter().enumerate() {
            let (place, one) = seen.get(&self.people[who].uuid).expect("nobody is lost");
            assert!(self.answered.places[who].is_none_or(|known| known == *place), "{who} is in {place}");
            self.answered.places[who] = Some(*place);
            for (field, value) in known {
                let is = if *field == "spotlight" { json!(one[field] != 0) } else { one[field].clone() };
                assert_eq!(is, *value, "{field} of {who}");
            }
        }
    }

    /// The hosts' layout: the answer to a change of the guests' names both.
    fn layout(&self, at: &Appliance, place: usize) -> Value {
        let active = self.ask(at, place, "override_layout", layouts("", "1:7")).expect("answered");
        let hosts = active.as_array().expect("a list").iter().find(|entry| entry["audience"] == "hosts").cloned();
        hosts.map_or(Value::Null, |entry| entry["layout"].clone())
    }
}

fn layouts(audience: &str, layout: &str) -> Value {
    json!({"layouts": [{"audience": audience, "actors": [], "vad_backfill": true, "layout": layout, "plus_n": "auto",
        "actors_overlay_text": "auto"}]})
}

#[test]
fn mgmt_42_what_was_answered_survives_kills_in_the_middle_of_steering_and_streams_continue() {
    let mut at = Appliance::start(&["--shards", "1"]);
    at.create(&[ROOMS[1]]);
    let mut world = World::new(&at);
    let port = Port(at.port());
    let token = world.hosts[0].token.clone();
    let followers = [Follower::default(), Follower::default()];
    std::thread::scope(|scope| {
        let _ends = Ends(&followers);
        for (follower, follow) in followers.iter().zip([server_sent, web_socket]) {
            let (port, token) = (&port, &token);
            scope.spawn(move || follower.run(port, token, follow));
        }
        let all = || followers.iter();
        all().for_each(|f| f.until("it begins with everything", |told| told.last_id.is_some()));
        for round in 0..KILLS {
            for _ in 0..5 + world.random.below(15) {
                assert!(world.act(&at), "everything is answered while it runs");
                all().for_each(|f| f.until("what is said is told", |told| world.heard(told)));
            }
            world.check(&at);
            // Killed while actions, or messages, follow each other: the last one may be done or not.
            let (pid, delay) = (at.control_pid(), Duration::from_micros(world.random.below(60_000) as u64));
            let killer = std::thread::spawn(move || {
                std::thread::park_timeout(delay);
                kill(pid);
            });
            while if round % 2 == 0 { world.say(&at) } else { world.act(&at) } {}
            killer.join().expect("it is killed");
            at.kill_control_and_restart();
            world.check(&at);
            all().for_each(|f| f.until("what was said before the kill is told", |told| world.heard(told)));
        }
        // A stream that breaks off while the server runs goes on where it was.
        all().for_each(|f| f.away.store(true, Ordering::SeqCst));
        assert!(world.ask(&at, 0, "message", json!({"payload": "the last"})).is_some());
        all().for_each(|f| f.away.store(false, Ordering::SeqCst));
        let last = |told: &Told| told.chats.last().is_some_and(|chat| chat == "the last");
        all().for_each(|f| f.until("what was missed", last));
        for follower in all() {
            let told = follower.told();
            assert_eq!(told.syncs, 1, "it had the last id, and never began anew");
            let answered = |chat: &&String| world.said.contains(*chat);
            assert_eq!(told.chats.iter().filter(answered).collect::<Vec<_>>(), world.said.iter().collect::<Vec<_>>());
        }
        assert_eq!(followers[0].told().chats, followers[1].told().chats, "what was not answered: both or none");
    });
}

/// Ends the followers also when the story fails.
struct Ends<'a>(&'a [Follower]);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|follower| follower.stop.store(true, Ordering::SeqCst));
    }
}
