//! The command line of `plenum`: `up` runs the appliance, the others look at settings or talk to a running one.
//!
//! What a command prints for machines goes to standard output; errors go to standard error, once, with their causes, and end
//! the program with 1.

mod audit;
mod bind;
mod client;
mod compose;
mod conference;
mod secret;
mod settings;
mod status;
mod up;
mod webhook;

use crate::config::{self, Config};
use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Plenum: a conferencing appliance that forwards real-time media.
#[derive(Parser, Debug)]
#[command(name = "plenum", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the appliance and run until SIGTERM or SIGINT.
    Up(up::UpArgs),
    /// Look at settings.
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Say how the appliance on this data folder is doing.
    Status(status::StatusArgs),
    /// Create, list, show and delete conferences.
    #[command(subcommand)]
    Conference(conference::ConferenceCommand),
    /// Say who did what: the audit log, the newest first.
    Audit(audit::AuditArgs),
    /// Manage the accounts of operators.
    #[command(subcommand)]
    User(secret::UserCommand),
    /// Manage API keys.
    #[command(subcommand)]
    Key(secret::KeyCommand),
    /// Render a layout from pictures or videos in files.
    Compose(compose::ComposeArgs),
    /// Manage webhooks.
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
}

/// Which settings: shared by all commands.
#[derive(Args, Debug, Clone)]
struct Where {
    /// Settings file. Default: plenum.toml here, else /etc/plenum/plenum.toml, else none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Where {
    /// File, environment and `--data`.
    fn load(&self) -> Result<Config, Failure> {
        let file = self.config.clone().or_else(config::find);
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let mut config = config::load(file.as_deref(), environment)?;
        if let Some(data) = &self.data {
            config.server.data.clone_from(data);
            config.given_by("--data", "server.data");
        }
        Ok(config)
    }
}

/// Why a command failed, for standard error.
type Failure = Box<dyn Error + Send + Sync>;

/// Runs the program.
pub fn main() -> ExitCode {
    crate::tls::install_provider();
    let result = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Config(command) => settings::run(&command),
        Command::Status(args) => status::run(&args),
        Command::Conference(command) => conference::run(&command),
        Command::Audit(args) => audit::run(&args),
        Command::User(command) => secret::user(&command),
        Command::Key(command) => secret::key(&command),
        Command::Compose(args) => compose::run(&args),
        Command::Webhook(command) => webhook::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("plenum: {}", chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_none_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the store")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk full"));
        assert_eq!(chain(&error), "cannot open the store: disk full");
    }
}
