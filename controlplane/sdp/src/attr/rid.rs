//! `a=rid` (RFC 8851) and `a=simulcast` (RFC 8853).

use super::read::ParseAttributeError;
use std::fmt;

/// Most streams, and most alternatives of one: far above what any client has, so that a line of 64 KiB gives no more.
const MAX_STREAMS: usize = 32;

/// `rid`: one encoding of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rid {
    /// Its id: letters, digits, `-` and `_`.
    pub id: String,
    /// Which way it flows, as the sender of the description sees it.
    pub direction: RidDirection,
    /// `pt=…;max-width=…`, as written.
    pub params: Option<String>,
}

/// The direction of a rid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RidDirection {
    /// The sender of the description sends it.
    Send,
    /// It receives it.
    Recv,
}

/// `simulcast`: which rids are encodings of one picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulcast {
    /// What the sender of the description sends, in its order of preference; empty = nothing said.
    pub send: Vec<SimulcastStream>,
    /// What it receives.
    pub recv: Vec<SimulcastStream>,
}

/// One simulcast stream: alternatives of which one flows, each with whether it is paused at first (`~`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulcastStream {
    /// Rids with their paused mark; never empty.
    pub alternatives: Vec<(String, bool)>,
}

impl SimulcastStream {
    /// A stream without alternatives, flowing.
    pub fn single(rid: impl Into<String>) -> SimulcastStream {
        SimulcastStream { alternatives: vec![(rid.into(), false)] }
    }
}

pub(crate) fn is_rid(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Rid {
    pub(crate) fn parse(value: &str) -> Result<Rid, ParseAttributeError> {
        let mut words = value.splitn(3, ' ');
        let id = words.next().filter(|id| is_rid(id)).ok_or(ParseAttributeError::Bad("rid"))?;
        let direction = match words.next() {
            Some("send") => RidDirection::Send,
            Some("recv") => RidDirection::Recv,
            _ => return Err(ParseAttributeError::Bad("rid direction")),
        };
        Ok(Rid { id: id.to_owned(), direction, params: words.next().map(str::to_owned) })
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            RidDirection::Send => "send",
            RidDirection::Recv => "recv",
        };
        write!(f, "{} {direction}", self.id)?;
        self.params.iter().try_for_each(|p| write!(f, " {p}"))
    }
}

impl Simulcast {
    pub(crate) fn parse(value: &str) -> Result<Simulcast, ParseAttributeError> {
        let mut simulcast = Simulcast::default();
        let mut words = value.split_ascii_whitespace();
        while let Some(direction) = words.next() {
            let list = words.next().ok_or(ParseAttributeError::Missing("simulcast streams"))?;
            let target = match direction {
                "send" => &mut simulcast.send,
                "recv" => &mut simulcast.recv,
                _ => return Err(ParseAttributeError::Bad("simulcast direction")),
            };
            if !target.is_empty() {
                return Err(ParseAttributeError::Bad("simulcast direction"));
            }
            *target = streams(list)?;
        }
        match simulcast.send.is_empty() && simulcast.recv.is_empty() {
            true => Err(ParseAttributeError::Missing("simulcast direction")),
            false => Ok(simulcast),
        }
    }
}

fn streams(list: &str) -> Result<Vec<SimulcastStream>, ParseAttributeError> {
    let mut out = Vec::new();
    for stream in list.split(';') {
        let mut alternatives = Vec::new();
        for alternative in stream.split(',') {
            let (id, paused) = match alternative.strip_prefix('~') {
                Some(id) => (id, true),
                None => (alternative, false),
            };
            if !is_rid(id) {
                return Err(ParseAttributeError::Bad("rid"));
            }
            if alternatives.len() == MAX_STREAMS || out.len() == MAX_STREAMS {
                return Err(ParseAttributeError::TooMany("simulcast streams"));
            }
            alternatives.push((id.to_owned(), paused));
        }
        out.push(SimulcastStream { alternatives });
    }
    Ok(out)
}

impl fmt::Display for Simulcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (direction, streams) in [("send", &self.send), ("recv", &self.recv)] {
            if streams.is_empty() {
                continue;
            }
            write!(f, "{gap}{direction} ")?;
            gap = " ";
            for (i, stream) in streams.iter().enumerate() {
                f.write_str(if i > 0 { ";" } else { "" })?;
                for (j, (id, paused)) in stream.alternatives.iter().enumerate() {
                    write!(f, "{}{}{id}", if j > 0 { "," } else { "" }, if *paused { "~" } else { "" })?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_and_paused_streams_are_read_and_written_alike() {
        let text = "send hi,~hi2;lo recv a;~b";
        let simulcast = Simulcast::parse(text).unwrap();
        assert_eq!(simulcast.send[0].alternatives, [("hi".to_owned(), false), ("hi2".to_owned(), true)]);
        assert_eq!(simulcast.to_string(), text);
    }

    #[test]
    fn a_direction_given_twice_or_an_empty_rid_is_refused() {
        for bad in ["", "send", "send a send b", "both a", "send a;;b", "send ä"] {
            assert!(Simulcast::parse(bad).is_err(), "{bad}");
        }
    }
}
