//! From text to [`Session`]: one pass over the lines, everything bounded.
//!
//! Lines may end in CRLF or LF. What cannot be read is named with its line; nothing is guessed.

use crate::attr::{Attribute, ParseAttributeError};
use crate::model::{Bandwidth, Connection, Media, Origin, Session};

/// Most bytes of a description. A browser writes 3 to 4 KiB for a picture with all its codecs: this serves sixty tiles.
pub const MAX_SIZE: usize = 256 * 1024;
/// Most lines: no line is shorter than 16 bytes on average.
pub const MAX_LINES: usize = 16_384;
/// Most m-lines.
pub const MAX_MEDIA: usize = 128;
/// Most payload types on an m-line: there are 128.
const MAX_FORMATS: usize = 128;

const _: () = assert!(MAX_LINES * 16 <= MAX_SIZE);

/// What cannot be read, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// More than [`MAX_SIZE`].
    #[error("the description is longer than {MAX_SIZE} bytes")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("more than {MAX_LINES} lines")]
    TooManyLines,
    /// More than [`MAX_MEDIA`].
    #[error("more than {MAX_MEDIA} m-lines")]
    TooManyMedia,
    /// Neither `<letter>=<value>` nor empty.
    #[error("no line of SDP")]
    NotALine,
    /// The description does not begin with `v=0`.
    #[error("a description begins with v=0")]
    Version,
    /// `o=` is not there.
    #[error("the o= line is missing")]
    NoOrigin,
    /// A line that cannot be read.
    #[error("bad {0}= line")]
    Bad(char),
    /// A line that may stand only once stands again.
    #[error("a second {0}= line")]
    Repeated(char),
    /// An attribute that is known and malformed.
    #[error("a={name}: {error}")]
    Attribute {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: ParseAttributeError,
    },
}

use ParseErrorKind as Kind;

