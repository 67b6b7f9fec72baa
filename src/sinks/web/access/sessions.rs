//! Who is logged in. Nothing of it outlives the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Role;
use super::token::{Digest, random_secret};

/// Sessions beyond this: the one that was not used for longest makes room.
const MOST: usize = 512;

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub name: Arc<str>,
    pub role: Role,
    /// What a change of this session must bring along.
    pub csrf: Arc<str>,
    began: Instant,
    used: Instant,
}

/// A session that has just begun.
#[derive(Debug)]
pub(super) struct Opened {
    /// What the browser keeps; here only its digest is.
    pub secret: String,
}

/// Every session, by the digest of its secret.
#[derive(Debug)]
pub(super) struct Sessions {
    open: BTreeMap<Digest, Session>,
    idle: Duration,
    longest: Duration,
}

impl Sessions {
    pub fn new(idle: Duration, longest: Duration) -> Self {
        Self {
            open: BTreeMap::new(),
            idle,
            longest,
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn open(
        &mut self,
        name: Arc<str>,
        role: Role,
        now: Instant,
    ) -> Result<Opened, getrandom::Error> {
        let secret = random_secret()?;
        let csrf = Arc::from(random_secret()?);
        let (idle, longest) = (self.idle, self.longest);
        self.open.retain(|_, it| it.is_valid(now, idle, longest));
        if self.open.len() >= MOST {
            let oldest = self.open.iter().min_by_key(|(_, session)| session.used);
            if let Some((digest, session)) = oldest {
                tracing::info!(user = %session.name, most = MOST, "too many sessions, one ended early");
                let digest = digest.clone();
                self.open.remove(&digest);
            }
        }
        let session = Session {
            name,
            role,
            csrf,
            began: now,
            used: now,
        };
        self.open.insert(Digest::of(&secret), session);
        Ok(Opened { secret })
    }

    /// The session, which is in use now; `None` if it has ended.
    pub fn used(&mut self, digest: &Digest, now: Instant) -> Option<Session> {
        let session = self.open.get_mut(digest)?;
        if !session.is_valid(now, self.idle, self.longest) {
            self.open.remove(digest);
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// Ends a session.
    pub fn close(&mut self, digest: &Digest) {
        self.open.remove(digest);
    }
}

impl Session {
    fn is_valid(&self, now: Instant, idle: Duration, longest: Duration) -> bool {
        now.saturating_duration_since(self.used) < idle
            && now.saturating_duration_since(self.began) < longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_session_ends_unused_and_in_any_case_at_last() {
        let mut sessions = Sessions::new(10 * MINUTE, 30 * MINUTE);
        let start = Instant::now();
        let mut open = |at| {
            let opened = sessions.open(Arc::from("anna"), Role::Viewer, at).unwrap();
            Digest::of(&opened.secret)
        };
        let (idle, busy) = (open(start), open(start));
        for minutes in [5, 10, 15, 20, 25, 29] {
            let at = start + minutes * MINUTE;
            assert!(sessions.used(&busy, at).is_some(), "{minutes}");
        }
        assert!(sessions.used(&busy, start + 30 * MINUTE).is_none());
        assert!(sessions.used(&idle, start + 10 * MINUTE).is_none());
        assert!(sessions.used(&Digest::of("guessed"), start).is_none());
        assert!(sessions.open.is_empty());
    }

    #[test]
    fn too_many_end_the_one_that_was_not_used_for_longest() {
        let mut sessions = Sessions::new(10 * MINUTE, 30 * MINUTE);
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let digests: Vec<Digest> = (0..MOST)
            .map(|_| {
                let opened = sessions
                    .open(Arc::from("anna"), Role::Viewer, start)
                    .unwrap();
                Digest::of(&opened.secret)
            })
            .collect();
        for digest in &digests[1..] {
            sessions.used(digest, start + second).unwrap();
        }
        sessions
            .open(Arc::from("bert"), Role::Viewer, start + second)
            .unwrap();
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.used(&digests[0], start + second).is_none());
        sessions.close(&digests[1]);
        assert!(sessions.used(&digests[1], start + second).is_none());
    }
}
