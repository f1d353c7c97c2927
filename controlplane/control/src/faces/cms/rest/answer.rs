//! Answers of the REST API: XML, `Location`, and `failureDetails` with a reason in words.

use crate::driver::Failure;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plenum_model::Refusal;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// An element with either text or children.
#[derive(Debug)]
pub(super) struct Node {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
    text: Option<String>,
}

impl Node {
    pub(super) fn new(name: &'static str) -> Node {
        Node { name, attributes: Vec::new(), children: Vec::new(), text: None }
    }

    pub(super) fn with(mut self, attribute: &'static str, value: impl ToString) -> Node {
        self.attributes.push((attribute, value.to_string()));
        self
    }

    pub(super) fn child(mut self, child: Node) -> Node {
        self.children.push(child);
        self
    }

    pub(super) fn children(mut self, children: impl IntoIterator<Item = Node>) -> Node {
        self.children.extend(children);
        self
    }

    /// A child that has text alone.
    pub(super) fn text(self, name: &'static str, text: impl ToString) -> Node {
        self.child(Node { text: Some(text.to_string()), ..Node::new(name) })
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let mut element = writer.create_element(self.name);
        for (name, value) in &self.attributes {
            element = element.with_attribute((*name, plain(value).as_str()));
        }
        match &self.text {
            Some(text) => element.write_text_content(BytesText::new(&plain(text)))?,
            None if self.children.is_empty() => element.write_empty()?,
            None => {
                element.write_inner_content(|writer| self.children.iter().try_for_each(|child| child.write(writer)))?
            }
        };
        Ok(())
    }

    /// The document.
    pub(super) fn document(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        // Writing to memory cannot fail.
        let _ = writer.write_event(Event::Decl(BytesDecl::new("1.0", None, None)));
        let _ = self.write(&mut writer);
        String::from_utf8(writer.into_inner()).unwrap_or_default()
    }
}

/// Without the characters that XML 1.0 has no place for.
fn plain(text: &str) -> String {
    let char = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(char).collect()
}

impl IntoResponse for Node {
    fn into_response(self) -> Response {
        let mut answer = self.document().into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
        answer
    }
}

/// 200 without a body.
pub(super) fn done() -> Response {
    StatusCode::OK.into_response()
}

/// 200 with the address of what was made.
pub(super) fn made(kind: &str, id: impl ToString) -> Response {
    let mut answer = done();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/{kind}/{}", id.to_string())) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Why something was not done.
#[derive(Debug)]
pub(in crate::faces::cms) struct Fail {
    status: StatusCode,
    kind: &'static str,
    /// The parameter that is wrong, and in which way.
    parameter: Option<(String, &'static str)>,
    reason: String,
}

impl Fail {
    pub(in crate::faces::cms) fn new(kind: &'static str, reason: impl Into<String>) -> Fail {
        Fail { status: StatusCode::BAD_REQUEST, kind, parameter: None, reason: reason.into() }
    }

    pub(super) fn parameter(name: &str, error: &'static str, reason: impl Into<String>) -> Fail {
        Fail { parameter: Some((name.into(), error)), ..Fail::new("parameterError", reason) }
    }

    /// It needs a part that is not there.
    pub(super) fn lacks(name: &str, reason: impl Into<String>) -> Fail {
        Fail::parameter(name, "notSupported", reason)
    }

    pub(super) fn no_such(kind: &'static str) -> Fail {
        Fail::new(kind, "there is none of this GUID")
    }

    /// No such address.
    pub(super) fn unknown() -> Fail {
        Fail { status: StatusCode::NOT_FOUND, ..Fail::new("unrecognisedObject", "nothing is served at this address") }
    }

    /// No place, or no time, at the moment.
    pub(in crate::faces::cms) fn busy(kind: &'static str, reason: impl Into<String>) -> Fail {
        Fail { status: StatusCode::SERVICE_UNAVAILABLE, ..Fail::new(kind, reason) }
    }

    pub(super) fn method() -> Fail {
        let reason = "this address does not take this method";
        Fail { status: StatusCode::METHOD_NOT_ALLOWED, ..Fail::new("invalidOperation", reason) }
    }
}

impl From<Failure> for Fail {
    fn from(failure: Failure) -> Fail {
        match failure {
            Failure::Refused(refusal) => refused(refusal),
            other => Fail::busy("databaseNotReady", other.to_string()),
        }
    }
}

fn refused(refusal: Refusal) -> Fail {
    match refusal {
        Refusal::NoSuchConference => Fail::no_such("callDoesNotExist"),
        Refusal::NoSuchParticipant => Fail::no_such("participantDoesNotExist"),
        Refusal::NoSuchCall => Fail::no_such("callLegDoesNotExist"),
        Refusal::AliasTaken(alias) => Fail::new("duplicateCoSpaceUri", format!("another coSpace has {alias}")),
        Refusal::Limit(reason) => Fail::new("participantLimitReached", reason),
        Refusal::WrongPin => Fail::new("notPermitted", "the passcode of the other coSpace does not give this role"),
        Refusal::BadValue(reason) | Refusal::NotAvailable(reason) | Refusal::NotNow(reason) => {
            Fail::new("invalidOperation", reason)
        }
        _ => Fail::new("notPermitted", "this cannot be done here"),
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let mut detail = Node::new(self.kind);
        if let Some((parameter, error)) = self.parameter {
            detail = detail.with("parameter", parameter).with("error", error);
        }
        let mut answer = Node::new("failureDetails").child(detail.with("reason", self.reason)).into_response();
        *answer.status_mut() = self.status;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cms_25_names_with_any_characters_give_well_formed_xml() {
        let node = Node::new("calls")
            .with("total", 1)
            .child(Node::new("call").with("id", "a\"<").text("name", "A & <B> \u{1}\u{ffff} 会 \u{202e}"));
        let text = node.document();
        assert!(
            text.starts_with("<?xml version=\"1.0\"?><calls total=\"1\"><call id=\"a&quot;&lt;\"><name>A &amp; &lt;B"),
            "{text}"
        );
        assert!(!text.chars().any(char::is_control), "XML has no place for them");
        let mut reader = quick_xml::Reader::from_str(&text);
        while !matches!(reader.read_event().expect("well-formed"), Event::Eof) {}
    }
}
