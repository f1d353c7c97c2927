//! Who may operate: accounts with passwords, API keys, and what their roles allow.
//!
//! The [`Directory`] is a value that the driver changes like everything else: written first, then shown. Whoever checks a
//! login reads the shown one ([`Accounts`]) and asks nobody. Passwords are kept as argon2id hashes, keys as SHA-256 of 256
//! random bits: neither can be read back. Checking a login is [`login`]'s part, who is who in a request that of [`Operator`].

mod login;
mod operator;

pub use login::{Logins, hash_password, make_password};
pub use operator::{Admin, Denied, Operator, Standing, Steerer, Via};

use crate::hooks::{Hook, HookChange, MAX_HOOKS};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::watch;

/// The account that the first start makes.
pub const FIRST_ACCOUNT: &str = "admin";
/// Most accounts. At the limit the next one is refused.
pub const MAX_ACCOUNTS: usize = 1_000;
/// Most API keys. At the limit the next one is refused.
pub const MAX_KEYS: usize = 1_000;
/// Characters of a password that somebody chose.
pub const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// How a key begins, so that scanners of sources find one that leaked.
const KEY_MARK: &str = "plk_";

/// What somebody may do; each may what the one before may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Also makes, changes and steers conferences and who is in them.
    Operator,
    /// Also manages accounts, keys and webhooks, and reads the audit log.
    Admin,
}

impl Role {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// Somebody with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What they may.
    pub role: Role,
    /// argon2id, as a PHC string. A new one is another value even if it says the same.
    #[serde(with = "shared_text")]
    pub password: Arc<str>,
    /// Unix seconds.
    #[serde(default)]
    pub created: u64,
}

/// A program's access.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// For people: what uses it. One key has it.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// Unix seconds.
    #[serde(default)]
    pub created: u64,
    /// Unix seconds of the last request, 0 = never. Written down once a minute at most.
    #[serde(default, with = "shared_number")]
    pub used: Arc<AtomicU64>,
}

/// What admins manage: every account by name, every key and webhook by id.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// By name.
    pub accounts: BTreeMap<String, Account>,
    /// By id.
    pub keys: BTreeMap<String, Key>,
    /// By id.
    pub hooks: BTreeMap<String, Hook>,
}

/// A change that an admin asks for. Secrets in it are hashes already.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new account.
    AddAccount {
        /// Its name.
        name: String,
        /// What it may.
        role: Role,
        /// PHC string.
        password: String,
    },
    /// Another role or password.
    SetAccount {
        /// Whose.
        name: String,
        /// `None` = as it was.
        role: Option<Role>,
        /// PHC string; `None` = as it was.
        password: Option<String>,
    },
    /// The account goes, its logins with it.
    DeleteAccount(String),
    /// A new key.
    AddKey {
        /// Public part.
        id: String,
        /// For people.
        name: String,
        /// What it may.
        role: Role,
        /// SHA-256 of the secret part.
        hash: [u8; 32],
    },
    /// The key with this id or name goes.
    DeleteKey(String),
    /// A new webhook.
    AddHook {
        /// Its id.
        id: String,
        /// What it is.
        hook: Hook,
    },
    /// A webhook is another; what waits for it is told as before.
    SetHook {
        /// Its id.
        id: String,
        /// What of it.
        change: HookChange,
    },
    /// The webhook with this id goes, and what waits for it.
    DeleteHook(String),
}

