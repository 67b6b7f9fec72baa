//! The certificate that a port shows, read from PEM files and again when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::{info, warn};

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Files that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No certificate can be read.
    #[error("{file}: no certificate in PEM can be read ({reason}); gantryd web certificate makes one", file = .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// No private key can be read.
    #[error("{file}: no private key in PEM can be read ({reason}); gantryd web certificate makes one", file = .file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that is not known.
    #[error("{cert} and {key} do not go together ({reason})", cert = .cert.display(), key = .key.display())]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What rustls says.
        reason: rustls::Error,
    },
    /// rustls refuses its set-up.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// A certificate and its key, as they are in their files now.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// Bytes of both files at the last look.
    seen: Mutex<[Vec<u8>; 2]>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Certificate");
        shown.field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`] names the file and the remedy.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let seen = bytes(cert, key)?;
        let current = certified(cert, key, &seen, &provider)?;
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            provider,
            current: RwLock::new(current),
            seen: Mutex::new(seen),
        }))
    }

    /// What rustls needs to answer with this certificate, HTTP/1.1.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, CertificateError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Takes the files if they changed; what cannot be used is told once, and the old one stays.
    pub(super) fn look_again(&self) {
        let Ok(now) = bytes(&self.cert, &self.key) else {
            return;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        let renewed = certified(&self.cert, &self.key, &now, &self.provider);
        *seen = now;
        drop(seen);
        let file = self.cert.display();
        match renewed {
            Ok(renewed) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                info!(%file, "certificate of the page renewed");
            }
            Err(error) => {
                warn!(%file, %error, "the certificate changed and cannot be used; the one before stays")
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn bytes(cert: &Path, key: &Path) -> Result<[Vec<u8>; 2], CertificateError> {
    let certificate = std::fs::read(cert).map_err(|error| CertificateError::Certificate {
        file: cert.to_owned(),
        reason: error.to_string(),
    })?;
    let private = std::fs::read(key).map_err(|error| CertificateError::Key {
        file: key.to_owned(),
        reason: error.to_string(),
    })?;
    Ok([certificate, private])
}

fn certified(
    cert: &Path,
    key: &Path,
    [certificate, private]: &[Vec<u8>; 2],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let no_certificate = |reason: String| CertificateError::Certificate {
        file: cert.to_owned(),
        reason,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("there is none in it".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(private).map_err(|error| CertificateError::Key {
            file: key.to_owned(),
            reason: error.to_string(),
        })?;
    let pair = CertifiedKey::from_der(chain, private, provider);
    pair.map(Arc::new).map_err(|reason| CertificateError::Pair {
        cert: cert.to_owned(),
        key: key.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path) {
        let made = rcgen::generate_simple_self_signed(["box.example".to_owned()]).unwrap();
        std::fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        write(folder.path());
        let certificate = Certificate::load(&cert, &key).unwrap();
        let shown = || certificate.current.read().unwrap().cert[0].to_vec();
        let first = shown();
        std::fs::write(&cert, "no certificate").unwrap();
        certificate.look_again();
        assert_eq!(shown(), first);
        write(folder.path());
        certificate.look_again();
        assert_ne!(shown(), first);
    }

    #[test]
    fn files_that_do_not_go_together_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        write(folder.path());
        let kept = std::fs::read(&key).unwrap();
        write(folder.path());
        std::fs::write(&key, kept).unwrap();
        let error = Certificate::load(&cert, &key).unwrap_err().to_string();
        assert!(error.contains("do not go together"), "{error}");
        std::fs::write(&key, "").unwrap();
        let error = Certificate::load(&cert, &key).unwrap_err().to_string();
        assert!(error.contains("k.pem: no private key"), "{error}");
    }
}
