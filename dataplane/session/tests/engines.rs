//! Which DTLS engine serves whom, and which keys come out of it.

mod common;

use common::*;
use plenum_session::SessionEvent;
use plenum_srtp::Suite;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use std::time::Duration;

fn versions(world: &World) -> Vec<(&'static str, &'static str)> {
    let connected = |e: &SessionEvent| match e {
        SessionEvent::Connected { suite, dtls, .. } => Some((*suite, *dtls)),
        _ => None,
    };
    world.events.iter().filter_map(connected).collect()
}

#[test]
fn a_peer_with_an_rsa_certificate_and_without_extended_master_secret_is_served_by_the_second_engine() {
    let profiles = vec![Profile::Srtp_Aead_Aes_128_Gcm, Profile::Srtp_Aes128_Cm_Hmac_Sha1_80];
    let (client, fingerprint) = Client::rsa(profiles);
    let mut world = World::with(udp4(), |spec| spec.fingerprints = vec![fingerprint]);
    world.peer.dtls = client;
    world.connect();
    assert_eq!(versions(&world), [("AEAD_AES_128_GCM", "DTLS1.2, second engine")]);
    assert_eq!(world.peer.seen_fingerprint, Some(world.env.fingerprint()), "one certificate for both engines");
    world.run(Duration::from_secs(2));
    assert!(!world.peer.rtcp.is_empty() && world.peer.opened_errors.is_empty());
}

#[test]
fn the_second_engine_checks_the_fingerprint_too() {
    let (client, _) = Client::rsa(vec![Profile::Srtp_Aes128_Cm_Hmac_Sha1_80]);
    let mut world = World::new();
    world.peer.dtls = client;
    world.run(Duration::from_secs(1));
    let ended = SessionEvent::Ended(plenum_contract::LegEnd::FingerprintMismatch);
    assert!(world.events.contains(&ended), "{:?}", world.events);
    assert!(world.sealer.is_empty());
}

#[test]
fn the_second_engine_survives_a_lossy_network() {
    let (client, fingerprint) = Client::rsa(vec![Profile::Srtp_Aes128_Cm_Hmac_Sha1_80]);
    let mut world = World::with(udp4(), |spec| spec.fingerprints = vec![fingerprint]);
    world.peer.dtls = client;
    world.lose = loses_dtls(4);
    for _ in 0..4000 {
        world.step(Duration::from_millis(5));
        if world.session.is_connected() && world.peer.key.is_some() {
            return assert_eq!(world.peer.suite, Some(Suite::AesCm128HmacSha1_80));
        }
    }
    panic!("not connected: {:?}", world.events);
}

#[test]
fn dtls_1_2_without_1_3_is_served_by_the_first_engine() {
    let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
    let fingerprint = plenum_session::Certificates::new(certificate.certificate.clone(), vec![]).fingerprint();
    let mut world = World::with(udp4(), |spec| spec.fingerprints = vec![fingerprint]);
    world.peer.dtls = Client::dimpl12(&world.env.anchor, certificate);
    world.connect();
    assert_eq!(versions(&world), [("AEAD_AES_256_GCM", "DTLS1.2")], "its order of profiles is fixed");
}
