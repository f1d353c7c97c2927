//! Dependency descriptors: an L2T2 structure written by hand, frames that refer to it, arbitrary bytes, and what is written.

use super::*;

/// Writes bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, width: u32) -> &mut Self {
        self.0.extend((0..width).rev().map(|i| value >> i & 1 == 1));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, &bit)| b | u8::from(bit) << (7 - i))).collect()
    }
}

fn mandatory(start: u32, end: u32, template: u32, number: u32) -> Bits {
    let mut bits = Bits::default();
    bits.put(start, 1).put(end, 1).put(template, 6).put(number, 16);
    bits
}

/// Two spatial and two temporal layers, four decode targets (S0T0, S0T1, S1T0, S1T1), two chains. Templates from id 60:
/// key S0T0, delta S0T0, S0T1, key S1T0, delta S1T0, S1T1.
fn key_frame(template: u32, number: u32) -> Bits {
    let mut bits = mandatory(1, 1, template, number);
    bits.put(0b10000, 5).put(60, 6).put(3, 5);
    for idc in [0, 1, 2, 0, 1, 3] {
        bits.put(idc, 2);
    }
    let dtis = [[2, 2, 2, 2], [3, 3, 3, 3], [0, 1, 0, 3], [0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 0, 1]];
    dtis.as_flattened().iter().for_each(|&dti| {
        bits.put(dti, 2);
    });
    for fdiffs in [&[][..], &[4], &[2], &[1], &[4, 1], &[2, 1]] {
        fdiffs.iter().for_each(|fdiff| {
            bits.put(1, 1).put(fdiff - 1, 4);
        });
        bits.put(0, 1);
    }
    // chain_cnt = ns(5) = 2, then ns(2) for each target, then four bits for each template and chain.
    bits.put(2, 2).put(0, 1).put(0, 1).put(1, 1).put(1, 1);
    for fdiff in [0, 0, 4, 3, 2, 1, 1, 1, 1, 1, 3, 2] {
        bits.put(fdiff, 4);
    }
    bits.put(1, 1).put(639, 16).put(359, 16).put(1279, 16).put(719, 16);
    bits
}

fn parser() -> Parser {
    let mut parser = Parser::new();
    parser.parse(&key_frame(60, 100).bytes()).unwrap();
    parser
}

#[test]
fn a_structure_describes_layers_targets_and_sizes() {
    let mut parser = Parser::new();
    let frame = parser.parse(&key_frame(60, 100).bytes()).unwrap();
    assert!(frame.has_structure && frame.is_key_frame());
    assert_eq!((frame.spatial, frame.temporal, frame.decode_targets, frame.chains), (0, 0, 4, 2));
    assert_eq!((frame.active_decode_targets, frame.own, frame.chain_fdiffs()), (Some(15), Dti::Switch, &[0, 0][..]));
    let structure = parser.structure().unwrap();
    let layers: Vec<_> = (0..5).map(|t| structure.target_layer(t)).collect();
    assert_eq!(layers, [Some((0, 0)), Some((0, 1)), Some((1, 0)), Some((1, 1)), None]);
    assert_eq!((structure.dimensions(0), structure.dimensions(1)), (Some((640, 360)), Some((1280, 720))));
    assert_eq!((structure.protected_by(1), structure.protected_by(3)), (Some(0), Some(1)));
}

#[test]
fn frames_take_what_their_template_says() {
    let mut parser = parser();
    let frame = parser.parse(&mandatory(1, 0, 63, 101).bytes()).unwrap();
    assert_eq!((frame.spatial, frame.temporal, frame.fdiffs(), frame.own), (1, 0, &[1][..], Dti::Switch));
    // Template ids wrap at 64: 65 is 1.
    let frame = parser.parse(&mandatory(1, 1, 1, 107).bytes()).unwrap();
    assert_eq!((frame.spatial, frame.temporal, frame.fdiffs(), frame.own), (1, 1, &[2, 1][..], Dti::Discardable));
    assert_eq!((frame.dti(3), frame.dti(2), frame.dti(40)), (Dti::Discardable, Dti::NotPresent, Dti::NotPresent));
    assert_eq!((frame.chain_fdiffs(), frame.has_structure), (&[3, 2][..], false));
}

