//! The control thread with shards that the test plays: snapshots, refusals, reports that were lost.

use super::*;
use plenum_contract::ConferenceKey;

#[test]
fn a_large_snapshot_goes_in_parts_and_loses_nothing() {
    let conferences: Vec<_> = (0..4_500).map(|i| (ConferenceKey(i), i)).collect();
    let whole = Snapshot { last_event: 9, conferences: conferences.clone(), ..Snapshot::default() };
    let parts = split(whole);
    assert_eq!(parts.iter().map(|p| p.last).collect::<Vec<_>>(), [false, false, true]);
    let joined: Vec<_> = parts.into_iter().flat_map(|p| p.conferences).collect();
    assert_eq!(joined, conferences);
}

#[test]
fn what_all_shards_have_is_told_once_with_its_oldest_revision() {
    use plenum_contract::ParticipantKey;
    let conference = |key, revision| (ConferenceKey(key), revision);
    let participant = |key, of, revision| (ParticipantKey(key), ConferenceKey(of), revision);
    let mut whole = Snapshot {
        conferences: vec![conference(2, 5), conference(1, 7), conference(2, 4), conference(1, 7)],
        participants: vec![participant(9, 2, 3), participant(8, 1, 1), participant(9, 1, 2)],
        ..Snapshot::default()
    };
    join(&mut whole);
    assert_eq!(whole.conferences, [conference(1, 7), conference(2, 4)]);
    assert_eq!(whole.participants, [participant(8, 1, 1), participant(9, 1, 2)]);
}

#[test]
fn an_empty_snapshot_is_one_last_part() {
    let parts = split(Snapshot::default());
    assert_eq!(parts.len(), 1);
    assert!(parts[0].last);
}

/// The control thread with two shards that the test plays, and the socket.
fn played(name: &str) -> (Control, Vec<crate::shards::ShardEnd>, std::path::PathBuf) {
    let path = std::env::temp_dir().join(format!("plenum-control-{name}-{}", std::process::id()));
    let (shards, from_shards, ends) = crate::shards::queues(2).unwrap();
    let info = plenum_contract::event::ShardInfo { udp: vec![], tcp: vec![], back_end: "mmsg".into() };
    let limits = plenum_contract::event::Limits { sessions_per_shard: 9, media_per_session: 9, max_bitrate: 1_000_000 };
    let hello = Hello { version: VERSION, boot: 1, fingerprints: vec![], shards: vec![info.clone(), info], limits };
    (Control::new(bind(&path).unwrap(), shards, from_shards, hello, Log::default()), ends, path)
}

