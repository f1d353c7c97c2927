//! Bodies and queries of the REST API: forms, read strictly. What is twice there, malformed or of a wrong type is refused with
//! the parameter's name; what nobody asked for is refused too, so that a wish is never lost in silence.

use super::answer::Fail;
use crate::faces::mgmt::form_pairs;
use axum::http::{HeaderMap, header};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parameters of one body.
const PARAMETERS: usize = 64;

/// Parameters by name; each is taken once.
#[derive(Debug, Default)]
pub(super) struct Form(Mutex<BTreeMap<String, String>>);

impl Form {
    /// The form of a body.
    pub(super) fn body(headers: &HeaderMap, body: &[u8]) -> Result<Form, Fail> {
        let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
        let form = |kind: &str| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        };
        if !body.is_empty() && !kind.is_none_or(form) {
            return Err(Fail::new("invalidOperation", "bodies are application/x-www-form-urlencoded"));
        }
        Form::read(body)
    }

    /// `a=1&b=2`.
    pub(super) fn read(text: &[u8]) -> Result<Form, Fail> {
        let bad = |reason: &str| Fail::new("invalidOperation", reason);
        let hex = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
        if (0..text.len()).any(|at| text[at] == b'%' && !(hex(at + 1) && hex(at + 2))) {
            return Err(bad("the form has a % that two hexadecimal digits do not follow"));
        }
        let pairs = form_pairs(text).ok_or_else(|| bad("the form is no UTF-8"))?;
        if pairs.len() > PARAMETERS {
            return Err(bad("the form has more than 64 parameters"));
        }
        let mut form = BTreeMap::new();
        for (name, value) in pairs {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(bad("a parameter has no name"));
            }
            if form.insert(name.clone(), value).is_some() {
                return Err(Fail::parameter(&name, "duplicate", "the parameter is there twice"));
            }
        }
        Ok(Form(Mutex::new(form)))
    }

    /// What was not taken yet.
    fn left(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.left().remove(name)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fail> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fail::parameter(name, "invalid", "the value must be true or false")),
        }
    }

    /// A number; `Some(None)` = given without a value.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<Option<T>>, Fail> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(None)),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(Some(number))),
                Err(_) => Err(Fail::parameter(name, "invalid", "the value must be a number in range")),
            },
        }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Fail> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        known.map(Some).ok_or_else(|| Fail::parameter(name, "invalid", format!("the value must be one of {}", list())))
    }

    /// A GUID.
    pub(super) fn guid<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fail> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| Fail::parameter(name, "invalid", "the value must be a GUID"))
    }

    /// What a missing part would be needed for: refused, unless it is switched off.
    pub(super) fn lacking(&self, name: &str, off: &[&str], reason: &str) -> Result<(), Fail> {
        match self.text(name) {
            Some(value) if !off.contains(&value.as_str()) => Err(Fail::lacks(name, reason)),
            _ => Ok(()),
        }
    }

    /// Takes everything there is, in every way: for fuzzing.
    pub(super) fn read_any(&self) {
        let all: Vec<(String, String)> = self.left().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        for (name, value) in all {
            let again = || drop(self.left().insert(name.clone(), value.clone()));
            let _ = self.flag(&name);
            again();
            let _ = self.number::<u8>(&name);
            again();
            let _ = self.word(&name, &[("true", 1)]);
            again();
            let _ = self.guid(&name, plenum_model::ParticipantId::parse);
            again();
            assert_eq!(self.text(&name).as_ref(), Some(&value));
        }
    }

    /// Whether everything was taken.
    pub(super) fn all_taken(&self) -> Result<(), Fail> {
        match self.left().keys().next() {
            None => Ok(()),
            Some(name) => Err(Fail::parameter(name, "unrecognised", "this server does not know the parameter here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cms_25_forms_are_read_strictly() {
        let form = Form::read(b"name=A+%26+B&rxAudioMute=true&importance=&limit=7").unwrap();
        assert_eq!(form.text("name").as_deref(), Some("A & B"));
        assert_eq!(form.flag("rxAudioMute").unwrap(), Some(true));
        assert_eq!(form.number::<u8>("importance").unwrap(), Some(None));
        assert_eq!(form.number::<u8>("limit").unwrap(), Some(Some(7)));
        assert_eq!(form.flag("absent").unwrap(), None);
        form.all_taken().unwrap();
        for bad in [&b"a=1&a=2"[..], b"a=%f", b"a=%zz", b"a=%ff", b"=x", b"%00=x"] {
            assert!(Form::read(bad).is_err(), "{bad:?}");
        }
        assert!(Form::read(b"x=yes").unwrap().flag("x").is_err());
        assert!(Form::read(b"x=300").unwrap().number::<u8>("x").is_err());
        assert!(Form::read(b"x=1").unwrap().all_taken().is_err(), "a wish is never lost in silence");
        let many: Vec<u8> = (0..PARAMETERS + 1).flat_map(|n| format!("p{n}=1&").into_bytes()).collect();
        assert!(Form::read(&many).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_form_or_a_reason(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Form::read(&bytes);
        }
    }
}
