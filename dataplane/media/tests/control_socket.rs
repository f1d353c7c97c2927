//! The program's control socket, spoken to as the control plane does: greeting, versions, snapshot, refusals, the end.

use plenum_contract::frame::{self, Reader};
use plenum_contract::spec::{IceSpec, local_ufrag};
use plenum_contract::{
    Command, ConferenceKey, ConferenceSpec, LegKey, LogLevel, LogLine, Message, ParticipantKey, ParticipantSpec,
    SessionSpec, VERSION,
};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program, in a folder of its own.
struct Media {
    child: Child,
    folder: PathBuf,
}

impl Media {
    fn start(name: &str, io: &str) -> Media {
        let folder = std::env::temp_dir().join(format!("plenum-media-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let child = Process::new(env!("CARGO_BIN_EXE_plenum-media"))
            .args(["--ip", "127.0.0.1", "--port-base", "0", "--shards", "1", "--slots", "1024", "--pin", "false"])
            .args(["--io", io, "--socket"])
            .arg(folder.join("media.sock"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Media { child, folder }
    }

    fn connect(&self) -> Control {
        let end = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(self.folder.join("media.sock")) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return Control { stream, reader: Reader::default() };
                }
                Err(e) => assert!(Instant::now() < end, "the socket does not open: {e}"),
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Control {
    stream: UnixStream,
    reader: Reader,
}

impl Control {
    fn send(&mut self, command: &Command) {
        let mut bytes = Vec::new();
        frame::write(command, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next message that is no counter report; `None` at the end of the stream.
    fn next(&mut self) -> Option<Message> {
        loop {
            match self.reader.next::<Message>().unwrap() {
                Some(Message::Metrics(_)) => {}
                Some(message) => return Some(message),
                None => {
                    let mut chunk = [0; 4096];
                    match self.stream.read(&mut chunk).unwrap() {
                        0 => return None,
                        n => self.reader.push(&chunk[..n]),
                    }
                }
            }
        }
    }

    fn greet(&mut self) -> plenum_contract::event::Hello {
        self.send(&Command::Hello { version: VERSION });
        match self.next() {
            Some(Message::Hello(hello)) => hello,
            other => panic!("expected a greeting, got {other:?}"),
        }
    }
}

fn conference() -> ConferenceSpec {
    ConferenceSpec {
        key: ConferenceKey(1),
        revision: 1,
        presenter: None,
        pinned: Vec::new(),
        last_n: 64,
        home_shard: 0,
    }
}

fn participant() -> ParticipantSpec {
    ParticipantSpec {
        key: ParticipantKey(2),
        conference: ConferenceKey(1),
        revision: 1,
        audio_blocked: false,
        video_blocked: false,
        presentation_denied: false,
        waiting: false,
    }
}

fn session(shard: u16) -> SessionSpec {
    SessionSpec {
        key: LegKey(3),
        revision: 1,
        participant: ParticipantKey(2),
        shard,
        ice: IceSpec {
            local_ufrag: local_ufrag(shard, LegKey(3), "abcdefgh"),
            local_pwd: "0123456789abcdefghijklmn".into(),
            remote_ufrag: "wxyz".into(),
            remote_pwd: "zyxwvutsrqponmlkjihgfedc".into(),
        },
        fingerprints: Vec::new(),
        media: Vec::new(),
        max_bitrate: None,
        cname: "plenum".into(),
        bindings: Vec::new(),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn control_greets_builds_a_conference_and_finds_it_again_after_it_was_away() {
    for io in ["mmsg", "auto"] {
        let media = Media::start(&format!("story-{io}"), io);
        let mut control = media.connect();
        assert_eq!(mode(&media.folder.join("media.sock")), 0o600);
        let hello = control.greet();
        assert_eq!(hello.version, VERSION);
        assert!(hello.shards[0].udp[0].ip().is_loopback());
        for command in
            [Command::Conference(conference()), Command::Participant(participant()), Command::Session(session(0))]
        {
            control.send(&command);
        }
        drop(control);

        let mut back = media.connect();
        assert_eq!(back.greet().boot, hello.boot);
        back.send(&Command::Snapshot);
        let Some(Message::Snapshot(snapshot)) = back.next() else { panic!("expected a snapshot") };
        assert!(snapshot.last);
        assert_eq!(snapshot.conferences, [(ConferenceKey(1), 1)]);
        assert_eq!(snapshot.participants, [(ParticipantKey(2), ConferenceKey(1), 1)]);
        assert_eq!(snapshot.legs.iter().map(|l| (l.key, l.connected)).collect::<Vec<_>>(), [(LegKey(3), false)]);
        back.send(&Command::RemoveConference(ConferenceKey(1)));
        let ended = std::iter::from_fn(|| back.next()).find(|m| matches!(m, Message::Event(e) if e.durable));
        assert!(ended.is_some(), "the end of the leg is told");
    }
}

#[test]
fn a_version_that_is_not_spoken_is_refused_and_so_is_a_shard_that_is_not_there() {
    let mut media = Media::start("refusals", "mmsg");
    let mut control = media.connect();
    control.send(&Command::Hello { version: VERSION + 1 });
    assert!(matches!(control.next(), Some(Message::Refused { index: 0, .. })));
    control.greet();
    control.send(&Command::Session(session(7)));
    assert!(
        matches!(control.next(), Some(Message::Refused { index: 2, reason, leg: Some(_) }) if reason.contains("shard 7"))
    );
    control.send(&Command::Session(session(0)));
    let Some(Message::Refused { reason, leg, .. }) = control.next() else { panic!("expected a refusal") };
    assert!(reason.contains("participant 2 is unknown"), "{reason}");
    assert_eq!(leg, Some(session(0).key), "control can tell the client");
    control.send(&Command::Start(LegKey(9)));
    assert!(matches!(control.next(), Some(Message::Refused { leg: None, .. })), "no session was refused");
    control.send(&Command::Shutdown);
    assert!(media.child.wait().unwrap().success());
}

#[test]
fn a_durable_event_is_told_again_until_it_is_acknowledged() {
    let media = Media::start("durable", "mmsg");
    let mut control = media.connect();
    control.greet();
    for command in [
        Command::Conference(conference()),
        Command::Participant(participant()),
        Command::Session(session(0)),
        Command::RemoveSession(LegKey(3)),
    ] {
        control.send(&command);
    }
    let Some(Message::Event(ended)) = control.next() else { panic!("expected the end of the leg") };
    drop(control);

    let mut back = media.connect();
    back.greet();
    assert_eq!(back.next(), Some(Message::Event(ended.clone())));
    back.send(&Command::Acknowledge { up_to: ended.number });
    back.send(&Command::Snapshot);
    assert!(matches!(back.next(), Some(Message::Snapshot(s)) if s.legs.is_empty()));
    drop(back);

    let mut third = media.connect();
    third.greet();
    third.send(&Command::Snapshot);
    assert!(matches!(third.next(), Some(Message::Snapshot(_))), "nothing is told again");
}

#[test]
fn garbage_on_the_socket_closes_the_connection_and_nothing_else() {
    let media = Media::start("garbage", "mmsg");
    let mut control = media.connect();
    control.stream.write_all(&[0xff; 64]).unwrap();
    assert!(matches!(control.next(), None | Some(Message::Refused { .. })));
    media.connect().greet();
}

/// Reads messages until a log line whose text contains `text`.
fn line(control: &mut Control, text: &str) -> LogLine {
    std::iter::from_fn(|| control.next())
        .find_map(|message| match message {
            Message::Log(line) if line.text.contains(text) => Some(line),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no line says {text:?}"))
}

#[test]
fn lines_of_the_log_go_to_the_control_plane_that_asked_and_to_the_next_one() {
    let media = Media::start("log", "mmsg");
    let mut control = media.connect();
    control.greet();
    control.send(&Command::Log { level: "loud".into() });
    assert!(matches!(control.next(), Some(Message::Refused { index: 1, .. })), "and no line before it was asked for");
    control.send(&Command::Log { level: "debug".into() });
    assert_eq!(line(&mut control, "packet slots").level, LogLevel::Info);
    assert_eq!(line(&mut control, "receives at udp").shard, Some(0));
    for command in
        [Command::Conference(conference()), Command::Participant(participant()), Command::Session(session(0))]
    {
        control.send(&command);
    }
    assert_eq!(line(&mut control, "revision 1 of a session").leg, Some(LegKey(3)));
    drop(control);

    let mut back = media.connect();
    back.greet();
    back.send(&Command::Start(LegKey(3)));
    back.send(&Command::Start(LegKey(4)));
    back.send(&Command::Log { level: "info".into() });
    assert_eq!(line(&mut back, "control is gone").level, LogLevel::Info);
    assert_eq!(line(&mut back, "media may flow").leg, Some(LegKey(3)), "written before it became quieter");
    let refused = line(&mut back, "refused: leg 4 is unknown");
    assert_eq!((refused.leg, refused.level), (Some(LegKey(4)), LogLevel::Debug));
    back.send(&Command::Start(LegKey(3)));
    back.send(&Command::Snapshot);
    let rest = std::iter::from_fn(|| back.next()).find(|m| matches!(m, Message::Log(_) | Message::Snapshot(_)));
    assert!(matches!(rest, Some(Message::Snapshot(_))), "debug lines are not made any more: {rest:?}");
}
