//! The REST API beside the events (CMS-25, section 0 of spec/cms.md): calls, callLegs, participants, coSpaces, callProfiles,
//! system. Whoever may read may `GET`; steering needs the role operator.
//!
//! Every wish becomes a command of the model, so the other faces show it at once; every answer is read from the model anew.

mod answer;
mod calls;
mod form;
mod people;
mod spaces;
mod system;

use super::{Client, bare};
use crate::accounts::{Operator, Role};
use crate::driver::{MeetingNow, Reply, Request as Ask, Which};
use crate::faces::mgmt::decode;
use crate::http::{App, read_body};
pub(super) use answer::Fail;
use answer::{Node, done};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use form::Form;
use plenum_model::{By, CallId, Command, MeetingId, MemberCommand, ParticipantId};

/// Entries of a collection that are answered unless `limit` says otherwise, and at most.
const PAGE: usize = 100;
const MOST: usize = 1_000;

/// One request.
struct Asked {
    app: App,
    /// Who asks: for the audit log.
    operator: Operator,
    /// Whether secrets may be shown.
    steers: bool,
    query: Form,
    form: Form,
}

/// Everything below `/api/v1/` but the tokens.
pub(super) async fn serve(State(app): State<App>, Client(operator): Client, request: Request) -> Response {
    let steers = operator.require(Role::Operator);
    if request.method() != Method::GET
        && let Err(denied) = steers
    {
        return bare(denied);
    }
    match dispatch(app, operator, request).await {
        Ok(answer) => answer,
        Err(fail) => fail.into_response(),
    }
}

async fn dispatch(app: App, operator: Operator, request: Request) -> Result<Response, Fail> {
    let (parts, body) = request.into_parts();
    let segments: Option<Vec<String>> = parts.uri.path().split('/').skip(3).map(|s| decode(s, false)).collect();
    let segments = segments.ok_or_else(Fail::unknown)?;
    let path: Vec<&str> = segments.iter().map(String::as_str).filter(|segment| !segment.is_empty()).collect();
    let query = Form::read(parts.uri.query().unwrap_or_default().as_bytes())?;
    let Ok(body) = read_body(body).await else {
        return Err(Fail::new("invalidOperation", "the body is too long, or broke off"));
    };
    let form = Form::body(&parts.headers, &body)?;
    let steers = operator.require(Role::Operator).is_ok();
    let asked = Asked { app, operator, steers, query, form };
    match (parts.method.as_str(), path.as_slice()) {
        ("GET", ["calls"]) => calls::list(asked).await,
        ("GET", ["calls", id]) => calls::one(asked, id).await,
        ("PUT", ["calls", id]) => calls::change(asked, id).await,
        ("DELETE", ["calls", id]) => calls::end(asked, id).await,
        ("GET", ["calls", id, "participants"]) => people::list(asked, Some(id)).await,
        ("POST", ["calls", id, "participants"]) => people::add(asked, id).await,
        ("PUT", ["calls", id, "participants", "*"]) => calls::change_all(asked, id).await,
        ("GET", ["calls", id, "callLegs"]) => people::legs(asked, Some(id), None).await,
        ("GET", ["participants"]) => people::list(asked, None).await,
        ("GET", ["participants", id]) => people::one(asked, id).await,
        ("PUT", ["participants", id]) => people::change(asked, id).await,
        ("DELETE", ["participants", id]) => people::disconnect(asked, id).await,
        ("GET", ["participants", id, "callLegs"]) => people::legs(asked, None, Some(id)).await,
        ("GET", ["callLegs"]) => people::legs(asked, None, None).await,
        ("GET", ["callLegs", id]) => people::leg(asked, id).await,
        ("PUT", ["callLegs", id]) => people::change_leg(asked, id).await,
        ("DELETE", ["callLegs", id]) => people::hang_up(asked, id).await,
        ("GET", ["coSpaces"]) => spaces::list(asked).await,
        ("POST", ["coSpaces"]) => spaces::create(asked).await,
        ("GET", ["coSpaces", id]) => spaces::one(asked, id).await,
        ("PUT", ["coSpaces", id]) => spaces::change(asked, id).await,
        ("DELETE", ["coSpaces", id]) => spaces::delete(asked, id).await,
        ("GET", ["callProfiles"]) => Ok(system::profiles(&asked)),
        ("GET", ["callProfiles", id]) => system::profile(&asked, id),
        ("POST" | "PUT" | "DELETE", ["callProfiles", ..]) => Err(system::fixed()),
        ("GET", ["system", "status"]) => Ok(system::status(&asked)),
        ("GET", ["system", "alarms"]) => Ok(system::alarms(&asked)),
        (_, ["calls" | "participants" | "callLegs" | "coSpaces" | "callProfiles" | "system", ..]) => {
            Err(Fail::method())
        }
        _ => Err(Fail::unknown()),
    }
}

