//! Pictures of presentations (MGMT-46): when media is asked for them, and the newest of each conference.
//!
//! Media decodes a presentation for them only while somebody asks: for [`ASKED`] after each request, and for as long after somebody took the floor
//! or began to follow the events, so that clients learn that there is something to fetch. When nobody asks any more, or somebody else presents,
//! what was kept is forgotten: nobody is shown an old picture.

use axum::body::Bytes;
use plenum_contract::Still;
use plenum_model::{ConferenceKey, ParticipantKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// How long pictures are made for a request, in milliseconds. Shorter: a client that fetches every few seconds has the presentation
/// decoded from its next key frame each time. Longer costs a decoder for nobody.
const ASKED: u64 = 10_000;

/// A picture.
#[derive(Debug)]
pub struct Picture {
    /// Grows with each picture, also over restarts.
    pub number: u64,
    /// The JPEG file.
    pub jpeg: Bytes,
}

/// The newest picture, while there is one.
pub type Newest = watch::Receiver<Option<Arc<Picture>>>;

/// In which size a picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// `presentation.jpeg`
    Usual,
    /// `presentation_high.jpeg`
    High,
}

impl Size {
    const ALL: [Size; 2] = [Size::Usual, Size::High];

    /// Pixels from top to bottom, at most.
    const fn height(self) -> u16 {
        match self {
            Size::Usual => 720,
            Size::High => 1080,
        }
    }
}

/// Pictures of one conference's presentation.
#[derive(Debug)]
struct Place {
    presenter: ParticipantKey,
    /// By [`Size`]: until when it is asked for, and the newest.
    sizes: [(u64, watch::Sender<Option<Arc<Picture>>>); 2],
}

/// See the module. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct Stills {
    places: BTreeMap<ConferenceKey, Place>,
    last: u64,
}

impl Stills {
    /// Who presents now; `ask`: whether pictures are to be made although nobody has fetched one yet. True when media is to be told.
    pub(super) fn present(
        &mut self,
        now: u64,
        key: ConferenceKey,
        presenter: Option<ParticipantKey>,
        ask: bool,
    ) -> bool {
        if self.places.get(&key).map(|place| place.presenter) == presenter {
            return false;
        }
        let had = self.places.remove(&key).is_some_and(|place| place.sizes.iter().any(|(until, _)| *until > now));
        if let Some(presenter) = presenter {
            self.places.insert(key, Place { presenter, sizes: Size::ALL.map(|_| (0, watch::channel(None).0)) });
        }
        had | (ask && self.ask(now, key, Size::Usual).is_some())
    }

    /// Somebody asks for a picture in this size: what comes, and whether media is to be told. `None` when nobody presents.
    pub(super) fn ask(&mut self, now: u64, key: ConferenceKey, size: Size) -> Option<(Newest, bool)> {
        let (until, newest) = &mut self.places.get_mut(&key)?.sizes[size as usize];
        let news = *until <= now;
        *until = now + ASKED;
        Some((newest.subscribe(), news))
    }

    /// The heights that media is to make pictures in.
    pub(super) fn heights(&self, now: u64, key: ConferenceKey) -> Vec<u16> {
        let place = self.places.get(&key);
        let asked = |size: &Size| place.is_some_and(|place| place.sizes[*size as usize].0 > now);
        Size::ALL.into_iter().filter(asked).map(Size::height).collect()
    }

    /// A picture came. Whether clients are to be told: once a picture, in however many sizes it comes.
    pub(super) fn take(&mut self, now: u64, unix_ms: u64, still: Still) -> bool {
        let Some(place) = self.places.get_mut(&ConferenceKey(still.conference.0)) else { return false };
        let Some(size) = Size::ALL.into_iter().find(|size| size.height() == still.height) else { return false };
        let asked = |size: Size| place.sizes[size as usize].0 > now;
        if place.presenter.0 != still.presenter.0 || !asked(size) {
            return false;
        }
        let tells = Size::ALL.into_iter().find(|size| asked(*size)) == Some(size);
        self.last = unix_ms.max(self.last + 1);
        let picture = Picture { number: self.last, jpeg: still.jpeg.into() };
        place.sizes[size as usize].1.send_replace(Some(Arc::new(picture)));
        tells
    }