impl Session {
    /// Reads a description.
    ///
    /// # Errors
    /// The first line that cannot be read, or a bound that is passed.
    pub fn parse(text: &str) -> Result<Session, ParseError> {
        if text.len() > MAX_SIZE {
            return Err(ParseError { line: 1, kind: Kind::TooLong });
        }
        let mut reading = Reading::default();
        let mut last = 1;
        for (i, line) in text.lines().enumerate() {
            last = i + 1;
            let fail = |kind| ParseError { line: i + 1, kind };
            if i >= MAX_LINES {
                return Err(fail(Kind::TooManyLines));
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            reading.line(line).map_err(fail)?;
        }
        reading.finish().map_err(|kind| ParseError { line: last, kind })
    }
}

#[derive(Default)]
struct Reading {
    version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    bandwidth: Vec<Bandwidth>,
    timing: Option<(u64, u64)>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), Kind> {
        let mut chars = line.chars();
        let (Some(letter), Some('=')) = (chars.next(), chars.next()) else {
            return Err(Kind::NotALine);
        };
        let value = chars.as_str();
        if !self.version {
            self.version = letter == 'v' && value.trim_ascii() == "0";
            return if self.version { Ok(()) } else { Err(Kind::Version) };
        }
        match letter {
            'm' => {
                if self.media.len() == MAX_MEDIA {
                    return Err(Kind::TooManyMedia);
                }
                self.media.push(media(value).ok_or(Kind::Bad('m'))?);
            }
            'a' => {
                let attribute = Attribute::parse(value).map_err(|error| Kind::Attribute {
                    name: value.split(':').next().unwrap_or_default().to_owned(),
                    error,
                })?;
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            'c' => {
                let connection = connection(value).ok_or(Kind::Bad('c'))?;
                let place = self.media.last_mut().map_or(&mut self.connection, |m| &mut m.connection);
                // More than one c= per section is for layered multicast only; the first one counts.
                place.get_or_insert(connection);
            }
            'b' => {
                let bandwidth = bandwidth(value).ok_or(Kind::Bad('b'))?;
                self.media.last_mut().map_or(&mut self.bandwidth, |m| &mut m.bandwidth).push(bandwidth);
            }
            'o' if self.origin.is_none() => self.origin = Some(origin(value).ok_or(Kind::Bad('o'))?),
            's' if self.name.is_none() => self.name = Some(value.to_owned()),
            't' => {
                let (start, stop) = value.trim_ascii().split_once(' ').ok_or(Kind::Bad('t'))?;
                let number = |s: &str| s.trim_ascii().parse().map_err(|_| Kind::Bad('t'));
                self.timing.get_or_insert((number(start)?, number(stop)?));
            }
            'o' | 's' | 'v' => return Err(Kind::Repeated(letter)),
            'i' | 'u' | 'e' | 'p' | 'r' | 'z' | 'k' => {}
            _ => return Err(Kind::NotALine),
        }
        Ok(())
    }

    fn finish(self) -> Result<Session, Kind> {
        if !self.version {
            return Err(Kind::Version);
        }
        Ok(Session {
            origin: self.origin.ok_or(Kind::NoOrigin)?,
            name: self.name.unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            bandwidth: self.bandwidth,
            timing: self.timing.unwrap_or((0, 0)),
            attributes: self.attributes,
            media: self.media,
        })
    }
}

fn origin(value: &str) -> Option<Origin> {
    let mut words = value.splitn(4, ' ');
    Some(Origin {
        username: words.next().filter(|u| !u.is_empty())?.to_owned(),
        session_id: words.next()?.parse().ok()?,
        session_version: words.next()?.parse().ok()?,
        address: connection(words.next()?)?,
    })
}

fn connection(value: &str) -> Option<Connection> {
    let mut words = value.split_ascii_whitespace();
    if words.next()? != "IN" {
        return None;
    }
    let ipv6 = match words.next()? {
        "IP4" => false,
        "IP6" => true,
        _ => return None,
    };
    let address = words.next()?.to_owned();
    words.next().is_none().then_some(Connection { ipv6, address })
}

fn bandwidth(value: &str) -> Option<Bandwidth> {
    let (kind, value) = value.split_once(':')?;
    if kind.is_empty() || kind.contains(char::is_whitespace) {
        return None;
    }
    Some(Bandwidth { kind: kind.to_owned(), value: value.trim_ascii().parse().ok()? })
}

fn media(value: &str) -> Option<Media> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?.to_owned();
    // "<port>/<count>" is for layered streams; the first port counts.
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats: Vec<_> = words.take(MAX_FORMATS + 1).map(str::to_owned).collect();
    if formats.is_empty() || formats.len() > MAX_FORMATS {
        return None;
    }
    Some(Media { kind, port, protocol, formats, connection: None, bandwidth: Vec::new(), attributes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

    #[test]
    fn an_error_names_the_line_and_what_is_wrong() {
        let text = format!("{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/fast/2\r\n");
        let error = Session::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), "line 6: a=rtpmap: bad clock rate");
        assert_eq!(Session::parse("hello").unwrap_err().to_string(), "line 1: no line of SDP");
        assert_eq!(Session::parse("v=1").unwrap_err().to_string(), "line 1: a description begins with v=0");
        assert_eq!(Session::parse("v=0\ns=-").unwrap_err().to_string(), "line 2: the o= line is missing");
        assert_eq!(Session::parse(&format!("{HEAD}m=audio x y")).unwrap_err().to_string(), "line 5: bad m= line");
    }

    #[test]
    fn bounds_hold_on_both_sides() {
        let with_media = |n| format!("{HEAD}{}", "m=audio 9 RTP/AVP 0\r\n".repeat(n));
        assert_eq!(Session::parse(&with_media(MAX_MEDIA)).unwrap().media.len(), MAX_MEDIA);
        assert_eq!(Session::parse(&with_media(MAX_MEDIA + 1)).unwrap_err().kind, Kind::TooManyMedia);
        let with_lines = |n| format!("{HEAD}{}", "a=x\n".repeat(n));
        assert!(Session::parse(&with_lines(MAX_LINES - 4)).is_ok());
        assert_eq!(Session::parse(&with_lines(MAX_LINES - 3)).unwrap_err().kind, Kind::TooManyLines);
        let with_bytes = |n: usize| format!("{HEAD}a=x:{}", "y".repeat(n - HEAD.len() - 4));
        assert!(Session::parse(&with_bytes(MAX_SIZE)).is_ok());
        assert_eq!(Session::parse(&with_bytes(MAX_SIZE + 1)).unwrap_err().kind, Kind::TooLong);
    }
}
