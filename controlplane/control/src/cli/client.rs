//! Requests to the running server over `control.sock` in its data folder: who may open the socket is the operator.

use super::Failure;
use axum::body::{Body, Bytes};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Largest answer: a list of every conference.
const MAX_ANSWER: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens.
    #[error("no plenum runs on {path} (is the data folder right? see --data)")]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// The server does not answer.
    #[error("plenum runs and does not answer")]
    Silent,
}

/// Where the operator's requests go.
pub(super) fn socket_path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Asks and gives the answer's text.
pub(super) fn ask(data: &Path, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, Failure> {
    send(data, method, path, body.map(|value| ("application/json", value.to_string().into())))
}

/// The same with a body of any type: its content type and its bytes.
pub(super) fn send(data: &Path, method: Method, path: &str, body: Option<(&str, Bytes)>) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = async { tokio::time::timeout(PATIENCE, exchange(data, method, path, body)).await };
    let (status, bytes) = runtime.block_on(answer).map_err(|_| ClientError::Silent)??;
    if status.is_success() { Ok(bytes) } else { Err(ClientError::Refused(reason(status, &bytes)).into()) }
}

async fn exchange(
    data: &Path,
    method: Method,
    path: &str,
    body: Option<(&str, Bytes)>,
) -> Result<(StatusCode, Bytes), Failure> {
    let socket = socket_path(data);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(source) => return Err(ClientError::NotRunning { path: socket, source }.into()),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if let Some((kind, _)) = &body {
        request = request.header("content-type", *kind);
    }
    let body = body.map_or_else(Body::empty, |(_, bytes)| Body::from(bytes));
    let answer = sender.send_request(request.body(body)?).await?;
    let status = answer.status();
    let bytes = axum::body::to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await?;
    Ok((status, bytes))
}

/// What a refusal says: `detail`, `result`, `reason`, `error` or `message` of its JSON, else its text.
fn reason(status: StatusCode, bytes: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    let said = json
        .as_ref()
        .and_then(|v| ["detail", "result", "reason", "error", "message"].iter().find_map(|k| v.get(k)?.as_str()));
    match said {
        Some(said) => said.to_owned(),
        None => format!("{status}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)])).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_running_is_said_so() {
        let data = tempfile::tempdir().unwrap();
        let error = ask(data.path(), Method::GET, "/health", None).unwrap_err().to_string();
        assert!(error.starts_with("no plenum runs on") && error.contains("--data"), "{error}");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        assert_eq!(
            reason(StatusCode::CONFLICT, br#"{"status":"failed","result":"The id is taken"}"#),
            "The id is taken"
        );
        assert_eq!(reason(StatusCode::NOT_FOUND, b"nothing here\n"), "404 Not Found: nothing here");
    }
}
