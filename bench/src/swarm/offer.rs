//! Offers as Chromium writes them, for what a [`PeerConfig`] sends and receives; and what a peer must know of the answer.
//!
//! Payload types and header extensions are the peer's own, so that an answer can only take them or leave them out.

use crate::peer::{PeerConfig, Publish};
use plenum_contract::spec::{Fingerprint, IceSpec};
use plenum_contract::{Extension, Kind};
use plenum_sdp::{Attribute, Media, Session, Setup};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// An offer for `config`, with ICE user name and password and a certificate's fingerprint. Lines are ended by CR LF.
pub fn offer(config: &PeerConfig, ice: (&str, &str), fingerprint: Fingerprint) -> String {
    describe(config, ice, fingerprint, Setup::ActPass)
}

/// As [`offer`], or an answer with the same lines. Peers are DTLS clients: towards a server that would be one too when it is left
/// the choice, the description says `active`; an answer always does.
pub fn describe(config: &PeerConfig, (ufrag, pwd): (&str, &str), fingerprint: Fingerprint, setup: Setup) -> String {
    let lines = config.lines();
    let mids: Vec<_> = lines.iter().map(|l| l.mid.as_str()).collect();
    let mut sdp = format!(
        "v=0\r\no=- {} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=extmap-allow-mixed\r\n\
         a=msid-semantic: WMS\r\n",
        4_611_732_054_231_000_000 + config.leg.0,
        mids.join(" ")
    );
    for (index, line) in lines.iter().enumerate() {
        let video = line.kind == Kind::Video;
        let formats = match (video, config.rtx) {
            (false, _) => "111",
            (true, true) => "96 97",
            (true, false) => "96",
        };
        let kind = if video { "video" } else { "audio" };
        let _ = write!(
            sdp,
            "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n\
             a=ice-pwd:{pwd}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\n\
             a=mid:{}\r\n",
            line.mid
        );
        for (id, extension) in config.extensions().filter(|(_, e)| fits(*e, video)) {
            let _ = write!(sdp, "a=extmap:{id} {}\r\n", extension.uri());
        }
        let direction = match (line.publish, line.slot) {
            (Some(_), Some(_)) => "sendrecv",
            (Some(_), None) => "sendonly",
            (None, _) => "recvonly",
        };
        let _ = write!(sdp, "a={direction}\r\na=msid:- track-{}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n", line.mid);
        sdp.push_str(&codecs(config, video));
        if line.presentation {
            sdp.push_str("a=content:slides\r\n");
        }
        if let Some(publish) = line.publish.and_then(|p| config.publishes.get(p)) {
            sdp.push_str(&sources(config, index, publish));
        }
    }
    sdp
}

/// Which extensions Chromium offers for which kind.
fn fits(extension: Extension, video: bool) -> bool {
    match extension {
        Extension::AudioLevel => !video,
        Extension::Rid | Extension::RepairedRid | Extension::DependencyDescriptor => video,
        _ => true,
    }
}

fn codecs(config: &PeerConfig, video: bool) -> String {
    let feedback = if config.twcc { "transport-cc" } else { "goog-remb" };
    if !video {
        let twcc = if config.twcc { "a=rtcp-fb:111 transport-cc\r\n" } else { "" };
        return format!("a=rtpmap:111 opus/48000/2\r\n{twcc}a=fmtp:111 minptime=10;useinbandfec=1\r\n");
    }
    let name = config.codec.rtpmap_name();
    let rtx = if config.rtx { "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n" } else { "" };
    format!(
        "a=rtpmap:96 {name}/90000\r\na=rtcp-fb:96 {feedback}\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\n\
         a=rtcp-fb:96 nack pli\r\n{rtx}"
    )
}

/// What is sent: RIDs for simulcast, else SSRCs.
fn sources(config: &PeerConfig, index: usize, publish: &Publish) -> String {
    let rids = publish.rids();
    if !rids.is_empty() {
        let list: String = rids.iter().map(|rid| format!("a=rid:{rid} send\r\n")).collect();
        return format!("{list}a=simulcast:send {}\r\n", rids.join(";"));
    }
    let ssrc = config.source_ssrc(index, 0);
    let repairs = config.rtx && matches!(publish, Publish::Video(_));
    let mut sdp = String::new();
    if repairs {
        let _ = write!(sdp, "a=ssrc-group:FID {ssrc} {}\r\n", ssrc + 1);
    }
    for ssrc in ssrc..=ssrc + u32::from(repairs) {
        let _ = write!(sdp, "a=ssrc:{ssrc} cname:peer{}\r\na=ssrc:{ssrc} msid:- track-{index}\r\n", config.leg.0);
    }
    sdp
}

