//! What can be written, and the statement of each.

use crate::audit::{Class, Note};
use sqlx::{Sqlite, query};
use std::sync::Arc;

/// One change. `None` deletes.
#[derive(Clone, Debug)]
pub enum Write {
    /// A conference.
    Conference(i64, Option<String>),
    /// The logo of a conference that is there; it goes with it.
    Logo(i64, Option<Arc<[u8]>>),
    /// A participant, with the conference; deleting takes the tokens along.
    Participant(i64, i64, Option<String>),
    /// A token: conference and participant.
    Token([u8; 32], Option<(i64, i64)>),
    /// A leg.
    Leg(i64, Option<String>),
    /// An account, by name.
    Account(String, Option<String>),
    /// An API key, by id.
    Key(String, Option<String>),
    /// An entry of the audit log.
    Audit(Box<Note>),
    /// Only so many of these entries stay, the newest.
    TrimAudit(Class, u32),
    /// A webhook, by id; deleting takes its spool along.
    Hook(String, Option<String>),
    /// An event for a webhook.
    Spool(String, String),
    /// A webhook has everything up to this id.
    Delivered(String, u64),
    /// Only so many events of a webhook stay, the newest.
    TrimSpool(String, u32),
    /// A part of the log of a meeting: its last number, the number before its first, its entries.
    Log(i64, i64, i64, String),
    /// What is older than this number of the log of a meeting is not kept any more.
    TrimLog(i64, i64),
    /// The meeting is over, and its log with it.
    LogOver(i64),
    /// A call that may come back: of whom, and for what.
    Lost(i64, &'static str, Option<String>),
}

/// The statement of a write.
pub(super) fn statement(write: &Write) -> sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments> {
    match write {
        Write::Conference(key, Some(body)) => {
            query("INSERT OR REPLACE INTO conferences (key, body) VALUES (?, ?)").bind(*key).bind(body)
        }
        Write::Conference(key, None) => query("DELETE FROM conferences WHERE key = ?").bind(*key),
        Write::Logo(key, Some(png)) => {
            // In the same transaction the conference may have been deleted.
            let sql = "INSERT OR REPLACE INTO logos (conference, png) SELECT key, ?2 FROM conferences WHERE key = ?1";
            query(sql).bind(*key).bind(&png[..])
        }
        Write::Logo(key, None) => query("DELETE FROM logos WHERE conference = ?").bind(*key),
        Write::Participant(key, conference, Some(body)) => {
            let sql = "INSERT OR REPLACE INTO participants (key, conference, body) VALUES (?, ?, ?)";
            query(sql).bind(*key).bind(*conference).bind(body)
        }
        Write::Participant(key, _, None) => query("DELETE FROM participants WHERE key = ?").bind(*key),
        Write::Token(hash, Some((conference, participant))) => {
            let sql = "INSERT OR REPLACE INTO tokens (hash, conference, participant) VALUES (?, ?, ?)";
            query(sql).bind(&hash[..]).bind(*conference).bind(*participant)
        }
        Write::Token(hash, None) => query("DELETE FROM tokens WHERE hash = ?").bind(&hash[..]),
        Write::Leg(key, Some(body)) => {
            query("INSERT OR REPLACE INTO legs (key, body) VALUES (?, ?)").bind(*key).bind(body)
        }
        Write::Leg(key, None) => query("DELETE FROM legs WHERE key = ?").bind(*key),
        Write::Account(name, Some(body)) => {
            query("INSERT OR REPLACE INTO accounts (name, body) VALUES (?, ?)").bind(name).bind(body)
        }
        Write::Account(name, None) => query("DELETE FROM accounts WHERE name = ?").bind(name),
        Write::Key(id, Some(body)) => query("INSERT OR REPLACE INTO keys (id, body) VALUES (?, ?)").bind(id).bind(body),
        Write::Key(id, None) => query("DELETE FROM keys WHERE id = ?").bind(id),
        Write::Audit(note) => {
            let Note { class, entry } = &**note;
            let sql = "INSERT INTO audit (class, at, who, action, conference, body) VALUES (?, ?, ?, ?, ?, ?)";
            // Strings and numbers always have a JSON form.
            let body = serde_json::to_string(entry).unwrap_or_default();
            let row = query(sql).bind(*class as i64).bind(entry.at.cast_signed()).bind(&entry.who).bind(&entry.action);
            row.bind(entry.conference.as_deref().unwrap_or_default()).bind(body)
        }
        Write::Hook(id, Some(body)) => {
            query("INSERT OR REPLACE INTO hooks (id, body) VALUES (?, ?)").bind(id).bind(body)
        }
        Write::Hook(id, None) => query("DELETE FROM hooks WHERE id = ?").bind(id),
        Write::Spool(hook, body) => query("INSERT INTO spool (hook, body) VALUES (?, ?)").bind(hook).bind(body),
        Write::Delivered(hook, last) => {
            query("DELETE FROM spool WHERE hook = ? AND id <= ?").bind(hook).bind(last.cast_signed())
        }
        Write::TrimSpool(hook, keep) => {
            let sql = "DELETE FROM spool WHERE hook = ?1 AND id <= \
                       (SELECT id FROM spool WHERE hook = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            query(sql).bind(hook).bind(i64::from(*keep))
        }
        Write::Log(meeting, last, after, body) => {
            let sql = "INSERT OR REPLACE INTO log (meeting, last, after, body) VALUES (?, ?, ?, ?)";
            query(sql).bind(*meeting).bind(*last).bind(*after).bind(body)
        }
        Write::TrimLog(meeting, number) => {
            query("DELETE FROM log WHERE meeting = ? AND last <= ?").bind(*meeting).bind(*number)
        }
        Write::LogOver(meeting) => query("DELETE FROM log WHERE meeting = ?").bind(*meeting),
        Write::Lost(participant, purpose, Some(body)) => {
            let sql = "INSERT OR REPLACE INTO lost (participant, purpose, body) VALUES (?, ?, ?)";
            query(sql).bind(*participant).bind(*purpose).bind(body)
        }
        Write::Lost(participant, purpose, None) => {
            query("DELETE FROM lost WHERE participant = ? AND purpose = ?").bind(*participant).bind(*purpose)
        }
        Write::TrimAudit(class, keep) => {
            let sql = "DELETE FROM audit WHERE class = ?1 AND id <= \
                       (SELECT id FROM audit WHERE class = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            query(sql).bind(*class as i64).bind(i64::from(*keep))
        }
    }
}
