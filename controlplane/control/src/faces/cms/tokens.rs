//! Tokens for the event WebSocket (CMS-1, CMS-2): a GUID for one connection. Kept in memory as hashes: after a restart clients
//! ask for another. Who it was given to comes back with it. Time comes in.

use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// How long a token may wait for its connection, in milliseconds.
const UNUSED_MS: u64 = 300_000;
/// How long after its first connection a token opens another, for a client whose connection broke at once.
const AGAIN_MS: u64 = 60_000;
/// Tokens that are kept; the oldest give way.
const MOST: usize = 256;

#[derive(Debug)]
struct Token<T> {
    hash: [u8; 32],
    owner: T,
    made_ms: u64,
    used_ms: Option<u64>,
}

/// What a token is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth<T> {
    /// Opens a connection for who it was given to.
    Good(T),
    /// Never given out, or too old.
    Unknown,
    /// Has had its connection.
    Used,
}

/// The tokens that were given out.
#[derive(Debug)]
pub(super) struct Tokens<T>(VecDeque<Token<T>>);

impl<T> Default for Tokens<T> {
    fn default() -> Tokens<T> {
        Tokens(VecDeque::new())
    }
}

impl<T: Clone> Tokens<T> {
    /// Remembers a token that is given out now.
    pub(super) fn add(&mut self, now_ms: u64, token: &str, owner: T) {
        self.0.push_back(Token { hash: hash(token), owner, made_ms: now_ms, used_ms: None });
        while self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// What a token is worth; a good one is used with it.
    pub(super) fn take(&mut self, now_ms: u64, token: &str) -> Worth<T> {
        let wanted = hash(token);
        let Some(token) = self.0.iter_mut().find(|token| token.hash == wanted) else { return Worth::Unknown };
        match token.used_ms {
            None if now_ms >= token.made_ms + UNUSED_MS => Worth::Unknown,
            None => {
                token.used_ms = Some(now_ms);
                Worth::Good(token.owner.clone())
            }
            Some(used) if now_ms < used + AGAIN_MS => Worth::Good(token.owner.clone()),
            Some(_) => Worth::Used,
        }
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cms_2_a_token_is_for_one_connection_and_a_broken_one_may_be_opened_again_for_a_minute() {
        let mut tokens = Tokens::default();
        tokens.add(0, "a", "Alice");
        assert_eq!(tokens.take(1_000, "b"), Worth::Unknown);
        assert_eq!(tokens.take(1_000, "a"), Worth::Good("Alice"));
        assert_eq!(tokens.take(60_999, "a"), Worth::Good("Alice"));
        assert_eq!(tokens.take(61_000, "a"), Worth::Used);
        tokens.add(100_000, "c", "Carol");
        assert_eq!(tokens.take(399_999, "c"), Worth::Good("Carol"));
        tokens.add(100_000, "d", "Dave");
        assert_eq!(tokens.take(400_000, "d"), Worth::Unknown, "it waited too long");
    }

    #[test]
    fn tokens_that_nobody_uses_cost_bounded_memory() {
        let mut tokens = Tokens::default();
        for n in 0..10 * MOST {
            tokens.add(0, &n.to_string(), ());
        }
        assert_eq!(tokens.0.len(), MOST);
        assert_eq!(tokens.take(1, &(10 * MOST - 1).to_string()), Worth::Good(()));
    }
}
