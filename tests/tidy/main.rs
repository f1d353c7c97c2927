//! The rules of the house, checked: who may import whom, what the data plane's libraries may not use, how a file opens, and
//! where `unsafe` may stand. The import table is the one of ARCHITECTURE.md, "The house".

mod layouts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crate, its folder, and the crates of ours that it may import (dev-dependencies are free).
const HOUSE: &[(&str, &str, &[&str])] = &[
    ("plenum-packet", "dataplane/packet", &[]),
    ("plenum-wire", "dataplane/wire", &["plenum-packet"]),
    ("plenum-srtp", "dataplane/srtp", &["plenum-wire", "plenum-packet"]),
    ("plenum-contract", "dataplane/contract", &[]),
    ("plenum-session", "dataplane/session", &["plenum-srtp", "plenum-wire", "plenum-packet", "plenum-contract"]),
    ("plenum-stage", "dataplane/stage", &["plenum-contract"]),
    ("plenum-route", "dataplane/route", &["plenum-wire", "plenum-packet"]),
    (
        "plenum-shard",
        "dataplane/shard",
        &[
            "plenum-session",
            "plenum-stage",
            "plenum-route",
            "plenum-contract",
            "plenum-srtp",
            "plenum-wire",
            "plenum-packet",
        ],
    ),
    (
        "plenum-media",
        "dataplane/media",
        &["plenum-shard", "plenum-contract", "plenum-session", "plenum-packet", "plenum-io", "plenum-host"],
    ),
    (
        "plenum-mix",
        "dataplane/mix",
        &[
            "plenum-stage",
            "plenum-contract",
            "plenum-engines",
            "plenum-kernels",
            "plenum-wire",
            "plenum-packet",
            "plenum-host",
        ],
    ),
    ("plenum-io", "hw/io", &["plenum-packet"]),
    ("plenum-host", "hw/host", &[]),
    ("plenum-kernels", "codecs/kernels", &[]),
    ("plenum-engines", "codecs/engines", &["plenum-kernels"]),
    ("plenum-model", "controlplane/model", &[]),
    ("plenum-sdp", "controlplane/sdp", &["plenum-contract"]),
    ("plenum", "controlplane/control", &["plenum-model", "plenum-sdp", "plenum-contract"]),
];

/// Crates that may import anything of ours.
const FREE: &[&str] = &["plenum-bench", "plenum-tests"];

/// The data plane's libraries: no tokio, no socket, no clock, no thread, no random source of their own.
const PURE: &[&str] = &[
    "dataplane/packet",
    "dataplane/wire",
    "dataplane/srtp",
    "dataplane/contract",
    "dataplane/session",
    "dataplane/stage",
    "dataplane/route",
    "dataplane/shard",
    "controlplane/model",
];

/// What a pure library may not name, and why.
const BANNED: &[(&str, &str)] = &[
    ("tokio::", "the data plane has no async runtime"),
    ("Instant::now", "time comes in as an argument"),
    ("SystemTime::now", "time comes in as an argument"),
    ("UdpSocket", "I/O belongs to hw/io"),
    ("TcpStream", "I/O belongs to hw/io"),
    ("TcpListener", "I/O belongs to hw/io"),
    ("UnixStream", "I/O belongs to the programs"),
    ("std::fs", "I/O belongs to the programs"),
    ("thread::spawn", "threads belong to the programs"),
    ("thread::sleep", "nothing sleeps on a shard"),
    ("rand::rng", "randomness comes in as a seed"),
    ("SystemRandom", "randomness comes in as a seed"),
    ("println!", "a library does not print"),
    ("eprintln!", "a library does not print"),
];

/// Lines of a file, and of one in a folder of tests, as CONTRIBUTING.md has it.
const MOST_LINES: [usize; 2] = [600, 900];

/// Where `unsafe` may stand.
const UNSAFE_ROOMS: &[&str] = &["hw/", "codecs/", "dataplane/packet/", "dataplane/srtp/src/backend/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace").to_path_buf()
}

/// All Rust files below `folder`, as paths relative to the root.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    fn walk(at: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_none_or(|n| n != "target" && n != "node_modules") {
                    walk(&path, out);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = root();
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|p| {
            let text = fs::read_to_string(&p).expect("a source file is readable UTF-8");
            (p.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned(), text)
        })
        .collect()
}

