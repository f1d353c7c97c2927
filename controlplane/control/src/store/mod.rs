//! What outlives the process: conferences, participants with their calls, tokens (as hashes), media connections, event logs,
//! accounts and keys.
//!
//! SQLite in WAL mode with one connection, owned by the driver. Rows are whole values: a key and a JSON body ([`rows`]), so
//! that a field can be added without a migration. One batch of the driver is one transaction; WAL with `synchronous =
//! NORMAL` loses nothing when the process is killed (a power cut may lose the last transactions, never the consistency).
//! The store decides nothing.

pub mod log;
pub mod rows;
mod writes;

pub use writes::Write;

use crate::accounts::Directory;
use crate::audit::{Found, PAGE, Query, WINDOW};
use crate::events::Part;
use crate::hooks::Spooled;
use futures_util::TryStreamExt;
use plenum_contract::SessionSpec;
use plenum_contract::spec::SlotWish;
use plenum_model::{CallId, ConferenceKey, LegKey, ParticipantKey, Purpose, Saved, TokenHash};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Row, query, query_scalar};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use writes::statement;

/// Schema steps; `PRAGMA user_version` says how many are done. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE conferences (key INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
     CREATE TABLE participants (key INTEGER PRIMARY KEY, conference INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
     CREATE TABLE tokens (hash BLOB PRIMARY KEY, conference INTEGER NOT NULL, participant INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX tokens_by_participant ON tokens (participant);
     CREATE TABLE legs (key INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
     CREATE TABLE operators (name TEXT PRIMARY KEY, password TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE keys (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO accounts SELECT name, json_object('role', 'admin', 'password', password) FROM operators;
     DROP TABLE operators;",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, class INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
       action TEXT NOT NULL, conference TEXT NOT NULL, body TEXT NOT NULL) STRICT;
     CREATE INDEX audit_by_class ON audit (class, id);",
    "CREATE TABLE hooks (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE spool (id INTEGER PRIMARY KEY AUTOINCREMENT, hook TEXT NOT NULL, body TEXT NOT NULL) STRICT;
     CREATE INDEX spool_by_hook ON spool (hook, id);",
    "CREATE TABLE log (meeting INTEGER NOT NULL, last INTEGER NOT NULL, after INTEGER NOT NULL, body TEXT NOT NULL,
       PRIMARY KEY (meeting, last)) STRICT;
     CREATE TABLE lost (participant INTEGER NOT NULL, purpose TEXT NOT NULL, body TEXT NOT NULL,
       PRIMARY KEY (participant, purpose)) STRICT;",
    "CREATE TABLE logos (conference INTEGER PRIMARY KEY, png BLOB NOT NULL) STRICT;",
];

/// How long a write waits for another process that has the store open. Longer would hold up everybody's requests.
const BUSY: Duration = Duration::from_millis(500);

/// Why the store failed. Requests that need it are answered 503.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite, or the disk below it.
    #[error("the store failed")]
    Sql(#[from] sqlx::Error),
    /// It was made by a later version of this program.
    #[error("the store has schema version {0}, this program knows {known}", known = MIGRATIONS.len())]
    Newer(i64),
    /// A value cannot be written.
    #[error("a row cannot be written")]
    Row(#[from] serde_json::Error),
}

/// A media connection as it is kept: enough to answer an ICE restart and to tell media again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    /// What media was asked for.
    pub spec: SessionSpec,
    /// First of its track keys.
    pub first_track: u64,
    /// Whether the whole call is a presentation, and which way.
    #[serde(default)]
    pub present: Option<rows::PresentRow>,
    /// Sizes at which the client shows its slots, as it last said.
    #[serde(default)]
    pub wishes: Vec<SlotWish>,
    /// Whether the client asked for the mix; `None` = it left that to us.
    #[serde(default)]
    pub mix: Option<bool>,
    /// Whether it takes nothing any more for a while.
    #[serde(default)]
    pub on_hold: bool,
}

/// A call that ended with its media plane and may come back.
#[derive(Clone, Debug, PartialEq)]
pub struct LostCall {
    /// Its outside name.
    pub id: CallId,
    /// Whether it carried pictures.
    pub video: bool,
    /// Whether its camera could be steered from afar.
    pub fecc: bool,
    /// Whether the client had acknowledged it: it does not do so again.
    pub started: bool,
    /// Its media connection.
    pub record: LegRecord,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// For [`plenum_model::Model::restore`].
    pub saved: Saved,
    /// Media connections.
    pub legs: Vec<(LegKey, LegRecord)>,
    /// Logos that conferences have of their own.
    pub logos: Vec<(ConferenceKey, Vec<u8>)>,
    /// Calls that may come back.
    pub lost: Vec<(ParticipantKey, Purpose, LostCall)>,
    /// Logs by the number of their meeting: their parts, the oldest first. What is before a part that cannot be read is left out.
    pub logs: BTreeMap<u64, Vec<Part>>,
    /// Rows that could not be read; they are named in the log and left as they are.
    pub unreadable: usize,
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    connection: SqliteConnection,
    /// Where it lies; `None` = in memory.
    file: Option<PathBuf>,
    /// The last write was refused because the file cannot be written. SQLite opens such a file for reading and goes on so.
    read_only: bool,
    /// Events that gave way at the bound of a spool, since this was last asked.
    given_way: Vec<(String, u64)>,
}

impl Store {
    /// Opens the file, making it and its tables where they are missing. One that cannot be written is opened all the same, if
    /// its tables are those of this version: writes then fail until it can be.
    ///
    /// # Errors
    /// It cannot be opened, or a later version made it.
    pub async fn open(file: &Path) -> Result<Store, StoreError> {
        let store = Store::with(SqliteConnectOptions::new().filename(file).create_if_missing(true)).await?;
        Ok(Store { file: Some(file.to_owned()), ..store })
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn in_memory() -> Result<Store, StoreError> {
        Store::with(SqliteConnectOptions::new().in_memory(true)).await
    }

    async fn with(options: SqliteConnectOptions) -> Result<Store, StoreError> {
        let options =
            options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal).busy_timeout(BUSY);
        let connection = SqliteConnection::connect_with(&options).await?;
        let mut store = Store { connection, file: None, read_only: false, given_way: Vec::new() };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&mut self) -> Result<(), StoreError> {
        let version: i64 = query_scalar("PRAGMA user_version").fetch_one(&mut self.connection).await?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        if done > MIGRATIONS.len() {
            return Err(StoreError::Newer(version));
        }
        for (i, step) in MIGRATIONS.iter().enumerate().skip(done) {
            let mut transaction = self.connection.begin().await?;
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
            let mark = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", i + 1));
            sqlx::raw_sql(mark).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Writes a batch: all of it or nothing.
    ///
    /// # Errors
    /// The disk or SQLite failed; nothing was written.
    pub async fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if self.read_only
            && let Some(file) = self.file.clone()
        {
            // What was opened for reading stays so, even if the file can be written again.
            let given_way = std::mem::take(&mut self.given_way);
            *self = Store { given_way, ..Store::open(&file).await? };
        }
        let written = self.write(writes).await;
        self.read_only = matches!(&written, Err(StoreError::Sql(error)) if is_read_only(error));
        written
    }

    async fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let mut given_way = Vec::new();
        let mut transaction = self.connection.begin().await?;
        for write in writes {
            let done = statement(write).execute(&mut *transaction).await?;
            if let Write::TrimSpool(hook, _) = write
                && done.rows_affected() > 0
            {
                given_way.push((hook.clone(), done.rows_affected()));
            }
            if let Write::Conference(key, None) = write {
                query("DELETE FROM logos WHERE conference = ?").bind(*key).execute(&mut *transaction).await?;
            }
            if let Write::Hook(id, None) = write {
                query("DELETE FROM spool WHERE hook = ?").bind(id).execute(&mut *transaction).await?;
            }
            if let Write::Participant(key, _, None) = write {
                query("DELETE FROM tokens WHERE participant = ?").bind(*key).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        self.given_way.extend(given_way);
        Ok(())
    }

    /// Events of webhooks that gave way since this was last asked.
    pub fn given_way(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.given_way)
    }

    /// What waits for a webhook, the oldest first, and how many there are.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn spooled(&mut self, hook: &str, limit: u32) -> Result<Spooled, StoreError> {
        let sql = "SELECT id, body FROM spool WHERE hook = ? ORDER BY id LIMIT ?";
        let rows = query(sql).bind(hook).bind(i64::from(limit)).fetch_all(&mut self.connection).await?;
        let mut found = Spooled::default();
        for row in rows {
            let (id, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            found.events.push((id.cast_unsigned(), body));
        }
        let count = query_scalar::<_, i64>("SELECT count(*) FROM spool WHERE hook = ?").bind(hook);
        found.pending = count.fetch_one(&mut self.connection).await?.cast_unsigned();
        Ok(found)
    }

    /// Everything, at start.
    ///
    /// # Errors
    /// SQLite failed. A single bad row is no error.
    pub async fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        let bad = |what: &str, key: i64, unreadable: &mut usize| {
            tracing::error!(what, key, "a row of the store cannot be read and is left out");
            *unreadable += 1;
        };
        for row in query("SELECT key, body FROM conferences").fetch_all(&mut self.connection).await? {
            let (key, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            match rows::conference(key, &body) {
                Some(conference) => loaded.saved.conferences.push(conference),
                None => bad("conference", key, &mut loaded.unreadable),
            }
        }
        for row in query("SELECT key, conference, body FROM participants").fetch_all(&mut self.connection).await? {
            let (key, conference, body): (i64, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match rows::participant(key, &body) {
                Some(participant) => loaded.saved.participants.push((rows::conference_key(conference), participant)),
                None => bad("participant", key, &mut loaded.unreadable),
            }
        }
        for row in query("SELECT hash, conference, participant FROM tokens").fetch_all(&mut self.connection).await? {
            let (hash, conference, key): (Vec<u8>, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match <[u8; 32]>::try_from(hash) {
                Ok(hash) => {
                    let participant = ParticipantKey(key.cast_unsigned());
                    loaded.saved.tokens.push((rows::conference_key(conference), TokenHash(hash), participant));
                }
                Err(_) => bad("token", key, &mut loaded.unreadable),
            }
        }
        for row in query("SELECT key, body FROM legs").fetch_all(&mut self.connection).await? {
            let (key, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str(&body) {
                Ok(record) => loaded.legs.push((LegKey(key.cast_unsigned()), record)),
                Err(_) => bad("leg", key, &mut loaded.unreadable),
            }
        }
        for row in query("SELECT participant, purpose, body FROM lost").fetch_all(&mut self.connection).await? {
            let (key, purpose, body): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            match rows::purpose(&purpose).zip(rows::lost_call(&body)) {
                Some((purpose, call)) => loaded.lost.push((ParticipantKey(key.cast_unsigned()), purpose, call)),
                // Its client sets it up anew.
                None => tracing::error!(key, "a lost call of the store cannot be read and is left out"),
            }
        }
        for row in query("SELECT conference, png FROM logos").fetch_all(&mut self.connection).await? {
            loaded.logos.push((rows::conference_key(row.try_get(0)?), row.try_get(1)?));
        }
        self.load_logs(&mut loaded).await?;
        Ok(loaded)
    }

    async fn load_logs(&mut self, loaded: &mut Loaded) -> Result<(), StoreError> {
        let sql = "SELECT meeting, last, after, body FROM log ORDER BY meeting, last";
        let mut rows = query(sql).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let numbers: (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let body: String = row.try_get(3)?;
            let (meeting, last, after) =
                (numbers.0.cast_unsigned(), numbers.1.cast_unsigned(), numbers.2.cast_unsigned());
            let parts = loaded.logs.entry(meeting).or_default();
            match log::part(after, last, &body) {
                Some(part) => parts.push(part),
                None => {
                    tracing::error!(meeting, last, "a part of an event log cannot be read: what is older is left out");
                    *parts = vec![Part { after: last, entries: Vec::new() }];
                }
            }
        }
        Ok(())
    }

    /// A value of the installation.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(query_scalar("SELECT value FROM meta WHERE key = ?").bind(key).fetch_optional(&mut self.connection).await?)
    }

    /// Sets a value of the installation.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        query(sql).bind(key).bind(value).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Accounts and keys. One that cannot be read is named in the log and left as it is.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn directory(&mut self) -> Result<Directory, StoreError> {
        let mut directory = Directory::default();
        for row in query("SELECT name, body FROM accounts").fetch_all(&mut self.connection).await? {
            let (name, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str(&body) {
                Ok(account) => drop(directory.accounts.insert(name, account)),
                Err(_) => tracing::error!(name, "an account of the store cannot be read and is left out"),
            }
        }
        for row in query("SELECT id, body FROM keys").fetch_all(&mut self.connection).await? {
            let (id, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str(&body) {
                Ok(key) => drop(directory.keys.insert(id, key)),
                Err(_) => tracing::error!(id, "a key of the store cannot be read and is left out"),
            }
        }
        for row in query("SELECT id, body FROM hooks").fetch_all(&mut self.connection).await? {
            let (id, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            match serde_json::from_str(&body) {
                Ok(hook) => drop(directory.hooks.insert(id, hook)),
                Err(_) => tracing::error!(id, "a webhook of the store cannot be read and is left out"),
            }
        }
        Ok(directory)
    }

    /// A part of the audit log: looks at no more than [`WINDOW`] entries.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn audit(&mut self, asked: &Query) -> Result<Found, StoreError> {
        let newest: Option<i64> = query_scalar("SELECT max(id) FROM audit").fetch_one(&mut self.connection).await?;
        let oldest: Option<i64> = query_scalar("SELECT min(id) FROM audit").fetch_one(&mut self.connection).await?;
        let end = newest.unwrap_or(0) + 1;
        let before = if asked.before == 0 { end } else { end.min(i64::try_from(asked.before).unwrap_or(i64::MAX)) };
        let from = before.saturating_sub(WINDOW.cast_signed());
        let limit = asked.limit.clamp(1, PAGE);
        let until = if asked.until == 0 { i64::MAX } else { i64::try_from(asked.until).unwrap_or(i64::MAX) };
        let sql =
            "SELECT id, body FROM audit WHERE id < ?1 AND id >= ?2 AND at >= ?3 AND at < ?4 AND (?5 IS NULL OR who = ?5)
                   AND (?6 IS NULL OR action = ?6) AND (?7 IS NULL OR conference = ?7) ORDER BY id DESC LIMIT ?8";
        let rows = query(sql).bind(before).bind(from).bind(i64::try_from(asked.since).unwrap_or(i64::MAX)).bind(until);
        let rows = rows.bind(&asked.who).bind(&asked.action).bind(&asked.conference).bind(i64::from(limit));
        let mut found = Found::default();
        let mut last = from;
        let rows = rows.fetch_all(&mut self.connection).await?;
        if rows.len() == limit as usize {
            last = rows.last().map_or(Ok(from), |row| row.try_get(0))?;
        }
        for row in rows {
            let (id, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            if let Ok(entry) = serde_json::from_str(&body) {
                found.entries.push((id.cast_unsigned(), entry));
            }
        }
        found.next = (last > oldest.unwrap_or(last)).then_some(last.cast_unsigned());
        Ok(found)
    }

    /// Ends it in order; the WAL is folded into the file.
    pub async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the store did not close in order");
        }
    }
}

/// SQLITE_READONLY, whatever its extended code says.
fn is_read_only(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_could_not_be_written_is_opened_again_for_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("plenum.db")).await.unwrap();
        let write = [Write::Account("a".into(), Some("{}".into()))];
        query("PRAGMA query_only = 1").execute(&mut store.connection).await.unwrap();
        assert!(matches!(store.commit(&write).await, Err(StoreError::Sql(error)) if is_read_only(&error)));
        assert!(store.read_only);
        store.commit(&write).await.unwrap();
        assert!(!store.read_only);
    }

    #[tokio::test]
    async fn what_is_written_is_there_after_opening_again_and_a_bad_row_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plenum.db");
        let mut store = Store::open(&file).await.unwrap();
        store.set_meta("a", "1").await.unwrap();
        store.set_meta("a", "2").await.unwrap();
        store
            .commit(&[
                Write::Conference(7, Some("{broken".into())),
                Write::Token([3; 32], Some((7, 8))),
                Write::Account("root".into(), Some(r#"{"role":"admin","password":"$argon2id$x"}"#.into())),
                Write::Account("bad".into(), Some("{}".into())),
            ])
            .await
            .unwrap();
        store.close().await;
        let mut store = Store::open(&file).await.unwrap();
        assert_eq!(store.meta("a").await.unwrap().as_deref(), Some("2"));
        let accounts = store.directory().await.unwrap().accounts;
        assert_eq!(accounts.keys().collect::<Vec<_>>(), ["root"]);
        let loaded = store.load().await.unwrap();
        assert_eq!((loaded.unreadable, loaded.saved.tokens.len()), (1, 1));
        store.commit(&[Write::Participant(8, 7, None)]).await.unwrap();
        assert_eq!(store.load().await.unwrap().saved.tokens.len(), 0, "tokens go with their participant");
    }

    #[tokio::test]
    async fn the_operator_of_a_first_version_becomes_an_admin() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plenum.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut old = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(MIGRATIONS[0]).execute(&mut old).await.unwrap();
        let fill = "INSERT INTO operators VALUES ('operator', '$argon2id$x'); PRAGMA user_version = 1";
        sqlx::raw_sql(fill).execute(&mut old).await.unwrap();
        old.close().await.unwrap();
        let accounts = Store::open(&file).await.unwrap().directory().await.unwrap().accounts;
        assert_eq!(accounts["operator"].role, crate::accounts::Role::Admin);
        assert_eq!(&*accounts["operator"].password, "$argon2id$x");
    }

    #[tokio::test]
    async fn a_store_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plenum.db");
        let mut store = Store::open(&file).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 999").execute(&mut store.connection).await.unwrap();
        store.close().await;
        assert!(matches!(Store::open(&file).await, Err(StoreError::Newer(999))));
    }
}
