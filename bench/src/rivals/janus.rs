//! Janus with its videoroom plugin, as Debian packages it, steered over its HTTP transport.
//!
//! Configured for comparing: ICE lite, one transport, one plugin, nothing else. A session and a handle for each peer; answers that
//! come later are fetched by long poll.

use super::{Join, Rival};
use crate::fanout::Server;
use crate::http::Client;
use crate::network::{Network, SERVER};
use crate::process::{Program, words};
use crate::swarm::offer::{Told, describe};
use plenum_sdp::Setup;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PORT: u16 = 8088;
/// Longest wait until it listens, and for an event.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running Janus.
pub(super) struct Janus {
    program: Program,
    client: Client,
    /// The publisher's id in each room.
    feeds: Vec<Value>,
}

/// A session with one handle: where to post.
struct Handle {
    session: String,
    path: String,
}

impl Janus {
    /// Starts it in `network`, with rooms for `rooms` publishers.
    ///
    /// # Errors
    /// What is missing, or does not work.
    pub(super) fn start(network: &Network, rooms: usize) -> Result<Janus, String> {
        let modules = modules().ok_or("janus is not installed (packaging/setup.sh bench)")?;
        let folder = std::path::absolute("target/bench/janus").map_err(|e| e.to_string())?;
        configure(&folder, &modules).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut command = network.command("janus");
        command.arg("-F").arg(&folder);
        command.stdin(Stdio::null()).stdout(words()).stderr(words());
        let program = Program::start(&mut command).map_err(|e| e.to_string())?;
        let client = Client::new(&format!("http://{SERVER}:{PORT}"), false)?;
        let mut janus = Janus { program, client, feeds: vec![Value::Null; rooms] };
        let end = Instant::now() + PATIENCE;
        while janus.client.get("/janus/info", &[]).is_err() {
            if Instant::now() > end || janus.program.has_ended() {
                return Err("it does not listen".into());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let handle = janus.attach()?;
        for room in 1..=rooms {
            let body = json!({
                "request": "create", "room": room, "publishers": 1, "bitrate": 20_000_000,
                "videocodec": "vp8", "audiocodec": "opus",
            });
            janus.ask(&handle, &json!({ "janus": "message", "transaction": "room", "body": body }))?;
        }
        Ok(janus)
    }

    /// A new session with a handle of the plugin.
    fn attach(&mut self) -> Result<Handle, String> {
        let id = |answer: Value| answer["data"]["id"].as_u64().ok_or_else(|| format!("no id in {answer}"));
        let session = id(self.post("/janus", &json!({ "janus": "create", "transaction": "create" }))?)?;
        let session = format!("/janus/{session}");
        let attach = json!({ "janus": "attach", "plugin": "janus.plugin.videoroom", "transaction": "attach" });
        let handle = id(self.post(&session, &attach)?)?;
        Ok(Handle { path: format!("{session}/{handle}"), session })
    }

    /// A request that is answered at once.
    fn ask(&mut self, handle: &Handle, request: &Value) -> Result<Value, String> {
        let answer = self.post(&handle.path, request)?;
        match &answer["plugindata"]["data"]["error"] {
            Value::Null => Ok(answer),
            error => Err(format!("{error}")),
        }
    }

    /// A request that is answered by an event.
    fn tell(&mut self, handle: &Handle, body: Value, jsep: Option<Value>) -> Result<Value, String> {
        let mut request = json!({ "janus": "message", "transaction": "tell", "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        self.post(&handle.path, &request)?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let event = self.client.get(&format!("{}?maxev=1", handle.session), &[]).map_err(|e| e.to_string())?.body;
            if let Some(error) = event["plugindata"]["data"]["error"].as_str() {
                return Err(error.to_owned());
            }
            if event["janus"] == "event" && event["transaction"] == "tell" {
                return Ok(event);
            }
        }
        Err("no event came".into())
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        let answer = self.client.post(path, &[], body).map_err(|e| e.to_string())?.body;
        match answer["error"]["reason"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(answer),
        }
    }

    fn publish(&mut self, join: &Join<'_>) -> Result<Told, String> {
        let handle = self.attach()?;
        // Left the choice, Janus would be a DTLS client too.
        let sdp = describe(join.config, (join.ufrag, join.pwd), join.fingerprint, Setup::Active);
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": join.room + 1, "audio": true, "video": true,
        });
        let event = self.tell(&handle, body, Some(json!({ "type": "offer", "sdp": sdp })))?;
        if let Some(feed) = self.feeds.get_mut(join.room) {
            *feed = event["plugindata"]["data"]["id"].clone();
        }
        Told::read(event["jsep"]["sdp"].as_str().ok_or("no answer came")?)
    }

    fn view(&mut self, join: &Join<'_>) -> Result<Told, String> {
        let handle = self.attach()?;
        let feed = self.feeds.get(join.room).cloned().unwrap_or_default();
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": join.room + 1, "streams": [{ "feed": feed }],
        });
        let event = self.tell(&handle, body, None)?;
        let told = Told::read(event["jsep"]["sdp"].as_str().ok_or("no offer came")?)?;
        let answer = describe(join.config, (join.ufrag, join.pwd), join.fingerprint, Setup::Active);
        // Without header extensions: Janus numbers them its own way.
        let answer: String = answer.split_inclusive("\r\n").filter(|l| !l.starts_with("a=extmap:")).collect();
        self.tell(&handle, json!({ "request": "start" }), Some(json!({ "type": "answer", "sdp": answer })))?;
        Ok(told)
    }
}