    /// Forgets what nobody asks for any more: the conferences of which media is to be told.
    pub(super) fn sweep(&mut self, now: u64) -> Vec<ConferenceKey> {
        let mut ended = Vec::new();
        for (key, place) in &mut self.places {
            for (until, newest) in place.sizes.iter_mut().filter(|(until, _)| *until != 0 && *until <= now) {
                *until = 0;
                newest.send_replace(None);
                ended.push(*key);
            }
        }
        ended.dedup();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract as contract;

    const ROOM: ConferenceKey = ConferenceKey(7);
    const ADA: ParticipantKey = ParticipantKey(1);
    const BOB: ParticipantKey = ParticipantKey(2);

    fn still(presenter: ParticipantKey, height: u16) -> Still {
        let (conference, presenter) = (contract::ConferenceKey(ROOM.0), contract::ParticipantKey(presenter.0));
        Still { conference, presenter, height, jpeg: vec![1, 2, 3] }
    }

    /// MGMT-46
    #[test]
    fn mgmt_46_pictures_are_made_while_somebody_asks_and_forgotten_afterwards() {
        let mut stills = Stills::default();
        assert!(!stills.present(0, ROOM, Some(ADA), false), "nobody listens");
        assert!(stills.heights(0, ROOM).is_empty());
        let (mut newest, news) = stills.ask(1_000, ROOM, Size::Usual).unwrap();
        assert!(news && newest.borrow().is_none());
        assert_eq!(stills.heights(1_000, ROOM), [720]);
        assert!(stills.take(1_500, 50, still(ADA, 720)));
        let first = newest.borrow_and_update().clone().unwrap();
        assert!(!stills.take(1_600, 60, still(ADA, 1080)), "nobody asked for that size");
        assert!(!stills.take(1_600, 60, still(BOB, 720)), "somebody else's");
        assert!(!stills.ask(9_000, ROOM, Size::Usual).unwrap().1, "media makes it already");
        assert!(stills.ask(9_000, ROOM, Size::High).unwrap().1);
        assert_eq!(stills.heights(9_000, ROOM), [720, 1080]);
        assert!(stills.take(9_100, 40, still(ADA, 720)), "one event for both sizes");
        assert!(!stills.take(9_100, 40, still(ADA, 1080)));
        assert!(newest.borrow_and_update().as_ref().unwrap().number > first.number, "whatever the clock says");
        assert!(stills.sweep(18_999).is_empty());
        assert_eq!(stills.sweep(19_000), [ROOM]);
        assert!(newest.borrow().is_none() && stills.heights(19_000, ROOM).is_empty());
        assert!(stills.sweep(20_000).is_empty());
        assert!(!stills.present(20_000, ROOM, Some(ADA), true) && stills.heights(20_000, ROOM).is_empty(), "not again");
    }

    /// MGMT-46
    #[test]
    fn mgmt_46_who_waits_for_a_picture_of_somebody_who_stops_presenting_learns_it_at_once() {
        let mut stills = Stills::default();
        assert!(stills.present(0, ROOM, Some(ADA), true), "somebody follows the events");
        assert_eq!(stills.heights(1, ROOM), [720]);
        assert!(!stills.present(1, ROOM, Some(ADA), true), "nothing new");
        let (newest, news) = stills.ask(1, ROOM, Size::Usual).unwrap();
        assert!(!news);
        assert!(stills.present(2, ROOM, Some(BOB), true));
        assert!(newest.has_changed().is_err(), "its sender is gone");
        assert_eq!(stills.heights(2, ROOM), [720], "of the other one");
        assert!(stills.present(3, ROOM, None, true));
        assert!(!stills.take(4, 4, still(BOB, 720)) && stills.ask(4, ROOM, Size::High).is_none());
    }
}