/// The part of a file that ships: without its test module, and without comment lines.
fn shipped(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Sources that ship: below `src/`, and not a module that is declared for tests only.
fn shipped_files(folder: &str) -> Vec<(String, String)> {
    let files = rust_files(folder);
    let mut tests = BTreeSet::new();
    for (_, text) in &files {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]"
                && let Some(name) = lines.peek().and_then(|l| l.trim().strip_suffix(';'))
                && let Some(name) = name.trim_start_matches("pub(crate) ").strip_prefix("mod ")
            {
                tests.insert(name.to_owned());
            }
        }
    }
    let stem = |path: &str| path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
    files.into_iter().filter(|(path, _)| path.contains("/src/") && !tests.contains(&stem(path))).collect()
}

#[test]
fn every_crate_imports_only_what_the_house_allows() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let table: BTreeMap<_, _> = HOUSE.iter().map(|(name, folder, may)| (*name, (*folder, *may))).collect();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        if FREE.contains(&name) {
            continue;
        }
        let Some((folder, may)) = table.get(name) else {
            wrong.push(format!("{name} has no row in the house"));
            continue;
        };
        seen.insert(name.to_owned());
        let manifest = package["manifest_path"].as_str().expect("a path");
        if !manifest.ends_with(&format!("{folder}/Cargo.toml")) {
            wrong.push(format!("{name} stands at {manifest}, not in {folder}"));
        }
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("a name");
            let ours = target == "plenum" || target.starts_with("plenum-");
            if ours && dependency["kind"].as_str() != Some("dev") && !may.contains(&target) {
                wrong.push(format!("{name} may not import {target}"));
            }
        }
    }
    for (name, _, _) in HOUSE {
        if !seen.contains(*name) {
            wrong.push(format!("{name} is in the table and not in the workspace"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_data_planes_libraries_have_no_clock_socket_thread_or_random_source() {
    let mut wrong = Vec::new();
    for folder in PURE {
        for (path, text) in shipped_files(folder) {
            let code = shipped(&text);
            for (word, why) in BANNED {
                if code.contains(word) {
                    wrong.push(format!("{path} names {word}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for folder in ["dataplane", "controlplane", "hw", "codecs", "bench", "tests"] {
        for (path, text) in rust_files(folder) {
            if !text.trim_start().starts_with("//!") {
                wrong.push(path);
            }
        }
    }
    assert!(wrong.is_empty(), "these files do not open with //!:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_is_allowed_and_explains_itself() {
    let mut wrong = Vec::new();
    for folder in ["dataplane", "controlplane", "hw", "codecs", "bench"] {
        for (path, text) in shipped_files(folder) {
            let allowed = UNSAFE_ROOMS.iter().any(|room| path.starts_with(room));
            let lines: Vec<_> = text.lines().collect();
            for (i, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let blocks = code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn");
                if !blocks {
                    continue;
                }
                if !allowed {
                    wrong.push(format!("{path}:{} has unsafe code outside of its rooms", i + 1));
                }
                // The explanation stands above the statement, whatever attributes and lines come between.
                let explained =
                    lines[i.saturating_sub(12)..=i].iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety"));
                if !explained {
                    wrong.push(format!("{path}:{} has no SAFETY comment", i + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unfinished_ships_and_no_test_sleeps() {
    // Spelled apart, so that this file does not find itself.
    let marks =
        [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["FIX", "ME"].concat(), ["#[ig", "nore"].concat()];
    let mut wrong = Vec::new();
    for folder in ["dataplane", "controlplane", "hw", "codecs", "bench", "tests"] {
        for (path, text) in rust_files(folder) {
            for mark in &marks {
                if text.contains(mark.as_str()) {
                    wrong.push(format!("{path} contains {mark}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_grows_into_a_monster() {
    let mut wrong = Vec::new();
    for folder in ["dataplane", "controlplane", "hw", "codecs", "bench", "tests"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            if lines > MOST_LINES[usize::from(format!("/{path}").contains("/tests/"))] {
                wrong.push(format!("{path} has {lines} lines: which room is missing?"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
