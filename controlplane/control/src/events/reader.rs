//! A reader's place in the log of a conference.

use super::{Chunk, Entry};
use plenum_model::event::Standing;
use plenum_model::{EventBody, ParticipantKey};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;

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
    meeting: u64,
    waiting: VecDeque<Arc<Entry>>,
    /// While the first picture is being told.
    fresh: bool,
    readers: broadcast::Receiver<Chunk>,
    over: bool,
    moved: bool,
}

impl Subscription {
    /// `waiting` is told first; `fresh` says that it is the first picture.
    pub(super) fn new(
        standing: Standing,
        meeting: u64,
        waiting: VecDeque<Arc<Entry>>,
        fresh: bool,
        readers: broadcast::Receiver<Chunk>,
    ) -> Subscription {
        Subscription { standing, meeting, waiting, fresh, readers, over: false, moved: false }
    }

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
        (!self.fresh || self.waiting.is_empty()).then(|| format!("{:x}-{}", self.meeting, entry.number))
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
