//! The answer of an ice-lite, passive WebRTC peer (RFC 8829, RFC 9143), and what it promises as `MediaSpec`s.
//!
//! Every m-line of the offer has one in the answer and one `MediaSpec`, at the same index; what we do not take has port 0
//! and an empty `MediaSpec`. Every taken m-line is in the one BUNDLE group. A section that the peer receives becomes a
//! slot with an SSRC of ours, one that it sends becomes a source. Keys, secrets and SSRCs come in with [`Terms`].

mod codecs;
mod extensions;
mod section;
mod simulcast;

pub use codecs::h264_profile;

use crate::attr::{Attribute, Candidate, Setup};
use crate::model::{Connection, Media, Origin, Session};
use plenum_contract::spec::Fingerprint;
use plenum_contract::{Codec, Kind, MediaSpec, TrackKey};

/// Most bytes of a MID: what fits a one-byte header extension element.
pub const MAX_MID: usize = 16;
/// Most simulcast encodings of a source; later ones are not accepted. Browsers send three.
pub const MAX_ENCODINGS: usize = 4;
/// Most certificates that a peer may name; Firefox and Chromium name one, aiortc one by each of three digests.
pub const MAX_FINGERPRINTS: usize = 8;
/// Largest message on a data channel that we take: `MAX_MESSAGE` of the media plane's sessions, which relay it whole.
pub const MAX_MESSAGE_SIZE: u64 = 65_536;
/// Our SCTP port (RFC 8841): the one everybody uses.
pub const SCTP_PORT: u16 = 5_000;

/// Our side of the answer.
pub struct Terms<'a> {
    /// `o=` session id, the same for all answers of a call.
    pub session_id: u64,
    /// `o=` session version, growing by one.
    pub session_version: u64,
    /// Our ICE user name fragment.
    pub ice_ufrag: &'a str,
    /// Our ICE password.
    pub ice_pwd: &'a str,
    /// Digests of our certificates, the preferred one first.
    pub fingerprints: &'a [Fingerprint],
    /// All our candidates, the default one first.
    pub candidates: &'a [Candidate],
    /// The CNAME of everything we send.
    pub cname: &'a str,
    /// Whether the first sound and the first picture that we send belong together, as those of a mix do: browsers bring them in step.
    pub in_step: bool,
    /// Codecs that may be used, the preferred one first. [`Codec::Opus`] and [`Codec::Red`] keep the offer's order.
    pub codecs: &'a [Codec],
    /// Whether the whole call carries a presentation.
    pub presentation: bool,
    /// Most m-lines; an offer with more is refused.
    pub max_media: usize,
    /// Most bits a second that the peer should send for one picture, written as a `b=TIAS` line.
    pub max_bitrate: Option<u64>,
    /// Key of the track that m-line `index` becomes.
    pub track_key: &'a dyn Fn(usize) -> TrackKey,
    /// A random SSRC that was not given out before in this call; never 0.
    pub new_ssrc: &'a mut dyn FnMut() -> u32,
    /// The former answer's list; empty for a first offer. SSRCs and tracks are kept where MID and kind are the same.
    pub previous: &'a [MediaSpec],
}

/// An answer, and what came out of the offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The answer.
    pub sdp: Session,
    /// One for each m-line of the offer.
    pub media: Vec<MediaSpec>,
    /// The peer's ICE user name fragment.
    pub ice_ufrag: String,
    /// The peer's ICE password.
    pub ice_pwd: String,
    /// SHA-256 digests of the peer's certificates, at least one.
    pub fingerprints: Vec<Fingerprint>,
}

