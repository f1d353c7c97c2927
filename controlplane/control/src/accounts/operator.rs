//! Who sent a request: an extractor for every face that operators use.
//!
//! `Authorization: Basic` shows an account's name and password, `Bearer` an API key; who comes by the Unix socket in the
//! data folder is an admin. A handler that takes an [`Operator`] is never reached by anybody else, and says with
//! [`Operator::require`] which role it takes. What lasts longer than a request asks [`Standing`] when it is to end.

use super::login::Check;
use super::{Accounts, Directory, Role};
use crate::audit::{Class, Entry, Note, Origin, Who};
use crate::http::limiter::{Kind, WRONG_GUESS, network};
use crate::http::problem::Problem;
use crate::http::{App, Peer};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Longest credential that is looked at.
const CREDENTIAL: usize = 1_024;

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An account's password.
    Password,
    /// An API key.
    Key,
    /// The Unix socket in the data folder.
    Socket,
}

impl Via {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Via::Password => "password",
            Via::Key => "key",
            Via::Socket => "socket",
        }
    }
}

/// Somebody who operates.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The account's or the key's name; `local` for who comes by the socket.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// How they showed it.
    pub via: Via,
    /// From where.
    pub ip: IpAddr,
    /// What they showed, as the directory knew it.
    shown: Shown,
}

/// A hash of what somebody showed: another account or key of the same name has another one, and so has another password.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shown([u8; 32]);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Shown {
    fn password(kept: &str) -> Shown {
        Shown(Sha256::digest(kept).into())
    }
}

/// Why somebody is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No credential.
    Missing,
    /// A wrong one.
    Wrong,
    /// Too many attempts.
    TooMany,
    /// Too many logins wait.
    Busy,
    /// The role is not enough; this one is needed.
    Role(Role),
}

impl Operator {
    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn identify(app: &App, headers: &HeaderMap, peer: Peer) -> Result<Operator, Denied> {
        let made = |name: &str, role, via, shown| Operator { name: name.into(), role, via, ip: peer.ip, shown };
        if peer.local {
            return Ok(made("local", Role::Admin, Via::Socket, Shown([0; 32])));
        }
        let shown = headers.get(header::AUTHORIZATION).ok_or(Denied::Missing)?;
        let directory = app.accounts.now();
        let allowed = || app.limiter.allow(peer.ip, Kind::Join);
        let note = |class, who: &str, via: Via, action: &str, result: &str| {
            // A name that somebody only claims can be anything.
            let who = who.chars().filter(|c| !c.is_control()).take(64).collect();
            let (at, ip) = (unix(), peer.ip.to_string());
            let (via, action, result) = (via.name().into(), action.into(), result.into());
            let face = String::new();
            let (conference, target, detail) = (None, None, None);
            let entry = Entry { at, who, via, ip, face, action, conference, target, detail, result };
            app.driver.note(Note { class, entry });
        };
        let wrong = |who: &str, via: Via| {
            app.limiter.charge(peer.ip, WRONG_GUESS);
            note(Class::Refused, who, via, "login", "refused");
            Denied::Wrong
        };
        match Credential::read(shown) {
            Some(Credential::Key(shown)) => match directory.key(&shown) {
                Some(key) => {
                    key.is_used(unix());
                    Ok(made(&key.name, key.role, Via::Key, Shown(key.hash)))
                }
                None if !allowed() => Err(Denied::TooMany),
                None => Err(wrong("", Via::Key)),
            },
            Some(Credential::Password(name, password)) => {
                let login = (name.as_str(), password.as_str());
                match app.logins.check(&directory, login, network(peer.ip), allowed).await {
                    Check::Good { fresh } => {
                        if fresh {
                            note(Class::Operator, &name, Via::Password, "login", "done");
                        }
                        // The account may have changed while its password was checked.
                        let account = app.accounts.now().accounts.get(&name).cloned().ok_or(Denied::Wrong)?;
                        let shown = Shown::password(&account.password);
                        Ok(made(&name, account.role, Via::Password, shown))
                    }
                    Check::Wrong => Err(wrong(&name, Via::Password)),
                    Check::TooMany => Err(Denied::TooMany),
                    Check::Busy => Err(Denied::Busy),
                }
            }
            None if !allowed() => Err(Denied::TooMany),
            None => Err(wrong("", Via::Password)),
        }
    }

