//! Watches the bytes that a WebSocket client sends and stops at a fragmented frame (CMS-6): the library puts fragments together
//! before anybody could refuse them. Nothing but heads of frames (RFC 6455 section 5.2) is looked at, nothing is kept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

/// The place in a stream of frames.
#[derive(Debug, Default)]
struct Watch {
    head: [u8; 14],
    have: usize,
    /// Bytes of payload that are still to come.
    skip: u64,
}

impl Watch {
    /// Reads on; whether every frame so far was a whole message.
    fn whole(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len() as u64);
                self.skip -= passed;
                bytes = &bytes[passed as usize..];
                continue;
            }
            self.head[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if self.have == 1 && (first & FIN == 0 || first & OPCODE == 0) {
                return false;
            }
            self.end_of_head();
        }
        true
    }

    fn end_of_head(&mut self) {
        if self.have < 2 {
            return;
        }
        let extended = match self.head[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & MASKED == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask {
            return;
        }
        self.skip = match extended {
            0 => u64::from(self.head[1] & !MASKED),
            _ => self.head[2..2 + extended].iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        };
        self.have = 0;
    }
}

/// See [`super::parse_any_frames`]: however the bytes come in pieces, the answer is the same.
pub(super) fn watch_any(bytes: &[u8]) {
    let mut watch = Watch::default();
    let whole = watch.whole(bytes);
    let mut cut = Watch::default();
    assert_eq!(bytes.chunks(3).all(|piece| cut.whole(piece)), whole);
    assert!(!whole || (watch.have, watch.skip) == (cut.have, cut.skip));
}

/// A stream that breaks off at a fragmented frame.
#[derive(Debug)]
pub(super) struct Whole<S> {
    inner: S,
    watch: Watch,
}

/// What a read says that broke off.
pub(super) const FRAGMENTED: &str = "fragmented frames are not supported";

impl<S> Whole<S> {
    pub(super) fn new(inner: S) -> Whole<S> {
        Whole { inner, watch: Watch::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Whole<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if this.watch.whole(&buf.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, FRAGMENTED)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Whole<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let bit = if masked { MASKED } else { 0 };
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(bit | length as u8),
            126..=65_535 => frame.extend([&[bit | 126][..], &(length as u16).to_be_bytes()].concat()),
            _ => frame.extend([&[bit | 127][..], &(length as u64).to_be_bytes()].concat()),
        }
        frame.extend(vec![0u8; length + if masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn cms_6_whole_frames_pass_however_they_are_cut_and_fragments_do_not() {
        let lengths = [0, 1, 125, 126, 65_535, 65_536];
        let good: Vec<u8> =
            lengths.iter().flat_map(|n| [frame(0x81, true, *n), frame(0x89, false, *n)].concat()).collect();
        for cut in [1, 2, 3, 7, 1_000, good.len()] {
            let mut watch = Watch::default();
            assert!(good.chunks(cut).all(|bytes| watch.whole(bytes)), "cut into {cut}");
            assert!(watch.whole(&frame(0x88, true, 2)));
            assert!(!watch.whole(&frame(0x01, true, 2)), "a message that goes on");
        }
        assert!(!Watch::default().whole(&[0x80]), "a continuation");
    }
}
