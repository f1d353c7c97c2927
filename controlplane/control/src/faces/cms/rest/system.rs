//! `/system` and `/callProfiles`: how the server is, and the one profile that its calls have.

use super::Asked;
use super::answer::{Fail, Node};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::Ordering::Relaxed;

/// The GUID of the one profile.
pub(super) const PROFILE: &str = "00000000-0000-4000-8000-000000000001";
/// The release of the original whose interface this is (CMS-27).
const RELEASE: &str = "3.6";

pub(super) fn status(asked: &Asked) -> Response {
    let gauges = &asked.app.gauges;
    Node::new("status")
        .text("softwareVersion", format!("{RELEASE} (Plenum {})", env!("CARGO_PKG_VERSION")))
        .text("uptimeSeconds", asked.app.started.elapsed().as_secs())
        .text("activated", true)
        .text("clusterEnabled", false)
        .text("callBridge", &asked.app.cms.bridge)
        .text("callLegsActive", gauges.calls.load(Relaxed))
        .text("callsActive", gauges.active_conferences.load(Relaxed))
        .into_response()
}

pub(super) fn alarms(asked: &Asked) -> Response {
    let gauges = &asked.app.gauges;
    let all = [
        ("00000000-0000-4000-8000-0000000000a1", "mediaPlaneDown", gauges.media_up.load(Relaxed)),
        ("00000000-0000-4000-8000-0000000000a2", "databaseFailure", gauges.store_ok.load(Relaxed)),
    ];
    let active: Vec<Node> = all
        .into_iter()
        .filter(|(_, _, good)| !good)
        .map(|(id, kind, _)| Node::new("alarm").with("id", id).text("type", kind))
        .collect();
    Node::new("alarms").with("total", active.len()).children(active).into_response()
}

fn node(asked: &Asked) -> Node {
    Node::new("callProfile")
        .with("id", PROFILE)
        .text("participantLimit", asked.app.settings.limits.participants_per_conference)
        .text("messageBoardEnabled", true)
        .text("locked", false)
        .text("recordingMode", "disabled")
        .text("streamingMode", "disabled")
}

pub(super) fn profiles(asked: &Asked) -> Response {
    Node::new("callProfiles").with("total", 1).child(node(asked)).into_response()
}

pub(super) fn profile(asked: &Asked, id: &str) -> Result<Response, Fail> {
    if id != PROFILE {
        return Err(Fail::no_such("callProfileDoesNotExist"));
    }
    Ok(node(asked).into_response())
}

/// The profile follows from the settings of the server.
pub(super) fn fixed() -> Fail {
    Fail::new("notPermitted", "there is one callProfile, and it follows from the server's settings")
}
