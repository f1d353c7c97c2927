//! `plenum up`: settings, data folder, certificate, sockets, media, server; and the way back at SIGTERM.

use super::{Failure, Where, bind};
use crate::accounts;
use crate::config::{Config, Io, Log, LogFormat, Machine, Resolved, own_address};
use crate::link;
use crate::serve::{Control, Listener};
use crate::tls::{self, Certificate, TlsError};
use clap::Args;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Arguments of `plenum up`; they go before environment and file.
#[derive(Args, Debug)]
pub(super) struct UpArgs {
    #[command(flatten)]
    at: Where,
    /// Address to receive media at; may be given again (media.ip).
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    media_ip: Vec<IpAddr>,
    /// Address and port for HTTPS; may be given again (server.listen).
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    listen: Vec<SocketAddr>,
    /// Number of shards (media.shards).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: Option<u32>,
    /// How packets go in and out (media.io).
    #[arg(long, value_enum)]
    io: Option<Io>,
    /// Whether a mixer runs (media.mixer).
    #[arg(long, value_name = "on|off", value_parser = switch)]
    mixer: Option<bool>,
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".into()),
    }
}

impl UpArgs {
    fn load(&self) -> Result<Config, Failure> {
        let mut config = self.at.load()?;
        if !self.media_ip.is_empty() {
            config.media.ip.clone_from(&self.media_ip);
        }
        if !self.listen.is_empty() {
            config.server.listen.clone_from(&self.listen);
        }
        if let Some(shards) = self.shards {
            config.media.shards = crate::config::Auto::Is(shards);
            config.given_by("--shards", "media.shards");
        }
        if let Some(io) = self.io {
            config.media.io = io;
        }
        if let Some(mixer) = self.mixer {
            config.media.mixer = mixer;
        }
        Ok(config)
    }
}

