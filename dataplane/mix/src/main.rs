//! The mixer's program. `plenum-mix compose` renders a layout from files.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use plenum_mix::compose;
use std::process::ExitCode;

/// Plenum's mixer.
#[derive(Parser, Debug)]
#[command(name = "plenum-mix", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Render a layout from pictures or videos in files.
    Compose(compose::ComposeArgs),
}

fn main() -> ExitCode {
    let Command::Compose(args) = Cli::parse().command;
    match compose::run(&args) {
        Ok(report) => {
            report.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("plenum compose: {failure}");
            ExitCode::FAILURE
        }
    }
}
