//! Secrets that nobody has to remember, and their digests.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// How a digest is written.
const KIND: &str = "sha256:";

/// What a secret is compared with. The secret is 256 random bits, so a plain SHA-256 tells nothing of
/// it. Prints as nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256")
    }
}

impl Digest {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// As it is written in the configuration; `None` if it is not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KIND)?;
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// As it is written in the configuration.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{KIND}{}", hex(&self.0))
    }

    /// Are they the same? Takes the same time whatever differs.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// 256 random bits as 64 digits.
///
/// # Errors
/// If the system has no random numbers.
pub fn random_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        // sha256sum of "abc" (FIPS 180-4, appendix B.1).
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of("abc").written(), text);
        let read = Digest::parse(text).unwrap();
        assert!(read.is_same(&Digest::of("abc")) && !read.is_same(&Digest::of("abd")));
        for wrong in [
            "",
            "sha256:",
            &text[7..],
            &text[..70],
            &text.replace("ba", "zz"),
        ] {
            assert!(Digest::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn two_secrets_differ() {
        let secret = random_secret().unwrap();
        assert_eq!(secret.len(), 64);
        assert_ne!(secret, random_secret().unwrap());
    }
}
