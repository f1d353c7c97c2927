//! Request bodies, read with a forgiving hand: member names in any letter case (B3), booleans as words (B5), JSON or a form.
//!
//! What is there but cannot be read is refused with its name; what is not there is `None`.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Members nested deeper than this are refused by the parser (serde_json's own limit is 128); arrays are bounded by the
/// body's size.
const MEMBERS: usize = 256;

/// A body's members with lower-case names.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

/// JSON whose objects name nothing twice, at any depth: of two values, one would silently win, and a proxy that looked at the
/// other would have looked in vain. As deep as serde_json goes.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Strict, D::Error> {
        from.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = from.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = from.next_entry::<String, Strict>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} is there twice")));
            }
            members.insert(name, value);
        }
        Ok(members.into())
    }
}

/// Why a body cannot be used; words for the client.
pub(super) type Bad = String;

impl Fields {
    /// An empty body has no members. A JSON body must be an object; duplicate names (also in other letter case) are refused.
    pub(super) fn json(body: &[u8]) -> Result<Fields, Bad> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Fields::default());
        }
        let value: Strict = serde_json::from_slice(body).map_err(|error| format!("The body is no JSON: {error}"))?;
        match value.0 {
            Value::Null => Ok(Fields::default()),
            Value::Object(members) => Fields::of(members),
            _ => Err("The body must be a JSON object".into()),
        }
    }

    /// `a=1&b=2`.
    pub(super) fn form(body: &[u8]) -> Result<Fields, Bad> {
        let mut members = Map::new();
        for (name, value) in form_pairs(body).ok_or("The body is no form")? {
            if members.contains_key(&name) {
                return Err(format!("{name:?} is there twice"));
            }
            members.insert(name, Value::String(value));
        }
        Fields::of(members)
    }

    fn of(members: Map<String, Value>) -> Result<Fields, Bad> {
        if members.len() > MEMBERS {
            return Err(format!("The body has more than {MEMBERS} members"));
        }
        let mut fields = Map::new();
        for (name, value) in members {
            let name = name.to_lowercase();
            if fields.insert(name.clone(), value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(Fields(fields))
    }

    /// Text; numbers are taken as text too.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Bad> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(format!("{name} must be text")),
        }
    }

    /// Text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<String, Bad> {
        self.text(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    /// `true`, `false`, and their words in any letter case.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Bad> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => word(text).map(Some).ok_or_else(|| format!("{name} must be yes or no")),
            Some(Value::Number(number)) if number.as_u64().is_some_and(|n| n < 2) => {
                Ok(Some(number.as_u64() == Some(1)))
            }
            Some(_) => Err(format!("{name} must be yes or no")),
        }
    }

    /// A number, also written as text.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Bad> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(|| format!("{name} must be a number")),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| format!("{name} must be a number")),
            Some(_) => Err(format!("{name} must be a number")),
        }
    }

    /// A list of objects; `None` when it is not there.
    pub(super) fn objects(&self, name: &str, most: usize) -> Result<Option<Vec<Fields>>, Bad> {
        let list = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(format!("{name} must be a list")),
        };
        if list.len() > most {
            return Err(format!("{name} has more than {most} entries"));
        }
        let object = |value: &Value| match value {
            Value::Object(members) => Fields::of(members.clone()),
            _ => Err(format!("{name} must be a list of objects")),
        };
        list.iter().map(object).collect::<Result<_, _>>().map(Some)
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields>, Bad> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Fields::of(members.clone()).map(Some),
            Some(_) => Err(format!("{name} must be an object")),
        }
    }

    /// A list of texts; empty when it is not there.
    pub(super) fn texts(&self, name: &str, most: usize) -> Result<Vec<String>, Bad> {
        let list = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(format!("{name} must be a list")),
        };
        if list.len() > most {
            return Err(format!("{name} has more than {most} entries"));
        }
        list.iter()
            .map(|value| value.as_str().map(String::from).ok_or_else(|| format!("{name} must be a list of text")))
            .collect()
    }
}

/// Reads every member as everything that it may be.
pub(super) fn read_any(fields: &Fields) {
    for name in fields.0.keys() {
        let _ = (fields.text(name), fields.required(name), fields.flag(name), fields.number(name));
        let _ = (fields.objects(name, 8), fields.object(name), fields.texts(name, 8));
    }
}

fn word(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Pairs of a form or a query; `None` when it is no UTF-8.
pub(crate) fn form_pairs(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(text).ok()?;
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

/// Undoes percent-encoding; `plus` says whether `+` is a space. `None` when the result is no UTF-8.
pub(crate) fn decode(text: &str, plus: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
        match bytes[i] {
            b'%' => match (digit(i + 1), digit(i + 2)) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    i += 2;
                }
                _ => out.push(b'%'),
            },
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_names_are_read_in_any_letter_case_and_b5_booleans_as_words() {
        let fields = Fields::json(br#"{"Role":"chair","STREAMING":"yes","hideme":"no","n":"12","flag":true}"#).unwrap();
        assert_eq!(fields.text("role").unwrap().as_deref(), Some("chair"));
        assert_eq!(fields.flag("streaming").unwrap(), Some(true));
        assert_eq!(fields.flag("hideme").unwrap(), Some(false));
        assert_eq!(fields.flag("flag").unwrap(), Some(true));
        assert_eq!(fields.number("n").unwrap(), Some(12));
        assert_eq!(fields.text("absent").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let twice: [&[u8]; 3] = [br#"{"a":1,"a":2}"#, br#"{"a":1,"A":2}"#, br#"{"x":[{"a":{"b":1,"b":2}}]}"#];
        for body in [&b"[1]"[..], b"{", b"\"x\"", b"\xff"].into_iter().chain(twice) {
            assert!(Fields::json(body).is_err(), "{body:?}");
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(Fields::json(&deep).is_err());
        assert!(Fields::json(br#"{"a":[]}"#).unwrap().text("a").is_err());
        assert!(Fields::json(b" ").unwrap().text("a").unwrap().is_none());
    }

    #[test]
    fn mgmt_1_a_form_is_read_too() {
        let fields = Fields::form("joinAccount=1061&participantName=%E4%BC%9A+x&joinPwd=".as_bytes()).unwrap();
        assert_eq!(fields.text("participantname").unwrap().as_deref(), Some("会 x"));
        assert!(Fields::form(b"a=%ff").is_err());
        assert!(Fields::form(b"a=1&b=2&a=3").is_err());
        let kept = Fields::json(br#"{"a":-1.5,"b":[null,true,-2,3],"c":{"d":"e"}}"#).unwrap().0;
        assert_eq!(Value::Object(kept), serde_json::json!({"a": -1.5, "b": [null, true, -2, 3], "c": {"d": "e"}}));
        assert_eq!(decode("1061%40plenum.local+x%", false).as_deref(), Some("1061@plenum.local+x%"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_fields_or_a_reason(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Fields::json(&bytes);
            let _ = Fields::form(&bytes);
        }
    }
}