#[test]
fn switch_points_are_told_apart() {
    let mut parser = parser();
    let mut info = |bits: Bits| {
        let mut info = FrameInfo::default();
        parser.parse(&bits.bytes()).unwrap().amend(&mut info);
        info
    };
    // The upper layer of the key picture: only a reference inside the picture.
    let upper = info(mandatory(1, 1, 63, 101));
    assert!(upper.spatial_sync && upper.temporal_sync && upper.spatial == 1);
    // The upper layer of a later picture.
    let later = info(mandatory(1, 1, 0, 105));
    assert!(!later.spatial_sync && !later.temporal_sync && later.frame_number == Some(105));
    let leaf = info(mandatory(0, 1, 62, 102));
    assert!(leaf.discardable && leaf.temporal == 1 && !leaf.start_of_frame && leaf.end_of_frame);
}

#[test]
fn a_frame_may_differ_from_its_template() {
    let mut bits = mandatory(1, 1, 61, 104);
    // Active targets, custom DTIs, fdiffs and chains.
    bits.put(0b01111, 5).put(0b0011, 4).put(2, 2).put(2, 2).put(0, 2).put(0, 2);
    bits.put(1, 2).put(0, 4).put(3, 2).put(299, 12).put(0, 2).put(200, 8).put(7, 8);
    let frame = parser().parse(&bits.bytes()).unwrap();
    assert_eq!((frame.active_decode_targets, frame.own, frame.dti(2)), (Some(3), Dti::Switch, Dti::NotPresent));
    assert_eq!((frame.fdiffs(), frame.chain_fdiffs()), (&[1, 300][..], &[200, 7][..]));
}

#[test]
fn without_its_structure_a_frame_is_not_read() {
    assert_eq!(Parser::new().parse(&mandatory(1, 1, 60, 1).bytes()), Err(Malformed::MissingState));
    assert_eq!(parser().parse(&mandatory(1, 1, 2, 101).bytes()), Err(Malformed::Value));
    assert_eq!(parser().parse(&[0x80, 0]), Err(Malformed::Truncated));
    assert_eq!(Mandatory::parse(&[0xbc, 1, 2]).unwrap().frame_number, 0x0102);
}

#[test]
fn a_structure_that_ends_early_or_comes_late_does_not_replace_the_kept_one() {
    let whole = key_frame(60, 200).bytes();
    let mut parser = parser();
    for cut in 4..whole.len() - 1 {
        assert!(parser.parse(&whole[..cut]).is_err());
    }
    assert_eq!(parser.since, 100);
    parser.parse(&whole).unwrap();
    assert_eq!(parser.since, 200);
    assert!(parser.parse(&key_frame(60, 100).bytes()).unwrap().is_key_frame());
    assert_eq!(parser.since, 200);
}

#[test]
fn a_key_frame_after_half_a_cycle_of_numbers_or_after_a_restart_brings_its_structure() {
    let mut parser = parser();
    for number in (101..=40_000).step_by(100) {
        parser.parse(&mandatory(1, 1, 61, number).bytes()).unwrap();
    }
    parser.parse(&key_frame(60, 40_001).bytes()).unwrap();
    assert_eq!(parser.since, 40_001);
    parser.parse(&key_frame(60, 7).bytes()).unwrap();
    assert_eq!(parser.since, 7);
}

#[test]
fn every_frame_tells_the_size_of_its_layer() {
    let mut parser = parser();
    for (template, size) in [(61, (640, 360)), (0, (1280, 720))] {
        let mut info = FrameInfo::default();
        parser.parse(&mandatory(1, 0, template, 104).bytes()).unwrap().amend(&mut info);
        assert_eq!(info.dimensions, Some(size));
    }
}

