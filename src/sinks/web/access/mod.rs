//! Who may use the page: accounts, tokens, sessions, and what each role may do.
//!
//! Belongs here: whether a request is answered at all. Where it came from is `guard.rs`; what it gets
//! is `routes.rs`. Without accounts everybody who reaches the address is its operator.

mod attempts;
mod gate;
mod login;
mod password;
mod sessions;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;

use attempts::Attempts;
pub(super) use gate::gate;
pub(super) use login::{log_in, log_out, session};
pub use password::{PASSWORD_BYTES, PasswordHash};
use sessions::Sessions;
pub use token::{Digest, random_secret};

/// Passwords that are compared at the same time; each takes a core and some megabytes.
const COMPARED_AT_ONCE: usize = 1;

/// What a session is kept under. The second name is one that a browser takes over TLS alone, for this
/// very host (RFC 6265bis, 4.1.3.2).
const COOKIES: [&str; 2] = ["gantryd", "__Host-gantryd"];

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Change the configuration, too.
    Operator,
}

impl Role {
    /// Every role by its name.
    pub const ALL: &'static [(&'static str, Self)] =
        &[("viewer", Self::Viewer), ("operator", Self::Operator)];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// What its password is compared with.
    pub password: PasswordHash,
}

/// A program with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Names it in the log.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// What its token is compared with.
    pub digest: Digest,
}

/// Who may come, by which name of the machine, and for how long.
#[derive(Debug, Clone, Default)]
pub struct AccessRules {
    /// Persons; their names differ.
    pub users: Vec<Account>,
    /// Programs.
    pub tokens: Vec<AccessToken>,
    /// Names of the machine, lower case, besides its addresses and localhost.
    pub names: Vec<String>,
    /// The page is answered over TLS.
    pub is_tls: bool,
    /// A session that is not used for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long.
    pub session_longest: Duration,
}

/// The rules and everything that is under way.
pub struct Access {
    pub(super) rules: AccessRules,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
    /// Places for comparing a password.
    comparing: Semaphore,
    /// What a change must bring along where there are no accounts.
    open_csrf: Arc<str>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The account's or the token's name; `None` where there are no accounts.
    pub name: Option<Arc<str>>,
    pub role: Role,
    /// What a change must bring along, so that it was made by the page and no other site; a token
    /// shows that by itself.
    csrf: Option<Arc<str>>,
    /// Its session, if that is how it came.
    session: Option<Digest>,
}

