//! Which payload types of an m-line are taken, and what of them is said in the answer.

use crate::attr::Attribute;
use crate::model::{Media, fmtp_value};
use plenum_contract::spec::CodecSpec;
use plenum_contract::{Codec, Kind};

/// A payload type that is taken: for the contract, and for the answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) spec: CodecSpec,
    /// Encoding name and clock as offered.
    pub(super) map: crate::RtpMap,
    /// Parameters as offered: all our codecs take what the peer says.
    pub(super) fmtp: Option<String>,
}

/// The payload types of `media` that `allowed` covers, in the order of `allowed`.
pub(super) fn choose(media: &Media, kind: Kind, allowed: &[Codec]) -> Vec<Taken> {
    let mut taken: Vec<(usize, Taken)> = Vec::new();
    for format in &media.formats {
        let Some(map) = format.parse().ok().and_then(|pt| rtpmap(media, pt)) else { continue };
        if taken.iter().any(|(_, t)| t.map.payload_type == map.payload_type) {
            continue;
        }
        let fmtp = media.fmtp(map.payload_type).map(str::to_owned);
        let Some((codec, rank)) = known(&map, fmtp.as_deref(), kind, allowed) else { continue };
        let Some(profile) = profile(codec, fmtp.as_deref().unwrap_or("")) else { continue };
        let spec = CodecSpec {
            payload_type: map.payload_type,
            codec,
            clock: map.clock,
            rtx: rtx_of(media, map.payload_type),
            profile,
            nack: false,
            pli: false,
            fir: false,
            twcc: false,
            remb: false,
        };
        let spec = with_feedback(media, spec);
        taken.push((rank, Taken { spec, map, fmtp }));
    }
    drop_plain_baseline(&mut taken);
    drop_orphaned_red(&mut taken);
    // Stable: payload types of one rank keep the offer's order.
    taken.sort_by_key(|(rank, _)| *rank);
    taken.into_iter().map(|(_, t)| t).collect()
}

/// `rtpmap` of a payload type, or what RFC 3551 says of it.
fn rtpmap(media: &Media, payload_type: u8) -> Option<crate::RtpMap> {
    let signalled = media.attributes.iter().find_map(|a| match a {
        Attribute::RtpMap(map) if map.payload_type == payload_type => Some(map.clone()),
        _ => None,
    });
    let fixed = |name: &str| crate::RtpMap { payload_type, name: name.into(), clock: 8_000, channels: None };
    signalled.or_else(|| match payload_type {
        0 => Some(fixed("PCMU")),
        8 => Some(fixed("PCMA")),
        9 => Some(fixed("G722")),
        _ => None,
    })
}

fn known(map: &crate::RtpMap, fmtp: Option<&str>, kind: Kind, allowed: &[Codec]) -> Option<(Codec, usize)> {
    let mode = fmtp.and_then(|params| fmtp_value(params, "mode"));
    let fits = |c: &Codec| match c {
        // RFC 3952 section 5: 30 where nothing is said; the answer has the mode of the offer.
        Codec::Ilbc => mode == Some("20"),
        Codec::Ilbc30 => mode.is_none_or(|mode| mode == "30"),
        _ => true,
    };
    let named = |c: &Codec| c.kind() == kind && c.rtpmap_name().eq_ignore_ascii_case(&map.name);
    let rank = allowed.iter().position(|c| named(c) && fits(c))?;
    let codec = allowed[rank];
    let clock = match codec {
        Codec::Opus | Codec::Red => map.clock == 48_000 && map.channels == Some(2),
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::G726 | Codec::Ilbc | Codec::Ilbc30 => map.clock == 8_000,
        Codec::TelephoneEvent => map.clock == 48_000 || map.clock == 8_000,
        Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => map.clock == 90_000,
    };
    // Whether a client sends RED is its choice, made by its order: Opus and RED count as one.
    let opus = allowed.iter().position(|c| *c == Codec::Opus);
    let rank = if codec == Codec::Red { opus? } else { rank };
    clock.then_some((codec, rank))
}

/// [`CodecSpec::profile`]; `None` for a profile that is not forwarded.
fn profile(codec: Codec, fmtp: &str) -> Option<u32> {
    let number = |key, default| fmtp_value(fmtp, key).map_or(Some(default), |v| v.parse().ok());
    match codec {
        Codec::H264 => h264_profile(fmtp),
        Codec::Vp9 => number("profile-id", 0),
        Codec::Av1 => number("profile", 0),
        Codec::H265 => number("profile-id", 1),
        _ => Some(0),
    }
}

/// Marks plain Baseline: taken only where Constrained Baseline is not offered in the same packetization mode.
const PLAIN_BASELINE: u32 = 1 << 31;
/// Constrained Baseline without its level; the packetization mode is added to it.
const CONSTRAINED_BASELINE: u32 = 0x42_e000;

/// [`CodecSpec::profile`] of H.264 parameters (RFC 6184 section 8.1, table 5): Constrained Baseline in packetization mode 0
/// or 1; bit 31 is set for plain Baseline. `None` for other profiles and for mode 2.
pub fn h264_profile(fmtp: &str) -> Option<u32> {
    let mode: u32 = match fmtp_value(fmtp, "packetization-mode") {
        None | Some("0") => 0,
        Some("1") => 1,
        Some(_) => return None,
    };
    let id = match fmtp_value(fmtp, "profile-level-id") {
        None => 0x42_000a,
        Some(v) if v.len() == 6 => u32::from_str_radix(v, 16).ok()?,
        Some(_) => return None,
    };
    let (idc, constraints) = ((id >> 16) as u8, (id >> 8) as u8);
    let constrained = match idc {
        0x42 => constraints & 0x4f == 0x40,
        0x4d => constraints & 0x8f == 0x80,
        0x58 => constraints & 0xcf == 0xc0,
        _ => false,
    };
    let plain = idc == 0x42 && constraints & 0x4f == 0;
    match (constrained, plain) {
        (true, _) => Some(CONSTRAINED_BASELINE | mode),
        (_, true) => Some(PLAIN_BASELINE | CONSTRAINED_BASELINE | mode),
        _ => None,
    }
}

