//! A session: what its parts share, and what passes between them.
//!
//! ```text
//!   Setup ──nominated pair and keys──► Up ──nothing for 15 s──► Silent ──check──► Up
//!     │                                 │                          │
//!     └──30 s, or handshake failed──►   └────peer closed────►   Ended   ◄──30 s────┘
//! ```
//!
//! Media is handled in [`crate::ingress`] and [`crate::egress`], time in [`crate::timers`], control packets in
//! [`crate::rtcp`]; each adds its methods to [`Session`].

use crate::allowance::Allowance;
use crate::binding::Bindings;
use crate::cc::estimator::Snapshot;
use crate::data::DataChannels;
use crate::dtls::{Dtls, Step};
use crate::egress::Egress;
use crate::env::Env;
use crate::events::{Outbox, SessionEvent};
use crate::ice::{IceLite, Liveness};
use crate::ingress::Ingress;
use crate::keys::Keys;
use crate::media::{MAX_CODECS, MAX_MID};
use crate::rtcp::Reporter;
use plenum_contract::spec::Binding;
use plenum_contract::{Kind, LegEnd, LegKey, SessionSpec};
use plenum_packet::{DropReason, Path, Time, Transport};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Bytes for one DTLS record or certificate: a datagram, or an RSA-4096 certificate with room to spare.
const SCRATCH: usize = 4096;
/// Steps of one visit to DTLS. A visit makes a flight of packets at most; more would be a fault of the engine.
const MAX_STEPS: usize = 256;

/// Why a [`SessionSpec`] is refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// More m-lines than [`crate::SessionLimits::media`].
    TooManyMedia,
    /// A MID that is empty or longer than 16 bytes.
    BadMid,
    /// An m-line with more than 64 codecs.
    TooManyCodecs,
    /// Two slots with one SSRC, or an SSRC that an earlier slot had and whose numbering was given up.
    SsrcReused,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpecError::TooManyMedia => "too many m-lines in a session",
            SpecError::BadMid => "a MID must have 1 to 16 bytes",
            SpecError::TooManyCodecs => "too many codecs on an m-line",
            SpecError::SsrcReused => "an SSRC of ours is used twice",
        })
    }
}

impl std::error::Error for SpecError {}

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Setup,
    Up,
    Silent,
    Ended,
}

/// One peer's transport.
#[derive(Debug)]
pub struct Session {
    pub(crate) env: Arc<Env>,
    pub(crate) spec: SessionSpec,
    pub(crate) state: State,
    pub(crate) created: Time,
    pub(crate) ice: IceLite,
    pub(crate) dtls: Dtls,
    dtls_version: &'static str,
    pub(crate) keys: Option<Keys>,
    pub(crate) bindings: Bindings,
    pub(crate) allowance: Allowance,
    pub(crate) ingress: Ingress,
    pub(crate) egress: Egress,
    pub(crate) reporter: Reporter,
    pub(crate) data: Option<DataChannels>,
    pub(crate) events: VecDeque<SessionEvent>,
}

impl Session {
    /// A session that waits for its peer. `seed` comes from a CSPRNG and is used once.
    ///
    /// # Errors
    /// [`SpecError`] when the spec exceeds a limit.
    pub fn new(spec: &SessionSpec, env: &Arc<Env>, seed: [u8; 32], now: Time) -> Result<Session, SpecError> {
        check(spec, env)?;
        let has_data = spec.media.iter().any(|m| m.kind == Kind::Data);
        let mut egress = Egress::new(&seed);
        egress.apply(spec, env)?;
        let bindings = Bindings::new(spec);
        Ok(Session {
            env: Arc::clone(env),
            state: State::Setup,
            created: now,
            ice: IceLite::new(spec.ice.clone()),
            dtls: Dtls::new(env, spec.fingerprints.clone()),
            dtls_version: "",
            keys: None,
            allowance: Allowance::new(env.limits.max_ingest, now),
            ingress: Ingress::new(&bindings),
            bindings,
            egress,
            reporter: Reporter::new(spec, &seed, now),
            data: has_data.then(DataChannels::new),
            events: VecDeque::new(),
            spec: spec.clone(),
        })
    }

