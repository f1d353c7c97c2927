//! Video engines, codec by codec: what goes in comes out again, key frames on request, rates that are followed, sizes that change.

mod world;

use plenum_engines::{
    DecodeError, EncodeError, Encoded, EncoderSettings, Limits, VideoCodec, VideoEncoder, video_decoder, video_encoder,
};
use plenum_kernels::{I420Buf, Plane};
use world::{encoder, psnr, scene, stream};

/// Codecs that are encoded.
const CODECS: [VideoCodec; 3] = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264];

#[test]
fn a_moving_picture_comes_back_frame_by_frame() {
    for codec in CODECS {
        let (mut sender, mut receiver) =
            (encoder(codec, 192, 112, 500_000), video_decoder(codec, Limits::default()).expect("a decoder"));
        let (mut out, mut sum) = (Vec::new(), 0.0);
        for n in 0..20 {
            let picture = scene(192, 112, n);
            out.clear();
            let encoded = sender.encode(&picture.view(), n as u32 * 3000, false, &mut out).expect("encoded");
            assert_eq!(encoded, Encoded { key: n == 0, reference: true, ..Encoded::default() }, "{codec:?} frame {n}");
            let decoded = receiver.decode(&out).expect("decoded").expect("a picture for each frame, at once");
            sum += psnr(picture.view(), decoded);
        }
        assert!(sum / 20.0 > 33.0, "{codec:?}: {:.1} dB", sum / 20.0);
    }
}

#[test]
fn rows_that_lie_apart_are_read_as_they_lie() {
    for codec in CODECS {
        let picture = scene(64, 48, 0);
        let wide = world::kept(picture.view());
        // The same picture inside of a larger one.
        let mut large = I420Buf::new(640, 64).expect("a size");
        let mut view = large.view_mut();
        for y in 0..48 {
            view.y.row_mut(y)[..64].copy_from_slice(wide.view().y.row(y));
        }
        for y in 0..24 {
            view.u.row_mut(y)[..32].copy_from_slice(wide.view().u.row(y));
            view.v.row_mut(y)[..32].copy_from_slice(wide.view().v.row(y));
        }
        let part = |p: Plane<'_>, w, h| p.part(0, 0, w, h).map(|p| (p.width(), p.height())).expect("inside");
        assert_eq!(part(large.view().y, 64, 48), (64, 48));
        let large = large.view();
        let inside = plenum_kernels::I420::new(
            large.y.part(0, 0, 64, 48).expect("inside"),
            large.u.part(0, 0, 32, 24).expect("inside"),
            large.v.part(0, 0, 32, 24).expect("inside"),
        )
        .expect("a picture");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        encoder(codec, 64, 48, 300_000).encode(&picture.view(), 0, false, &mut a).expect("encoded");
        encoder(codec, 64, 48, 300_000).encode(&inside, 0, false, &mut b).expect("encoded");
        assert_eq!(a, b, "{codec:?}");
    }
}

#[test]
fn a_key_frame_comes_when_it_is_asked_for_and_only_then() {
    for codec in CODECS {
        let mut sender = encoder(codec, 64, 48, 200_000);
        let mut keys = Vec::new();
        for n in 0..40 {
            let mut out = Vec::new();
            // A cut to another scene at 20 is no key frame.
            let picture = scene(64, 48, if n < 20 { n } else { 1000 + 31 * n });
            let encoded = sender.encode(&picture.view(), n as u32 * 3000, n == 9, &mut out).expect("encoded");
            if encoded.key {
                keys.push(n);
                // It stands for itself: a decoder that saw nothing before takes it.
                let mut fresh = video_decoder(codec, Limits::default()).expect("a decoder");
                assert!(fresh.decode(&out).expect("decoded").is_some());
            }
        }
        assert_eq!(keys, [0, 9], "{codec:?}");
    }
}

/// Bits a second over frames of noise-like motion, from `from` to `to`.
fn bits(sender: &mut dyn VideoEncoder, from: usize, to: usize) -> f64 {
    let mut out = Vec::new();
    for n in from..to {
        sender.encode(&scene(320, 180, n * 7).view(), n as u32 * 3000, false, &mut out).expect("encoded");
    }
    out.len() as f64 * 8.0 * 30.0 / (to - from) as f64
}

