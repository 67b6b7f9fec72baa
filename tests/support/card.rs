//! A driver of NVIDIA's without a card, for tests: `fixtures/card/`, built with the C++ compiler that is here.

use std::path::Path;
use std::process::Command;

/// The folder of the libraries; gone with it.
pub struct TestDriver {
    folder: tempfile::TempDir,
}

impl TestDriver {
    /// `None`, said aloud, where there is no C++ compiler.
    pub fn build() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/card");
        for (compiler, source, name) in [
            ("c++", "cuda.cpp", "libcuda.so.1"),
            ("cc", "nvcuvid.c", "libnvcuvid.so.1"),
        ] {
            let built = Command::new(compiler)
                .args(["-O2", "-ffp-contract=off", "-shared", "-fPIC"])
                .arg(format!("-Wl,-soname,{name}"))
                .arg("-o")
                .arg(folder.path().join(name))
                .arg(sources.join(source))
                .status();
            match built {
                Ok(status) => assert!(status.success(), "{source} does not compile"),
                Err(error) => {
                    eprintln!("SKIPPED: no {compiler} here for a driver of the tests: {error}");
                    return None;
                }
            }
        }
        Some(Self { folder })
    }

    /// Where it, `libcuda.so.1`, and what goes with it lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
