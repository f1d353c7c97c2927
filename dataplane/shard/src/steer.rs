//! From a packet's way to its session: the first step, and the only hash on a packet's way.
//!
//! A path is bound to a session only after an ICE check on it authenticated, and with every further check, so that a path that
//! was lost comes back with the next one. At most [`MAX_PATHS`] paths belong to one session; the oldest gives way. A STUN
//! request is steered by its ufrag, which carries the leg, so that the first packet of a session, or one from a new network,
//! finds it without a table of ufrags.

use plenum_packet::Path;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

/// Paths of one session. Browsers with several interfaces and TCP candidates check some ten pairs.
const MAX_PATHS: usize = 16;

/// Dense index of a session in its shard.
pub(crate) type SessionIndex = u32;

/// The table of paths.
#[derive(Default)]
pub(crate) struct Steer {
    paths: HashMap<Path, SessionIndex, BuildHasherDefault<PathHasher>>,
    owned: HashMap<SessionIndex, Vec<Path>>,
    /// The last hit: packets come in bursts from one peer.
    last: Option<(Path, SessionIndex)>,
}

impl Steer {
    /// The session that `path` is bound to.
    pub(crate) fn find(&mut self, path: &Path) -> Option<SessionIndex> {
        if let Some((last, index)) = &self.last
            && last == path
        {
            return Some(*index);
        }
        let index = *self.paths.get(path)?;
        self.last = Some((*path, index));
        Some(index)
    }

    /// Binds `path` to `session`. A path of another session moves: its check authenticated last.
    pub(crate) fn bind(&mut self, path: Path, session: SessionIndex) {
        match self.paths.insert(path, session) {
            Some(former) if former == session => return,
            Some(former) => self.disown(former, &path),
            None => {}
        }
        self.last = None;
        let owned = self.owned.entry(session).or_default();
        if owned.len() == MAX_PATHS {
            let oldest = owned.remove(0);
            self.paths.remove(&oldest);
        }
        owned.push(path);
    }

    /// Forgets `path` if it is bound to `session`.
    pub(crate) fn unbind(&mut self, path: &Path, session: SessionIndex) {
        if self.paths.get(path) == Some(&session) {
            self.last = None;
            self.paths.remove(path);
            self.disown(session, path);
        }
    }

    /// Forgets every path of `session`.
    pub(crate) fn remove(&mut self, session: SessionIndex) {
        self.last = None;
        for path in self.owned.remove(&session).into_iter().flatten() {
            self.paths.remove(&path);
        }
    }

    fn disown(&mut self, session: SessionIndex, path: &Path) {
        if let Some(owned) = self.owned.get_mut(&session) {
            owned.retain(|p| p != path);
        }
    }
}

/// A multiplicative hash of the peer's address. An attacker who floods the table would need authenticated ICE checks.
#[derive(Default)]
pub(crate) struct PathHasher(u64);

impl PathHasher {
    fn mix(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for PathHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}

/// Whether an address may be a peer's: never unspecified, multicast or port 0.
pub(crate) fn plausible(path: &Path) -> bool {
    let ip = path.remote.ip();
    let multicast = match ip {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    path.remote.port() != 0 && !ip.is_unspecified() && !multicast
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_packet::Transport;

    fn path(port: u16) -> Path {
        let local = "192.0.2.1:40000".parse().unwrap();
        Path { transport: Transport::Udp, local, remote: format!("198.51.100.7:{port}").parse().unwrap() }
    }

    #[test]
    fn a_path_leads_to_the_session_that_authenticated_on_it_last() {
        let mut steer = Steer::default();
        assert_eq!(steer.find(&path(1)), None);
        steer.bind(path(1), 7);
        assert_eq!(steer.find(&path(1)), Some(7));
        steer.bind(path(1), 8);
        assert_eq!(steer.find(&path(1)), Some(8));
        steer.remove(7);
        assert_eq!(steer.find(&path(1)), Some(8));
        steer.remove(8);
        assert_eq!(steer.find(&path(1)), None);
    }

    #[test]
    fn a_session_that_collects_paths_loses_its_oldest() {
        let mut steer = Steer::default();
        for port in 1..=MAX_PATHS as u16 + 1 {
            steer.bind(path(port), 3);
        }
        assert_eq!(steer.find(&path(1)), None);
        assert_eq!(steer.find(&path(2)), Some(3));
        assert_eq!(steer.paths.len(), MAX_PATHS);
    }
}
