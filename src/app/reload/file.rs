//! The file that holds the configuration: read, and replaced as a whole.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::base::{ConfigRefusal, ConfigText, PasswordFile, Secret};

/// Where the configuration is.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
}

impl fmt::Display for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl ConfigFile {
    /// The file at `path`, which may be a symbolic link to it.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Its name, from whose folder relative paths in it are seen.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text as it is now.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`] if it cannot be read.
    pub fn read(&self) -> Result<ConfigText, ConfigRefusal> {
        let text = fs::read_to_string(&self.path)
            .map_err(|error| ConfigRefusal::Failed(format!("{self}: reading it: {error}")))?;
        Ok(ConfigText {
            revision: revision(&text),
            text,
        })
    }

    /// Puts `text` in its place: after a power cut there is the old text or the new one, whole. Mode
    /// and owner stay; a symbolic link stays and what it leads to is replaced.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`]; the old text is there as it was.
    pub fn write(&self, text: &str) -> Result<(), ConfigRefusal> {
        self.replace(text).map_err(|error| {
            ConfigRefusal::Failed(format!(
                "{self}: it cannot be replaced ({error}); gantryd must own the file and may write to its folder (docs/reload.md)"
            ))
        })
    }

    /// A new file beside it that holds `password`, mode 0600; `camera` begins its name.
    ///
    /// # Errors
    /// [`ConfigRefusal::Failed`] if it cannot be written.
    pub fn password(&self, camera: &str, password: &Secret) -> Result<PasswordFile, ConfigRefusal> {
        let write = || {
            // Seen from the name of the configuration, as everything that it names.
            let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
            // No part of a path, whatever somebody calls a camera.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let camera = camera.replace(|c| !is_plain(c), "_");
            let mut new = tempfile::Builder::new()
                .prefix(&format!("{camera}-"))
                .suffix(".password")
                .tempfile_in(folder.unwrap_or(Path::new(".")))?;
            new.write_all(password.expose().as_bytes())?;
            new.write_all(b"\n")?;
            new.as_file().sync_all()?;
            io::Result::Ok(PasswordFile::new(new.into_temp_path()))
        };
        write().map_err(|error| {
            ConfigRefusal::Failed(format!(
                "no password can be kept beside {self} ({error}); gantryd may have to be let write to its folder (docs/reload.md)"
            ))
        })
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let target = fs::canonicalize(&self.path)?;
        let before = fs::metadata(&target)?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        let mut new = tempfile::Builder::new()
            .prefix(".gantryd-")
            .tempfile_in(folder)?;
        new.write_all(text.as_bytes())?;
        let file = new.as_file();
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            fchown(file, Some(before.uid()), Some(before.gid()))?;
        }
        // After the owner: a change of owner may take bits of the mode away.
        file.set_permissions(before.permissions())?;
        file.sync_all()?;
        new.persist(&target)?;
        File::open(folder)?.sync_all()
    }
}

/// Stands for this very text: its SHA-256, in hexadecimal digits.
fn revision(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_file_is_replaced_and_keeps_its_mode_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.toml");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("site.toml");
        symlink("real.toml", &link).unwrap();
        let file = ConfigFile::new(&link);
        let before = file.read().unwrap();

        file.write("new").unwrap();

        let after = file.read().unwrap();
        assert_eq!(after.text, "new");
        assert_ne!(after.revision, before.revision);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing is left"
        );
    }

    #[test]
    fn what_cannot_be_written_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile::new(&folder.path().join("gone/site.toml"));
        let told = file.write("new").unwrap_err().to_string();
        assert!(
            told.contains("gone/site.toml: it cannot be replaced ("),
            "{told}"
        );
        assert!(told.contains("may write to its folder"), "{told}");
    }

    #[test]
    fn a_password_has_a_file_for_its_owner_alone_which_goes_unless_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile::new(&folder.path().join("site.toml"));
        let secret = Secret::new("hunter2");
        drop(file.password("../gate/", &secret).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let made = file.password("gate", &secret).unwrap();
        let name = made.name();
        assert!(
            name.starts_with("gate-") && name.ends_with(".password"),
            "{name}"
        );
        let path = made.keep().unwrap();
        assert_eq!(path.file_name().unwrap(), &*name);
        assert_eq!(fs::read_to_string(&path).unwrap(), "hunter2\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn equal_texts_have_equal_revisions() {
        assert_eq!(revision("a"), revision("a"));
        assert_ne!(revision("a"), revision("a "));
        // sha256sum of the empty text.
        assert!(revision("").starts_with("e3b0c44298fc1c14"));
    }
}
