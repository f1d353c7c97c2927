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

/// Most SSRCs of a peer, in SRTP and again in SRTCP. Smaller would refuse a peer with many tracks, their RTX and simulcast
/// encodings, some of them replaced in a long call; larger costs 40 bytes each, and time to look one up. At the bound a new
/// SSRC is refused with [`DropReason::TooManySources`] and the known ones go on.
pub const MAX_SOURCES: usize = 256;

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
        Opener { suite, rtp, rtcp, rtp_sources: Sources::new(MAX_SOURCES), rtcp_sources: Sources::new(MAX_SOURCES) }
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
    /// [`MAX_SOURCES`], [`DropReason::Replayed`] for an index seen before, older than the window or above 48 bits: the
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
        let at = self.rtp_sources.find(ssrc)?;
        let index = match at.map(|at| self.rtp_sources.window(at)) {
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
        self.rtp_sources.note(at, ssrc, index);
        Ok(Opened { len: packet.len() - self.rtp.tag_len(), index })
    }

    /// Opens the SRTCP packet `packet` in place; the bytes of the RTCP packet.
    ///
    /// # Errors
    /// As for [`Opener::open_rtp`], with [`DropReason::MalformedRtcp`].
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let trailer = srtcp::trailer(&self.rtcp, packet)?;
        let index = u64::from(trailer.index);
        let at = self.rtcp_sources.find(trailer.ssrc)?;
        if at.is_some_and(|at| !self.rtcp_sources.window(at).admits(index)) {
            return Err(DropReason::Replayed);
        }
        if !srtcp::open(&self.rtcp, trailer, packet) {
            return Err(DropReason::BadTag);
        }
        self.rtcp_sources.note(at, trailer.ssrc, index);
        Ok(trailer.len)
    }

    /// Forgets a source, to make room at [`MAX_SOURCES`]. Its old packets pass the replay check again: call it only for an
    /// SSRC that is no longer accepted above. A source that comes back must start again with ROC zero.
    pub fn forget(&mut self, ssrc: u32) {
        self.rtp_sources.forget(ssrc);
        self.rtcp_sources.forget(ssrc);
    }

    /// How many SSRCs of SRTP are known.
    pub fn sources(&self) -> usize {
        self.rtp_sources.len()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({}, {} sources)", self.suite.name(), self.rtp_sources.len())
    }
}
