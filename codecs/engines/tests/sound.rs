//! Audio engines, codec by codec: a tone comes through, lost frames are filled, pauses cost little.

mod world;

use plenum_engines::{AudioCodec, AudioSettings, EncodeError, audio_decoder, audio_encoder};
use world::{Seeded, share_of, snr, tone};

const CODECS: [AudioCodec; 10] = [
    AudioCodec::Opus,
    AudioCodec::Pcmu,
    AudioCodec::Pcma,
    AudioCodec::G722,
    AudioCodec::G726_16,
    AudioCodec::G726_24,
    AudioCodec::G726_32,
    AudioCodec::G726_40,
    AudioCodec::Ilbc,
    AudioCodec::Ilbc30,
];

/// Samples of a codec's frame.
fn frame(codec: AudioCodec) -> usize {
    codec.rate().hz() as usize * if codec == AudioCodec::Ilbc30 { 3 } else { 2 } / 100
}

/// Payloads of `pcm`, a frame each.
fn encoded(codec: AudioCodec, settings: &AudioSettings, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = audio_encoder(codec, settings).expect("an encoder");
    let frames = pcm.chunks_exact(encoder.frame());
    frames
        .map(|frame| {
            let mut out = Vec::new();
            assert!(encoder.encode(frame, &mut out).expect("encoded").send);
            out
        })
        .collect()
}

#[test]
fn a_tone_comes_through_every_codec() {
    for codec in CODECS {
        let hz = codec.rate().hz();
        let said = tone(440.0, hz, 12_000.0, 0, hz as usize);
        let mut decoder = audio_decoder(codec).expect("a decoder");
        assert_eq!(decoder.rate(), codec.rate());
        let (mut heard, mut out) = (Vec::new(), vec![0; 5760]);
        for payload in encoded(codec, &AudioSettings::default(), &said) {
            let samples = decoder.decode(&payload, &mut out).expect("decoded");
            assert_eq!(samples, frame(codec));
            heard.extend_from_slice(&out[..samples]);
        }
        let share = share_of(440.0, hz, &heard[heard.len() / 2..]);
        assert!(share > 0.99, "{codec:?}: {share}");
        let power = |s: &[i16]| s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / s.len() as f64;
        let gain = power(&heard[heard.len() / 2..]) / power(&said);
        assert!((0.8..1.25).contains(&gain), "{codec:?}: {gain}");
        if matches!(codec, AudioCodec::Pcmu | AudioCodec::Pcma) {
            assert!(snr(&said, &heard) > 36.0, "{codec:?}: {}", snr(&said, &heard));
        }
    }
}

#[test]
fn a_lost_frame_is_filled_and_a_long_gap_falls_silent() {
    for codec in CODECS {
        let hz = codec.rate().hz();
        let mut decoder = audio_decoder(codec).expect("a decoder");
        let mut out = vec![0; frame(codec)];
        for payload in encoded(codec, &AudioSettings::default(), &tone(300.0, hz, 8000.0, 0, hz as usize / 2)) {
            decoder.decode(&payload, &mut out).expect("decoded");
        }
        assert_eq!(decoder.conceal(&mut out), frame(codec));
        let loud = |s: &[i16]| s.iter().map(|s| i64::from(*s).abs()).max().unwrap_or_default();
        assert!(loud(&out) > 3000, "{codec:?}: the tone goes on");
        for _ in 0..50 {
            assert_eq!(decoder.conceal(&mut out), frame(codec));
        }
        assert!(loud(&out) < 100, "{codec:?}: {}", loud(&out));
    }
}

