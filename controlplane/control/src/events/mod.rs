//! The event log: numbered per conference, kept for a while, followed by any number of readers.
//!
//! The driver numbers what happened ([`Logs::number`]), writes it down, and then publishes it; readers follow a bounded broadcast
//! ring, so that one that is slow never holds up anybody and costs no memory of its own: it is told that it lagged and has to
//! begin again. A reader that comes back with the id of the last entry it saw gets what it missed when that is still kept, also
//! after a restart, else everything anew. Ids are `<meeting>-<number>`: the number of a meeting is never used again, so an id of
//! a former meeting is never mistaken for one of this.
//!
//! What is passing ([`EventBody::is_passing`]) and what is for observers alone has no number of its own and is not kept: a reader
//! that comes back is told how things are.

mod observer;
mod reader;

pub use observer::{Observed, Observer, Seen};
pub use reader::{Next, Subscription};

use axum::body::Bytes;
use observer::Feed;
use plenum_model::event::Standing;
use plenum_model::{Audience, ConferenceKey, EventBody, ParticipantKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;

/// Entries that a reader who comes back can be given, in memory and in the store. A conference of 50 makes some tens a second at
/// its liveliest: this is several seconds. More costs memory in every conference that runs.
pub const KEPT: usize = 512;
/// Batches of the driver that a reader may be behind. A batch is what happened at one time, however much: muting a thousand
/// guests is one.
pub const BEHIND: usize = 256;

/// How many forms of an entry are kept: API dialects by kinds of streams.
pub const FORMS: usize = 6;

/// A process numbers from the next multiple of this on. What a former one told and could not write down (its store failed, or
/// the power went) has a number below, that is never given again.
const PROCESS: u64 = 1 << 20;

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// Grows by one with each entry that lasts; others have the number of the last one that does.
    pub number: u64,
    /// For whom.
    pub audience: Audience,
    /// What.
    pub body: EventBody,
    rendered: [OnceLock<Arc<[Bytes]>>; FORMS],
}

impl Entry {
    pub(crate) fn new(number: u64, audience: Audience, body: EventBody) -> Entry {
        Entry { number, audience, body, rendered: Default::default() }
    }

    /// Whether a reader who comes back is to be told of it.
    pub fn lasts(&self) -> bool {
        lasts(self.audience, &self.body)
    }

    /// The messages of this entry in one of [`FORMS`], made once however many readers there are.
    pub fn rendered(&self, form: usize, make: impl FnOnce() -> Vec<Bytes>) -> &Arc<[Bytes]> {
        self.rendered[form].get_or_init(|| make().into())
    }
}

fn lasts(audience: Audience, body: &EventBody) -> bool {
    audience != Audience::Observers && !body.is_passing()
}

/// Entries of one batch in one conference.
pub type Chunk = Arc<[Arc<Entry>]>;

/// A part of a log as it is written down: entries that last, in a row.
#[derive(Clone, Debug)]
pub struct Part {
    /// Number of the entry before the first.
    pub after: u64,
    /// In their order; the last one's number names the part.
    pub entries: Vec<Arc<Entry>>,
}

impl Part {
    /// Number of its last entry.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(self.after, |entry| entry.number)
    }
}

#[derive(Debug)]
struct Log {
    /// Number of the meeting: part of every id.
    meeting: u64,
    /// Number of the last entry that lasts.
    last: u64,
    /// Number of the next one.
    next: u64,
    /// Number of the entry before the first that is kept.
    floor: u64,
    kept: VecDeque<Arc<Entry>>,
    readers: broadcast::Sender<Chunk>,
}

/// The logs of all conferences that have somebody in them.
#[derive(Debug, Default)]
pub struct Logs {
    logs: BTreeMap<ConferenceKey, Log>,
    observers: Feed,
    /// Entries appended since start.
    pub appended: u64,
}

impl Logs {
    /// Numbers what happened at one time in one conference. Nobody is told yet, and the numbers are free until
    /// [`Logs::publish`]: what cannot be kept may be dropped instead.
    pub fn number(
        &self,
        conference: ConferenceKey,
        events: impl IntoIterator<Item = (Audience, EventBody)>,
    ) -> Observed {
        let (mut last, mut next) = self.logs.get(&conference).map_or((0, 1), |log| (log.last, log.next));
        let entry = |(audience, body)| {
            if lasts(audience, &body) {
                (last, next) = (next, next + 1);
            }
            Arc::new(Entry::new(last, audience, body))
        };
        Observed { conference, entries: events.into_iter().map(entry).collect() }
    }

