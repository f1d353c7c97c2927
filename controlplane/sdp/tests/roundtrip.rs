//! Writing a description and reading it again gives the same one; any text gives a value or an error.

use plenum_sdp::{
    Attribute, Bandwidth, Candidate, Connection, Direction, ExtMap, Fingerprint, Media, Origin, Rid, RidDirection,
    RtpMap, Session, Setup, Simulcast, SimulcastStream,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn token() -> impl Strategy<Value = String> {
    vec(
        proptest::sample::select(
            ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("-_.+".chars()).collect::<Vec<_>>(),
        ),
        1..12,
    )
    .prop_map(|c| c.into_iter().collect())
}

fn rid_id() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(('a'..='z').chain('0'..='9').collect::<Vec<_>>()), 1..5)
        .prop_map(|c| c.into_iter().collect())
}

fn text() -> impl Strategy<Value = String> {
    vec(token(), 1..4).prop_map(|words| words.join(" "))
}

fn direction() -> impl Strategy<Value = Direction> {
    (any::<bool>(), any::<bool>()).prop_map(|(s, r)| Direction::new(s, r))
}

fn streams() -> impl Strategy<Value = Vec<SimulcastStream>> {
    vec(vec((rid_id(), any::<bool>()), 1..3).prop_map(|alternatives| SimulcastStream { alternatives }), 1..4)
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let numbers = (any::<u16>(), any::<u32>(), any::<u16>());
    let words = (token(), token(), token(), token());
    (numbers, words, vec((token(), token()), 0..3)).prop_map(
        |((component, priority, port), (f, t, a, k), extensions)| Candidate {
            foundation: f,
            component,
            transport: t.to_ascii_lowercase(),
            priority,
            address: a,
            port,
            kind: k,
            extensions,
        },
    )
}

fn transport_attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        token().prop_map(Attribute::IceUfrag),
        token().prop_map(Attribute::IcePwd),
        vec(token(), 1..3).prop_map(Attribute::IceOptions),
        candidate().prop_map(Attribute::Candidate),
        (token(), vec(any::<u8>(), 1..64))
            .prop_map(|(a, digest)| Attribute::Fingerprint(Fingerprint { algorithm: a.to_ascii_lowercase(), digest })),
        proptest::sample::select(vec![
            Attribute::ExtMapAllowMixed,
            Attribute::IceLite,
            Attribute::EndOfCandidates,
            Attribute::RtcpMux,
            Attribute::RtcpMuxOnly,
            Attribute::RtcpRsize,
            Attribute::Setup(Setup::ActPass),
            Attribute::Setup(Setup::Active),
            Attribute::Setup(Setup::Passive),
            Attribute::Setup(Setup::HoldConn),
        ]),
        any::<u16>().prop_map(Attribute::SctpPort),
        any::<u64>().prop_map(Attribute::MaxMessageSize),
    ]
}

fn stream_attribute() -> impl Strategy<Value = Attribute> {
    let pt = 0..128u8;
    prop_oneof![
        (token(), vec(token(), 0..4)).prop_map(|(semantics, mids)| Attribute::Group { semantics, mids }),
        token().prop_map(Attribute::Mid),
        (pt.clone(), token(), any::<u32>(), option::of(any::<u8>())).prop_map(
            |(payload_type, name, clock, channels)| Attribute::RtpMap(RtpMap { payload_type, name, clock, channels })
        ),
        (pt.clone(), text()).prop_map(|(payload_type, params)| Attribute::Fmtp { payload_type, params }),
        (option::of(pt), text()).prop_map(|(payload_type, value)| Attribute::RtcpFb { payload_type, value }),
        (1..=255u8, option::of(direction()), token(), option::of(text()))
            .prop_map(|(id, direction, uri, params)| Attribute::ExtMap(ExtMap { id, direction, uri, params })),
        (any::<u32>(), token(), option::of(text())).prop_map(|(ssrc, name, value)| Attribute::Ssrc {
            ssrc,
            name,
            value
        }),
        (token(), vec(any::<u32>(), 0..4)).prop_map(|(semantics, ssrcs)| Attribute::SsrcGroup { semantics, ssrcs }),
        (token(), option::of(token())).prop_map(|(stream, track)| Attribute::Msid { stream, track }),
        (rid_id(), any::<bool>(), option::of(text())).prop_map(|(id, send, params)| {
            let direction = if send { RidDirection::Send } else { RidDirection::Recv };
            Attribute::Rid(Rid { id, direction, params })
        }),
        (streams(), any::<bool>(), option::of(streams())).prop_map(|(a, first, b)| {
            let b = b.unwrap_or_default();
            Attribute::Simulcast(if first { Simulcast { send: a, recv: b } } else { Simulcast { send: b, recv: a } })
        }),
        direction().prop_map(Attribute::Direction),
        vec(token(), 1..3).prop_map(Attribute::Content),
        (token(), option::of(text())).prop_map(|(name, value)| Attribute::Other { name: format!("x-{name}"), value }),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    vec(prop_oneof![transport_attribute(), stream_attribute()], 0..12)
}

fn connection() -> impl Strategy<Value = Connection> {
    (any::<bool>(), token()).prop_map(|(ipv6, address)| Connection { ipv6, address })
}

fn bandwidth() -> impl Strategy<Value = Vec<Bandwidth>> {
    vec((token(), any::<u64>()).prop_map(|(kind, value)| Bandwidth { kind, value }), 0..3)
}

fn media() -> impl Strategy<Value = Media> {
    let head = (token(), any::<u16>(), token(), vec(token(), 1..5));
    (head, option::of(connection()), bandwidth(), attributes()).prop_map(
        |((kind, port, protocol, formats), connection, bandwidth, attributes)| Media {
            kind,
            port,
            protocol,
            formats,
            connection,
            bandwidth,
            attributes,
        },
    )
}

fn session() -> impl Strategy<Value = Session> {
    let origin = (token(), any::<u64>(), any::<u64>(), connection()).prop_map(
        |(username, session_id, session_version, address)| Origin { username, session_id, session_version, address },
    );
    let head = (origin, text(), option::of(connection()), bandwidth(), any::<(u64, u64)>());
    (head, attributes(), vec(media(), 0..5)).prop_map(
        |((origin, name, connection, bandwidth, timing), attributes, media)| Session {
            origin,
            name,
            connection,
            bandwidth,
            timing,
            attributes,
            media,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(session in session()) {
        prop_assert_eq!(Session::parse(&session.to_string()), Ok(session));
    }

    #[test]
    fn any_text_gives_a_value_or_an_error(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Session::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_offer_gives_a_value_or_an_error_and_what_is_read_is_written_alike(
        at in any::<proptest::sample::Index>(), with in vec(any::<u8>(), 0..6), cut in 0..40usize,
    ) {
        let mut bytes = include_bytes!("fixtures/chromium_room.sdp").to_vec();
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with);
        if let Ok(session) = Session::parse(&String::from_utf8_lossy(&bytes)) {
            let text = session.to_string();
            prop_assert_eq!(Session::parse(&text), Ok(session));
        }
    }
}
