//! Which test covers which item of the specifications: `docs/spec-coverage.md` is made from the sources of the tests.
//!
//! A test covers an item when its name says so (`mgmt_38_…`, several in a row are possible) or its body cites it (`MGMT-38`).
//! An item without a test fails, and so does a table that is not what the sources say:
//! `PLENUM_UPDATE_DOCS=1 cargo test -p plenum-tests --test coverage` writes it anew.

mod items;

use items::FAMILIES;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose sources have tests.
const FOLDERS: &[&str] = &["controlplane", "dataplane", "hw", "tests"];

/// Family and number.
type Item = (&'static str, usize);
/// Items with the tests that cover them: file and function.
type Coverage = BTreeMap<Item, BTreeSet<(String, String)>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace").to_path_buf()
}

fn sources(at: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != "node_modules" && name != "coverage" {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The tests of a source: name, and text from its comment to its closing brace.
fn tests(source: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = source.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let attribute = line.trim();
        if !(attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test")) {
            continue;
        }
        let Some(head) = (at..lines.len()).take(6).find(|i| lines[*i].contains("fn ")) else { continue };
        let Some((_, name)) = lines[head].split_once("fn ") else { continue };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let comment = (0..at).rev().take_while(|i| lines[*i].trim().starts_with("//")).last().unwrap_or(at);
        let closes = |i: &usize| lines[*i].trim() == "}" && indent(lines[*i]) == indent(lines[head]);
        let end = (head..lines.len()).find(closes).unwrap_or(lines.len() - 1);
        found.push((name, lines[comment..=end].join("\n")));
    }
    found
}

/// Numbers of a family that a test names or cites.
fn cited(family: &str, name: &str, text: &str) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    for (text, mark) in [(name, format!("{}_", family.to_lowercase())), (text, format!("{family}-"))] {
        for (at, _) in text.match_indices(&mark) {
            let digits: String = text[at + mark.len()..].chars().take_while(char::is_ascii_digit).collect();
            numbers.extend(digits.parse::<usize>());
        }
    }
    numbers
}

fn coverage() -> Coverage {
    let root = root();
    let mut paths = Vec::new();
    for folder in FOLDERS {
        sources(&root.join(folder), &mut paths);
    }
    let mut coverage = Coverage::new();
    for path in paths {
        let Ok(source) = fs::read_to_string(&path) else { continue };
        let file = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        for (name, text) in tests(&source) {
            for (family, items) in FAMILIES {
                let known = cited(family, &name, &text).into_iter().filter(|n| (1..=items.len()).contains(n));
                for number in known {
                    coverage.entry((*family, number)).or_default().insert((file.clone(), name.clone()));
                }
            }
        }
    }
    coverage
}

/// The page.
fn page(coverage: &Coverage) -> String {
    let mut page = String::from(
        "# Which test covers which item\n\nMade by `tests/coverage` from the names of the tests and what they cite; do not edit. \
         `PLENUM_UPDATE_DOCS=1 cargo test -p plenum-tests --test coverage`\nwrites it anew.\n",
    );
    for (family, items) in FAMILIES {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {family}\n\n| Item | What | Tests |\n|---|---|---|\n");
        for (at, title) in items.iter().enumerate() {
            let tests = coverage.get(&(*family, at + 1)).into_iter().flatten();
            let tests: Vec<String> = tests.map(|(file, name)| format!("`{name}` ({file})")).collect();
            let _ = writeln!(page, "| {family}-{} | {title} | {} |", at + 1, tests.join("<br>"));
        }
    }
    page
}

#[test]
fn every_item_of_the_specifications_has_a_test() {
    let coverage = coverage();
    let all = FAMILIES.iter().flat_map(|(family, items)| (1..=items.len()).map(|number| (*family, number)));
    let missing: Vec<String> =
        all.filter(|item| !coverage.contains_key(item)).map(|(family, number)| format!("{family}-{number}")).collect();
    assert!(missing.is_empty(), "no test covers {}", missing.join(", "));
}

#[test]
fn the_table_says_what_the_sources_say() {
    let (file, now) = (root().join("docs/spec-coverage.md"), page(&coverage()));
    if std::env::var_os("PLENUM_UPDATE_DOCS").is_some() {
        fs::write(&file, &now).expect("docs is writable");
    }
    let said = fs::read_to_string(&file).unwrap_or_default();
    let stale = "docs/spec-coverage.md is stale: PLENUM_UPDATE_DOCS=1 cargo test -p plenum-tests --test coverage";
    assert!(said == now, "{stale}");
}

#[test]
fn names_and_citations_are_found_and_nothing_else() {
    let source = "/// MGMT-3 as well.\n#[test]\nfn mgmt_12_mgmt_7_it_works() {\n    // MGMT-60.\n}\n\n// MGMT-1\nfn helper() {}\n";
    let found = tests(source);
    assert_eq!(found.len(), 1);
    let numbers = cited("MGMT", &found[0].0, &found[0].1);
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [3, 7, 12, 60]);
    assert!(cited("CMS", &found[0].0, &found[0].1).is_empty());
}
