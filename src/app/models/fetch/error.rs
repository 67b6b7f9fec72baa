//! Why a model was not fetched.

use std::io;

use super::super::ModelError;
use crate::perception::detect::SignatureError;

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such model, or its manifest cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The licence asks for more than naming the authors.
    #[error(
        "model {id}: its weights are under {licence} ({source_of}), which may bind what you build with them; if you accept that: {again}"
    )]
    Licence {
        /// The model.
        id: String,
        /// Its licence.
        licence: String,
        /// Where it comes from.
        source_of: String,
        /// The command that accepts it.
        again: String,
    },
    /// Nobody offers the file.
    #[error("model {id}: {what}, then: gantryd models fetch {id} --from FILE.onnx")]
    NoSource {
        /// The model.
        id: String,
        /// How to get the file.
        what: String,
    },
    /// The place named by `--from` does not have the file.
    #[error("model {id}: {from}: {what}")]
    From {
        /// The model.
        id: String,
        /// The place.
        from: String,
        /// What was looked for.
        what: String,
    },
    /// What came is another file.
    #[error(
        "model {id}: what came from {from} has sha256 {found}, the manifest says {stated}: refused and deleted; ask the source, or correct sha256 in its manifest if you know better"
    )]
    WrongHash {
        /// The model.
        id: String,
        /// Where it came from.
        from: String,
        /// SHA-256 of what came.
        found: String,
        /// SHA-256 in the manifest.
        stated: String,
    },
    /// What came is no model.
    #[error("model {id}: what came from {from} is refused and deleted")]
    NotAModel {
        /// The model.
        id: String,
        /// Where it came from.
        from: String,
        /// What it is instead.
        #[source]
        source: SignatureError,
    },
    /// The server says no, and will say so again.
    #[error("model {id}: {from} answers {status}; is the address right? --from URL takes another")]
    Status {
        /// The model.
        id: String,
        /// The address.
        from: String,
        /// The status of the answer.
        status: u16,
    },
    /// The connection failed.
    #[error(
        "model {id}: fetching {from}: {what}; {kept} bytes are kept, the same command goes on from there"
    )]
    Network {
        /// The model.
        id: String,
        /// The address.
        from: String,
        /// What went wrong.
        what: String,
        /// Bytes that are there.
        kept: u64,
    },
    /// A file cannot be written or read.
    #[error("model {id}: {path}")]
    Io {
        /// The model.
        id: String,
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FetchError {
    /// Whether trying again may help without changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Network { .. } | Self::Io { .. })
    }
}