pub(super) fn run(args: &UpArgs) -> Result<(), Failure> {
    let config = args.load()?;
    start_log(&config.log);
    raise_open_files();
    let resolved = config.resolve(&Machine::probe())?;
    let _lock = data_folder(&resolved.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("plenum").build()?;
    runtime.block_on(serve(&config, resolved))
}

async fn serve(config: &Config, resolved: Resolved) -> Result<(), Failure> {
    let addresses = addresses(config);
    let shown = shown(config, &addresses);
    let certificate = certificate(config, &resolved.data, &addresses)?;
    let tls = certificate.server_config();
    let sockets = bind::listen(&resolved.listen)?;
    let port = sockets.first().and_then(|s| s.local_addr().ok()).map_or(8443, |a| a.port());
    let listeners = sockets.into_iter().map(|tcp| Listener { tcp, tls: Some(tls.clone()) }).collect();
    let mut signals = Signals::new()?;
    let control = Control::open(resolved.settings).await?;
    let (media, events, task) = link::start(resolved.link);
    let mixer = resolved.mixer.map(link::start_mixer);
    banner(&shown, port, &resolved.data, &certificate, control.first_password.as_deref());

    let (stop, stopped) = watch::channel(false);
    let server = control.run(listeners, media, events, stopped);
    tokio::pin!(server);
    let result = loop {
        tokio::select! {
            result = &mut server => break result,
            signal = signals.next() => match signal {
                Signal::Reload => reload(&certificate),
                Signal::Stop if *stop.borrow() => {
                    tracing::warn!("asked to stop again: clients are not waited for");
                    break Ok(());
                }
                Signal::Stop => {
                    tracing::info!("asked to stop: clients are told");
                    let _ = stop.send(true);
                }
            },
        }
    };
    // After a failure of ours media goes on: the next control plane takes it up again.
    result?;
    if let Some(mixer) = mixer {
        mixer.stop().await;
    }
    task.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Addresses under which clients on other machines may reach us, for banner and certificate.
fn addresses(config: &Config) -> Vec<IpAddr> {
    let listening = config.server.listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    let media = config.media.ip.iter().copied();
    let public = config.media.advertised.iter().map(|nat| nat.public);
    let mut all: Vec<IpAddr> = Vec::new();
    for ip in listening.chain(public).chain(media).chain(own_address()) {
        if !ip.is_loopback() && !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}

/// Those of `addresses` that we listen at: all of them where we listen at every address.
fn shown(config: &Config, addresses: &[IpAddr]) -> Vec<IpAddr> {
    let listens = |ip: &IpAddr| {
        config
            .server
            .listen
            .iter()
            .map(SocketAddr::ip)
            .any(|l| l == *ip || (l.is_unspecified() && l.is_ipv4() == ip.is_ipv4()))
    };
    addresses.iter().copied().filter(listens).collect()
}

fn certificate(config: &Config, data: &Path, addresses: &[IpAddr]) -> Result<Certificate, Failure> {
    let (cert, key) = (&config.tls.cert, &config.tls.key);
    if !cert.as_os_str().is_empty() {
        return Certificate::open(cert, key).map_err(|error| {
            let of_key = matches!(&error, TlsError::File { path, .. } if path == key);
            let setting = if of_key { "tls.key" } else { "tls.cert" };
            config.wrong(&[setting], format!("{setting}: {}", super::chain(&error))).into()
        });
    }
    let mut names = tls::names(&config.server.domain, addresses);
    let host = config.server.public_host.rsplit_once(':').map_or(config.server.public_host.as_str(), |(host, _)| host);
    if !host.is_empty() && !names.iter().any(|n| n == host) {
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    Ok(Certificate::self_signed(data, &names)?)
}

fn reload(certificate: &Certificate) {
    match certificate.reload() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(error = super::chain(&error), "the former certificate stays"),
    }
}

/// Printed for the person who started us; the password appears nowhere else.
fn banner(shown: &[IpAddr], port: u16, data: &Path, certificate: &Certificate, password: Option<&str>) {
    let url = |host: &str| if port == 443 { format!("https://{host}/") } else { format!("https://{host}:{port}/") };
    println!("Plenum {} is up.", env!("CARGO_PKG_VERSION"));
    println!();
    for ip in shown {
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        println!("  Open         {}", url(&host));
    }
    println!("  Here         {}", url("localhost"));
    println!("  Try          conference 1061, no PIN");
    println!("  Data folder  {}", data.display());
    println!("  Certificate  SHA-256 {}", certificate.fingerprint());
    if let Some(password) = password {
        println!();
        println!("  First login  {}, with a password that is shown this once:  {password}", accounts::FIRST_ACCOUNT);
    }
    println!();
}

/// Makes the folder (mode 0700) and locks it: one control plane for a folder. The lock ends with the program. A folder that
/// cannot be written is served as it is: conferences that run can be seen, and what would change them is refused.
fn data_folder(data: &Path) -> Result<File, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|source| DataError { path: data.into(), source })?;
    let path = data.join("control.lock");
    let file = match File::options().write(true).create(true).truncate(false).open(&path) {
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {
            tracing::error!(path = %data.display(), "the data folder is read-only: nothing can be changed");
            File::open(&path)
        }
        opened => opened,
    };
    let file = file.map_err(|source| DataError { path, source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another plenum runs on the data folder {}", data.display()).into())
        }
        Err(TryLockError::Error(source)) => Err(Box::new(DataError { path: data.into(), source })),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} (server.data)")]
struct DataError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The soft limit of open files becomes the hard one: each client costs a socket or two.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// Libraries that would write headers and bodies, and with them PINs and tokens, into the log; whoever names them in
/// `log.level` gets them all the same.
const QUIET: &str =
    "h2=info,hyper=info,hyper_util=info,rustls=info,sqlx=info,tokio_tungstenite=info,tower=info,tungstenite=info";

fn start_log(log: &Log) {
    let filter = tracing_subscriber::EnvFilter::new(format!("{QUIET},{}", log.level));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

enum Signal {
    Stop,
    Reload,
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
    /// Never waited for. That it is listened to makes a file that may not grow any more an error of that write, as on a full
    /// disk, and not the end of the program.
    _file_size: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.term.recv() => Signal::Stop,
            _ = self.int.recv() => Signal::Stop,
            _ = self.hup.recv() => Signal::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_data_folder_is_private_and_serves_one_control_plane() {
        let base = tempfile::tempdir().unwrap();
        let data = base.path().join("a/b");
        let lock = data_folder(&data).unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(data_folder(&data).unwrap_err().to_string().contains("another plenum runs"));
        drop(lock);
        assert!(data_folder(&data).is_ok());
    }

    #[test]
    fn banner_and_certificate_name_the_public_address_behind_nat() {
        let mut config = Config::default();
        config.media.ip = vec!["10.0.0.5".parse().unwrap()];
        config.media.advertised =
            vec![crate::config::Nat { local: config.media.ip[0], public: "203.0.113.9".parse().unwrap() }];
        let addresses = addresses(&config);
        assert_eq!(addresses[..2], ["203.0.113.9".parse::<IpAddr>().unwrap(), config.media.ip[0]]);
        assert_eq!(shown(&config, &addresses), addresses);
        config.server.listen = vec!["127.0.0.1:8443".parse().unwrap()];
        assert!(shown(&config, &addresses).is_empty(), "only this machine reaches it");
    }
}
