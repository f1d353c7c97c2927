//! `plenum config default` and `plenum config check`.

use super::{Failure, Where};
use crate::config::{DEFAULT_TOML, Machine};
use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(super) enum ConfigCommand {
    /// Print a settings file with every default and what it means.
    Default,
    /// Read the settings as `up` would, and print what they give on this machine.
    Check(CheckArgs),
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default => print!("{DEFAULT_TOML}"),
        ConfigCommand::Check(args) => {
            let config = args.at.load()?;
            let machine = Machine::probe();
            let resolved = config.resolve(&machine)?;
            let limits = &resolved.settings.limits;
            let (gib, cores) = (machine.memory >> 30, machine.cores);
            println!(
                "The settings are good. On this machine ({gib} GiB, {cores} cores, {} files) they give:",
                machine.open_files
            );
            println!("  data folder                  {}", resolved.data.display());
            println!("  public host                  {}", resolved.settings.public_host);
            println!("  shards                       {}", resolved.shards);
            println!("  sessions on each shard       {}", resolved.sessions_per_shard);
            println!("  conferences                  {}", limits.conferences);
            println!("  participants                 {}", limits.participants);
            println!("  participants per conference  {}", limits.participants_per_conference);
            println!("  connections                  {}", limits.connections);
            println!("  connections per address      {}", limits.connections_per_address);
            println!("  event streams                {}", limits.event_streams);
            if let Some(process) = resolved.link.process {
                println!("  media program                {}", process.binary.display());
            }
        }
    }
    Ok(())
}
