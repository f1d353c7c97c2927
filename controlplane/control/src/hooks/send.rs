//! One delivery: resolve, check the address, connect, POST, read the status. HTTP/1.1, a connection each, no redirects.

use super::rule::{Target, allowed};
use aws_lc_rs::hmac;
use axum::body::Body;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The header with time and signature: `t=<unix seconds>,v1=<hex>`.
pub const SIGNATURE: &str = "plenum-signature";
/// How long a delivery may take in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The URL is not allowed any more.
    #[error("{0}")]
    Url(&'static str),
    /// No address, or none that is allowed.
    #[error("the host has no address that webhooks may go to")]
    Address,
    /// The connection failed.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// HTTP failed.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// It was not taken.
    #[error("the receiver answered {0}")]
    Status(StatusCode),
    /// Too slow.
    #[error("the receiver took longer than {} s", PATIENCE.as_secs())]
    Slow,
}

/// The value of [`SIGNATURE`]: HMAC-SHA256 with the hook's secret over `<unix seconds>.<body>`.
pub fn sign(secret: &str, unix: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(unix.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix},v1={hex}")
}

/// The client's side of TLS: certificates of the machine's store.
pub(super) fn tls() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of this machine cannot be read");
    }
    let (known, _) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(known, "certificate authorities for webhooks");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Sends `body`; `Ok` = the receiver took it (2xx).
pub(super) async fn send(
    tls: &Arc<rustls::ClientConfig>,
    (url, secret, private): (&str, &str, bool),
    (hook, unix): (&str, u64),
    body: Vec<u8>,
) -> Result<(), SendError> {
    let target = Target::read(url, private).map_err(SendError::Url)?;
    let signature = sign(secret, unix, &body);
    let exchange = async {
        let stream = connect(&target, private).await?;
        let request = Request::post(&target.path)
            .header("host", authority(&target))
            .header("user-agent", concat!("plenum/", env!("CARGO_PKG_VERSION")))
            .header("content-type", "application/json")
            .header("plenum-webhook", hook)
            .header(SIGNATURE, signature)
            .body(Body::from(body))
            .map_err(|_| SendError::Url("this URL makes no request"))?;
        if !target.tls {
            return post(stream, request).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| SendError::Url("this is no host name"))?;
        post(TlsConnector::from(tls.clone()).connect(name, stream).await?, request).await
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(SendError::Status(status)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(SendError::Slow),
    }
}

fn authority(target: &Target) -> String {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    match (target.tls, target.port) {
        (true, 443) | (false, 80) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

/// Connects to the first address that is allowed and answers.
async fn connect(target: &Target, private: bool) -> Result<TcpStream, SendError> {
    let mut last = SendError::Address;
    for address in tokio::net::lookup_host((target.host.as_str(), target.port)).await? {
        if !allowed(address.ip(), private) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

async fn post<S>(stream: S, request: Request<Body>) -> Result<StatusCode, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    // The status says it all: what else the receiver sends is not read.
    driving.abort();
    Ok(answer?.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac plw_secret
        let expected = "t=1700000000,v1=7d32d2735af98fe2cb7ca945f372e448607c2d529f4e0a589d481313562501bf";
        assert_eq!(sign("plw_secret", 1_700_000_000, b"{\"a\":1}"), expected);
    }
}
