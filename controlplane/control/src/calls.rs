//! From a client's SDP offer to our answer and to the session that media is asked for.
//!
//! Pure: secrets and keys come in with the context. It decides no business rule: whether the participant may have the
//! call was decided before.

use plenum_contract::event::ShardInfo;
use plenum_contract::spec::{Binding, CodecSpec, Fingerprint, IceSpec, local_ufrag};
use plenum_contract::{Codec, Kind, LegKey, MediaSpec, ParticipantKey, SessionSpec, TrackKey};
use plenum_sdp::{AnswerError, Answered, Attribute, Candidate, Session, Terms};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Which way a presentation call goes (MGMT-39 `present`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// The client's screen comes to us.
    Send,
    /// The client only wants to see the presentation.
    Receive,
}

/// Everything beside the offer that an answer is made of.
#[derive(Clone, Debug)]
pub struct AnswerContext<'a> {
    /// Key of the leg.
    pub leg: LegKey,
    /// Whose leg it is.
    pub participant: ParticipantKey,
    /// Revision that the spec gets.
    pub revision: u64,
    /// First of [`TRACKS_PER_LEG`] track keys that belong to this leg: the m-line's index is added to it.
    pub first_track: TrackKey,
    /// Index of the shard that owns the leg.
    pub shard: u16,
    /// Its addresses, as clients are told them: the link has put advertised ones in the place of those behind 1:1 NAT.
    pub shard_info: &'a ShardInfo,
    /// Fingerprints of media's certificates, the preferred one first.
    pub fingerprints: &'a [Fingerprint],
    /// From a CSPRNG, fresh for each call of [`answer`] and [`update`]; the ICE credentials and SSRCs are made of it.
    pub seed: [u8; 32],
    /// CNAME of all that we send.
    pub cname: &'a str,
    /// Whether the first sound and the first picture that we send are a mix, which browsers bring in step.
    pub in_step: bool,
    /// Codecs that the conference allows, the preferred one first; see [`usable_codecs`].
    pub codecs: &'a [Codec],
    /// Set when the whole call is a presentation.
    pub present: Option<Present>,
    /// Most bits a second to send.
    pub max_bitrate: Option<u64>,
    /// Most m-lines in a session.
    pub max_media: u32,
}

/// How many track keys a leg owns; more m-lines than this are refused.
pub const TRACKS_PER_LEG: u64 = 256;
const _: () = assert!(plenum_sdp::MAX_MEDIA as u64 <= TRACKS_PER_LEG);

/// An answer and the session that it promises.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For the client.
    pub sdp: String,
    /// For media.
    pub spec: SessionSpec,
}

