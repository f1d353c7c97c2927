//! Test vectors for whole packets: RFC 3711 appendix B.2, RFC 7714 sections 16 and 17, and the packets that libsrtp checks
//! itself with. Every back-end of the machine must reproduce them, in both directions.

use crate::kdf::{AUTH_KEY, SessionKeys};
use crate::suite::{MAX_KEY, MAX_SALT};
use crate::transform::Transform;
use crate::{Backend, Job, MasterKey, Opener, Sealer, Suite};
use plenum_packet::{HEADROOM, Pool};

/// Bytes from hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

/// A transform of session keys as the RFCs print them.
fn transform(backend: Backend, suite: Suite, key: &str, salt: &str) -> Transform {
    let mut keys = SessionKeys { key: [0; MAX_KEY], salt: [0; MAX_SALT], auth: [0; AUTH_KEY] };
    keys.key[..suite.key_len()].copy_from_slice(&hex(key));
    keys.salt[..suite.salt_len()].copy_from_slice(&hex(salt));
    Transform::from_session_keys(backend, suite, &keys)
}

struct World {
    pool: Pool,
    sealer: Sealer,
    key: crate::KeyId,
    opener: Opener,
}

impl World {
    fn of_session_keys(backend: Backend, suite: Suite, key: &str, salt: &str) -> World {
        let make = || transform(backend, suite, key, salt);
        let mut sealer = Sealer::with_backend(backend);
        let key = sealer.insert_transforms(suite, make(), make());
        World { pool: Pool::new(1), sealer, key, opener: Opener::from_transforms(suite, make(), make()) }
    }

    fn of_master_key(backend: Backend, master: &MasterKey) -> World {
        let mut sealer = Sealer::with_backend(backend);
        let key = sealer.insert(master);
        World { pool: Pool::new(1), sealer, key, opener: Opener::with_backend(master, backend) }
    }

    fn seal_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        let buf = self.pool.copy_in(HEADROOM, packet).unwrap();
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let mut jobs = [Job::new(self.key, buf, 12, u64::from(sequence))];
        self.sealer.protect(&mut self.pool, &mut jobs);
        let [job] = jobs;
        assert_eq!(job.result, Ok(()));
        let sealed = self.pool.bytes(&job.buf).to_vec();
        self.pool.free(job.buf);
        sealed
    }

    fn seal_rtcp(&mut self, packet: &[u8], index: u32) -> Vec<u8> {
        self.sealer.set_rtcp_index(self.key, index);
        let mut buf = self.pool.copy_in(HEADROOM, packet).unwrap();
        self.sealer.protect_rtcp(self.key, &mut self.pool, &mut buf).unwrap();
        let sealed = self.pool.bytes(&buf).to_vec();
        self.pool.free(buf);
        sealed
    }

    fn open_rtp(&mut self, sealed: &[u8]) -> Vec<u8> {
        let mut packet = sealed.to_vec();
        let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let opened = self.opener.open_rtp(ssrc, sequence, 12, &mut packet).unwrap();
        packet.truncate(opened.len);
        packet
    }

    fn open_rtcp(&mut self, sealed: &[u8]) -> Vec<u8> {
        let mut packet = sealed.to_vec();
        let len = self.opener.open_rtcp(&mut packet).unwrap();
        packet.truncate(len);
        packet
    }
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// "Quid pro quo".
const SALT: &str = "517569642070726f2071756f";

/// RFC 3711 appendix B.2: a payload of zeros shows the key stream.
#[test]
fn the_key_stream_of_rfc_3711_comes_out() {
    for &backend in Backend::available() {
        let suite = Suite::AesCm128HmacSha1_80;
        let Transform::Cm(cm) =
            transform(backend, suite, "2B7E151628AED2A6ABF7158809CF4F3C", "F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
        else {
            panic!("AES-CM has another transform")
        };
        let mut stream = vec![0; 0xff02 * 16];
        cm.crypt(0, 0, &mut stream);
        let start = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream[..48], hex(start));
        let end = "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[0xfeff * 16..], hex(end));
    }
}

/// RFC 7714 sections 16.1.1, 16.1.2, 16.2.1 and 16.2.2.
#[test]
fn the_srtp_packets_of_rfc_7714_come_out() {
    let plain = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
    let cases = [
        (
            Suite::AeadAes128Gcm,
            KEY_128,
            concat!(
                "8040f17b8041f8d35501a0b2",
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
                "899d7f27beb16a9152cf765ee4390cce",
            ),
        ),
        (
            Suite::AeadAes256Gcm,
            KEY_256,
            concat!(
                "8040f17b8041f8d35501a0b2",
                "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b",
                "7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ),
    ];
    for (suite, key, sealed) in cases {
        for &backend in Backend::available() {
            let mut world = World::of_session_keys(backend, suite, key, SALT);
            assert_eq!(world.seal_rtp(&hex(plain)), hex(sealed));
            assert_eq!(world.open_rtp(&hex(sealed)), hex(plain));
        }
    }
}

/// RFC 7714 sections 17.1 to 17.3.
#[test]
fn the_srtcp_packets_of_rfc_7714_come_out() {
    let plain = concat!(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e930",
        "4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let cases = [
        (
            Suite::AeadAes128Gcm,
            KEY_128,
            concat!(
                "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded",
                "0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
            ),
        ),
        (
            Suite::AeadAes256Gcm,
            KEY_256,
            concat!(
                "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de047",
                "6f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
            ),
        ),
    ];
    for (suite, key, sealed) in cases {
        for &backend in Backend::available() {
            let mut world = World::of_session_keys(backend, suite, key, SALT);
            assert_eq!(world.seal_rtcp(&hex(plain), 0x5d4), hex(sealed));
            assert_eq!(world.open_rtcp(&hex(sealed)), hex(plain));
        }
    }
    // Authenticated only: the E flag is clear.
    let tagged = format!("{plain}841dd9683dd78ec92ae58790125f62b3000005d4");
    let mut world = World::of_session_keys(Backend::detect(), Suite::AeadAes128Gcm, KEY_128, SALT);
    assert_eq!(world.open_rtcp(&hex(&tagged)), hex(plain));
}

/// libsrtp's own packets for AES_CM_128_HMAC_SHA1_80: they pass through key derivation, cipher and tag.
#[test]
fn the_packets_of_libsrtp_come_out() {
    let master = MasterKey::new(
        Suite::AesCm128HmacSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    )
    .unwrap();
    for &backend in Backend::available() {
        let mut world = World::of_master_key(backend, &master);
        let plain = hex("800f1234decafbadcafebabeabababababababababababababababab");
        let sealed = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
        assert_eq!(world.seal_rtp(&plain), sealed);
        assert_eq!(world.open_rtp(&sealed), plain);
        let plain = hex("81c8000bcafebabeabababababababababababababababab");
        let sealed = hex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
        assert_eq!(world.seal_rtcp(&plain, 1), sealed);
        assert_eq!(world.open_rtcp(&sealed), plain);
    }
}
