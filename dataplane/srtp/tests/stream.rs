//! A sender and a receiver over a network that loses, repeats and reorders: what arrives opens to what was sent, once.

mod common;

use common::{master, rtcp, rtp, seal};
use plenum_packet::{DropReason, HEADROOM, Pool, SLOT_SIZE};
use plenum_srtp::{Backend, Job, MAX_ASIDE, MAX_SOURCES, Opener, Sealer, Suite};
use proptest::prelude::*;

const SSRC: u32 = 0x1234_5678;

struct Sealed {
    index: u64,
    plain: Vec<u8>,
    bytes: Vec<u8>,
}

/// `count` packets from `first` on, sealed.
fn stream(suite: Suite, first: u64, count: u64) -> Vec<Sealed> {
    let mut pool = Pool::new(1);
    let mut sealer = Sealer::new();
    let key = sealer.insert(&master(suite, 1));
    (first..first + count)
        .map(|index| {
            let plain = rtp(SSRC, index, 20 + index as usize % 50);
            Sealed { index, bytes: seal(&mut sealer, &mut pool, key, &plain, index), plain }
        })
        .collect()
}

/// Opens a copy; the plain packet with its index.
fn open(opener: &mut Opener, sealed: &[u8]) -> Result<(u64, Vec<u8>), DropReason> {
    let mut packet = sealed.to_vec();
    let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    let opened = opener.open_rtp(ssrc, sequence, 12, &mut packet)?;
    packet.truncate(opened.len);
    Ok((opened.index, packet))
}

#[test]
fn packets_open_to_what_was_sent_and_a_repeated_one_is_refused() {
    for suite in Suite::ALL {
        let mut opener = Opener::new(&master(suite, 1));
        for s in stream(suite, 100, 20) {
            assert_eq!(s.bytes.len(), s.plain.len() + suite.tag_len());
            assert_eq!(s.bytes[..12], s.plain[..12]);
            assert_ne!(s.bytes[12..s.plain.len()], s.plain[12..]);
            assert_eq!(open(&mut opener, &s.bytes), Ok((s.index, s.plain)));
            assert_eq!(open(&mut opener, &s.bytes), Err(DropReason::Replayed));
        }
    }
}

#[test]
fn packets_reordered_across_the_wrap_of_the_sequence_number_open() {
    for suite in Suite::ALL {
        let sent = stream(suite, 65_530, 12);
        let mut opener = Opener::new(&master(suite, 1));
        // 65534 and 65535 arrive after 0, 1 and 2.
        for i in [0, 1, 2, 3, 6, 7, 8, 5, 4, 9, 11, 10] {
            assert_eq!(open(&mut opener, &sent[i].bytes), Ok((sent[i].index, sent[i].plain.clone())));
        }
        assert!(sent.iter().all(|s| open(&mut opener, &s.bytes) == Err(DropReason::Replayed)));
    }
}

#[test]
fn a_forged_packet_moves_no_window_and_binds_no_source() {
    for suite in Suite::ALL {
        let sent = stream(suite, 1000, 3);
        let mut opener = Opener::new(&master(suite, 1));
        let mut forged = sent[0].bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(open(&mut opener, &forged), Err(DropReason::BadTag));
        assert_eq!(opener.sources(), 0);
        assert!(open(&mut opener, &sent[0].bytes).is_ok());
        assert_eq!(opener.sources(), 1);
        // Far ahead: had it moved the window, the next packet would be too old.
        let mut forged = sent[1].bytes.clone();
        forged[2..4].copy_from_slice(&20_000u16.to_be_bytes());
        assert_eq!(open(&mut opener, &forged), Err(DropReason::BadTag));
        assert!(open(&mut opener, &sent[1].bytes).is_ok());
        // Every part is authenticated: header, payload, tag.
        for at in [1, 5, 12, 25, sent[2].plain.len()] {
            let mut forged = sent[2].bytes.clone();
            forged[at] ^= 0x10;
            assert_eq!(open(&mut opener, &forged), Err(DropReason::BadTag), "byte {at}");
        }
        assert!(open(&mut opener, &sent[2].bytes).is_ok());
    }
}

#[test]
fn another_key_does_not_open() {
    for suite in Suite::ALL {
        let sent = stream(suite, 1, 1);
        assert_eq!(open(&mut Opener::new(&master(suite, 2)), &sent[0].bytes), Err(DropReason::BadTag));
    }
}

