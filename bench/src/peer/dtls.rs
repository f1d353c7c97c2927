//! The peer's DTLS client: `dimpl` (DTLS 1.3, its own choice of SRTP profile), or `rtc-dtls` with an RSA certificate where a
//! test wants a certain profile.

use super::Shared;
use bytes::BytesMut;
use plenum_packet::Time;
use plenum_session::dtls::repeat::Repeat;
use plenum_srtp::Suite;
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{SignatureScheme, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What the client has to tell.
pub(crate) enum Output {
    Packet(Vec<u8>),
    /// Exported keying material and the DTLS-SRTP profile.
    Keys(Vec<u8>, u16),
    Data(Vec<u8>),
}

/// An RSA-2048 certificate with its key, both DER.
#[derive(Clone)]
pub(crate) struct RsaCertificate {
    der: Vec<u8>,
    key: Vec<u8>,
}

impl RsaCertificate {
    pub(crate) fn generate() -> RsaCertificate {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("an RSA key");
        let made = rcgen::CertificateParams::new(vec![]).and_then(|p| p.self_signed(&key)).expect("a certificate");
        RsaCertificate { der: made.der().to_vec(), key: key.serialize_der() }
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }
}

/// A DTLS client.
pub(crate) enum Client {
    Dimpl(Box<dimpl::Dtls>),
    Rtc(Box<Rtc>),
}

/// The second engine and what it has said so far.
pub(crate) struct Rtc {
    endpoint: Endpoint,
    config: Arc<HandshakeConfig>,
    started: bool,
    completed: bool,
    repeat: Repeat,
    events: Vec<EndpointEvent>,
}

/// `rtc-dtls` knows associations by address; there is one.
fn server() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 2))
}

impl Client {
    /// A client that lets the library choose the profile (`None`), or offers one alone.
    pub(crate) fn new(shared: &Shared, suite: Option<Suite>, now: Time) -> Client {
        match suite {
            None => {
                let (config, certificate) = (Arc::clone(&shared.dimpl), shared.ecdsa.clone());
                let mut dtls = dimpl::Dtls::new_auto(config, certificate, shared.anchor.instant(now));
                dtls.set_active(true);
                Client::Dimpl(Box::new(dtls))
            }
            Some(suite) => Client::rtc(&shared.rsa, suite),
        }
    }

    fn rtc(certificate: &RsaCertificate, suite: Suite) -> Client {
        let profile = match suite {
            Suite::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Suite::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            Suite::AesCm128HmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        };
        let provider = default_provider().expect("a DTLS crypto provider");
        let key = provider
            .crypto()
            .import_signing_key(SignatureScheme::RsaPkcs1Sha256, &certificate.key)
            .expect("the RSA key is one");
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![Certificate::from_signing_key(vec![certificate.der.clone().into()], key)])
            .with_insecure_skip_verify(true)
            // As GStreamer's: the server's second engine serves those who do not offer it, and takes an RSA certificate.
            .with_extended_master_secret(ExtendedMasterSecretType::Disable)
            .with_srtp_protection_profiles(vec![profile])
            .build(true, Some(server()))
            .expect("a DTLS client configuration");
        let endpoint = Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 1)), Default::default(), None);
        Client::Rtc(Box::new(Rtc {
            endpoint,
            config: Arc::new(config),
            started: false,
            completed: false,
            repeat: Repeat::default(),
            events: vec![],
        }))
    }

    pub(crate) fn handle(&mut self, now: Instant, packet: &[u8]) {
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.handle_timeout(now);
                let _ = dtls.handle_packet(packet);
            }
            Client::Rtc(rtc) => {
                if let Ok(more) = rtc.endpoint.read(now, server(), None, BytesMut::from(packet)) {
                    rtc.events.extend(more);
                }
            }
        }
    }

    /// Queues application data.
    pub(crate) fn send(&mut self, now: Instant, data: &[u8]) {
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.send_application_data(data);
            }
            Client::Rtc(rtc) => {
                let _ = rtc.endpoint.write(now, server(), data);
            }
        }
    }

    /// Queues close-notify.
    pub(crate) fn close(&mut self, now: Instant) {
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.close();
            }
            Client::Rtc(rtc) => {
                let _ = rtc.endpoint.close(now);
            }
        }
    }

    /// Everything that is there; and when to ask again.
    pub(crate) fn poll(&mut self, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.handle_timeout(now);
                let mut buf = [0; 4096];
                loop {
                    match dtls.poll_output(&mut buf) {
                        dimpl::Output::Packet(p) => out.push(Output::Packet(p.to_vec())),
                        dimpl::Output::KeyingMaterial(material, profile) => {
                            let profile = match profile {
                                dimpl::SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
                                dimpl::SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
                                _ => Suite::AesCm128HmacSha1_80,
                            };
                            out.push(Output::Keys(material.to_vec(), profile.dtls_profile()));
                        }
                        dimpl::Output::ApplicationData(data) => out.push(Output::Data(data.to_vec())),
                        dimpl::Output::Timeout(at) => return Some(at),
                        _ => {}
                    }
                }
            }
            Client::Rtc(rtc) => rtc.poll(now, out),
        }
    }
}

impl Rtc {
    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) -> Option<Instant> {
        if !self.started {
            self.started = true;
            let _ = self.endpoint.connect(now, server(), Arc::clone(&self.config), None);
        }
        let fired = self.repeat.fires(now, self.endpoint.poll_timeout(&server()));
        if fired {
            let _ = self.endpoint.handle_timeout(server(), now);
        }
        for event in self.events.drain(..) {
            match event {
                EndpointEvent::HandshakeComplete => {
                    self.completed = true;
                    let Some(state) = self.endpoint.get_connection_state(server()) else { continue };
                    let profile = state.srtp_protection_profile() as u16;
                    let Some(suite) = Suite::from_dtls_profile(profile) else { continue };
                    let len = suite.dtls_material_len();
                    if let Ok(material) = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], len) {
                        out.push(Output::Keys(material.into_bytes(), profile));
                    }
                }
                EndpointEvent::ApplicationData(data) => out.push(Output::Data(data.to_vec())),
                _ => {}
            }
        }
        let made: Vec<_> = std::iter::from_fn(|| self.endpoint.poll_transmit()).map(|t| t.message.to_vec()).collect();
        if self.completed {
            self.repeat.done();
        } else {
            let again = self.repeat.take(now).unwrap_or_default();
            out.extend(again.iter().cloned().map(Output::Packet));
            self.repeat.made(made.iter().map(Vec::as_slice), fired);
            self.repeat.watch(now, self.endpoint.poll_timeout(&server()));
        }
        out.extend(made.into_iter().map(Output::Packet));
        self.repeat.timer(self.endpoint.poll_timeout(&server())).or(self.repeat.due())
    }
}