impl Asked {
    async fn ask(&self, request: Ask) -> Result<Reply, Fail> {
        Ok(self.app.driver.ask_from(self.operator.origin("cms"), request).await?)
    }

    async fn meetings(&self, which: Which) -> Result<Vec<MeetingNow>, Fail> {
        match self.ask(Ask::Meetings(which)).await? {
            Reply::Meetings(meetings) => Ok(meetings),
            _ => Ok(Vec::new()),
        }
    }

    async fn call(&self, id: &str) -> Result<MeetingNow, Fail> {
        let none = || Fail::no_such("callDoesNotExist");
        let id = MeetingId::parse(id).ok_or_else(none)?;
        self.meetings(Which::Call(id)).await?.pop().ok_or_else(none)
    }

    /// The call of a participant.
    async fn call_of(&self, id: &str) -> Result<(MeetingNow, ParticipantId), Fail> {
        let none = || Fail::no_such("participantDoesNotExist");
        let id = ParticipantId::parse(id).ok_or_else(none)?;
        let meeting = self.meetings(Which::Participant(id)).await?.pop().ok_or_else(none)?;
        Ok((meeting, id))
    }

    /// The call of a callLeg.
    async fn call_of_leg(&self, id: &str) -> Result<(MeetingNow, CallId), Fail> {
        let none = || Fail::no_such("callLegDoesNotExist");
        let id = CallId::parse(id).ok_or_else(none)?;
        let meeting = self.meetings(Which::Leg(id)).await?.pop().ok_or_else(none)?;
        Ok((meeting, id))
    }

    /// A command in the conference of a call.
    async fn command(&self, meeting: &MeetingNow, command: Command) -> Result<(), Fail> {
        let alias = meeting.view.id.to_string();
        self.ask(Ask::Do { alias, by: By::Operator, command }).await.map(|_| ())
    }

    async fn commands(&self, meeting: &MeetingNow, commands: Vec<Command>) -> Result<Response, Fail> {
        for command in commands {
            self.command(meeting, command).await?;
        }
        Ok(done())
    }

    /// A collection: `offset`, `limit`, `filter`; `total` counts what the filter lets through.
    fn page<T>(
        self,
        name: &'static str,
        all: Vec<T>,
        matches: impl Fn(&T, &str) -> bool,
        node: impl Fn(T) -> Node,
    ) -> Result<Response, Fail> {
        let offset = self.query.number::<usize>("offset")?.flatten().unwrap_or(0);
        let limit = self.query.number::<usize>("limit")?.flatten().unwrap_or(PAGE).min(MOST);
        let filter = self.query.text("filter").unwrap_or_default().to_lowercase();
        self.query.all_taken()?;
        let kept: Vec<T> = all.into_iter().filter(|one| filter.is_empty() || matches(one, &filter)).collect();
        let total = kept.len();
        let shown = kept.into_iter().skip(offset).take(limit).map(node);
        Ok(Node::new(name).with("total", total).children(shown).into_response())
    }
}

fn to(target: ParticipantId, command: MemberCommand) -> Command {
    Command::To { target, command }
}

/// See [`super::parse_any_form`]: what was read is taken by name, each once.
pub(super) fn read_any_form(bytes: &[u8]) {
    let Ok(form) = Form::read(bytes) else { return };
    form.read_any();
    assert!(form.all_taken().is_ok(), "every parameter can be taken");
}

/// See [`super::write_any_text`].
pub(super) fn write_any(text: &str) -> String {
    Node::new("calls").child(Node::new("call").with("id", text).text("name", text)).document()
}