    /// What is to be written down of numbered entries before they are published: the newest [`KEPT`] that last.
    pub fn part(&self, happened: &Observed) -> Option<Part> {
        let lasting = happened.entries.iter().filter(|entry| entry.lasts());
        let mut entries: Vec<Arc<Entry>> = lasting.cloned().collect();
        let mut after = self.logs.get(&happened.conference).map_or(0, |log| log.last);
        let surplus = entries.len().saturating_sub(KEPT);
        after = entries.drain(..surplus).next_back().map_or(after, |entry| entry.number);
        (!entries.is_empty()).then_some(Part { after, entries })
    }

    /// Tells the readers. `meeting` is the number of a log that begins with this.
    pub fn publish(&mut self, happened: &Observed, meeting: u64) {
        let log = self.log(happened.conference, meeting);
        log.kept.extend(happened.entries.iter().filter(|entry| entry.lasts()).cloned());
        if let Some(entry) = log.kept.back() {
            (log.last, log.next) = (entry.number, log.next.max(entry.number + 1));
        }
        let surplus = log.kept.len().saturating_sub(KEPT);
        log.floor = log.kept.drain(..surplus).next_back().map_or(log.floor, |entry| entry.number);
        // Nobody reads: that is no error.
        let _ = log.readers.send(happened.entries.clone());
        self.appended += happened.entries.len() as u64;
    }

    /// Shows what happened at one time, in all conferences, to those who watch all.
    pub fn show(&mut self, happened: Vec<Observed>) {
        self.observers.show(happened);
    }

    /// Follows all conferences. `pictures`: what is now, conference by conference.
    pub fn observe(&mut self, pictures: impl IntoIterator<Item = (ConferenceKey, Vec<EventBody>)>) -> Observer {
        self.observers.follow(pictures)
    }

    /// The log that a former process left of a meeting that goes on: its parts, the oldest first. `whole` says that the meeting
    /// is as it was then: if not, nobody can go on from what they know. A part that does not follow the one before it cuts off
    /// what is older.
    pub fn restore(&mut self, conference: ConferenceKey, meeting: u64, parts: Vec<Part>, whole: bool) {
        let (mut kept, mut floor, mut last) = (VecDeque::new(), 0, 0);
        for part in parts {
            if part.after != last {
                kept.clear();
                floor = part.after;
            }
            last = part.last();
            kept.extend(part.entries);
        }
        let begin = (last / PROCESS + 1) * PROCESS;
        if !whole {
            kept.clear();
            (floor, last) = (begin, begin);
        }
        let surplus = kept.len().saturating_sub(KEPT);
        floor = kept.drain(..surplus).next_back().map_or(floor, |entry: Arc<Entry>| entry.number);
        let readers = broadcast::channel(BEHIND).0;
        self.logs.insert(conference, Log { meeting, last, next: begin + 1, floor, kept, readers });
    }

    fn log(&mut self, conference: ConferenceKey, meeting: u64) -> &mut Log {
        let readers = || broadcast::channel(BEHIND).0;
        let new = || Log { meeting, last: 0, next: 1, floor: 0, kept: VecDeque::new(), readers: readers() };
        self.logs.entry(conference).or_insert_with(new)
    }

    /// The meeting that a conference's log is of, and the number up to which its entries are no longer kept.
    pub fn of(&self, conference: ConferenceKey) -> Option<(u64, u64)> {
        self.logs.get(&conference).map(|log| (log.meeting, log.floor))
    }

    /// Follows a conference. `picture` is what a reader must be told who knows nothing, `passing` the part of it that a reader
    /// must be told who knows the log.
    pub fn follow(
        &mut self,
        (conference, meeting): (ConferenceKey, u64),
        standing: Standing,
        last_id: Option<&str>,
        picture: impl FnOnce() -> Vec<EventBody>,
        passing: impl FnOnce() -> Vec<EventBody>,
    ) -> Subscription {
        let log = self.log(conference, meeting);
        let (mut waiting, fresh) = match log.missed(standing.viewer, last_id) {
            Some(missed) => (missed, false),
            None => (VecDeque::new(), true),
        };
        let now = if fresh { picture() } else { passing() };
        let number = log.last;
        waiting.extend(now.into_iter().map(|body| Arc::new(Entry::new(number, Audience::One(standing.viewer), body))));
        Subscription::new(standing, log.meeting, waiting, fresh, log.readers.subscribe())
    }

    /// Drops the log of a meeting that is over; its readers come to their end.
    pub fn close(&mut self, conference: ConferenceKey) {
        self.logs.remove(&conference);
    }

    /// Readers of one conference.
    pub fn readers_of(&self, conference: ConferenceKey) -> usize {
        self.logs.get(&conference).map_or(0, |log| log.readers.receiver_count())
    }

    /// Readers of all conferences.
    pub fn readers(&self) -> usize {
        self.logs.values().map(|log| log.readers.receiver_count()).sum()
    }
}

