//! `plenum webhook …`: who is told what happens, by the REST API of the running server.
//!
//! A secret is made by the server and printed once; how deliveries go is in the list.

use super::secret::{ListArgs, OneArgs, ask, delete, list, tell, text};
use super::{Failure, Where};
use crate::outside::Kind;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

const WEBHOOKS: &str = "/api/plenum/v1/webhooks";

#[derive(Subcommand, Debug)]
pub(super) enum WebhookCommand {
    /// Make a webhook; its secret is printed once.
    Add(AddWebhook),
    /// List all webhooks, and how their deliveries go.
    List(ListArgs),
    /// Give a webhook another secret; it is printed once, and the old one signs nothing from then on.
    Secret(OneArgs),
    /// Delete a webhook, and what waits for it.
    Delete(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct AddWebhook {
    #[command(flatten)]
    at: Where,
    /// Where events are sent: https://…
    url: String,
    /// What is told, several times for several; without it everything but message and stage.
    #[arg(long = "kind", value_enum)]
    kinds: Vec<Kind>,
    /// Only this conference, by UUID or alias; several times for several.
    #[arg(long = "conference", value_name = "NAME")]
    conferences: Vec<String>,
}

impl AddWebhook {
    fn body(&self) -> Value {
        let kinds = (!self.kinds.is_empty()).then_some(&self.kinds);
        json!({"url": self.url, "kinds": kinds, "conferences": self.conferences})
    }
}

pub(super) fn run(command: &WebhookCommand) -> Result<(), Failure> {
    match command {
        WebhookCommand::Add(args) => {
            let made = ask(&args.at, Method::POST, WEBHOOKS, Some(&args.body()))?;
            println!("{} is told, as {}", args.url, text(&made, "id"));
            tell(&made, "secret");
            Ok(())
        }
        WebhookCommand::List(args) => list(args, WEBHOOKS, "webhooks", line),
        WebhookCommand::Secret(args) => {
            let path = format!("{WEBHOOKS}/{}", args.name);
            let changed = ask(&args.at, Method::PATCH, &path, Some(&json!({"new_secret": true})))?;
            println!("{} has another secret", args.name);
            tell(&changed, "secret");
            Ok(())
        }
        WebhookCommand::Delete(args) => delete(args, WEBHOOKS),
    }
}

fn line(hook: &Value) -> String {
    let count = |member: &str| hook[member].as_u64().unwrap_or(0);
    let error = text(hook, "error");
    let error = if error.is_empty() { String::new() } else { format!(": {error}") };
    let (id, url) = (text(hook, "id"), text(hook, "url"));
    format!("{id}  {} delivered, {} wait, {} lost  {url}{error}", count("delivered"), count("pending"), count("lost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: AddWebhook,
    }

    #[test]
    fn what_is_not_said_is_left_to_the_server_and_a_line_says_how_it_goes() {
        let body = |words: &[&str]| Line::parse_from(["add"].iter().chain(words)).add.body();
        assert_eq!(body(&["https://a.example"])["kinds"], Value::Null);
        let named = body(&["https://a.example", "--kind", "status", "--kind", "stage", "--conference", "1061"]);
        let expected = json!({"url": "https://a.example", "kinds": ["status", "stage"], "conferences": ["1061"]});
        assert_eq!(named, expected);
        let hook = json!({"id": "5f", "url": "https://a.example", "delivered": 7, "pending": 2, "lost": 0, "error": "refused"});
        assert_eq!(line(&hook), "5f  7 delivered, 2 wait, 0 lost  https://a.example: refused");
    }
}
