//! The event log: numbered per conference, kept for a while, followed by any number of readers.
//!
//! The driver appends; readers follow a bounded broadcast ring, so that one that is slow never holds up anybody and costs no
//! memory of its own: it is told that it lagged and has to begin again. A reader that comes back with the id of the last
//! entry it saw gets what it missed when the ring still has it, else everything anew. Ids are `<epoch>-<number>`; the epoch
//! is random for each log, so an id of a former process or meeting is never mistaken for one of this.

mod observer;

pub use observer::{Observed, Observer, Seen};

use axum::body::Bytes;
use observer::Feed;
use plenum_model::event::Standing;
use plenum_model::{Audience, ConferenceKey, EventBody, ParticipantKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;

/// Entries that a reader who comes back can be given. A conference of 50 makes some tens a second at its liveliest: this is
/// several seconds. More costs memory in every conference that runs.
pub const KEPT: usize = 512;
/// Batches of the driver that a reader may be behind. A batch is what happened at one time, however much: muting a thousand
/// guests is one.
pub const BEHIND: usize = 256;

/// How many forms of an entry are kept: API dialects by kinds of streams.
pub const FORMS: usize = 6;

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// 1, 2, 3 …; entries that exist for one reader only have the number of the last common one.
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

    /// The messages of this entry in one of [`FORMS`], made once however many readers there are.
    pub fn rendered(&self, form: usize, make: impl FnOnce() -> Vec<Bytes>) -> &Arc<[Bytes]> {
        self.rendered[form].get_or_init(|| make().into())
    }
}

#[derive(Debug)]
struct Log {
    epoch: u32,
    last: u64,
    kept: VecDeque<Arc<Entry>>,
    readers: broadcast::Sender<Chunk>,
}

/// Entries of one batch in one conference.
pub type Chunk = Arc<[Arc<Entry>]>;

/// The logs of all conferences that have somebody in them.
#[derive(Debug, Default)]
pub struct Logs {
    logs: BTreeMap<ConferenceKey, Log>,
    observers: Feed,
    /// Entries appended since start.
    pub appended: u64,
}

impl Logs {
    /// Appends what happened at one time in one conference. `epoch` gives the random number of a new log.
    pub fn append(
        &mut self,
        conference: ConferenceKey,
        events: impl IntoIterator<Item = (Audience, EventBody)>,
        epoch: impl FnOnce() -> u32,
    ) -> Chunk {
        let log = self.log(conference, epoch);
        let before = log.last;
        let mut entry = |(audience, body)| {
            log.last += 1;
            Arc::new(Entry::new(log.last, audience, body))
        };
        let chunk: Chunk = events.into_iter().map(&mut entry).collect();
        log.kept.extend(chunk.iter().cloned());
        log.kept.drain(..log.kept.len().saturating_sub(KEPT));
        let appended = log.last - before;
        // Nobody reads: that is no error.
        let _ = log.readers.send(chunk.clone());
        self.appended += appended;
        chunk
    }

    /// Shows what happened at one time, in all conferences, to those who watch all.
    pub fn show(&mut self, happened: Vec<Observed>) {
        self.observers.show(happened);
    }

    /// Follows all conferences. `pictures`: what is now, conference by conference.
    pub fn observe(&mut self, pictures: impl IntoIterator<Item = (ConferenceKey, Vec<EventBody>)>) -> Observer {
        self.observers.follow(pictures)
    }

    fn log(&mut self, conference: ConferenceKey, epoch: impl FnOnce() -> u32) -> &mut Log {
        self.logs.entry(conference).or_insert_with(|| Log {
            epoch: epoch(),
            last: 0,
            kept: VecDeque::new(),
            readers: broadcast::channel(BEHIND).0,
        })
    }

    /// Follows a conference. `picture` is what a reader must be told who knows nothing.
    pub fn follow(
        &mut self,
        conference: ConferenceKey,
        standing: Standing,
        last_id: Option<&str>,
        picture: impl FnOnce() -> Vec<EventBody>,
        epoch: impl FnOnce() -> u32,
    ) -> Subscription {
        let log = self.log(conference, epoch);
        let (missed, fresh) = match log.missed(standing.viewer, last_id) {
            Some(missed) => (missed, false),
            None => {
                let number = log.last;
                let entry = |body| Arc::new(Entry::new(number, Audience::One(standing.viewer), body));
                (picture().into_iter().map(entry).collect(), true)
            }
        };
        Subscription {
            standing,
            epoch: log.epoch,
            waiting: missed,
            fresh,
            readers: log.readers.subscribe(),
            over: false,
            moved: false,
        }
    }

