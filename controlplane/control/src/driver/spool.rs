//! Events on their way to webhooks: written with the batch that made them happen.

use super::Driver;
use crate::hooks::Hook;
use crate::outside;
use crate::store::Write;
use plenum_model::{Conference, ConferenceKey, Event, EventBody, Model};
use serde_json::json;
use std::collections::HashMap;
use tokio::sync::watch;

/// Events of a hook between two looks at how many wait.
const TRIM: u32 = 256;

/// What is known of conferences and of the spool.
#[derive(Debug)]
pub(super) struct Spool {
    wake: watch::Sender<()>,
    /// Names of conferences with somebody in them: what happens last may be told when they are deleted.
    names: HashMap<ConferenceKey, Names>,
    /// Events written for each hook since it was last looked.
    written: HashMap<String, u32>,
    fresh: bool,
}

#[derive(Clone, Debug)]
struct Names {
    id: String,
    aliases: Vec<String>,
}

impl Names {
    fn of(conference: &Conference) -> Names {
        Names { id: conference.id.to_string(), aliases: conference.settings.aliases.clone() }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

impl Spool {
    pub(super) fn new(model: &Model) -> (Spool, watch::Receiver<()>) {
        let (wake, woken) = watch::channel(());
        let alive = model.conferences().filter(|conference| !conference.members.is_empty());
        let names = alive.map(|conference| (conference.key, Names::of(conference))).collect();
        (Spool { wake, names, written: HashMap::new(), fresh: false }, woken)
    }
}

impl Driver {
    /// What is to be written of these events.
    pub(super) fn spool(&mut self, events: &[Event]) -> Vec<Write> {
        let directory = self.accounts.now();
        let mut writes = Vec::new();
        let unix = self.clock.now().unix;
        for event in events {
            let known = self.model.conference(event.conference).map(Names::of);
            let names = match known {
                Some(names) => {
                    self.spool.names.insert(event.conference, names.clone());
                    names
                }
                None => match self.spool.names.get(&event.conference) {
                    Some(names) => names.clone(),
                    None => continue,
                },
            };
            if event.body == EventBody::MeetingEnded {
                self.spool.names.remove(&event.conference);
            }
            let Some(kind) = outside::kind(event.audience, &event.body) else { continue };
            let wanting = |hook: &Hook| hook.wants(kind, names.all());
            let mut body = None;
            for (id, _) in directory.hooks.iter().filter(|(_, hook)| wanting(hook)) {
                let body = body.get_or_insert_with(|| {
                    let conference = json!({"id": names.id, "alias": names.aliases.first()});
                    let data = outside::data(&event.body);
                    json!({"at": unix, "kind": kind, "conference": conference, "data": data}).to_string()
                });
                writes.push(Write::Spool(id.clone(), body.clone()));
                let written = self.spool.written.entry(id.clone()).or_default();
                *written += 1;
                if *written % TRIM == 1 {
                    writes.push(Write::TrimSpool(id.clone(), self.settings.webhook_spool));
                }
            }
        }
        self.spool.fresh |= !writes.is_empty();
        self.spool.written.retain(|id, _| directory.hooks.contains_key(id));
        writes
    }

    /// A batch is written: couriers look, and what gave way is counted.
    pub(super) fn spool_written(&mut self) {
        for (hook, lost) in self.store.given_way() {
            tracing::warn!(hook, lost, "events for a webhook gave way: its spool is full");
            self.gauges.hooks.of(&hook, |state| state.lost += lost);
        }
        if std::mem::take(&mut self.spool.fresh) {
            // Nobody looks: that is no error.
            let _ = self.spool.wake.send(());
        }
    }
}
