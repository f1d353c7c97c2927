//! A ring of records in memory that two processes share: one writes, one reads, neither trusts the other.
//!
//! ```text
//!  word 0: bytes ever written      word 8: bytes ever read      word 16: the reader sleeps      from word 64 on: records
//! ```
//! A record is a word with its length, then its bytes, filled up to a word; it may go around the end. The memory is only ever
//! touched by atomic operations, so a peer that writes where it must not makes values wrong, never behaviour undefined. Each
//! side keeps its own position to itself; the peer's position and each length are read once and checked. The file is sealed:
//! nobody can make it smaller under the other's feet. A ring that is full refuses, and the writer counts; nobody waits.

use crate::check;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Bytes in front of the records.
const HEAD: usize = 512;
/// Fewest and most bytes of records.
const SIZES: std::ops::RangeInclusive<usize> = 4096..=1 << 28;

const WRITTEN: usize = 0;
const READ: usize = 8;
const SLEEPS: usize = 16;

/// A peer broke the rules of the ring: nothing in it can be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer broke the ring's rules")
    }
}

impl std::error::Error for Corrupt {}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room for it now, or never will be.
    Full,
    /// The reader broke the rules.
    Corrupt,
}

/// The shared memory of one ring.
#[derive(Debug)]
struct Memory {
    base: *const AtomicU64,
    words: usize,
}

// SAFETY: the mapping belongs to this value alone and is only touched by atomic operations.
unsafe impl Send for Memory {}

impl Memory {
    fn map(file: &File, size: usize) -> io::Result<Memory> {
        let len = HEAD + size;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Memory { base: base.cast(), words: len / 8 })
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, has `words` words, lives as long as `self`, cannot shrink (sealed), and both
        // processes use atomic operations; a process that does not can change values only.
        unsafe { std::slice::from_raw_parts(self.base, self.words) }
    }

    fn head(&self, at: usize) -> &AtomicU64 {
        &self.all()[at]
    }

    /// The words of the records.
    fn records(&self) -> &[AtomicU64] {
        &self.all()[HEAD / 8..]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `map` with this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.cast_mut().cast(), self.words * 8) };
    }
}

/// Makes the file of a ring for `size` bytes of records (a power of two, 4 KiB to 256 MiB), sealed at its size.
///
/// # Errors
/// When the size is not allowed or the kernel gives no memory file.
pub fn ring_file(name: &str, size: usize) -> io::Result<File> {
    valid(size)?;
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: `name` is a NUL-terminated string that outlives the call.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) })?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len((HEAD + size) as u64)?;
    // SAFETY: sealing touches no memory of ours.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
    Ok(file)
}

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

fn valid(size: usize) -> io::Result<()> {
    if SIZES.contains(&size) && size.is_power_of_two() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a ring of {size} bytes")))
}

/// Maps a ring's file, which may come from the peer: it must be sealed and as large as a ring of some valid size.
fn open(file: &File) -> io::Result<Memory> {
    // SAFETY: asking for the seals touches no memory of ours.
    let seals = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })?;
    if seals & SEALS != SEALS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a ring's file must be sealed"));
    }
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).saturating_sub(HEAD);
    valid(size)?;
    Memory::map(file, size)
}

/// The writing end.
#[derive(Debug)]
pub struct RingWriter {
    memory: Memory,
    written: u64,
}

/// The reading end.
#[derive(Debug)]
pub struct RingReader {
    memory: Memory,
    read: u64,
}

/// Words of a record with so many bytes, its length included.
fn words(len: usize) -> usize {
    1 + len.div_ceil(8)
}

impl RingWriter {
    /// The writing end of the ring in `file`, which was never used.
    ///
    /// # Errors
    /// When the file is no ring's, or cannot be mapped.
    pub fn new(file: &File) -> io::Result<RingWriter> {
        Ok(RingWriter { memory: open(file)?, written: 0 })
    }

    /// Bytes that records may hold together.
    pub fn capacity(&self) -> usize {
        self.memory.records().len() * 8
    }

    /// Bytes that are free now.
    ///
    /// # Errors
    /// [`Corrupt`] when the reader claims to have read what was not written.
    pub fn free(&self) -> Result<usize, Corrupt> {
        let read = self.memory.head(READ).load(Ordering::Acquire);
        let used = self.written.checked_sub(read).filter(|used| *used <= self.capacity() as u64).ok_or(Corrupt)?;
        Ok(self.capacity() - used as usize)
    }