    /// A newer revision of the spec; one that is not newer changes nothing. New ICE credentials are an ICE restart: media goes
    /// on over the old pair until the peer nominates a new one.
    ///
    /// # Errors
    /// [`SpecError`]; the old spec then stays in force.
    pub fn apply(&mut self, spec: &SessionSpec) -> Result<(), SpecError> {
        if spec.revision <= self.spec.revision {
            return Ok(());
        }
        check(spec, &self.env)?;
        self.egress.apply(spec, &self.env)?;
        self.ice.restart(spec.ice.clone());
        self.dtls.set_fingerprints(&spec.fingerprints);
        let before: Vec<u32> = self.bindings.streams.iter().map(|s| s.ssrc).collect();
        self.bindings.apply(spec);
        self.ingress.apply(&before, &self.bindings);
        self.reporter.apply(spec);
        if self.data.is_none() && spec.media.iter().any(|m| m.kind == Kind::Data) {
            self.data = Some(DataChannels::new());
        }
        self.spec = spec.clone();
        Ok(())
    }

    /// Its key.
    pub fn key(&self) -> LegKey {
        self.spec.key
    }

    /// The spec in force.
    pub fn spec(&self) -> &SessionSpec {
        &self.spec
    }

    /// Where media and control packets go: the pair that the peer nominated last and still checks; `None` before there is one,
    /// while the peer is silent, and after the end.
    pub fn path(&self) -> Option<Path> {
        match self.state {
            State::Setup | State::Up => self.ice.nominated(),
            State::Silent | State::Ended => None,
        }
    }

