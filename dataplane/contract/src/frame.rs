//! Length-prefixed CBOR: four bytes of length, big endian, then one value.

use serde::{Serialize, de::DeserializeOwned};

/// Most bytes in a frame's body. Larger state goes in parts.
pub const MAX_FRAME: usize = 1 << 20;

/// Why a frame cannot be written or read. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The body is longer than [`MAX_FRAME`].
    #[error("frame of {0} bytes, at most {MAX_FRAME} are allowed")]
    TooLong(usize),
    /// The body is no CBOR of the expected shape.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

/// Appends `value` as a frame to `out`.
///
/// # Errors
/// [`FrameError::TooLong`]; `out` is then unchanged.
pub fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Err(e) = ciborium::into_writer(value, &mut *out) {
        out.truncate(start);
        return Err(FrameError::Malformed(e.to_string()));
    }
    let len = out.len() - start - 4;
    if len > MAX_FRAME {
        out.truncate(start);
        return Err(FrameError::TooLong(len));
    }
    out[start..start + 4].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(())
}

/// Collects bytes and takes frames out of them.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    /// Adds what the socket gave.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        } else if self.at > MAX_FRAME {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// [`FrameError`] for a frame that is too long or malformed.
    #[allow(clippy::should_implement_trait, reason = "generic in the frame's type, so it cannot be an Iterator")]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.bytes[self.at..];
        let Some((head, body)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*head) as usize;
        if len > MAX_FRAME {
            return Err(FrameError::TooLong(len));
        }
        let Some(body) = body.get(..len) else {
            return Ok(None);
        };
        let value = ciborium::de::from_reader_with_recursion_limit(body, 32)
            .map_err(|e| FrameError::Malformed(e.to_string()))?;
        self.at += 4 + len;
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    #[test]
    fn frames_survive_any_split_of_the_stream() {
        let commands = [
            Command::Hello { version: VERSION },
            Command::Participant(ParticipantSpec {
                key: ParticipantKey(7),
                conference: ConferenceKey(1),
                revision: 3,
                audio_blocked: true,
                video_blocked: false,
                presentation_denied: false,
                waiting: false,
            }),
            Command::Snapshot,
        ];
        let mut bytes = Vec::new();
        for command in &commands {
            write(command, &mut bytes).unwrap();
        }
        for chunk in 1..bytes.len() {
            let mut reader = Reader::default();
            let mut got = Vec::new();
            for part in bytes.chunks(chunk) {
                reader.push(part);
                while let Some(command) = reader.next::<Command>().unwrap() {
                    got.push(command);
                }
            }
            assert_eq!(got, commands);
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_body_arrives() {
        let mut reader = Reader::default();
        reader.push(&(MAX_FRAME as u32 + 1).to_be_bytes());
        assert!(matches!(reader.next::<Command>(), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn unknown_fields_of_a_newer_version_are_ignored_and_missing_ones_have_defaults() {
        #[derive(serde::Serialize)]
        struct Newer {
            key: u64,
            revision: u64,
            colour: &'static str,
        }
        let mut bytes = Vec::new();
        write(&Newer { key: 9, revision: 1, colour: "blue" }, &mut bytes).unwrap();
        let mut reader = Reader::default();
        reader.push(&bytes);
        let spec: ConferenceSpec = reader.next().unwrap().unwrap();
        assert_eq!((spec.key, spec.presenter, spec.last_n), (ConferenceKey(9), None, 64));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut reader = Reader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next::<Message>() {}
        }
    }
}
