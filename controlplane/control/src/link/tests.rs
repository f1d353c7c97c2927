//! The link against media planes of our own making: in this process over its socket, and as a process that can be killed.

use super::*;
use plenum_contract::event::{Limits, ShardInfo};
use plenum_contract::frame::{self, Reader};
use plenum_contract::snapshot::LegState;
use plenum_contract::{ConferenceKey, Event, LegEnd, LegKey, Message, OLDEST_VERSION, ParticipantKey, VERSION};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener as StdListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(what: &str, f: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, f).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

fn hello(boot: u128) -> Hello {
    Hello {
        version: VERSION,
        boot,
        fingerprints: Vec::new(),
        shards: vec![ShardInfo {
            udp: vec!["10.0.0.5:40000".parse().unwrap(), "[2001:db8::5]:40000".parse().unwrap()],
            tcp: vec!["10.0.0.5:40000".parse().unwrap()],
            back_end: "mmsg".into(),
        }],
        limits: Limits { sessions_per_shard: 10, media_per_session: 10, max_bitrate: 1_000_000 },
    }
}

/// Media's end of one connection.
struct Media {
    stream: UnixStream,
    reader: Reader,
}

impl Media {
    async fn accept(listener: &UnixListener) -> Media {
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        Media { stream, reader: Reader::default() }
    }

    /// Accepts, and answers hello and the request for a snapshot.
    async fn greet(listener: &UnixListener, boot: u128, before: &[Event], parts: &[Snapshot]) -> Media {
        let mut media = Media::accept(listener).await;
        assert_eq!(media.command().await, Command::Hello { version: VERSION });
        assert!(matches!(media.command().await, Command::Log { .. }));
        media.say(&Message::Hello(hello(boot))).await;
        for event in before {
            media.say(&Message::Event(event.clone())).await;
        }
        assert_eq!(media.command().await, Command::Snapshot);
        for part in parts {
            media.say(&Message::Snapshot(part.clone())).await;
        }
        media
    }

