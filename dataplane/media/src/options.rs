//! The command line of the data plane. Control writes it; an engineer may too.

use clap::{Parser, ValueEnum};
use plenum_io::Kind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Plenum's data plane. Normally started by `plenum up`.
#[derive(Parser, Debug)]
#[command(name = "plenum-media", version)]
pub(crate) struct Options {
    /// Unix socket on which the control plane is served; made with mode 0600.
    #[arg(long)]
    pub(crate) socket: PathBuf,
    /// Unix socket on which a mixer gets its rings; made with mode 0600. Default: none, nothing is mixed.
    #[arg(long)]
    pub(crate) mixer_socket: Option<PathBuf>,
    /// Addresses to receive media at; each shard opens one UDP (and TCP) socket on each. Default: every address of this machine.
    #[arg(long = "ip", value_delimiter = ',')]
    pub(crate) ips: Vec<IpAddr>,
    /// Port of shard 0; shard n uses this + n. With 0, free ports are chosen.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) port_base: u16,
    /// Number of shards; 0 = one for each usable core.
    #[arg(long, default_value_t = 0)]
    pub(crate) shards: u16,
    /// I/O back-end.
    #[arg(long, value_enum, default_value_t = IoKind::Auto)]
    pub(crate) io: IoKind,
    /// Also accept ICE over TCP.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) tcp: bool,
    /// Packet slots (2 KiB each) of a shard; 0 = a sixteenth of the machine's memory over all shards, at most 262,144.
    #[arg(long, default_value_t = 0)]
    pub(crate) slots: usize,
    /// Most sessions on a shard.
    #[arg(long, default_value_t = 4_096)]
    pub(crate) max_sessions: u32,
    /// Most tracks (m-lines) of a session.
    #[arg(long, default_value_t = 128)]
    pub(crate) max_tracks: u32,
    /// Most bits a second to one leg.
    #[arg(long, default_value_t = 20_000_000)]
    pub(crate) max_bitrate: u64,
    /// Most bits a second of media from one leg; what is above is dropped.
    #[arg(long, default_value_t = 20_000_000)]
    pub(crate) max_ingest: u64,
    /// Pin each shard to a core.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) pin: bool,
}

/// The value of `--io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoKind {
    /// io_uring where the kernel allows it, else mmsg.
    Auto,
    /// io_uring.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
}

impl From<IoKind> for Kind {
    fn from(kind: IoKind) -> Kind {
        match kind {
            IoKind::Auto => Kind::Auto,
            IoKind::Uring => Kind::Uring,
            IoKind::Mmsg => Kind::Mmsg,
        }
    }
}

impl Options {
    /// The number of shards to run.
    pub(crate) fn shard_count(&self) -> u16 {
        match self.shards {
            0 => plenum_host::usable_cores().len().clamp(1, 64) as u16,
            n => n,
        }
    }

    /// Packet slots of each shard.
    pub(crate) fn slots_per_shard(&self) -> usize {
        if self.slots > 0 {
            return self.slots;
        }
        let memory = plenum_host::memory_bytes() as usize / 16;
        (memory / plenum_packet::SLOT_SIZE / usize::from(self.shard_count())).clamp(8_192, 262_144)
    }

    /// The socket addresses of shard `index`.
    pub(crate) fn addresses(&self, index: u16) -> Vec<SocketAddr> {
        let port = if self.port_base == 0 { 0 } else { self.port_base + index };
        let ips = if self.ips.is_empty() { plenum_host::interface_addresses() } else { self.ips.clone() };
        ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    }
}
