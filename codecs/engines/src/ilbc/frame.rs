//! What an iLBC frame carries, and where its bits lie (RFC 3951 3.8): fields are cut into three classes of importance, class by class.

/// A frame's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Ms20,
    Ms30,
}

/// Most samples and sub-frames of a frame; samples of a sub-frame.
pub(super) const BLOCK: usize = 240;
pub(super) const SUBS: usize = 6;
pub(super) const SUB: usize = 40;
/// Samples of the start state, with its adaptive part.
pub(super) const STATE_LEN: usize = 80;

/// Bits of a field in each class.
type Widths = [u32; 3];

/// Widths of the three stages of a codebook block: indices, then gains.
type Stages = [[Widths; 3]; 2];

impl Length {
    pub(super) fn of_payload(bytes: usize) -> Option<Length> {
        [Length::Ms20, Length::Ms30].into_iter().find(|length| length.bytes() == bytes)
    }

    pub(super) fn bytes(self) -> usize {
        if self == Length::Ms20 { 38 } else { 50 }
    }

    pub(super) fn samples(self) -> usize {
        self.subs() * SUB
    }

    pub(super) fn subs(self) -> usize {
        if self == Length::Ms20 { 4 } else { 6 }
    }

    /// Samples of the start state that are quantised one by one.
    pub(super) fn short(self) -> usize {
        if self == Length::Ms20 { 57 } else { 58 }
    }

    /// Sets of line spectral frequencies.
    pub(super) fn sets(self) -> usize {
        if self == Length::Ms20 { 1 } else { 2 }
    }

    fn start(self) -> Widths {
        if self == Length::Ms20 { [2, 0, 0] } else { [3, 0, 0] }
    }

    /// The block beside the start state, then the sub-frames.
    fn blocks(self) -> &'static [Stages] {
        const LAST: Widths = [0, 0, 7];
        const WHOLE: Widths = [0, 0, 8];
        const THIRD: Widths = [0, 0, 3];
        match self {
            Length::Ms20 => &[
                [[[6, 0, 1], LAST, LAST], [[2, 0, 3], [1, 1, 2], THIRD]],
                [[[7, 0, 1], LAST, LAST], [[1, 2, 2], [1, 1, 2], THIRD]],
                [[WHOLE, WHOLE, WHOLE], [[1, 1, 3], [0, 2, 2], THIRD]],
            ],
            Length::Ms30 => &[
                [[[4, 2, 1], LAST, LAST], [[1, 1, 3], [1, 1, 2], THIRD]],
                [[[6, 1, 1], LAST, LAST], [[1, 2, 2], [1, 2, 1], THIRD]],
                [[[0, 7, 1], WHOLE, WHOLE], [[0, 2, 3], [0, 2, 2], THIRD]],
                [[[0, 7, 1], WHOLE, WHOLE], [[0, 1, 4], [0, 1, 3], THIRD]],
                [[[0, 7, 1], WHOLE, WHOLE], [[0, 1, 4], [0, 1, 3], THIRD]],
            ],
        }
    }
}

/// Indices of one codebook block, by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) index: [u16; 3],
    pub(super) gain: [u16; 3],
}

/// A frame's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) length: Length,
    /// Three parts for each set of line spectral frequencies.
    pub(super) lsf: [u16; 6],
    /// The first of the start state's two sub-frames, from 1.
    pub(super) start: u16,
    /// Whether the quantised part of the start state comes first, 1 or 0.
    pub(super) first: u16,
    pub(super) scale: u16,
    pub(super) state: [u16; 58],
    /// The block beside the start state, then the sub-frames.
    pub(super) blocks: [Block; 5],
    /// 1: there is nothing in it.
    pub(super) empty: u16,
}

impl Frame {
    pub(super) fn new(length: Length) -> Self {
        Frame {
            length,
            lsf: [0; 6],
            start: 0,
            first: 0,
            scale: 0,
            state: [0; 58],
            blocks: [Block::default(); 5],
            empty: 0,
        }
    }

