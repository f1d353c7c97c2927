//! Who acts in the stories: a server with a real model and one connection to it, and a client that reads what it is told as
//! JSON and acknowledges it. Time moves by hand.

use super::super::session::{Closing, Rules, Session};
use crate::events::{Entry, Observed};
use plenum_model::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const RULES: Rules = Rules { subscriptions: 100, unacked: 50, ack_ms: 30_000 };
pub(super) const BRIDGE: &str = "00000000-0000-0000-0000-0000000000b1";

/// A server with one connection to it.
pub(super) struct Story {
    pub(super) model: Model,
    pub(super) now: Now,
    next: u8,
    pub(super) session: Session,
    pub(super) acks: bool,
}

pub(super) fn observed(conference: ConferenceKey, events: impl IntoIterator<Item = (Audience, EventBody)>) -> Observed {
    let entries = events.into_iter().map(|(audience, body)| Arc::new(Entry::new(1, audience, body)));
    Observed { conference, entries: entries.collect() }
}

impl Story {
    pub(super) fn new() -> Story {
        Story::with(RULES)
    }

    pub(super) fn with(rules: Rules) -> Story {
        Story {
            model: Model::new(Limits::default(), 1),
            now: Now { ms: 0, unix: 1_700_000_000 },
            next: 0,
            session: Session::new(rules, BRIDGE.into(), 0),
            acks: true,
        }
    }

    pub(super) fn number(&mut self) -> u8 {
        self.next += 1;
        self.next
    }

    /// The model acts; what it tells reaches the connection at one time.
    pub(super) fn act(&mut self, action: Action) -> Outcome {
        let effects = self.model.apply(self.now, action);
        let mut happened: BTreeMap<ConferenceKey, Vec<_>> = BTreeMap::new();
        for event in effects.events {
            happened.entry(event.conference).or_default().push((event.audience, event.body));
        }
        let happened: Vec<Observed> = happened.into_iter().map(|(key, events)| observed(key, events)).collect();
        self.session.happened(self.now.ms, &happened);
        effects.outcome.unwrap()
    }

    pub(super) fn room(&mut self, number: &str) -> ConferenceKey {
        let id = ConferenceId([self.number(); 16]);
        let settings = Settings { name: format!("Room {number}"), aliases: vec![number.into()], ..Settings::default() };
        match self.act(Action::Create(NewConference { id, settings })) {
            Outcome::Created(key, _) => key,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn join(&mut self, alias: &str, name: &str) -> ParticipantId {
        let n = self.number();
        let join = Join {
            alias: alias.into(),
            pin: None,
            id: ParticipantId([n; 16]),
            token: TokenHash([n; 32]),
            display_name: name.into(),
            hidden: false,
            vendor: String::new(),
        };
        self.act(Action::Join(join));
        ParticipantId([n; 16])
    }

    pub(super) fn does(&mut self, conference: ConferenceKey, command: Command) {
        self.act(Action::Do { conference, by: By::Operator, command });
    }

    pub(super) fn to(&mut self, conference: ConferenceKey, target: ParticipantId, command: MemberCommand) {
        self.does(conference, Command::To { target, command });
    }

    pub(super) fn call(&self, conference: ConferenceKey) -> String {
        self.model.conference(conference).unwrap().meeting_id().unwrap().to_string()
    }

    pub(super) fn says(&mut self, text: &str) {
        self.session.received(self.now.ms, text);
    }

    pub(super) fn subscribe(&mut self, number: u64, subscriptions: Value) {
        let message = json!({"messageId": number, "type": "subscribeRequest", "subscriptions": subscriptions});
        self.says(&json!({"type": "message", "message": message}).to_string());
    }

    /// What the client is told; it acknowledges all of it.
    pub(super) fn told(&mut self) -> Vec<Value> {
        let texts = self.session.take();
        let told: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        if self.acks {
            for number in told.iter().filter_map(|value| value["message"]["messageId"].as_u64()) {
                let ack = json!({"messageId": number, "status": "success"});
                self.says(&json!({"type": "messageAck", "messageAck": ack}).to_string());
            }
        }
        told
    }

    /// The bodies of what the client is told.
    pub(super) fn bodies(&mut self) -> Vec<Value> {
        self.told().into_iter().map(|value| value["message"].clone()).filter(|body| !body.is_null()).collect()
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.ms += ms;
        self.session.tick(self.now.ms);
    }

    pub(super) fn closed(&self) -> Option<u16> {
        self.session.closing().map(|Closing(code, _)| *code)
    }
}

/// What a message says of each index, or of each participant or call.
pub(super) fn updates(body: &Value) -> Vec<(String, Value)> {
    let list = body["updates"].as_array().cloned().unwrap_or_default();
    list.into_iter().map(|update| (update["updateType"].as_str().unwrap().to_owned(), update)).collect()
}

pub(super) fn roster(call: &str, elements: Value) -> Value {
    json!([{"index": 1, "type": "callRoster", "call": call, "elements": elements}])
}