#[test]
fn sources_are_bounded_new_ones_bind_for_long_and_nothing_from_before_passes_again() {
    let suite = Suite::AeadAes128Gcm;
    let mut pool = Pool::new(1);
    let mut sealer = Sealer::new();
    let key = sealer.insert(&master(suite, 1));
    let mut opener = Opener::new(&master(suite, 1));
    let mut send = |ssrc: u32, index: u64| seal(&mut sealer, &mut pool, key, &rtp(ssrc, index, 5), index);
    let recorded = send(0, 1);
    let all = (MAX_SOURCES + MAX_ASIDE) as u32;
    for ssrc in 0..all {
        assert!(open(&mut opener, &if ssrc == 0 { recorded.clone() } else { send(ssrc, 1) }).is_ok(), "{ssrc}");
    }
    assert_eq!(opener.sources(), MAX_SOURCES);
    assert_eq!(open(&mut opener, &recorded), Err(DropReason::Replayed), "put aside long ago");
    assert_eq!(open(&mut opener, &send(all, 1)), Err(DropReason::TooManySources));
    assert!(open(&mut opener, &send(0, 2)).is_ok(), "the known go on, also who was put aside");
    assert!(open(&mut opener, &send(all - 1, 2)).is_ok());
    assert_eq!(opener.sources(), MAX_SOURCES);
}

#[test]
fn srtcp_opens_once_and_forged_reports_change_nothing() {
    for suite in Suite::ALL {
        let mut pool = Pool::new(1);
        let mut sealer = Sealer::new();
        let key = sealer.insert(&master(suite, 1));
        let mut opener = Opener::new(&master(suite, 1));
        for extra in [0, 4, 100, 1200] {
            let plain = rtcp(7, extra);
            let mut buf = pool.copy_in(HEADROOM, &plain).unwrap();
            sealer.protect_rtcp(key, &mut pool, &mut buf).unwrap();
            let sealed = pool.bytes(&buf).to_vec();
            pool.free(buf);
            assert_eq!(sealed.len(), plain.len() + 4 + suite.tag_len());
            for at in 0..sealed.len() {
                let mut forged = sealed.clone();
                forged[at] ^= 0x80;
                assert!(opener.open_rtcp(&mut forged).is_err(), "byte {at}");
            }
            let mut packet = sealed.clone();
            let len = opener.open_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..len], plain);
            assert_eq!(opener.open_rtcp(&mut sealed.clone()), Err(DropReason::Replayed));
        }
    }
}

#[test]
fn a_batch_of_all_suites_and_lengths_seals_as_each_packet_alone() {
    let lengths = [0, 1, 30, 51, 52, 60, 160, 160, 160, 1100, 1188, 1188, 1188, 1188, 1188, 1188, 1800];
    for &backend in Backend::available() {
        let mut pool = Pool::new(256);
        let mut batch = Sealer::with_backend(backend);
        let mut alone = Sealer::with_backend(Backend::PORTABLE);
        let keys: Vec<_> = (0..7)
            .map(|seed| {
                let master = master(Suite::ALL[usize::from(seed) % 3], seed);
                (batch.insert(&master), alone.insert(&master))
            })
            .collect();
        let mut jobs = Vec::new();
        let mut expected = Vec::new();
        for (i, &(key, twin)) in keys.iter().cycle().take(119).enumerate() {
            let index = 0x1_0000_0000 + i as u64;
            let packet = rtp(i as u32 % 5, index, lengths[i % lengths.len()]);
            expected.push(seal(&mut alone, &mut pool, twin, &packet, index));
            jobs.push(Job::new(key, pool.copy_in(HEADROOM + i % 60, &packet).unwrap(), 12, index));
        }
        batch.protect(&mut pool, &mut jobs);
        for (job, expected) in jobs.drain(..).zip(&expected) {
            assert_eq!(job.result, Ok(()));
            assert_eq!(pool.bytes(&job.buf), expected);
            pool.free(job.buf);
        }
    }
}

#[test]
fn a_job_that_cannot_be_sealed_fails_alone_and_stays_as_it_was() {
    for suite in Suite::ALL {
        let mut pool = Pool::new(8);
        let mut sealer = Sealer::new();
        let key = sealer.insert(&master(suite, 1));
        let gone = sealer.insert(&master(suite, 2));
        assert!(sealer.remove(gone) && !sealer.remove(gone));
        let reused = sealer.insert(&master(suite, 3));
        assert_ne!(gone, reused);
        let packet = rtp(1, 5, 100);
        let mut job = |key, at, header_len, index| {
            let buf = pool.copy_in(at, &packet).unwrap();
            Job::new(key, buf, header_len, index)
        };
        let mut jobs = [
            job(gone, HEADROOM, 12, 5),
            job(key, HEADROOM, 113, 5),
            job(key, HEADROOM, 11, 5),
            job(key, SLOT_SIZE - 112, 12, 5),
            job(key, HEADROOM, 12, 1 << 48),
            job(key, HEADROOM, 12, 5),
        ];
        assert!(jobs.iter().all(|j| j.result == Err(DropReason::NoKeys)));
        sealer.protect(&mut pool, &mut jobs);
        let results: Vec<_> = jobs.iter().map(|j| j.result).collect();
        let (no_keys, malformed) = (Err(DropReason::NoKeys), Err(DropReason::MalformedRtp));
        assert_eq!(results, [no_keys, malformed, malformed, Err(DropReason::NoBuffer), no_keys, Ok(())]);
        for job in &jobs[..5] {
            assert_eq!(pool.bytes(&job.buf), packet);
        }
        for job in jobs {
            pool.free(job.buf);
        }
        let mut short = pool.copy_in(HEADROOM, &[0x80; 7]).unwrap();
        assert_eq!(sealer.protect_rtcp(key, &mut pool, &mut short), Err(DropReason::MalformedRtcp));
        assert_eq!(sealer.protect_rtcp(gone, &mut pool, &mut short), no_keys);
        pool.free(short);
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "sealed twice")]
fn sealing_an_index_twice_panics_in_debug_builds() {
    let mut pool = Pool::new(1);
    let mut sealer = Sealer::new();
    let key = sealer.insert(&master(Suite::AeadAes128Gcm, 1));
    for _ in 0..2 {
        seal(&mut sealer, &mut pool, key, &rtp(1, 5, 10), 5);
    }
}

