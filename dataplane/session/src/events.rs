//! What a session tells its shard: events of the transport, feedback of the receiver, packets that came in.

use plenum_contract::LegEnd;
use plenum_contract::spec::Binding;
use plenum_packet::{Buf, Path, Pool, Time};
use plenum_srtp::Sealer;
use plenum_wire::{ext, rtp};
use std::net::SocketAddr;

/// Something about the session as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// The peer proved with an ICE check that it is at `path`: packets from there are this session's.
    PathAdded(Path),
    /// Packets from `path` are no longer this session's.
    PathGone(Path),
    /// ICE has a nominated pair and DTLS gave keys.
    Connected {
        /// `AEAD_AES_128_GCM` and so on.
        suite: &'static str,
        /// The peer's address.
        remote: SocketAddr,
        /// Whether it is ICE-TCP.
        tcp: bool,
        /// `DTLS1.3`, `DTLS1.2`, or `DTLS1.2, second engine`.
        dtls: &'static str,
    },
    /// No authenticated packet for 15 s: sending stopped.
    Silent,
    /// The peer is heard again: sending goes on.
    Resumed,
    /// The session is over; it sends nothing any more and waits to be removed.
    Ended(LegEnd),
    /// An SSRC was bound to a source.
    Bound(Binding),
    /// A data channel was opened by the peer.
    ChannelOpened {
        /// SCTP stream.
        stream: u16,
        /// Its label (RFC 8832).
        label: String,
        /// Its subprotocol.
        protocol: String,
    },
    /// A data channel was closed by the peer.
    ChannelClosed {
        /// SCTP stream.
        stream: u16,
    },
    /// A message on a data channel.
    Message {
        /// SCTP stream.
        stream: u16,
        /// Binary, or UTF-8 text.
        binary: bool,
        /// The message.
        payload: Vec<u8>,
    },
}

/// What the peer said by RTCP that others must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// PLI or FIR for a slot: whoever fills it is asked for a key frame.
    KeyFrame {
        /// The slot's m-line.
        media: u16,
    },
    /// A sender report of a source.
    SenderReport {
        /// The source's m-line.
        media: u16,
        /// Its encoding.
        encoding: u8,
        /// NTP time.
        ntp: u64,
        /// The RTP timestamp of the same moment.
        rtp: u32,
    },
    /// The peer stopped a source.
    Bye {
        /// The source's m-line.
        media: u16,
        /// Its encoding.
        encoding: u8,
    },
}

/// An authenticated media packet, decrypted into a pool slot; the shard owns the slot.
#[derive(Debug)]
pub struct Incoming {
    /// Index of the m-line in [`plenum_contract::SessionSpec::media`].
    pub media: u16,
    /// Index of the encoding, 0 = smallest.
    pub encoding: u8,
    /// Index of the codec in [`plenum_contract::MediaSpec::codecs`].
    pub codec_index: u8,
    /// The header; of a retransmission, as the original packet had it (RFC 4588): SSRC, payload type, sequence number.
    pub header: rtp::Header,
    /// Header extensions; their ranges lie in `buf`.
    pub values: ext::Values,
    /// The plaintext packet.
    pub buf: Buf,
    /// Offset and length of the payload in the packet, without padding and without the original sequence number of RTX.
    pub payload: (u16, u16),
    /// When it was received.
    pub received: Time,
    /// Whether it came as a retransmission.
    pub retransmitted: bool,
}

/// Where control packets go: bytes in pool slots, with their way.
pub struct Outbox<'a> {
    /// The shard's pool.
    pub pool: &'a mut Pool,
    /// The shard's sealer: keys go in, control packets are sealed.
    pub sealer: &'a mut Sealer,
    /// What is to be sent.
    pub packets: &'a mut Vec<(Path, Buf)>,
}

impl Outbox<'_> {
    /// Puts `bytes` into a slot and queues it; `false` when no slot is free: control packets are repeated by their own timers.
    pub fn push(&mut self, path: Path, bytes: &[u8]) -> bool {
        match self.pool.copy_in(plenum_packet::HEADROOM, bytes) {
            Some(buf) => {
                self.packets.push((path, buf));
                true
            }
            None => false,
        }
    }
}

impl std::fmt::Debug for Outbox<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outbox({} packets)", self.packets.len())
    }
}
