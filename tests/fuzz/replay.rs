//! Replays the fuzz corpus: every file through its target, so that what once crashed never does again.
//!
//! `PLENUM_WRITE_CORPUS=1 cargo test -p plenum-tests --test fuzz` writes the seed files after `seeds.rs` changed.

mod control;
mod decoders;
mod seeds;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use targets::Target;

/// Every target with its name, which is that of its corpus folder.
fn targets() -> impl Iterator<Item = &'static (&'static str, Target)> {
    targets::TARGETS.iter().chain(decoders::TARGETS).chain(control::TARGETS)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|e| e.expect("a readable folder").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_file_of_the_corpus_passes_its_target() {
    for (name, target) in targets() {
        let files = entries(&corpus().join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let bytes = fs::read(&file).expect("a readable file");
            // The name of the file is shown when its target panics.
            println!("{}", file.display());
            target(&bytes);
        }
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    for folder in entries(&corpus()) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(targets().any(|(target, _)| *target == name), "{name} has no target");
    }
}

#[test]
fn the_corpus_holds_the_seeds() {
    let write = std::env::var_os("PLENUM_WRITE_CORPUS").is_some();
    for seed in seeds::all() {
        let file = corpus().join(seed.target).join(seed.name);
        if write {
            fs::create_dir_all(file.parent().expect("a folder")).expect("a writable corpus");
            fs::write(&file, &seed.bytes).expect("a writable corpus");
        }
        let kept = fs::read(&file).unwrap_or_default();
        assert!(file.exists() && kept == seed.bytes, "{} is not what seeds.rs makes", file.display());
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_seed_passes_its_target() {
    for seed in seeds::all() {
        let (_, target) = targets().find(|(name, _)| *name == seed.target).expect("a target");
        for cut in 0..seed.bytes.len() {
            target(&seed.bytes[..cut]);
        }
        let mut bytes = seed.bytes.clone();
        for bit in 0..(8 * bytes.len()).min(4096) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            target(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Splitmix64: the same numbers in every run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize >> 1
}

/// `PLENUM_FUZZ_ROUNDS` sets how many mutations of each seed are tried.
#[test]
fn random_mutations_of_the_seeds_pass_their_targets() {
    let rounds = std::env::var("PLENUM_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(200);
    let all = seeds::all();
    let mut state = 1;
    for seed in &all {
        let (_, target) = targets().find(|(name, _)| *name == seed.target).expect("a target");
        let siblings: Vec<_> = all.iter().filter(|s| s.target == seed.target).collect();
        for round in 0..rounds {
            let mut bytes = seed.bytes.clone();
            for _ in 0..=next(&mut state) % 5 {
                let at = next(&mut state) % (bytes.len() + 1);
                match next(&mut state) % 5 {
                    0 => bytes.insert(at, next(&mut state) as u8),
                    1 => bytes.truncate(at),
                    2 => bytes.extend(&siblings[next(&mut state) % siblings.len()].bytes),
                    3 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = [0, 1, 0x7f, 0x80, 0xff][round % 5]),
                    _ => bytes.iter_mut().skip(at).take(2).for_each(|b| *b = next(&mut state) as u8),
                }
            }
            if let Err(panic) = std::panic::catch_unwind(|| target(&bytes)) {
                eprintln!("{}/{} round {round}: {bytes:02x?}", seed.target, seed.name);
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn seeds_that_are_meant_to_be_valid_are() {
    use plenum_wire::payload::{Codec, dd, inspect};
    let seed = |target: &str, name: &str| {
        let found = seeds::all().into_iter().find(|s| s.target == target && s.name == name);
        found.unwrap_or_else(|| panic!("{target}/{name}")).bytes
    };
    let mut parser = dd::Parser::new();
    let stream = seed("dd", "key_and_deltas");
    let (key, deltas) = stream[1..].split_at(usize::from(stream[0]));
    assert!(parser.parse(key).is_ok_and(|f| f.is_key_frame()));
    for delta in deltas.chunks(4) {
        assert!(parser.parse(&delta[1..]).is_ok(), "{delta:?}");
    }
    let custom = seed("dd", "custom_fields");
    assert!(parser.parse(&custom[2 + key.len()..]).is_ok());
    for (codec, target, name) in [
        (Codec::Vp8, "vp8", "key_frame"),
        (Codec::Vp9, "vp9", "key_frame"),
        (Codec::H264, "h264", "aggregate"),
        (Codec::H265, "h265", "aggregate"),
        (Codec::Av1, "av1", "key_frame"),
    ] {
        let info = inspect(codec, &seed(target, name), false, None);
        assert!(info.is_ok_and(|i| i.key_frame && i.start_of_frame && i.dimensions.is_some()), "{target}/{name}");
    }
    let session = seed("sdp", "simulcast");
    plenum_sdp::Session::parse(std::str::from_utf8(&session).expect("text")).expect("a valid description");
    let hello = |name: &str| plenum_session::dtls::hello::Waiting::default().push(&seed("dtls_hello", name)[2..]);
    assert_eq!(hello("browser"), Ok(Some(plenum_session::dtls::hello::Choice::First)));
    assert!(matches!(hello("openssl"), Ok(Some(plenum_session::dtls::hello::Choice::Second(Some(7))))));
    assert!(
        ["plain", "nominating", "conflict"].map(|name| plenum_session::check_any(&seed("ice_check", name)))
            == [true; 3]
    );
    assert!(["chat", "nameless"].map(|name| plenum_session::open_any(&seed("dcep_open", name))) == [true; 2]);
    assert!(plenum_wire::stun::local_ufrag(&seed("stun", "name_behind_others")) == Some("abcd"));
}
