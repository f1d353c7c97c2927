//! The second engine: `rtc-dtls`, DTLS 1.2, for peers with an RSA certificate or without the extended master secret.
//!
//! Used with one peer, so the address that its endpoint wants as a key is a constant: the real path may change at any time.

use super::hello::PROFILES;
use super::repeat::Repeat;
use super::{Engine, Failed, Output};
use crate::env::{Certificates, EnvError};
use bytes::BytesMut;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{SignatureScheme, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The one peer's key in the endpoint.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
/// RFC 5764 §4.2.
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";
/// Messages that wait for the session to read them; more come only from a peer that floods: dropped, SCTP repeats.
const MAX_DATA: usize = 256;

/// Shared by all sessions: one configuration for each profile of [`PROFILES`], because the engine follows the client's order.
pub(crate) struct Configuration([Arc<HandshakeConfig>; PROFILES.len()]);

impl Configuration {
    pub(crate) fn new(certificates: &Certificates) -> Result<Configuration, EnvError> {
        let failed = |e: &dyn std::fmt::Display| EnvError(format!("configuration of the second DTLS engine: {e}"));
        let provider = default_provider().map_err(|e| failed(&e))?;
        let key = provider
            .crypto()
            .import_signing_key(SignatureScheme::EcdsaP256Sha256, certificates.key())
            .map_err(|e| failed(&e))?;
        let certificate = Certificate::from_signing_key(vec![certificates.der().to_vec().into()], key);
        let build = |profile: u16| {
            ConfigBuilder::default()
                .with_crypto_provider(Arc::clone(&provider))
                .with_certificates(vec![certificate.clone()])
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                .with_extended_master_secret(ExtendedMasterSecretType::Request)
                // Certificates are checked by their fingerprint, not by a chain.
                .with_insecure_skip_verify(true)
                .with_srtp_protection_profiles(vec![SrtpProtectionProfile::from(profile)])
                // Its interval does not grow; from the eighth on `Repeat` repeats.
                .with_flight_interval(Duration::from_secs(1))
                .with_mtu(super::MTU)
                .build(false, None)
                .map(Arc::new)
                .map_err(|e| failed(&e))
        };
        let [first, second, third] = PROFILES;
        Ok(Configuration([build(first)?, build(second)?, build(third)?]))
    }

    /// An engine that takes `profile`; without one the handshake fails as it should.
    pub(crate) fn engine(&self, profile: Option<u16>) -> RtcEngine {
        let index = PROFILES.iter().position(|&p| Some(p) == profile).unwrap_or(0);
        RtcEngine {
            endpoint: Endpoint::new(PEER, Default::default(), Some(Arc::clone(&self.0[index]))),
            outgoing: VecDeque::new(),
            repeat: Repeat::default(),
            completed: false,
            pending: VecDeque::new(),
        }
    }
}

enum Pending {
    Certificate(Vec<u8>),
    Keys { material: Vec<u8>, profile: u16 },
    Data(BytesMut),
    Closed,
    Failed,
}

/// One association.
pub(crate) struct RtcEngine {
    endpoint: Endpoint,
    outgoing: VecDeque<Vec<u8>>,
    repeat: Repeat,
    completed: bool,
    pending: VecDeque<Pending>,
}

impl RtcEngine {
    fn complete(&mut self) {
        self.completed = true;
        self.repeat.done();
        let done = self.endpoint.get_connection_state(PEER).and_then(|state| {
            let profile = state.srtp_protection_profile() as u16;
            let suite = plenum_srtp::Suite::from_dtls_profile(profile)?;
            let length = 2 * (suite.key_len() + suite.salt_len());
            let material = state.export_keying_material(EXPORTER, &[], length).ok()?;
            Some((state.peer_certificates.first()?.clone(), material.into_bytes(), profile))
        });
        match done {
            Some((der, material, profile)) => {
                self.pending.push_back(Pending::Certificate(der));
                self.pending.push_back(Pending::Keys { material, profile });
            }
            None => self.pending.push_back(Pending::Failed),
        }
    }

    /// Takes over what the engine made, and keeps watch over its timer until the handshake is done.
    fn follow(&mut self, now: Instant, fired: bool) {
        let first = self.outgoing.len();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.outgoing.push_back(transmit.message.to_vec());
        }
        if self.completed {
            return;
        }
        self.repeat.made(self.outgoing.iter().skip(first).map(Vec::as_slice), fired);
        self.repeat.watch(now, self.endpoint.poll_timeout(&PEER));
    }
}

impl Engine for RtcEngine {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Failed> {
        let read = self.endpoint.read(now, PEER, None, BytesMut::from(packet));
        let Ok(events) = read else {
            self.follow(now, false);
            return Err(Failed);
        };
        let made = self.outgoing.len();
        self.follow(now, false);
        if self.outgoing.len() == made && events.is_empty() {
            self.outgoing.extend(self.repeat.ignored(packet).iter().cloned());
        }
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.complete(),
                EndpointEvent::ApplicationData(data) if self.pending.len() < MAX_DATA => {
                    self.pending.push_back(Pending::Data(data));
                }
                EndpointEvent::PeerClosed => self.pending.push_back(Pending::Closed),
                _ => {}
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        let fired = self.repeat.fires(now, self.endpoint.poll_timeout(&PEER));
        if fired {
            self.endpoint.handle_timeout(PEER, now).map_err(|_| Failed)?;
        }
        let again = self.repeat.take(now).ok_or(Failed)?;
        self.outgoing.extend(again.iter().cloned());
        self.follow(now, fired);
        Ok(())
    }

    fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a> {
        if let Some(packet) = self.outgoing.pop_front() {
            return copied(buf, &packet).map_or(Output::Failed, Output::Packet);
        }
        match self.pending.pop_front() {
            Some(Pending::Certificate(der)) => copied(buf, &der).map_or(Output::Failed, Output::Certificate),
            Some(Pending::Keys { material, profile }) => {
                Output::Keys { material, profile, version: "DTLS1.2, second engine" }
            }
            Some(Pending::Data(data)) => copied(buf, &data).map_or(Output::Failed, Output::Data),
            Some(Pending::Closed) => Output::Closed,
            Some(Pending::Failed) => Output::Failed,
            None => Output::Idle(self.repeat.timer(self.endpoint.poll_timeout(&PEER)).or(self.repeat.due())),
        }
    }

    fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), Failed> {
        let written = self.endpoint.write(now, PEER, data).map_err(|_| Failed);
        self.follow(now, false);
        written
    }

    fn close(&mut self, now: Instant) {
        let _ = self.endpoint.close(now);
        self.completed = true;
        self.repeat = Repeat::default();
        self.follow(now, false);
    }
}

fn copied<'a>(buf: &'a mut [u8], bytes: &[u8]) -> Option<&'a [u8]> {
    let out = buf.get_mut(..bytes.len())?;
    out.copy_from_slice(bytes);
    Some(out)
}
