//! `plenum conference create|list|show|delete`, by the operator API of the running server.

use super::{Failure, Where, client};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};

/// Where the operator API has its conferences.
const CONFERENCES: &str = "/api/operator/conferences";

#[derive(Subcommand, Debug)]
pub(super) enum ConferenceCommand {
    /// Create a conference.
    Create(CreateArgs),
    /// List all conferences.
    List(ListArgs),
    /// Show one conference.
    Show(OneArgs),
    /// Delete a conference; who is in it is disconnected.
    Delete(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    at: Where,
    /// Its number, which people dial: digits.
    #[arg(value_parser = number)]
    id: String,
    /// Its name. Default: the number.
    #[arg(long)]
    name: Option<String>,
    /// An address-like alias; may be given again. Default: <id>@<domain>.
    #[arg(long = "alias")]
    aliases: Vec<String>,
    /// PIN of hosts.
    #[arg(long)]
    pin: Option<String>,
    /// PIN of guests; without it and with a host's PIN, guests need none.
    #[arg(long)]
    guest_pin: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    at: Where,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    #[command(flatten)]
    at: Where,
    /// Its number or an alias.
    #[arg(value_parser = alias)]
    id: String,
}

fn number(text: &str) -> Result<String, &'static str> {
    let ok = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if ok { Ok(text.to_owned()) } else { Err("1 to 20 digits") }
}

fn alias(text: &str) -> Result<String, &'static str> {
    let ok =
        (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@.-_+".contains(&b));
    if ok { Ok(text.to_owned()) } else { Err("letters, digits and @ . - _ +") }
}

pub(super) fn run(command: &ConferenceCommand) -> Result<(), Failure> {
    match command {
        ConferenceCommand::Create(args) => create(args),
        ConferenceCommand::List(args) => list(args),
        ConferenceCommand::Show(args) => {
            let bytes = client::ask(&args.at.load()?.data_folder()?, Method::GET, &path(&args.id), None)?;
            println!("{:#}", result(&bytes)?);
            Ok(())
        }
        ConferenceCommand::Delete(args) => {
            client::ask(&args.at.load()?.data_folder()?, Method::DELETE, &path(&args.id), None)?;
            println!("{} deleted", args.id);
            Ok(())
        }
    }
}

fn path(id: &str) -> String {
    format!("{CONFERENCES}/{id}")
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let config = args.at.load()?;
    let mut body = Map::new();
    body.insert("id".into(), args.id.clone().into());
    body.insert("name".into(), args.name.clone().unwrap_or_else(|| args.id.clone()).into());
    let own = || vec![format!("{}@{}", args.id, config.server.domain)];
    let aliases = if args.aliases.is_empty() { own() } else { args.aliases.clone() };
    body.insert("aliases".into(), aliases.into());
    for (name, value) in [("pin", &args.pin), ("guest_pin", &args.guest_pin)] {
        if let Some(value) = value {
            body.insert(name.into(), value.clone().into());
        }
    }
    client::ask(&config.data_folder()?, Method::POST, CONFERENCES, Some(&Value::Object(body)))?;
    println!("{} created", args.id);
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let bytes = client::ask(&args.at.load()?.data_folder()?, Method::GET, CONFERENCES, None)?;
    let all = result(&bytes)?;
    if args.json {
        println!("{all}");
        return Ok(());
    }
    for conference in all.as_array().into_iter().flatten() {
        println!("{}", line(conference));
    }
    Ok(())
}

/// The answer without its `{"status", "result"}` frame, if it has one.
fn result(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(bytes)?;
    Ok(value.get_mut("result").map(Value::take).unwrap_or(value))
}

fn line(conference: &Value) -> String {
    let text = |key: &str| conference.get(key).and_then(Value::as_str).unwrap_or("-");
    let aliases: Vec<&str> =
        conference.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let present = conference
        .get("participants")
        .map_or(0, |p| p.as_u64().unwrap_or_else(|| p.as_array().map_or(0, Vec::len) as u64));
    format!("{:<12} {:<30} {present:>4} present   {}", text("id"), text("name"), aliases.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_become_other_paths() {
        assert!(alias("1061@plenum.local").is_ok());
        for bad in ["", "../x", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(alias(bad).is_err(), "{bad}");
        }
        assert!(number("1061").is_ok() && number("10x").is_err());
    }

    #[test]
    fn a_list_has_a_line_for_each_conference() {
        let bytes = br#"{"status":"success","result":[{"id":"1061","name":"Try","aliases":["1061@plenum.local"],"participants":2}]}"#;
        let all = result(bytes).unwrap();
        let line = line(&all[0]);
        assert!(
            line.starts_with("1061 ") && line.contains("2 present") && line.ends_with("1061@plenum.local"),
            "{line}"
        );
    }
}
