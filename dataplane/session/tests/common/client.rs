//! The peer's DTLS: `dimpl` as browsers are, or `rtc-dtls` with an RSA certificate and without extended master secret, as
//! old OpenSSL programs are.

use bytes::BytesMut;
use plenum_packet::Time;
use plenum_session::{Anchor, Certificates};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{SignatureScheme, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What a client has to tell.
pub enum Output {
    Packet(Vec<u8>),
    Certificate(Vec<u8>),
    Keys(Vec<u8>, u16),
    Data(Vec<u8>),
}

/// A DTLS client.
pub enum Client {
    Dimpl(Box<dimpl::Dtls>),
    Rtc {
        endpoint: Box<Endpoint>,
        config: Arc<rtc_dtls::config::HandshakeConfig>,
        started: bool,
        events: Vec<EndpointEvent>,
    },
}

fn server() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

impl Client {
    pub fn dimpl(anchor: &Anchor, certificate: dimpl::DtlsCertificate) -> Client {
        let mut dtls =
            dimpl::Dtls::new_auto(Arc::new(dimpl::Config::default()), certificate, anchor.instant(Time::ZERO));
        dtls.set_active(true);
        Client::Dimpl(Box::new(dtls))
    }

    pub fn dimpl12(anchor: &Anchor, certificate: dimpl::DtlsCertificate) -> Client {
        let mut dtls = dimpl::Dtls::new_12(Arc::new(dimpl::Config::default()), certificate, anchor.instant(Time::ZERO));
        dtls.set_active(true);
        Client::Dimpl(Box::new(dtls))
    }

    /// An RSA-2048 certificate, its fingerprint, and a client that shows it.
    pub fn rsa(profiles: Vec<SrtpProtectionProfile>) -> (Client, plenum_contract::spec::Fingerprint) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der().to_vec();
        let provider = default_provider().unwrap();
        let signing =
            provider.crypto().import_signing_key(SignatureScheme::RsaPkcs1Sha256, &key.serialize_der()).unwrap();
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![Certificate::from_signing_key(vec![der.clone().into()], signing)])
            .with_extended_master_secret(ExtendedMasterSecretType::Disable)
            .with_insecure_skip_verify(true)
            .with_srtp_protection_profiles(profiles)
            .build(true, Some(server()))
            .unwrap();
        let endpoint = Endpoint::new("198.51.100.7:5000".parse().unwrap(), Default::default(), None);
        let client =
            Client::Rtc { endpoint: Box::new(endpoint), config: Arc::new(config), started: false, events: vec![] };
        (client, Certificates::new(der, vec![]).fingerprint())
    }

    pub fn handle(&mut self, now: Instant, packet: &[u8]) {
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.handle_timeout(now);
                let _ = dtls.handle_packet(packet);
            }
            Client::Rtc { endpoint, events, .. } => {
                if let Ok(more) = endpoint.read(now, server(), None, BytesMut::from(packet)) {
                    events.extend(more);
                }
            }
        }
    }

    pub fn send(&mut self, now: Instant, data: &[u8]) {
        match self {
            Client::Dimpl(dtls) => assert_eq!(dtls.send_application_data(data).unwrap(), data.len()),
            Client::Rtc { endpoint, .. } => endpoint.write(now, server(), data).unwrap(),
        }
    }

    pub fn close(&mut self) {
        if let Client::Dimpl(dtls) = self {
            dtls.close().unwrap();
        }
    }

    pub fn poll(&mut self, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        match self {
            Client::Dimpl(dtls) => {
                let _ = dtls.handle_timeout(now);
                let mut buf = [0; 4096];
                loop {
                    match dtls.poll_output(&mut buf) {
                        dimpl::Output::Packet(p) => out.push(Output::Packet(p.to_vec())),
                        dimpl::Output::PeerCert(der) => out.push(Output::Certificate(der.to_vec())),
                        dimpl::Output::KeyingMaterial(material, profile) => {
                            let profile = match profile {
                                dimpl::SrtpProfile::AEAD_AES_128_GCM => 7,
                                dimpl::SrtpProfile::AEAD_AES_256_GCM => 8,
                                _ => 1,
                            };
                            out.push(Output::Keys(material.to_vec(), profile));
                        }
                        dimpl::Output::ApplicationData(data) => out.push(Output::Data(data.to_vec())),
                        dimpl::Output::Timeout(_) => return out,
                        _ => {}
                    }
                }
            }
            Client::Rtc { endpoint, config, started, events } => {
                if !*started {
                    *started = true;
                    endpoint.connect(now, server(), Arc::clone(config), None).unwrap();
                }
                let _ = endpoint.handle_timeout(server(), now);
                while let Some(t) = endpoint.poll_transmit() {
                    out.push(Output::Packet(t.message.to_vec()));
                }
                for event in events.drain(..) {
                    match event {
                        EndpointEvent::HandshakeComplete => {
                            let state = endpoint.get_connection_state(server()).unwrap();
                            let profile = state.srtp_protection_profile() as u16;
                            let suite = plenum_srtp::Suite::from_dtls_profile(profile).unwrap();
                            let length = suite.dtls_material_len();
                            let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], length).unwrap();
                            out.push(Output::Certificate(state.peer_certificates[0].clone()));
                            out.push(Output::Keys(material.into_bytes(), profile));
                        }
                        EndpointEvent::ApplicationData(data) => out.push(Output::Data(data.to_vec())),
                        _ => {}
                    }
                }
            }
        }
        out
    }
}
