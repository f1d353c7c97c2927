//! `plenum user …` and `plenum key …`: accounts and API keys, by the REST API of the running server.
//!
//! A password is never an argument, where every user of the machine could read it: it is made by the server and printed
//! once, or read from standard input.

use super::{Failure, Where, client};
use crate::accounts::Role;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use std::io::BufRead as _;

const ACCOUNTS: &str = "/api/plenum/v1/accounts";
const KEYS: &str = "/api/plenum/v1/keys";

#[derive(Subcommand, Debug)]
pub(super) enum UserCommand {
    /// Make an account; its password is printed once.
    Add(AddUser),
    /// List all accounts.
    List(ListArgs),
    /// Give an account another role.
    Role(RoleArgs),
    /// Give an account another password; it is printed once.
    Password(PasswordArgs),
    /// Delete an account.
    Delete(OneArgs),
}

#[derive(Subcommand, Debug)]
pub(super) enum KeyCommand {
    /// Make an API key; it is printed once.
    Add(AddKey),
    /// List all keys.
    List(ListArgs),
    /// Delete a key, by its name or id: what uses it is refused from then on.
    Delete(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct AddUser {
    #[command(flatten)]
    at: Where,
    /// Its name.
    #[arg(value_parser = name)]
    name: String,
    /// What it may.
    #[arg(long, value_enum)]
    role: Role,
    /// Read the password from the first line of standard input instead of making one.
    #[arg(long)]
    password_stdin: bool,
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
pub(super) struct RoleArgs {
    #[command(flatten)]
    at: Where,
    /// Whose.
    #[arg(value_parser = name)]
    name: String,
    /// What it may from now on.
    #[arg(value_enum)]
    role: Role,
}

#[derive(Args, Debug)]
pub(super) struct PasswordArgs {
    #[command(flatten)]
    at: Where,
    /// Whose.
    #[arg(value_parser = name)]
    name: String,
    /// Read the password from the first line of standard input instead of making one.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    #[command(flatten)]
    pub(super) at: Where,
    /// Which.
    #[arg(value_parser = name)]
    pub(super) name: String,
}

#[derive(Args, Debug)]
pub(super) struct AddKey {
    #[command(flatten)]
    at: Where,
    /// What uses it.
    #[arg(value_parser = name)]
    name: String,
    /// What it may.
    #[arg(long, value_enum)]
    role: Role,
}

/// A name stands in a path: it must not become another one.
fn name(text: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
    let ok = (1..=64).contains(&text.len()) && text.bytes().all(good) && !text.bytes().all(|b| b == b'.');
    if ok { Ok(text.to_owned()) } else { Err("1 to 64 letters, digits and . _ - @") }
}

pub(super) fn user(command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(args) => {
            let mut body = json!({"name": args.name, "role": args.role});
            if args.password_stdin {
                body["password"] = first_line()?.into();
            }
            let made = ask(&args.at, Method::POST, ACCOUNTS, Some(&body))?;
            println!("{} is {}", args.name, args.role.name());
            tell(&made, "password");
            Ok(())
        }
        UserCommand::List(args) => list(args, ACCOUNTS, "accounts", |account| {
            format!("{:<10} {}", text(account, "role"), text(account, "name"))
        }),
        UserCommand::Role(args) => {
            let body = json!({"role": args.role});
            ask(&args.at, Method::PATCH, &format!("{ACCOUNTS}/{}", args.name), Some(&body))?;
            println!("{} is {}", args.name, args.role.name());
            Ok(())
        }
        UserCommand::Password(args) => {
            let body = match args.password_stdin {
                true => json!({"password": first_line()?}),
                false => json!({"new_password": true}),
            };
            let changed = ask(&args.at, Method::PATCH, &format!("{ACCOUNTS}/{}", args.name), Some(&body))?;
            println!("{} has another password", args.name);
            tell(&changed, "password");
            Ok(())
        }
        UserCommand::Delete(args) => delete(args, ACCOUNTS),
    }
}

pub(super) fn key(command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Add(args) => {
            let body = json!({"name": args.name, "role": args.role});
            let made = ask(&args.at, Method::POST, KEYS, Some(&body))?;
            println!("{} ({}) is {}", args.name, text(&made, "id"), args.role.name());
            tell(&made, "key");
            Ok(())
        }
        KeyCommand::List(args) => list(args, KEYS, "keys", |key| {
            let used = key["last_used"].as_u64().map_or("never used".into(), |used| format!("last used at {used}"));
            format!("{}  {:<10} {:<24} {used}", text(key, "id"), text(key, "role"), text(key, "name"))
        }),
        KeyCommand::Delete(args) => delete(args, KEYS),
    }
}

pub(super) fn ask(at: &Where, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let bytes = client::ask(&at.load()?.data_folder()?, method, path, body)?;
    Ok(if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? })
}

pub(super) fn list(args: &ListArgs, path: &str, member: &str, line: impl Fn(&Value) -> String) -> Result<(), Failure> {
    let answer = ask(&args.at, Method::GET, path, None)?;
    let all = answer.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if args.json {
        println!("{}", Value::from(all));
    } else {
        all.iter().for_each(|one| println!("{}", line(one)));
    }
    Ok(())
}

pub(super) fn delete(args: &OneArgs, path: &str) -> Result<(), Failure> {
    ask(&args.at, Method::DELETE, &format!("{path}/{}", args.name), None)?;
    println!("{} deleted", args.name);
    Ok(())
}

pub(super) fn tell(answer: &Value, secret: &str) {
    if let Some(shown) = answer.get(secret).and_then(Value::as_str) {
        println!("{secret}, shown this once: {shown}");
    }
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("-")
}

fn first_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_become_other_paths() {
        assert!(name("ops@example.org").is_ok());
        for bad in ["", ".", "..", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
