//! Settings: `plenum.toml`, environment and command line.
//!
//! `default.toml` documents every setting and is what `plenum config default` prints; a test proves that it says exactly the
//! defaults below and leaves nothing out. Unknown settings and wrong values are errors that name file, line and what is
//! allowed. A setting that does nothing does not exist.

mod apply;
mod load;
mod machine;
mod values;

pub use apply::{Resolved, own_address};
pub use load::{ConfigError, find, load};
pub use machine::Machine;
pub use values::{Auto, Io, LogFormat, Nat};

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The documented file with every default.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// All settings. See `default.toml` for what each means.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Config {
    pub server: Server,
    pub tls: Tls,
    pub media: Media,
    pub mix: Mix,
    pub codecs: Codecs,
    pub ice: Ice,
    pub limits: Limits,
    pub log: Log,
    pub mgmt: Mgmt,
    pub cms: Cms,
    pub audit: Audit,
    pub webhooks: Webhooks,
    /// For errors that are found when everything is known.
    #[serde(skip)]
    origins: load::Origins,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Server {
    #[serde(deserialize_with = "values::not_empty")]
    pub listen: Vec<SocketAddr>,
    pub data: PathBuf,
    pub public_host: String,
    #[serde(deserialize_with = "values::domain")]
    pub domain: String,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 8443)), SocketAddr::from(([0; 8], 8443))],
            data: PathBuf::new(),
            public_host: String::new(),
            domain: "plenum.local".into(),
        }
    }
}

/// Reads any bytes as a settings file and does with it what `plenum config check` does: what a fuzz target calls.
#[doc(hidden)]
pub fn parse_any(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = toml::from_str::<Config>(text) {
        let _ = config.resolve(&Machine { memory: 8 << 30, cores: 4, open_files: 4_096 });
    }
}

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// `[media]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Media {
    pub ip: Vec<IpAddr>,
    pub advertised: Vec<Nat>,
    pub port_base: u16,
    #[serde(deserialize_with = "values::shards")]
    pub shards: Auto,
    pub io: Io,
    pub tcp: bool,
    pub pin: bool,
    pub binary: PathBuf,
    pub mixer: bool,
    #[serde(deserialize_with = "values::mixer_threads")]
    pub mixer_threads: Auto,
    pub mixer_binary: PathBuf,
}

impl Default for Media {
    fn default() -> Media {
        Media {
            ip: Vec::new(),
            advertised: Vec::new(),
            port_base: 40_000,
            shards: Auto::Auto,
            io: Io::Auto,
            tcp: true,
            pin: true,
            binary: PathBuf::new(),
            mixer: true,
            mixer_threads: Auto::Auto,
            mixer_binary: PathBuf::new(),
        }
    }
}

/// `[mix]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Mix {
    #[serde(deserialize_with = "values::frame_rate")]
    pub frame_rate: u8,
    pub auto_gain: bool,
    pub logo: PathBuf,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { frame_rate: 30, auto_gain: false, logo: PathBuf::new() }
    }
}

/// `[codecs]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Codecs {
    #[serde(deserialize_with = "values::codecs")]
    pub set: Vec<plenum_contract::Codec>,
}

impl Default for Codecs {
    fn default() -> Codecs {
        use plenum_contract::Codec::{H264, Opus, Red, TelephoneEvent, Vp8};
        Codecs { set: vec![Opus, Red, TelephoneEvent, Vp8, H264] }
    }
}

/// `[ice]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Ice {
    #[serde(deserialize_with = "values::stun_urls")]
    pub stun: Vec<String>,
    pub turn: Vec<Turn>,
}

/// One of `ice.turn`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Turn {
    #[serde(deserialize_with = "values::turn_urls")]
    pub urls: Vec<String>,
    pub username: String,
    pub credential: String,
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Limits {
    pub conferences: Auto,
    pub participants: Auto,
    pub participants_per_conference: Auto,
    #[serde(deserialize_with = "values::calls")]
    pub calls_per_participant: u32,
    #[serde(deserialize_with = "values::tracks")]
    pub tracks_per_call: u32,
    pub connections: Auto,
    pub connections_per_address: Auto,
    pub event_streams: Auto,
    #[serde(deserialize_with = "values::rate")]
    pub requests_per_address: u32,
    #[serde(deserialize_with = "values::rate")]
    pub joins_per_address: u32,
    pub sessions_per_shard: Auto,
    #[serde(deserialize_with = "values::bitrate")]
    pub bitrate: u64,
    #[serde(deserialize_with = "values::bitrate")]
    pub ingest_bitrate: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            conferences: Auto::Auto,
            participants: Auto::Auto,
            participants_per_conference: Auto::Auto,
            calls_per_participant: 4,
            tracks_per_call: 128,
            connections: Auto::Auto,
            connections_per_address: Auto::Auto,
            event_streams: Auto::Auto,
            requests_per_address: 500,
            joins_per_address: 20,
            sessions_per_shard: Auto::Auto,
            bitrate: 20_000_000,
            ingest_bitrate: 20_000_000,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Log {
    pub format: LogFormat,
    #[serde(deserialize_with = "values::level")]
    pub level: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Text, level: "info".into() }
    }
}

/// `[mgmt]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Mgmt {
    pub expires_as_string: bool,
    pub dedicated_compat: bool,
}

/// `[cms]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Cms {
    #[serde(deserialize_with = "values::cms_connections")]
    pub connections: u32,
    #[serde(deserialize_with = "values::cms_subscriptions")]
    pub subscriptions: u32,
    #[serde(deserialize_with = "values::cms_unacknowledged")]
    pub unacknowledged: u32,
    #[serde(deserialize_with = "values::seconds")]
    pub acknowledge_within: u32,
    #[serde(deserialize_with = "values::origins")]
    pub origins: Vec<String>,
}

impl Default for Cms {
    fn default() -> Cms {
        Cms { connections: 5, subscriptions: 100, unacknowledged: 1_000, acknowledge_within: 30, origins: Vec::new() }
    }
}

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Audit {
    #[serde(deserialize_with = "values::entries")]
    pub keep: u32,
}

impl Default for Audit {
    fn default() -> Audit {
        Audit { keep: 100_000 }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml documents the fields")]
pub struct Webhooks {
    pub private_addresses: bool,
    #[serde(deserialize_with = "values::entries")]
    pub spool: u32,
}

impl Default for Webhooks {
    fn default() -> Webhooks {
        Webhooks { private_addresses: false, spool: 100_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_says_exactly_the_defaults_and_leaves_nothing_out() {
        let said: toml::Table = DEFAULT_TOML.parse().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(said, defaults);
        assert_eq!(toml::from_str::<Config>(DEFAULT_TOML).unwrap(), Config::default());
    }

    #[test]
    fn every_setting_has_a_comment_in_front_of_it_or_of_its_pair() {
        let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
        for (i, line) in lines.iter().enumerate().filter(|(_, l)| l.contains(" = ") && !l.starts_with('#')) {
            let commented = lines[..i]
                .iter()
                .rev()
                .take_while(|l| !l.is_empty() && !l.starts_with('['))
                .any(|l| l.starts_with('#'));
            assert!(commented, "{line}");
        }
    }
}