#[test]
fn limits_are_kept() {
    let mut layers = mandatory(1, 1, 0, 1);
    layers.put(0b10000, 5).put(0, 6).put(0, 5);
    for _ in 0..80 {
        layers.put(0, 2);
    }
    assert_eq!(Parser::new().parse(&layers.bytes()), Err(Malformed::TooLarge));
    let mut spatial = mandatory(1, 1, 0, 1);
    spatial.put(0b10000, 5).put(0, 6).put(0, 5);
    for _ in 0..4 {
        spatial.put(2, 2);
    }
    assert_eq!(Parser::new().parse(&spatial.bytes()), Err(Malformed::TooLarge));
    let mut references = mandatory(1, 1, 61, 101);
    references.put(0b00010, 5);
    for _ in 0..=MAX_FDIFFS {
        references.put(1, 2).put(0, 4);
    }
    assert_eq!(parser().parse(&references.bytes()), Err(Malformed::TooLarge));
}

#[test]
fn a_frame_number_is_written_in_place() {
    let mut bytes = mandatory(1, 0, 61, 7).bytes();
    set_frame_number(&mut bytes, 0xfffe);
    assert_eq!(bytes, mandatory(1, 0, 61, 0xfffe).bytes());
    set_frame_number(&mut bytes[..2], 1);
}

/// Reads a descriptor, writes what was read, and reads that: the same, but for the template that says it.
fn written_is_read(parser: &mut Parser, descriptor: &[u8]) -> usize {
    let before = parser.clone();
    let Ok(frame) = parser.parse(descriptor) else { return 0 };
    let mut fresh = Parser::new();
    let structure = if frame.has_structure { fresh.parse(descriptor).map(|_| fresh).unwrap() } else { before.clone() };
    let mut out = [0xa5; 4096];
    let len = frame.write(structure.structure().unwrap(), &mut out).unwrap();
    let (mut reader, wanted) = if frame.has_structure { (Parser::new(), structure) } else { (before, structure) };
    let again = reader.parse(&out[..len]).unwrap();
    let mandatory = Mandatory { template_id: frame.mandatory.template_id, ..again.mandatory };
    assert_eq!(Frame { mandatory, ..again }, frame);
    assert_eq!(reader.structure(), wanted.structure());
    assert_eq!(frame.write(reader.structure().unwrap(), &mut out[..len - 1]), Err(Malformed::TooLarge));
    len
}

#[test]
fn what_an_encoder_wrote_is_written_in_as_many_bytes() {
    let mut parser = Parser::new();
    let mut custom = mandatory(1, 1, 61, 104);
    custom.put(0b01111, 5).put(0b0011, 4).put(2, 2).put(2, 2).put(0, 2).put(0, 2);
    custom.put(1, 2).put(0, 4).put(3, 2).put(299, 12).put(0, 2).put(200, 8).put(7, 8);
    for bits in [key_frame(60, 100), mandatory(1, 0, 63, 101), mandatory(0, 1, 1, 103), custom] {
        assert_eq!(written_is_read(&mut parser, &bits.bytes()), bits.bytes().len());
    }
}

/// What a [`Describer`] says of frames, as a router reads it: layer, references, distance to the base, and how much it took.
fn described(layers: u8, frames: &[(bool, u8)]) -> Vec<(u8, Vec<u16>, u8, Dti, usize)> {
    let mut describer = Describer::new(layers, (640, 360), 0xfffe).unwrap();
    let mut parser = Parser::new();
    let describe = |(at, (key, temporal)): (usize, &(bool, u8))| {
        let frame = describer.frame(*key, *temporal);
        let mut out = [0; MAX_LEN];
        let len = describer.write(&frame, (true, false), &mut out).unwrap();
        let read = parser.parse(&out[..len]).unwrap();
        assert_eq!(read.mandatory.frame_number, 0xfffe_u16.wrapping_add(at as u16));
        assert_eq!((read.is_key_frame(), read.dimensions), (*key, Some((640, 360))));
        assert!(read.mandatory.start_of_frame && !read.mandatory.end_of_frame);
        // The frame's last packet bears no structure.
        let len = describer.write(&frame, (false, true), &mut out).unwrap();
        let last = parser.parse(&out[..len]).unwrap();
        assert!(!last.has_structure && last.mandatory.end_of_frame && last.fdiffs() == read.fdiffs());
        (read.temporal, read.fdiffs().to_vec(), read.chain_fdiffs()[0], read.own, len)
    };
    frames.iter().enumerate().map(describe).collect()
}

