//! The second DTLS engine against OpenSSL with an RSA certificate, as GStreamer has it. Skipped where there is no `openssl`.
//!
//! Real bytes over a loopback socket; the session's time is the wall's. OpenSSL exports the keying material, and what the
//! session seals must open with it.

mod common;

use common::*;
use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use plenum_packet::{Path, Pool, Time, Transport};
use plenum_session::{Anchor, Certificates, Env, Outbox, Session, SessionLimits};
use plenum_srtp::{Opener, Sealer, Suite, split_dtls_material};
use plenum_wire::demux::{PacketKind, classify};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn s_client(port: u16, cert: &std::path::Path, profiles: &str, length: usize) -> Child {
    Command::new("openssl")
        .args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}"), "-use_srtp", profiles])
        .args(["-cert", &cert.to_string_lossy(), "-key", &cert.to_string_lossy()])
        .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", &length.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A nominating check, as the peer of `spec` would send it.
fn check(spec: &plenum_contract::SessionSpec) -> Vec<u8> {
    let username = format!("{}:{}", spec.ice.local_ufrag, spec.ice.remote_ufrag);
    let request = StunMessage::binding_request(&username, TransId::new(), true, 1, 100, true);
    let mut bytes = vec![0; 300];
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let len = request.to_bytes(Some(spec.ice.local_pwd.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(len);
    bytes
}

fn keying_material(output: &str) -> Vec<u8> {
    let line = output.lines().find_map(|l| l.trim().strip_prefix("Keying material: ")).expect("exported keys");
    (0..line.len() / 2).map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn handshake(profiles: &str, suite: Suite) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    let file = std::env::temp_dir().join(format!("plenum-openssl-{}-{}.pem", std::process::id(), suite.name()));
    std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut child = s_client(socket.local_addr().unwrap().port(), &file, profiles, suite.dtls_material_len());

    let start = Instant::now();
    let anchor = Anchor::new(start, Time::ZERO, Duration::from_secs(1_700_000_000));
    let env = Env::new(anchor, &Certificates::generate().unwrap(), SessionLimits::default()).unwrap();
    let spec = spec(Certificates::new(certificate.der().to_vec(), vec![]).fingerprint());
    let mut session = Session::new(&spec, &env, [3; 32], Time::ZERO).unwrap();
    let (mut pool, mut sealer, mut reports) = (Pool::new(64), Sealer::new(), Vec::new());
    let mut bytes = [0; 2048];
    while start.elapsed() < Duration::from_secs(15) && reports.is_empty() {
        let now = anchor.time(Instant::now());
        let mut packets = Vec::new();
        let mut out = Outbox { pool: &mut pool, sealer: &mut sealer, packets: &mut packets };
        if let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let path = Path { transport: Transport::Udp, local: socket.local_addr().unwrap(), remote: from };
            if session.path().is_none() {
                session.handle_stun(now, path, &check(&spec), &mut out).unwrap();
            }
            session.handle_dtls(now, path, &mut bytes[..len], &mut out).unwrap();
        }
        session.handle_timeout(now, &mut out);
        for (path, buf) in packets {
            match classify(pool.bytes(&buf)) {
                PacketKind::Dtls => drop(socket.send_to(pool.bytes(&buf), path.remote).unwrap()),
                PacketKind::Rtcp => reports.push(pool.bytes(&buf).to_vec()),
                _ => {}
            }
            pool.free(buf);
        }
    }
    child.stdin.take().unwrap().write_all(b"Q\n").unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&file).unwrap();

    assert!(session.is_connected(), "{:?}\n{output}", session.events().collect::<Vec<_>>());
    let (_, server) = split_dtls_material(suite, &keying_material(&output)).unwrap();
    let mut report = reports.remove(0);
    assert!(Opener::new(&server).open_rtcp(&mut report).is_ok(), "both sides have the same keys");
}

#[test]
fn openssl_with_an_rsa_certificate_gets_the_profile_that_we_prefer_of_its_own() {
    if Command::new("openssl").arg("version").output().is_err() {
        return eprintln!("skipped: no openssl program");
    }
    handshake("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", Suite::AeadAes128Gcm);
    handshake("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", Suite::AeadAes256Gcm);
    handshake("SRTP_AES128_CM_SHA1_80", Suite::AesCm128HmacSha1_80);
}