/// Why a change was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody and nothing has this name.
    #[error("No such {0}")]
    Unknown(&'static str),
    /// Somebody has it.
    #[error("Another {0} has this name")]
    Taken(&'static str),
    /// Nobody could manage accounts any more.
    #[error("The last admin stays: make another account an admin first")]
    LastAdmin,
    /// A limit is reached.
    #[error("Limit of {0} {1} reached")]
    Limit(usize, &'static str),
    /// A value cannot be.
    #[error("{1}")]
    Bad(&'static str, String),
}

/// A row to be written: name or id, and what it says now; `None` = it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// An account.
    Account(String),
    /// A key.
    Key(String),
    /// A webhook.
    Hook(String),
}

impl Directory {
    /// Does a change, or says why not. What is to be written comes back.
    ///
    /// # Errors
    /// [`Refused`]; nothing was changed.
    pub fn apply(&mut self, unix: u64, change: Change) -> Result<Touched, Refused> {
        match change {
            Change::AddAccount { name, role, password } => {
                check_name("name", &name)?;
                if self.accounts.contains_key(&name) {
                    return Err(Refused::Taken("account"));
                }
                if self.accounts.len() >= MAX_ACCOUNTS {
                    return Err(Refused::Limit(MAX_ACCOUNTS, "accounts"));
                }
                self.accounts.insert(name.clone(), Account { role, password: password.into(), created: unix });
                Ok(Touched::Account(name))
            }
            Change::SetAccount { name, role, password } => {
                let last = self.is_last_admin(&name);
                let account = self.accounts.get_mut(&name).ok_or(Refused::Unknown("account"))?;
                if last && role.is_some_and(|role| role != Role::Admin) {
                    return Err(Refused::LastAdmin);
                }
                account.role = role.unwrap_or(account.role);
                if let Some(password) = password {
                    account.password = password.into();
                }
                Ok(Touched::Account(name))
            }
            Change::DeleteAccount(name) => {
                if self.is_last_admin(&name) {
                    return Err(Refused::LastAdmin);
                }
                self.accounts.remove(&name).ok_or(Refused::Unknown("account"))?;
                Ok(Touched::Account(name))
            }
            Change::AddKey { id, name, role, hash } => {
                check_name("name", &name)?;
                if self.keys.contains_key(&id) || self.key_named(&name).is_some() {
                    return Err(Refused::Taken("key"));
                }
                if self.keys.len() >= MAX_KEYS {
                    return Err(Refused::Limit(MAX_KEYS, "keys"));
                }
                self.keys.insert(id.clone(), Key { name, role, hash, created: unix, used: Arc::default() });
                Ok(Touched::Key(id))
            }
            Change::DeleteKey(name) => {
                let id = if self.keys.contains_key(&name) { Some(name) } else { self.key_named(&name).cloned() };
                let id = id.ok_or(Refused::Unknown("key"))?;
                self.keys.remove(&id);
                Ok(Touched::Key(id))
            }
            Change::AddHook { id, hook } => {
                if self.hooks.len() >= MAX_HOOKS {
                    return Err(Refused::Limit(MAX_HOOKS, "webhooks"));
                }
                self.hooks.insert(id.clone(), Hook { created: unix, ..hook });
                Ok(Touched::Hook(id))
            }
            Change::SetHook { id, change } => {
                self.hooks.get_mut(&id).ok_or(Refused::Unknown("webhook"))?.change(change);
                Ok(Touched::Hook(id))
            }
            Change::DeleteHook(id) => {
                self.hooks.remove(&id).ok_or(Refused::Unknown("webhook"))?;
                Ok(Touched::Hook(id))
            }
        }
    }

    fn key_named(&self, name: &str) -> Option<&String> {
        self.keys.iter().find(|(_, key)| key.name == name).map(|(id, _)| id)
    }

    fn is_last_admin(&self, name: &str) -> bool {
        let admin = |account: &Account| account.role == Role::Admin;
        self.accounts.get(name).is_some_and(admin)
            && self.accounts.values().filter(|account| admin(account)).count() == 1
    }

    /// The key that a `Bearer` shows.
    pub fn key(&self, shown: &str) -> Option<&Key> {
        use subtle::ConstantTimeEq as _;
        let (id, secret) = shown.strip_prefix(KEY_MARK)?.split_once('_')?;
        let key = self.keys.get(id)?;
        bool::from(key.hash.ct_eq(&hash(secret))).then_some(key)
    }
}

/// Letters, digits and `. _ - @`: a name stands in paths, in Basic credentials and in logs.
fn check_name(field: &'static str, name: &str) -> Result<(), Refused> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(good) && !name.bytes().all(|b| b == b'.') {
        return Ok(());
    }
    Err(Refused::Bad(field, format!("{field} must be 1 to 64 letters, digits and . _ - @")))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// A fresh key: its id, what the program shows (to be told once), and the hash that is kept.
pub fn make_key() -> (String, String, [u8; 32]) {
    let id: String = rand::random::<[u8; 6]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let shown = format!("{KEY_MARK}{id}_{secret}");
    (id, shown, hash(&secret))
}

/// The directory as it is shown, shared by everybody who checks a login. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<watch::Sender<Arc<Directory>>>);

impl Accounts {
    /// From the store.
    pub fn new(directory: Directory) -> Accounts {
        Accounts(Arc::new(watch::Sender::new(Arc::new(directory))))
    }

    /// As it is now.
    pub fn now(&self) -> Arc<Directory> {
        self.0.borrow().clone()
    }

    /// Every directory that is shown from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Directory>> {
        self.0.subscribe()
    }

    /// Shows another one; only the driver does.
    pub(crate) fn show(&self, directory: Arc<Directory>) {
        self.0.send_replace(directory);
    }
}

/// How a shared text is kept.
mod shared_text {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(d).map(Arc::from)
    }
}

