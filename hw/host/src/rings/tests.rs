//! Rings: order and content under stress, full rings, hostile peers.

use super::*;
use std::thread;

fn ring(size: usize) -> (RingWriter, RingReader) {
    let file = ring_file("test", size).unwrap();
    (RingWriter::new(&file).unwrap(), RingReader::new(&file).unwrap())
}

/// Record number `n`: its length and every byte follow from the number.
fn record(n: u64, out: &mut Vec<u8>) {
    let len = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize % 1500;
    out.clear();
    out.extend((0..len).map(|i| (n as usize * 31 + i) as u8));
}

#[test]
fn records_of_all_lengths_come_out_as_they_went_in_around_the_end() {
    let (mut writer, mut reader) = ring(8192);
    let (mut sent, mut got) = (Vec::new(), Vec::new());
    for n in 0..2000 {
        record(n, &mut sent);
        writer.write(&sent, 0).unwrap();
        assert!(!reader.read(&mut got).unwrap(), "not before it is published");
        assert!(!writer.publish(), "the reader does not sleep");
        assert!(reader.read(&mut got).unwrap());
        assert_eq!(got, sent, "record {n}");
    }
}

#[test]
fn a_full_ring_refuses_and_goes_on_when_there_is_room() {
    let (mut writer, mut reader) = ring(4096);
    let big = [7; 1000];
    let mut count = 0;
    while writer.write(&big, 0).is_ok() {
        count += 1;
    }
    assert_eq!((count, writer.write(&big, 0)), (4, Err(Refused::Full)));
    assert_eq!(writer.write(&[0; 8000], 0), Err(Refused::Full), "it never fits");
    writer.write(&[1; 8], 0).unwrap();
    writer.publish();
    let mut out = Vec::new();
    assert!(reader.read(&mut out).unwrap());
    assert_eq!(writer.write(&big, 1000), Err(Refused::Full), "so many bytes are to stay free");
    writer.write(&big, 0).unwrap();
    assert_eq!(writer.free(), Ok(4096 - 4 * 1008 - 16));
}

#[test]
fn two_threads_lose_nothing_and_wake_each_other() {
    const COUNT: u64 = 30_000;
    let (mut writer, mut reader) = ring(16_384);
    let (ours, theirs) = crate::Bell::pair().unwrap();
    let reading = thread::spawn(move || {
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        for n in 0..COUNT {
            while !reader.read(&mut got).unwrap() {
                if reader.sleep() {
                    crate::poll(&[(theirs.as_raw_fd(), false)], core::time::Duration::from_secs(3600)).unwrap();
                    theirs.quiet();
                }
            }
            record(n, &mut wanted);
            assert_eq!(got, wanted, "record {n}");
        }
    });
    let mut sent = Vec::new();
    for n in 0..COUNT {
        record(n, &mut sent);
        while writer.write(&sent, 0).is_err() {
            thread::yield_now();
        }
        if writer.publish() {
            ours.ring();
        }
    }
    reading.join().unwrap();
}

#[test]
fn a_reader_that_claims_too_much_is_found_out() {
    let (mut writer, reader) = ring(4096);
    for claim in [8, 4096, 1 << 40, u64::MAX] {
        reader.memory.head(READ).store(claim, Ordering::Relaxed);
        assert_eq!(writer.write(b"x", 0), Err(Refused::Corrupt), "{claim}");
    }
}

#[test]
fn a_writer_with_impossible_positions_or_lengths_is_found_out_and_nothing_beyond_the_ring_is_read() {
    let mut out = Vec::new();
    for claim in [1, 7, 4100, 4104, 1 << 40, u64::MAX] {
        let (writer, mut reader) = ring(4096);
        writer.memory.head(WRITTEN).store(claim, Ordering::Relaxed);
        assert_eq!(reader.read(&mut out), Err(Corrupt), "{claim} bytes written");
    }
    for len in [9, 16, 4096, 1 << 33, u64::MAX] {
        let (mut writer, mut reader) = ring(4096);
        writer.write(&[1; 8], 0).unwrap();
        writer.publish();
        writer.memory.records()[0].store(len, Ordering::Relaxed);
        assert_eq!(reader.read(&mut out), Err(Corrupt), "{len} bytes long");
    }
    // A position that goes back.
    let (mut writer, mut reader) = ring(4096);
    writer.write(&[1; 8], 0).unwrap();
    writer.publish();
    assert!(reader.read(&mut out).unwrap());
    writer.memory.head(WRITTEN).store(0, Ordering::Relaxed);
    assert_eq!(reader.read(&mut out), Err(Corrupt));
}

#[test]
fn a_peer_that_scribbles_all_over_makes_errors_or_wrong_records_and_nothing_else() {
    let (_writer, mut reader) = ring(4096);
    let scribbled = &RingReader { memory: { reader_memory(&mut reader) }, read: 0 };
    let mut state = 1u64;
    let mut out = Vec::new();
    for _ in 0..20_000 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let words = scribbled.memory.all();
        let value = if state >> 63 == 0 { (state >> 20) % 8192 } else { state };
        words[(state >> 33) as usize % words.len()].store(value, Ordering::Relaxed);
        words[WRITTEN].store(((state >> 40) % 16_384) & !7, Ordering::Relaxed);
        if let Ok(true) = reader.read(&mut out) {
            assert!(out.len() <= 4096);
        }
    }
}

/// Another mapping of the same ring.
fn reader_memory(reader: &mut RingReader) -> Memory {
    let file = ring_file("again", 4096).unwrap();
    let other = RingReader::new(&file).unwrap().memory;
    *reader = RingReader::new(&file).unwrap();
    other
}

#[test]
fn a_file_that_could_shrink_or_has_no_rings_size_is_not_mapped() {
    let sealed = ring_file("sealed", 4096).unwrap();
    assert!(sealed.set_len(100).is_err() && sealed.set_len(1 << 20).is_err());
    // SAFETY: a NUL-terminated name.
    let fd = unsafe { libc::memfd_create(c"open".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    // SAFETY: the kernel just gave us this descriptor.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(HEAD as u64 + 4096).unwrap();
    assert!(RingReader::new(&file).is_err(), "it could shrink");
    for size in [0, 100, 5000, 1 << 30] {
        assert!(ring_file("size", size).is_err(), "{size}");
    }
    assert!(RingReader::new(&File::open("/dev/null").unwrap()).is_err());
}
