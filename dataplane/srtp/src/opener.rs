//! The inbound side of one session: SRTP and SRTCP are checked, authenticated and decrypted in place.
//!
//! The cheap checks come first: length, then the replay window, then cryptography. A window moves and an SSRC is bound only
//! after authentication, so a forged packet changes nothing. Parsing RTP is the caller's; this takes its numbers.

use crate::backend::Backend;
use crate::kdf::Purpose;
use crate::replay::{INDEX_END, Sources};
use crate::srtcp;
use crate::suite::{MasterKey, Suite};
use crate::transform::Transform;
use core::fmt;
use plenum_packet::DropReason;

/// Most SSRCs of a peer whose replay windows are kept, in SRTP and again in SRTCP. Smaller would put sources aside that still
/// send: many tracks, their RTX and simulcast encodings; larger costs 48 bytes each, and time to look one up. At the bound a
/// new SSRC takes the place of the one that was silent for longest.
pub const MAX_SOURCES: usize = 256;

/// Most SSRCs that are put aside, of which only the highest index is kept (some 20 bytes each). Forgetting one would let its
/// recorded packets pass again, so beyond this a new SSRC is refused with [`DropReason::TooManySources`], and the known go on. A
/// peer gets there after thousands of new sources under one key; a new DTLS handshake begins anew.
pub const MAX_ASIDE: usize = 4096;

/// Bytes of an RTP header without CSRCs and extension.
const RTP_HEADER: usize = 12;

/// A packet that was authenticated and decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the packet without its tag.
    pub len: usize,
    /// Its 48-bit index: ROC in the upper 32 bits, sequence number below.
    pub index: u64,
}

/// One session's inbound SRTP and SRTCP context.
pub struct Opener {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: Sources,
    rtcp_sources: Sources,
}

impl Opener {
    /// A context for the peer's write key.
    pub fn new(master: &MasterKey) -> Opener {
        Opener::with_backend(master, Backend::detect())
    }

    /// A context that computes with `backend`.
    pub fn with_backend(master: &MasterKey, backend: Backend) -> Opener {
        Opener::from_transforms(
            master.suite(),
            Transform::new(backend, master, Purpose::Srtp),
            Transform::new(backend, master, Purpose::Srtcp),
        )
    }

    pub(crate) fn from_transforms(suite: Suite, rtp: Transform, rtcp: Transform) -> Opener {
        let sources = || Sources::new(MAX_SOURCES, MAX_ASIDE);
        Opener { suite, rtp, rtcp, rtp_sources: sources(), rtcp_sources: sources() }
    }

    /// The suite in use.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Opens the SRTP packet `packet` in place. `ssrc`, `sequence` and `header_len` (all in front of the payload: fixed
    /// header, CSRCs, extension) are what its RTP header says. A new source's first packet is taken to have ROC zero.
    ///
    /// # Errors
    /// [`DropReason::MalformedRtp`] when header and tag do not fit, [`DropReason::TooManySources`] for a new SSRC at
    /// [`MAX_ASIDE`], [`DropReason::Replayed`] for an index seen before, older than the window or above 48 bits: the
    /// packet is untouched. [`DropReason::BadTag`]: the packet's payload holds nothing of use.
    pub fn open_rtp(
        &mut self,
        ssrc: u32,
        sequence: u16,
        header_len: usize,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        if header_len < RTP_HEADER || packet.len() < header_len + self.rtp.tag_len() {
            return Err(DropReason::MalformedRtp);
        }
        let place = self.rtp_sources.find(ssrc)?;
        let index = match self.rtp_sources.window(&place) {
            None => u64::from(sequence),
            Some(window) => match window.estimate(sequence) {
                Some(index) if window.admits(index) => index,
                _ => return Err(DropReason::Replayed),
            },
        };
        debug_assert!(index < INDEX_END);
        if !self.rtp.open_rtp(ssrc, index, header_len, packet) {
            return Err(DropReason::BadTag);
        }
        self.rtp_sources.note(place, ssrc, index);
        Ok(Opened { len: packet.len() - self.rtp.tag_len(), index })
    }

    /// Opens the SRTCP packet `packet` in place; the bytes of the RTCP packet.
    ///
    /// # Errors
    /// As for [`Opener::open_rtp`], with [`DropReason::MalformedRtcp`].
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let trailer = srtcp::trailer(&self.rtcp, packet)?;
        let index = u64::from(trailer.index);
        let place = self.rtcp_sources.find(trailer.ssrc)?;
        if self.rtcp_sources.window(&place).is_some_and(|window| !window.admits(index)) {
            return Err(DropReason::Replayed);
        }
        if !srtcp::open(&self.rtcp, trailer, packet) {
            return Err(DropReason::BadTag);
        }
        self.rtcp_sources.note(place, trailer.ssrc, index);
        Ok(trailer.len)
    }

    /// How many SSRCs of SRTP have a window.
    pub fn sources(&self) -> usize {
        self.rtp_sources.len()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({}, {} sources)", self.suite.name(), self.rtp_sources.len())
    }
}
