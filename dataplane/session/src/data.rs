//! Data channels (RFC 8831, RFC 8832): SCTP over the DTLS association, on `sctp-proto`.
//!
//! The peer is always the DTLS client and opens the SCTP association. Channels that it opens are announced as events and
//! acknowledged; we may open channels of our own, on odd streams (RFC 8832 §6). A stream is used again once its reset is complete
//! on both sides (RFC 8831 §6.7). What a message means is not our business.
//!
//! Bounds: [`MAX_CHANNELS`] streams, messages of [`MAX_MESSAGE`] bytes, [`RECEIVE_BUFFER`] bytes of unfinished messages,
//! [`MAX_BUFFERED`] bytes that wait to be sent on one channel; beyond them a message is refused.

use crate::events::SessionEvent;
use bytes::Bytes;
use plenum_packet::DropReason;
use sctp_proto::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent, TransportConfig,
};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

/// Channels of one session.
pub const MAX_CHANNELS: u16 = 64;
/// Largest message, both ways: what answers announce as `max-message-size`.
pub const MAX_MESSAGE: u32 = 65_536;
/// Bytes of messages that are not complete yet.
pub(crate) const RECEIVE_BUFFER: u32 = 262_144;
/// Bytes that may wait on one channel before [`DataChannels::send`] refuses.
pub(crate) const MAX_BUFFERED: usize = 1 << 20;
/// Bytes of an SCTP packet: with DTLS around it stays below [`crate::dtls::MTU`].
const PACKET: u32 = 1_100;

const DCEP_ACK: u8 = 2;
const DCEP_OPEN: u8 = 3;
const DCEP_OPEN_HEADER: usize = 12;
/// The association's key in its endpoint: there is only one, whatever path it takes.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// A session's data channels.
pub(crate) struct DataChannels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    /// Streams with a channel, and whether the peer is known to have it.
    channels: Vec<u16>,
    transmits: VecDeque<Bytes>,
}

