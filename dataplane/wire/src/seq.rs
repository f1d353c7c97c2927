//! Arithmetic on numbers that wrap: 16-bit sequence numbers and 32-bit timestamps.
//!
//! A number is newer when it is ahead by less than half the space (RFC 3550 A.1, RFC 1982). Extenders turn wrapping
//! numbers into growing ones; they start in cycle 1, so that packets older than the first one still have a place.

/// Whether sequence number `a` is newer than `b`. Half the space apart, the larger one is.
pub const fn newer(a: u16, b: u16) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && (ahead < 0x8000 || (ahead == 0x8000 && a > b))
}

/// Whether timestamp `a` is newer than `b`. Half the space apart, the larger one is.
pub const fn newer_timestamp(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && (ahead < 0x8000_0000 || (ahead == 0x8000_0000 && a > b))
}

/// The signed way from `b` to `a`: positive when `a` is newer.
pub const fn distance(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b) as i16
}

/// The extended number nearest to `reference` whose low 16 bits are `sequence`.
pub const fn nearest(sequence: u16, reference: u64) -> u64 {
    let step = sequence.wrapping_sub(reference as u16) as i16;
    let value = reference as i64 + step as i64;
    if value < 0 { (value + (1 << 16)) as u64 } else { value as u64 }
}

/// The extended timestamp nearest to `reference` whose low 32 bits are `timestamp`.
pub const fn nearest_timestamp(timestamp: u32, reference: u64) -> u64 {
    let step = timestamp.wrapping_sub(reference as u32) as i32;
    let value = reference.wrapping_add_signed(step as i64);
    // Below zero only when the clock runs backwards through all of cycle 1: the low half stays right then.
    if value > u64::MAX / 2 { timestamp as u64 } else { value }
}

/// Unwraps 16-bit sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extender {
    highest: Option<u64>,
}

impl Extender {
    /// One that has seen nothing.
    pub const fn new() -> Extender {
        Extender { highest: None }
    }

    /// The extended number of `sequence`; the highest moves on when this one is newer. The first number is in cycle 1.
    pub fn extend(&mut self, sequence: u16) -> u64 {
        let value = self.peek(sequence);
        self.highest = Some(self.highest.map_or(value, |h| h.max(value)));
        value
    }

    /// What [`Extender::extend`] would return; changes nothing.
    pub fn peek(&self, sequence: u16) -> u64 {
        match self.highest {
            None => 1 << 16 | u64::from(sequence),
            Some(highest) => nearest(sequence, highest),
        }
    }

    /// The highest number so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Unwraps 32-bit RTP timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimestampExtender {
    highest: Option<u64>,
}

impl TimestampExtender {
    /// One that has seen nothing.
    pub const fn new() -> TimestampExtender {
        TimestampExtender { highest: None }
    }

    /// The extended timestamp; the first one is in cycle 1.
    pub fn extend(&mut self, timestamp: u32) -> u64 {
        let value = match self.highest {
            None => 1 << 32 | u64::from(timestamp),
            Some(highest) => nearest_timestamp(timestamp, highest),
        };
        self.highest = Some(self.highest.map_or(value, |h| h.max(value)));
        value
    }

    /// The highest timestamp so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_newer_when_it_is_less_than_half_the_space_ahead() {
        assert!(newer(1, 0) && newer(0, 0xffff) && newer(0x7fff, 0));
        assert!(!newer(0, 0) && !newer(0, 1) && !newer(0xffff, 0));
        assert!(newer(0x8000, 0) && !newer(0, 0x8000));
        assert!(newer_timestamp(5, u32::MAX) && !newer_timestamp(u32::MAX, 5) && !newer_timestamp(5, 5));
        assert_eq!((distance(1, 0xffff), distance(0xffff, 1)), (2, -2));
    }

    #[test]
    fn numbers_grow_across_wraps_and_reordering() {
        let mut e = Extender::new();
        assert_eq!(e.extend(65534), 0x1_fffe);
        assert_eq!(e.extend(1), 0x2_0001);
        assert_eq!(e.extend(65535), 0x1_ffff);
        assert_eq!(e.peek(0), 0x2_0000);
        assert_eq!(e.highest(), Some(0x2_0001));
        let mut e = Extender::new();
        assert_eq!(e.extend(0), 0x1_0000);
        assert_eq!(e.extend(65535), 0xffff);
    }

    #[test]
    fn timestamps_grow_across_wraps() {
        let mut e = TimestampExtender::new();
        assert_eq!(e.extend(u32::MAX - 10), (1 << 32) + u64::from(u32::MAX) - 10);
        assert_eq!(e.extend(20), (2 << 32) + 20);
        assert_eq!(e.extend(u32::MAX), (1 << 32) + u64::from(u32::MAX));
        assert_eq!(e.highest(), Some((2 << 32) + 20));
    }

    proptest::proptest! {
        #[test]
        fn the_low_half_is_the_number_itself(numbers in proptest::collection::vec(proptest::num::u16::ANY, 0..200)) {
            let mut e = Extender::new();
            let mut t = TimestampExtender::new();
            for n in numbers {
                proptest::prop_assert_eq!(e.extend(n) as u16, n);
                let stamp = u32::from(n).wrapping_mul(0x9e37_79b9);
                proptest::prop_assert_eq!(t.extend(stamp) as u32, stamp);
            }
        }
    }
}
