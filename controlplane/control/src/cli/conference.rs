//! `plenum conference create|list|show|logo|delete`, by the operator API of the running server.

use super::{Failure, Where, client};
use crate::logo::MAX_LOGO;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value};
use std::io::Read as _;
use std::path::PathBuf;

/// Conferences that are asked for at once.
const PAGE: usize = 1_000;
/// Where the operator API has its conferences.
const CONFERENCES: &str = "/api/plenum/v1/conferences";

#[derive(Subcommand, Debug)]
pub(super) enum ConferenceCommand {
    /// Create a conference.
    Create(CreateArgs),
    /// List all conferences.
    List(ListArgs),
    /// Show one conference.
    Show(OneArgs),
    /// Give a conference a logo of its own, in the upper right of its composed pictures, or take it away.
    Logo(LogoArgs),
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
    /// Another alias; may be given again. The number gets one by itself: <id>@<domain>.
    #[arg(long = "alias", value_parser = alias)]
    aliases: Vec<String>,
    /// PIN of hosts.
    #[arg(long)]
    pin: Option<String>,
    /// PIN of guests; without it guests need none.
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

#[derive(Args, Debug)]
pub(super) struct LogoArgs {
    #[command(flatten)]
    one: OneArgs,
    /// A PNG, at most 65536 bytes and 1024 pixels a side.
    #[arg(required_unless_present = "remove", conflicts_with = "remove")]
    file: Option<PathBuf>,
    /// Take it away: the conference has the server's logo again.
    #[arg(long)]
    remove: bool,
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
            println!("{:#}", serde_json::from_slice::<Value>(&bytes)?);
            Ok(())
        }
        ConferenceCommand::Logo(args) => logo(args),
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

fn logo(args: &LogoArgs) -> Result<(), Failure> {
    let (data, path) = (args.one.at.load()?.data_folder()?, format!("{}/logo", path(&args.one.id)));
    let Some(file) = &args.file else {
        client::ask(&data, Method::DELETE, &path, None)?;
        println!("{} has no logo of its own", args.one.id);
        return Ok(());
    };
    let wrong = |why: String| Failure::from(format!("{}: {why}", file.display()));
    let mut png = Vec::new();
    // One byte more is enough to be refused.
    let opened = std::fs::File::open(file).map_err(|e| wrong(e.to_string()))?;
    std::io::Read::take(opened, MAX_LOGO as u64 + 1).read_to_end(&mut png).map_err(|e| wrong(e.to_string()))?;
    if let Some(why) = crate::logo::problem(&png) {
        return Err(wrong(why));
    }
    client::send(&data, Method::PUT, &path, Some(("image/png", png.into())))?;
    println!("{} has the logo {}", args.one.id, file.display());
    Ok(())
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let config = args.at.load()?;
    let bytes =
        client::ask(&config.data_folder()?, Method::POST, CONFERENCES, Some(&body(args, &config.server.domain)))?;
    println!("{:#}", serde_json::from_slice::<Value>(&bytes)?);
    Ok(())
}

fn body(args: &CreateArgs, domain: &str) -> Value {
    let mut body = Map::new();
    let own = [args.id.clone(), format!("{}@{domain}", args.id)];
    let aliases: Vec<String> = own.into_iter().chain(args.aliases.iter().cloned()).collect();
    body.insert("aliases".into(), aliases.into());
    for (name, value) in [("name", &args.name), ("host_pin", &args.pin), ("guest_pin", &args.guest_pin)] {
        if let Some(value) = value {
            body.insert(name.into(), value.clone().into());
        }
    }
    Value::Object(body)
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let data = args.at.load()?.data_folder()?;
    let mut all: Vec<Value> = Vec::new();
    loop {
        let path = format!("{CONFERENCES}?limit={PAGE}&offset={}", all.len());
        let mut answer: Value = serde_json::from_slice(&client::ask(&data, Method::GET, &path, None)?)?;
        let page = answer["conferences"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            break;
        }
    }
    if args.json {
        println!("{}", Value::from(all));
        return Ok(());
    }
    all.iter().for_each(|conference| println!("{}", line(conference)));
    Ok(())
}

fn line(conference: &Value) -> String {
    let name = conference.get("name").and_then(Value::as_str).unwrap_or("-");
    let aliases = conference.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let aliases: Vec<&str> = aliases.collect();
    let present = conference.get("participants").and_then(Value::as_u64).unwrap_or_default();
    format!("{:<40} {present:>5} present   {name}", aliases.join(", "))
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
        let conference =
            serde_json::json!({"name": "Try", "aliases": ["1061", "1061@plenum.local"], "participants": 2});
        let line = line(&conference);
        assert!(
            line.starts_with("1061, 1061@plenum.local ") && line.contains("2 present") && line.ends_with("Try"),
            "{line}"
        );
    }

    #[test]
    fn a_new_conference_has_its_number_its_address_and_what_was_given() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: CreateArgs,
        }
        let line = ["create", "2000", "--alias", "board@example.org", "--pin", "1234", "--name", "Board"];
        let args = <Line as clap::Parser>::parse_from(line).args;
        let aliases = ["2000", "2000@plenum.local", "board@example.org"];
        let expected = serde_json::json!({"aliases": aliases, "name": "Board", "host_pin": "1234"});
        assert_eq!(body(&args, "plenum.local"), expected);
    }
}
