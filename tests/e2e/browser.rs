//! A real Chromium, driven over the DevTools protocol. Each browser has an empty profile of its own and ends with its value.

use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long a browser may take to start, and a page to do anything: generous, because it only bounds failures.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser.
pub(crate) struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
}

/// A page of a [`Browser`].
#[derive(Clone, Debug)]
pub(crate) struct Page {
    session: String,
}

impl Browser {
    /// Starts Chromium with fake camera, microphone and screen; `extra` flags come last.
    pub(crate) fn start(extra: &[&str]) -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding",
                "--ignore-certificate-errors",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-device-for-media-stream=fps=30",
                "--use-fake-ui-for-media-stream",
                "--allow-loopback-in-peer-connection",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(extra)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts (packaging/setup.sh test installs it)");
        let address = devtools_address(profile.path());
        let (socket, _) = tungstenite::connect(&address).expect("the DevTools socket opens");
        if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
            tcp.set_read_timeout(Some(PATIENCE)).expect("a read time-out");
            tcp.set_nodelay(true).expect("no delay");
        }
        Browser { child, _profile: profile, socket, next: 0 }
    }

    /// Opens `url` in a page of `width` × `height`.
    pub(crate) fn open(&mut self, url: &str, width: u32, height: u32) -> Page {
        self.open_prepared(url, (width, height), "")
    }

    /// As [`Browser::open`]; `script` runs before anything of the page does.
    pub(crate) fn open_prepared(&mut self, url: &str, (width, height): (u32, u32), script: &str) -> Page {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank", "newWindow": true}));
        let id = target["targetId"].as_str().expect("a target").to_owned();
        let attached = self.call(None, "Target.attachToTarget", json!({"targetId": id, "flatten": true}));
        let page = Page { session: attached["sessionId"].as_str().expect("a session").to_owned() };
        self.resize(&page, width, height);
        if !script.is_empty() {
            self.call(Some(&page), "Page.enable", json!({}));
            self.call(Some(&page), "Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
        }
        self.call(Some(&page), "Page.navigate", json!({"url": url}));
        page
    }

    /// Closes the page as a person closes a tab.
    pub(crate) fn close(&mut self, page: Page) {
        self.call(Some(&page), "Page.close", json!({}));
    }

    /// Changes the size of the page's window.
    pub(crate) fn resize(&mut self, page: &Page, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call(Some(page), "Emulation.setDeviceMetricsOverride", metrics);
        // A page behind another one is not laid out again until it is shown.
        self.call(Some(page), "Page.bringToFront", json!({}));
    }

    /// The value of a JavaScript expression; promises are awaited.
    ///
    /// # Panics
    /// When it throws: the message says what and where.
    pub(crate) fn eval(&mut self, page: &Page, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.call(Some(page), "Runtime.evaluate", params);
        if let Some(exception) = answer.get("exceptionDetails") {
            panic!("the page threw: {exception}\nin: {expression}");
        }
        answer["result"]["value"].clone()
    }

    /// Waits until `expression` is truthy and returns its value.
    ///
    /// # Panics
    /// When that does not happen in time; `what` says what was awaited.
    pub(crate) fn until(&mut self, page: &Page, what: &str, expression: &str) -> Value {
        let wait = format!(
            "(async () => {{ const end = Date.now() + {}; let last; while (Date.now() < end) {{ \
             try {{ last = await ({expression}); if (last) return {{value: last}}; }} catch (e) {{ last = String(e); }} \
             await new Promise(r => setTimeout(r, 100)); }} return {{late: String(JSON.stringify(last))}}; }})()",
            PATIENCE.as_millis() - 15_000
        );
        let answer = self.eval(page, &wait);
        match answer.get("value") {
            Some(value) => value.clone(),
            None => {
                let state =
                    self.eval(page, "document.body.dataset.view + ' | ' + document.body.innerText.slice(0, 400)");
                panic!("{what} did not happen; last value {}; the page shows: {state}", answer["late"]);
            }
        }
    }

    /// A screenshot as PNG, written to `path`.
    pub(crate) fn screenshot(&mut self, page: &Page, path: &Path) {
        use base64::Engine;
        let answer = self.call(Some(page), "Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().expect("picture data");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        std::fs::write(path, bytes).expect("the screenshot is written");
    }

    fn call(&mut self, page: Option<&Page>, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut request = json!({"id": id, "method": method, "params": params});
        if let Some(page) = page {
            request["sessionId"] = json!(page.session);
        }
        self.socket.send(Message::text(request.to_string())).expect("the browser listens");
        loop {
            let message = self.socket.read().unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            let Message::Text(text) = message else { continue };
            let answer: Value = serde_json::from_str(&text).expect("DevTools speaks JSON");
            if answer["id"] == json!(id) {
                if let Some(error) = answer.get("error") {
                    panic!("{method} failed: {error}");
                }
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium's helpers end with their parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the port that the browser chose.
fn devtools_address(profile: &Path) -> String {
    let file = profile.join("DevToolsActivePort");
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Ok(text) = std::fs::read_to_string(&file) {
            let mut lines = text.lines();
            if let (Some(port), Some(path)) = (lines.next(), lines.next()) {
                return format!("ws://127.0.0.1:{port}{path}");
            }
        }
        crate::appliance::pause();
    }
    panic!("chromium did not open its DevTools port");
}