    /// Bytes that the reader has taken since the beginning, and how many wait for it.
    ///
    /// # Errors
    /// As [`RingWriter::free`].
    pub fn taken(&self) -> Result<(u64, usize), Corrupt> {
        let waiting = self.capacity() - self.free()?;
        Ok((self.written - waiting as u64, waiting))
    }

    /// Writes a record, when after it at least `spare` bytes stay free. The reader sees it after [`RingWriter::publish`].
    ///
    /// # Errors
    /// [`Refused::Full`], [`Refused::Corrupt`].
    pub fn write(&mut self, record: &[u8], spare: usize) -> Result<(), Refused> {
        let needed = words(record.len()) * 8;
        let free = self.free().map_err(|Corrupt| Refused::Corrupt)?;
        if free < needed.saturating_add(spare) {
            return Err(Refused::Full);
        }
        let records = self.memory.records();
        let mask = records.len() - 1;
        let mut at = (self.written / 8) as usize;
        let mut put = |word: u64| {
            records[at & mask].store(word, Ordering::Relaxed);
            at += 1;
        };
        put(record.len() as u64);
        let (whole, rest) = record.as_chunks::<8>();
        whole.iter().for_each(|word| put(u64::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            put(u64::from_ne_bytes(word));
        }
        self.written += needed as u64;
        Ok(())
    }

    /// Shows the reader what was written; true when it sleeps and must be woken (once: it is taken for awake from now on).
    pub fn publish(&mut self) -> bool {
        self.memory.head(WRITTEN).store(self.written, Ordering::Release);
        // The reader says that it sleeps, then looks again; we write, then look whether it sleeps: one of us sees the other.
        fence(Ordering::SeqCst);
        self.memory.head(SLEEPS).load(Ordering::Relaxed) != 0
            && self.memory.head(SLEEPS).swap(0, Ordering::Relaxed) != 0
    }
}

impl RingReader {
    /// The reading end of the ring in `file`, which was never used.
    ///
    /// # Errors
    /// When the file is no ring's, or cannot be mapped.
    pub fn new(file: &File) -> io::Result<RingReader> {
        Ok(RingReader { memory: open(file)?, read: 0 })
    }

    /// Takes the next record into `out`, which is emptied first; false when there is none.
    ///
    /// # Errors
    /// [`Corrupt`] when the writer's position or the record's length cannot be. `out` grows to a ring's size at most.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, Corrupt> {
        out.clear();
        let records = self.memory.records();
        let written = self.memory.head(WRITTEN).load(Ordering::Acquire);
        let waiting = written.checked_sub(self.read).ok_or(Corrupt)?;
        if waiting == 0 {
            return Ok(false);
        }
        if waiting > (records.len() * 8) as u64 || waiting % 8 != 0 {
            return Err(Corrupt);
        }
        let mask = records.len() - 1;
        let at = (self.read / 8) as usize;
        let len = usize::try_from(records[at & mask].load(Ordering::Relaxed)).map_err(|_| Corrupt)?;
        let room = waiting as usize - 8;
        if len > room {
            return Err(Corrupt);
        }
        let taken = words(len);
        out.reserve((taken - 1) * 8);
        for word in 1..taken {
            out.extend_from_slice(&records[(at + word) & mask].load(Ordering::Relaxed).to_ne_bytes());
        }
        out.truncate(len);
        self.read += (taken * 8) as u64;
        self.memory.head(READ).store(self.read, Ordering::Release);
        Ok(true)
    }

    /// Says that this side is about to sleep; false when there is something to read after all. The writer's next
    /// [`RingWriter::publish`] tells it to wake us.
    pub fn sleep(&mut self) -> bool {
        self.memory.head(SLEEPS).store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.memory.head(WRITTEN).load(Ordering::Acquire) == self.read {
            return true;
        }
        self.memory.head(SLEEPS).store(0, Ordering::Relaxed);
        false
    }

    /// Whether the writer has taken us for awake since [`RingReader::sleep`]: it woke us or is about to.
    pub fn was_woken(&self) -> bool {
        self.memory.head(SLEEPS).load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests;
