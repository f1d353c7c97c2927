//! The protocol of one event WebSocket, pure: what the client says, what happens and the time go in; messages come out.
//!
//! ```text
//! subscribeRequest ─► ack ─► pending ─► active ─► add … ─► update, remove … ─► deactivated
//!                      └► ack "error" (nothing changes)  └► deactivated at once: no such call
//! ```
//! The list of a request is the whole wish (CMS-11); the same resource under the same index is kept (CMS-12). A client that
//! leaves too much, or anything for too long, without an ack is closed (CMS-18), so what is kept for it is bounded. One
//! resource can be subscribed to once: the size of what is told follows from the calls, not from the client.

use super::elements::{CALL, OF_CALLS, PERSON, Val, mask};
use super::messages::{Acked, Asked, Frame, State, Told, Update, Wished, ack, message, number_of};
use super::world::{Change, What, World};
use crate::events::Observed;
use plenum_model::{MeetingId, ParticipantId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Updates in one message. A call of ten thousand is told in 40.
const IN_ONE: usize = 256;
/// How long a client may stay without having subscribed to anything, in milliseconds: there are few places.
pub(super) const IDLE_MS: u64 = 60_000;

/// Limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Subscriptions (CMS-6).
    pub(super) subscriptions: usize,
    /// Messages of ours without an ack.
    pub(super) unacked: usize,
    /// How long one of them may be, in milliseconds.
    pub(super) ack_ms: u64,
}

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    Calls,
    Info(MeetingId),
    Roster(MeetingId),
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    resource: Resource,
    elements: u32,
}

/// Why a connection ends: WebSocket code and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closing(pub(super) u16, pub(super) String);

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    rules: Rules,
    world: World,
    subscriptions: BTreeMap<u64, Subscription>,
    began_ms: u64,
    ever_subscribed: bool,
    last: u64,
    /// Messages of ours without an ack, with the time they were sent at.
    unacked: BTreeMap<u64, u64>,
    out: Vec<String>,
    closing: Option<Closing>,
}

impl Session {
    /// A connection that knows of nothing yet: the picture of what is comes by [`Session::happened`].
    pub(super) fn new(rules: Rules, bridge: Arc<str>, now_ms: u64) -> Session {
        Session {
            rules,
            world: World::new(bridge),
            subscriptions: BTreeMap::new(),
            began_ms: now_ms,
            ever_subscribed: false,
            last: 0,
            unacked: BTreeMap::new(),
            out: Vec::new(),
            closing: None,
        }
    }

    /// The client said this.
    pub(super) fn received(&mut self, now_ms: u64, text: &str) {
        match serde_json::from_str::<Frame>(text) {
            Ok(Frame { kind, ack: Some(Acked { message_id }), .. }) if kind == "messageAck" => {
                self.unacked.remove(&message_id);
            }
            Ok(Frame { kind, message: Some(asked), .. }) if kind == "message" => self.asked(now_ms, asked),
            Ok(Frame { kind, message, .. }) => {
                let reason = format!("type {kind:?} with the body of that name is neither message nor messageAck");
                self.refuse(message.map(|asked| asked.message_id), &reason);
            }
            Err(error) => self.refuse(number_of(text), &format!("This is no message: {error}")),
        }
    }

    /// This happened; the first time it is the picture of what is.
    pub(super) fn happened(&mut self, now_ms: u64, happened: &[Observed]) {
        let changes = self.world.apply(happened);
        if changes.is_empty() {
            return;
        }
        let mut over = Vec::new();
        let all: Vec<(u64, Subscription)> = self.subscriptions.iter().map(|(index, one)| (*index, *one)).collect();
        for (index, subscription) in all {
            if !self.tell_changes(now_ms, index, subscription, &changes) {
                over.push(index);
            }
        }
        for index in &over {
            self.subscriptions.remove(index);
        }
        self.tell_states(now_ms, over.into_iter().map(|index| State { index, state: "deactivated" }).collect());
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now_ms: u64) {
        if let Some((number, sent)) = self.unacked.first_key_value()
            && now_ms >= sent + self.rules.ack_ms
        {
            let seconds = self.rules.ack_ms / 1000;
            self.close(1008, format!("message {number} was not acknowledged within {seconds} s"));
        }
        if !self.ever_subscribed && now_ms >= self.began_ms + IDLE_MS {
            self.close(1008, format!("no subscription within {} s", IDLE_MS / 1000));
        }
    }

