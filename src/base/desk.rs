//! What may be asked of the configuration while the daemon runs: looked at, tried, changed.
//!
//! The configuration is one text, its file. Whoever wants a change (the page, the API, a signal)
//! brings the whole new text; the daemon finds out what differs, and a camera that does not differ
//! is not touched.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::Secret;

/// The configuration as it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigText {
    /// The TOML text. It may hold credentials: it is for the daemon's own hands, never for an answer.
    pub text: String,
    /// Stands for this very text. A change names the revision that it was made from, so that two
    /// people who edit at once do not undo each other's work unseen.
    pub revision: String,
}

/// What a new configuration would do, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConfigChanges {
    /// Ids of cameras that are new.
    pub added: Vec<String>,
    /// Ids of cameras that are opened anew: their source or how they are watched differs.
    pub reopened: Vec<String>,
    /// Ids of cameras that go on as they are, with other zones, lines, classes or thresholds.
    pub adjusted: Vec<String>,
    /// Ids of cameras that are no longer watched.
    pub removed: Vec<String>,
    /// Keys whose new values count only after a restart.
    pub after_restart: Vec<String>,
}

/// Why a change was not made. Nothing is changed then, neither in the daemon nor in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigRefusal {
    /// The file changed since `revision` was read.
    #[error("the configuration was changed by somebody else meanwhile; load it again")]
    Outdated,
    /// The text is no valid configuration: one line per fault, each naming key, value and remedy.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// A camera of it does not deliver a frame; the text says which and why.
    #[error("{0}")]
    Camera(String),
    /// The daemon cannot do it: its file cannot be written, or it is stopping.
    #[error("{0}")]
    Failed(String),
}

/// A password in a file of its own that the configuration can name; the file goes with this, unless it is
/// kept.
pub struct PasswordFile(tempfile::TempPath);

impl fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordFile").finish_non_exhaustive()
    }
}

impl PasswordFile {
    /// What is at this path is the password's file.
    #[must_use]
    pub fn new(path: tempfile::TempPath) -> Self {
        Self(path)
    }

    /// Its name, as the configuration beside it says it.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The configuration names it now: it stays.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`] if the system does not leave it.
    pub fn keep(self) -> Result<PathBuf, ConfigRefusal> {
        let kept = self.0.keep();
        kept.map_err(|error| ConfigRefusal::Failed(format!("keeping the password's file: {error}")))
    }
}

/// Where the configuration of a running daemon is read and changed. Calls may take as long as a
/// camera takes to open (seconds); they are made one after the other.
pub trait ConfigDesk: Send + Sync + std::fmt::Debug {
    /// The text of the file.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`] if it cannot be read.
    fn current(&self) -> Result<ConfigText, ConfigRefusal>;

    /// What `text` would change. Nothing is opened or changed.
    ///
    /// # Errors
    /// [`ConfigRefusal::Invalid`].
    fn check(&self, text: &str) -> Result<ConfigChanges, ConfigRefusal>;

    /// Writes a camera's password into a new file beside the configuration, for gantryd's user alone.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`] if there is no place for it.
    fn password_file(&self, camera: &str, password: &Secret)
    -> Result<PasswordFile, ConfigRefusal>;

    /// Makes `text` the configuration: checks it, opens what is new and waits for a frame of each,
    /// then changes the daemon and its file, or neither.
    ///
    /// # Errors
    /// [`ConfigRefusal`].
    fn apply(&self, text: &str, revision: &str) -> Result<ConfigChanges, ConfigRefusal>;
}
