//! The outbound side of one shard: everything that a tick releases is sealed in one call.
//!
//! Keys of all its sessions stand in a dense table. [`Sealer::protect`] goes over the jobs twice: encryption, job by job,
//! then for AES-CM the tags, in batches of equal length. Nothing is allocated once the scratch list has grown to the
//! largest tick. A [`Job`] starts as failed, so that a packet that was never sealed is never taken for a sealed one.

use crate::backend::Backend;
use crate::guard::Guard;
use crate::hmac::{self, Message};
use crate::kdf::Purpose;
use crate::replay::INDEX_END;
use crate::srtcp;
use crate::suite::{MasterKey, Suite};
use crate::transform::{CM_TAG, Transform, roc};
use core::fmt;
use plenum_packet::{Buf, DropReason, Pool, SLOT_SIZE};

/// Tags computed in one call of the back-end.
const BATCH: usize = 16;
/// Bytes of an RTP header without CSRCs and extension.
const RTP_HEADER: usize = 12;

/// Names a key of a [`Sealer`]. Stops naming anything when the key is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId {
    slot: u32,
    generation: u32,
}

/// One packet to seal.
#[derive(Debug)]
pub struct Job {
    /// The key of the packet's session.
    pub key: KeyId,
    /// The whole RTP packet; its range grows by the tag.
    pub buf: Buf,
    /// Bytes in front of the payload: fixed header, CSRCs, extension.
    pub header_len: u16,
    /// The packet's 48-bit index: ROC in the upper 32 bits, sequence number below.
    pub index: u64,
    /// `Ok` when it was sealed. Until then [`DropReason::NoKeys`]: it must not be sent.
    pub result: Result<(), DropReason>,
}

impl Job {
    /// A job that was not done yet.
    pub fn new(key: KeyId, buf: Buf, header_len: u16, index: u64) -> Job {
        Job { key, buf, header_len, index, result: Err(DropReason::NoKeys) }
    }
}

struct SealKey {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    /// Of the next SRTCP packet. One for all SSRCs of the key: unique and rising for each of them.
    rtcp_index: u32,
    guard: Guard,
}

struct Entry {
    generation: u32,
    key: Option<Box<SealKey>>,
}

/// A job that awaits its tag.
struct Pending {
    /// Blocks of SHA-1: jobs of one length stand side by side.
    blocks: u16,
    job: u32,
}

/// One shard's outbound SRTP and SRTCP contexts.
pub struct Sealer {
    backend: Backend,
    entries: Vec<Entry>,
    free: Vec<u32>,
    pending: Vec<Pending>,
}

impl Default for Sealer {
    fn default() -> Sealer {
        Sealer::new()
    }
}

impl Sealer {
    /// A sealer without keys, on the fastest back-end of this machine.
    pub fn new() -> Sealer {
        Sealer::with_backend(Backend::detect())
    }

    /// A sealer that computes with `backend`.
    pub fn with_backend(backend: Backend) -> Sealer {
        Sealer { backend, entries: Vec::new(), free: Vec::new(), pending: Vec::new() }
    }

    /// The back-end in use.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Takes a session's own write key. The number of keys is bounded by the caller's number of sessions.
    pub fn insert(&mut self, master: &MasterKey) -> KeyId {
        let rtp = Transform::new(self.backend, master, Purpose::Srtp);
        let rtcp = Transform::new(self.backend, master, Purpose::Srtcp);
        self.insert_transforms(master.suite(), rtp, rtcp)
    }

    pub(crate) fn insert_transforms(&mut self, suite: Suite, rtp: Transform, rtcp: Transform) -> KeyId {
        let key = Some(Box::new(SealKey { suite, rtp, rtcp, rtcp_index: 0, guard: Guard::default() }));
        match self.free.pop() {
            Some(slot) => {
                let entry = &mut self.entries[slot as usize];
                entry.key = key;
                KeyId { slot, generation: entry.generation }
            }
            None => {
                self.entries.push(Entry { generation: 0, key });
                KeyId { slot: self.entries.len() as u32 - 1, generation: 0 }
            }
        }
    }

