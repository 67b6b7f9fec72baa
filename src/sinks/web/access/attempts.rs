//! How often passwords may be tried: per address, and by everybody together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::sinks::http::network_of;

/// Tries of one address in a row, and seconds until it has another.
const FROM_ONE: Rate = Rate {
    most: 5.0,
    secs_each: 60.0,
};

/// Tries of everybody in a row, and seconds until there is another.
const FROM_ALL: Rate = Rate {
    most: 60.0,
    secs_each: 2.0,
};

/// Addresses that are remembered.
const PLACES: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Rate {
    most: f64,
    secs_each: f64,
}

/// Tries that are left, and when that was so.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: Rate, at: Instant) -> Self {
        Self {
            left: rate.most,
            at,
        }
    }

    fn refilled(self, rate: Rate, now: Instant) -> Self {
        let secs = now.saturating_duration_since(self.at).as_secs_f64();
        Self {
            left: (self.left + secs / rate.secs_each).min(rate.most),
            at: now,
        }
    }

    /// How long until there is a try.
    fn wait(self, rate: Rate) -> Option<Duration> {
        (self.left < 1.0).then(|| Duration::from_secs_f64((1.0 - self.left) * rate.secs_each))
    }
}

/// Tries of late.
#[derive(Debug)]
pub(super) struct Attempts {
    places: BTreeMap<IpAddr, Bucket>,
    all: Bucket,
}

impl Attempts {
    pub fn new(now: Instant) -> Self {
        Self {
            places: BTreeMap::new(),
            all: Bucket::new(FROM_ALL, now),
        }
    }

    /// How long `from` must wait; `None` is a try, and counts as one.
    pub fn wait(&mut self, from: IpAddr, now: Instant) -> Option<Duration> {
        let place = network_of(from);
        let all = self.all.refilled(FROM_ALL, now);
        let known = self.places.get(&place).copied();
        let one = known.map_or_else(
            || Bucket::new(FROM_ONE, now),
            |it| it.refilled(FROM_ONE, now),
        );
        let wait = one.wait(FROM_ONE).max(all.wait(FROM_ALL));
        if wait.is_some() {
            return wait;
        }
        if known.is_none() {
            self.make_room(now);
        }
        let taken = |bucket: Bucket| Bucket {
            left: bucket.left - 1.0,
            ..bucket
        };
        self.places.insert(place, taken(one));
        self.all = taken(all);
        None
    }

    /// Gives an address the try back that turned out right. Those before it may have been at the password of
    /// somebody else.
    pub fn forgive(&mut self, from: IpAddr) {
        if let Some(bucket) = self.places.get_mut(&network_of(from)) {
            bucket.left = (bucket.left + 1.0).min(FROM_ONE.most);
        }
    }

    /// Forgets those that have all their tries again; if all are busy, the one that has most left.
    fn make_room(&mut self, now: Instant) {
        if self.places.len() < PLACES {
            return;
        }
        let left = |bucket: &Bucket| bucket.refilled(FROM_ONE, now).left;
        self.places.retain(|_, it| left(it) < FROM_ONE.most);
        if self.places.len() < PLACES {
            return;
        }
        let mildest = self
            .places
            .iter()
            .max_by(|(_, one), (_, other)| left(one).total_cmp(&left(other)));
        if let Some((&place, _)) = mildest {
            self.places.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_address_has_five_tries_and_then_one_a_minute() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..5 {
            assert_eq!(attempts.wait(here, start), None);
        }
        assert_eq!(attempts.wait(here, start), Some(60 * SECOND));
        assert_eq!(
            attempts.wait("::ffff:192.0.2.1".parse().unwrap(), start),
            Some(60 * SECOND)
        );
        assert_eq!(attempts.wait("192.0.2.2".parse().unwrap(), start), None);
        assert_eq!(attempts.wait(here, start + 61 * SECOND), None);
        assert!(attempts.wait(here, start + 61 * SECOND).is_some());
        attempts.forgive(here);
        assert_eq!(attempts.wait(here, start + 61 * SECOND), None);
        assert!(attempts.wait(here, start + 61 * SECOND).is_some(), "one");
    }

    #[test]
    fn many_addresses_together_are_held_up_and_memory_stays() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(n));
        let tried = (0..1000).filter(|n| attempts.wait(address(*n), start).is_none());
        assert_eq!(tried.count(), 60);
        // One network of IPv6 is one address.
        let later = start + 1000 * SECOND;
        let v6 = |n: u128| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
        let tried = (0..100).filter(|n| attempts.wait(v6(*n), later).is_none());
        assert_eq!(tried.count(), 5);
        for n in 0..10_000 {
            attempts.wait(address(n), later + n * 3 * SECOND);
        }
        assert!(attempts.places.len() <= PLACES);
    }
}
