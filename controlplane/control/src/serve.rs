//! Puts the control plane together: store, driver, HTTP. Called by the command line once settings, certificate and the
//! link to media are there.

use crate::accounts::{Account, FIRST_ACCOUNT, Role, hash_password, make_password};
use crate::driver::{Clock, Driver};
use crate::http::places::Places;
use crate::http::{self, App};
use crate::link::{LinkEvent, MediaLink};
use crate::store::{Store, Write, rows};
use plenum_contract::Codec;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// The store in the data folder.
const STORE: &str = "plenum.db";
/// The operator's socket in the data folder.
const SOCKET: &str = "control.sock";
/// The conference that the first start makes, to try.
const FIRST_CONFERENCE: &str = "1061";
/// Set in the store once that conference was made: deleted, it does not come back.
const MADE: &str = "first_conference";
/// This server's own GUID in the store.
const BRIDGE: &str = "call_bridge";

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
    /// Whether there is a mixer: who can show a single picture gets the mix unless they say otherwise.
    pub mixer: bool,
    /// A PNG over composed pictures.
    pub logo: Option<Vec<u8>>,
    /// Whether voices are brought to one loudness in mixed sound.
    pub auto_gain: bool,
    /// Composed pictures a second, 1 to 60.
    pub frame_rate: u8,
    /// Most bits a second to one leg; `None` = media's own limit.
    pub max_bitrate: Option<u64>,
    /// Limits; at a limit the next request is refused with a reason and everything running goes on.
    pub limits: Limits,
    /// Print `expires` of tokens as a string (MGMT ambiguity B2).
    pub expires_as_string: bool,
    /// Serve `/api/services/` as the dedicated cloud does (MGMT-60).
    pub dedicated_compat: bool,
    /// Entries of the audit log that are kept of each class.
    pub audit_keep: u32,
    /// Events that wait for one webhook; beyond, the oldest give way.
    pub webhook_spool: u32,
    /// Whether webhooks may go to addresses that are not of the public Internet, and over plain HTTP.
    pub webhook_private: bool,
    /// The CMS face.
    pub cms: CmsSettings,
}

/// Settings of the CMS face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmsSettings {
    /// Event WebSockets at once (CMS-6).
    pub connections: usize,
    /// Subscriptions of one of them (CMS-6).
    pub subscriptions: usize,
    /// Messages of ours that a client may leave without an ack (CMS-18).
    pub unacknowledged: usize,
    /// How long it may leave one of them, in milliseconds (CMS-18).
    pub acknowledge_within_ms: u64,
    /// Origins of pages that may connect (CMS-4); none = all.
    pub origins: Vec<String>,
    /// This server's own GUID, made at the first start.
    pub bridge: [u8; 16],
}

impl Default for CmsSettings {
    fn default() -> CmsSettings {
        CmsSettings {
            connections: 5,
            subscriptions: 100,
            unacknowledged: 1_000,
            acknowledge_within_ms: 30_000,
            origins: Vec::new(),
            bridge: [0; 16],
        }
    }
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
    /// Open TCP connections from one address.
    pub connections_per_address: usize,
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
            connections_per_address: 12_500,
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
            mixer: false,
            logo: None,
            auto_gain: false,
            frame_rate: 30,
            max_bitrate: None,
            limits: Limits::default(),
            expires_as_string: false,
            dedicated_compat: false,
            cms: CmsSettings::default(),
            audit_keep: 100_000,
            webhook_spool: 100_000,
            webhook_private: false,
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
    /// The task that decides ended by itself: a defect, it is in the log.
    #[error("the driver ended unexpectedly")]
    Driver,
}

/// The control plane with its store open: next is [`Control::run`].
#[derive(Debug)]
pub struct Control {
    /// The password of [`FIRST_ACCOUNT`], made at first start: print it once.
    pub first_password: Option<String>,
    settings: Arc<Settings>,
    store: Store,
}