    /// The fields in their order.
    fn each(&mut self, mut visit: impl FnMut(&mut u16, Widths)) {
        let length = self.length;
        for (i, lsf) in self.lsf[..3 * length.sets()].iter_mut().enumerate() {
            visit(lsf, [if i % 3 == 0 { 6 } else { 7 }, 0, 0]);
        }
        visit(&mut self.start, length.start());
        visit(&mut self.first, [1, 0, 0]);
        visit(&mut self.scale, [6, 0, 0]);
        for sample in &mut self.state[..length.short()] {
            visit(sample, [0, 1, 2]);
        }
        let widths = length.blocks();
        let (beside, subs) = self.blocks[..widths.len()].split_at_mut(1);
        // First the block beside the state, indices and gains; then all sub-frames' indices, then all their gains.
        for (blocks, widths) in [(beside, &widths[..1]), (subs, &widths[1..])] {
            for (block, [indices, _]) in blocks.iter_mut().zip(widths) {
                block.index.iter_mut().zip(indices).for_each(|(index, widths)| visit(index, *widths));
            }
            for (block, [_, gains]) in blocks.iter_mut().zip(widths) {
                block.gain.iter_mut().zip(gains).for_each(|(gain, widths)| visit(gain, *widths));
            }
        }
    }

    /// Reads a payload of 38 or 50 bytes; `None` for another length, and where the fields make no sense.
    pub(super) fn read(payload: &[u8]) -> Option<Frame> {
        let mut frame = Frame::new(Length::of_payload(payload.len())?);
        let mut at = 0;
        let mut take = |count: u32| {
            (0..count).fold(0, |value, _| {
                let bit = payload[at / 8] >> (7 - at % 8) & 1;
                at += 1;
                value << 1 | u16::from(bit)
            })
        };
        for class in 0..3 {
            frame.each(|value, widths| *value = *value << widths[class] | take(widths[class]));
        }
        frame.empty = take(1);
        let last = frame.length.subs() as u16 - 1;
        let good = frame.empty == 0 && (1..=last).contains(&frame.start);
        // The second and third index of the first sub-frame have seven bits for what can be reached (index_conv_dec).
        for index in &mut frame.blocks[1].index[1..] {
            *index += match *index {
                44..=107 => 64,
                108..=127 => 128,
                _ => 0,
            };
        }
        good.then_some(frame)
    }

    /// Appends the payload.
    pub(super) fn write(mut self, out: &mut Vec<u8>) {
        for index in &mut self.blocks[1].index[1..] {
            *index -= match *index {
                108..=171 => 64,
                236.. => 128,
                _ => 0,
            };
        }
        let start = out.len();
        out.resize(start + self.length.bytes(), 0);
        let payload = &mut out[start..];
        let mut at = 0;
        for class in 0..3 {
            self.each(|value, widths| {
                let below: u32 = widths[class + 1..].iter().sum();
                for bit in (0..widths[class]).rev() {
                    payload[at / 8] |= ((*value >> (below + bit) & 1) as u8) << (7 - at % 8);
                    at += 1;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_payload_has_its_field() {
        for length in [Length::Ms20, Length::Ms30] {
            let mut bits = 1;
            Frame::new(length).each(|_, widths| bits += widths.iter().sum::<u32>());
            assert_eq!(bits as usize, length.bytes() * 8);
            let mut read = 0;
            for seed in 0..64 {
                let payload: Vec<u8> = (0..length.bytes()).map(|i| ((i + seed) * 37) as u8 & 0xfe).collect();
                // Some name a start state that there is not.
                if let Some(frame) = Frame::read(&payload) {
                    let mut again = Vec::new();
                    frame.write(&mut again);
                    assert_eq!(again, payload);
                    read += 1;
                }
            }
            assert!(read > 20, "{read}");
        }
    }
}