/// Why an offer gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The offer cannot be read or lacks what WebRTC demands.
    #[error("The offer cannot be used: {0}")]
    Malformed(String),
    /// Nothing in the offer can be served.
    #[error("The offer has no media that this conference can use: {0}")]
    NothingInCommon(String),
    /// What is sent in the conference cannot be seen or heard by this client.
    #[error("The conference sends {0}, which this client does not decode")]
    CannotDecode(&'static str),
    /// What this client would send cannot be seen or heard by somebody else.
    #[error("This client would send {0}, which somebody in the conference does not decode")]
    NotDecoded(&'static str),
}

impl From<AnswerError> for CallError {
    fn from(error: AnswerError) -> CallError {
        match error {
            AnswerError::NoCodec(_) | AnswerError::NoMedia => CallError::NothingInCommon(error.to_string()),
            _ => CallError::Malformed(error.to_string()),
        }
    }
}

/// Answers a first offer.
///
/// # Errors
/// [`CallError`], with words for the client.
pub fn answer(offer: &str, context: &AnswerContext<'_>) -> Result<Answer, CallError> {
    build(offer, None, context)
}

/// Answers a later offer of the same call: an ICE restart or changed media.
///
/// Our credentials change when the peer's did (RFC 8839 section 4.4.3.1.1) or when another shard owns the leg. SSRCs and
/// tracks stay where MID and kind do. `previous.bindings` go on into the new spec, so that a session that is reopened on a
/// new media plane knows its sources at once: put what media reported there. The new media plane's fingerprint comes with
/// the context.
///
/// # Errors
/// As [`answer`]; an offer with fewer m-lines than before is malformed.
pub fn update(offer: &str, previous: &SessionSpec, context: &AnswerContext<'_>) -> Result<Answer, CallError> {
    build(offer, Some(previous), context)
}

/// What a former media plane had, for a session that is reopened on a new one: its slots are other streams from now on. Their
/// numbering went with the former plane, and one SSRC whose numbers jump back is taken for late packets by receivers.
/// `seed` comes from a CSPRNG and is used for nothing else.
pub fn on_new_streams(spec: &SessionSpec, seed: [u8; 32]) -> SessionSpec {
    let (mut spec, mut random) = (spec.clone(), Random::new(seed));
    let mut given = ssrcs(&spec.media);
    for slot in spec.media.iter_mut().filter_map(|m| m.slot.as_mut()) {
        slot.ssrc = another_ssrc(&mut random, &mut given);
        slot.rtx_ssrc = slot.rtx_ssrc.map(|_| another_ssrc(&mut random, &mut given));
    }
    spec
}

/// Every SSRC of ours.
fn ssrcs(media: &[MediaSpec]) -> Vec<u32> {
    media.iter().filter_map(|m| m.slot.as_ref()).flat_map(|s| [Some(s.ssrc), s.rtx_ssrc]).flatten().collect()
}

/// An SSRC that is not among those that were given, and is from now on.
fn another_ssrc(random: &mut Random, given: &mut Vec<u32>) -> u32 {
    loop {
        let ssrc = random.u32();
        if ssrc != 0 && !given.contains(&ssrc) {
            given.push(ssrc);
            return ssrc;
        }
    }
}

/// The codecs of a conference's next answer: those of `set` and then of `optional` that every leg of `legs` with a
/// receiving m-line of that kind can decode. `optional` ones are for conferences in which everybody has them.
pub fn usable_codecs<'a>(
    set: &[Codec],
    optional: &[Codec],
    legs: impl Iterator<Item = &'a SessionSpec> + Clone,
) -> Vec<Codec> {
    let decodes = |spec: &SessionSpec, codec: Codec| {
        let mut slots = spec.media.iter().filter(|m| m.slot.is_some() && m.kind == codec.kind()).peekable();
        slots.peek().is_none() || slots.any(|m| m.codecs.iter().any(|c| c.codec == codec))
    };
    // RED and DTMF are left out towards those who do not have them, so nobody has to.
    let free = |codec| matches!(codec, Codec::Red | Codec::TelephoneEvent);
    let all = set.iter().chain(optional.iter().filter(|c| !set.contains(c)));
    all.copied().filter(|codec| free(*codec) || legs.clone().all(|leg| decodes(leg, *codec))).collect()
}

/// The codecs of a conference's next answer where tracks are transcoded: all of `set`. Pictures that every leg of `legs` decodes come first, because
/// what is sent is the first of them, and a picture that everybody decodes need not be transcoded. Sound stays as it is: transcoding it costs
/// little, and nobody should sound worse for somebody else's sake.
pub fn ordered_codecs<'a>(set: &[Codec], legs: impl Iterator<Item = &'a SessionSpec> + Clone) -> Vec<Codec> {
    let usable = usable_codecs(set, &[], legs);
    let mut codecs = set.to_vec();
    codecs.sort_by_key(|codec| codec.kind() == Kind::Video && !usable.contains(codec));
    codecs
}

/// `set`, and behind it the codecs of sound that are not forwarded but transcoded: for phones that have nothing else.
pub fn with_phones(set: &[Codec]) -> Vec<Codec> {
    let phones = Codec::PHONES.into_iter().filter(|codec| !set.contains(codec));
    set.iter().copied().chain(phones).collect()
}

/// What `from` sends that a slot of `to` cannot take.
#[derive(Clone, Copy, Debug)]
pub struct Lack<'a> {
    /// The m-line that it is sent on.
    pub media: &'a MediaSpec,
    /// As what it is sent.
    pub codec: &'a CodecSpec,
    slot: &'a MediaSpec,
}