#[test]
fn the_rate_follows_the_target_up_and_down() {
    for codec in CODECS {
        let mut settings = EncoderSettings::new(320, 180, 30, 300_000);
        settings.speed = 3;
        let mut sender = video_encoder(codec, &settings).expect("an encoder");
        bits(&mut *sender, 0, 30);
        let first = bits(&mut *sender, 30, 75);
        sender.set_rate(900_000, 30);
        bits(&mut *sender, 75, 90);
        let high = bits(&mut *sender, 90, 135);
        sender.set_rate(200_000, 30);
        bits(&mut *sender, 135, 165);
        let low = bits(&mut *sender, 165, 210);
        let near = |is: f64, target: f64| (0.5 * target..1.4 * target).contains(&is);
        assert!(
            near(first, 300e3) && near(high, 900e3) && near(low, 200e3),
            "{codec:?}: {first:.0} {high:.0} {low:.0}"
        );
    }
}

#[test]
fn frames_that_the_rate_control_leaves_out_are_told() {
    for codec in CODECS {
        let mut sender = video_encoder(codec, &EncoderSettings::new(640, 368, 30, 20_000)).expect("an encoder");
        let mut receiver = video_decoder(codec, Limits::default()).expect("a decoder");
        let (mut dropped, mut out) = (0, Vec::new());
        for n in 0..30 {
            out.clear();
            let encoded =
                sender.encode(&scene(640, 368, n * 9).view(), n as u32 * 3000, false, &mut out).expect("encoded");
            assert_eq!(encoded.dropped, out.is_empty());
            dropped += usize::from(encoded.dropped);
            if !encoded.dropped {
                receiver.decode(&out).expect("decoded").expect("a picture");
            }
        }
        assert!(dropped > 0, "{codec:?} fits 640x368 into 20 kbit/s");
    }
}

#[test]
fn layers_can_be_left_out() {
    for (codec, layers) in [(VideoCodec::Vp8, 2), (VideoCodec::Vp8, 3), (VideoCodec::H264, 2)] {
        let settings = EncoderSettings {
            temporal_layers: layers,
            may_drop: false,
            token_partitions: 2,
            ..EncoderSettings::new(128, 96, 30, 300_000)
        };
        let mut sender = video_encoder(codec, &settings).expect("an encoder");
        let decoder = || video_decoder(codec, Limits::default()).expect("a decoder");
        let mut receivers: Vec<_> = (0..layers).map(|_| decoder()).collect();
        // One that stays at the base and goes up at the first frame that says it may.
        let (mut climber, mut up) = (decoder(), 0);
        let (mut seen, mut out) = (Vec::new(), Vec::new());
        for n in 0..24 {
            let picture = scene(128, 96, n);
            out.clear();
            let encoded = sender.encode(&picture.view(), n as u32 * 3000, n == 13, &mut out).expect("encoded");
            assert_eq!(encoded.key, n == 0 || n == 13, "{codec:?} frame {n}");
            seen.push(encoded.temporal);
            for receiver in receivers.iter_mut().skip(usize::from(encoded.temporal)) {
                let decoded = receiver.decode(&out).expect("no reference is missing").expect("a picture");
                assert!(psnr(picture.view(), decoded) > 25.0);
            }
            if n > 5 && encoded.temporal == up + 1 && encoded.sync {
                up += 1;
            }
            if encoded.temporal <= up {
                let decoded = climber.decode(&out).expect("no reference is missing").expect("a picture");
                assert!(psnr(picture.view(), decoded) > 25.0);
            }
            assert_eq!(encoded.reference, encoded.temporal + 1 < layers);
            if codec == VideoCodec::H264 {
                // What nothing refers to says so to everybody: nal_ref_idc is 0. No other NAL units than with one layer.
                let starts = (3..out.len()).filter(|i| out[i - 3..*i] == [0, 0, 1]);
                let kinds: Vec<_> = starts.map(|i| (out[i] & 0x1f, out[i] & 0x60 != 0)).collect();
                let wanted =
                    if encoded.key { vec![(7, true), (8, true), (5, true)] } else { vec![(1, encoded.reference)] };
                assert_eq!(kinds, wanted, "frame {n}");
            }
        }
        let round: &[u8] = if layers == 2 { &[0, 1] } else { &[0, 2, 1, 2] };
        // The key frame at 13 starts the round again.
        let want: Vec<u8> = round.iter().cycle().take(13).chain(round.iter().cycle().take(11)).copied().collect();
        assert_eq!(seen, want, "{codec:?}");
        assert_eq!(up, layers - 1, "the climber got to the top");
    }
}

