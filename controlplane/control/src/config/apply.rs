//! From settings to what the server, the link and the media process are started with.

use super::{Auto, Config, ConfigError, Machine};
use crate::link::{LinkConfig, MediaProcess, MixerProcess, mixer_socket_path, socket_path};
use crate::logo::{self, MAX_LOGO};
use crate::serve::{self, Settings, TurnServer};
use std::ffi::OsString;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

/// Longest path of a Unix socket, less the longest name that we put into the data folder.
const MAX_DATA_PATH: usize = 107 - "/control.sock".len();

/// Settings in which nothing is `auto` any more.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Absolute.
    pub data: PathBuf,
    /// Where HTTPS is served.
    pub listen: Vec<SocketAddr>,
    /// For [`serve::Control::open`].
    pub settings: Settings,
    /// For [`crate::link::start`].
    pub link: LinkConfig,
    /// The mixer, if there is to be one.
    pub mixer: Option<MixerProcess>,
    /// Shards of the media plane.
    pub shards: u32,
    /// Media connections on each shard.
    pub sessions_per_shard: u32,
}

impl Config {
    /// Whether the settings fit together.
    ///
    /// # Errors
    /// The first that does not, with where it was given.
    fn check(&self) -> Result<(), ConfigError> {
        let set = |path: &Path| !path.as_os_str().is_empty();
        if set(&self.tls.cert) != set(&self.tls.key) {
            let message = "tls.cert and tls.key: both must be given, or neither";
            return Err(self.wrong(&["tls.cert", "tls.key"], message.into()));
        }
        let shards = self.media.shards.or(1);
        if u32::from(self.media.port_base) + shards - 1 > u32::from(u16::MAX) {
            let most = u32::from(u16::MAX) + 1 - shards;
            let message = format!("media.port_base: at most {most} with {shards} shards");
            return Err(self.wrong(&["media.port_base", "media.shards"], message));
        }
        Ok(())
    }

    /// The data folder, absolute: the one that is set, else `/var/lib/plenum` where it exists, else `./data`.
    ///
    /// # Errors
    /// When its path is too long for sockets in it.
    pub fn data_folder(&self) -> Result<PathBuf, ConfigError> {
        let data = match self.server.data.as_os_str().is_empty() {
            false => self.server.data.clone(),
            true => Some(PathBuf::from("/var/lib/plenum")).filter(|p| p.is_dir()).unwrap_or_else(|| "data".into()),
        };
        let wrong =
            |path: &Path, why: &str| self.wrong(&["server.data"], format!("server.data: {}: {why}", path.display()));
        let data = std::path::absolute(&data).map_err(|e| wrong(&data, &e.to_string()))?;
        if data.as_os_str().len() > MAX_DATA_PATH {
            let why = format!("longer than {MAX_DATA_PATH} bytes, sockets in it would have no valid path");
            return Err(wrong(&data, &why));
        }
        Ok(data)
    }

    /// Everything that the programs are started with.
    ///
    /// # Errors
    /// Settings that do not fit together or to this machine, with where they were given.
    pub fn resolve(&self, machine: &Machine) -> Result<Resolved, ConfigError> {
        self.check()?;
        let data = self.data_folder()?;
        let room = (u32::from(u16::MAX) - u32::from(self.media.port_base)).saturating_add(1);
        let shards = self.media.shards.or(machine.cores.clamp(1, super::values::MAX_SHARDS).min(room));
        let sessions_per_shard = self.limits.sessions_per_shard.or(machine.sessions_per_shard(shards));
        let advertised = self.media.advertised.iter().map(|nat| (nat.local, nat.public)).collect();
        let process = MediaProcess {
            binary: program(&self.media.binary, "plenum-media"),
            args: self.media_args(&data, shards, sessions_per_shard),
        };
        Ok(Resolved {
            listen: self.server.listen.clone(),
            settings: Settings { logo: self.logo()?, ..self.settings(&data, machine) },
            mixer: self.media.mixer.then(|| MixerProcess {
                binary: program(&self.media.mixer_binary, "plenum-mix"),
                data: data.clone(),
                threads: self.media.mixer_threads.or(0),
            }),
            link: LinkConfig { data: data.clone(), process: Some(process), advertised },
            data,
            shards,
            sessions_per_shard,
        })
    }

