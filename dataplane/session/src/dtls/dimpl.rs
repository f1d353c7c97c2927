//! The first engine: `dimpl`, DTLS 1.2 and 1.3, ECDSA certificates.
//!
//! Its order of protection profiles is fixed (AES-256-GCM first in DTLS 1.2, the client's order in DTLS 1.3), so a peer that
//! offers both GCM profiles may get 256 bits although we would rather have 128. See [`super::hello`] for how GCM is reached.

use super::{Engine, Failed, Output};
use crate::env::{Certificates, EnvError};
use dimpl::{Config, Dtls, DtlsCertificate, ProtocolVersion, SrtpProfile};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Repetitions of a flight, each after twice the time; the handshake's own end, after 30 s, comes first. Answers to repetitions of the
/// peer's count too, and browsers repeat after 50 ms: with the library's four, a second without a packet on the way down would be
/// the end of a call.
const FLIGHT_RETRIES: usize = 20;

/// Shared by all sessions.
pub(crate) struct Configuration {
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl Configuration {
    pub(crate) fn new(certificates: &Certificates, seed: Option<u64>) -> Result<Configuration, EnvError> {
        let builder = Config::builder()
            .mtu(super::MTU)
            .flight_start_rto(super::FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            // Sources are authenticated by ICE before their first DTLS packet is looked at: a cookie adds only a round trip.
            .use_server_cookie(false)
            .handshake_timeout(Duration::from_secs(30));
        let builder = match seed {
            Some(seed) => builder.dangerously_set_rng_seed(seed),
            None => builder,
        };
        let config = builder.build().map_err(|e| EnvError(format!("DTLS configuration: {e}")))?;
        let certificate =
            DtlsCertificate { certificate: certificates.der().to_vec(), private_key: certificates.key().to_vec() };
        Ok(Configuration { config: Arc::new(config), certificate })
    }

    pub(crate) fn engine(&self, now: Instant, only_12: bool) -> DimplEngine {
        let (config, certificate) = (Arc::clone(&self.config), self.certificate.clone());
        let dtls = match only_12 {
            true => Dtls::new_12(config, certificate, now),
            false => Dtls::new_auto(config, certificate, now),
        };
        DimplEngine { dtls }
    }
}

/// One association.
pub(crate) struct DimplEngine {
    dtls: Dtls,
}

impl Engine for DimplEngine {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Failed> {
        self.dtls.handle_timeout(now).map_err(|_| Failed)?;
        self.dtls.handle_packet(packet).map_err(|_| Failed)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        self.dtls.handle_timeout(now).map_err(|_| Failed)
    }

    fn poll<'a>(&mut self, buf: &'a mut [u8]) -> Output<'a> {
        match self.dtls.poll_output(buf) {
            dimpl::Output::Packet(p) => Output::Packet(p),
            dimpl::Output::PeerCert(der) => Output::Certificate(der),
            dimpl::Output::KeyingMaterial(material, profile) => {
                let version = match self.dtls.protocol_version() {
                    Some(ProtocolVersion::DTLS1_3) => "DTLS1.3",
                    _ => "DTLS1.2",
                };
                Output::Keys { material: material.to_vec(), profile: profile_id(profile), version }
            }
            dimpl::Output::ApplicationData(data) => Output::Data(data),
            dimpl::Output::CloseNotify => Output::Closed,
            dimpl::Output::Timeout(at) => Output::Idle(Some(at)),
            dimpl::Output::Connected => Output::Packet(&[]),
            // The scratch buffer holds any record of a datagram, and any leaf certificate that is not absurd.
            dimpl::Output::BufferTooSmall { .. } => Output::Failed,
            _ => Output::Packet(&[]),
        }
    }

    fn send(&mut self, _now: Instant, data: &[u8]) -> Result<(), Failed> {
        self.dtls.send_application_data(data).map(|_| ()).map_err(|_| Failed)
    }

    fn close(&mut self, _now: Instant) {
        let _ = self.dtls.close();
    }
}

/// The IANA number of a DTLS-SRTP protection profile.
fn profile_id(profile: SrtpProfile) -> u16 {
    match profile {
        SrtpProfile::AEAD_AES_128_GCM => 0x0007,
        SrtpProfile::AEAD_AES_256_GCM => 0x0008,
        SrtpProfile::AES128_CM_SHA1_80 => 0x0001,
        _ => 0,
    }
}
