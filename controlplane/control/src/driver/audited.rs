//! The audit log's side of a batch: who asked, what it is called, and what came of it.

use super::{Driver, Failure, Gauges, Reply, Request};
use crate::audit::{Class, Deed, Entry, Note, Origin, REFUSALS_A_SECOND, deed};
use crate::store::Write;
use plenum_model::{By, Refusal, Role};

/// Entries of the log between two looks at how many are kept.
const TRIM: u32 = 512;

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Auditor {
    written: u32,
    /// A second and the refused logins in it.
    refused: (u64, u32),
}

/// What is asked, before it is known what comes of it.
#[derive(Debug)]
pub(super) struct Asked {
    class: Class,
    who: String,
    via: &'static str,
    origin: Origin,
    deed: Deed,
}

impl Driver {
    /// What a request will be called; `None` = it steers nothing, or nobody asks who may steer.
    pub(super) fn deed(&self, origin: Origin, request: &Request) -> Option<Asked> {
        let deed = deed(request)?;
        if let Some(who) = &origin.who {
            let (who, via) = (who.name.clone(), who.via);
            return Some(Asked { class: Class::Operator, who, via, origin, deed });
        }
        let Request::Do { alias, by: by @ By::Token(token), command: _ } = request else { return None };
        let place = self.place(alias, *by).ok()?;
        let key = self.model.authenticate(self.clock.now(), place, token)?;
        let member = self.model.conference(place)?.member(key).filter(|member| member.role == Role::Host)?;
        Some(Asked { class: Class::Host, who: member.display_name.clone(), via: "token", origin, deed })
    }

    /// The entry to be written with what was done.
    pub(super) fn audited(&mut self, asked: Asked, reply: &Result<Reply, Failure>) -> Vec<Write> {
        let Asked { class, who, via, origin, deed } = asked;
        let entry = Entry {
            at: self.clock.now().unix,
            who,
            via: via.into(),
            ip: origin.ip.to_string(),
            face: origin.face.into(),
            action: deed.action.into(),
            conference: deed.conference,
            target: deed.target,
            detail: deed.detail,
            result: result(reply),
        };
        self.write_entry(Note { class, entry })
    }

    /// Something that is no request.
    pub(super) fn noted(&mut self, note: Note) {
        if note.class == Class::Refused {
            let (second, count) = &mut self.auditor.refused;
            if *second != note.entry.at {
                (*second, *count) = (note.entry.at, 0);
            }
            *count += 1;
            if *count > REFUSALS_A_SECOND || !self.gauges.store_ok.load(std::sync::atomic::Ordering::Relaxed) {
                Gauges::count(&self.gauges.audit_dropped);
                return;
            }
        }
        let writes = self.write_entry(note);
        self.later(writes);
    }

    fn write_entry(&mut self, note: Note) -> Vec<Write> {
        self.auditor.written += 1;
        let mut writes = vec![Write::Audit(Box::new(note))];
        if self.auditor.written % TRIM == 1 {
            let keep = self.settings.audit_keep;
            let classes = [Class::Operator, Class::Host, Class::Refused];
            writes.extend(classes.map(|class| Write::TrimAudit(class, keep)));
        }
        writes
    }
}

/// `done`, or why not, without anything that a client sent.
fn result(reply: &Result<Reply, Failure>) -> String {
    let Err(failure) = reply else { return "done".into() };
    let why = match failure {
        Failure::Refused(refusal) => match refusal {
            Refusal::NoSuchConference => "no such conference",
            Refusal::InvalidToken => "invalid token",
            Refusal::Pin(_) | Refusal::WrongPin => "wrong PIN",
            Refusal::HostOnly => "hosts only",
            Refusal::Waiting => "waits",
            Refusal::NoSuchParticipant => "no such participant",
            Refusal::NoSuchCall => "no such call",
            Refusal::ChatDisabled => "chat is off",
            Refusal::NoPresenting => "no presenting",
            Refusal::BadValue(_) => "bad value",
            Refusal::AliasTaken(_) => "the alias is taken",
            Refusal::NotAvailable(_) => "not available",
            Refusal::NotNow(_) => "not at this time",
            Refusal::Limit(_) => "a limit is reached",
        },
        Failure::Accounts(refused) => return format!("refused: {refused}"),
        _ => "not possible at the moment",
    };
    format!("refused: {why}")
}