/// No encoder in use makes the parts of Baseline that Constrained Baseline lacks, so a client that has Baseline alone is
/// served with it.
fn drop_plain_baseline(taken: &mut Vec<(usize, Taken)>) {
    let constrained: Vec<u32> =
        taken.iter().filter(|(_, t)| t.spec.codec == Codec::H264).map(|(_, t)| t.spec.profile).collect();
    taken.retain_mut(|(_, t)| {
        if t.spec.codec != Codec::H264 || t.spec.profile & PLAIN_BASELINE == 0 {
            return true;
        }
        t.spec.profile &= !PLAIN_BASELINE;
        !constrained.contains(&t.spec.profile)
    });
}

/// RED is of use only around a payload type that is taken (RFC 2198: `fmtp:63 111/111`).
fn drop_orphaned_red(taken: &mut Vec<(usize, Taken)>) {
    let opus: Vec<String> = taken
        .iter()
        .filter(|(_, t)| t.spec.codec == Codec::Opus)
        .map(|(_, t)| t.map.payload_type.to_string())
        .collect();
    taken.retain(|(_, t)| {
        let inner = t.fmtp.as_deref().unwrap_or_default().split('/').next().unwrap_or_default().trim_ascii();
        t.spec.codec != Codec::Red || opus.iter().any(|pt| pt == inner)
    });
}

/// The payload type of retransmissions (RFC 4588) of `payload_type`.
fn rtx_of(media: &Media, payload_type: u8) -> Option<u8> {
    media.attributes.iter().find_map(|a| match a {
        Attribute::RtpMap(map) if map.name.eq_ignore_ascii_case("rtx") => {
            let offered = media.formats.iter().any(|f| f.parse() == Ok(map.payload_type));
            let apt = fmtp_value(media.fmtp(map.payload_type)?, "apt")?.parse::<u8>().ok()?;
            (offered && apt == payload_type).then_some(map.payload_type)
        }
        _ => None,
    })
}

fn with_feedback(media: &Media, mut spec: CodecSpec) -> CodecSpec {
    for attribute in &media.attributes {
        let Attribute::RtcpFb { payload_type, value } = attribute else { continue };
        if payload_type.is_some_and(|pt| pt != spec.payload_type) {
            continue;
        }
        match value.trim_ascii() {
            "nack" => spec.nack = true,
            "nack pli" => spec.pli = true,
            "ccm fir" => spec.fir = true,
            "transport-cc" => spec.twcc = true,
            "goog-remb" => spec.remb = true,
            _ => {}
        }
    }
    // A peer that has transport-wide feedback is estimated by it alone.
    spec.remb &= !spec.twcc;
    spec.rtx = spec.rtx.filter(|_| spec.nack);
    spec
}

/// `rtpmap`, `fmtp` and `rtcp-fb` of a taken payload type and of its retransmissions.
pub(super) fn write(taken: &[Taken], out: &mut Media) {
    let fb =
        |payload_type: u8, value: &str| Attribute::RtcpFb { payload_type: Some(payload_type), value: value.into() };
    for Taken { spec, map, fmtp } in taken {
        let pt = spec.payload_type;
        out.formats.push(pt.to_string());
        out.attributes.push(Attribute::RtpMap(map.clone()));
        let said = [
            (spec.twcc, "transport-cc"),
            (spec.remb, "goog-remb"),
            (spec.fir, "ccm fir"),
            (spec.nack, "nack"),
            (spec.pli, "nack pli"),
        ];
        out.attributes.extend(said.iter().filter(|(on, _)| *on).map(|(_, value)| fb(pt, value)));
        out.attributes.extend(fmtp.iter().map(|params| Attribute::Fmtp { payload_type: pt, params: params.clone() }));
    }
    for Taken { spec, map, .. } in taken {
        let Some(rtx) = spec.rtx else { continue };
        out.formats.push(rtx.to_string());
        let rtx_map = crate::RtpMap { payload_type: rtx, name: "rtx".into(), clock: map.clock, channels: None };
        out.attributes.push(Attribute::RtpMap(rtx_map));
        out.attributes.push(Attribute::Fmtp { payload_type: rtx, params: format!("apt={}", spec.payload_type) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_profiles_are_told_apart_by_table_5_of_rfc_6184() {
        let with = |id: &str, mode: u32| h264_profile(&format!("packetization-mode={mode};profile-level-id={id}"));
        for constrained in ["42e01f", "42c015", "4d801f", "58c01e", "42E034"] {
            assert_eq!(with(constrained, 1), Some(0x42_e001), "{constrained}");
        }
        assert_eq!(with("42e01f", 0), Some(0x42_e000));
        assert_eq!(with("42001f", 1), Some(PLAIN_BASELINE | 0x42_e001));
        for other in ["4d001f", "64001f", "640c1f", "42e01", "zz001f"] {
            assert_eq!(with(other, 1), None, "{other}");
        }
        assert_eq!(with("42e01f", 2), None);
        assert_eq!(h264_profile(""), Some(PLAIN_BASELINE | 0x42_e000));
    }
}
