//! DTLS as the passive side, behind an engine trait: the first ClientHello decides which engine serves this peer.
//!
//! `dimpl` is the first choice (DTLS 1.2 and 1.3, ECDSA, extended master secret). Peers that it cannot serve go to `rtc-dtls`
//! (DTLS 1.2, also RSA client certificates): see [`hello::choose`]. Nothing is used before the peer's certificate has one of the
//! signalled fingerprints.

mod dimpl;
pub mod hello;
pub mod repeat;
mod rtc;

use crate::env::{Certificates, EnvError, fingerprint};
use plenum_contract::spec::Fingerprint;
use plenum_packet::DropReason;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest datagram that an engine makes: leaves room for IPv6, UDP and a tunnel within 1280 bytes.
pub(crate) const MTU: usize = 1150;
/// First retransmission of a flight. RFC 9147 §5.8.2 allows less than a second for real-time media. Longer: where much is lost, a
/// call takes seconds more to begin. Shorter: paths with long round trips carry flights twice.
pub(crate) const FLIGHT_RTO: Duration = Duration::from_millis(200);
/// Datagrams before the handshake is done: ours and theirs repeat flights, but not without end. More fail the session.
const MAX_HANDSHAKE_PACKETS: u32 = 300;

/// Both engines' configurations, made once.
pub(crate) struct Configs {
    dimpl: dimpl::Configuration,
    rtc: rtc::Configuration,
}

impl Configs {
    /// With a `seed` the first engine repeats itself: for simulations.
    pub(crate) fn new(certificates: &Certificates, seed: Option<u64>) -> Result<Configs, EnvError> {
        Ok(Configs {
            dimpl: dimpl::Configuration::new(certificates, seed)?,
            rtc: rtc::Configuration::new(certificates)?,
        })
    }
}

