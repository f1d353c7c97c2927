//! Control messages beside a datagram: the segment size of a train both ways, and the receive timestamp.
//!
//! Parsed as bytes with bounds checks: what the kernel writes is not trusted more than what the network writes.

/// Bytes for the control messages of one received message: a timestamp takes 32, a segment size 24.
pub(crate) const RECEIVE_SPACE: usize = 64;

/// Control buffer of one received message, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct ReceiveSpace(pub(crate) [u8; RECEIVE_SPACE]);

const HEADER: usize = size_of::<libc::cmsghdr>();
const _: () = assert!(HEADER == 16 && size_of::<usize>() == 8, "control messages are parsed in their 64-bit form");

/// The control message that makes one send a train: UDP_SEGMENT with the length of its packets.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Segment {
    header: libc::cmsghdr,
    size: u16,
    padding: [u8; 6],
}

impl Segment {
    /// Packets of `size` bytes.
    pub(crate) fn new(size: u16) -> Segment {
        let header = libc::cmsghdr { cmsg_len: HEADER + 2, cmsg_level: libc::SOL_UDP, cmsg_type: libc::UDP_SEGMENT };
        Segment { header, size, padding: [0; 6] }
    }
}

/// What was beside a received message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// Length of the packets that the kernel joined.
    pub(crate) segment: Option<u16>,
    /// Nanoseconds of CLOCK_REALTIME.
    pub(crate) stamp: Option<u64>,
}

/// Reads the control messages in `bytes`; stops at the first that is broken.
pub(crate) fn read(mut bytes: &[u8]) -> Control {
    let mut control = Control::default();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, t0, t1, t2, t3] = *header;
        let len = usize::from_ne_bytes([a, b, c, d, e, f, g, h]);
        let level = i32::from_ne_bytes([l0, l1, l2, l3]);
        let kind = i32::from_ne_bytes([t0, t1, t2, t3]);
        let Some(data) = bytes.get(HEADER..len) else { break };
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = data.first_chunk().map(|b| i32::from_ne_bytes(*b));
                control.segment = size.and_then(|s| u16::try_from(s).ok()).filter(|&s| s > 0);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => control.stamp = stamp(data),
            _ => {}
        }
        match bytes.get(len.next_multiple_of(8)..) {
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    control
}

fn stamp(data: &[u8]) -> Option<u64> {
    let seconds = i64::from_ne_bytes(*data.first_chunk()?);
    let nanos = i64::from_ne_bytes(*data.get(8..)?.first_chunk()?);
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut out = (HEADER + data.len()).to_ne_bytes().to_vec();
        out.extend(level.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    #[test]
    fn the_segment_size_and_the_timestamp_are_found_among_others() {
        let mut bytes = message(libc::SOL_IP, 8, &[0; 12]);
        bytes.extend(message(
            libc::SOL_SOCKET,
            libc::SCM_TIMESTAMPNS,
            &[3i64.to_ne_bytes(), 7i64.to_ne_bytes()].concat(),
        ));
        bytes.extend(message(libc::SOL_UDP, libc::UDP_GRO, &1200i32.to_ne_bytes()));
        assert_eq!(read(&bytes), Control { segment: Some(1200), stamp: Some(3_000_000_007) });
        assert_eq!(read(&bytes[..bytes.len() - 5]).segment, None);
    }

    #[test]
    fn a_train_is_announced_in_24_bytes() {
        assert_eq!(size_of::<Segment>(), 24);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            read(&bytes);
        }

        #[test]
        fn any_length_field_is_read_without_harm(len in any::<usize>(), rest in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend(rest);
            read(&bytes);
        }
    }
}
