//! Checking a password: memory-hard, off the async threads, one at a time, and not for everybody who asks.
//!
//! What strangers can make us compute is bounded three times: by address (the limiter of HTTP), by name (a small table of
//! buckets that names fall into by a keyed hash, whether they exist or not), and by one check running at a time with few
//! waiting. Addresses from which an account logged in before are not held up by who guesses at its name. A good login is
//! remembered for a while by a keyed hash of the credential; a new password or a deleted account ends that at once. Names
//! that do not exist cost the same as those that do.

use super::{Account, Directory};
use crate::driver::Clock;
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use aws_lc_rs::hmac;
use rand::Rng as _;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Passwords that are checked at once: argon2id needs 19 MiB and some 20 ms of a core for each.
const CHECKING: usize = 1;
/// Logins that wait for that. The next one is told that the server is busy.
const WAITING: usize = 64;
/// How long a good login is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Good logins that are remembered; the oldest gives way.
const CREDENTIALS: usize = 1_024;
/// Buckets that names fall into. More would let strangers compute more, fewer would let them hold up more names.
const BUCKETS: usize = 256;
/// Guesses at a name that may come at once.
const BURST: f64 = 5.0;
/// Guesses at a name a second, from addresses that never logged in with it.
const RATE: f64 = 0.1;
/// How long an address counts as one from which an account logs in.
const HOME: Duration = Duration::from_secs(24 * 3600);
/// Such addresses, of all accounts; the oldest gives way.
const HOMES: usize = 4_096;
/// What a name that does not exist is checked against: the same cost, and nothing fits.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Name and password are right; `fresh` = they were checked now, not remembered.
    Good {
        /// See above.
        fresh: bool,
    },
    /// They are not.
    Wrong,
    /// Too many guesses at this name.
    TooMany,
    /// Too many logins wait.
    Busy,
}

/// What is remembered of logins.
#[derive(Debug)]
pub struct Logins {
    clock: Clock,
    secret: hmac::Key,
    memory: Mutex<Memory>,
    checking: Arc<Semaphore>,
    waiting: Semaphore,
}

#[derive(Debug)]
struct Memory {
    /// Good credentials by their keyed hash, with the password hash that they fitted.
    good: HashMap<[u8; 32], (Arc<str>, Duration)>,
    homes: HashMap<(String, IpAddr), Duration>,
    /// Guesses left and when they were counted.
    buckets: Vec<(f64, Duration)>,
}