    async fn say(&mut self, message: &Message) {
        let mut out = Vec::new();
        frame::write(message, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    async fn command(&mut self) -> Command {
        let mut chunk = [0; 4096];
        loop {
            if let Some(command) = self.reader.next().unwrap() {
                return command;
            }
            let n = soon("a command", self.stream.read(&mut chunk)).await.unwrap();
            assert!(n > 0, "the link closed");
            self.reader.push(&chunk[..n]);
        }
    }
}

struct World {
    data: tempfile::TempDir,
    listener: UnixListener,
}

impl World {
    fn new() -> World {
        let data = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket_path(data.path())).unwrap();
        World { data, listener }
    }

    fn start(&self) -> (MediaLink, mpsc::Receiver<LinkEvent>, LinkTask) {
        let advertised = vec![("10.0.0.5".parse().unwrap(), "203.0.113.9".parse().unwrap())];
        start(LinkConfig { data: self.data.path().to_owned(), process: None, advertised })
    }
}

fn snapshot(last_event: u64) -> Snapshot {
    Snapshot { last_event, last: true, ..Snapshot::default() }
}

fn silent(number: u64) -> Event {
    Event { number, durable: false, body: EventBody::LegSilent { leg: LegKey(number) } }
}

fn ended(number: u64) -> Event {
    let body = EventBody::LegEnded { leg: LegKey(number), reason: LegEnd::PeerClosed };
    Event { number, durable: true, body }
}

async fn next(events: &mut mpsc::Receiver<LinkEvent>) -> LinkEvent {
    soon("an event", events.recv()).await.expect("the link lives")
}

async fn next_up(events: &mut mpsc::Receiver<LinkEvent>) -> (Hello, bool, Snapshot) {
    loop {
        match next(events).await {
            LinkEvent::Up { hello, same_boot, snapshot } => return (hello, same_boot, snapshot),
            // On a machine that is busy, a media plane that has just begun may be given up once before it answers.
            LinkEvent::Down => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The number that [`silent`] and [`ended`] gave.
async fn next_number(events: &mut mpsc::Receiver<LinkEvent>) -> u64 {
    match next(events).await {
        LinkEvent::Event(EventBody::LegSilent { leg } | EventBody::LegEnded { leg, .. }) => leg.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_driver_gets_one_snapshot_of_all_parts_and_advertised_addresses() {
    let world = World::new();
    let (_link, mut events, _task) = world.start();
    let leg = LegState {
        key: LegKey(1),
        revision: 2,
        participant: ParticipantKey(3),
        connected: true,
        started: true,
        bindings: Vec::new(),
    };
    let parts = [
        Snapshot { last_event: 4, conferences: vec![(ConferenceKey(1), 1)], ..Snapshot::default() },
        Snapshot { last_event: 4, last: true, legs: vec![leg.clone()], ..Snapshot::default() },
    ];
    let _media = Media::greet(&world.listener, 77, &[], &parts).await;
    let (hello, same_boot, snapshot) = next_up(&mut events).await;
    assert!(!same_boot);
    assert_eq!((snapshot.conferences.len(), snapshot.legs), (1, vec![leg]));
    let public: Vec<String> = hello.shards[0].udp.iter().chain(&hello.shards[0].tcp).map(ToString::to_string).collect();
    assert_eq!(public, ["203.0.113.9:40000", "[2001:db8::5]:40000", "203.0.113.9:40000"]);
}

#[tokio::test]
async fn events_follow_the_snapshot_in_order_and_what_it_contains_is_left_out_unless_durable() {
    let world = World::new();
    let (_link, mut events, _task) = world.start();
    let before = [ended(2), silent(3), silent(4)];
    let mut media = Media::greet(&world.listener, 1, &before, &[snapshot(3)]).await;
    media.say(&Message::Event(silent(5))).await;
    next_up(&mut events).await;
    for expected in [2, 4, 5] {
        assert_eq!(next_number(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_and_durable_events_that_come_again_are_not() {
    let world = World::new();
    let (_link, mut events, _task) = world.start();
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    media.say(&Message::Event(ended(1))).await;
    next_up(&mut events).await;
    assert_eq!(next_number(&mut events).await, 1);
    drop(media);
    assert!(matches!(next(&mut events).await, LinkEvent::Down));
    let _media = Media::greet(&world.listener, 1, &[ended(1), ended(2)], &[snapshot(2)]).await;
    assert!(next_up(&mut events).await.1, "the same boot");
    assert_eq!(next_number(&mut events).await, 2);
}

#[tokio::test]
async fn another_boot_is_recognised_even_by_the_next_control_plane() {
    let world = World::new();
    let (_link, mut events, task) = world.start();
    let media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    assert!(!next_up(&mut events).await.1, "nothing was known before");
    drop(media);
    assert!(matches!(next(&mut events).await, LinkEvent::Down));
    // A round trip after Up: by then the boot id is written.
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    media.say(&Message::Event(silent(1))).await;
    assert!(next_up(&mut events).await.1);
    assert_eq!(next_number(&mut events).await, 1);
    task.join.abort();
    drop((events, media));

    let (_link, mut events, _task) = world.start();
    let media = Media::greet(&world.listener, 1, &[ended(1)], &[snapshot(1)]).await;
    assert!(next_up(&mut events).await.1, "media survived control");
    assert_eq!(next_number(&mut events).await, 1, "a new driver hears durable events again");
    drop(media);
    assert!(matches!(next(&mut events).await, LinkEvent::Down));
    let _media = Media::greet(&world.listener, 2, &[ended(1)], &[snapshot(1)]).await;
    assert!(!next_up(&mut events).await.1, "media died");
    assert_eq!(next_number(&mut events).await, 1, "numbers of another boot begin anew");
}

#[tokio::test]
async fn commands_from_before_the_connection_are_dropped_and_later_ones_go_in_order() {
    let world = World::new();
    let (link, mut events, _task) = world.start();
    link.send(Command::Start(LegKey(99)));
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
    for leg in 0..100 {
        link.send(Command::Start(LegKey(leg)));
    }
    for leg in 0..100 {
        assert_eq!(media.command().await, Command::Start(LegKey(leg)));
    }
}

#[tokio::test]
async fn after_a_resync_the_driver_gets_a_snapshot_of_the_same_boot() {
    let world = World::new();
    let (_link, mut events, _task) = world.start();
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
    media.say(&Message::Event(silent(1))).await;
    media.say(&Message::Resync { dropped: 5 }).await;
    assert_eq!(media.command().await, Command::Snapshot);
    media.say(&Message::Snapshot(snapshot(7))).await;
    media.say(&Message::Event(silent(8))).await;
    assert_eq!(next_number(&mut events).await, 1);
    let (_, same_boot, snapshot) = next_up(&mut events).await;
    assert!(same_boot);
    assert_eq!(snapshot.last_event, 7);
    assert_eq!(next_number(&mut events).await, 8);
}

#[tokio::test]
async fn durable_events_are_acknowledged_once_the_driver_has_had_them_for_a_tick() {
    let world = World::new();
    let (link, mut events, _task) = world.start();
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
    media.say(&Message::Event(ended(1))).await;
    // The driver has not taken the event: these metrics acknowledge nothing.
    media.say(&Message::Metrics(Metrics::default())).await;
    while !matches!(next(&mut events).await, LinkEvent::Metrics(_)) {}
    media.say(&Message::Metrics(Metrics::default())).await;
    assert!(matches!(next(&mut events).await, LinkEvent::Metrics(_)));
    link.send(Command::Start(LegKey(1)));
    assert_eq!(media.command().await, Command::Start(LegKey(1)), "noted, not yet acknowledged");
    media.say(&Message::Metrics(Metrics::default())).await;
    assert_eq!(media.command().await, Command::Acknowledge { up_to: 1 });
}

#[tokio::test]
async fn a_media_plane_of_another_version_is_of_no_use_and_the_link_goes_on_trying() {
    let world = World::new();
    let (_link, mut events, _task) = world.start();
    for bad in [VERSION + 1, OLDEST_VERSION - 1] {
        let mut media = Media::accept(&world.listener).await;
        media.command().await;
        media.say(&Message::Hello(Hello { version: bad, ..hello(1) })).await;
        assert!(matches!(next(&mut events).await, LinkEvent::Down));
    }
    let _media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
}

#[tokio::test]
async fn stopping_asks_media_to_finish_after_all_that_was_sent() {
    let world = World::new();
    let (_link, mut events, task) = world.start();
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
    let media = async {
        assert_eq!(media.command().await, Command::Shutdown);
        drop(media);
    };
    soon("the end", async { tokio::join!(task.stop(), media) }).await;
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_driver_that_ends_first_does_not_keep_media_from_finishing() {
    let world = World::new();
    let (link, mut events, task) = world.start();
    let mut media = Media::greet(&world.listener, 1, &[], &[snapshot(0)]).await;
    next_up(&mut events).await;
    drop((link, events));
    let media = async {
        assert_eq!(media.command().await, Command::Shutdown);
        drop(media);
    };
    soon("the end", async { tokio::join!(task.stop(), media) }).await;
}

/// Not a test by itself: the tests below run this program again with this name and a socket's path, as media.
#[test]
fn acts_as_media() {
    let Some(socket) = std::env::args().find(|a| a.ends_with("media.sock")) else { return };
    let listener = StdListener::bind(&socket).unwrap();
    let boot = u128::from(std::process::id());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (mut reader, mut chunk) = (Reader::default(), [0; 4096]);
        'connection: loop {
            while let Some(command) = reader.next::<Command>().unwrap() {
                let answer = match command {
                    Command::Hello { .. } => Message::Hello(hello(boot)),
                    Command::Snapshot => Message::Snapshot(snapshot(0)),
                    Command::Shutdown => return,
                    _ => continue,
                };
                let mut out = Vec::new();
                frame::write(&answer, &mut out).unwrap();
                stream.write_all(&out).unwrap();
            }
            match stream.read(&mut chunk) {
                Ok(n) if n > 0 => reader.push(&chunk[..n]),
                _ => break 'connection,
            }
        }
    }
}

fn supervised(data: &Path) -> LinkConfig {
    let args = ["link::tests::acts_as_media", "--exact", "--nocapture"].map(Into::into);
    let args = args.into_iter().chain([socket_path(data).into()]).collect();
    let process = MediaProcess { binary: std::env::current_exe().unwrap(), args };
    LinkConfig { data: data.to_owned(), process: Some(process), advertised: Vec::new() }
}

fn pid_of(hello: &Hello) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(hello.boot).unwrap()).unwrap()
}

#[tokio::test]
async fn a_killed_media_plane_is_started_again_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (_link, mut events, task) = start(supervised(data.path()));
    let (first, _, _) = next_up(&mut events).await;
    rustix::process::kill_process(pid_of(&first), rustix::process::Signal::KILL).unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Down));
    let (second, same_boot, _) = next_up(&mut events).await;
    assert!(!same_boot && second.boot != first.boot);
    soon("the end", task.stop()).await;
    assert!(rustix::process::test_kill_process(pid_of(&second)).is_err(), "nothing is left behind");
}

#[tokio::test]
async fn a_media_plane_that_survived_its_control_plane_is_taken_up_again_and_can_be_ended() {
    let data = tempfile::tempdir().unwrap();
    let (link, mut events, task) = start(supervised(data.path()));
    let (first, _, _) = next_up(&mut events).await;
    // As a kill would: no goodbye.
    task.join.abort();
    assert!(task.join.await.is_err());
    drop((link, events));

    let (_link, mut events, task) = start(supervised(data.path()));
    let (again, _, _) = next_up(&mut events).await;
    assert_eq!(again.boot, first.boot, "not a second one");
    soon("the end", task.stop()).await;
    let lock = std::fs::File::open(data.path().join("media.lock")).unwrap();
    assert!(lock.try_lock().is_ok(), "it is gone");
}

#[tokio::test]
async fn a_stale_socket_of_a_dead_media_plane_does_not_hinder_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    drop(StdListener::bind(socket_path(data.path())).unwrap());
    let (_link, mut events, task) = start(supervised(data.path()));
    next_up(&mut events).await;
    soon("the end", task.stop()).await;
}
