//! What time changes: consent, setup, DTLS and SCTP timers, reports.
//!
//! One deadline for all of them; a session at rest is visited about once a second, for its reports.

use crate::data::DataChannels;
use crate::dtls::Failed;
use crate::events::{Outbox, SessionEvent};
use crate::ice::Liveness;
use crate::session::{Session, State};
use plenum_contract::LegEnd;
use plenum_packet::Time;
use std::time::Duration;

/// ICE and DTLS must be done this long after the session was made.
pub(crate) const SETUP_TIMEOUT: Duration = Duration::from_secs(30);

impl Session {
    /// When [`Session::handle_timeout`] is due; a time in the past means now, [`Time::NEVER`] that nothing is.
    pub fn poll_timeout(&self) -> Time {
        if self.state == State::Ended {
            return Time::NEVER;
        }
        let std_deadline = |d: Option<std::time::Instant>| d.map_or(Time::NEVER, |d| self.env.anchor.time(d));
        let setup = if self.state == State::Setup { self.created + SETUP_TIMEOUT } else { Time::NEVER };
        let reports = if self.state == State::Up { self.report_deadline() } else { Time::NEVER };
        self.ice
            .deadline(self.state != State::Up)
            .min(setup)
            .min(std_deadline(self.dtls.deadline()))
            .min(std_deadline(self.data.as_ref().and_then(DataChannels::deadline)))
            .min(reports)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Outbox<'_>) {
        if self.state == State::Ended {
            return;
        }
        if self.state == State::Setup && now >= self.created + SETUP_TIMEOUT {
            return self.end(LegEnd::SetupTimeout);
        }
        if self.ice.leave_unchecked(now) {
            self.egress.path_changed(now);
        }
        match self.ice.liveness(now) {
            Liveness::Lost => return self.end(LegEnd::ConsentLost),
            Liveness::Silent if self.state == State::Up => {
                self.state = State::Silent;
                self.events.push_back(SessionEvent::Silent);
            }
            _ => {}
        }
        self.transport_timeout(now, out);
        self.report(now, out);
    }
    /// DTLS and SCTP: looked at only when one of them is due, because reports come far more often.
    fn transport_timeout(&mut self, now: Time, out: &mut Outbox<'_>) {
        let instant = self.env.anchor.instant(now);
        let due = |d: Option<std::time::Instant>| d.is_some_and(|at| at <= instant);
        let data_due = due(self.data.as_ref().and_then(DataChannels::deadline));
        if !data_due && !due(self.dtls.deadline()) {
            return;
        }
        if self.dtls.handle_timeout(instant) == Err(Failed) {
            return self.end(LegEnd::DtlsFailed);
        }
        if let Some(data) = self.data.as_mut().filter(|_| data_due) {
            data.handle_timeout(instant, &mut self.events);
        }
        self.drain_dtls(now, None, out);
    }
}