impl Log {
    /// What came after `last_id`; `None` when that cannot be said, or when the reader's rights changed meanwhile.
    fn missed(&self, viewer: ParticipantKey, last_id: Option<&str>) -> Option<VecDeque<Arc<Entry>>> {
        let (meeting, number) = last_id?.split_once('-')?;
        let number: u64 = number.parse().ok()?;
        if u64::from_str_radix(meeting, 16).ok()? != self.meeting {
            return None;
        }
        // Only what was written down can be gone on from.
        let from = match self.kept.binary_search_by_key(&number, |entry| entry.number) {
            Ok(at) => at + 1,
            Err(_) if number == self.floor => 0,
            Err(_) => return None,
        };
        let missed: VecDeque<_> = self.kept.range(from..).cloned().collect();
        let changed = |entry: &Arc<Entry>| {
            entry.audience == Audience::One(viewer)
                && matches!(entry.body, EventBody::Standing(_) | EventBody::Roster(_))
        };
        (!missed.iter().any(changed)).then_some(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::event::Status;

    const ROOM: ConferenceKey = ConferenceKey(1);
    const MEETING: u64 = 0xab;

    fn status(locked: bool) -> EventBody {
        EventBody::Status(Status {
            locked,
            guests_muted: false,
            started: true,
            chat: true,
            recording: false,
            streaming: false,
        })
    }

    fn guest(admitted: bool) -> Standing {
        Standing { viewer: ParticipantKey(5), host: false, admitted }
    }

    fn append_all(logs: &mut Logs, events: impl IntoIterator<Item = (Audience, EventBody)>) -> Option<Part> {
        let happened = logs.number(ROOM, events);
        let part = logs.part(&happened);
        logs.publish(&happened, MEETING);
        part
    }

    fn append(logs: &mut Logs, audience: Audience, body: EventBody) -> Option<Part> {
        append_all(logs, [(audience, body)])
    }

    fn follow(logs: &mut Logs, standing: Standing, last: Option<&str>) -> Subscription {
        let picture = || vec![EventBody::Roster(Vec::new()), status(false)];
        logs.follow((ROOM, MEETING), standing, last, picture, Vec::new)
    }

    fn bodies(subscription: &mut Subscription) -> Vec<(Option<String>, EventBody)> {
        std::iter::from_fn(|| {
            let entry = subscription.next_ready()?;
            Some((subscription.id(&entry), entry.body.clone()))
        })
        .collect()
    }

    fn is_anew(logs: &mut Logs, id: &str) -> bool {
        bodies(&mut follow(logs, guest(true), Some(id)))
            .first()
            .is_some_and(|(_, body)| *body == EventBody::Roster(vec![]))
    }

    #[test]
    fn mgmt_43_a_new_reader_gets_the_picture_then_what_happens_and_comes_back_for_the_rest() {
        let mut logs = Logs::default();
        let mut reader = follow(&mut logs, guest(true), None);
        let first = bodies(&mut reader);
        assert_eq!(first[0], (None, EventBody::Roster(Vec::new())), "no id before the picture is whole");
        assert_eq!(first[1].0.as_deref(), Some("ab-0"));
        append(&mut logs, Audience::Admitted, status(true));
        append(&mut logs, Audience::Hosts, status(true));
        assert_eq!(
            bodies(&mut reader),
            [(Some("ab-1".into()), status(true))],
            "a guest does not see what is for hosts"
        );
        append(&mut logs, Audience::Admitted, status(false));
        let mut again = follow(&mut logs, guest(true), Some("ab-1"));
        assert_eq!(bodies(&mut again), [(Some("ab-3".into()), status(false))]);
    }

    #[test]
    fn an_unknown_or_trimmed_id_gets_everything_anew() {
        let mut logs = Logs::default();
        for _ in 0..KEPT + 10 {
            append(&mut logs, Audience::Admitted, status(true));
        }
        for id in ["ab-9", "ac-520", "ab-99999", "", "x", "ab-", "-1", "ab-18446744073709551615"] {
            assert!(is_anew(&mut logs, id), "{id}");
        }
        assert!(!is_anew(&mut logs, "ab-10"));
    }

    #[test]
    fn what_passes_pushes_nothing_out_and_who_comes_back_is_told_how_it_is_now() {
        let mut logs = Logs::default();
        append(&mut logs, Audience::Admitted, status(true));
        let mut reader = follow(&mut logs, guest(true), None);
        bodies(&mut reader);
        let stage = |speaks| EventBody::Stage(vec![(plenum_model::ParticipantId([7; 16]), speaks)]);
        let speaking = (0..2 * KEPT).map(|n| (Audience::Admitted, stage(n % 2 == 0)));
        assert!(append_all(&mut logs, speaking).is_none(), "it is not written down");
        append(&mut logs, Audience::Observers, EventBody::MeetingEnded);
        append(&mut logs, Audience::Admitted, status(false));
        let told = bodies(&mut reader);
        assert_eq!((told.len(), told[0].0.as_deref()), (2 * KEPT + 1, Some("ab-1")));
        let now = || vec![stage(true)];
        let mut again = logs.follow((ROOM, MEETING), guest(true), Some("ab-1"), Vec::new, now);
        let at = |body| (Some("ab-2".to_owned()), body);
        assert_eq!(bodies(&mut again), [at(status(false)), at(stage(true))]);
    }

    #[test]
    fn whoever_is_let_in_sees_more_from_then_on_and_a_missed_change_of_rights_begins_anew() {
        let mut logs = Logs::default();
        let mut reader = follow(&mut logs, guest(false), None);
        bodies(&mut reader);
        append(&mut logs, Audience::Admitted, status(true));
        assert!(bodies(&mut reader).is_empty());
        append(&mut logs, Audience::One(ParticipantKey(5)), EventBody::Standing(guest(true)));
        append(&mut logs, Audience::Admitted, status(false));
        assert_eq!(bodies(&mut reader).len(), 1);
        assert!(is_anew(&mut logs, "ab-1"));
    }

    #[test]
    fn what_happens_at_one_time_makes_nobody_slow_however_much_it_is() {
        let mut logs = Logs::default();
        let mut reader = follow(&mut logs, guest(true), None);
        bodies(&mut reader);
        let part = append_all(&mut logs, (0..10_000).map(|n| (Audience::Admitted, status(n % 2 == 0)))).unwrap();
        assert_eq!(bodies(&mut reader).len(), 10_000);
        assert_eq!(logs.logs[&ROOM].kept.len(), KEPT);
        assert_eq!((part.after, part.last(), part.entries.len()), (10_000 - KEPT as u64, 10_000, KEPT));
    }

    #[test]
    fn a_log_that_comes_back_goes_on_where_it_was_and_never_numbers_twice() {
        let mut logs = Logs::default();
        let mut parts = Vec::new();
        for _ in 0..5 {
            parts.extend(append(&mut logs, Audience::Admitted, status(true)));
        }
        // What the store could not take was told all the same: the next process does not know of it.
        let lost = append(&mut logs, Audience::Admitted, status(false));
        assert_eq!(lost.unwrap().last(), 6);

        let mut logs = Logs::default();
        logs.restore(ROOM, MEETING, parts.clone(), true);
        assert_eq!(bodies(&mut follow(&mut logs, guest(true), Some("ab-3"))).len(), 2);
        let next = append(&mut logs, Audience::Admitted, status(false)).unwrap();
        assert_eq!((next.after, next.last()), (5, PROCESS + 1));
        parts.push(next);
        for (id, missed) in [("ab-5", 1), ("ab-0", 6), ("ab-1048577", 0)] {
            assert!(!is_anew(&mut logs, id));
            assert_eq!(bodies(&mut follow(&mut logs, guest(true), Some(id))).len(), missed, "{id}");
        }
        for id in ["ab-6", "ab-7", "ab-1048576", "ab-1048578"] {
            assert!(is_anew(&mut logs, id), "{id} was never written down");
        }

        let mut logs = Logs::default();
        logs.restore(ROOM, MEETING, parts.clone(), true);
        assert_eq!(bodies(&mut follow(&mut logs, guest(true), Some("ab-4"))).len(), 2, "across two restarts");
        let next = append(&mut logs, Audience::Admitted, status(false)).unwrap();
        assert_eq!(next.last(), 2 * PROCESS + 1);

        // A hole cuts off what is before it; a meeting that is not what it was is told anew.
        let holed: Vec<Part> = parts.iter().filter(|part| part.last() != 2).cloned().collect();
        let mut logs = Logs::default();
        logs.restore(ROOM, MEETING, holed, true);
        assert!(is_anew(&mut logs, "ab-1") && !is_anew(&mut logs, "ab-2"));
        let mut logs = Logs::default();
        logs.restore(ROOM, MEETING, parts, false);
        assert!(is_anew(&mut logs, "ab-5") && is_anew(&mut logs, "ab-1048577"));
        append(&mut logs, Audience::Admitted, status(false));
        assert!(is_anew(&mut logs, "ab-1048577"));
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_and_a_disconnected_one_ends() {
        let mut logs = Logs::default();
        let mut slow = follow(&mut logs, guest(true), None);
        let mut out = follow(&mut logs, guest(true), None);
        bodies(&mut slow);
        bodies(&mut out);
        append(&mut logs, Audience::One(ParticipantKey(5)), EventBody::Disconnected { reason: "x".into() });
        for _ in 0..BEHIND {
            append(&mut logs, Audience::Admitted, status(true));
        }
        assert!(matches!(slow.next().await, Next::Lagged));
        assert!(matches!(slow.next().await, Next::Over));
        assert_eq!(bodies(&mut out).len(), 0, "it lagged as well");
        logs.close(ROOM);
    }
}