#[test]
fn the_next_packet_brings_back_a_lost_one_when_it_carries_a_copy() {
    // A voice that jumps: what is lost cannot be guessed from before.
    let said: Vec<i16> =
        (0..60).flat_map(|n| tone(if n == 40 { 900.0 } else { 200.0 }, 48_000, 9000.0, 0, 960)).collect();
    let recovered = |fec: bool| {
        let settings = AudioSettings { fec, loss: 30, ..AudioSettings::default() };
        let payloads = encoded(AudioCodec::Opus, &settings, &said);
        let mut decoder = audio_decoder(AudioCodec::Opus).expect("a decoder");
        let mut out = vec![0; 960];
        for payload in &payloads[..40] {
            decoder.decode(payload, &mut out).expect("decoded");
        }
        assert_eq!(decoder.decode_fec(&payloads[41], &mut out), Ok(960));
        let share = share_of(900.0, 48_000, &out[400..]);
        decoder.decode(&payloads[41], &mut out).expect("decoded");
        share
    };
    let (with, without) = (recovered(true), recovered(false));
    assert!(with > 0.7 && without < 0.3, "with {with}, without {without}");
}

#[test]
fn a_pause_is_not_sent_and_a_voice_is() {
    let settings = AudioSettings { dtx: true, ..AudioSettings::default() };
    let mut encoder = audio_encoder(AudioCodec::Opus, &settings).expect("an encoder");
    let voice = tone(300.0, 48_000, 9000.0, 0, 960);
    let (mut bytes, mut unsent) = (0, 0);
    for n in 0..100 {
        let mut out = Vec::new();
        let encoded = encoder.encode(if n < 20 { &voice } else { &[0; 960] }, &mut out).expect("encoded");
        if n < 20 {
            assert!(encoded.send);
        } else if n >= 50 {
            bytes += out.len();
            unsent += usize::from(!encoded.send);
        }
    }
    assert!(unsent > 40 && bytes < 300, "{unsent} of 50 unsent, {bytes} bytes");
    let mut out = Vec::new();
    assert!(encoder.encode(&voice, &mut out).expect("encoded").send);
}

#[test]
fn opus_follows_its_rate() {
    let mut noise = Seeded(5);
    let said: Vec<i16> = (0..48_000).map(|_| (noise.below(8000) as i32 - 4000) as i16).collect();
    let mut encoder =
        audio_encoder(AudioCodec::Opus, &AudioSettings { fec: false, ..AudioSettings::default() }).expect("an encoder");
    let mut rate = |bitrate: u32| {
        encoder.set_rate(bitrate);
        let mut out = Vec::new();
        for frame in said.chunks_exact(960) {
            encoder.encode(frame, &mut out).expect("encoded");
        }
        out.len() as f64 * 8.0 / f64::from(bitrate)
    };
    for bitrate in [16_000, 64_000, 24_000] {
        let share = rate(bitrate);
        assert!((0.6..1.3).contains(&share), "{bitrate}: {share}");
    }
}

#[test]
fn a_frame_is_20_or_30_ms_and_nothing_else() {
    for codec in CODECS {
        let mut encoder = audio_encoder(codec, &AudioSettings::default()).expect("an encoder");
        assert_eq!(encoder.frame(), frame(codec));
        for samples in [0, 1, encoder.frame() - 1, encoder.frame() + 1] {
            let mut out = vec![1];
            assert_eq!(encoder.encode(&vec![0; samples], &mut out), Err(EncodeError::Samples(samples)), "{codec:?}");
            assert_eq!(out, [1]);
        }
    }
}

#[test]
fn ilbc_takes_both_lengths_and_several_frames_a_packet() {
    let said = tone(300.0, 8000, 8000.0, 0, 960);
    let mut decoder = audio_decoder(AudioCodec::Ilbc).expect("a decoder");
    let mut out = vec![0; 960];
    for (codec, length, count) in [(AudioCodec::Ilbc, 38, 6), (AudioCodec::Ilbc30, 50, 4)] {
        let payloads = encoded(codec, &AudioSettings::default(), &said);
        assert_eq!((payloads.len(), payloads[0].len()), (count, length));
        assert_eq!(decoder.decode(&payloads.concat(), &mut out), Ok(960));
        assert!(share_of(300.0, 8000, &out[480..]) > 0.95);
    }
    for length in [1, 37, 39, 51, 88] {
        assert!(decoder.decode(&vec![0x55; length], &mut out).is_err(), "{length} bytes");
    }
    assert!(decoder.decode(&[0x55; 76], &mut out[..319]).is_err());
}