impl Control {
    /// Opens (and on the first start makes) the store, with the first account and the conference to try.
    ///
    /// # Errors
    /// The data folder cannot be written or holds a store of a newer version.
    pub async fn open(mut settings: Settings) -> Result<Control, ServeError> {
        let path = settings.data.clone();
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| ServeError::Store { path: path.clone(), source };
        let mut store = Store::open(&settings.data.join(STORE)).await.map_err(|error| failed(error.into()))?;
        let first_password = first_start(&settings, &mut store).await.map_err(failed)?;
        settings.cms.bridge = bridge(&mut store).await.map_err(failed)?;
        Ok(Control { first_password, settings: Arc::new(settings), store })
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
        let path = self.settings.data.clone();
        let started = Driver::new(self.settings.clone(), self.store, Clock::system(), media, events).await;
        let (driver, handle, gauges) =
            started.map_err(|error| ServeError::Store { path: path.clone(), source: error.into() })?;
        let mut driving = tokio::spawn(driver.run());
        let (close, closing) = watch::channel(false);
        let limits = &self.settings.limits;
        let places = Places::new(limits.connections, limits.connections_per_address);
        let private = self.settings.webhook_private;
        tokio::spawn(crate::hooks::deliver::run(handle.clone(), gauges.clone(), private, closing.clone()));
        let app = App::new(self.settings.clone(), handle.clone(), gauges, closing.clone());
        let router = http::router(app);
        let socket = path.join(SOCKET);
        match http::server::bind_local(&socket) {
            Ok(local) => drop(tokio::spawn(http::server::serve_local(local, router.clone(), closing.clone()))),
            Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                tracing::warn!(path = %socket.display(), "no operator's socket: the data folder is read-only");
            }
            Err(error) => return Err(error.into()),
        }
        for listener in listeners {
            tokio::spawn(http::server::serve_tcp(listener, router.clone(), places.clone(), closing.clone()));
        }
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            ended = &mut driving => {
                tracing::error!(?ended, "the driver ended by itself");
                return Err(ServeError::Driver);
            }
        }
        handle.end().await;
        let _ = driving.await;
        let _ = close.send(true);
        let _ = tokio::time::timeout(http::server::DRAIN, places.empty()).await;
        let _ = std::fs::remove_file(&socket);
        Ok(())
    }
}

/// This server's own GUID among others, made once.
async fn bridge(store: &mut Store) -> Result<[u8; 16], Any> {
    let kept = store.meta(BRIDGE).await?.and_then(|text| uuid::Uuid::parse_str(&text).ok());
    let id = match kept {
        Some(id) => id,
        None => {
            let id = uuid::Uuid::new_v4();
            store.set_meta(BRIDGE, &id.to_string()).await?;
            id
        }
    };
    Ok(*id.as_bytes())
}

type Any = Box<dyn std::error::Error + Send + Sync>;

/// Makes what a fresh store lacks: an admin, whose password comes back, and conference 1061.
async fn first_start(settings: &Settings, store: &mut Store) -> Result<Option<String>, Any> {
    let mut first_password = None;
    if store.directory().await?.accounts.is_empty() {
        let password = make_password();
        let hash = hash_password(&password).map_err(|error| format!("argon2id failed: {error}"))?;
        let account = Account { role: Role::Admin, password: hash.into(), created: Clock::system().now().unix };
        let body = serde_json::to_string(&account)?;
        store.commit(&[Write::Account(FIRST_ACCOUNT.into(), Some(body))]).await?;
        first_password = Some(password);
    }
    if store.meta(MADE).await?.is_none() {
        let key: i64 = 1;
        let conference = rows::SettingsRow {
            name: format!("Conference {FIRST_CONFERENCE}"),
            aliases: vec![FIRST_CONFERENCE.into(), format!("{FIRST_CONFERENCE}@{}", settings.domain)],
            host_pin: None,
            guest_pin: None,
            allow_guests: true,
            chat: true,
            guests_can_present: true,
            mute_on_join: false,
            layout: plenum_model::LayoutName::DEFAULT.as_str().into(),
            hand_over: false,
            kind: rows::KindRow::Permanent,
        };
        let body = rows::new_conference_body(&uuid::Uuid::new_v4().to_string(), conference)?;
        store.commit(&[Write::Conference(key, Some(body))]).await?;
        store.set_meta(MADE, "1").await?;
    }
    Ok(first_password)
}