    /// Where their requests come from, for the audit log.
    pub fn origin(&self, face: &'static str) -> Origin {
        Origin { face, ip: self.ip, who: Some(Who { name: self.name.clone(), via: self.via.name() }) }
    }

    /// Whether they may what this role may.
    ///
    /// # Errors
    /// [`Denied::Role`].
    pub fn require(&self, role: Role) -> Result<(), Denied> {
        if self.role >= role { Ok(()) } else { Err(Denied::Role(role)) }
    }

    /// Whether they would still be let through with what they showed, or why not.
    ///
    /// # Errors
    /// The reason, for people.
    pub(crate) fn still(&self, directory: &Directory, role: Role) -> Result<(), &'static str> {
        let now = match self.via {
            Via::Socket => return Ok(()),
            Via::Key => {
                let key = directory.keys.values().find(|key| key.name == self.name);
                key.map(|key| (Shown(key.hash), key.role)).ok_or("the API key was deleted")?
            }
            Via::Password => {
                let account = directory.accounts.get(&self.name).ok_or("the account was deleted")?;
                (Shown::password(&account.password), account.role)
            }
        };
        match now {
            (shown, _) if shown != self.shown => Err("the account or key has another secret now"),
            (_, now) if now < role => Err("the account's or key's role does not allow this any more"),
            _ => Ok(()),
        }
    }
}

/// Whether somebody who was let through still would be, for what lasts longer than a request.
#[derive(Debug)]
pub struct Standing {
    operator: Operator,
    role: Role,
    changes: watch::Receiver<Arc<Directory>>,
}

impl Standing {
    /// Of an operator who needs this role.
    pub fn new(operator: Operator, role: Role, accounts: &Accounts) -> Standing {
        Standing { operator, role, changes: accounts.changes() }
    }

    /// Waits until they would not be let through any more; why. Safe to drop while it waits.
    pub async fn lost(&mut self) -> &'static str {
        loop {
            if let Err(reason) = self.operator.still(&self.changes.borrow_and_update(), self.role) {
                return reason;
            }
            if self.changes.changed().await.is_err() {
                // The server ends, and says so itself.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Operator, Denied> {
        let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
        Operator::identify(app, &parts.headers, peer).await
    }
}

/// Somebody who may steer: an [`Operator`] with that role. The role is checked before the body is read.
#[derive(Clone, Debug)]
pub struct Steerer(pub Operator);

impl FromRequestParts<App> for Steerer {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Steerer, Denied> {
        let operator = Operator::from_request_parts(parts, app).await?;
        operator.require(Role::Operator).map(|()| Steerer(operator))
    }
}

/// Somebody who may manage: an [`Operator`] with the role admin. The role is checked before the body is read.
#[derive(Clone, Debug)]
pub struct Admin(pub Operator);

impl FromRequestParts<App> for Admin {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Admin, Denied> {
        let operator = Operator::from_request_parts(parts, app).await?;
        operator.require(Role::Admin).map(|()| Admin(operator))
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Denied::Missing => (StatusCode::UNAUTHORIZED, "An account's name and password, or an API key, are needed"),
            Denied::Wrong => (StatusCode::UNAUTHORIZED, "Wrong name, password or key"),
            Denied::TooMany => (StatusCode::TOO_MANY_REQUESTS, "Too many attempts to log in"),
            Denied::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Too many logins are waiting"),
            Denied::Role(Role::Admin) => (StatusCode::FORBIDDEN, "This needs the role admin"),
            Denied::Role(_) => (StatusCode::FORBIDDEN, "This needs the role operator"),
        };
        let mut answer = Problem::new(status, detail).into_response();
        let headers = answer.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Basic realm=\"plenum\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        answer
    }
}

enum Credential {
    Key(String),
    Password(String, String),
}

impl Credential {
    fn read(shown: &HeaderValue) -> Option<Credential> {
        let text = std::str::from_utf8(shown.as_bytes()).ok().filter(|text| text.len() <= CREDENTIAL)?;
        let (scheme, rest) = text.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Credential::Key(rest.trim().into()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (name, password) = pair.split_once(':')?;
        Some(Credential::Password(name.into(), password.into()))
    }
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Change, make_key};

