//! The feed of all conferences, for readers that are in none of them (CMS, webhooks): every entry of every log, whoever it is
//! for, in the order of the batches. A reader begins with a picture of what is and loses nothing after it.
//!
//! It decides for itself by [`Entry::audience`] what to look at: what is for `Guests` or `One` is there as well, so somebody
//! who is let in is `Updated` for hosts and `Created` for guests. The model's `Observers` events are for these readers alone.

use super::{BEHIND, Chunk, Entry};
use plenum_model::{Audience, ConferenceKey, EventBody};
use std::sync::Arc;
use tokio::sync::broadcast;

/// What happened at one time in one conference.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Where.
    pub conference: ConferenceKey,
    /// What, in its order.
    pub entries: Chunk,
}

/// What an observer gets next.
#[derive(Debug)]
pub enum Seen {
    /// What happened at one time.
    Happened(Arc<[Observed]>),
    /// It was too slow: entries are lost to it, it has to begin again.
    Lagged,
    /// The program ends.
    Over,
}

/// A bounded ring that observers follow; nobody of them can hold it up.
#[derive(Debug)]
pub(super) struct Feed(broadcast::Sender<Arc<[Observed]>>);

impl Default for Feed {
    fn default() -> Feed {
        Feed(broadcast::channel(BEHIND).0)
    }
}

impl Feed {
    pub(super) fn show(&self, happened: Vec<Observed>) {
        if !happened.is_empty() && self.0.receiver_count() > 0 {
            // The last one may have gone this moment: that is no error.
            let _ = self.0.send(happened.into());
        }
    }

    pub(super) fn follow(&self, pictures: impl IntoIterator<Item = (ConferenceKey, Vec<EventBody>)>) -> Observer {
        let entry = |body| Arc::new(Entry::new(0, Audience::Observers, body));
        let observed = |(conference, bodies): (ConferenceKey, Vec<EventBody>)| Observed {
            conference,
            entries: bodies.into_iter().map(entry).collect(),
        };
        Observer { picture: Some(pictures.into_iter().map(observed).collect()), feed: self.0.subscribe() }
    }
}

/// A reader's place in the feed.
#[derive(Debug)]
pub struct Observer {
    picture: Option<Arc<[Observed]>>,
    feed: broadcast::Receiver<Arc<[Observed]>>,
}

impl Observer {
    /// What is next; the picture comes first. Safe to drop while it waits.
    pub async fn next(&mut self) -> Seen {
        if let Some(picture) = self.picture.take() {
            return Seen::Happened(picture);
        }
        match self.feed.recv().await {
            Ok(happened) => Seen::Happened(happened),
            Err(broadcast::error::RecvError::Lagged(_)) => Seen::Lagged,
            Err(broadcast::error::RecvError::Closed) => Seen::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(conference: u64) -> Observed {
        let entry = Entry::new(1, Audience::Observers, EventBody::MeetingEnded);
        Observed { conference: ConferenceKey(conference), entries: [Arc::new(entry)].into() }
    }

    #[tokio::test]
    async fn an_observer_gets_the_picture_then_every_batch_and_a_slow_one_is_told() {
        let feed = Feed::default();
        feed.show(vec![ended(1)]);
        let mut observer = feed.follow([(ConferenceKey(1), vec![EventBody::MeetingEnded])]);
        let mut slow = feed.follow([]);
        feed.show(vec![ended(2), ended(3)]);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let Seen::Happened(batch) = observer.next().await else { panic!("it happened") };
            seen.push(batch.iter().map(|observed| observed.conference.0).collect::<Vec<_>>());
        }
        assert_eq!(seen, [vec![1], vec![2, 3]]);
        for _ in 0..BEHIND {
            feed.show(vec![ended(4)]);
        }
        assert!(matches!(slow.next().await, Seen::Happened(picture) if picture.is_empty()));
        assert!(matches!(slow.next().await, Seen::Lagged));
        drop(feed);
        while let Seen::Happened(_) = observer.next().await {}
        assert!(matches!(observer.next().await, Seen::Over));
    }
}
