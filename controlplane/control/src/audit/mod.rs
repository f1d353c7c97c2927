//! Who did what, when, from where, with what result.
//!
//! A request that steers carries its [`Origin`]; the driver writes the [`Entry`] in the transaction of what was done, so one is
//! not there without the other. Entries name things and never secrets: no PIN, password, key, token, chat text or tone. They
//! are kept by [`Class`], so that neither a busy host nor somebody who guesses passwords pushes out what operators did.

mod describe;

pub use describe::{Deed, deed};

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

/// Entries that one query looks at. The answer says where the next one goes on.
pub const WINDOW: u64 = 10_000;
/// Most entries in one answer.
pub const PAGE: u32 = 1_000;
/// Refused logins that are written down in a second; more are counted only (`plenum_audit_dropped_total`).
pub const REFUSALS_A_SECOND: u32 = 20;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Which API: `rest`, `cms`, `mgmt`.
    pub face: &'static str,
    /// Address; of a request by the socket, this machine's.
    pub ip: IpAddr,
    /// The operator; `None` = the holder of the token that the request shows.
    pub who: Option<Who>,
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Who {
    /// Name of the account or key.
    pub name: String,
    /// `password`, `key` or `socket`.
    pub via: &'static str,
}

/// What kind of entry it is: each keeps `audit.keep` entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What operators did, and their logins.
    Operator = 0,
    /// What hosts did.
    Host = 1,
    /// Logins that were refused.
    Refused = 2,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Unix seconds.
    pub at: u64,
    /// Account, key, `local`, or a host's display name.
    pub who: String,
    /// `password`, `key`, `socket` or `token`.
    pub via: String,
    /// Address.
    pub ip: String,
    /// `rest`, `cms` or `mgmt`.
    pub face: String,
    /// What was asked: `conference_create`, `lock`, `mute`, `login` …
    pub action: String,
    /// The conference, as it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<String>,
    /// The participant, account, key or webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// More, never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `done`, or why not.
    pub result: String,
}

/// An entry on its way to the store.
#[derive(Clone, Debug)]
pub struct Note {
    /// How long it is kept.
    pub class: Class,
    /// What it says.
    pub entry: Entry,
}

/// Which entries are asked for; everything that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only entries before this id; 0 = from the newest.
    pub before: u64,
    /// Most entries, at most [`PAGE`].
    pub limit: u32,
    /// Not before this second.
    pub since: u64,
    /// Before this second; 0 = now.
    pub until: u64,
    /// Exactly this name.
    pub who: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
    /// Exactly this conference, as it was named.
    pub conference: Option<String>,
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The newest first.
    pub entries: Vec<(u64, Entry)>,
    /// Where to go on (`before`); `None` = that was all.
    pub next: Option<u64>,
}
