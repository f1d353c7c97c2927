//! `plenum compose`: hands over to the mixer's program, which renders layouts from files.

use super::Failure;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Whatever `plenum-mix compose` takes.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(super) struct ComposeArgs {
    /// Options and inputs: `plenum compose --help` tells them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes the mixer's program; comes back only when it cannot be started.
pub(super) fn run(args: &ComposeArgs) -> Result<(), Failure> {
    let program = program();
    let error = Command::new(&program).arg("compose").args(&args.arguments).exec();
    Err(format!("cannot start {}: {error}", program.display()).into())
}

/// The program beside this one, else the one in PATH.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("plenum-mix"));
    beside.filter(|p| p.is_file()).unwrap_or_else(|| "plenum-mix".into())
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::super::Command as Chosen;
    use clap::Parser;

    #[test]
    fn every_argument_reaches_the_mixers_program() {
        for line in [
            vec!["--layout", "1:7", "--out", "o.png", "-x", "a.png", "--", "b.png"],
            vec!["a.png", "--time"],
            vec!["--help"],
            vec![],
        ] {
            let cli = Cli::try_parse_from(["plenum", "compose"].iter().chain(&line)).expect("it parses");
            let Chosen::Compose(args) = cli.command else { panic!("another command") };
            assert_eq!(args.arguments, line);
        }
    }
}