#[test]
fn nothing_that_holds_keys_shows_them() {
    let master = master(Suite::AesCm128HmacSha1_80, 1);
    let mut sealer = Sealer::with_backend(Backend::PORTABLE);
    sealer.insert(&master);
    let shown = format!("{master:?} {:?} {sealer:?}", Opener::new(&master));
    assert_eq!(
        shown,
        "MasterKey(AES_CM_128_HMAC_SHA1_80) Opener(AES_CM_128_HMAC_SHA1_80, 0 sources) Sealer(1 keys, portable)"
    );
}

#[test]
fn contexts_may_move_to_their_shards_thread() {
    fn movable<T: Send>() {}
    movable::<Sealer>();
    movable::<Opener>();
    movable::<Job>();
}

/// What an opener does with any bytes; shared with fuzzing.
fn open_anything(opener: &mut Opener, bytes: &[u8], header_len: usize) {
    let mut packet = bytes.to_vec();
    let word = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let sequence = u16::from_be_bytes([word(2), word(3)]);
    let ssrc = u32::from_be_bytes([word(8), word(9), word(10), word(11)]);
    assert!(opener.open_rtp(ssrc, sequence, header_len, &mut packet).is_err());
    assert!(opener.open_rtcp(&mut bytes.to_vec()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Loss, repetition and reordering by up to 40 packets, across the wrap: each packet that arrives opens exactly once.
    #[test]
    fn a_stream_over_a_bad_network_opens(
        suite in prop::sample::select(&Suite::ALL[..]),
        // No earlier than 40 before the wrap of a 16-bit number, where the first packet that arrives must have ROC zero.
        first in 65_300u64..65_490,
        order in prop::collection::vec((0u64..40, 0u8..10), 200),
    ) {
        let sent = stream(suite, first, 200);
        let mut arrivals = Vec::new();
        for (i, &(delay, fate)) in order.iter().enumerate() {
            if fate == 0 { continue }
            arrivals.push((i as u64 + if i == 0 { 0 } else { delay }, i));
            if fate == 1 { arrivals.push((i as u64 + delay + 3, i)) }
        }
        arrivals.sort_unstable();
        let mut opener = Opener::new(&master(suite, 1));
        let mut seen = vec![false; sent.len()];
        for (_, i) in arrivals {
            let expected = if seen[i] { Err(DropReason::Replayed) } else { Ok((sent[i].index, sent[i].plain.clone())) };
            seen[i] = true;
            prop_assert_eq!(open(&mut opener, &sent[i].bytes), expected);
        }
    }

    #[test]
    fn any_bytes_give_an_error_and_no_panic(
        suite in prop::sample::select(&Suite::ALL[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..2200),
        header_len in 0usize..3000,
    ) {
        open_anything(&mut Opener::new(&master(suite, 1)), &bytes, header_len);
    }

    #[test]
    fn any_lengths_seal_and_open(
        suite in prop::sample::select(&Suite::ALL[..]),
        lengths in prop::collection::vec(0usize..1800, 1..40),
        start in 0usize..HEADROOM,
    ) {
        let mut pool = Pool::new(lengths.len());
        let mut sealer = Sealer::new();
        let key = sealer.insert(&master(suite, 9));
        let mut opener = Opener::new(&master(suite, 9));
        let plain: Vec<_> = lengths.iter().enumerate().map(|(i, &len)| rtp(SSRC, 7 + i as u64, len)).collect();
        let mut jobs: Vec<_> = plain
            .iter()
            .enumerate()
            .map(|(i, p)| Job::new(key, pool.copy_in(start, p).unwrap(), 12, 7 + i as u64))
            .collect();
        sealer.protect(&mut pool, &mut jobs);
        for (job, plain) in jobs.iter().zip(&plain) {
            prop_assert_eq!(job.result, Ok(()));
            prop_assert_eq!(open(&mut opener, pool.bytes(&job.buf)), Ok((job.index, plain.clone())));
        }
        for job in jobs {
            pool.free(job.buf);
        }
    }
}