    fn somebody(role: Role, via: Via, shown: Shown) -> Operator {
        Operator { name: "x".into(), role, via, ip: IpAddr::from([127, 0, 0, 1]), shown }
    }

    #[test]
    fn an_account_stands_until_it_is_deleted_or_has_another_password_or_too_low_a_role() {
        let mut directory = Directory::default();
        let add =
            |password: &str| Change::AddAccount { name: "x".into(), role: Role::Operator, password: password.into() };
        directory.apply(0, add("$one$")).unwrap();
        let operator = somebody(Role::Operator, Via::Password, Shown::password("$one$"));
        let set = |role, password: Option<&str>| {
            let mut changed = directory.clone();
            let password = password.map(str::to_owned);
            changed.apply(0, Change::SetAccount { name: "x".into(), role, password }).unwrap();
            operator.still(&changed, Role::Operator)
        };
        assert_eq!(operator.still(&directory, Role::Operator), Ok(()));
        assert_eq!(set(Some(Role::Admin), None), Ok(()));
        assert!(set(Some(Role::Viewer), None).unwrap_err().contains("role"));
        assert!(set(None, Some("$two$")).unwrap_err().contains("secret"));
        directory.apply(0, Change::DeleteAccount("x".into())).unwrap();
        assert!(operator.still(&directory, Role::Viewer).unwrap_err().contains("deleted"));
        directory.apply(0, add("$three$")).unwrap();
        assert!(operator.still(&directory, Role::Viewer).is_err(), "somebody else of the same name");
        assert_eq!(somebody(Role::Admin, Via::Socket, Shown([0; 32])).still(&directory, Role::Admin), Ok(()));
    }

    #[tokio::test]
    async fn who_holds_a_key_is_told_when_it_is_deleted_and_not_before() {
        let accounts = Accounts::default();
        let mut directory = Directory::default();
        let (id, _, hash) = make_key();
        directory.apply(0, Change::AddKey { id, name: "x".into(), role: Role::Viewer, hash }).unwrap();
        accounts.show(Arc::new(directory.clone()));
        let mut standing = Standing::new(somebody(Role::Viewer, Via::Key, Shown(hash)), Role::Viewer, &accounts);
        let (id, _, other) = make_key();
        directory.apply(0, Change::AddKey { id, name: "y".into(), role: Role::Viewer, hash: other }).unwrap();
        accounts.show(Arc::new(directory.clone()));
        {
            let lost = std::pin::pin!(standing.lost());
            assert!(futures_util::FutureExt::now_or_never(lost).is_none(), "another key is nothing to this one");
        }
        directory.apply(0, Change::DeleteKey("x".into())).unwrap();
        accounts.show(Arc::new(directory));
        assert_eq!(standing.lost().await, "the API key was deleted");
    }

    #[test]
    fn what_is_no_credential_is_none() {
        let read = |text: &[u8]| Credential::read(&HeaderValue::from_bytes(text).unwrap());
        let huge = format!("Basic {}", STANDARD.encode("x".repeat(CREDENTIAL)));
        for bad in [&b""[..], b"Basic", b"Basic !!", b"Basic eA==", b"Digest x", b"\xff\xfe", huge.as_bytes()] {
            assert!(read(bad).is_none());
        }
        let basic = format!("bAsIc {}", STANDARD.encode("name:pass:word"));
        let both = read(basic.as_bytes());
        assert!(matches!(both, Some(Credential::Password(name, word)) if name == "name" && word == "pass:word"));
        assert!(matches!(read(b"Bearer  plk_x "), Some(Credential::Key(key)) if key == "plk_x"));
    }

    #[test]
    fn a_role_may_what_lower_ones_may() {
        let with = |role| somebody(role, Via::Key, Shown([0; 32]));
        assert!(with(Role::Admin).require(Role::Viewer).is_ok());
        assert_eq!(with(Role::Viewer).require(Role::Operator), Err(Denied::Role(Role::Operator)));
        assert_eq!(with(Role::Operator).require(Role::Admin), Err(Denied::Role(Role::Admin)));
    }
}
