//! The certificate of the HTTPS face: the operator's, or a self-signed one that is made at the first start.
//!
//! Read again on request (SIGHUP) without closing a connection; a new one that cannot be used is refused and the old one
//! goes on. Private keys are written with mode 0600.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file.
    #[error("cannot use {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Key and certificate do not belong together, or are of a kind that rustls does not serve.
    #[error("the certificate {path} and its key cannot be used")]
    Pair {
        /// The certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The self-signed certificate cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// The certificate that is served now, and where it comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    served: Arc<Served>,
}

#[derive(Debug)]
struct Served(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
    }
}

/// Makes aws-lc-rs the crypto of every rustls in the process. Other crates may bring a second provider, so this is the first
/// thing that `main` does.
pub fn install_provider() {
    // An error says that one is installed already, which is this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Certificate {
    /// The operator's.
    ///
    /// # Errors
    /// A file that cannot be read, or a pair that cannot be used.
    pub fn open(cert: &Path, key: &Path) -> Result<Certificate, TlsError> {
        let served = Arc::new(Served(RwLock::new(read(cert, key)?)));
        Ok(Certificate { cert: cert.to_owned(), key: key.to_owned(), served })
    }

    /// The self-signed one in the `data` folder, made for `names` (host names and addresses) where it is not there yet.
    ///
    /// # Errors
    /// It cannot be made, written or read.
    pub fn self_signed(data: &Path, names: &[String]) -> Result<Certificate, TlsError> {
        let (cert, key) = (data.join("tls-cert.pem"), data.join("tls-key.pem"));
        // The key is written first: a certificate that is there has its key.
        if !cert.is_file() {
            let (cert_pem, key_pem) = make(names)?;
            write(&key, &key_pem)?;
            write(&cert, &cert_pem)?;
        }
        Certificate::open(&cert, &key)
    }

    /// Reads the files again; connections from now on get what they hold.
    ///
    /// # Errors
    /// As [`Certificate::open`]; the former one is then still served.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.cert, &self.key)?;
        *self.served.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// A server's configuration: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(self.served.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let key = self.served.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let digest = Sha256::digest(key.cert.first().map_or(&[][..], |c| c.as_ref()));
        plenum_contract::spec::Fingerprint(digest.into()).to_string()
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |reason: rustls::pki_types::pem::Error| TlsError::File { path, reason: reason.to_string() }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert).map_err(bad(cert))?.collect::<Result<_, _>>().map_err(bad(cert))?;
    if chain.is_empty() {
        return Err(TlsError::File { path: cert.to_owned(), reason: "no certificate in it".into() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(bad(key))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map(Arc::new)
        .map_err(|source| TlsError::Pair { path: cert.to_owned(), source })
}

/// Years of a self-signed certificate: nobody renews it, and browsers warn of it anyway.
const YEARS: i32 = 10;

fn make(names: &[String]) -> Result<(String, String), TlsError> {
    let mut params = rcgen::CertificateParams::new(names.to_vec())?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, names.first().map_or("plenum", String::as_str));
    name.push(rcgen::DnType::OrganizationName, "Plenum (self-signed)");
    params.distinguished_name = name;
    // A day early: clocks of clients differ.
    let now = yesterday();
    params.not_before = rcgen::date_time_ymd(now.0, now.1, now.2);
    params.not_after = rcgen::date_time_ymd(now.0 + YEARS, now.1, now.2.min(28));
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// Year, month and day of yesterday.
fn yesterday() -> (i32, u8, u8) {
    let days = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400);
    civil(days.saturating_sub(1))
}

/// The Gregorian date of a day since 1970-01-01 (the usual era arithmetic with years that begin in March).
fn civil(days: u64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    ((yoe + era * 400 + u64::from(month <= 2)) as i32, month as u8, day as u8)
}

/// Names of a self-signed certificate: localhost, the domain and the addresses that the banner prints.
pub fn names(domain: &str, addresses: &[IpAddr]) -> Vec<String> {
    let mut names = vec![domain.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(addresses.iter().map(IpAddr::to_string));
    let mut seen = Vec::new();
    names.retain(|n| {
        let new = !seen.contains(n);
        seen.push(n.clone());
        new
    });
    names
}

fn write(path: &Path, pem: &str) -> Result<(), TlsError> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(pem.as_bytes()).and_then(|()| f.sync_all()))
        .map_err(|e| TlsError::File { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_start_makes_a_certificate_and_the_next_keeps_it() {
        let data = tempfile::tempdir().unwrap();
        let names = names("plenum.local", &["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
        assert_eq!(names, ["plenum.local", "localhost", "127.0.0.1", "::1", "192.0.2.1"]);
        let first = Certificate::self_signed(data.path(), &names).unwrap();
        let mode = std::fs::metadata(data.path().join("tls-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Certificate::self_signed(data.path(), &names).unwrap().fingerprint(), first.fingerprint());
        install_provider();
        assert_eq!(first.server_config().alpn_protocols.len(), 2);
    }

    #[test]
    fn a_reload_serves_what_the_files_hold_and_keeps_the_old_one_when_they_are_bad() {
        let data = tempfile::tempdir().unwrap();
        let certificate = Certificate::self_signed(data.path(), &["a.example".into()]).unwrap();
        let first = certificate.fingerprint();
        let (cert_pem, key_pem) = make(&["b.example".into()]).unwrap();
        write(&data.path().join("tls-cert.pem"), &cert_pem).unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Pair { .. })), "the key is still the old one");
        assert_eq!(certificate.fingerprint(), first);
        write(&data.path().join("tls-key.pem"), &key_pem).unwrap();
        certificate.reload().unwrap();
        assert_ne!(certificate.fingerprint(), first);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("x.pem");
        std::fs::write(&path, "nothing").unwrap();
        let error = Certificate::open(&path, &path).unwrap_err().to_string();
        assert!(error.contains("x.pem"), "{error}");
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_777), (2026, 11, 20));
    }
}
