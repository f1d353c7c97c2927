//! The appliance under measurement, and the host who makes things happen in it.

use crate::http::Client;
use crate::media::program;
use crate::process::{Program, words};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROOM: &str = "/api/services/1061";
/// How long the appliance may take to be healthy.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is allowed at once and from one address: everybody comes from here.
const LIMITS: [(&str, &str); 5] = [
    ("PLENUM_LIMITS_CONNECTIONS", "15000"),
    ("PLENUM_LIMITS_CONNECTIONS_PER_ADDRESS", "15000"),
    ("PLENUM_LIMITS_EVENT_STREAMS", "15000"),
    ("PLENUM_LIMITS_REQUESTS_PER_ADDRESS", "100000"),
    ("PLENUM_LIMITS_JOINS_PER_ADDRESS", "100000"),
];

/// An address of the conference.
pub(super) fn path(name: &str) -> String {
    format!("{ROOM}/{name}")
}

/// `plenum up` on loopback, with a data folder of its own; ends with its value.
pub(super) struct Server {
    pub(super) program: Program,
    pub(super) client: Client,
    pub(super) port: u16,
    data: tempfile::TempDir,
}

impl Server {
    pub(super) fn start() -> Result<Server, String> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| e.to_string())?.port();
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = program("plenum");
        let mut command = Command::new(&path);
        command.args([
            "up",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--media-ip",
            "127.0.0.1",
            "--shards",
            "1",
            "--mixer",
            "off",
        ]);
        command.arg("--data").arg(data.path()).env("PLENUM_MEDIA_PORT_BASE", "0").envs(LIMITS);
        command.stdin(Stdio::null()).stdout(words()).stderr(words());
        let program = Program::start(&mut command).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut client = Client::new(&format!("https://127.0.0.1:{port}"), true)?;
        let end = Instant::now() + PATIENCE;
        while client.get("/health", &[]).map_or(0, |answer| answer.status) != 200 {
            if Instant::now() > end {
                return Err("the appliance is not healthy in time".into());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(Server { program, client, port, data })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM lets it end its media plane; the value of `program` ends what is left.
        let _ = Command::new("kill").arg(self.program.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(10);
        while !self.program.has_ended() && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let media = std::fs::read_to_string(self.data.path().join("media.pid"));
        if let (false, Ok(pid)) = (self.program.has_ended(), media) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
    }
}

/// A hidden host, and a visible participant to whom things happen.
pub(super) struct Actor {
    client: Client,
    token: String,
    target: String,
    sequence: u64,
    refreshed: Instant,
}

impl Actor {
    pub(super) fn enter(server: &Server) -> Result<Actor, String> {
        let mut client = server.client.another();
        let mut join = |body: Value| -> Result<Value, String> {
            let answer = client.post(&path("new_session"), &[], &body).map_err(|e| e.to_string())?;
            if answer.status == 200 { Ok(answer.body["result"].clone()) } else { Err(answer.body.to_string()) }
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let host = join(json!({"display_name": "Host", "hideme": "yes"}))?;
        let target = join(json!({"display_name": "Target"}))?;
        let (token, target) = (text(&host["token"]), text(&target["participant_uuid"]));
        Ok(Actor { client, token, target, sequence: 0, refreshed: Instant::now() })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Messages and changes of the participant, in turns; how many.
    pub(super) fn act(&mut self, time: Duration, rate: u32) -> Result<u64, String> {
        self.pace(time, rate, 0)
    }

    /// The same with messages that are larger, alone.
    pub(super) fn act_large(&mut self, time: Duration, rate: u32) -> Result<u64, String> {
        self.pace(time, rate, 12_000)
    }

    fn pace(&mut self, time: Duration, rate: u32, padding: usize) -> Result<u64, String> {
        let (start, first) = (Instant::now(), self.sequence);
        let count = (time.as_secs_f64() * f64::from(rate)) as u64;
        for n in 0..count {
            let due = start + time.mul_f64(n as f64 / count as f64);
            while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::park_timeout(left);
            }
            self.once(padding)?;
        }
        // The token of the subscribers is this one: it lives as long as the old ones do.
        if self.refreshed.elapsed() > Duration::from_secs(30) {
            self.ask("refresh_session", &json!({}))?;
            self.refreshed = Instant::now();
        }
        Ok(self.sequence - first)
    }

    fn once(&mut self, padding: usize) -> Result<(), String> {
        self.sequence += 1;
        let mark = super::crowd::mark(self.sequence);
        if padding > 0 || self.sequence.is_multiple_of(2) {
            self.ask("message", &json!({"payload": format!("{mark}{}", "x".repeat(padding))}))
        } else {
            let path = format!("participants/{}/overlaytext", self.target);
            self.ask(&path, &json!({"text": mark}))
        }
    }

    fn ask(&mut self, name: &str, body: &Value) -> Result<(), String> {
        let answer = self.client.post(&path(name), &[("token", &self.token)], body).map_err(|e| e.to_string())?;
        if answer.status == 200 { Ok(()) } else { Err(format!("{name}: {} {}", answer.status, answer.body)) }
    }
}