/// A control plane connects, greets and asks for the snapshot.
fn ask(control: &mut Control, path: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    let mut bytes = Vec::new();
    frame::write(&Command::Hello { version: VERSION }, &mut bytes).unwrap();
    frame::write(&Command::Snapshot, &mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
    stream.set_nonblocking(true).unwrap();
    assert!(!control.accept() && !control.read_commands());
    stream
}

#[test]
fn a_refused_session_is_forgotten_and_removing_it_is_no_fault() {
    let (mut control, ends, path) = played("refused");
    let spec = |revision| plenum_contract::SessionSpec {
        key: LegKey(5),
        revision,
        participant: plenum_contract::ParticipantKey(1),
        shard: 1,
        ice: plenum_contract::spec::IceSpec {
            local_ufrag: "a".into(),
            local_pwd: "b".into(),
            remote_ufrag: "c".into(),
            remote_pwd: "d".into(),
        },
        fingerprints: vec![],
        media: vec![],
        max_bitrate: None,
        cname: "plenum".into(),
        bindings: vec![],
    };
    let refused = |revision, there| ToControl::Refused {
        leg: Some(LegKey(5)),
        revision: Some(revision),
        there,
        reason: "full".into(),
    };
    control.carry_out(Command::Session(spec(1))).unwrap();
    control.carry_out(Command::Session(spec(2))).unwrap();
    ends[1].report(refused(1, false));
    // A session that is there refused a change: it stays.
    ends[1].report(refused(2, true));
    control.collect();
    assert_eq!(control.leg_shards.shard(LegKey(5)), Some(1));
    ends[1].report(refused(2, false));
    control.collect();
    assert_eq!(control.leg_shards.shard(LegKey(5)), None);
    assert!(control.carry_out(Command::Start(LegKey(5))).unwrap_err().contains("unknown"));
    control.carry_out(Command::RemoveSession(LegKey(5))).unwrap();
    let wish = plenum_contract::SubscriptionSpec {
        leg: LegKey(5),
        revision: 1,
        slots: vec![],
        first: vec![],
        low_latency: false,
        mix: None,
        mixed_sound: false,
    };
    control.carry_out(Command::Subscription(wish)).expect("a wish that crossed the leg's end");
    std::fs::remove_file(path).unwrap();
}

/// Every round that a shard was asked for.
fn rounds(end: &crate::shards::ShardEnd) -> Vec<u64> {
    std::iter::from_fn(|| end.inbox.try_recv().ok())
        .filter_map(|order| match order {
            Order::Mixer(_) => None,
            Order::Snapshot(round) => Some(round),
            Order::Command(_) => None,
        })
        .collect()
}

fn answer(end: &crate::shards::ShardEnd, round: u64, leg: u64) {
    let leg = plenum_contract::snapshot::LegState {
        key: LegKey(leg),
        revision: 1,
        participant: plenum_contract::ParticipantKey(1),
        connected: true,
        started: true,
        bindings: vec![],
    };
    end.report(ToControl::Snapshot { round, part: Snapshot { legs: vec![leg], ..Snapshot::default() } });
}

/// Legs of the snapshot that arrived, and how many events behind it; `None` when none did.
fn told(control: &mut Control, stream: &mut UnixStream) -> Option<(Vec<u64>, usize)> {
    control.collect();
    control.flush();
    let (mut reader, mut chunk, mut events) = (Reader::default(), [0; 65_536], 0);
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        reader.push(&chunk[..n]);
    }
    let mut legs: Option<Vec<u64>> = None;
    while let Some(message) = reader.next::<Message>().unwrap() {
        match message {
            Message::Snapshot(part) => legs = Some(part.legs.iter().map(|l| l.key.0).collect()),
            Message::Event(_) => events += usize::from(legs.is_some()),
            _ => {}
        }
    }
    legs.map(|mut legs| {
        legs.sort_unstable();
        (legs, events)
    })
}

#[test]
fn a_control_plane_that_returns_twice_gets_every_shards_part_once() {
    let (mut control, ends, path) = played("twice");
    let first = ask(&mut control, &path);
    let mut second = ask(&mut control, &path);
    drop(first);
    assert_eq!((rounds(&ends[0]), rounds(&ends[1])), (vec![1, 2], vec![1, 2]));
    // One shard answers both before the other answers any.
    [1, 2].iter().for_each(|&round| answer(&ends[0], round, 10));
    assert_eq!(told(&mut control, &mut second), None);
    ends[0]
        .report(ToControl::Event { durable: false, body: plenum_contract::EventBody::LegSilent { leg: LegKey(10) } });
    [1, 2].iter().for_each(|&round| answer(&ends[1], round, 20));
    assert_eq!(told(&mut control, &mut second), Some((vec![10, 20], 1)), "what happened later is told later");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_snapshot_during_which_reports_were_lost_begins_again() {
    let (mut control, ends, path) = played("lost");
    control.leg_shards.asked(LegKey(10), 0, 1);
    control.leg_shards.asked(LegKey(77), 1, 1);
    let mut stream = ask(&mut control, &path);
    assert_eq!((rounds(&ends[0]), rounds(&ends[1])), (vec![1], vec![1]));
    answer(&ends[0], 1, 10);
    let mut full = 0;
    while control.shards.peek_dropped() == 0 {
        full += 1;
        assert!(full < 100_000, "the queue is bounded");
        ends[1].report(ToControl::Event {
            durable: false,
            body: plenum_contract::EventBody::LegSilent { leg: LegKey(20) },
        });
    }
    answer(&ends[1], 1, 20);
    assert_eq!(told(&mut control, &mut stream), None, "the second shard's part is among what was lost");
    assert_eq!((rounds(&ends[0]), rounds(&ends[1])), (vec![2], vec![2]));
    answer(&ends[0], 2, 10);
    answer(&ends[1], 2, 20);
    let (legs, _) = told(&mut control, &mut stream).unwrap();
    assert_eq!(legs, [10, 20]);
    assert_eq!(control.leg_shards.keys(), [LegKey(10)], "a leg that no shard has is forgotten");
    std::fs::remove_file(path).unwrap();
}