/// How a shared number is kept.
mod shared_number {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    pub(super) fn serialize<S: Serializer>(number: &Arc<AtomicU64>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(number.load(Relaxed))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Arc<AtomicU64>, D::Error> {
        u64::deserialize(d).map(|number| Arc::new(AtomicU64::new(number)))
    }
}

impl Key {
    /// A request came with it.
    fn is_used(&self, unix: u64) {
        self.used.fetch_max(unix, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str, role: Role) -> Change {
        Change::AddAccount { name: name.into(), role, password: "$argon2id$".into() }
    }

    #[test]
    fn the_last_admin_stays_and_names_are_unique_and_plain() {
        let mut directory = Directory::default();
        assert_eq!(directory.apply(7, add("root", Role::Admin)), Ok(Touched::Account("root".into())));
        assert_eq!(directory.apply(7, add("root", Role::Viewer)), Err(Refused::Taken("account")));
        assert_eq!(directory.apply(7, Change::DeleteAccount("root".into())), Err(Refused::LastAdmin));
        let demote = Change::SetAccount { name: "root".into(), role: Some(Role::Viewer), password: None };
        assert_eq!(directory.apply(7, demote.clone()), Err(Refused::LastAdmin));
        directory.apply(7, add("second", Role::Admin)).unwrap();
        directory.apply(7, demote).unwrap();
        assert_eq!(directory.accounts["root"].role, Role::Viewer);
        assert_eq!(directory.apply(7, Change::DeleteAccount("nobody".into())), Err(Refused::Unknown("account")));
        for bad in ["", "a:b", "a/b", "..", "a b", "\u{202e}x", &"x".repeat(65)] {
            assert!(matches!(directory.apply(7, add(bad, Role::Viewer)), Err(Refused::Bad("name", _))), "{bad:?}");
        }
    }

    #[test]
    fn accounts_and_keys_are_bounded() {
        let mut directory = Directory::default();
        for n in 0..MAX_ACCOUNTS {
            directory.apply(0, add(&format!("a{n}"), Role::Viewer)).unwrap();
        }
        assert_eq!(directory.apply(0, add("more", Role::Viewer)), Err(Refused::Limit(MAX_ACCOUNTS, "accounts")));
    }

    #[test]
    fn a_key_is_known_by_all_of_it_and_no_longer_once_deleted() {
        let mut directory = Directory::default();
        let (id, shown, hash) = make_key();
        let key = Change::AddKey { id: id.clone(), name: "robot".into(), role: Role::Operator, hash };
        directory.apply(0, key.clone()).unwrap();
        assert_eq!(directory.apply(0, key), Err(Refused::Taken("key")));
        assert_eq!(directory.key(&shown).map(|key| key.role), Some(Role::Operator));
        let (_, other, _) = make_key();
        let stolen = format!("plk_{id}_{}", other.splitn(3, '_').nth(2).unwrap());
        for bad in [other.as_str(), &stolen, "", "plk_", &shown[..shown.len() - 1], &format!("plk_{id}_")] {
            assert!(directory.key(bad).is_none(), "{bad}");
        }
        assert!(!serde_json::to_string(&directory.keys).unwrap().contains(shown.splitn(3, '_').nth(2).unwrap()));
        directory.apply(0, Change::DeleteKey("robot".into())).unwrap();
        assert!(directory.key(&shown).is_none());
    }
}
