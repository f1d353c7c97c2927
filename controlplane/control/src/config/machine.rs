//! What the machine has, and the limits that follow from it.

/// Memory, cores and open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of memory.
    pub memory: u64,
    /// Cores that may be used.
    pub cores: u32,
    /// Files that a process may have open.
    pub open_files: u64,
}

/// Memory that one participant may cost in the control plane: state, tokens, an event stream and its TLS connection.
const PER_PARTICIPANT: u64 = 256 << 10;
/// Memory that one conference may cost: its history of events above all.
const PER_CONFERENCE: u64 = 128 << 10;
/// Memory that one media connection may cost in the data plane: its part of the packet pool, queues, histories.
const PER_SESSION: u64 = 1 << 20;

impl Machine {
    /// This machine; modest guesses where it does not say.
    pub fn probe() -> Machine {
        let number = |text: &str, line: &str, word: usize| -> Option<u64> {
            text.lines().find(|l| l.starts_with(line))?.split_ascii_whitespace().nth(word)?.parse().ok()
        };
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Machine {
            memory: number(&meminfo, "MemTotal:", 1).unwrap_or(2 << 20) << 10,
            cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            open_files: number(&limits, "Max open files", 3).unwrap_or(1_024),
        }
    }

    /// Participants in all conferences: a quarter of memory.
    pub fn participants(&self) -> u32 {
        bounded(self.memory / 4 / PER_PARTICIPANT, 500, 50_000)
    }

    /// Conferences in the store: an eighth of memory.
    pub fn conferences(&self) -> u32 {
        bounded(self.memory / 8 / PER_CONFERENCE, 1_000, 100_000)
    }

    /// TCP connections: three quarters of the open files.
    pub fn connections(&self) -> u32 {
        bounded(self.open_files / 4 * 3, 100, 100_000)
    }

    /// Media connections on each of `shards`: a quarter of memory.
    pub fn sessions_per_shard(&self, shards: u32) -> u32 {
        bounded(self.memory / 4 / PER_SESSION / u64::from(shards.max(1)), 64, 8_192)
    }
}

fn bounded(n: u64, least: u64, most: u64) -> u32 {
    n.clamp(least, most) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_machine_between_their_bounds() {
        let small = Machine { memory: 256 << 20, cores: 1, open_files: 256 };
        let large = Machine { memory: 512 << 30, cores: 64, open_files: 1 << 20 };
        assert_eq!((small.participants(), small.connections(), small.sessions_per_shard(1)), (500, 192, 64));
        assert_eq!((large.participants(), large.connections(), large.sessions_per_shard(64)), (50_000, 100_000, 2_048));
        assert!(Machine::probe().memory > 64 << 20);
    }
}