impl Logins {
    /// Nothing is remembered yet.
    pub fn new(clock: Clock) -> Logins {
        let now = clock.elapsed();
        let memory = Memory { good: HashMap::new(), homes: HashMap::new(), buckets: vec![(BURST, now); BUCKETS] };
        Logins {
            clock,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            memory: Mutex::new(memory),
            checking: Arc::new(Semaphore::new(CHECKING)),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Checks a password. `allowed` says whether the address may try; it is asked only when there is something to compute.
    pub(super) async fn check(
        &self,
        directory: &Directory,
        (name, password): (&str, &str),
        network: IpAddr,
        allowed: impl FnOnce() -> bool,
    ) -> Check {
        let account = directory.accounts.get(name);
        let digest = self.digest(&[name.as_bytes(), b"\0", password.as_bytes()]);
        if account.is_some_and(|account| self.remembers(&digest, account)) {
            return Check::Good { fresh: false };
        }
        if !allowed() || !self.pay(name, network, self.clock.elapsed()) {
            return Check::TooMany;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Check::Busy };
        let Ok(turn) = self.checking.clone().acquire_owned().await else { return Check::Busy };
        let hash: Arc<str> = account.map_or_else(|| NOBODY.into(), |account| account.password.clone());
        let password = password.to_owned();
        let checked = hash.clone();
        let fits = tokio::task::spawn_blocking(move || {
            let fits = fits(&checked, &password);
            // Only now the next one may begin, also when who asked is gone.
            drop(turn);
            fits
        });
        if !fits.await.unwrap_or(false) || account.is_none() {
            return Check::Wrong;
        }
        self.keep(digest, hash, name, network);
        Check::Good { fresh: true }
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.secret);
        parts.iter().for_each(|part| context.update(part));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn remembers(&self, digest: &[u8; 32], account: &Account) -> bool {
        let now = self.clock.elapsed();
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.good.get(digest).is_some_and(|(password, at)| {
            Arc::ptr_eq(password, &account.password) && now.saturating_sub(*at) < REMEMBERED
        })
    }

    /// Takes a guess from the name's bucket, but not from who logged in from this address before.
    fn pay(&self, name: &str, network: IpAddr, now: Duration) -> bool {
        let slot = usize::from(self.digest(&[name.as_bytes()])[0]) % BUCKETS;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let home = memory.homes.get(&(name.to_owned(), network));
        if home.is_some_and(|since| now.saturating_sub(*since) < HOME) {
            return true;
        }
        let Some((left, at)) = memory.buckets.get_mut(slot) else { return false };
        *left = (*left + now.saturating_sub(*at).as_secs_f64() * RATE).min(BURST);
        *at = now;
        let enough = *left >= 1.0;
        if enough {
            *left -= 1.0;
        }
        enough
    }

    fn keep(&self, digest: [u8; 32], password: Arc<str>, name: &str, network: IpAddr) {
        let now = self.clock.elapsed();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.good.len() >= CREDENTIALS
            && let Some(oldest) = memory.good.iter().min_by_key(|(_, (_, at))| *at).map(|(digest, _)| *digest)
        {
            memory.good.remove(&oldest);
        }
        memory.good.insert(digest, (password, now));
        if memory.homes.len() >= HOMES
            && let Some(oldest) = memory.homes.iter().min_by_key(|(_, at)| **at).map(|(home, _)| home.clone())
        {
            memory.homes.remove(&oldest);
        }
        memory.homes.insert((name.to_owned(), network), now);
    }
}

fn fits(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password that can be read out: 20 letters and digits without those that look alike, 98 bits.
pub fn make_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    (0..20).map(letter).collect()
}

/// The argon2id hash of a password, as a PHC string. Takes some 20 ms: not for async threads.
///
/// # Errors
/// The hash function refused its parameters.
pub fn hash_password(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn directory(name: &str, password: &str) -> Directory {
        let account = Account { role: Role::Admin, password: hash_password(password).unwrap().into(), created: 0 };
        Directory { accounts: [(name.to_owned(), account)].into(), ..Directory::default() }
    }

    #[tokio::test]
    async fn a_password_is_checked_once_and_remembered_until_it_is_another() {
        let password = make_password();
        assert_eq!(password.len(), 20);
        let directory = directory("admin", &password);
        let logins = Logins::new(Clock::manual().0);
        let check = async |directory: &Directory, name, password: &str| {
            logins.check(directory, (name, password), ip(1), || true).await
        };
        assert_eq!(check(&directory, "admin", &password).await, Check::Good { fresh: true });
        assert_eq!(check(&directory, "admin", &password).await, Check::Good { fresh: false });
        assert_eq!(check(&directory, "admin", "wrong").await, Check::Wrong);
        assert_eq!(check(&directory, "other", &password).await, Check::Wrong);
        let mut changed = directory.clone();
        changed.accounts.get_mut("admin").unwrap().password = hash_password("another password").unwrap().into();
        assert_eq!(check(&changed, "admin", &password).await, Check::Wrong, "the old one is forgotten at once");
        assert_eq!(check(&Directory::default(), "admin", &password).await, Check::Wrong, "so is a deleted account");
    }

    #[test]
    fn a_name_that_does_not_exist_is_checked_in_earnest() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        let result = Argon2::default().verify_password(b"x", &hash);
        assert_eq!(result, Err(argon2::password_hash::Error::Password));
        let ours = hash_password("x").unwrap();
        let cost = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(&ours), cost(NOBODY), "at the same cost");
    }

    #[tokio::test]
    async fn guessing_at_a_name_is_slowed_and_holds_up_neither_its_owner_nor_the_memory() {
        let logins = Logins::new(Clock::manual().0);
        let directory = directory("admin", "correct horse battery");
        let good = async |from| logins.check(&directory, ("admin", "correct horse battery"), from, || true).await;
        assert_eq!(good(ip(1)).await, Check::Good { fresh: true });
        let now = logins.clock.elapsed();
        let guesses = |at| (10..200).filter(|n| logins.pay("admin", ip(*n), at)).count();
        assert!(guesses(now) <= BURST as usize, "however many addresses");
        assert_eq!(guesses(now), 0);
        assert!(guesses(now + Duration::from_secs(10)) >= 1);
        assert_eq!(guesses(now + Duration::from_secs(10)), 0);
        assert!(logins.pay("admin", ip(1), now), "the owner's address may try");
        logins.memory.lock().unwrap().good.clear();
        assert_eq!(good(ip(1)).await, Check::Good { fresh: true });
        for n in 0..100_000 {
            logins.pay(&format!("name{n}"), ip(1), now);
        }
        let memory = logins.memory.lock().unwrap();
        assert_eq!((memory.buckets.len(), memory.homes.len()), (BUCKETS, 1));
    }

    #[tokio::test]
    async fn few_logins_wait_and_the_next_is_told_so() {
        let (logins, nobody) = (Logins::new(Clock::manual().0), Directory::default());
        let taken = logins.waiting.try_acquire_many(WAITING as u32).unwrap();
        assert_eq!(logins.check(&nobody, ("a", "b"), ip(1), || true).await, Check::Busy);
        drop(taken);
        let refused = logins.check(&nobody, ("a", "b"), ip(1), || false).await;
        assert_eq!(refused, Check::TooMany, "an address that asks too much costs nothing");
    }
}
