//! Why a packet was not sent on: a closed list, counted per shard.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident => $label:literal,)*) => {
        /// Why a packet was dropped. Every packet that is received or planned and not sent has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$name,)*];

            /// The label used in metrics: lower case with underscores, stable.
            pub const fn label(self) -> &'static str {
                match self { $(DropReason::$name => $label,)* }
            }
        }
    };
}

drop_reasons! {
    /// Empty, or neither STUN, DTLS, RTP nor RTCP (RFC 7983).
    NotClassified => "not_classified",
    /// Not STUN, from an address that belongs to no session.
    UnknownSource => "unknown_source",
    /// STUN that is malformed, oversized, has no known ufrag, or fails its integrity check.
    BadStun => "bad_stun",
    /// DTLS that no engine accepts in the present state.
    BadDtls => "bad_dtls",
    /// RTP or RTCP before the handshake gave keys.
    NoKeys => "no_keys",
    /// A malformed RTP header or header extension.
    MalformedRtp => "malformed_rtp",
    /// A malformed RTCP compound packet.
    MalformedRtcp => "malformed_rtcp",
    /// The authentication tag is wrong.
    BadTag => "bad_tag",
    /// The index was received before, or is older than the replay window.
    Replayed => "replayed",
    /// Authenticated, but the SSRC matches no signalled source.
    UnknownSsrc => "unknown_ssrc",
    /// Authenticated, but the payload type was not negotiated.
    UnknownPayloadType => "unknown_payload_type",
    /// A limit of sources, streams or tracks of the session is reached.
    TooManySources => "too_many_sources",
    /// The session sends more than it may, or keeps more than its share of packet slots while they are scarce.
    IngestLimit => "ingest_limit",
    /// A payload descriptor that cannot be parsed.
    MalformedPayload => "malformed_payload",
    /// The codec or profile of this payload is not forwarded.
    UnsupportedPayload => "unsupported_payload",
    /// Padding only: a probe of the sender. Acknowledged in feedback, not forwarded.
    Padding => "padding",
    /// The sender's media is blocked by control (muted by a host, waiting, on hold).
    Blocked => "blocked",
    /// No pool slot is free.
    NoBuffer => "no_buffer",
    /// The payload left the cache before it could be sent.
    Evicted => "evicted",
    /// The receiver's layer or seat decision leaves this packet out. Not an error: counted to account for every packet.
    NotSelected => "not_selected",
    /// The receiver waits for a key frame.
    AwaitingKeyFrame => "awaiting_key_frame",
    /// The receiver's pacer queue is full.
    PacerFull => "pacer_full",
    /// It waited to leave when its m-line was switched off, or somebody else was given it.
    Cleared => "cleared",
    /// The receiver's path is not (or no longer) valid.
    NoPath => "no_path",
    /// A queue to another core is full.
    QueueFull => "queue_full",
    /// The kernel refused the send (buffer full, unreachable).
    SendFailed => "send_failed",
    /// A duplicate of a packet that retransmission already brought.
    Duplicate => "duplicate",
    /// The session is closing or unknown.
    SessionGone => "session_gone",
}

/// Counters, one for each [`DropReason`]; plain integers that one core owns.
#[derive(Clone, Debug)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl Default for DropCounts {
    fn default() -> Self {
        DropCounts([0; DropReason::ALL.len()])
    }
}

impl DropCounts {
    /// Counts one packet.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts `n` packets.
    pub fn add(&mut self, reason: DropReason, n: u64) {
        self.0[reason as usize] += n;
    }

    /// How many packets were dropped for `reason`.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&r| (r, self.get(r)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_label() {
        let mut counts = DropCounts::default();
        for &r in DropReason::ALL {
            counts.count(r);
        }
        assert!(counts.iter().all(|(_, n)| n == 1));
        let mut labels: Vec<_> = DropReason::ALL.iter().map(|r| r.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), DropReason::ALL.len());
    }
}
