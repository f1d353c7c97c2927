//! As much of an HTTP/1.1 client as steering servers takes: one request at a time on a connection that is kept, JSON both ways.
//!
//! TLS accepts any certificate, and only when its caller asked for that: the appliance that is measured makes its own. Answers are
//! bounded; a connection that was closed meanwhile is opened again, once for each request.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Longest answer, and longest head of one.
const MAX_ANSWER: usize = 4 << 20;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of one server.
pub struct Client {
    authority: String,
    host: String,
    tls: Option<Arc<ClientConfig>>,
    connection: Option<Connection>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Its body; null when it is no JSON.
    pub body: Value,
}

enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// A client of `url` (`https://host:port` or `http://host:port`; a path is left out). Nothing is opened yet.
    ///
    /// # Errors
    /// A message for the user: another scheme, or TLS without `insecure`.
    pub fn new(url: &str, insecure: bool) -> Result<Client, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("{url}: not an address with a scheme"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        let (tls, port) = match scheme {
            "http" => (None, 80),
            "https" if insecure => (Some(trusting()), 443),
            "https" => return Err("the appliance's own certificate must be accepted with --insecure".into()),
            _ => return Err(format!("{scheme}: neither http nor https")),
        };
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']).to_owned();
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
        Ok(Client { authority, host, tls, connection: None })
    }

    /// Another client of the same server, with a connection of its own.
    pub fn another(&self) -> Client {
        Client { authority: self.authority.clone(), host: self.host.clone(), tls: self.tls.clone(), connection: None }
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &Value) -> io::Result<Answer> {
        self.request("POST", path, headers, &body.to_string())
    }

    /// `GET path`.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
        self.request("GET", path, headers, "")
    }

    fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.authority);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        if let Some(mut kept) = self.connection.take()
            && let Ok((answer, keep)) = exchange(&mut kept, &text)
        {
            self.connection = keep.then_some(kept);
            return Ok(answer);
        }
        let mut fresh = self.open()?;
        let (answer, keep) = exchange(&mut fresh, &text)?;
        self.connection = keep.then_some(fresh);
        Ok(answer)
    }

    fn open(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect(&self.authority)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Connection::Plain(tcp)) };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Connection::Tls(Box::new(StreamOwned::new(session, tcp))))
    }
}

impl Connection {
    fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Connection::Plain(tcp) => tcp,
            Connection::Tls(tls) => tls.as_mut(),
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Sends a request and reads its answer; whether the connection can be used again.
fn exchange(connection: &mut Connection, request: &str) -> io::Result<(Answer, bool)> {
    let stream = connection.stream();
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut bytes = Vec::new();
    let head_end = read_until(stream, &mut bytes, |b| find(b, b"\r\n\r\n").map(|at| at + 4))?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| io::Error::other("no status"))?;
    let header = |name: &str| head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some("chunked"), _) => chunked(stream, bytes.split_off(head_end))?,
        (_, Some(length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            if length > MAX_ANSWER {
                return Err(io::Error::other("an answer that is too long"));
            }
            let end = read_until(stream, &mut bytes, |b| (b.len() >= head_end + length).then_some(head_end + length))?;
            bytes[head_end..end].to_vec()
        }
        _ => Vec::new(),
    };
    let keep = header("connection") != Some("close");
    Ok((Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }, keep))
}

/// Reads until `complete` says where the part that is waited for ends.
fn read_until(
    stream: &mut dyn ReadWrite,
    bytes: &mut Vec<u8>,
    complete: impl Fn(&[u8]) -> Option<usize>,
) -> io::Result<usize> {
    let mut chunk = [0; 16_384];
    loop {
        if let Some(end) = complete(bytes) {
            return Ok(end);
        }
        if bytes.len() > MAX_ANSWER {
            return Err(io::Error::other("an answer that is too long"));
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// The body of RFC 9112 section 7.1, of which `bytes` were read already.
fn chunked(stream: &mut dyn ReadWrite, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_until(stream, &mut bytes, |b| find(b, b"\r\n").map(|at| at + 2))?;
        let size = String::from_utf8_lossy(&bytes[..line - 2]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(io::Error::other)?;
        if size > MAX_ANSWER {
            return Err(io::Error::other("an answer that is too long"));
        }
        bytes.drain(..line);
        let end = read_until(stream, &mut bytes, |b| (b.len() >= size + 2).then_some(size + 2))?;
        body.extend_from_slice(&bytes[..size]);
        bytes.drain(..end);
        if size == 0 {
            return Ok(body);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

/// A configuration that accepts every certificate: for appliances that were started here, which make their own.
///
/// # Panics
/// Never: its provider has TLS 1.2 and 1.3.
pub fn trusting() -> Arc<ClientConfig> {
    let provider = aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAll(provider)))
        .with_no_client_auth();
    Arc::new(config)
}

/// Accepts every certificate.
#[derive(Debug)]
struct TrustAll(CryptoProvider);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that gives these answers on one connection, then closes it, and takes the next.
    fn server(answers: Vec<Vec<&'static str>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in answers {
                let (mut stream, _) = listener.accept().unwrap();
                for answer in connection {
                    let mut request = Vec::new();
                    let _ = read_until(&mut stream, &mut request, |b| b.ends_with(b"{}").then_some(0));
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        format!("http://{address}")
    }

    #[test]
    fn answers_come_by_length_or_in_chunks_and_a_closed_connection_is_opened_again() {
        let url = server(vec![
            vec![
                "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
                "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"b\"\r\n4\r\n: 2}\r\n0\r\n\r\n",
            ],
            vec!["HTTP/1.1 204 Nothing\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"],
        ]);
        let mut client = Client::new(&url, false).unwrap();
        let mut ask = || client.post("/x", &[("token", "t")], &serde_json::json!({})).unwrap();
        assert_eq!(ask().body["a"], 1);
        let second = ask();
        assert_eq!((second.status, &second.body["b"]), (403, &Value::from(2)));
        assert_eq!((ask().status, client.connection.is_none()), (204, true));
    }

    #[test]
    fn tls_wants_a_word_and_other_schemes_are_refused() {
        assert!(Client::new("https://localhost:8443", false).is_err());
        assert!(Client::new("ftp://localhost", true).is_err());
        let client = Client::new("https://[::1]:8443/", true).unwrap();
        assert_eq!((client.authority.as_str(), client.host.as_str()), ("[::1]:8443", "::1"));
        assert_eq!(Client::new("https://a", true).unwrap().authority, "a:443");
    }
}
