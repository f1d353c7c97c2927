//! The in-conference API as a client uses it: enter, call, acknowledge, keep the token alive, leave (MGMT-8 to 13, 39, 40).

use crate::http::{Answer, Client};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a token is used before it is refreshed: a fifth of its life, as real clients do.
const REFRESH: Duration = Duration::from_secs(24);

/// One participant's session.
pub struct Session {
    base: String,
    token: String,
    participant: String,
    call: Option<String>,
    refreshed: Instant,
}

impl Session {
    /// Enters a conference; `pin` as people type it.
    ///
    /// # Errors
    /// What the appliance said.
    pub fn enter(client: &mut Client, conference: &str, name: &str, pin: Option<&str>) -> Result<Session, String> {
        let base = format!("/api/services/{conference}");
        let headers: Vec<_> = pin.iter().map(|pin| ("pin", *pin)).collect();
        let answer = client.post(&format!("{base}/new_session"), &headers, &json!({ "display_name": name }));
        let result = result(answer)?;
        let text = |name: &str| result[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} came"));
        let (token, participant) = (text("token")?, text("participant_uuid")?);
        Ok(Session { base, token, participant, call: None, refreshed: Instant::now() })
    }

    /// Sets up the call: an offer in, the answer out.
    ///
    /// # Errors
    /// What the appliance said.
    pub fn call(&mut self, client: &mut Client, offer: &str) -> Result<String, String> {
        let answer = self.mine(client, "calls", &json!({ "call_type": "WEBRTC", "sdp": offer }))?;
        self.call = Some(answer["call_uuid"].as_str().ok_or("no call_uuid came")?.to_owned());
        answer["sdp"].as_str().map(str::to_owned).ok_or_else(|| "no sdp came".into())
    }

    /// Lets media flow.
    ///
    /// # Errors
    /// What the appliance said, or that there is no call.
    pub fn acknowledge(&self, client: &mut Client) -> Result<(), String> {
        self.of_call(client, "ack", &json!({}))
    }

    /// Says at what size each slot is shown.
    ///
    /// # Errors
    /// As [`Session::acknowledge`].
    pub fn wish(&self, client: &mut Client, slots: &[(String, u16, u16)]) -> Result<(), String> {
        let slots: Vec<_> = slots.iter().map(|(mid, w, h)| json!({ "mid": mid, "width": w, "height": h })).collect();
        self.of_call(client, "wishes", &json!({ "slots": slots }))
    }

    /// Refreshes the token when it is time to.
    ///
    /// # Errors
    /// What the appliance said.
    pub fn keep_alive(&mut self, client: &mut Client) -> Result<(), String> {
        if self.refreshed.elapsed() < REFRESH {
            return Ok(());
        }
        let answer = self.post(client, "refresh_session", &json!({}))?;
        self.token = answer["token"].as_str().ok_or("no token came")?.to_owned();
        self.refreshed = Instant::now();
        Ok(())
    }

    /// Leaves; whatever is answered.
    pub fn leave(&self, client: &mut Client) {
        let _ = self.post(client, "end_session", &json!({}));
    }

    fn of_call(&self, client: &mut Client, what: &str, body: &Value) -> Result<(), String> {
        let call = self.call.as_ref().ok_or("there is no call")?;
        self.mine(client, &format!("calls/{call}/{what}"), body).map(|_| ())
    }

    fn mine(&self, client: &mut Client, what: &str, body: &Value) -> Result<Value, String> {
        self.post(client, &format!("participants/{}/{what}", self.participant), body)
    }

    fn post(&self, client: &mut Client, what: &str, body: &Value) -> Result<Value, String> {
        let answer = client.post(&format!("{}/{what}", self.base), &[("token", &self.token)], body);
        result(answer).map_err(|e| format!("{what}: {e}"))
    }
}

/// The `result` of an answer, or why there is none.
fn result(answer: std::io::Result<Answer>) -> Result<Value, String> {
    let mut answer = answer.map_err(|e| e.to_string())?;
    match (answer.status, answer.body["status"].as_str()) {
        (200, Some("success")) => Ok(answer.body["result"].take()),
        (status, _) => Err(format!("status {status}: {}", answer.body["result"])),
    }
}