impl Lack<'_> {
    /// The codec that it can be made in for the slot: the receiver's first that the mixer makes.
    pub fn substitute(&self) -> Option<Codec> {
        let made = |c: &&CodecSpec| c.codec.encoded() == Some(c.profile);
        let codec = self.slot.codecs.iter().find(made)?.codec;
        self.codec.codec.is_decoded().then_some(codec)
    }
}

/// Everything that `from` sends and `to` lacks. A sender uses the first payload type of its answer, as browsers do.
pub fn lacking<'a>(from: &'a SessionSpec, to: &'a SessionSpec) -> impl Iterator<Item = Lack<'a>> {
    // Redundancy is cut off towards who does not have it.
    let first = |m: &'a MediaSpec| m.codecs.iter().find(|c| !matches!(c.codec, Codec::Red | Codec::TelephoneEvent));
    let sent = from.media.iter().filter(|m| m.source.is_some()).filter_map(move |m| Some((m, first(m)?)));
    sent.flat_map(move |(media, codec)| {
        let slots = to
            .media
            .iter()
            .filter(move |m| m.slot.is_some() && (m.kind, m.presentation) == (media.kind, media.presentation));
        let takes = |slot: &MediaSpec| slot.codecs.iter().any(|c| (c.codec, c.profile) == (codec.codec, codec.profile));
        slots.filter(move |slot| !takes(slot)).map(move |slot| Lack { media, codec, slot })
    })
}

/// Whether everybody decodes what everybody sends once `new` is there, or gets it in a codec that they decode where there is a `mixer`.
/// Whoever would see black is told why instead. `true` beside a leg: it gets the mix, and need not decode what others send.
///
/// # Errors
/// [`CallError::CannotDecode`], [`CallError::NotDecoded`].
pub fn check_decodable<'a>(
    (new, mixed): (&SessionSpec, bool),
    others: impl Iterator<Item = (&'a SessionSpec, bool)>,
    mixer: bool,
) -> Result<(), CallError> {
    let undecoded = |from: &SessionSpec, to: &SessionSpec| {
        let mut lacks = lacking(from, to);
        lacks.find(|lack| !mixer || lack.substitute().is_none()).map(|lack| lack.codec.codec)
    };
    for (other, other_mixed) in others {
        if !mixed && let Some(codec) = undecoded(other, new) {
            return Err(CallError::CannotDecode(codec.rtpmap_name()));
        }
        if !other_mixed && let Some(codec) = undecoded(new, other) {
            return Err(CallError::NotDecoded(codec.rtpmap_name()));
        }
    }
    Ok(())
}

fn build(offer: &str, previous: Option<&SessionSpec>, context: &AnswerContext<'_>) -> Result<Answer, CallError> {
    let offer = Session::parse(offer).map_err(|e| CallError::Malformed(e.to_string()))?;
    let mut random = Random::new(context.seed);
    let fresh = (local_ufrag(context.shard, context.leg, &random.text(12, LETTERS)), random.text(32, ICE_CHARS));
    let former = previous.map_or(&[][..], |p| &p.media);
    let mut answered = answered(&offer, former, context, &fresh, &mut random)?;
    let same = |p: &&SessionSpec| {
        let peer = (&p.ice.remote_ufrag, &p.ice.remote_pwd) == (&answered.ice_ufrag, &answered.ice_pwd);
        peer && p.shard == context.shard && p.key == context.leg
    };
    let local = match previous.filter(same) {
        Some(p) => (p.ice.local_ufrag.clone(), p.ice.local_pwd.clone()),
        None => fresh,
    };
    put_credentials(&mut answered.sdp, &local);
    let bindings = previous.map_or_else(Vec::new, |p| kept_bindings(p, &answered.media));
    let spec = SessionSpec {
        key: context.leg,
        revision: context.revision,
        participant: context.participant,
        shard: context.shard,
        ice: IceSpec {
            local_ufrag: local.0,
            local_pwd: local.1,
            remote_ufrag: answered.ice_ufrag,
            remote_pwd: answered.ice_pwd,
        },
        fingerprints: answered.fingerprints,
        media: answered.media,
        max_bitrate: context.max_bitrate.into_iter().chain(offered_limit(&offer)).min(),
        cname: context.cname.to_owned(),
        bindings,
    };
    Ok(Answer { sdp: answered.sdp.to_string(), spec })
}

