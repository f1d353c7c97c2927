//! The audit log: who did what, when, from where, with what result; never a secret; bounded; in one piece with what was done.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{Answer, House, basic, from, login, request};
use plenum::serve::{Limits, Settings};
use serde_json::{Value, json};

async fn audit(house: &House, query: &str) -> Vec<Value> {
    // Logins are written with what follows them.
    house.handle.tick().await;
    let answer = house.operate(&login("admin"), "GET", &format!("audit{query}"), Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json["audit"].as_array().unwrap().clone()
}

fn short(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    [text("who"), text("via"), text("action"), text("conference"), text("result")].join(" ")
}

async fn from_afar(house: &House, authorization: &str, method: &str, path: &str, body: Value) -> Answer {
    let asked = request(method, &format!("/api/plenum/v1/{path}"), None).header("authorization", authorization);
    house.send(from(asked.body(Body::from(body.to_string())).unwrap(), "192.0.2.7")).await
}

#[tokio::test]
async fn operators_hosts_and_logins_are_written_down_with_their_result_and_without_secrets() {
    let house = House::with_pins().await;
    let operator = login("operator");
    let board = json!({"number": "2000", "host_pin": "48151623", "guest_pin": "48151624"});
    let made = from_afar(&house, &operator, "POST", "conferences", board.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    from_afar(&house, &operator, "POST", "conferences", board).await.problem(409);
    from_afar(&house, &basic("operator", "geheim123456"), "GET", "status", Value::Null).await.problem(401);
    let host = house.join("Ada", Some("1234")).await;
    let guest = house.join("Bob", Some("99")).await;
    house.act(&host, "lock", Value::Null).await.result();
    house.to(&host, &guest, "mute", Value::Null).await.result();
    house.to(&host, &guest, "dtmf", json!({"digits": "48151623"})).await;
    house.to(&host, &guest, "transfer", json!({"conference_alias": "2000", "pin": "48151625"})).await;
    house.act(&host, "message", json!({"payload": "48151626"})).await.result();
    house.act(&guest, "unlock", Value::Null).await.refused(403);
    let password = json!({"name": "eve", "role": "viewer", "password": "a password of hers"});
    from_afar(&house, &login("admin"), "POST", "accounts", password).await;

    let entries = audit(&house, "").await;
    let said: Vec<String> = entries.iter().map(short).collect();
    for wanted in [
        "operator password login - done",
        "operator password conference_create 2000 done",
        "operator password conference_create 2000 refused: the alias is taken",
        "operator password login - refused",
        "Ada token lock 1061 done",
        "Ada token mute 1061 done",
        "Ada token transfer 1061 refused: wrong PIN",
        "admin password account_add - done",
    ] {
        assert!(said.iter().any(|said| said == wanted), "{wanted} is missing in {said:#?}");
    }
    assert!(!said.iter().any(|said| said.contains("unlock") || said.contains("message")), "{said:#?}");
    let lock = entries.iter().find(|entry| entry["action"] == "mute").unwrap();
    assert_eq!(
        (&lock["target"], &lock["face"], &lock["ip"]),
        (&json!(guest.uuid), &json!("mgmt"), &json!("127.0.0.1"))
    );
    let created = entries.iter().find(|entry| entry["action"] == "conference_create").unwrap();
    assert_eq!((&created["ip"], created["at"].as_u64().unwrap() > 1_700_000_000), (&json!("192.0.2.7"), true));
    let all = json!(entries).to_string();
    for secret in ["4815162", "geheim", "a password", "argon2", house::PASSWORD] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }

    let only = async |query: &str| audit(&house, query).await.iter().map(short).collect::<Vec<_>>();
    assert_eq!(only("?who=Ada&action=lock").await, ["Ada token lock 1061 done"]);
    assert!(only("?conference=2000").await.iter().all(|said| said.contains("conference_create")));
    assert!(only("?until=5").await.is_empty());
    let page = house.operate(&login("admin"), "GET", "audit?limit=2", Value::Null).await;
    let next = page.json["next"].as_u64().unwrap();
    let rest = audit(&house, &format!("?before={next}&limit=1000")).await;
    assert_eq!(rest.len() + 2, audit(&house, "").await.len());
    from_afar(&house, &operator, "GET", "audit", Value::Null).await.problem(403);
}

#[tokio::test]
async fn the_log_outlives_the_process_and_what_was_not_done_for_a_sick_store_is_not_in_it() {
    use sqlx::Connection;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let host = house.join("Ada", Some("1234")).await;
    house.act(&host, "lock", Value::Null).await.result();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("ALTER TABLE audit RENAME TO a2").execute(&mut other).await.unwrap();
    house.act(&host, "muteguests", Value::Null).await.refused(503);
    let status = house.get(&format!("{}/service_status", house::ROOM), Some(&host.token)).await;
    assert_eq!(status.result()["guests_muted"], false, "what cannot be written down is not done");
    house.operate(&login("admin"), "GET", "audit", Value::Null).await.problem(503);
    sqlx::raw_sql("ALTER TABLE a2 RENAME TO audit").execute(&mut other).await.unwrap();
    house.driving.abort();
    let _ = house.driving.await;
    let house = House::on(&file).await;
    let said: Vec<String> = audit(&house, "?who=Ada").await.iter().map(short).collect();
    assert_eq!(said, ["Ada token lock 1061 done"]);
}

#[tokio::test]
async fn a_busy_host_does_not_push_out_what_operators_did() {
    let limits = Limits { requests_per_address: 10_000, ..Limits::default() };
    let house = House::with(house::pin_room(), Settings { limits, audit_keep: 100, ..Settings::default() }).await;
    house.operate(&login("operator"), "POST", "conferences", json!({"number": "2000"})).await;
    let host = house.join("Ada", Some("1234")).await;
    for n in 0..1_300 {
        house.act(&host, if n % 2 == 0 { "lock" } else { "unlock" }, Value::Null).await.result();
    }
    let hosts = audit(&house, "?who=Ada&limit=1000").await.len();
    assert!((100..=100 + 512).contains(&hosts), "{hosts} entries of 1300");
    assert_eq!(audit(&house, "?action=conference_create").await.len(), 1);
}