#[test]
fn of_two_layers_the_base_takes_three_fifths_and_both_hold_the_target() {
    for codec in [VideoCodec::Vp8, VideoCodec::H264] {
        let settings = EncoderSettings { temporal_layers: 2, ..EncoderSettings::new(320, 180, 30, 400_000) };
        let mut sender = video_encoder(codec, &settings).expect("an encoder");
        let mut bits = [0.0; 2];
        for n in 0..240 {
            let mut out = Vec::new();
            let picture = scene(320, 180, n * 7);
            let encoded = sender.encode(&picture.view(), n as u32 * 3000, false, &mut out).expect("encoded");
            if n >= 60 {
                bits[usize::from(encoded.temporal)] += out.len() as f64 * 8.0 / 6.0;
            }
        }
        let (whole, base) = (bits[0] + bits[1], bits[0] / (bits[0] + bits[1]));
        assert!(
            (200e3..560e3).contains(&whole) && (0.5..0.75).contains(&base),
            "{codec:?}: {whole:.0} bit/s, {base:.2}"
        );
    }
}

#[test]
fn a_stream_may_change_its_size() {
    for codec in CODECS {
        let mut receiver = video_decoder(codec, Limits::default()).expect("a decoder");
        for (width, height) in [(64, 48), (320, 180), (16, 16), (322, 242)] {
            for frame in stream(codec, width, height, 2) {
                let picture = receiver.decode(&frame).expect("decoded").expect("a picture");
                assert_eq!((picture.width(), picture.height()), (width, height), "{codec:?}");
            }
        }
    }
}

#[test]
fn the_smallest_and_odd_pictures_work_where_the_codec_has_them() {
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9] {
        for (width, height) in [(1, 1), (3, 7), (33, 17)] {
            let mut receiver = video_decoder(codec, Limits::default()).expect("a decoder");
            for frame in stream(codec, width, height, 3) {
                let picture = receiver.decode(&frame).expect("decoded").expect("a picture");
                assert_eq!((picture.width(), picture.height()), (width, height), "{codec:?}");
            }
        }
    }
}

#[test]
fn settings_that_a_codec_does_not_take_are_refused() {
    let odd = EncoderSettings::new(33, 32, 30, 100_000);
    assert_eq!(video_encoder(VideoCodec::H264, &odd).err(), Some(EncodeError::Size(33, 32)));
    let large = EncoderSettings::new(4096, 2160, 30, 100_000);
    assert_eq!(video_encoder(VideoCodec::H264, &large).err(), Some(EncodeError::Size(4096, 2160)));
    for codec in CODECS {
        for (width, height) in [(0, 64), (64, 0), (8193, 64), (64, 1 << 20)] {
            let settings = EncoderSettings::new(width, height, 30, 100_000);
            assert_eq!(video_encoder(codec, &settings).err(), Some(EncodeError::Size(width, height)));
        }
        let layered = EncoderSettings { temporal_layers: 4, ..EncoderSettings::new(64, 64, 30, 100_000) };
        assert!(matches!(video_encoder(codec, &layered).err(), Some(EncodeError::Unsupported(_))));
        let mut sender = encoder(codec, 64, 64, 100_000);
        let mut out = vec![7];
        let other = scene(64, 48, 0);
        assert_eq!(sender.encode(&other.view(), 0, false, &mut out), Err(EncodeError::Size(64, 48)));
        assert_eq!(out, [7]);
    }
}

#[test]
fn rates_beyond_all_bounds_are_held_to_them() {
    for codec in CODECS {
        for bitrate in [0, u32::MAX] {
            let settings = EncoderSettings { may_drop: false, ..EncoderSettings::new(64, 64, bitrate, bitrate) };
            let mut sender = video_encoder(codec, &settings).expect("an encoder");
            let mut receiver = video_decoder(codec, Limits::default()).expect("a decoder");
            for (n, (bitrate, fps)) in [(0, 0), (u32::MAX, u32::MAX), (0, u32::MAX), (u32::MAX, 0), (300_000, 30)]
                .into_iter()
                .cycle()
                .take(15)
                .enumerate()
            {
                let mut out = Vec::new();
                sender.set_rate(bitrate, fps);
                let encoded =
                    sender.encode(&scene(64, 64, n).view(), n as u32 * 3000, false, &mut out).expect("encoded");
                assert_eq!((encoded.key, encoded.dropped), (n == 0, false), "{codec:?} frame {n}");
                receiver.decode(&out).expect("decoded").expect("a picture");
            }
        }
    }
}

