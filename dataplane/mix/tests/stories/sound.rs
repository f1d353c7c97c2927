//! Who hears whom, through networks of all kinds.

use crate::world::{Ear, MS, Microphone, Network};
use plenum_contract::{Codec, ParticipantKey};
use plenum_kernels::Kernels;
use plenum_mix::sound::{KEEP_ENCODER, MAX_OUTPUTS, MAX_VOICES, Sound, SoundSettings};
use plenum_wire::rtp;
use std::collections::BTreeMap;

fn p(n: u64) -> ParticipantKey {
    ParticipantKey(n)
}

/// Timestamp and payload.
type Packet = (u32, Vec<u8>);

/// A room of microphones, each behind its own network, and the ears of those who listen.
struct Line {
    sound: Sound,
    microphones: Vec<(ParticipantKey, Microphone, Network<Packet>)>,
    ears: BTreeMap<(Codec, Option<ParticipantKey>), Ear>,
    now: u64,
    /// The next frame of the microphones, in nanoseconds.
    next: u64,
    /// Nanoseconds between two frames of the senders' clocks.
    frame: u64,
}

impl Line {
    fn new() -> Line {
        Line::with(SoundSettings::default())
    }

    fn with(settings: SoundSettings) -> Line {
        let sound = Sound::new(Kernels::best(), settings);
        Line { sound, microphones: Vec::new(), ears: BTreeMap::new(), now: 0, next: 0, frame: 20 * MS }
    }

    fn speaker(&mut self, key: u64, codec: Codec, hz: f32, network: (u64, u64)) {
        let microphone = Microphone::new(codec, hz, 0xffff_0000 + key as u32);
        self.microphones.push((p(key), microphone, Network::new(network.0, network.1, key)));
    }

    fn listen(&mut self, codec: Codec, without: Option<u64>) {
        assert!(self.sound.need(codec, without.map(p), 0));
        self.ears.insert((codec, without.map(p)), Ear::new(codec));
    }

    fn ear(&self, codec: Codec, without: Option<u64>) -> &Ear {
        &self.ears[&(codec, without.map(p))]
    }

    /// Lets `ms` milliseconds pass; every microphone speaks.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            while self.next <= self.now {
                for (_, microphone, network) in &mut self.microphones {
                    network.send(self.next, microphone.frame(true));
                }
                self.next += self.frame;
            }
            for (key, microphone, network) in &mut self.microphones {
                for (at, (timestamp, payload)) in network.arrived(self.now) {
                    let mut bytes = vec![0; rtp::FIXED_LEN];
                    rtp::write_header(&mut bytes, &rtp::Fields { timestamp, ..Default::default() }).unwrap();
                    let header = rtp::parse(&bytes).unwrap();
                    self.sound.packet(*key, microphone.codec, microphone.clock(), &header, &payload, at);
                    self.sound.set_gain(*key, 1.0);
                }
            }
            let ears = &mut self.ears;
            self.sound.mix(self.now, &mut |codec, without, packet| {
                ears.get_mut(&(codec, without)).expect("an output that is needed").hear(&packet[rtp::FIXED_LEN..]);
            });
            self.now += 20 * MS;
        }
    }
}

#[test]
fn everybody_hears_the_others_and_nobody_hears_themselves() {
    let mut hall = Line::new();
    for (key, hz) in [(1, 440.0), (2, 1000.0), (3, 1700.0)] {
        hall.speaker(key, Codec::Opus, hz, (0, 0));
        hall.listen(Codec::Opus, Some(key));
    }
    hall.listen(Codec::Opus, None);
    hall.run(1500);
    for (key, own) in [(1, 440.0), (2, 1000.0), (3, 1700.0)] {
        let ear = hall.ear(Codec::Opus, Some(key));
        for hz in [440.0, 1000.0, 1700.0] {
            let amplitude = ear.amplitude(hz, 500);
            assert_eq!(amplitude > 3000.0, hz != own, "{key} hears {hz} at {amplitude}");
            assert!(hz != own || amplitude < 60.0, "{key} hears themselves at {amplitude}");
        }
        assert!(hall.ear(Codec::Opus, None).amplitude(own, 500) > 3000.0);
    }
}

