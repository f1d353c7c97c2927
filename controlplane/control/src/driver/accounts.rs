//! The directory of accounts and keys in the driver: changed within a batch, written with it, shown once it is written.

use super::Failure;
use crate::accounts::{Accounts, Change, Directory, Touched};
use crate::store::Write;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How often it is written down when keys were last used.
const USED_MS: u64 = 60_000;

/// The shown directory and the one that the batch made of it.
#[derive(Debug)]
pub(super) struct Directories {
    shown: Accounts,
    draft: Option<Arc<Directory>>,
    /// When uses were last written, and what then.
    used_at: u64,
    used: BTreeMap<String, u64>,
}

impl Directories {
    pub(super) fn new(shown: Accounts) -> Directories {
        let used = uses(&shown.now());
        Directories { shown, draft: None, used_at: 0, used }
    }

    /// Does a change in the draft; what is to be written comes back.
    pub(super) fn change(&mut self, unix: u64, change: Change) -> Result<Write, Failure> {
        let draft = self.draft.get_or_insert_with(|| self.shown.now());
        let directory = Arc::make_mut(draft);
        Ok(match directory.apply(unix, change)? {
            Touched::Account(name) => {
                let body = body(directory.accounts.get(&name));
                Write::Account(name, body)
            }
            Touched::Key(id) => {
                let body = body(directory.keys.get(&id));
                Write::Key(id, body)
            }
            Touched::Hook(id) => {
                let body = body(directory.hooks.get(&id));
                Write::Hook(id, body)
            }
        })
    }

    /// As it is shown.
    pub(super) fn now(&self) -> Arc<Directory> {
        self.shown.now()
    }

    pub(super) fn commit(&mut self) {
        if let Some(draft) = self.draft.take() {
            self.shown.show(draft);
        }
    }

    pub(super) fn rollback(&mut self) {
        self.draft = None;
    }

    /// Keys that were used since this was last asked, at most once a minute.
    pub(super) fn used(&mut self, now_ms: u64) -> Vec<Write> {
        if now_ms < self.used_at + USED_MS {
            return Vec::new();
        }
        let directory = self.shown.now();
        let now = uses(&directory);
        let changed = now.iter().filter(|(id, used)| self.used.get(*id) != Some(*used));
        let writes = changed.map(|(id, _)| Write::Key(id.clone(), body(directory.keys.get(id)))).collect();
        self.used = now;
        self.used_at = now_ms;
        writes
    }
}

fn uses(directory: &Directory) -> BTreeMap<String, u64> {
    directory.keys.iter().map(|(id, key)| (id.clone(), key.used.load(Relaxed))).collect()
}

/// A value of strings and numbers has always a JSON form.
fn body(value: Option<&impl serde::Serialize>) -> Option<String> {
    value.and_then(|value| serde_json::to_string(value).ok())
}
