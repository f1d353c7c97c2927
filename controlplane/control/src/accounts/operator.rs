//! Who sent a request: an extractor for every face that operators use.
//!
//! `Authorization: Basic` shows an account's name and password, `Bearer` an API key; who comes by the Unix socket in the
//! data folder is an admin. A handler that takes an [`Operator`] is never reached by anybody else, and says with
//! [`Operator::require`] which role it takes.

use super::Role;
use super::login::Check;
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
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

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
        let made = |name: &str, role, via| Operator { name: name.into(), role, via, ip: peer.ip };
        if peer.local {
            return Ok(made("local", Role::Admin, Via::Socket));
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
                    Ok(made(&key.name, key.role, Via::Key))
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
                        Ok(made(&name, account.role, Via::Password))
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
        let with = |role| Operator { name: "x".into(), role, via: Via::Key, ip: IpAddr::from([127, 0, 0, 1]) };
        assert!(with(Role::Admin).require(Role::Viewer).is_ok());
        assert_eq!(with(Role::Viewer).require(Role::Operator), Err(Denied::Role(Role::Operator)));
        assert_eq!(with(Role::Operator).require(Role::Admin), Err(Denied::Role(Role::Admin)));
    }
}