#[test]
fn phones_with_g711_and_g722_and_browsers_with_opus_hear_each_other() {
    let mut hall = Line::new();
    hall.speaker(1, Codec::Pcmu, 440.0, (0, 0));
    hall.speaker(2, Codec::Opus, 1000.0, (0, 0));
    hall.speaker(3, Codec::Pcma, 1700.0, (0, 0));
    hall.listen(Codec::Pcmu, Some(1));
    hall.listen(Codec::Opus, Some(2));
    hall.speaker(4, Codec::G722, 2600.0, (0, 0));
    hall.listen(Codec::G722, Some(4));
    hall.run(1000);
    let (phone, browser) = (hall.ear(Codec::Pcmu, Some(1)), hall.ear(Codec::Opus, Some(2)));
    assert!(phone.amplitude(1000.0, 400) > 5000.0 && phone.amplitude(440.0, 400) < 60.0);
    assert!(browser.amplitude(440.0, 400) > 5000.0 && browser.amplitude(1000.0, 400) < 60.0);
    assert!(browser.amplitude(1700.0, 400) > 5000.0 && browser.amplitude(2600.0, 400) > 5000.0);
    let wide = hall.ear(Codec::G722, Some(4));
    assert!(wide.amplitude(1000.0, 400) > 5000.0 && wide.amplitude(2600.0, 400) < 60.0);
    assert_eq!(wide.heard.len(), 16_000);
    assert_eq!(phone.heard.len(), 8000, "20 ms of 8 kHz each");
}

#[test]
fn a_phone_that_has_g726_or_ilbc_alone_hears_and_is_heard_in_the_mix() {
    for (codec, frame) in [(Codec::G726, 20), (Codec::Ilbc, 20), (Codec::Ilbc30, 30)] {
        let mut hall = Line::new();
        hall.speaker(1, Codec::Opus, 1000.0, (0, 0));
        hall.listen(codec, Some(2));
        hall.run(1200);
        let phone = hall.ear(codec, Some(2));
        assert!(phone.amplitude(1000.0, 400) > 3000.0, "{codec:?}");
        assert_eq!((phone.heard.len(), phone.longest_hole(1000.0, 300)), (8 * 1200, 0), "{codec:?}");
        let mut hall = Line::new();
        hall.frame = frame * MS;
        hall.speaker(2, codec, 440.0, (0, 0));
        hall.listen(Codec::Opus, None);
        hall.listen(codec, Some(2));
        hall.run(1200);
        let (browser, own) = (hall.ear(Codec::Opus, None), hall.ear(codec, Some(2)));
        assert!(browser.amplitude(440.0, 400) > 3000.0 && own.amplitude(440.0, 400) < 60.0, "{codec:?}");
        assert_eq!(browser.longest_hole(440.0, 300), 0, "{codec:?}");
    }
}

#[test]
fn five_percent_of_loss_and_jitter_leave_no_holes() {
    for (loss, jitter) in [(5, 0), (0, 300), (5, 100)] {
        let mut hall = Line::new();
        hall.speaker(1, Codec::Opus, 440.0, (loss, jitter));
        hall.listen(Codec::Opus, None);
        hall.run(7_500);
        let ear = hall.ear(Codec::Opus, None);
        let (share, hole) = (ear.share(440.0, 4000), ear.longest_hole(440.0, 4000));
        // What is concealed fades: a lost frame may count as a hole of its own length.
        assert!(share > 0.9 && hole <= 60, "{loss} % and {jitter} ms: {share}, {hole} ms");
    }
}

