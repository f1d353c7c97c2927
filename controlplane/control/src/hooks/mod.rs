//! Webhooks: what happens in conferences, told to configured URLs; at least once, in order, signed.
//!
//! The driver writes each event for each hook that wants it into the spool, in the transaction of what made it happen. A task
//! for each hook ([`deliver`]) sends the oldest ones, and only when the receiver took them they leave the spool. So nothing
//! is lost while a receiver is down or this process is killed, and something may come twice: receivers know it by its id.
//! The spool is bounded (`webhooks.spool` for each hook); beyond, the oldest events give way, are counted, and the receiver is
//! told how many.

pub mod deliver;
mod rule;
mod send;

pub use rule::{Target, allowed};
pub use send::{SIGNATURE, sign};

use crate::outside::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most webhooks. At the limit the next one is refused.
pub const MAX_HOOKS: usize = 100;
/// Most conferences that a webhook names.
pub const MAX_NAMED: usize = 100;
/// Longest URL.
pub const MAX_URL: usize = 2_048;

/// A receiver. Its secret is needed in clear to sign: who reads the store can sign as we do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// `https://…`
    pub url: String,
    /// Signs what is sent.
    pub secret: String,
    /// What is told.
    pub kinds: Vec<Kind>,
    /// Conferences by UUID or alias; empty = all.
    #[serde(default)]
    pub conferences: Vec<String>,
    /// Unix seconds.
    #[serde(default)]
    pub created: u64,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("url", &self.url).field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

/// What is to be another of a webhook; `None` = as it was.
#[derive(Clone, Default)]
pub struct HookChange {
    /// See [`Hook::url`].
    pub url: Option<String>,
    /// See [`Hook::kinds`].
    pub kinds: Option<Vec<Kind>>,
    /// See [`Hook::conferences`].
    pub conferences: Option<Vec<String>>,
    /// See [`Hook::secret`].
    pub secret: Option<String>,
}

impl std::fmt::Debug for HookChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HookChange").field("url", &self.url).field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl Hook {
    /// Does a change.
    pub fn change(&mut self, change: HookChange) {
        let HookChange { url, kinds, conferences, secret } = change;
        self.url = url.unwrap_or(std::mem::take(&mut self.url));
        self.kinds = kinds.unwrap_or(std::mem::take(&mut self.kinds));
        self.conferences = conferences.unwrap_or(std::mem::take(&mut self.conferences));
        self.secret = secret.unwrap_or(std::mem::take(&mut self.secret));
    }

    /// Whether it is told of such an event of the conference with these names.
    pub fn wants<'a>(&self, kind: Kind, mut names: impl Iterator<Item = &'a str>) -> bool {
        let named = |name: &str| self.conferences.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.kinds.contains(&kind) && (self.conferences.is_empty() || names.any(named))
    }
}

/// A fresh id and secret.
pub fn make_secret() -> (String, String) {
    let id: String = rand::random::<[u8; 6]>().iter().map(|byte| format!("{byte:02x}")).collect();
    (id, format!("plw_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())))
}

/// How the deliveries to a hook go, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Events that wait, as last looked.
    pub pending: u64,
    /// Deliveries that the receiver took.
    pub delivered: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// Events that gave way at the bound of the spool.
    pub lost: u64,
    /// Why the last delivery failed; empty once one was taken.
    pub error: String,
}

/// The states of all hooks.
#[derive(Debug, Default)]
pub struct States(Mutex<BTreeMap<String, State>>);

impl States {
    /// As they are now.
    pub fn now(&self) -> BTreeMap<String, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes one.
    pub(crate) fn of(&self, hook: &str, change: impl FnOnce(&mut State)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(hook.to_owned()).or_default());
    }

    /// Forgets those of hooks that are gone.
    pub(crate) fn keep(&self, known: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|hook, _| known(hook));
    }
}

/// What the spool has for a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spooled {
    /// Ids and events, the oldest first.
    pub events: Vec<(u64, String)>,
    /// How many there are in all.
    pub pending: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_told_what_it_asked_for_and_its_secret_is_never_printed() {
        let hook = Hook {
            url: "https://example.org".into(),
            secret: "geheim".into(),
            kinds: vec![Kind::ParticipantJoined],
            conferences: vec!["2000@Plenum.local".into()],
            created: 0,
        };
        let names = ["some-uuid", "2000", "2000@plenum.local"];
        assert!(hook.wants(Kind::ParticipantJoined, names.into_iter()));
        assert!(!hook.wants(Kind::Message, names.into_iter()));
        assert!(!hook.wants(Kind::ParticipantJoined, ["3000"].into_iter()));
        assert!(Hook { conferences: Vec::new(), ..hook.clone() }.wants(Kind::ParticipantJoined, ["3000"].into_iter()));
        assert!(!format!("{hook:?}").contains("geheim"));
        let change = HookChange { secret: Some("geheim2".into()), ..HookChange::default() };
        assert!(!format!("{change:?}").contains("geheim"));
        let mut other = hook.clone();
        other.change(change);
        assert_eq!(Hook { secret: "geheim2".into(), ..hook }, other, "the rest is as it was");
    }
}