impl Server for Janus {
    fn cpu(&self) -> Duration {
        self.program.cpu()
    }

    fn attend(&mut self) -> Result<(), String> {
        if self.program.has_ended() { Err("it ended".into()) } else { Ok(()) }
    }
}

impl Rival for Janus {
    fn signal(&mut self, join: &Join<'_>) -> Result<Told, String> {
        if join.publishes { self.publish(join) } else { self.view(join) }
    }
}

/// Where Debian put its plugins and transports.
fn modules() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("janus"));
    folders.chain([PathBuf::from("/usr/lib/janus")]).find(|f| f.join("plugins/libjanus_videoroom.so").exists())
}

/// Writes a configuration with one plugin and one transport.
fn configure(folder: &Path, modules: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let others = |kind: &str, keep: &str| -> String {
        let files = std::fs::read_dir(modules.join(kind)).into_iter().flatten().flatten();
        let names = files.map(|f| f.file_name().to_string_lossy().into_owned());
        names.filter(|n| n.ends_with(".so") && !n.contains(keep)).collect::<Vec<_>>().join(",")
    };
    let (plugins, transports) = (others("plugins", "videoroom"), others("transports", "libjanus_http"));
    let modules = modules.display();
    let main = format!(
        "general: {{\n  configs_folder = \"{}\"\n  plugins_folder = \"{modules}/plugins\"\n  \
         transports_folder = \"{modules}/transports\"\n  events_folder = \"{modules}/events\"\n  \
         loggers_folder = \"{modules}/loggers\"\n  debug_level = 2\n  session_timeout = 0\n}}\n\
         media: {{\n  rtp_port_range = \"20000-60000\"\n}}\n\
         nat: {{\n  ice_lite = true\n  ice_enforce_list = \"{SERVER}\"\n}}\n\
         plugins: {{\n  disable = \"{plugins}\"\n}}\ntransports: {{\n  disable = \"{transports}\"\n}}\n\
         events: {{\n  broadcast = false\n}}\n",
        folder.display()
    );
    std::fs::write(folder.join("janus.jcfg"), main)?;
    std::fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: {\n}\n")?;
    let http = format!(
        "general: {{\n  json = \"plain\"\n  base_path = \"/janus\"\n  http = true\n  port = {PORT}\n  ip = \"{SERVER}\"\n  \
         https = false\n}}\nadmin: {{\n  admin_http = false\n}}\n"
    );
    std::fs::write(folder.join("janus.transport.http.jcfg"), http)
}