fn answered(
    offer: &Session,
    former: &[MediaSpec],
    context: &AnswerContext<'_>,
    local: &(String, String),
    random: &mut Random,
) -> Result<Answered, CallError> {
    let mut given = ssrcs(former);
    let mut new_ssrc = || another_ssrc(random, &mut given);
    let mut terms = Terms {
        // Chromium wants 63 bits.
        session_id: context.leg.0 & (u64::MAX >> 1),
        session_version: context.revision,
        ice_ufrag: &local.0,
        ice_pwd: &local.1,
        fingerprints: context.fingerprints,
        candidates: &candidates(context.shard_info),
        cname: context.cname,
        in_step: context.in_step,
        codecs: context.codecs,
        presentation: context.present.is_some(),
        max_media: context.max_media as usize,
        max_bitrate: context.max_bitrate,
        track_key: &|index| TrackKey(context.first_track.0 + index as u64),
        new_ssrc: &mut new_ssrc,
        previous: former,
    };
    Ok(plenum_sdp::answer(offer, &mut terms)?)
}

/// Which credentials an answer has depends on those of the offer's first taken m-line, which is known when it is made.
fn put_credentials(sdp: &mut Session, (ufrag, pwd): &(String, String)) {
    for attribute in sdp.media.iter_mut().flat_map(|m| &mut m.attributes) {
        match attribute {
            Attribute::IceUfrag(value) => value.clone_from(ufrag),
            Attribute::IcePwd(value) => value.clone_from(pwd),
            _ => {}
        }
    }
}

/// UDP before TCP and IPv4 before IPv6; addresses that nobody can send to are left out.
fn candidates(shard: &ShardInfo) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    for (addresses, tcp) in [(&shard.udp, false), (&shard.tcp, true)] {
        let mut sorted: Vec<SocketAddr> = addresses.iter().copied().filter(|a| !a.ip().is_unspecified()).collect();
        sorted.sort_by_key(|a| a.is_ipv6());
        sorted.dedup();
        let count = sorted.len();
        out.extend(sorted.into_iter().enumerate().map(|(i, a)| Candidate::host(a, tcp, (count - i) as u16)));
    }
    out
}

/// What the peer says it can take in all.
fn offered_limit(offer: &Session) -> Option<u64> {
    offer.bandwidth.iter().filter_map(plenum_sdp::Bandwidth::bits_per_second).filter(|b| *b > 0).min()
}

/// Bindings whose m-line still has the same source.
fn kept_bindings(previous: &SessionSpec, media: &[MediaSpec]) -> Vec<Binding> {
    let same = |b: &&Binding| {
        let (old, new) = (previous.media.get(usize::from(b.media)), media.get(usize::from(b.media)));
        old.zip(new).is_some_and(|(o, n)| {
            let track = |m: &MediaSpec| m.source.as_ref().map(|s| (s.track, s.rids.clone()));
            o.mid == n.mid && n.kind != Kind::Data && track(o).is_some() && track(o) == track(n)
        })
    };
    previous.bindings.iter().filter(same).cloned().collect()
}