    /// When [`Session::tick`] is next of use.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let ack = self.unacked.values().min().map(|sent| sent + self.rules.ack_ms);
        let idle = (!self.ever_subscribed).then_some(self.began_ms + IDLE_MS);
        ack.into_iter().chain(idle).min()
    }

    /// What is to be sent, in this order.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.out)
    }

    /// Why the connection is to end, once what was taken is sent.
    pub(super) fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    fn asked(&mut self, now_ms: u64, asked: Asked) {
        let number = asked.message_id;
        if asked.kind != "subscribeRequest" {
            return self.refuse(Some(number), "the only message that a client sends is subscribeRequest");
        }
        match self.wishes(asked.subscriptions.unwrap_or_default()) {
            Err(reason) => self.refuse(Some(number), &reason),
            Ok(wishes) => {
                self.out.push(ack(Some(number), None));
                self.subscribe(now_ms, wishes);
            }
        }
    }

    fn refuse(&mut self, number: Option<u64>, reason: &str) {
        self.out.push(ack(number, Some(reason)));
    }

    /// The wishes of a request, or why they cannot be.
    fn wishes(&self, wished: Vec<Wished>) -> Result<BTreeMap<u64, Subscription>, String> {
        let most = self.rules.subscriptions;
        if wished.len() > most {
            return Err(format!("at most {most} subscriptions for one connection"));
        }
        let mut wishes = BTreeMap::new();
        let mut resources = BTreeSet::new();
        for Wished { index, kind, call, elements } in wished {
            let call = || {
                let call = call.as_deref().ok_or_else(|| format!("index {index}: {kind} needs call"))?;
                MeetingId::parse(call).ok_or_else(|| format!("index {index}: call is no GUID"))
            };
            let (resource, names) = match kind.as_str() {
                "calls" => (Resource::Calls, &CALL[..OF_CALLS]),
                "callInfo" => (Resource::Info(call()?), &CALL[..]),
                "callRoster" => (Resource::Roster(call()?), &PERSON[..]),
                _ => return Err(format!("index {index}: type is none of calls, callInfo, callRoster")),
            };
            if !resources.insert(resource) {
                return Err(format!("index {index}: this resource is in the request twice"));
            }
            let elements = mask(&elements.unwrap_or_default(), names);
            if wishes.insert(index, Subscription { resource, elements }).is_some() {
                return Err(format!("index {index} is in the request twice"));
            }
        }
        Ok(wishes)
    }

    /// CMS-10 to CMS-13: what is no longer wished for ends, what is kept stays, the rest begins.
    fn subscribe(&mut self, now_ms: u64, wishes: BTreeMap<u64, Subscription>) {
        self.ever_subscribed |= !wishes.is_empty();
        let before = std::mem::replace(&mut self.subscriptions, wishes);
        let kept = |index: u64, one: &Subscription| {
            before.get(&index).filter(|old| old.resource == one.resource).map(|old| old.elements)
        };
        let ended = before.keys().filter(|index| !self.subscriptions.contains_key(index));
        let mut first: Vec<State> = ended.map(|index| State { index: *index, state: "deactivated" }).collect();
        let mut second = Vec::new();
        let mut grown: Vec<(u64, Subscription)> = Vec::new();
        let mut fresh: Vec<(u64, Subscription)> = Vec::new();
        for (index, one) in &self.subscriptions {
            let index = *index;
            match kept(index, one) {
                Some(elements) => {
                    first.push(State { index, state: "active" });
                    grown.push((index, Subscription { elements: one.elements & !elements, ..*one }));
                    second.push(State { index, state: "active" });
                }
                None => {
                    first.push(State { index, state: "pending" });
                    let there = self.exists(one.resource);
                    second.push(State { index, state: if there { "active" } else { "deactivated" } });
                    fresh.push((index, *one));
                }
            }
        }
        self.tell_states(now_ms, first);
        if !fresh.is_empty() {
            self.tell_states(now_ms, second);
        }
        for (index, one) in fresh {
            if self.exists(one.resource) {
                self.tell_all(now_ms, index, one);
            } else {
                self.subscriptions.remove(&index);
            }
        }
        for (index, more) in grown.into_iter().filter(|(_, more)| more.elements != 0) {
            self.tell_more(now_ms, index, more);
        }
    }

    fn exists(&self, resource: Resource) -> bool {
        match resource {
            Resource::Calls => true,
            Resource::Info(call) | Resource::Roster(call) => self.world.call(call).is_some(),
        }
    }

    /// CMS-19: everything that is, as `add`.
    fn tell_all(&mut self, now_ms: u64, index: u64, one: Subscription) {
        let all = self.everything(one.resource);
        let changes = all.into_iter().map(|key| (key, What::Added)).collect();
        self.tell_updates(now_ms, index, one, changes);
    }

    /// A kept subscription wishes for more elements than before: their values, as `update`.
    fn tell_more(&mut self, now_ms: u64, index: u64, more: Subscription) {
        let all = self.everything(more.resource);
        let changes = all.into_iter().map(|key| (key, What::Changed(more.elements))).collect();
        self.tell_updates(now_ms, index, more, changes);
    }

    /// Every call or participant of a resource.
    fn everything(&self, resource: Resource) -> Vec<Key> {
        match resource {
            Resource::Calls => self.world.calls().map(|(call, _)| (call, None)).collect(),
            Resource::Info(call) => vec![(call, None)],
            Resource::Roster(id) => {
                let call = self.world.call(id);
                call.into_iter().flat_map(|call| call.people.keys()).map(|person| (id, Some(*person))).collect()
            }
        }
    }

    /// What of `changes` is for a subscription. `false` = its call is over.
    fn tell_changes(&mut self, now_ms: u64, index: u64, one: Subscription, changes: &[Change]) -> bool {
        let mut goes_on = true;
        // What happens to one of them at one time is told once; who came and went meanwhile is not told at all.
        let mut latest: BTreeMap<Key, usize> = BTreeMap::new();
        let mut told: Vec<(Key, What)> = Vec::new();
        for Change { call, person, what } in changes {
            let (wanted, own) = match one.resource {
                Resource::Calls => (person.is_none(), false),
                Resource::Info(id) => (person.is_none() && *call == id, true),
                Resource::Roster(id) => (person.is_some() && *call == id, false),
            };
            let over = person.is_none() && matches!(what, What::Removed(_));
            if over && matches!(one.resource, Resource::Info(id) | Resource::Roster(id) if id == *call) {
                goes_on = false;
            }
            if !wanted || (own && over) {
                continue;
            }
            let key = (*call, *person);
            match (latest.get(&key).map(|at| &mut told[*at].1), what) {
                (Some(What::Added), What::Changed(_)) => {}
                (Some(What::Changed(before)), What::Changed(mask)) => *before |= mask,
                (Some(before @ What::Added), What::Removed(_)) => {
                    *before = What::Changed(0);
                    latest.remove(&key);
                }
                _ => {
                    latest.insert(key, told.len());
                    told.push((key, what.clone()));
                }
            }
        }
        self.tell_updates(now_ms, index, one, told);
        goes_on
    }

    fn tell_updates(&mut self, now_ms: u64, index: u64, one: Subscription, changes: Vec<(Key, What)>) {
        let updates = changes.into_iter().filter_map(|(key, what)| self.update(one, key, what));
        let mut updates: Vec<Update> = updates.collect();
        if matches!(one.resource, Resource::Info(_)) {
            for update in updates {
                let call_info = Update { kind: None, ..update };
                self.send(now_ms, &Told::Info { subscription_index: index, call_info });
            }
            return;
        }
        while !updates.is_empty() {
            let rest = updates.split_off(updates.len().min(IN_ONE));
            let updates = std::mem::replace(&mut updates, rest);
            let told = match one.resource {
                Resource::Roster(_) => Told::Roster { subscription_index: index, updates },
                _ => Told::Calls { subscription_index: index, updates },
            };
            self.send(now_ms, &told);
        }
    }

    /// CMS-14: one change with the elements that are wished for; `None` = nothing of it is.
    fn update(&self, one: Subscription, (id, person): Key, what: What) -> Option<Update> {
        let (kind, mask, reason) = match what {
            What::Added => ("add", one.elements, None),
            What::Changed(mask) if mask & one.elements == 0 => return None,
            What::Changed(mask) => ("update", mask & one.elements, None),
            What::Removed(reason) => ("remove", 0, reason),
        };
        let (of, id_text) = match person {
            Some(person) => ("participant", person.to_string()),
            None => ("call", id.to_string()),
        };
        let elements = if mask == 0 { Vec::new() } else { self.elements(one.resource, id, person, mask)? };
        Some(Update { of, id: id_text, kind: Some(kind), elements, reason })
    }

    fn elements(
        &self,
        resource: Resource,
        id: MeetingId,
        person: Option<ParticipantId>,
        mask: u32,
    ) -> Option<Vec<(&'static str, Val)>> {
        let call = self.world.call(id)?;
        let (names, values): (&[&'static str], &[Val]) = match person {
            Some(person) => (&PERSON, &call.people.get(&person)?.values),
            None => (&CALL, &call.values),
        };
        let wanted = names.iter().zip(values).enumerate().filter(|(at, _)| mask & (1 << at) != 0);
        let value = |value: &Val| if resource == Resource::Calls { value.of_calls() } else { value.clone() };
        Some(wanted.map(|(_, (name, of))| (*name, value(of))).collect())
    }

    fn tell_states(&mut self, now_ms: u64, subscriptions: Vec<State>) {
        if !subscriptions.is_empty() {
            self.send(now_ms, &Told::Subscriptions { subscriptions });
        }
    }

    fn send(&mut self, now_ms: u64, told: &Told) {
        if self.closing.is_some() {
            return;
        }
        if self.unacked.len() >= self.rules.unacked {
            return self.close(1008, format!("more than {} messages are not acknowledged", self.rules.unacked));
        }
        self.last += 1;
        self.unacked.insert(self.last, now_ms);
        self.out.push(message(self.last, told));
    }

    fn close(&mut self, code: u16, reason: String) {
        self.closing.get_or_insert(Closing(code, reason));
    }
}

/// A call, or a participant of it.
type Key = (MeetingId, Option<ParticipantId>);

/// See [`super::parse_any_message`]: lines of `text` are messages to a connection that sees no call. Whatever they are, it
/// answers with few messages, all of them JSON, and keeps at most what it may.
pub(super) fn take_any(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let rules = Rules { subscriptions: 3, unacked: 8, ack_ms: 30_000 };
    let mut session = Session::new(rules, "bridge".into(), 0);
    for (at, line) in text.lines().enumerate() {
        session.received(at as u64, line);
        session.tick(at as u64);
        let told = session.take();
        assert!(told.len() <= 3, "ack, pending, active: {told:?}");
        assert!(told.iter().all(|one| serde_json::from_str::<serde_json::Value>(one).is_ok()), "{told:?}");
        assert!(session.subscriptions.len() <= rules.subscriptions && session.unacked.len() <= rules.unacked);
    }
}