    /// Drops the log of a conference that is over; its readers come to their end.
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
        let (epoch, number) = last_id?.split_once('-')?;
        let number: u64 = number.parse().ok()?;
        let first_kept = self.kept.front().map_or(self.last + 1, |entry| entry.number);
        if u32::from_str_radix(epoch, 16).ok()? != self.epoch || number > self.last || number + 1 < first_kept {
            return None;
        }
        let missed: VecDeque<_> = self.kept.iter().filter(|entry| entry.number > number).cloned().collect();
        let changed = |entry: &Arc<Entry>| {
            entry.audience == Audience::One(viewer)
                && matches!(entry.body, EventBody::Standing(_) | EventBody::Roster(_))
        };
        (!missed.iter().any(changed)).then_some(missed)
    }
}

/// What a reader gets next.
#[derive(Debug)]
pub enum Next {
    /// An entry that it may see.
    Entry(Arc<Entry>),
    /// It was too slow: entries are lost to it, it has to begin again.
    Lagged,
    /// The reader was moved to another conference: the log of that one is to be followed from now on.
    Moved(ParticipantKey),
    /// The meeting, or the reader's part in it, is over.
    Over,
}

/// A reader's place in a log.
#[derive(Debug)]
pub struct Subscription {
    standing: Standing,
    epoch: u32,
    waiting: VecDeque<Arc<Entry>>,
    /// While the first picture is being told.
    fresh: bool,
    readers: broadcast::Receiver<Chunk>,
    over: bool,
    moved: bool,
}

impl Subscription {
    /// The next entry that the reader may see. Safe to drop while it waits.
    pub async fn next(&mut self) -> Next {
        loop {
            if self.moved {
                return Next::Moved(self.standing.viewer);
            }
            if self.over {
                return Next::Over;
            }
            let Some(entry) = self.waiting.pop_front() else {
                self.fresh = false;
                match self.readers.recv().await {
                    Ok(chunk) => self.waiting.extend(chunk.iter().cloned()),
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.over = true;
                        return Next::Lagged;
                    }
                    Err(broadcast::error::RecvError::Closed) => return Next::Over,
                }
                continue;
            };
            if let Some(entry) = self.admit(entry) {
                return Next::Entry(entry);
            }
        }
    }

    /// An entry that is there already; `None` = one would have to wait.
    pub fn next_ready(&mut self) -> Option<Arc<Entry>> {
        while !self.over && !self.moved {
            let Some(entry) = self.waiting.pop_front() else {
                let chunk = self.readers.try_recv().ok()?;
                self.fresh = false;
                self.waiting.extend(chunk.iter().cloned());
                continue;
            };
            if let Some(entry) = self.admit(entry) {
                return Some(entry);
            }
        }
        None
    }

    /// The id that a reader comes back with after `entry`. While the first picture is being told there is none: a reader
    /// that breaks off in the middle of it has to be told all of it again.
    pub fn id(&self, entry: &Entry) -> Option<String> {
        (!self.fresh || self.waiting.is_empty()).then(|| format!("{:x}-{}", self.epoch, entry.number))
    }

    fn admit(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        if !self.standing.sees(entry.audience) {
            return None;
        }
        match &entry.body {
            EventBody::Standing(standing) => {
                self.standing = *standing;
                return None;
            }
            EventBody::Disconnected { .. } => self.over = true,
            EventBody::Moved { .. } => self.moved = true,
            _ => {}
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::event::Status;

    const ROOM: ConferenceKey = ConferenceKey(1);

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

    fn append(logs: &mut Logs, audience: Audience, body: EventBody) {
        logs.append(ROOM, [(audience, body)], || 0xab);
    }

    fn follow(logs: &mut Logs, standing: Standing, last: Option<&str>) -> Subscription {
        logs.follow(ROOM, standing, last, || vec![EventBody::Roster(Vec::new()), status(false)], || 0xab)
    }

    fn bodies(subscription: &mut Subscription) -> Vec<(Option<String>, EventBody)> {
        std::iter::from_fn(|| {
            let entry = subscription.next_ready()?;
            Some((subscription.id(&entry), entry.body.clone()))
        })
        .collect()
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
        let roster = |subscription: &mut Subscription| bodies(subscription)[0].1 == EventBody::Roster(Vec::new());
        for id in ["ab-9", "ac-520", "ab-99999", "", "x", "ab-", "-1", "ab-18446744073709551615"] {
            assert!(roster(&mut follow(&mut logs, guest(true), Some(id))), "{id}");
        }
        assert!(!roster(&mut follow(&mut logs, guest(true), Some("ab-10"))));
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
        let mut again = follow(&mut logs, guest(true), Some("ab-1"));
        assert_eq!(bodies(&mut again)[0].1, EventBody::Roster(Vec::new()));
    }

    #[test]
    fn what_happens_at_one_time_makes_nobody_slow_however_much_it_is() {
        let mut logs = Logs::default();
        let mut reader = follow(&mut logs, guest(true), None);
        bodies(&mut reader);
        logs.append(ROOM, (0..10_000).map(|n| (Audience::Admitted, status(n % 2 == 0))), || 0xab);
        assert_eq!(bodies(&mut reader).len(), 10_000);
        assert_eq!(logs.logs[&ROOM].kept.len(), KEPT);
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
