//! Passwords, kept as Argon2id hashes.

use std::fmt;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Argon2, Params};

/// Longest password that is looked at.
pub const PASSWORD_BYTES: usize = 1024;

/// Most memory that one comparison may take, KiB.
const MOST_KIB: u32 = 256 * 1024;

/// Most rounds of one comparison.
const MOST_ROUNDS: u32 = 16;

/// What a password is compared with: a valid Argon2id hash in the PHC string format. Prints as nothing
/// but its kind.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("argon2id")
    }
}

impl PasswordHash {
    /// Hashes a password with a salt of its own: 19 MiB, 2 rounds (OWASP, Password Storage Cheat Sheet).
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn of(password: &str) -> Result<Self, argon2::password_hash::Error> {
        let hash: phc::PasswordHash = Argon2::default().hash_password(password.as_bytes())?;
        Ok(Self(hash.to_string()))
    }

    /// A hash as it is written in the configuration.
    ///
    /// # Errors
    /// What is wrong with it, without the hash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hash = phc::PasswordHash::new(text).map_err(|error| error.to_string())?;
        if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() {
            return Err("it is no whole hash of kind argon2id".to_owned());
        }
        let params = Params::try_from(&hash).map_err(|error| error.to_string())?;
        if params.m_cost() > MOST_KIB || params.t_cost() > MOST_ROUNDS {
            return Err(format!(
                "it asks for more than {MOST_KIB} KiB (m) or {MOST_ROUNDS} rounds (t)"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Is it the hash of `password`? Takes a while, and a core.
    pub(super) fn is_of(&self, password: &str) -> bool {
        phc::PasswordHash::new(&self.0).is_ok_and(|hash| {
            let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
            verified.is_ok()
        })
    }

    /// As it is written in the configuration.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_prints_nothing() {
        let hash = PasswordHash::of("correct horse").unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let again = PasswordHash::parse(hash.expose()).unwrap();
        assert!(again.is_of("correct horse"));
        assert!(!again.is_of("correct horsf"));
        assert_eq!(format!("{again:?}"), "argon2id");
        assert_ne!(PasswordHash::of("correct horse").unwrap(), hash, "salted");
    }

    #[test]
    fn a_hash_made_elsewhere_counts_and_a_strange_one_is_refused() {
        // printf %s password | argon2 somesaltsalt -id -t 2 -k 65536 -p 1 -e: the form of the
        // reference program, other cost than ours.
        let form = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzYWx0$";
        let whole = format!("{form}{}", "A".repeat(43));
        assert!(PasswordHash::parse(&whole).is_ok());
        assert!(PasswordHash::parse(form).is_err());
        assert!(PasswordHash::parse("hunter2").is_err());
        assert!(PasswordHash::parse(&whole.replace("argon2id", "argon2i")).is_err());
        let costly = whole.replace("m=65536", "m=4000000");
        assert!(PasswordHash::parse(&costly).unwrap_err().contains("KiB"));
    }
}