#[test]
fn the_delay_follows_the_jitter_and_comes_down_again() {
    let mut hall = Line::new();
    hall.speaker(1, Codec::Pcmu, 440.0, (0, 200));
    hall.listen(Codec::Pcmu, None);
    hall.run(10_000);
    let delay = |hall: &mut Line| {
        let now = hall.now;
        hall.sound.voice(p(1)).and_then(|v| v.delay(now)).expect("a voice that plays") / MS as i64
    };
    let high = delay(&mut hall);
    assert!((150..280).contains(&high), "{high}");
    hall.microphones[0].2.jitter_ms = 0;
    hall.run(40_000);
    let low = delay(&mut hall);
    assert!(low < 80, "{low}");
}

#[test]
fn clocks_that_drift_do_not_add_up() {
    // A thousand ppm, far beyond any crystal, for a minute: 60 ms either way.
    for frame in [20 * MS - 20_000, 20 * MS + 20_000] {
        let mut hall = Line::new();
        hall.frame = frame;
        hall.speaker(1, Codec::Pcmu, 440.0, (0, 0));
        hall.listen(Codec::Pcmu, None);
        hall.run(60_000);
        let now = hall.now;
        let delay = hall.sound.voice(p(1)).and_then(|v| v.delay(now)).expect("a voice that plays") / MS as i64;
        assert!((0..100).contains(&delay), "{delay}");
        let share = hall.ear(Codec::Pcmu, None).share(440.0, 1000);
        assert!(share > 0.99, "{share}");
    }
}

#[test]
fn after_a_stall_the_room_is_not_a_second_behind() {
    let mut hall = Line::new();
    hall.speaker(1, Codec::Pcmu, 440.0, (0, 0));
    hall.listen(Codec::Pcmu, None);
    hall.run(1000);
    // Everything of a second comes at once.
    let (_, microphone, network) = &mut hall.microphones[0];
    for _ in 0..50 {
        network.send(hall.now + 1000 * MS, microphone.frame(true));
    }
    hall.next += 1000 * MS;
    hall.run(3000);
    let now = hall.now;
    let delay = hall.sound.voice(p(1)).and_then(|v| v.delay(now)).expect("a voice that plays") / MS as i64;
    assert!(delay < 600, "{delay}");
    assert!(hall.ear(Codec::Pcmu, None).amplitude(440.0, 400) > 5000.0);
}

#[test]
fn who_falls_silent_leaves_a_quiet_line_and_who_leaves_fades_out() {
    let mut hall = Line::new();
    hall.speaker(1, Codec::Pcmu, 440.0, (0, 0));
    hall.listen(Codec::Pcmu, None);
    hall.run(1000);
    hall.microphones[0].2.loss_percent = 100;
    hall.run(1000);
    let ear = hall.ear(Codec::Pcmu, None);
    assert!(ear.amplitude(440.0, 400) < 60.0);
    let last = &ear.heard[ear.heard.len() - 3200..];
    assert!(last.iter().any(|&s| s != 0) && last.iter().all(|&s| s.abs() < 64), "a little noise, and nothing else");
    hall.microphones[0].2.loss_percent = 0;
    hall.run(1000);
    assert!(hall.ear(Codec::Pcmu, None).amplitude(440.0, 400) > 5000.0);
    hall.sound.set_gain(p(1), 0.0);
    let ears = &mut hall.ears;
    for n in 0..3 {
        hall.sound.mix(hall.now + n * 20 * MS, &mut |codec, without, packet| {
            ears.get_mut(&(codec, without)).unwrap().hear(&packet[rtp::FIXED_LEN..]);
        });
    }
    assert!(hall.ear(Codec::Pcmu, None).amplitude(440.0, 20) < 60.0);
    hall.sound.remove(p(1));
    assert_eq!(hall.sound.voices().count(), 0);
}