    /// Drops a key and zeroes it. Returns whether it was there.
    pub fn remove(&mut self, key: KeyId) -> bool {
        let Some(entry) = self.entries.get_mut(key.slot as usize) else { return false };
        if entry.generation != key.generation || entry.key.is_none() {
            return false;
        }
        entry.key = None;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.slot);
        true
    }

    /// The suite of a key, `None` when it was removed.
    pub fn suite(&self, key: KeyId) -> Option<Suite> {
        self.get(key).map(|k| k.suite)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seals every job: encrypts the payload in its slot, appends the tag, and sets [`Job::result`].
    ///
    /// A job fails alone: [`DropReason::NoKeys`] when its key was removed or its index is above 48 bits,
    /// [`DropReason::MalformedRtp`] when the header does not fit, [`DropReason::NoBuffer`] when the slot has no room for the
    /// tag. A failed packet is unchanged.
    ///
    /// # Panics
    /// In debug builds, when a (key, SSRC, index) is sealed twice, or an index does not end in the packet's sequence number.
    pub fn protect(&mut self, pool: &mut Pool, jobs: &mut [Job]) {
        self.pending.clear();
        for (i, job) in jobs.iter_mut().enumerate() {
            job.result = encrypt(&mut self.entries, pool, job);
            if job.result.is_ok() && matches!(key_of(&self.entries, job.key).rtp, Transform::Cm(_)) {
                self.pending.push(Pending { blocks: hmac::blocks_of(job.buf.len()) as u16, job: i as u32 });
            }
        }
        // Most ticks have few lengths, often one: this is then a scan.
        self.pending.sort_unstable_by_key(|p| p.blocks);
        for batch in self.pending.chunks(BATCH) {
            authenticate(self.backend, &self.entries, pool, jobs, batch);
        }
    }

    /// Seals the RTCP packet in `buf`: encrypts it, appends index and tag, and lets the range grow.
    ///
    /// # Errors
    /// [`DropReason::NoKeys`] when the key was removed or its 2^31 indices are used up, [`DropReason::MalformedRtcp`] when
    /// there is no RTCP header, [`DropReason::NoBuffer`] when the slot has no room. The packet is then unchanged.
    pub fn protect_rtcp(&mut self, key: KeyId, pool: &mut Pool, buf: &mut Buf) -> Result<(), DropReason> {
        let key = get_mut(&mut self.entries, key).ok_or(DropReason::NoKeys)?;
        if key.rtcp_index >= srtcp::INDEX_END {
            return Err(DropReason::NoKeys);
        }
        let (start, len) = (buf.start(), buf.len());
        if len < srtcp::HEADER {
            return Err(DropReason::MalformedRtcp);
        }
        if start + len + srtcp::MAX_OVERHEAD > SLOT_SIZE {
            return Err(DropReason::NoBuffer);
        }
        let len = srtcp::seal(&key.rtcp, key.rtcp_index, &mut pool.slot_bytes_mut(buf)[start..], len);
        key.rtcp_index += 1;
        buf.set_range(start, len);
        Ok(())
    }

    fn get(&self, key: KeyId) -> Option<&SealKey> {
        let entry = self.entries.get(key.slot as usize)?;
        entry.key.as_deref().filter(|_| entry.generation == key.generation)
    }

    #[cfg(test)]
    pub(crate) fn set_rtcp_index(&mut self, key: KeyId, index: u32) {
        get_mut(&mut self.entries, key).unwrap().rtcp_index = index;
    }
}

/// Checks a job and encrypts its payload; with GCM this appends the tag as well.
fn encrypt(entries: &mut [Entry], pool: &mut Pool, job: &mut Job) -> Result<(), DropReason> {
    let key = get_mut(entries, job.key).ok_or(DropReason::NoKeys)?;
    let (start, len, header_len) = (job.buf.start(), job.buf.len(), usize::from(job.header_len));
    if job.index >= INDEX_END {
        return Err(DropReason::NoKeys);
    }
    if header_len < RTP_HEADER || header_len > len {
        return Err(DropReason::MalformedRtp);
    }
    if start + len + key.rtp.tag_len() > SLOT_SIZE {
        return Err(DropReason::NoBuffer);
    }
    let (header, payload) = pool.bytes_mut(&job.buf).split_at_mut(header_len);
    debug_assert_eq!(u16::from_be_bytes([header[2], header[3]]), job.index as u16, "the index is another packet's");
    let ssrc = srtcp::read_u32(header, 8);
    key.guard.note(ssrc, job.index);
    match &key.rtp {
        Transform::Gcm(gcm) => {
            let tag = gcm.seal(ssrc, job.index, header, payload);
            append(pool, &mut job.buf, &tag);
        }
        Transform::Cm(cm) => cm.crypt(ssrc, job.index, payload),
    }
    Ok(())
}

/// Computes and appends the tags of a batch of AES-CM jobs.
fn authenticate(backend: Backend, entries: &[Entry], pool: &mut Pool, jobs: &mut [Job], batch: &[Pending]) {
    let message = |pending: &Pending| {
        let job = &jobs[pending.job as usize];
        let Transform::Cm(cm) = &key_of(entries, job.key).rtp else { unreachable!("only AES-CM jobs await a tag") };
        Message { key: &cm.mac, data: pool.bytes(&job.buf), suffix: roc(job.index) }
    };
    let mut messages = [message(&batch[0]); BATCH];
    for (slot, pending) in messages.iter_mut().zip(batch).skip(1) {
        *slot = message(pending);
    }
    let mut tags = [[0; hmac::TAG]; BATCH];
    hmac::tags(backend, &messages[..batch.len()], &mut tags[..batch.len()]);
    for (pending, tag) in batch.iter().zip(&tags) {
        append(pool, &mut jobs[pending.job as usize].buf, &tag[..CM_TAG]);
    }
}

/// Appends `tag` to the packet; the room for it was checked.
fn append(pool: &mut Pool, buf: &mut Buf, tag: &[u8]) {
    let (start, len) = (buf.start(), buf.len());
    buf.set_range(start, len + tag.len());
    pool.bytes_mut(buf)[len..].copy_from_slice(tag);
}

fn get_mut(entries: &mut [Entry], key: KeyId) -> Option<&mut SealKey> {
    let entry = entries.get_mut(key.slot as usize)?;
    if entry.generation != key.generation {
        return None;
    }
    entry.key.as_deref_mut()
}

/// The key of a job that was found before.
fn key_of(entries: &[Entry], key: KeyId) -> &SealKey {
    entries[key.slot as usize].key.as_deref().expect("the job's key was found in this call")
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} keys, {})", self.len(), self.backend.name())
    }
}
