//! For operators: `/health`, `/metrics`, and the conferences as REST under `/api/plenum/v1/`.
//!
//! Who comes by the Unix socket in the data folder is an operator; others show a password (Basic, or as a Bearer token).
//! Health and metrics need none: they tell numbers only.

mod conferences;
mod metrics;

use crate::http::limiter::{Kind, WRONG_GUESS};
use crate::http::{App, failed, peer, too_many};
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq as _;

/// The operator that the first start makes.
pub const FIRST_OPERATOR: &str = "operator";
/// Logins that are verified at once; argon2id needs 19 MiB and some 20 ms of a core for each.
const VERIFYING: usize = 2;

/// Routes of this face.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(metrics::health))
        .route("/metrics", get(metrics::metrics))
        .merge(conferences::routes())
}

/// Who may operate: names with argon2id hashes. A login that was good is remembered as the SHA-256 of its header, so that
/// it costs its memory-hard check once.
#[derive(Clone, Debug)]
pub struct Operators(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    known: Vec<(String, String)>,
    good: Mutex<Option<[u8; 32]>>,
    verifying: tokio::sync::Semaphore,
}

impl Operators {
    /// From the store.
    pub fn new(known: Vec<(String, String)>) -> Operators {
        let verifying = tokio::sync::Semaphore::new(VERIFYING);
        Operators(Arc::new(Inner { known, good: Mutex::new(None), verifying }))
    }

    fn remembers(&self, credential: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(credential).into();
        let good = *self.0.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.is_some_and(|good| good.ct_eq(&digest).into())
    }

    async fn knows(&self, credential: &[u8]) -> bool {
        let Some((name, password)) = parse(credential) else { return false };
        let Ok(_place) = self.0.verifying.acquire().await else { return false };
        let inner = self.0.clone();
        let good = tokio::task::spawn_blocking(move || inner.verify(name.as_deref(), &password)).await.unwrap_or(false);
        if good {
            *self.0.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sha256::digest(credential).into());
        }
        good
    }
}

impl Inner {
    fn verify(&self, name: Option<&str>, password: &str) -> bool {
        let fits = |hash: &str| {
            PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        };
        self.known.iter().filter(|(known, _)| name.is_none_or(|name| name == known)).any(|(_, hash)| fits(hash))
    }
}

/// `Basic` gives name and password, `Bearer` a password alone.
fn parse(credential: &[u8]) -> Option<(Option<String>, String)> {
    let text = std::str::from_utf8(credential).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, rest.trim().into()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    Some((Some(name.into()), password.into()))
}

/// Lets operators through.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    if peer.local {
        return next.run(request).await;
    }
    let Some(credential) = credential(request.headers()) else { return challenge() };
    if app.operators.remembers(&credential) {
        return next.run(request).await;
    }
    if !app.limiter.allow(peer.ip, Kind::Join) {
        return too_many();
    }
    if app.operators.knows(&credential).await {
        return next.run(request).await;
    }
    app.limiter.charge(peer.ip, WRONG_GUESS);
    challenge()
}

fn credential(headers: &HeaderMap) -> Option<Vec<u8>> {
    headers.get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec())
}

fn challenge() -> Response {
    let mut answer = failed(StatusCode::UNAUTHORIZED, "An operator's name and password are needed");
    answer
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"plenum\", charset=\"UTF-8\""));
    answer
}

/// A password that can be read out: 20 letters and digits without those that look alike, 98 bits.
pub fn make_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    (0..20).map(letter).collect()
}

/// The argon2id hash of a password, as a PHC string.
///
/// # Errors
/// The hash function refused its parameters.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_operator_is_known_by_name_and_password_and_nobody_else() {
        let password = make_password();
        assert_eq!(password.len(), 20);
        let operators = Operators::new(vec![("operator".into(), hash_password(&password).unwrap())]);
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair)).into_bytes();
        assert!(operators.knows(&basic(&format!("operator:{password}"))).await);
        assert!(operators.remembers(&basic(&format!("operator:{password}"))));
        assert!(!operators.remembers(&basic("operator:wrong")));
        assert!(operators.knows(format!("bearer {password}").as_bytes()).await);
        assert!(!operators.knows(&basic("operator:wrong")).await);
        assert!(!operators.knows(&basic(&format!("other:{password}"))).await);
        for bad in [&b""[..], b"Basic", b"Basic !!", b"Digest x", b"\xff\xfe"] {
            assert!(!operators.knows(bad).await);
        }
    }
}