impl Access {
    /// Nobody is logged in yet.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(rules: AccessRules) -> Result<Arc<Self>, getrandom::Error> {
        let sessions = Sessions::new(rules.session_idle, rules.session_longest);
        Ok(Arc::new(Self {
            sessions: Mutex::new(sessions),
            attempts: Mutex::new(Attempts::new(Instant::now())),
            comparing: Semaphore::new(COMPARED_AT_ONCE),
            open_csrf: Arc::from(random_secret()?),
            rules,
        }))
    }

    /// Is anybody asked who he is?
    pub(super) fn has_accounts(&self) -> bool {
        !self.rules.users.is_empty() || !self.rules.tokens.is_empty()
    }

    /// Who sent these headers, if that is somebody.
    fn caller(&self, headers: &HeaderMap, now: Instant) -> Option<Caller> {
        if !self.has_accounts() {
            return Some(Caller {
                name: None,
                role: Role::Operator,
                csrf: Some(Arc::clone(&self.open_csrf)),
                session: None,
            });
        }
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            // Whoever brings a token is not helped by a cookie.
            let token = given.to_str().ok()?.strip_prefix("Bearer ")?;
            return self.holder(token);
        }
        let digest = Digest::of(self.cookie(headers)?);
        let session = self.sessions().used(&digest, now)?;
        Some(Caller {
            name: Some(session.name),
            role: session.role,
            csrf: Some(session.csrf),
            session: Some(digest),
        })
    }

    fn holder(&self, token: &str) -> Option<Caller> {
        let digest = Digest::of(token.trim());
        // Every one is compared, so that the time tells nothing.
        let mut found = None;
        for token in &self.rules.tokens {
            if token.digest.is_same(&digest) {
                found = Some(token);
            }
        }
        let token = found?;
        Some(Caller {
            name: Some(Arc::clone(&token.name)),
            role: token.role,
            csrf: None,
            session: None,
        })
    }

    /// The secret of the session's cookie.
    fn cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let all = headers.get_all(header::COOKIE).into_iter();
        let mut pairs = all
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        // One that came without TLS may have been set by somebody on the way.
        let names = if self.rules.is_tls {
            &COOKIES[1..]
        } else {
            &COOKIES
        };
        let (_, secret) = pairs.find(|(name, _)| names.contains(name))?;
        Some(secret)
    }

    /// May the caller of a stream still look? Its session is in use as long as it does.
    pub(super) fn is_still_valid(&self, caller: &Caller) -> bool {
        let session = caller.session.as_ref();
        session.is_none_or(|it| self.sessions().used(it, Instant::now()).is_some())
    }

    /// The account of this name and password. Takes as long as a comparison takes, also where there
    /// is no such account.
    fn account(&self, name: &str, password: &str) -> Option<&Account> {
        let account = self.rules.users.iter().find(|user| *user.name == *name);
        let compared = account.or_else(|| self.rules.users.first())?;
        let is_right = compared.password.is_of(password);
        account.filter(|_| is_right)
    }

    /// Seconds to wait before another password may be tried from `from`; `None` counts as a try.
    fn wait(&self, from: IpAddr) -> Option<Duration> {
        self.attempts().wait(from, Instant::now())
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessRules {
    /// Names that two accounts, or two tokens, have in common.
    #[must_use]
    pub fn doubled(names: &[Arc<str>]) -> Option<(usize, usize)> {
        let mut first = HashMap::new();
        names.iter().enumerate().find_map(|(index, name)| {
            let before = first.insert(name, index)?;
            Some((before, index))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn access(rules: AccessRules) -> Arc<Access> {
        Access::new(AccessRules {
            session_idle: Duration::from_secs(60),
            session_longest: Duration::from_secs(600),
            ..rules
        })
        .unwrap()
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn without_accounts_everybody_is_the_operator() {
        let access = access(AccessRules::default());
        let caller = access.caller(&HeaderMap::new(), Instant::now()).unwrap();
        assert_eq!(caller.role, Role::Operator);
        assert!(
            caller.csrf.is_some(),
            "a change still needs the page's word"
        );
    }

    #[test]
    fn a_token_opens_and_a_wrong_one_does_not_even_with_a_cookie() {
        let token = AccessToken {
            name: Arc::from("wall"),
            role: Role::Viewer,
            digest: Digest::of("secret"),
        };
        let access = access(AccessRules {
            tokens: vec![token],
            ..AccessRules::default()
        });
        let now = Instant::now();
        let asked = |headers: &HeaderMap| access.caller(headers, now).map(|it| it.role);
        assert_eq!(
            asked(&with(header::AUTHORIZATION, "Bearer secret")),
            Some(Role::Viewer)
        );
        assert_eq!(asked(&with(header::AUTHORIZATION, "Bearer other")), None);
        assert_eq!(asked(&with(header::AUTHORIZATION, "Basic secret")), None);
        assert_eq!(asked(&HeaderMap::new()), None);
        let opened = access
            .sessions()
            .open(Arc::from("anna"), Role::Operator, now)
            .unwrap();
        let mut both = with(header::COOKIE, &format!("gantryd={}", opened.secret));
        assert_eq!(asked(&both), Some(Role::Operator));
        both.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(asked(&both), None);
    }

    #[test]
    fn over_tls_only_the_cookie_that_came_over_tls_counts() {
        let account = Account {
            name: Arc::from("anna"),
            role: Role::Viewer,
            password: PasswordHash::of("correct horse").unwrap(),
        };
        let access = access(AccessRules {
            users: vec![account],
            is_tls: true,
            ..AccessRules::default()
        });
        let now = Instant::now();
        let opened = access
            .sessions()
            .open(Arc::from("anna"), Role::Viewer, now)
            .unwrap();
        let asked = |cookie: String| access.caller(&with(header::COOKIE, &cookie), now).is_some();
        assert!(asked(format!("a=b; __Host-gantryd={}", opened.secret)));
        assert!(!asked(format!("gantryd={}", opened.secret)));
        assert!(access.account("anna", "correct horse").is_some());
        assert!(access.account("anna", "wrong horse").is_none());
        assert!(access.account("bert", "correct horse").is_none());
    }
}
