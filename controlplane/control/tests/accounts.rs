//! Accounts and API keys: made, used, changed and gone; and logins by who guesses.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{House, PASSWORD, basic, from, login, request};
use serde_json::{Value, json};

async fn role_of(house: &House, authorization: &str) -> Option<String> {
    let me = house.operate(authorization, "GET", "me", Value::Null).await;
    (me.status == StatusCode::OK).then(|| me.json["role"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_account_is_made_used_changed_and_deleted() {
    let house = House::open().await;
    let admin = login("admin");
    let made = house.operate(&admin, "POST", "accounts", json!({"name": "ada", "role": "viewer"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.headers["location"], "/api/plenum/v1/accounts/ada");
    let ada = basic("ada", made.json["password"].as_str().unwrap());
    assert_eq!(role_of(&house, &ada).await.as_deref(), Some("viewer"));
    let change = house.operate(&admin, "PATCH", "accounts/ada", json!({"role": "operator"})).await;
    assert_eq!((&change.json["role"], change.json.get("password")), (&json!("operator"), None));
    assert_eq!(role_of(&house, &ada).await.as_deref(), Some("operator"), "at once, without a new login");
    house.operate(&admin, "PATCH", "accounts/ada", json!({"password": "a password of hers"})).await;
    assert_eq!(role_of(&house, &ada).await, None, "the old password ends at once");
    let ada = basic("ada", "a password of hers");
    assert_eq!(role_of(&house, &ada).await.as_deref(), Some("operator"));
    let gone = house.operate(&admin, "DELETE", "accounts/ada", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(role_of(&house, &ada).await, None);
    let list = house.operate(&admin, "GET", "accounts", Value::Null).await;
    assert!(!list.text.contains("argon2") && !list.text.contains("password"), "{}", list.text);
    assert_eq!(list.json["accounts"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_field() {
    let house = House::open().await;
    let admin = login("admin");
    let post = async |path, body| house.operate(&admin, "POST", path, body).await;
    let field = |field: &str| Some(field.to_owned());
    assert_eq!(post("accounts", json!({"role": "viewer"})).await.problem(400).1, field("name"));
    assert_eq!(post("accounts", json!({"name": "x", "role": "root"})).await.problem(400).1, field("role"));
    assert_eq!(post("accounts", json!({"name": "x/y", "role": "viewer"})).await.problem(400).1, field("name"));
    let short = json!({"name": "x", "role": "viewer", "password": "short"});
    assert_eq!(post("accounts", short).await.problem(400).1, field("password"));
    assert_eq!(post("keys", json!({"name": "x", "role": "viewer", "y": 1})).await.problem(400).1, field("y"));
    assert!(post("accounts", json!({"name": "viewer", "role": "admin"})).await.problem(409).0.contains("Another"));
    let demote = house.operate(&admin, "PATCH", "accounts/admin", json!({"role": "viewer"})).await;
    assert!(demote.problem(409).0.contains("last admin"));
    assert!(house.operate(&admin, "DELETE", "accounts/admin", Value::Null).await.problem(409).0.contains("last admin"));
    house.operate(&admin, "DELETE", "keys/none", Value::Null).await.problem(404);
}

#[tokio::test]
async fn a_key_outlives_the_process_with_its_last_use_and_ends_when_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let made = house.operate(&login("admin"), "POST", "keys", json!({"name": "robot", "role": "operator"})).await;
    let (id, key) = (made.json["id"].as_str().unwrap().to_owned(), made.json["key"].as_str().unwrap().to_owned());
    assert!(made.json["last_used"].is_null());
    let bearer = format!("Bearer {key}");
    assert_eq!(role_of(&house, &bearer).await.as_deref(), Some("operator"));
    house.pass(61).await;
    house.driving.abort();
    let _ = house.driving.await;

    let house = House::on(&file).await;
    let shown = house.operate(&login("admin"), "GET", &format!("keys/{id}"), Value::Null).await;
    assert!(shown.json["last_used"].as_u64().is_some_and(|used| used > 1_700_000_000), "{}", shown.text);
    assert!(!shown.text.contains(&key), "told once");
    let bytes = std::fs::read(&file).unwrap();
    let secret = key.splitn(3, '_').nth(2).unwrap().as_bytes(); // it may hold a _ itself
    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "the store has its hash alone");
    assert_eq!(role_of(&house, &bearer).await.as_deref(), Some("operator"));
    house.operate(&login("admin"), "DELETE", "keys/robot", Value::Null).await;
    assert_eq!(role_of(&house, &bearer).await, None);
}

#[tokio::test]
async fn guessing_is_slowed_by_address_and_by_name_and_holds_up_nobody_who_logged_in_before() {
    let house = House::open().await;
    let ask = async |authorization: String, ip: &str| {
        let asked = request("GET", "/api/plenum/v1/me", None).header("authorization", authorization);
        house.send(from(asked.body(Body::empty()).unwrap(), ip)).await.status
    };
    assert_eq!(ask(login("operator"), "192.0.2.1").await, StatusCode::OK);
    let mut limited = 0;
    for n in 0..12 {
        let guess = basic("operator", &format!("guess{n}"));
        limited += usize::from(ask(guess, &format!("198.51.100.{n}")).await == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(limited >= 4, "{limited} of 12 guesses from as many addresses were not even looked at");
    assert_eq!(ask(login("operator"), "203.0.113.1").await, StatusCode::OK, "a remembered login costs nothing");
    assert_eq!(ask(basic("operator", "guess"), "192.0.2.1").await, StatusCode::UNAUTHORIZED, "its own address may err");
    // One address that tries names.
    let mut limited = 0;
    for n in 0..40 {
        let status = ask(basic(&format!("name{n}"), PASSWORD), "192.0.2.99").await;
        limited += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(limited >= 15, "{limited} of 40");
}

#[tokio::test]
async fn a_failed_store_makes_no_account() {
    use sqlx::Connection;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let house = House::on(&file).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("ALTER TABLE accounts RENAME TO a2").execute(&mut other).await.unwrap();
    let new = json!({"name": "ada", "role": "viewer", "password": "a password of hers"});
    house.operate(&login("admin"), "POST", "accounts", new.clone()).await.problem(503);
    assert_eq!(role_of(&house, &basic("ada", "a password of hers")).await, None);
    sqlx::raw_sql("ALTER TABLE a2 RENAME TO accounts").execute(&mut other).await.unwrap();
    assert_eq!(house.operate(&login("admin"), "POST", "accounts", new).await.status, StatusCode::CREATED);
}