#[test]
fn h264_parameter_sets_may_come_ahead_of_their_frame() {
    let frames = stream(VideoCodec::H264, 64, 48, 4);
    let start = frames[0].windows(5).position(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1f == 5).expect("a key frame");
    let (sets, key) = frames[0].split_at(start);
    let mut receiver = video_decoder(VideoCodec::H264, Limits::default()).expect("a decoder");
    assert!(receiver.decode(sets).expect("taken").is_none());
    assert!(receiver.decode(key).expect("decoded").is_some());
    assert!(receiver.decode(&frames[1]).expect("decoded").is_some());
    // A frame that is missing is noticed: the number jumps.
    assert!(receiver.decode(&frames[3]).is_err());
}

#[test]
fn a_picture_beyond_the_limits_is_refused_before_it_is_decoded() {
    for codec in CODECS {
        let limits = Limits { width: 128, height: 96, ..Limits::default() };
        let mut receiver = video_decoder(codec, limits).expect("a decoder");
        for (width, height) in [(144, 96), (128, 112)] {
            let frames = stream(codec, width, height, 1);
            assert_eq!(receiver.decode(&frames[0]).err(), Some(DecodeError::Size(width, height)), "{codec:?}");
        }
        assert!(receiver.decode(&stream(codec, 128, 96, 1)[0]).expect("decoded").is_some());
        let limits = Limits { pixels: 128 * 96 - 1, ..limits };
        let mut receiver = video_decoder(codec, limits).expect("a decoder");
        assert_eq!(receiver.decode(&stream(codec, 128, 96, 1)[0]).err(), Some(DecodeError::Size(128, 96)));
        let limits = Limits { bytes: 10, ..Limits::default() };
        let mut receiver = video_decoder(codec, limits).expect("a decoder");
        assert_eq!(receiver.decode(&[0; 11]).err(), Some(DecodeError::Long(11)));
        assert_eq!(receiver.decode(&[]).err(), Some(DecodeError::Empty));
    }
}

#[test]
fn h264_is_constrained_baseline_in_annex_b_and_keeps_its_nal_units_short() {
    let settings =
        EncoderSettings { max_nal: Some(600), may_drop: false, ..EncoderSettings::new(640, 368, 30, 4_000_000) };
    let mut sender = video_encoder(VideoCodec::H264, &settings).expect("an encoder");
    let mut receiver = video_decoder(VideoCodec::H264, Limits::default()).expect("a decoder");
    let mut slices = 0;
    for n in 0..5 {
        let (picture, mut out) = (scene(640, 368, n), Vec::new());
        sender.encode(&picture.view(), n as u32 * 3000, false, &mut out).expect("encoded");
        let starts: Vec<usize> = (3..out.len()).filter(|i| out[i - 3..*i] == [0, 0, 1]).collect();
        let kinds: Vec<u8> = starts.iter().map(|i| out[*i] & 0x1f).collect();
        if n == 0 {
            assert_eq!(kinds[..3], [7, 8, 5], "parameter sets before the key frame");
            // profile_idc 66 with constraint_set1_flag: RFC 6184 calls it constrained baseline.
            assert_eq!((out[starts[0] + 1], out[starts[0] + 2] & 0x40), (66, 0x40));
        } else {
            assert!(kinds.iter().all(|kind| *kind == 1));
        }
        slices += kinds.len();
        let ends = starts.iter().skip(1).copied().chain([out.len() + 3]);
        assert!(starts.iter().zip(ends).all(|(start, end)| end - start <= 600 + 4), "frame {n}");
        let decoded = receiver.decode(&out).expect("decoded").expect("a picture");
        assert!(psnr(picture.view(), decoded) > 30.0);
    }
    assert!(slices > 20, "{slices} slices");
}

#[test]
fn what_was_shown_last_may_be_read_by_several_until_the_next_frame() {
    for codec in CODECS {
        let mut receiver = video_decoder(codec, Limits::default()).expect("a decoder");
        assert!(receiver.picture().is_none());
        for frame in stream(codec, 64, 48, 2) {
            let shown = world::kept(receiver.decode(&frame).expect("decoded").expect("a picture"));
            let rows =
                |picture: plenum_kernels::I420<'_>| (0..48).map(|y| picture.y.row(y).to_vec()).collect::<Vec<_>>();
            let read = || rows(receiver.picture().expect("the picture"));
            let read =
                std::thread::scope(|scope| [scope.spawn(read), scope.spawn(read)].map(|t| t.join().expect("read")));
            assert!(read.iter().all(|read| *read == rows(shown.view())), "{codec:?}");
        }
        assert!(receiver.decode(&[]).is_err());
        assert!(receiver.picture().is_none(), "{codec:?}: nothing is shown for what is no frame");
    }
}