impl DataChannels {
    pub(crate) fn new() -> DataChannels {
        let mut endpoint = EndpointConfig::new();
        endpoint.max_payload_size(PACKET);
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_BUFFER)
            .with_max_send_message_size(MAX_MESSAGE)
            .with_max_receive_message_size(MAX_MESSAGE)
            .with_max_num_inbound_streams(MAX_CHANNELS)
            .with_max_num_outbound_streams(MAX_CHANNELS);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport);
        DataChannels {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(Arc::new(server))),
            association: None,
            channels: Vec::new(),
            transmits: VecDeque::new(),
        }
    }

    /// One SCTP packet of the peer.
    pub(crate) fn handle(&mut self, now: Instant, packet: &[u8], events: &mut VecDeque<SessionEvent>) {
        let packet = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(now, PEER, None, None, packet) {
            // A new association replaces the old one: the peer began anew.
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.close_all(events);
                self.association = Some((handle, association));
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((h, association)) = self.association.as_mut().filter(|(h, _)| *h == handle) {
                    debug_assert_eq!(*h, handle);
                    association.handle_event(event);
                }
            }
            None => {}
        }
        self.drive(now, events);
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<SessionEvent>) {
        if let Some((_, association)) = self.association.as_mut() {
            association.handle_timeout(now);
        }
        self.drive(now, events);
    }

    /// When [`DataChannels::handle_timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.association.as_ref().and_then(|(_, a)| a.poll_timeout())
    }

    /// The next SCTP packet to send.
    pub(crate) fn poll(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// Opens an ordered, reliable channel; its stream.
    ///
    /// # Errors
    /// [`DropReason::NoPath`] before the association is up, [`DropReason::TooManySources`] at [`MAX_CHANNELS`].
    pub(crate) fn open(&mut self, now: Instant, label: &str, protocol: &str) -> Result<u16, DropReason> {
        if label.len() + protocol.len() > 1000 {
            return Err(DropReason::TooManySources);
        }
        let (_, association) = self.association.as_mut().ok_or(DropReason::NoPath)?;
        let mut message = vec![DCEP_OPEN, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&(label.len() as u16).to_be_bytes());
        message.extend_from_slice(&(protocol.len() as u16).to_be_bytes());
        message.extend_from_slice(label.as_bytes());
        message.extend_from_slice(protocol.as_bytes());
        // One whose reset is not complete is refused here: the peer could take what is new for what was before.
        let mut own = (1..MAX_CHANNELS).step_by(2).filter(|stream| !self.channels.contains(stream));
        let free = own.find(|stream| association.open_stream(*stream, PayloadProtocolIdentifier::Dcep).is_ok());
        let stream = free.ok_or(DropReason::TooManySources)?;
        let mut opened = association.stream(stream).map_err(|_| DropReason::NoPath)?;
        opened.write_with_ppi(&message, PayloadProtocolIdentifier::Dcep).map_err(|_| DropReason::NoPath)?;
        self.channels.push(stream);
        self.flush(now);
        Ok(stream)
    }

    /// Sends a message on a channel.
    ///
    /// # Errors
    /// [`DropReason::NoPath`] when there is no such channel, [`DropReason::QueueFull`] when it is full or the message too long.
    pub(crate) fn send(&mut self, now: Instant, stream: u16, binary: bool, payload: &[u8]) -> Result<(), DropReason> {
        if payload.len() > MAX_MESSAGE as usize {
            return Err(DropReason::QueueFull);
        }
        if !self.channels.contains(&stream) {
            return Err(DropReason::NoPath);
        }
        let (_, association) = self.association.as_mut().ok_or(DropReason::NoPath)?;
        let mut s = association.stream(stream).map_err(|_| DropReason::NoPath)?;
        if s.buffered_amount().is_ok_and(|n| n + payload.len() > MAX_BUFFERED) {
            return Err(DropReason::QueueFull);
        }
        // An empty message is one zero byte under an identifier of its own (RFC 8831 §6.6).
        let (ppi, bytes): (_, &[u8]) = match (binary, payload.is_empty()) {
            (true, false) => (PayloadProtocolIdentifier::Binary, payload),
            (false, false) => (PayloadProtocolIdentifier::String, payload),
            (true, true) => (PayloadProtocolIdentifier::BinaryEmpty, &[0]),
            (false, true) => (PayloadProtocolIdentifier::StringEmpty, &[0]),
        };
        s.write_with_ppi(bytes, ppi).map_err(|_| DropReason::QueueFull)?;
        self.flush(now);
        Ok(())
    }

    fn drive(&mut self, now: Instant, events: &mut VecDeque<SessionEvent>) {
        while let Some((handle, association)) = self.association.as_mut() {
            while let Some(event) = association.poll_endpoint_event() {
                let handle = *handle;
                if let Some(event) = self.endpoint.handle_event(handle, event) {
                    association.handle_event(event);
                }
            }
            let Some(event) = association.poll() else { break };
            match event {
                Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => self.read(id, events),
                Event::Stream(StreamEvent::Finished { id }) => self.closed(id, events),
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => {
                    self.flush(now);
                    self.close_all(events);
                    self.association = None;
                }
                _ => {}
            }
        }
        self.flush(now);
    }

    fn read(&mut self, id: u16, events: &mut VecDeque<SessionEvent>) {
        let Some((_, association)) = self.association.as_mut() else { return };
        let Ok(mut stream) = association.stream(id) else { return };
        while let Ok(Some(chunks)) = stream.read_sctp() {
            let mut payload = vec![0; chunks.len()];
            if chunks.read(&mut payload).is_err() {
                continue;
            }
            match chunks.ppi {
                PayloadProtocolIdentifier::Dcep => {
                    if let Some(open) = Open::parse(&payload) {
                        let _ = stream.set_reliability_params(open.unordered, open.reliability, open.value);
                        let _ = stream.write_with_ppi(&[DCEP_ACK], PayloadProtocolIdentifier::Dcep);
                        if !self.channels.contains(&id) && self.channels.len() < usize::from(MAX_CHANNELS) {
                            self.channels.push(id);
                            let (label, protocol) = (open.label, open.protocol);
                            events.push_back(SessionEvent::ChannelOpened { stream: id, label, protocol });
                        }
                    }
                }
                PayloadProtocolIdentifier::String => {
                    events.push_back(SessionEvent::Message { stream: id, binary: false, payload });
                }
                PayloadProtocolIdentifier::Binary => {
                    events.push_back(SessionEvent::Message { stream: id, binary: true, payload });
                }
                PayloadProtocolIdentifier::StringEmpty => {
                    events.push_back(SessionEvent::Message { stream: id, binary: false, payload: Vec::new() });
                }
                PayloadProtocolIdentifier::BinaryEmpty => {
                    events.push_back(SessionEvent::Message { stream: id, binary: true, payload: Vec::new() });
                }
                _ => {}
            }
        }
    }

    fn closed(&mut self, id: u16, events: &mut VecDeque<SessionEvent>) {
        if let Some(index) = self.channels.iter().position(|&c| c == id) {
            self.channels.swap_remove(index);
            events.push_back(SessionEvent::ChannelClosed { stream: id });
        }
    }

    fn close_all(&mut self, events: &mut VecDeque<SessionEvent>) {
        for stream in self.channels.drain(..) {
            events.push_back(SessionEvent::ChannelClosed { stream });
        }
    }

    fn flush(&mut self, now: Instant) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            collect(&mut self.transmits, transmit.payload);
        }
        if let Some((_, association)) = self.association.as_mut() {
            while let Some(transmit) = association.poll_transmit(now) {
                collect(&mut self.transmits, transmit.payload);
            }
        }
    }
}