/// What a description of a server's tells a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The server's ICE user name.
    pub ufrag: String,
    /// The server's ICE password.
    pub pwd: String,
    /// Its UDP address: that of the first candidate of the best priority.
    pub address: SocketAddr,
    /// SSRC and RTX SSRC of each line, where it says so.
    pub ssrcs: Vec<Option<(u32, Option<u32>)>>,
}

impl Told {
    /// Reads a description.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(sdp: &str) -> Result<Told, String> {
        let session = Session::parse(sdp).map_err(|e| format!("the server's SDP: {e}"))?;
        let attributes = || session.attributes.iter().chain(session.media.iter().flat_map(|m| &m.attributes));
        let ufrag = attributes().find_map(|a| if let Attribute::IceUfrag(u) = a { Some(u.clone()) } else { None });
        let pwd = attributes().find_map(|a| if let Attribute::IcePwd(p) = a { Some(p.clone()) } else { None });
        let candidates = attributes().filter_map(|a| match a {
            Attribute::Candidate(c) if c.transport == "udp" && c.component == 1 => {
                Some((c.priority, SocketAddr::new(c.address.parse().ok()?, c.port)))
            }
            _ => None,
        });
        let address = candidates.reduce(|best, next| if next.0 > best.0 { next } else { best });
        Ok(Told {
            ufrag: ufrag.ok_or("no ICE user name in the server's SDP")?,
            pwd: pwd.ok_or("no ICE password in the server's SDP")?,
            address: address.ok_or("no UDP candidate in the server's SDP")?.1,
            ssrcs: session.media.iter().map(ssrcs).collect(),
        })
    }

    /// The credentials as the contract has them: ours are the peer's.
    pub fn ice(&self, ufrag: &str, pwd: &str) -> IceSpec {
        IceSpec {
            local_ufrag: self.ufrag.clone(),
            local_pwd: self.pwd.clone(),
            remote_ufrag: ufrag.to_owned(),
            remote_pwd: pwd.to_owned(),
        }
    }
}

fn ssrcs(media: &Media) -> Option<(u32, Option<u32>)> {
    let pair = media.attributes.iter().find_map(|a| match a {
        Attribute::SsrcGroup { semantics, ssrcs } if semantics == "FID" => {
            Some((*ssrcs.first()?, ssrcs.get(1).copied()))
        }
        _ => None,
    });
    let single = || {
        media.attributes.iter().find_map(|a| match a {
            Attribute::Ssrc { ssrc, .. } => Some((*ssrc, None)),
            _ => None,
        })
    };
    pair.or_else(single)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{Encoding, Slots, VideoConfig};
    use plenum_contract::TrackKey;
    use plenum_packet::{Path, Transport};
    use plenum_sdp::Direction;

    fn config() -> PeerConfig {
        let path = Path {
            transport: Transport::Udp,
            local: "192.0.2.1:40000".parse().unwrap(),
            remote: "198.51.100.1:5000".parse().unwrap(),
        };
        let encodings = vec![Encoding::new("q", 320, 180, 150), Encoding::new("f", 1280, 720, 1500)];
        let camera = VideoConfig::simulcast(TrackKey(1), encodings);
        PeerConfig {
            publishes: vec![Publish::Video(camera)],
            slots: Slots { audio: 1, video: 2, presentation: false },
            ..PeerConfig::new(7, path)
        }
    }

    #[test]
    fn an_offer_reads_as_what_the_peer_does() {
        let sdp = offer(&config(), ("abcd", "0123456789012345678901"), Fingerprint([0xab; 32]));
        let session = Session::parse(&sdp).unwrap();
        let directions: Vec<_> = session.media.iter().map(|m| (m.kind.as_str(), m.direction(&session))).collect();
        let expected = [("video", Direction::SendRecv), ("audio", Direction::RecvOnly), ("video", Direction::RecvOnly)];
        assert_eq!(directions, expected);
        assert!(sdp.contains("a=simulcast:send q;f\r\n"));
        assert_eq!(session.groups("BUNDLE").next().unwrap().len(), 3);
    }

    #[test]
    fn an_answer_tells_where_to_go_and_what_comes() {
        let sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=ice-ufrag:srv1\r\n\
                   a=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
                   a=candidate:1 1 udp 100 192.0.2.9 40000 typ host\r\na=candidate:2 1 udp 200 192.0.2.7 40000 typ host\r\n\
                   a=candidate:3 1 tcp 900 192.0.2.7 40000 typ host tcptype passive\r\na=ssrc:5 cname:x\r\n\
                   m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ssrc-group:FID 6 7\r\na=ssrc:6 cname:x\r\n";
        let told = Told::read(sdp).unwrap();
        assert_eq!(told.address.to_string(), "192.0.2.7:40000");
        assert_eq!(told.ssrcs, [Some((5, None)), Some((6, Some(7)))]);
        assert!(Told::read("v=0\r\n").is_err());
    }
}
