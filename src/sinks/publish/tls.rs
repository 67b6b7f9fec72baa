//! Whom a sink trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// A TLS client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authorities cannot be read.
    #[error("{file}: no certificate authorities in PEM format ({reason})")]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// rustls refuses.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// A client that trusts the authorities in `ca_file`, or the system's without one.
///
/// # Errors
/// [`TlsError`] if the file holds no authorities.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = match ca_file {
        None => builder.with_platform_verifier()?.with_no_client_auth(),
        Some(file) => builder
            .with_root_certificates(authorities(file)?)
            .with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let fault = |reason: String| TlsError::Authorities {
        file: file.to_owned(),
        reason,
    };
    let mut store = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| fault(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(fault("it holds none".to_owned()));
    }
    Ok(store)
}