    /// The logo's file, if there is to be one.
    fn logo(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let path = &self.mix.logo;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        let wrong = |why: String| self.wrong(&["mix.logo"], format!("mix.logo: {}: {why}", path.display()));
        let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
        let mut bytes = Vec::new();
        std::io::Read::take(file, MAX_LOGO as u64 + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
        logo::problem(&bytes).map_or(Ok(Some(bytes)), |why| Err(wrong(why)))
    }

    fn settings(&self, data: &Path, machine: &Machine) -> Settings {
        let l = &self.limits;
        let connections = l.connections.or(machine.connections());
        let participants = l.participants.or(machine.participants());
        let size = |auto: Auto, otherwise: u32| auto.or(otherwise) as usize;
        Settings {
            data: data.to_owned(),
            public_host: self.public_host(),
            domain: self.server.domain.clone(),
            stun: self.ice.stun.clone(),
            turn: self.ice.turn.iter().map(turn).collect(),
            codecs: self.codecs.set.clone(),
            mixer: self.media.mixer,
            logo: None,
            auto_gain: self.mix.auto_gain,
            frame_rate: self.mix.frame_rate,
            max_bitrate: Some(l.bitrate),
            limits: serve::Limits {
                conferences: size(l.conferences, machine.conferences()),
                participants_per_conference: size(l.participants_per_conference, participants),
                participants: participants as usize,
                calls_per_participant: l.calls_per_participant as usize,
                event_streams: size(l.event_streams, connections / 4 * 3),
                connections: connections as usize,
                connections_per_address: size(l.connections_per_address, (connections / 4).max(1)),
                requests_per_address: l.requests_per_address,
                joins_per_address: l.joins_per_address,
            },
            expires_as_string: self.mgmt.expires_as_string,
            dedicated_compat: self.mgmt.dedicated_compat,
            cms: serve::CmsSettings {
                connections: self.cms.connections as usize,
                subscriptions: self.cms.subscriptions as usize,
                unacknowledged: self.cms.unacknowledged as usize,
                acknowledge_within_ms: u64::from(self.cms.acknowledge_within) * 1000,
                origins: self.cms.origins.clone(),
                ..serve::CmsSettings::default()
            },
            audit_keep: self.audit.keep,
            webhook_spool: self.webhooks.spool,
            webhook_private: self.webhooks.private_addresses,
        }
    }

    /// The arguments of `plenum-media`.
    fn media_args(&self, data: &Path, shards: u32, sessions: u32) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--socket".into(), socket_path(data).into()];
        if self.media.mixer {
            args.extend(["--mixer-socket".into(), mixer_socket_path(data).into()]);
        }
        let mut put = |name: &str, value: String| args.extend([name.into(), value.into()]);
        if !self.media.ip.is_empty() {
            let all: Vec<String> = self.media.ip.iter().map(IpAddr::to_string).collect();
            put("--ip", all.join(","));
        }
        put("--port-base", self.media.port_base.to_string());
        put("--shards", shards.to_string());
        put("--io", self.media.io.name().to_owned());
        put("--tcp", self.media.tcp.to_string());
        put("--pin", self.media.pin.to_string());
        put("--max-sessions", sessions.to_string());
        put("--max-tracks", self.limits.tracks_per_call.to_string());
        put("--max-bitrate", self.limits.bitrate.to_string());
        put("--max-ingest", self.limits.ingest_bitrate.to_string());
        args
    }

    /// Host, and port unless it is 443.
    fn public_host(&self) -> String {
        if !self.server.public_host.is_empty() {
            return self.server.public_host.clone();
        }
        let listen = self.server.listen.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8443)));
        let nat = |ip: IpAddr| self.media.advertised.iter().find(|n| n.local == ip).map_or(ip, |n| n.public);
        let ip = match listen.ip() {
            ip if !ip.is_unspecified() => ip,
            _ => {
                nat(self.media.ip.first().copied().or_else(own_address).unwrap_or_else(|| IpAddr::from([127, 0, 0, 1])))
            }
        };
        match (ip, listen.port()) {
            (IpAddr::V4(ip), 443) => ip.to_string(),
            (IpAddr::V6(ip), 443) => format!("[{ip}]"),
            (ip, port) => SocketAddr::new(ip, port).to_string(),
        }
    }
}

