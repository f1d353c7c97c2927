//! Values with a meaning of their own, and the ranges of plain ones. Checked while reading, so that an error has its line.

use plenum_contract::Codec;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Most shards: what the ufrag and the port range are made for.
pub(super) const MAX_SHARDS: u32 = 64;
/// Most threads of the mixer's pool.
const MAX_MIXER_THREADS: u32 = 256;

/// A number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto {
    /// Chosen at start from what the machine has.
    Auto,
    /// At least 1.
    Is(u32),
}

impl Auto {
    /// The number, or `auto` where none was given.
    pub fn or(self, auto: u32) -> u32 {
        match self {
            Auto::Auto => auto,
            Auto::Is(n) => n,
        }
    }
}

impl Serialize for Auto {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Auto::Auto => s.serialize_str("auto"),
            Auto::Is(n) => s.serialize_u32(*n),
        }
    }
}

impl<'de> Deserialize<'de> for Auto {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Auto, D::Error> {
        auto_up_to(d, u32::MAX)
    }
}

fn auto_up_to<'de, D: Deserializer<'de>>(d: D, max: u32) -> Result<Auto, D::Error> {
    struct Number(u32);
    impl Visitor<'_> for Number {
        type Value = Auto;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "\"auto\" or a number from 1 to {}", self.0)
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Auto, E> {
            if text == "auto" { Ok(Auto::Auto) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
        }
        fn visit_i64<E: Error>(self, n: i64) -> Result<Auto, E> {
            match u32::try_from(n) {
                Ok(n) if n >= 1 && n <= self.0 => Ok(Auto::Is(n)),
                _ => Err(E::invalid_value(Unexpected::Signed(n), &self)),
            }
        }
    }
    d.deserialize_any(Number(max))
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `media.io`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Io {
    /// The best that works.
    Auto,
    /// io_uring.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
}

impl Io {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Io::Auto => "auto",
            Io::Uring => "uring",
            Io::Mmsg => "mmsg",
        }
    }
}

/// One of `media.advertised`: `local=public`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// An address of this machine.
    pub local: IpAddr,
    /// What clients are told instead.
    pub public: IpAddr,
}

impl Serialize for Nat {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}={}", self.local, self.public))
    }
}

impl<'de> Deserialize<'de> for Nat {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Nat, D::Error> {
        let text = String::deserialize(d)?;
        let pair = text.split_once('=').and_then(|(l, p)| Some((l.trim().parse().ok()?, p.trim().parse().ok()?)));
        match pair {
            Some((local, public)) if IpAddr::is_ipv4(&local) == IpAddr::is_ipv4(&public) => Ok(Nat { local, public }),
            _ => Err(D::Error::invalid_value(
                Unexpected::Str(&text),
                &"\"<local address>=<public address>\" of one family",
            )),
        }
    }
}

fn check<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
    allowed: &str,
    ok: impl Fn(&T) -> bool,
) -> Result<T, D::Error> {
    let value = T::deserialize(d)?;
    if ok(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom(format_args!("this value is not allowed; allowed: {allowed}")))
    }
}

pub(super) fn shards<'de, D: Deserializer<'de>>(d: D) -> Result<Auto, D::Error> {
    auto_up_to(d, MAX_SHARDS)
}

pub(super) fn mixer_threads<'de, D: Deserializer<'de>>(d: D) -> Result<Auto, D::Error> {
    auto_up_to(d, MAX_MIXER_THREADS)
}

pub(super) fn not_empty<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<SocketAddr>, D::Error> {
    check(d, "at least one address with its port, at most 16", |v: &Vec<SocketAddr>| (1..=16).contains(&v.len()))
}

pub(super) fn domain<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    check(d, "a domain name", |v: &String| v.len() <= 253 && v.split('.').all(part))
}

pub(super) fn codecs<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Codec>, D::Error> {
    check(
        d,
        "a list with opus, each codec once, without those of phones (pcmu, pcma, g722, g726, ilbc)",
        |v: &Vec<Codec>| {
            let unique = v.iter().enumerate().all(|(i, c)| !v[..i].contains(c));
            let known = v.iter().all(|c| !Codec::PHONES.contains(c));
            unique && known && v.contains(&Codec::Opus)
        },
    )
}

fn urls<'de, D: Deserializer<'de>>(d: D, schemes: [&str; 2], allowed: &str) -> Result<Vec<String>, D::Error> {
    let ok = |url: &String| {
        url.split_once(':').is_some_and(|(scheme, rest)| {
            schemes.contains(&scheme) && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())
        })
    };
    check(d, allowed, |v: &Vec<String>| v.len() <= 16 && v.iter().all(ok))
}

pub(super) fn stun_urls<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    urls(d, ["stun", "stuns"], "at most 16 of \"stun:<host>:<port>\" or \"stuns:…\"")
}

pub(super) fn turn_urls<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    urls(d, ["turn", "turns"], "at most 16 of \"turn:<host>:<port>?transport=udp|tcp\" or \"turns:…\"")
}

pub(super) fn frame_rate<'de, D: Deserializer<'de>>(d: D) -> Result<u8, D::Error> {
    check(d, "1 to 60 pictures a second", |n| (1..=60).contains(n))
}

pub(super) fn calls<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "1 to 64", |n| (1..=64).contains(n))
}

pub(super) fn tracks<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    const MOST: u32 = plenum_sdp::MAX_MEDIA as u32;
    check(d, &format!("1 to {MOST}"), |n| (1..=MOST).contains(n))
}

pub(super) fn cms_connections<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "1 to 1000", |n| (1..=1_000).contains(n))
}

pub(super) fn cms_subscriptions<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "1 to 500", |n| (1..=500).contains(n))
}

pub(super) fn cms_unacknowledged<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "100 to 100000", |n| (100..=100_000).contains(n))
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "1 to 3600 seconds", |n| (1..=3_600).contains(n))
}

pub(super) fn origins<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let ok = |origin: &String| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains('/') && host.bytes().all(|b| b.is_ascii_graphic()))
    };
    check(d, "at most 64 of \"https://<host>[:<port>]\"", |v: &Vec<String>| v.len() <= 64 && v.iter().all(ok))
}

pub(super) fn rate<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "1 to 1000000", |n| (1..=1_000_000).contains(n))
}

pub(super) fn entries<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    check(d, "100 to 10000000", |n| (100..=10_000_000).contains(n))
}

pub(super) fn bitrate<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    check(d, "100000 to 1000000000 bits a second", |n| (100_000..=1_000_000_000).contains(n))
}

pub(super) fn level<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let allowed = "error, warn, info, debug, trace, or tracing directives";
    check(d, allowed, |v: &String| {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let named = v.contains('=') || v.split(',').all(|part| LEVELS.contains(&part.trim()));
        named && tracing_subscriber::EnvFilter::try_new(v).is_ok()
    })
}