/// Characters of our ufrag's tail: no `/`, which separates its parts. A power of two, so that no letter is favoured.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// RFC 8839 ice-chars.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A seed stretched with SHA-256 in counter mode.
struct Random {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Random {
    fn new(seed: [u8; 32]) -> Random {
        Random { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block =
                Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn text<const N: usize>(&mut self, len: usize, alphabet: &[u8; N]) -> String {
        const { assert!(N.is_power_of_two() && N <= 256) };
        (0..len).map(|_| char::from(alphabet[usize::from(self.byte()) & (N - 1)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract::spec::parse_local_ufrag;

    const ROOM: &str = include_str!("../../sdp/tests/fixtures/chromium_room.sdp");
    const SIMPLE: &str = include_str!("../../sdp/tests/fixtures/chromium_simple.sdp");
    const CODECS: &[Codec] = &[Codec::Opus, Codec::Red, Codec::Vp8, Codec::H264];

    fn shard() -> ShardInfo {
        let at = |text: &[&str]| text.iter().map(|a| a.parse().unwrap()).collect();
        ShardInfo {
            udp: at(&["[2001:db8::1]:40003", "0.0.0.0:40003", "192.0.2.1:40003"]),
            tcp: at(&["192.0.2.1:40003"]),
            back_end: "mmsg".into(),
        }
    }

    fn context(shard_info: &ShardInfo) -> AnswerContext<'_> {
        AnswerContext {
            leg: LegKey(0x2_0000_0007),
            participant: ParticipantKey(5),
            revision: 1,
            first_track: TrackKey(512),
            shard: 3,
            shard_info,
            fingerprints: &[Fingerprint([0xaa; 32])],
            seed: [7; 32],
            cname: "plenum",
            in_step: false,
            codecs: CODECS,
            present: None,
            max_bitrate: None,
            max_media: 64,
        }
    }

    #[test]
    fn an_answer_names_the_shard_in_its_ufrag_and_all_reachable_addresses() {
        let shard = shard();
        let a = answer(ROOM, &context(&shard)).unwrap();
        assert_eq!(parse_local_ufrag(&a.spec.ice.local_ufrag), Some((3, LegKey(0x2_0000_0007))));
        assert!(a.spec.ice.local_pwd.len() >= 22);
        let candidates: Vec<&str> = a.sdp.lines().filter(|l| l.starts_with("a=candidate:")).collect();
        assert_eq!(candidates.len(), 3, "{candidates:?}");
        assert!(candidates[0].contains(" udp ") && candidates[0].contains("192.0.2.1 40003 typ host"));
        assert!(candidates[1].contains("2001:db8::1 40003 typ host"));
        assert!(candidates[2].contains(" tcp ") && candidates[2].contains("tcptype passive"));
        assert_eq!(a.spec.media[1].source.as_ref().unwrap().track, TrackKey(513));
        assert_eq!((a.spec.ice.remote_ufrag.as_str(), a.spec.media.len(), a.spec.revision), ("Yk2b", 7, 1));
    }

    #[test]
    fn other_seeds_give_other_secrets_and_the_same_seed_the_same_answer() {
        let shard = shard();
        let first = answer(SIMPLE, &context(&shard)).unwrap();
        assert_eq!(answer(SIMPLE, &context(&shard)).unwrap().sdp, first.sdp);
        let other = answer(SIMPLE, &AnswerContext { seed: [8; 32], ..context(&shard) }).unwrap();
        assert_ne!(other.spec.ice, first.spec.ice);
        assert_ne!(other.spec.media[1].slot, first.spec.media[1].slot);
    }

    #[test]
    fn a_later_offer_keeps_everything_and_an_ice_restart_changes_the_credentials_alone() {
        let shard = shard();
        let first = answer(SIMPLE, &context(&shard)).unwrap().spec;
        let next = AnswerContext { revision: 2, seed: [9; 32], ..context(&shard) };
        let kept = update(SIMPLE, &first, &next).unwrap();
        assert_eq!((&kept.spec.ice, &kept.spec.media), (&first.ice, &first.media));
        assert!(kept.sdp.contains(" 2 IN IP4 127.0.0.1\r\n"));
        assert!(kept.sdp.contains(&format!("a=ice-ufrag:{}\r\n", first.ice.local_ufrag)));
        let restart = update(&SIMPLE.replace("ice-ufrag:Yk2b", "ice-ufrag:Zz9q"), &first, &next).unwrap();
        assert!(restart.sdp.contains(&format!("a=ice-pwd:{}\r\n", restart.spec.ice.local_pwd)));
        let restarted = restart.spec;
        assert_eq!(restarted.ice.remote_ufrag, "Zz9q");
        assert_ne!(restarted.ice.local_ufrag, first.ice.local_ufrag);
        assert_ne!(restarted.ice.local_pwd, first.ice.local_pwd);
        assert_eq!(restarted.media, first.media);
    }

    #[test]
    fn after_a_media_restart_bindings_go_on_and_another_shard_gets_another_ufrag() {
        let shard = shard();
        let mut first = answer(SIMPLE, &context(&shard)).unwrap().spec;
        let bound = |media| Binding { ssrc: 1001, media, encoding: 0, rtx: false };
        first.bindings = vec![bound(1), bound(9)];
        let next = AnswerContext { revision: 2, shard: 0, fingerprints: &[Fingerprint([0xcc; 32])], ..context(&shard) };
        let a = update(SIMPLE, &first, &next).unwrap();
        assert_eq!(a.spec.bindings, [bound(1)]);
        assert_eq!(parse_local_ufrag(&a.spec.ice.local_ufrag).map(|(s, _)| s), Some(0));
        assert!(a.sdp.contains("CC:CC:CC"));
    }

    #[test]
    fn on_a_new_media_plane_slots_are_other_streams_and_nothing_else_changes() {
        let shard = shard();
        let first = answer(ROOM, &context(&shard)).unwrap().spec;
        let mut other = on_new_streams(&first, [7; 32]);
        let (before, after) = (ssrcs(&first.media), ssrcs(&other.media));
        assert!(before.len() == after.len() && after.iter().all(|ssrc| !before.contains(ssrc)));
        for (slot, former) in other.media.iter_mut().zip(&first.media) {
            slot.slot.clone_from(&former.slot);
        }
        assert_eq!(other, first);
    }

    #[test]
    fn added_m_lines_get_new_ssrcs_and_known_ones_keep_theirs() {
        let shard = shard();
        let first = answer(SIMPLE, &context(&shard)).unwrap().spec;
        // The same seed again must not give the same SSRCs again.
        let more = update(ROOM, &first, &AnswerContext { revision: 2, ..context(&shard) }).unwrap().spec;
        assert_eq!(more.media[1].slot, first.media[1].slot);
        let mut ssrcs = ssrcs(&more.media);
        let all = ssrcs.len();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!((all, ssrcs.len()), (11, 11));
    }

    #[test]
    fn a_presentation_call_is_marked_and_limits_go_into_offer_and_answer() {
        let shard = shard();
        let limited = AnswerContext { present: Some(Present::Send), max_bitrate: Some(800_000), ..context(&shard) };
        let a = answer(SIMPLE, &limited).unwrap();
        assert!(a.spec.media.iter().all(|m| m.presentation));
        assert_eq!(a.spec.max_bitrate, Some(800_000));
        assert!(a.sdp.contains("b=TIAS:800000\r\n") && !a.sdp.contains("b=AS") && a.sdp.contains("a=content:slides"));
        let narrow = SIMPLE.replacen("t=0 0\r\n", "b=AS:500\r\nt=0 0\r\n", 1);
        assert_eq!(answer(&narrow, &limited).unwrap().spec.max_bitrate, Some(500_000));
    }

    #[test]
    fn refusals_say_why() {
        let shard = shard();
        let why = |offer: &str| answer(offer, &context(&shard)).unwrap_err().to_string();
        assert_eq!(why("nonsense"), "The offer cannot be used: line 1: no line of SDP");
        let none = AnswerContext { codecs: &[Codec::Opus], ..context(&shard) };
        assert_eq!(
            answer(SIMPLE, &none).unwrap_err().to_string(),
            "The offer has no media that this conference can use: no offered video codec may be used here"
        );
    }

    #[test]
    fn a_codec_that_a_receiver_lacks_is_not_offered_to_the_next_and_optional_ones_need_everybody() {
        let shard = shard();
        let all = [Codec::Opus, Codec::Red, Codec::Vp8, Codec::H264, Codec::Av1];
        let with = |codecs: &[Codec]| answer(SIMPLE, &AnswerContext { codecs, ..context(&shard) }).unwrap().spec;
        let (full, vp8) = (with(&all), with(&[Codec::Opus, Codec::Vp8]));
        assert_eq!(usable_codecs(CODECS, &[Codec::Av1], [].iter()), all);
        assert_eq!(usable_codecs(CODECS, &[Codec::Av1], [full.clone()].iter()), all);
        assert_eq!(usable_codecs(CODECS, &[Codec::Av1], [full, vp8].iter()), [Codec::Opus, Codec::Red, Codec::Vp8]);
    }

    #[test]
    fn whoever_would_see_black_or_be_seen_black_is_told_why() {
        let shard = shard();
        let with = |codecs: &[Codec]| answer(SIMPLE, &AnswerContext { codecs, ..context(&shard) }).unwrap().spec;
        let both = with(&[Codec::Opus, Codec::Vp8, Codec::H264]);
        let (vp8, h264) = (with(&[Codec::Opus, Codec::Vp8]), with(&[Codec::Opus, Codec::H264]));
        let check = |new: &SessionSpec, others: &[&SessionSpec]| {
            check_decodable((new, false), others.iter().map(|other| (*other, false)), false)
        };
        let check_mixed =
            |new: (&SessionSpec, bool), other: (&SessionSpec, bool)| check_decodable(new, [other].into_iter(), false);
        assert_eq!(check(&both, &[&vp8, &both]), Ok(()));
        // Who is there prefers VP8 and sends it, though H.264 was negotiated as well.
        assert_eq!(check(&h264, &[&both]), Err(CallError::CannotDecode("VP8")));
        assert_eq!(check(&both, &[&h264]), Err(CallError::NotDecoded("VP8")));
        // The mix is made for them.
        assert_eq!(check_mixed((&h264, true), (&vp8, false)), Err(CallError::NotDecoded("H264")));
        let mut viewer = h264.clone();
        viewer.media.iter_mut().for_each(|m| m.source = None);
        assert_eq!(check_mixed((&viewer, true), (&vp8, false)), Ok(()));
        assert_eq!(check_mixed((&vp8, false), (&viewer, true)), Ok(()));
        assert_eq!(check_mixed((&vp8, false), (&viewer, false)), Err(CallError::NotDecoded("VP8")));
        // A leg without receiving m-lines, a screen, sees nothing and need not decode anything.
        let mut screen = h264.clone();
        screen.media.iter_mut().for_each(|m| m.slot = None);
        assert_eq!(check(&both, &[&screen]), Ok(()));
        // Another profile of the same codec is another codec.
        let mut other = h264.clone();
        other.media[1].codecs.iter_mut().for_each(|c| c.profile += 1);
        assert_eq!(check(&h264, &[&other]), Err(CallError::CannotDecode("H264")));
        // With a mixer it is made for them, unless the mixer does not decode or make it.
        let with_mixer =
            |new: &SessionSpec, other: &SessionSpec| check_decodable((new, false), [(other, false)].into_iter(), true);
        assert_eq!((with_mixer(&h264, &vp8), with_mixer(&vp8, &h264)), (Ok(()), Ok(())));
        let mut strange = h264.clone();
        strange.media[1].codecs.iter_mut().for_each(|c| c.profile = 9);
        assert_eq!(with_mixer(&h264, &strange), Err(CallError::NotDecoded("H264")), "a profile that nobody makes");
        let named = |codec| {
            let mut spec = vp8.clone();
            spec.media[1].codecs.iter_mut().for_each(|c| c.codec = codec);
            spec
        };
        let (h265, av1) = (named(Codec::H265), named(Codec::Av1));
        assert_eq!(with_mixer(&h265, &vp8), Err(CallError::CannotDecode("VP8")), "H.265 is not made");
        assert_eq!(with_mixer(&vp8, &av1), Err(CallError::NotDecoded("VP8")), "nor is AV1");
        let mut sender = av1.clone();
        sender.media.iter_mut().for_each(|m| m.slot = None);
        assert_eq!(with_mixer(&sender, &vp8), Ok(()), "AV1 is decoded");
    }

    #[test]
    fn where_tracks_are_transcoded_all_codecs_are_offered_and_those_that_everybody_has_come_first() {
        let shard = shard();
        let with = |codecs: &[Codec]| answer(SIMPLE, &AnswerContext { codecs, ..context(&shard) }).unwrap().spec;
        let h264 = with(&[Codec::Opus, Codec::H264]);
        let order = ordered_codecs(CODECS, [h264.clone()].iter());
        assert_eq!(order, [Codec::Opus, Codec::Red, Codec::H264, Codec::Vp8]);
        let vp8 = with(&[Codec::Opus, Codec::Vp8]);
        assert_eq!(ordered_codecs(CODECS, [h264, vp8].iter()), CODECS, "nobody pleases everybody");
        let all = with_phones(&[Codec::Pcmu, Codec::Opus]);
        assert_eq!((&all[..4], all.len()), (&[Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma][..], 7));
    }
}