/// What an engine has to tell.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    /// Send this.
    Packet(&'a [u8]),
    /// The peer's certificate, DER.
    Certificate(&'a [u8]),
    /// Keying material (RFC 5764 §4.2) of the negotiated protection profile. The handshake is done.
    Keys { material: Vec<u8>, profile: u16, version: &'static str },
    /// Application data: SCTP.
    Data(&'a [u8]),
    /// The peer closed.
    Closed,
    /// The association is of no use any more.
    Failed,
    /// Nothing more; call again at this time.
    Idle(Option<Instant>),
}

/// The association is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// A DTLS implementation in the passive role.
pub(crate) trait Engine: Send {
    /// One datagram.
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Failed>;
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed>;
    /// The next thing to do; `buf` is scratch of at least 2048 bytes.
    fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a>;
    /// Queues application data.
    fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), Failed>;
    /// Queues close-notify.
    fn close(&mut self, now: Instant);
}

/// How far the handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Verified,
    Done,
    Over,
}

/// One session's DTLS: the engine and the check of the peer's certificate.
pub(crate) struct Dtls {
    configs: Arc<crate::Env>,
    waiting: hello::Waiting,
    engine: Option<Box<dyn Engine>>,
    fingerprints: Vec<Fingerprint>,
    progress: Progress,
    packets: u32,
    deadline: Option<Instant>,
}

/// What the session must do after a packet or a timeout.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Send this.
    Packet(&'a [u8]),
    /// Keys, of a peer whose certificate was checked.
    Keys { material: Vec<u8>, profile: u16, version: &'static str },
    /// Application data.
    Data(&'a [u8]),
    /// The peer closed.
    Closed,
    /// The handshake failed.
    Failed,
    /// The certificate has none of the signalled fingerprints.
    Mismatch,
}

impl Dtls {
    pub(crate) fn new(env: &Arc<crate::Env>, fingerprints: Vec<Fingerprint>) -> Dtls {
        Dtls {
            configs: Arc::clone(env),
            waiting: hello::Waiting::default(),
            engine: None,
            fingerprints,
            progress: Progress::Waiting,
            packets: 0,
            deadline: None,
        }
    }

    /// Fingerprints of a newer spec; they matter only before the handshake is done.
    pub(crate) fn set_fingerprints(&mut self, fingerprints: &[Fingerprint]) {
        self.fingerprints.clear();
        self.fingerprints.extend_from_slice(fingerprints);
    }

    /// One datagram of the peer.
    ///
    /// # Errors
    /// `Some(reason)` drops the packet, `None` says that the handshake failed.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Option<DropReason>> {
        if self.progress == Progress::Over {
            return Err(Some(DropReason::BadDtls));
        }
        if self.progress != Progress::Done {
            self.packets += 1;
            if self.packets > MAX_HANDSHAKE_PACKETS {
                return Err(None);
            }
        }
        if self.engine.is_none() {
            return self.begin(now, packet);
        }
        let engine = self.engine.as_mut().ok_or(Some(DropReason::BadDtls))?;
        match engine.handle_packet(now, packet) {
            Ok(()) => Ok(()),
            // Once keys are there media goes on whatever becomes of the association.
            Err(Failed) if self.progress == Progress::Done => Err(Some(DropReason::BadDtls)),
            Err(Failed) => Err(None),
        }
    }

    /// Chooses the engine once the ClientHello is whole, and gives it all that came.
    fn begin(&mut self, now: Instant, packet: &[u8]) -> Result<(), Option<DropReason>> {
        let Some(choice) = self.waiting.push(packet).map_err(|()| Some(DropReason::BadDtls))? else { return Ok(()) };
        let configs = &self.configs.dtls;
        let mut engine: Box<dyn Engine> = match choice {
            hello::Choice::First => Box::new(configs.dimpl.engine(now, false)),
            hello::Choice::First12 => Box::new(configs.dimpl.engine(now, true)),
            hello::Choice::Second(profile) => Box::new(configs.rtc.engine(profile)),
        };
        let datagrams = std::mem::take(&mut self.waiting).datagrams;
        let result = datagrams.iter().try_for_each(|d| engine.handle_packet(now, d));
        self.engine = Some(engine);
        result.map_err(|Failed| None)
    }

    /// Time passed.
    ///
    /// # Errors
    /// [`Failed`] when the handshake took too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        if self.deadline.is_none_or(|d| now < d) {
            return Ok(());
        }
        self.deadline = None;
        match self.engine.as_mut() {
            Some(engine) if self.progress != Progress::Over => match engine.handle_timeout(now) {
                Err(Failed) if self.progress != Progress::Done => Err(Failed),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// When [`Dtls::handle_timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next thing to do; `None` when there is nothing more.
    pub(crate) fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Option<Step<'a>> {
        let engine = self.engine.as_mut()?;
        if self.progress == Progress::Over {
            return None;
        }
        match engine.poll(buf) {
            Output::Packet(p) => Some(Step::Packet(p)),
            Output::Certificate(der) => {
                if self.fingerprints.contains(&fingerprint(der)) {
                    self.progress = Progress::Verified;
                    Some(Step::Packet(&[]))
                } else {
                    self.progress = Progress::Over;
                    Some(Step::Mismatch)
                }
            }
            Output::Keys { material, profile, version } => {
                if self.progress != Progress::Verified {
                    self.progress = Progress::Over;
                    return Some(Step::Mismatch);
                }
                self.progress = Progress::Done;
                Some(Step::Keys { material, profile, version })
            }
            Output::Data(data) if self.progress == Progress::Done => Some(Step::Data(data)),
            Output::Data(_) => Some(Step::Packet(&[])),
            Output::Closed => {
                self.progress = Progress::Over;
                Some(Step::Closed)
            }
            Output::Failed => {
                self.progress = Progress::Over;
                Some(Step::Failed)
            }
            Output::Idle(deadline) => {
                self.deadline = deadline;
                None
            }
        }
    }

    /// Queues application data; `false` before the handshake is done.
    pub(crate) fn send(&mut self, now: Instant, data: &[u8]) -> bool {
        match self.engine.as_mut() {
            Some(engine) if self.progress == Progress::Done => engine.send(now, data).is_ok(),
            _ => false,
        }
    }

    /// Queues close-notify.
    pub(crate) fn close(&mut self, now: Instant) {
        if let Some(engine) = self.engine.as_mut() {
            engine.close(now);
        }
    }
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls").field("progress", &self.progress).field("packets", &self.packets).finish()
    }
}