fn turn(server: &super::Turn) -> TurnServer {
    TurnServer { urls: server.urls.clone(), username: server.username.clone(), credential: server.credential.clone() }
}

/// The address that this machine would send from towards the Internet. Nothing is sent: connecting a UDP socket only asks
/// the routing table.
pub fn own_address() -> Option<IpAddr> {
    let route = |bind: &str, to: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    route("0.0.0.0:0", "192.0.2.1:9").or_else(|| route("[::]:0", "[2001:db8::1]:9")).filter(|ip| !ip.is_unspecified())
}

/// The program that was named, else the one beside ours, else the one in PATH.
fn program(named: &Path, name: &str) -> PathBuf {
    if !named.as_os_str().is_empty() {
        return named.to_owned();
    }
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
    beside.filter(|p| p.is_file()).unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4, open_files: 4_096 };

    #[test]
    fn nothing_is_auto_any_more_and_media_is_told_all_it_needs() {
        let mut config = Config::default();
        config.server.data = "/srv/plenum".into();
        config.media.ip = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let resolved = config.resolve(&MACHINE).unwrap();
        assert_eq!((resolved.shards, resolved.sessions_per_shard), (4, 512));
        let args = resolved.link.process.unwrap().args;
        let args: Vec<&str> = args.iter().map(|a| a.to_str().unwrap()).collect();
        let expected = "--socket /srv/plenum/media.sock --mixer-socket /srv/plenum/mixer.sock --ip 192.0.2.1,2001:db8::1 --port-base 40000 --shards 4 --io auto --tcp true \
                        --pin true --max-sessions 512 --max-tracks 128 --max-bitrate 20000000 --max-ingest 20000000";
        assert_eq!(args.join(" "), expected);
        assert_eq!(resolved.mixer.unwrap().threads, 0, "the mixer chooses");
        config.media.mixer_threads = crate::config::Auto::Is(12);
        assert_eq!(config.resolve(&MACHINE).unwrap().mixer.unwrap().threads, 12);
        assert_eq!(resolved.settings.public_host, "192.0.2.1:8443");
        assert_eq!(resolved.settings.limits.connections, 3_072);
    }

    #[test]
    fn clients_behind_nat_are_told_the_public_address_and_port_443_is_left_out() {
        let mut config = Config::default();
        config.server.listen = vec!["0.0.0.0:443".parse().unwrap()];
        config.media.ip = vec!["10.0.0.5".parse().unwrap()];
        config.media.advertised =
            vec![super::super::Nat { local: config.media.ip[0], public: "203.0.113.9".parse().unwrap() }];
        assert_eq!(config.public_host(), "203.0.113.9");
        config.server.public_host = "meet.example.org".into();
        assert_eq!(config.public_host(), "meet.example.org");
    }

    #[test]
    fn shards_stay_below_the_last_port_and_a_long_data_path_is_refused() {
        let mut config = Config::default();
        config.media.port_base = 65_534;
        assert_eq!(config.resolve(&MACHINE).unwrap().shards, 2);
        config.server.data = format!("/{}", "d".repeat(MAX_DATA_PATH)).into();
        assert!(config.resolve(&MACHINE).unwrap_err().to_string().contains("server.data"));
    }

    #[test]
    fn a_logo_that_is_no_small_png_is_refused_by_its_setting() {
        use crate::logo::{LOGO_SIDE, tests::png};
        let folder = tempfile::tempdir().unwrap();
        let logo = |bytes: &[u8]| {
            let mut config = Config::default();
            config.mix.logo = folder.path().join("logo.png");
            std::fs::write(&config.mix.logo, bytes).unwrap();
            config.resolve(&MACHINE).map(|resolved| resolved.settings.logo)
        };
        assert_eq!(Config::default().resolve(&MACHINE).unwrap().settings.logo, None);
        assert_eq!(logo(&png(LOGO_SIDE)).unwrap(), Some(png(LOGO_SIDE)));
        for wrong in [&png(LOGO_SIDE + 1)[..], b"GIF89a", &[0; MAX_LOGO + 1]] {
            assert!(logo(wrong).unwrap_err().to_string().starts_with("mix.logo: "));
        }
        let mut config = Config::default();
        config.mix.logo = folder.path().join("none");
        assert!(config.resolve(&MACHINE).unwrap_err().to_string().contains("mix.logo"));
    }
}
