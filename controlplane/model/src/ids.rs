//! Names of things. `*Id` is what the outside sees (a UUID); `*Key` is a number of ours that is never used again.

use std::fmt;

/// A moment: milliseconds of a monotonic clock for everything that runs out, and wall-clock seconds for what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic milliseconds since some fixed moment.
    pub ms: u64,
    /// Unix seconds.
    pub unix: u64,
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);
    };
}

key!(/// A conference inside.
    ConferenceKey);
key!(/// A participant inside.
    ParticipantKey);
key!(/// A media connection inside: the number that the media plane knows.
    LegKey);

macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads the hyphenated form in either letter case; anything else is `None`.
            pub fn parse(text: &str) -> Option<$name> {
                parse_uuid(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (i, byte) in self.0.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

uuid!(/// A conference outside.
    ConferenceId);
uuid!(/// One meeting in a conference, from the first who comes to the last who goes (CMS `call`).
    MeetingId);
uuid!(/// A participant outside (`participant_uuid`).
    ParticipantId);
uuid!(/// A media connection outside (`call_uuid`).
    CallId);

/// SHA-256 of a session token; the token itself is known to its holder only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut out = [0u8; 16];
    let mut at = 0;
    for (i, slot) in out.iter_mut().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            if bytes[at] != b'-' {
                return None;
            }
            at += 1;
        }
        let high = (bytes[at] as char).to_digit(16)?;
        let low = (bytes[at + 1] as char).to_digit(16)?;
        *slot = (high * 16 + low) as u8;
        at += 2;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_what_it_prints_and_nothing_else() {
        let id = ParticipantId([0x5e, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(id.to_string(), "5e010203-0405-0607-0809-0a0b0c0d0eff");
        assert_eq!(ParticipantId::parse(&id.to_string().to_uppercase()), Some(id));
        for bad in [
            "",
            "5e01",
            "5e010203-0405-0607-0809-0a0b0c0d0ef",
            "5e010203-0405-0607-0809+0a0b0c0d0eff",
            "zz010203-0405-0607-0809-0a0b0c0d0eff",
        ] {
            assert_eq!(ParticipantId::parse(bad), None, "{bad}");
        }
    }
}