#[test]
fn an_output_that_nobody_needs_is_silent_and_its_encoder_waits_five_seconds() {
    let mut sound = Sound::new(Kernels::best(), SoundSettings::default());
    assert!(sound.need(Codec::Pcmu, None, 0) && !sound.need(Codec::Vp8, None, 0) && !sound.need(Codec::Red, None, 0));
    let run = |sound: &mut Sound, from: u64, to: u64| {
        let mut numbers = Vec::new();
        for now in (from..to).step_by(20) {
            sound.mix(now * MS, &mut |_, _, packet| numbers.push(rtp::parse(packet).unwrap().sequence));
        }
        numbers
    };
    assert_eq!(run(&mut sound, 0, 60), [0, 1, 2]);
    sound.unneeded(Codec::Pcmu, None, 60 * MS);
    assert!(run(&mut sound, 60, 100).is_empty());
    assert!(sound.need(Codec::Pcmu, None, 0));
    assert_eq!(run(&mut sound, 100, 120), [5], "numbers go by time");
    for n in 1..MAX_OUTPUTS as u64 {
        assert!(sound.need(Codec::Pcmu, Some(p(n)), 0));
        sound.unneeded(Codec::Pcmu, Some(p(n)), 120 * MS);
    }
    assert!(!sound.need(Codec::Pcmu, Some(p(9999)), 0), "there is a limit");
    run(&mut sound, 120 + KEEP_ENCODER / MS, 140 + KEEP_ENCODER / MS);
    assert!(sound.need(Codec::Pcmu, Some(p(9999)), 0), "and what waited long enough makes room");
}

#[test]
fn volume_automatic_gain_and_the_limit_of_voices() {
    let mut hall = Line::with(SoundSettings { comfort_noise: false, level: true });
    hall.speaker(1, Codec::Pcmu, 440.0, (0, 0));
    hall.listen(Codec::Pcmu, None);
    hall.run(8000);
    let levelled = hall.ear(Codec::Pcmu, None).amplitude(440.0, 400);
    assert!((1800.0..3500.0).contains(&levelled), "a loud tone of 8000 comes down to {levelled}");
    let mut bytes = vec![0; rtp::FIXED_LEN];
    rtp::write_header(&mut bytes, &rtp::Fields::default()).unwrap();
    let header = rtp::parse(&bytes).unwrap();
    let taken = (0..40).filter(|n| hall.sound.packet(p(100 + n), Codec::Pcma, 8000, &header, &[0; 160], 0)).count();
    assert_eq!(taken + 1, MAX_VOICES);
    assert!(!hall.sound.packet(p(1000), Codec::TelephoneEvent, 8000, &header, &[0; 160], 0), "no decoder, no voice");
}

/// Whether an Opus packet carries a coarse copy of the one before it (RFC 6716 section 4.2.3: one frame of mono SILK or hybrid).
fn carries_a_copy(payload: &[u8]) -> bool {
    payload[0] >> 3 < 16 && payload[1] & 0x40 != 0
}

#[test]
fn copies_of_what_was_said_are_sent_to_those_who_lose_packets() {
    let mut sound = Sound::new(Kernels::best(), SoundSettings::default());
    let mut microphone = Microphone::new(Codec::Pcmu, 300.0, 0);
    assert!(sound.need(Codec::Opus, None, 48_000));
    let mut frame = 0;
    let mut copies = |loss: u8| {
        sound.expect_loss(Codec::Opus, None, loss);
        let mut copies = 0;
        for _ in 0..50 {
            // Syllables: what hums all the time is taken for noise, of which no copies are made.
            let (timestamp, payload) = microphone.frame(frame / 5 % 2 == 0);
            let mut bytes = vec![0; rtp::FIXED_LEN];
            rtp::write_header(&mut bytes, &rtp::Fields { timestamp, ..Default::default() }).unwrap();
            let now = frame * 20 * MS;
            sound.packet(p(1), Codec::Pcmu, 8000, &rtp::parse(&bytes).unwrap(), &payload, now);
            sound.set_gain(p(1), 1.0);
            sound.mix(now, &mut |_, _, packet| copies += u32::from(carries_a_copy(&packet[rtp::FIXED_LEN..])));
            frame += 1;
        }
        copies
    };
    let [before, none, again] = [25, 0, 25].map(&mut copies);
    // The first packet still has the copy of one that was encoded before.
    assert!(before > 5 && none <= 1 && again > 5, "{before} {none} {again}");
}