    /// Every path that the peer proved to be at.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.ice.paths()
    }

    /// Whether the peer proved lately that it is at `path`: until then nobody else may claim to be there.
    pub fn holds(&self, path: &Path, now: Time) -> bool {
        self.state != State::Ended && self.ice.holds(path, now)
    }

    /// Whether there are a nominated pair and keys, and the peer is not silent.
    pub fn is_connected(&self) -> bool {
        self.state == State::Up
    }

    /// Whether the session is over.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// What is known of the way to the peer, for metrics.
    pub fn bandwidth(&self) -> Snapshot {
        self.egress.cc.snapshot()
    }

    /// Share of the packets sent on an m-line that the peer lost lately, by its receiver reports; 0 before there are any.
    pub fn loss(&self, media: u16) -> f32 {
        self.egress.loss(media)
    }

    /// SSRCs that were bound by authenticated packets.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> + '_ {
        self.bindings.heard()
    }

    /// What happened since the last call, in order.
    pub fn events(&mut self) -> impl Iterator<Item = SessionEvent> + '_ {
        self.events.drain(..)
    }

    /// A STUN message that arrived on `path`. `Ok` means that it was an authenticated check: events tell whether the path is new.
    ///
    /// # Errors
    /// [`DropReason::BadStun`], [`DropReason::SessionGone`].
    pub fn handle_stun(&mut self, now: Time, path: Path, bytes: &[u8], out: &mut Outbox<'_>) -> Result<(), DropReason> {
        if self.state == State::Ended {
            return Err(DropReason::SessionGone);
        }
        let checked = self.ice.handle(now, path, bytes, out)?;
        // In this order: whoever keeps as many paths as we do has room for the new one.
        if let Some(gone) = checked.gone {
            self.events.push_back(SessionEvent::PathGone(gone));
        }
        if checked.added {
            self.events.push_back(SessionEvent::PathAdded(path));
        }
        self.resume(now);
        if checked.moved {
            self.egress.path_changed(now);
            self.maybe_up(now);
        }
        Ok(())
    }

    /// An authenticated packet of media or RTCP arrived on `path`.
    pub(crate) fn heard(&mut self, now: Time, path: Path) {
        self.ice.heard(now, path);
        self.resume(now);
    }

    fn resume(&mut self, now: Time) {
        if self.state == State::Silent && self.ice.liveness(now) == Liveness::Live {
            self.state = State::Up;
            self.events.push_back(SessionEvent::Resumed);
        }
    }

    /// A DTLS datagram that arrived on `path`, which an ICE check has proven.
    ///
    /// # Errors
    /// [`DropReason::BadDtls`], [`DropReason::SessionGone`].
    pub fn handle_dtls(
        &mut self,
        now: Time,
        path: Path,
        bytes: &mut [u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), DropReason> {
        if self.state == State::Ended {
            return Err(DropReason::SessionGone);
        }
        let result = self.dtls.handle_packet(self.env.anchor.instant(now), bytes);
        self.drain_dtls(now, Some(path), out);
        match result {
            Ok(()) => Ok(()),
            Err(Some(reason)) => Err(reason),
            Err(None) => {
                self.end(LegEnd::DtlsFailed);
                Err(DropReason::BadDtls)
            }
        }
    }

    /// Opens a data channel to the peer; its SCTP stream.
    ///
    /// # Errors
    /// [`DropReason::NoPath`] when the peer has no SCTP association (yet), [`DropReason::TooManySources`] at
    /// [`crate::MAX_CHANNELS`].
    pub fn open_channel(
        &mut self,
        now: Time,
        label: &str,
        protocol: &str,
        out: &mut Outbox<'_>,
    ) -> Result<u16, DropReason> {
        let instant = self.env.anchor.instant(now);
        let stream = self.data.as_mut().ok_or(DropReason::NoPath)?.open(instant, label, protocol)?;
        self.drain_dtls(now, None, out);
        Ok(stream)
    }

    /// Sends a message on a data channel.
    ///
    /// # Errors
    /// [`DropReason::NoPath`] when there is no such channel, [`DropReason::QueueFull`] when the peer reads too slowly or the
    /// message is longer than [`crate::MAX_MESSAGE`].
    pub fn send_message(
        &mut self,
        now: Time,
        stream: u16,
        binary: bool,
        payload: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), DropReason> {
        let instant = self.env.anchor.instant(now);
        self.data.as_mut().ok_or(DropReason::NoPath)?.send(instant, stream, binary, payload)?;
        self.drain_dtls(now, None, out);
        Ok(())
    }

    /// Says goodbye (RTCP BYE, DTLS close-notify) and gives the key back to the sealer. The session is of no use afterwards.
    pub fn close(&mut self, now: Time, out: &mut Outbox<'_>) {
        if self.state != State::Ended {
            self.send_bye(out);
            self.dtls.close(self.env.anchor.instant(now));
            self.drain_dtls(now, None, out);
        }
        self.state = State::Ended;
        if let Some(keys) = self.keys.take() {
            out.sealer.remove(keys.sealing);
        }
    }

    /// Does what DTLS and SCTP have to do, until both are at rest.
    pub(crate) fn drain_dtls(&mut self, now: Time, arrived_on: Option<Path>, out: &mut Outbox<'_>) {
        let instant = self.env.anchor.instant(now);
        let mut scratch = [0; SCRATCH];
        for _ in 0..MAX_STEPS {
            match self.dtls.poll(&mut scratch) {
                Some(Step::Packet(packet)) => {
                    if let Some(path) = self.ice.any_path().or(arrived_on).filter(|_| !packet.is_empty()) {
                        out.push(path, packet);
                    }
                }
                Some(Step::Keys { material, profile, version }) => {
                    self.dtls_version = version;
                    match Keys::new(profile, material, out.sealer) {
                        Some(keys) => self.keys = Some(keys),
                        None => return self.end(LegEnd::DtlsFailed),
                    }
                    self.maybe_up(now);
                }
                Some(Step::Data(packet)) => {
                    if let Some(data) = self.data.as_mut() {
                        data.handle(instant, packet, &mut self.events);
                    }
                }
                Some(Step::Closed) => return self.end(LegEnd::PeerClosed),
                Some(Step::Failed) => return self.end(LegEnd::DtlsFailed),
                Some(Step::Mismatch) => return self.end(LegEnd::FingerprintMismatch),
                None => {
                    let Some(packet) = self.data.as_mut().and_then(DataChannels::poll) else { return };
                    // A packet that DTLS does not take is lost; SCTP repeats it.
                    self.dtls.send(instant, &packet);
                }
            }
        }
    }

    fn maybe_up(&mut self, now: Time) {
        let (State::Setup, Some(path), Some(keys)) = (self.state, self.ice.nominated(), self.keys.as_ref()) else {
            return;
        };
        self.state = State::Up;
        self.events.push_back(SessionEvent::Connected {
            suite: keys.suite.name(),
            remote: path.remote,
            tcp: path.transport == Transport::Tcp,
            dtls: self.dtls_version,
        });
        self.reporter.start(now);
    }

    pub(crate) fn end(&mut self, reason: LegEnd) {
        if self.state != State::Ended {
            self.state = State::Ended;
            self.events.push_back(SessionEvent::Ended(reason));
        }
    }
}

fn check(spec: &SessionSpec, env: &Env) -> Result<(), SpecError> {
    if spec.media.len() > env.limits.media {
        return Err(SpecError::TooManyMedia);
    }
    for media in &spec.media {
        if media.mid.is_empty() || media.mid.len() > MAX_MID {
            return Err(SpecError::BadMid);
        }
        if media.codecs.len() > MAX_CODECS {
            return Err(SpecError::TooManyCodecs);
        }
    }
    Ok(())
}