/// Why an offer is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No m-line at all.
    #[error("the offer has no m-line")]
    NoMedia,
    /// More m-lines than a session may have.
    #[error("the offer has {offered} m-lines, at most {max} are served")]
    TooManyMedia {
        /// In the offer.
        offered: usize,
        /// The limit.
        max: usize,
    },
    /// Several m-lines without a BUNDLE group that holds them.
    #[error("the offer has no BUNDLE group for its m-lines")]
    NotBundled,
    /// `a=rtcp-mux` is missing.
    #[error("m-line {0}: a=rtcp-mux is missing")]
    NoRtcpMux(usize),
    /// A MID that is missing, too long, or there twice.
    #[error("m-line {0}: bad or missing a=mid")]
    BadMid(usize),
    /// `a=ice-ufrag` or `a=ice-pwd` is missing or shorter or longer than RFC 8839 allows.
    #[error("bad or missing a=ice-ufrag or a=ice-pwd")]
    NoIce,
    /// No SHA-256 fingerprint.
    #[error("no a=fingerprint:sha-256")]
    NoFingerprint,
    /// The peer wants us to open the DTLS association.
    #[error("a=setup must be actpass or active")]
    NotActive,
    /// Sound, pictures or data are offered, and nothing of them can be used.
    #[error("no offered {0} codec may be used here")]
    NoCodec(&'static str),
    /// A later offer that drops or reorders m-lines.
    #[error("the offer has fewer m-lines than the one before")]
    LostMedia,
}

/// Answers `offer`.
///
/// # Errors
/// [`AnswerError`]: the offer cannot be served at all. Single m-lines that cannot be are rejected in the answer, unless
/// that leaves a kind (audio, video) that was offered without any.
pub fn answer(offer: &Session, terms: &mut Terms<'_>) -> Result<Answered, AnswerError> {
    check_count(offer, terms)?;
    let taken = section::choose(offer, terms)?;
    let first = taken.iter().position(|t| t.is_some()).ok_or(AnswerError::NoCodec("media"))?;
    let (ice_ufrag, ice_pwd) = ice(offer, &offer.media[first])?;
    let fingerprints = fingerprints(offer, &offer.media[first])?;
    check_setup(offer, &offer.media[first])?;

    let mut media = Vec::with_capacity(offer.media.len());
    let mut sections = Vec::with_capacity(offer.media.len());
    let mut slots = section::SlotCounter::default();
    for (index, offered) in offer.media.iter().enumerate() {
        let (mut section, spec) = match &taken[index] {
            Some(codecs) => section::accept(offer, index, codecs, terms, &mut slots),
            None => section::reject(offered),
        };
        if taken[index].is_some() {
            transport(&mut section, terms, index == first);
        }
        sections.push(section);
        media.push(spec);
    }
    let sdp = Session {
        origin: Origin {
            username: "-".into(),
            session_id: terms.session_id,
            session_version: terms.session_version,
            address: Connection { ipv6: false, address: "127.0.0.1".into() },
        },
        name: "-".into(),
        connection: None,
        bandwidth: Vec::new(),
        timing: (0, 0),
        attributes: session_attributes(offer, &sections),
        media: sections,
    };
    Ok(Answered { sdp, media, ice_ufrag, ice_pwd, fingerprints })
}

fn check_count(offer: &Session, terms: &Terms<'_>) -> Result<(), AnswerError> {
    if offer.media.is_empty() {
        return Err(AnswerError::NoMedia);
    }
    if offer.media.len() > terms.max_media {
        return Err(AnswerError::TooManyMedia { offered: offer.media.len(), max: terms.max_media });
    }
    if offer.media.len() < terms.previous.len() {
        return Err(AnswerError::LostMedia);
    }
    Ok(())
}

fn session_attributes(offer: &Session, sections: &[Media]) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::IceLite];
    if offer.groups("BUNDLE").next().is_some() {
        let mids = sections.iter().filter(|m| m.port != 0).filter_map(Media::mid).map(str::to_owned).collect();
        attributes.push(Attribute::Group { semantics: "BUNDLE".into(), mids });
    }
    if offer.attributes.contains(&Attribute::ExtMapAllowMixed) {
        attributes.push(Attribute::ExtMapAllowMixed);
    }
    attributes.push(Attribute::Other { name: "msid-semantic".into(), value: Some(" WMS *".into()) });
    attributes
}