#[test]
fn our_own_streams_are_described_in_three_bytes_where_they_keep_their_pattern() {
    let base = |fdiff: u16, len| (0, vec![fdiff], fdiff as u8, Dti::Switch, len);
    let key = (0, vec![], 0, Dti::Switch, 3);
    assert_eq!(described(1, &[(true, 0), (false, 0), (false, 0)]), [key.clone(), base(1, 3), base(1, 3)]);
    let top = |fdiff: u16, chain| (2, vec![fdiff], chain, Dti::Discardable, 3);
    let one = |fdiff: u16, len| (1, vec![fdiff], fdiff as u8, Dti::Discardable, len);
    let round = [(true, 0), (false, 2), (false, 1), (false, 2), (false, 0)];
    assert_eq!(described(3, &round), [key.clone(), top(1, 1), one(2, 3), top(1, 3), base(4, 3)]);
    // A frame of the pattern was left out: the references are told.
    let pair = [(true, 0), (false, 1), (false, 0), (false, 0), (false, 1), (true, 0), (false, 1)];
    assert_eq!(described(2, &pair), [key.clone(), one(1, 3), base(2, 3), base(1, 6), one(1, 3), key, one(1, 3)]);
    assert!(Describer::new(0, (0, 0), 0).is_none() && Describer::new(4, (0, 0), 0).is_none());
}

#[test]
fn a_frame_of_a_layer_that_the_structure_lacks_is_not_written() {
    let mut describer = Describer::new(2, (0, 0), 0).unwrap();
    let (frame, upper) = (describer.frame(true, 0), describer.frame(false, 1));
    let one = Describer::new(1, (0, 0), 0).unwrap();
    assert_eq!(one.write(&frame, (true, true), &mut [0; MAX_LEN]), Err(Malformed::MissingState));
    assert_eq!(
        describer.write(&Frame { temporal: 2, ..upper }, (true, true), &mut [0; MAX_LEN]),
        Err(Malformed::MissingState)
    );
    let far = Frame { fdiffs: Fdiffs { count: 1, values: [4097, 0, 0, 0, 0, 0, 0, 0] }, ..upper };
    assert_eq!(describer.write(&far, (true, true), &mut [0; MAX_LEN]), Err(Malformed::Value));
}

proptest::proptest! {
    #[test]
    fn any_stream_of_layers_is_described_within_the_limit(
        layers in 1u8..=3,
        frames in proptest::collection::vec((proptest::bool::weighted(0.05), 0u8..4), 0..400),
    ) {
        let frames: Vec<_> = std::iter::once((true, 0)).chain(frames).collect();
        for (read, (key, temporal)) in described(layers, &frames).iter().zip(&frames) {
            proptest::prop_assert_eq!(read.0, if *key { 0 } else { (*temporal).min(layers - 1) });
        }
    }

    #[test]
    fn whatever_is_read_can_be_written(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        second in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
    ) {
        let mut descriptor = vec![0xc0, 0, 1, 0x80];
        descriptor.extend(bytes);
        descriptor[3] |= descriptor.get(4).map_or(0, |b| b & 7);
        let mut parser = Parser::new();
        written_is_read(&mut parser, &descriptor);
        written_is_read(&mut parser, &second);
        let mut layered = super::tests::parser();
        written_is_read(&mut layered, &second);
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(
        first in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        second in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
    ) {
        for mut parser in [Parser::new(), parser()] {
            for bytes in [&first, &second] {
                if let Ok(frame) = parser.parse(bytes) {
                    proptest::prop_assert!(frame.fdiffs().iter().all(|&f| f > 0));
                    proptest::prop_assert!(frame.spatial < MAX_SPATIAL && frame.temporal < MAX_TEMPORAL);
                    frame.amend(&mut FrameInfo::default());
                }
            }
        }
    }

    #[test]
    fn any_structure_gives_a_value_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let mut descriptor = vec![0xc0, 0, 1, 0x80];
        descriptor.extend(bytes);
        descriptor[3] |= descriptor.get(4).map_or(0, |b| b & 7);
        if let Ok(frame) = Parser::new().parse(&descriptor) {
            proptest::prop_assert!(frame.has_structure && usize::from(frame.decode_targets) <= MAX_DECODE_TARGETS);
        }
    }
}
