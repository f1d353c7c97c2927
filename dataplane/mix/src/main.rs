//! The mixer's program. `plenum-mix serve` mixes for media; `plenum-mix compose` renders a layout from files.

#![forbid(unsafe_code)]

mod serve;

use clap::{Parser, Subcommand};
use plenum_mix::compose;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plenum's mixer.
#[derive(Parser, Debug)]
#[command(name = "plenum-mix", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Mix for a media plane. Normally started by `plenum up`.
    Serve(serve::ServeArgs),
    /// Render a layout from pictures or videos in files.
    Compose(Box<compose::ComposeArgs>),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => match serve::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                // Whoever started us may be gone, and its end of the pipe with it.
                let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {e}\n"));
                ExitCode::FAILURE
            }
        },
        Command::Compose(args) => match compose::run(&args) {
            Ok(report) => {
                report.iter().for_each(|line| println!("{line}"));
                ExitCode::SUCCESS
            }
            Err(failure) => {
                eprintln!("plenum compose: {failure}");
                ExitCode::FAILURE
            }
        },
    }
}
