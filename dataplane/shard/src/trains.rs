//! Makes packets to one peer equally long, so that they leave as one train (UDP GSO).
//!
//! A train's packets have one length, but for the last, which may be shorter. Senders split a frame into packets a byte or two
//! apart, so without this a frame would leave as two or three trains. RTP padding (RFC 3550 section 5.1) of at most
//! [`MAX_PADDING`] bytes, put in before sealing, makes them equal; what is farther apart starts another train.

use plenum_packet::Pool;
use plenum_packet::SLOT_SIZE;
use plenum_packet::io::MAX_TRAIN;
use plenum_srtp::Job;

/// Most bytes that are added to a packet. 1.5 % of a full one: a send that is saved costs about a microsecond, 16 bytes more
/// cost a hundredth of that.
pub(crate) const MAX_PADDING: usize = 16;
/// Room for the longest authentication tag.
const TAG: usize = 16;

/// Pads the packets of one peer, in sending order.
pub(crate) fn equalise(pool: &mut Pool, jobs: &mut [Job]) {
    let mut rest = jobs;
    while rest.len() > 1 {
        let count = train_length(rest);
        let (train, others) = rest.split_at_mut(count);
        let longest = train.iter().map(|j| j.buf.len()).max().unwrap_or(0);
        // The last one may stay shorter.
        for job in &mut train[..count - 1] {
            pad(pool, job, longest);
        }
        rest = others;
    }
}

/// How many of the next packets can be made equal.
fn train_length(jobs: &[Job]) -> usize {
    let (mut shortest, mut longest) = (jobs[0].buf.len(), jobs[0].buf.len());
    for (at, job) in jobs.iter().enumerate().skip(1).take(MAX_TRAIN - 1) {
        let len = job.buf.len();
        if len < shortest.min(longest) && longest - len > MAX_PADDING {
            // A short one ends the train; the ones before it are equal already or can be made so.
            return at + 1;
        }
        if len > shortest + MAX_PADDING {
            return at;
        }
        (shortest, longest) = (shortest.min(len), longest.max(len));
    }
    jobs.len().min(MAX_TRAIN)
}

/// Appends RTP padding up to `len`. A packet that is padded already, or has no room, stays as it is.
fn pad(pool: &mut Pool, job: &mut Job, len: usize) {
    let (start, old) = (job.buf.start(), job.buf.len());
    let missing = len - old;
    if missing == 0 || missing > MAX_PADDING || start + len + TAG > SLOT_SIZE {
        return;
    }
    let slot = pool.slot_bytes_mut(&job.buf);
    let packet = &mut slot[start..start + len];
    if packet[0] & 0x20 != 0 {
        return;
    }
    packet[0] |= 0x20;
    packet[old..].fill(0);
    packet[len - 1] = missing as u8;
    job.buf.set_range(start, len);
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_packet::{HEADROOM, Path, Transport, TxBatch};
    use plenum_srtp::{KeyId, MasterKey, Sealer, Suite};

    fn key() -> KeyId {
        let suite = Suite::AeadAes128Gcm;
        let master = MasterKey::new(suite, &vec![1; suite.key_len()], &vec![2; suite.salt_len()]).unwrap();
        Sealer::new().insert(&master)
    }

    /// Lengths of the packets after equalising, and of the trains they form.
    fn trains(lengths: &[usize]) -> (Vec<usize>, Vec<u16>) {
        let mut pool = Pool::new(128);
        let mut jobs: Vec<_> = lengths
            .iter()
            .map(|&len| {
                let mut packet = vec![7; len];
                packet[0] = 0x80;
                Job::new(key(), pool.copy_in(HEADROOM, &packet).unwrap(), 12, 0)
            })
            .collect();
        equalise(&mut pool, &mut jobs);
        for (job, &len) in jobs.iter().zip(lengths) {
            let packet = pool.bytes(&job.buf);
            let header = plenum_wire::rtp::parse(packet).unwrap();
            let padding = plenum_wire::rtp::padding_len(&header, packet).unwrap();
            assert_eq!(packet.len() - padding, len, "what was there is there");
        }
        let after = jobs.iter().map(|j| j.buf.len()).collect();
        let mut tx = TxBatch::default();
        let address = "127.0.0.1:1".parse().unwrap();
        for job in jobs {
            tx.push(Path { transport: Transport::Udp, local: address, remote: address }, job.buf);
        }
        let counts = tx.trains.iter().map(|t| t.count).collect();
        tx.clear(&mut pool);
        assert_eq!(pool.in_use(), 0);
        (after, counts)
    }

    #[test]
    fn a_frame_split_a_byte_apart_leaves_as_one_train() {
        assert_eq!(trains(&[1100, 1100, 1101, 1101]), (vec![1101; 4], vec![4]));
        assert_eq!(trains(&[1101, 1100, 1101]).1, [3]);
    }

    #[test]
    fn a_short_last_packet_stays_short() {
        assert_eq!(trains(&[1100, 1099, 300]), (vec![1100, 1100, 300], vec![3]));
    }

    #[test]
    fn what_is_far_apart_is_not_padded() {
        assert_eq!(trains(&[100, 1100]), (vec![100, 1100], vec![1, 1]));
        assert_eq!(trains(&[100, 117, 118]).1, [1, 2]);
    }

    #[test]
    fn two_frames_to_one_peer_are_two_trains() {
        assert_eq!(trains(&[1100, 1101, 250, 900, 901, 901]).1, [3, 3]);
    }

    #[test]
    fn a_single_packet_stays_as_it_is() {
        assert_eq!(trains(&[500]), (vec![500], vec![1]));
    }

    proptest::proptest! {
        #[test]
        fn padding_never_loses_a_byte_and_never_exceeds_its_limit(lengths in proptest::collection::vec(12usize..1400, 1..100)) {
            let (after, _) = trains(&lengths);
            for (before, after) in lengths.iter().zip(after) {
                proptest::prop_assert!(after >= *before && after - before <= MAX_PADDING);
            }
        }
    }
}
