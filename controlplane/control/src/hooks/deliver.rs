//! The tasks that deliver: one for each hook, one delivery at a time, so that a receiver gets everything in order.
//!
//! What fails is sent again, the same events first, after 0.5 s, then twice as long each time up to a minute, each with some
//! chance in it. A receiver that is down holds up nobody but itself.

use super::send::{send, tls};
use super::{Hook, Spooled};
use crate::driver::{Gauges, Handle, Reply, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Events in one delivery.
const BATCH: u32 = 100;
/// Before the first attempt after a failure.
const FIRST: Duration = Duration::from_millis(500);
/// Before the later ones, at most.
const LAST: Duration = Duration::from_secs(60);
/// How often it is looked whether there are other hooks, beside each time that something is spooled.
const LOOK: Duration = Duration::from_secs(1);

/// Delivers until `ending`.
pub async fn run(handle: Handle, gauges: Arc<Gauges>, private: bool, mut ending: watch::Receiver<bool>) {
    let mut running: BTreeMap<String, (Hook, JoinHandle<()>)> = BTreeMap::new();
    let tls = match tls() {
        Ok(tls) => tls,
        Err(error) => return tracing::error!(%error, "webhooks are not delivered: no TLS"),
    };
    let mut spooled = handle.spooled();
    loop {
        let directory = handle.accounts().now();
        running.retain(|id, (hook, task)| {
            let stays = directory.hooks.get(id) == Some(hook) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        gauges.hooks.keep(|id| directory.hooks.contains_key(id));
        for (id, hook) in &directory.hooks {
            if !running.contains_key(id) {
                let courier = Courier {
                    id: id.clone(),
                    hook: hook.clone(),
                    handle: handle.clone(),
                    gauges: gauges.clone(),
                    tls: tls.clone(),
                    private,
                    told_lost: 0,
                };
                running.insert(id.clone(), (hook.clone(), tokio::spawn(courier.run())));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            changed = spooled.changed() => if changed.is_err() { break },
            _ = ending.wait_for(|end| *end) => break,
        }
    }
    running.into_values().for_each(|(_, task)| task.abort());
}

/// Delivers to one hook.
#[derive(Debug)]
struct Courier {
    id: String,
    hook: Hook,
    handle: Handle,
    gauges: Arc<Gauges>,
    tls: Arc<rustls::ClientConfig>,
    private: bool,
    /// Lost events that the receiver was told of.
    told_lost: u64,
}

impl Courier {
    async fn run(mut self) {
        let mut wait = FIRST;
        let mut spooled = self.handle.spooled();
        loop {
            spooled.mark_unchanged();
            let found = match self.handle.ask(Request::Spooled { hook: self.id.clone(), limit: BATCH }).await {
                Ok(Reply::Spooled(found)) => found,
                _ => Spooled::default(),
            };
            self.gauges.hooks.of(&self.id, |state| state.pending = found.pending);
            let Some((last, _)) = found.events.last() else {
                // Looked at now and then also without a word: the store may have failed.
                if matches!(tokio::time::timeout(LAST, spooled.changed()).await, Ok(Err(_))) {
                    return;
                }
                continue;
            };
            let last = *last;
            if self.deliver(found).await && self.taken(last).await {
                wait = FIRST;
                continue;
            }
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.75..1.25))).await;
            wait = (wait * 2).min(LAST);
        }
    }

    async fn deliver(&mut self, found: Spooled) -> bool {
        let lost = self.gauges.hooks.now().get(&self.id).map_or(0, |state| state.lost);
        let body = body(&found.events, lost.saturating_sub(self.told_lost));
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (url, secret) = (self.hook.url.as_str(), self.hook.secret.as_str());
        match send(&self.tls, (url, secret, self.private), (&self.id, unix), body).await {
            Ok(()) => {
                self.told_lost = lost;
                self.gauges.hooks.of(&self.id, |state| {
                    state.delivered += 1;
                    state.error.clear();
                });
                true
            }
            Err(error) => {
                tracing::debug!(hook = self.id, %error, "a webhook was not delivered");
                self.gauges.hooks.of(&self.id, |state| {
                    state.failed += 1;
                    state.error = error.to_string();
                });
                false
            }
        }
    }

    /// The receiver has everything up to this one. When that cannot be written they are sent again.
    async fn taken(&self, last: u64) -> bool {
        self.handle.ask(Request::Delivered { hook: self.id.clone(), last }).await.is_ok()
    }
}

/// `{"events":[{"id":…,…}],"lost":…}`.
fn body(events: &[(u64, String)], lost: u64) -> Vec<u8> {
    let event = |(id, text): &(u64, String)| {
        let mut event: Value = serde_json::from_str(text).ok()?;
        event.as_object_mut()?.insert("id".into(), (*id).into());
        Some(event)
    };
    let events: Vec<Value> = events.iter().filter_map(event).collect();
    json!({"events": events, "lost": lost}).to_string().into_bytes()
}
