//! RFC 4571: a length in two bytes before each packet of a stream.
//!
//! Pure: bytes in, frames out. Keeps at most one unfinished frame; one that is longer than [`MAX_FRAME`] is skipped and
//! counted, never cut.

/// Longest frame that is taken: what fits into a pool slot. Peers send nothing longer: their packets fit UDP as well.
pub(crate) const MAX_FRAME: usize = plenum_packet::SLOT_SIZE;

/// Bytes of the length.
pub(crate) const LENGTH: usize = 2;

/// The length before a frame of `len` bytes.
pub(crate) fn length(len: usize) -> [u8; LENGTH] {
    debug_assert!(len <= usize::from(u16::MAX));
    (len as u16).to_be_bytes()
}

/// The reading side of one stream.
#[derive(Default)]
pub(crate) struct Deframer {
    /// The beginning of a frame whose rest has not come: at most LENGTH + MAX_FRAME - 1 bytes.
    held: Vec<u8>,
    /// Bytes still to be skipped of a frame that is too long.
    skip: usize,
}

impl Deframer {
    /// Ready for a new stream; keeps its memory.
    pub(crate) fn reset(&mut self) {
        self.held.clear();
        self.skip = 0;
    }

    /// What must stand in front of the next bytes given to [`Deframer::feed`].
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Takes what was [`Deframer::held`] with new bytes behind it, and shows each whole frame. Empty frames mean nothing and
    /// are passed over. Returns how many frames were too long.
    pub(crate) fn feed(&mut self, bytes: &mut [u8], mut frame: impl FnMut(&mut [u8])) -> u64 {
        let mut too_long = 0;
        let mut at = 0;
        self.held.clear();
        loop {
            let skipped = self.skip.min(bytes.len() - at);
            self.skip -= skipped;
            at += skipped;
            let Some(length) = bytes[at..].first_chunk::<LENGTH>() else { break };
            let (start, len) = (at + LENGTH, usize::from(u16::from_be_bytes(*length)));
            if len > MAX_FRAME {
                too_long += 1;
                self.skip = len;
                at = start;
                continue;
            }
            let Some(whole) = bytes.get_mut(start..start + len) else { break };
            if !whole.is_empty() {
                frame(whole);
            }
            at = start + len;
        }
        if self.held.capacity() == 0 && at < bytes.len() {
            self.held.reserve_exact(LENGTH + MAX_FRAME);
        }
        self.held.extend_from_slice(&bytes[at..]);
        too_long
    }
}

/// Reads a stream of any bytes in pieces.
pub(crate) fn deframe_any(bytes: &[u8], piece: usize) {
    let mut deframer = Deframer::default();
    for piece in bytes.chunks(piece.max(1)) {
        let mut bytes = [deframer.held(), piece].concat();
        deframer.feed(&mut bytes, |frame| assert!(frame.len() <= MAX_FRAME));
        assert!(deframer.held().len() < LENGTH + MAX_FRAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `stream` in pieces of the sizes given, in turn.
    fn frames_of(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, u64) {
        let mut deframer = Deframer::default();
        let (mut frames, mut too_long, mut at, mut turn) = (Vec::new(), 0, 0, 0);
        while at < stream.len() {
            let end = (at + pieces[turn % pieces.len()].max(1)).min(stream.len());
            turn += 1;
            let mut bytes = deframer.held().to_vec();
            bytes.extend_from_slice(&stream[at..end]);
            too_long += deframer.feed(&mut bytes, |f| frames.push(f.to_vec()));
            assert!(deframer.held().len() < LENGTH + MAX_FRAME);
            at = end;
        }
        (frames, too_long)
    }

    #[test]
    fn a_frame_that_is_too_long_is_skipped_and_the_next_one_read() {
        let mut stream = length(MAX_FRAME + 1).to_vec();
        stream.extend(vec![9; MAX_FRAME + 1]);
        stream.extend([0, 0, 0, 3, 1, 2, 3]);
        for piece in [1, 7, 4000] {
            assert_eq!(frames_of(&stream, &[piece]), (vec![vec![1, 2, 3]], 1));
        }
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting_of_the_stream(
            sizes in proptest::collection::vec(1..=MAX_FRAME, 1..12),
            pieces in proptest::collection::vec(1usize..5000, 1..8),
        ) {
            let frames: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, &n)| vec![i as u8; n]).collect();
            let stream: Vec<u8> = frames.iter().flat_map(|f| [&length(f.len())[..], f].concat()).collect();
            prop_assert_eq!(frames_of(&stream, &pieces), (frames, 0));
        }

        #[test]
        fn any_bytes_are_taken_and_little_of_them_is_kept(stream in proptest::collection::vec(any::<u8>(), 0..9000)) {
            frames_of(&stream, &[1000, 3, 1]);
            crate::parse_any(&stream);
        }
    }
}