/// ICE, DTLS and candidates of a taken section. Candidates stand in the BUNDLE-tagged one alone (RFC 9143 section 7.3).
fn transport(section: &mut Media, terms: &Terms<'_>, tagged: bool) {
    let default = terms.candidates.first();
    section.port = default.map_or(9, |c| c.port);
    let ip = default.and_then(|c| c.address.parse().ok());
    section.connection = Some(ip.map_or_else(Connection::unspecified, Connection::from_ip));
    let a = &mut section.attributes;
    a.push(Attribute::IceUfrag(terms.ice_ufrag.to_owned()));
    a.push(Attribute::IcePwd(terms.ice_pwd.to_owned()));
    // The preferred one last: libwebrtc keeps the last fingerprint that it reads, webrtcbin (RSA) the first.
    for fingerprint in terms.fingerprints.iter().rev() {
        let digest = fingerprint.0.to_vec();
        a.push(Attribute::Fingerprint(crate::Fingerprint { algorithm: "sha-256".into(), digest }));
    }
    a.push(Attribute::Setup(Setup::Passive));
    if tagged {
        a.extend(terms.candidates.iter().cloned().map(Attribute::Candidate));
        a.push(Attribute::EndOfCandidates);
    }
}

/// The peer's credentials; lengths as RFC 8839 section 5.4 has them.
fn ice(offer: &Session, media: &Media) -> Result<(String, String), AnswerError> {
    let ufrag = offer.inherited(media, |a| match a {
        Attribute::IceUfrag(v) => Some(v),
        _ => None,
    });
    let pwd = offer.inherited(media, |a| match a {
        Attribute::IcePwd(v) => Some(v),
        _ => None,
    });
    match (ufrag, pwd) {
        (Some(u), Some(p)) if (4..=256).contains(&u.len()) && (22..=256).contains(&p.len()) => {
            Ok((u.clone(), p.clone()))
        }
        _ => Err(AnswerError::NoIce),
    }
}

fn fingerprints(offer: &Session, media: &Media) -> Result<Vec<Fingerprint>, AnswerError> {
    let pick = |attributes: &[Attribute]| -> Vec<Fingerprint> {
        let digests = attributes.iter().filter_map(|a| match a {
            Attribute::Fingerprint(f) if f.algorithm == "sha-256" => f.digest.as_slice().try_into().ok(),
            _ => None,
        });
        digests.take(MAX_FINGERPRINTS).map(Fingerprint).collect()
    };
    let own = pick(&media.attributes);
    let all = if own.is_empty() { pick(&offer.attributes) } else { own };
    if all.is_empty() { Err(AnswerError::NoFingerprint) } else { Ok(all) }
}

fn check_setup(offer: &Session, media: &Media) -> Result<(), AnswerError> {
    let setup = offer.inherited(media, |a| match a {
        Attribute::Setup(s) => Some(*s),
        _ => None,
    });
    // RFC 8842 section 5.2: an offer without setup means active to passive answers; be it so.
    match setup {
        None | Some(Setup::ActPass | Setup::Active) => Ok(()),
        Some(Setup::Passive | Setup::HoldConn) => Err(AnswerError::NotActive),
    }
}

fn kind_of(media: &Media) -> Option<Kind> {
    let rtp =
        matches!(media.protocol.as_str(), "UDP/TLS/RTP/SAVPF" | "UDP/TLS/RTP/SAVP" | "RTP/SAVPF" | "TCP/TLS/RTP/SAVPF");
    let sctp = matches!(media.protocol.as_str(), "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP");
    match media.kind.as_str() {
        "audio" if rtp => Some(Kind::Audio),
        "video" if rtp => Some(Kind::Video),
        "application" if sctp && media.formats.iter().any(|f| f == "webrtc-datachannel") => Some(Kind::Data),
        _ => None,
    }
}
