//! The REST API of the running appliance: Schemathesis against its own description, webhooks across a `kill -9`, and the commands of `plenum`
//! that use it.

use crate::appliance::{Appliance, free_port, program};
use crate::client::{exchange, join, post};
use crate::gallery::until;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use socket2::SockRef;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Examples of each operation and phase. More find more and take longer; the seed is fixed, so a run can be repeated.
const EXAMPLES: &str = "30";
const SEED: &str = "1061";
/// For a delivery: it is tried again a minute later at most.
const PATIENCE: Duration = Duration::from_secs(90);

/// The `Authorization` of the account that the first start made.
fn admin(at: &Appliance) -> String {
    let log = at.log();
    let password = log.split("shown this once:").nth(1).and_then(|rest| rest.split_whitespace().next());
    format!("Basic {}", STANDARD.encode(format!("admin:{}", password.expect("the banner shows it"))))
}

fn make(at: &Appliance, path: &str, body: &Value) -> Value {
    let headers = [("authorization", &*admin(at))];
    let made = exchange(at, "POST", &format!("/api/plenum/v1/{path}"), &headers, &body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()
}

/// How many answers of this class the appliance counted.
fn answers(at: &Appliance, class: &str) -> u64 {
    let (_, metrics) = at.get("/metrics").expect("metrics");
    let name = format!("plenum_http_answers_total{{class=\"{class}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).and_then(|n| n.parse().ok()).expect("the counter")
}

#[test]
fn schemathesis_finds_no_server_error_in_our_own_api() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1", "PLENUM_LIMITS_REQUESTS_PER_ADDRESS=100000"]);
    let key = make(&at, "keys", &json!({"name": "schemathesis", "role": "admin"}));
    let key = key["key"].as_str().expect("the key").to_owned();
    make(&at, "conferences", &json!({"number": "2000"}));
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/st");
    let before = answers(&at, "5xx");
    let work = tempfile::tempdir().expect("a folder for its database");
    let output = Command::new(std::path::absolute(python).expect("a path"))
        .args(["run", &format!("{}/api/plenum/v1/openapi.json", at.url()), "--tls-verify", "false", "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {key}"), "--checks", "not_a_server_error"])
        // Streams do not end. Stateful phases would delete the key that they use.
        .args(["--exclude-path-regex", "/events$", "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none", "--warnings", "off"])
        .current_dir(work.path())
        .output()
        .expect("schemathesis starts (packaging/setup.sh test installs it)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // While it started, /health may have answered 503.
    assert_eq!(answers(&at, "5xx"), before, "{said}");
    // It was let in, and it was heard.
    let (taken, refused) = (answers(&at, "2xx"), answers(&at, "4xx"));
    assert!(taken > 30 && refused > 200, "{taken} and {refused}: {said}");
    assert_eq!(at.get("/health").map(|(status, _)| status), Some(200));
}

/// The next delivery: its body, whose signature holds.
fn delivery(listener: &TcpListener, secret: &str) -> Value {
    let (stream, _) = listener.accept().expect("a delivery in time");
    let mut reader = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    assert_eq!(line, "POST /in HTTP/1.1\r\n");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a head");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            name if name == plenum::hooks::SIGNATURE => signature = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let time = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).expect("a time");
    assert_eq!(signature, plenum::hooks::sign(secret, time.parse().expect("seconds"), &body));
    reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").expect("taken");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn a_webhook_whose_receiver_is_down_while_control_is_killed_gets_everything_in_order() {
    let _alone = crate::alone();
    let mut at = Appliance::start(&["--shards", "1", "PLENUM_WEBHOOKS_PRIVATE_ADDRESSES=true"]);
    let port = free_port();
    let hook = make(&at, "webhooks", &json!({"url": format!("http://127.0.0.1:{port}/in"), "kinds": ["status"]}));
    let secret = hook["secret"].as_str().expect("the secret").to_owned();
    let host = join(&at, "Ada");
    let act = |at: &Appliance, name: &str| {
        post(at, &format!("/api/services/1061/{name}"), Some(&host.token), Value::Null).result();
    };
    for n in 0..40 {
        act(&at, if n % 2 == 0 { "lock" } else { "unlock" });
    }
    at.kill_control_and_restart();
    for n in 0..10 {
        act(&at, if n % 2 == 0 { "lock" } else { "unlock" });
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).expect("an accept that ends");
    let mut events: Vec<Value> = Vec::new();
    while events.len() < 50 {
        events.extend(delivery(&listener, &secret)["events"].as_array().expect("events").iter().cloned());
    }
    let locked: Vec<bool> = events.iter().map(|event| event["data"]["locked"] == true).collect();
    let expected: Vec<bool> = (0..50).map(|n| n % 2 == 0).collect();
    assert_eq!(locked, expected, "what was answered before the kill is told, once, in order");
}

/// What a command that succeeds prints.
fn prints(at: &Appliance, words: &[&str]) -> String {
    let (code, out, errors) = at.command(words);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{words:?}: {out}");
    out
}

/// What a command that is refused with this exit code says.
fn refused(at: &Appliance, code: i32, words: &[&str]) -> String {
    let (ended, out, errors) = at.command(words);
    assert_eq!((ended, out.as_str()), (Some(code), ""), "{words:?}: {errors}");
    errors
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The line of `plenum conference list` with this first alias.
fn listed(at: &Appliance, id: &str) -> Option<String> {
    let first = format!("{id}, ");
    prints(at, &["conference", "list"]).lines().find(|line| line.starts_with(&first)).map(str::to_owned)
}

#[test]
fn operators_on_the_machine_see_how_it_does_and_make_list_show_and_delete_conferences() {
    let at = Appliance::start(&["--shards", "1"]);
    // Media tells of its shards once a second.
    let facts = [["media", "up"], ["store", "ok"], ["shards", "1"], ["conferences", "1"], ["participants", "0"]];
    until(&at, "the status has a line for each of these facts", || {
        let status = prints(&at, &["status"]);
        let said: Vec<Vec<&str>> = status.lines().map(|line| line.split_whitespace().collect()).collect();
        facts.iter().all(|fact| said.iter().any(|line| line == fact))
    });

    let aliases = json!(["2000", "2000@plenum.local", "board@example.org"]);
    let words = ["conference", "create", "2000", "--name", "Board", "--alias", "board@example.org", "--pin", "1234"];
    let made = read(&prints(&at, &words));
    assert_eq!((&made["aliases"], &made["name"], &made["host_pin"]), (&aliases, &json!("Board"), &json!("1234")));
    assert_eq!(refused(&at, 1, &words), "plenum: Another conference has the alias 2000\n");
    assert!(refused(&at, 2, &["conference", "create", "20x0"]).contains("1 to 20 digits"));

    join(&at, "Alice");
    assert!(listed(&at, "1061").is_some_and(|line| line.contains(" 1 present")), "Alice is in the one to try");
    let board = listed(&at, "2000").expect("it is listed");
    assert!(board.contains("board@example.org") && board.contains(" 0 present") && board.ends_with("Board"), "{board}");
    let all = read(&prints(&at, &["conference", "list", "--json"]));
    let ids: Vec<&Value> = all.as_array().expect("a list").iter().map(|conference| &conference["id"]).collect();
    assert!(ids.len() == 2 && ids.contains(&&made["id"]), "{all}");
    for id in ["2000", "board@example.org"] {
        assert_eq!(read(&prints(&at, &["conference", "show", id])), made);
    }
    until(&at, "the status counts them", || {
        let status = read(&prints(&at, &["status", "--json"]));
        (&status["conferences"], &status["participants"]) == (&json!(2), &json!(1))
    });

    for what in ["show", "delete"] {
        assert_eq!(refused(&at, 1, &["conference", what, "4711"]), "plenum: No such conference\n");
        assert!(refused(&at, 2, &["conference", what, "../1061"]).contains("letters, digits and @ . - _ +"));
    }
    assert_eq!(prints(&at, &["conference", "delete", "board@example.org"]), "board@example.org deleted\n");
    assert_eq!(listed(&at, "2000"), None);
    assert_eq!(refused(&at, 1, &["conference", "delete", "2000"]), "plenum: No such conference\n");

    // On a folder on which nobody runs.
    let nobody = tempfile::tempdir().expect("a folder");
    let said =
        Command::new(program("plenum")).args(["status", "--data"]).arg(nobody.path()).output().expect("plenum starts");
    let errors = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1));
    assert!(errors.starts_with("plenum: no plenum runs on") && errors.contains("--data"), "{errors}");
}
