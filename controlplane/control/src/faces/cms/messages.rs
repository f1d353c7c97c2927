//! Messages of the event WebSocket (CMS-8 to CMS-17): what a client may say, and what we say, as JSON.

use super::elements::Val;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// What a client said.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: Option<Asked>,
    #[serde(rename = "messageAck")]
    pub(super) ack: Option<Acked>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    pub(super) message_id: u64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) subscriptions: Option<Vec<Wished>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Wished {
    pub(super) index: u64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) call: Option<String>,
    pub(super) elements: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Acked {
    pub(super) message_id: u64,
}

/// The number of a message that is wrong in another way, so that the refusal can name it.
pub(super) fn number_of(text: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("message")?.get("messageId")?.as_u64()
}

/// An answer to a client's message; `reason` = why it was refused.
pub(super) fn ack(message: Option<u64>, reason: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Outer<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(rename = "messageAck")]
        ack: Inner<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner<'a> {
        message_id: Option<u64>,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    }
    let status = if reason.is_none() { "success" } else { "error" };
    text(&Outer { kind: "messageAck", ack: Inner { message_id: message, status, reason } })
}

/// What we tell.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Told {
    #[serde(rename = "subscriptionUpdate")]
    Subscriptions { subscriptions: Vec<State> },
    #[serde(rename = "callListUpdate", rename_all = "camelCase")]
    Calls { subscription_index: u64, updates: Vec<Update> },
    #[serde(rename = "rosterUpdate", rename_all = "camelCase")]
    Roster { subscription_index: u64, updates: Vec<Update> },
    #[serde(rename = "callInfoUpdate", rename_all = "camelCase")]
    Info { subscription_index: u64, call_info: Update },
}

/// The state of one subscription.
#[derive(Debug, Serialize)]
pub(super) struct State {
    pub(super) index: u64,
    pub(super) state: &'static str,
}

/// One call, or one participant.
#[derive(Debug)]
pub(super) struct Update {
    /// `call` or `participant`.
    pub(super) of: &'static str,
    pub(super) id: String,
    /// `add`, `update`, `remove`; `None` in `callInfo`, which is one object.
    pub(super) kind: Option<&'static str>,
    pub(super) elements: Vec<(&'static str, Val)>,
    pub(super) reason: Option<&'static str>,
}

impl Serialize for Update {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry(self.of, &self.id)?;
        if let Some(kind) = self.kind {
            map.serialize_entry("updateType", kind)?;
        }
        for (name, value) in &self.elements {
            map.serialize_entry(name, value)?;
        }
        if let Some(reason) = self.reason {
            map.serialize_entry("reason", reason)?;
        }
        map.end()
    }
}

/// A message of ours with its number.
pub(super) fn message(number: u64, told: &Told) -> String {
    #[derive(Serialize)]
    struct Outer<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        message: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        #[serde(rename = "messageId")]
        number: u64,
        #[serde(flatten)]
        told: &'a Told,
    }
    text(&Outer { kind: "message", message: Inner { number, told } })
}

fn text(value: &impl Serialize) -> String {
    // Every value above can be written: names are text and nothing is borrowed from a client.
    serde_json::to_string(value).unwrap_or_default()
}