fn collect(transmits: &mut VecDeque<Bytes>, payload: Payload) {
    if let Payload::RawEncode(packets) = payload {
        transmits.extend(packets);
    }
}

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1).
struct Open {
    unordered: bool,
    reliability: ReliabilityType,
    value: u32,
    label: String,
    protocol: String,
}

impl Open {
    fn parse(message: &[u8]) -> Option<Open> {
        let header = message.get(..DCEP_OPEN_HEADER)?;
        if header[0] != DCEP_OPEN {
            return None;
        }
        let reliability = match header[1] & 0x7f {
            0 => ReliabilityType::Reliable,
            1 => ReliabilityType::Rexmit,
            2 => ReliabilityType::Timed,
            _ => return None,
        };
        let value = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let label = usize::from(u16::from_be_bytes([header[8], header[9]]));
        let protocol = usize::from(u16::from_be_bytes([header[10], header[11]]));
        let rest = &message[DCEP_OPEN_HEADER..];
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        Some(Open {
            unordered: header[1] & 0x80 != 0,
            reliability,
            value,
            label: text(rest.get(..label)?)?,
            protocol: text(rest.get(label..label + protocol)?)?,
        })
    }
}

/// Reads any bytes as a DATA_CHANNEL_OPEN; whether they are one. What a fuzz target calls.
#[doc(hidden)]
pub fn open_any(message: &[u8]) -> bool {
    let open = Open::parse(message);
    let texts = open.as_ref().map_or(0, |open| open.label.len() + open.protocol.len());
    assert!(texts <= message.len().saturating_sub(DCEP_OPEN_HEADER));
    open.is_some()
}

impl std::fmt::Debug for DataChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataChannels").field("channels", &self.channels).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_open_message_tells_label_protocol_and_reliability() {
        let mut message = vec![3, 0x81, 0, 0, 0, 0, 0, 5, 0, 4, 0, 2];
        message.extend_from_slice(b"chatv1");
        let open = Open::parse(&message).unwrap();
        assert_eq!((open.label.as_str(), open.protocol.as_str(), open.value), ("chat", "v1", 5));
        assert!(open.unordered);
        message.pop();
        assert!(Open::parse(&message).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_open_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Open::parse(&bytes);
            let mut open = bytes;
            open.insert(0, DCEP_OPEN);
            let _ = Open::parse(&open);
        }
    }
}
