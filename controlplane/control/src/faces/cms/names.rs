//! Words of this family: layouts, states and reasons, mapped both ways between spec/cms.md and the model.

use plenum_model::{Kind, LayoutName, ParticipantView, ServiceState};

/// The thirteen layouts of CMS-22.
pub(super) const LAYOUTS: [&str; 13] = [
    "allEqual",
    "speakerOnly",
    "telepresence",
    "stacked",
    "allEqualQuarters",
    "allEqualNinths",
    "allEqualSixteenths",
    "allEqualTwentyFifths",
    "onePlusFive",
    "onePlusSeven",
    "onePlusNine",
    "automatic",
    "onePlusN",
];

/// Layouts that one name of both families means.
const SAME: [(&str, &str); 11] = [
    ("1:0", "speakerOnly"),
    ("stacked", "stacked"),
    ("allEqual", "allEqual"),
    ("onePlusN", "onePlusN"),
    ("4:0", "allEqualQuarters"),
    ("9:0", "allEqualNinths"),
    ("16:0", "allEqualSixteenths"),
    ("25:0", "allEqualTwentyFifths"),
    ("1:5", "onePlusFive"),
    ("1:7", "onePlusSeven"),
    ("1:9", "onePlusNine"),
];

/// What this family calls a layout: the name that means it alone, else that of its kin.
pub(super) fn layout_word(layout: LayoutName) -> &'static str {
    let same = SAME.iter().find(|(ours, _)| *ours == layout.as_str());
    match (same, layout.as_str()) {
        (Some((_, theirs)), _) => theirs,
        (None, "2:0" | "3:0") => "allEqual",
        (None, _) => "onePlusN",
    }
}

/// What a client wishes who names a layout: `Some(None)` = no choice of their own; `None` = no such name.
pub(super) fn layout_wish(word: &str) -> Option<Option<LayoutName>> {
    let known = LAYOUTS.contains(&word).then(|| LayoutName::parse(word))?;
    Some(known.filter(|_| word != "automatic"))
}

/// CMS-22 `state`. Whoever waits, or only steers, has no signalling that is done.
pub(super) fn state(view: &ParticipantView) -> &'static str {
    match view.state {
        ServiceState::Connecting => "ringing",
        ServiceState::WaitingRoom => "initial",
        ServiceState::Conference if view.has_media || view.outgoing => "connected",
        ServiceState::Conference => "initial",
    }
}

/// CMS-20 `callType`.
pub(super) fn call_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Permanent | Kind::Scheduled { .. } => "coSpace",
        Kind::AdHoc => "adHoc",
    }
}

/// The user part of an address: without scheme, host and parameters.
pub(super) fn user_part(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(scheme, rest)| match scheme {
        "sip" | "sips" | "tel" | "h323" | "xmpp" | "rtmp" | "rtmps" | "rtsp" => rest.trim_start_matches('/'),
        _ => uri,
    });
    let user = rest.split(['@', ';', '?']).next().unwrap_or(rest);
    user.split('/').next().unwrap_or(user)
}

/// Words of CMS-16 `reason` (D11) for our own end reasons. docs/integrators.md explains them.
pub(super) const REASONS: [(&str, &str); 11] = [
    ("Participant left", "participantLeft"),
    ("API initiated participant disconnect", "apiInitiatedTeardown"),
    ("Session expired", "sessionExpired"),
    ("Conference terminated by a host", "callEnded"),
    ("Conference deleted", "coSpaceDeleted"),
    ("The time of this conference is over", "callTimeOver"),
    ("No participants can keep conference alive", "nobodyKeepsCallAlive"),
    ("No answer", "noAnswer"),
    ("The server is shutting down", "serverShutdown"),
    (MOVED, "moved"),
    ("", "remoteTeardown"),
];

/// The reason of who was moved to another conference.
pub(super) const MOVED: &str = "moved";

/// The word of an end reason; one that we have no word for was given by the other side.
pub(super) fn reason(text: &str) -> &'static str {
    REASONS.iter().find(|(ours, _)| *ours == text).map_or("remoteTeardown", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::layout::LAYOUTS as OURS;

    #[test]
    fn cms_22_every_layout_of_ours_has_one_of_the_thirteen_names_and_every_name_gives_a_layout() {
        for ours in OURS {
            let layout = LayoutName::parse(ours).unwrap();
            let word = layout_word(layout);
            assert!(LAYOUTS.contains(&word), "{ours}: {word}");
            if SAME.iter().any(|(same, _)| same == ours) {
                assert_eq!(layout_wish(word), Some(Some(layout)));
            }
        }
        for word in LAYOUTS {
            let wish = layout_wish(word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(wish.is_none(), word == "automatic");
        }
        assert_eq!(layout_wish("onePlusTwo"), None);
    }

    #[test]
    fn cms_22_uri_is_the_user_part() {
        for (uri, user) in [
            ("sip:bob@example.com;transport=tls", "bob"),
            ("bob@example.com", "bob"),
            ("tel:+4930123", "+4930123"),
            ("rtmp://live.example.com/x", "live.example.com"),
            ("2001", "2001"),
            ("", ""),
        ] {
            assert_eq!(user_part(uri), user, "{uri}");
        }
    }

    /// CMS-16 (D11): the manual explains every word.
    #[test]
    fn every_reason_is_in_the_manual() {
        let manual = include_str!("../../../../../docs/integrators.md");
        for (_, word) in REASONS {
            assert!(manual.contains(&format!("`{word}`")), "{word}");
        }
    }
}
