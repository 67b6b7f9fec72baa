//! The edge between cameras and detectors: one bounded place per camera, served in turn.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Items of a live source that may come at once and are kept, after as many quiet moments as [`CALM`] says for
/// each: a decoder that worked on a key frame hands over what came meanwhile.
const BURST: u8 = 4;

/// Items in a row that must have found nothing waiting, to keep one more of the next burst. A surplus that lasts
/// never has so many, so that the newest wins there.
const CALM: u8 = 8;

/// A slot that gave nothing for so long is not waited for.
const ASLEEP_AFTER: Duration = Duration::from_secs(1);

/// Which takers an item is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Those that look at it.
    Look,
    /// Those that hand it on unseen.
    Pass,
}

/// Says which takers the items of an [`Inbox`] are for. It is asked while the inbox is locked, so it
/// must be quick, and not use the inbox.
pub trait Route<T>: Send {
    /// Whom the first item of a slot is for. Asked once per item, and only once all items taken before
    /// that it could depend on have got as far as it needs.
    fn lane(&mut self, slot: usize, item: &T) -> Lane;
    /// The item asked about last is taken from its slot.
    fn taken(&mut self, slot: usize, item: &T, lane: Lane);
}

/// A [`Route`] that tells nothing about itself.
struct Router<T>(Box<dyn Route<T>>);

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Router")
    }
}

/// An item taken from an [`Inbox`].
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// The slot (camera) it came from.
    pub slot: usize,
    /// Its number among all items taken from that slot: 0, 1, 2, … Several takers can work at
    /// once and their results be put back in order by it.
    pub ticket: u64,
    /// The item.
    pub item: T,
}

/// Bounded slots, one per camera, from which any number of workers take in turn, so that a fast
/// camera cannot starve a slow one.
#[derive(Debug)]
pub struct Inbox<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug)]
struct State<T> {
    slots: BTreeMap<usize, Slot<T>>,
    /// The number of the next slot; none is given twice.
    next_slot: usize,
    /// The slot that is looked at first by the next take of each lane.
    next: [usize; 2],
    /// Who says whom items are for; without it all are to be looked at.
    router: Option<Router<T>>,
    closed: bool,
}

#[derive(Debug)]
struct Slot<T> {
    items: VecDeque<(T, Keep)>,
    /// Whom the first item is for, if that was asked.
    lane: Option<Lane>,
    /// Items that may still be kept beside others that wait.
    spare: u8,
    /// Items in a row that found nothing waiting, since `spare` last grew.
    calm: u8,
    /// Items that may be taken and not yet done.
    outstanding: u64,
    taken: u64,
    done: u64,
    aborted: bool,
    /// When something was last put there.
    given: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Replaceable,
    Always,
}

impl<T> Inbox<T> {
    /// An inbox with `slots` empty slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            state: Mutex::new(State {
                slots: (0..slots).map(|slot| (slot, Slot::new(u64::MAX))).collect(),
                next_slot: slots,
                next: [0; 2],
                router: None,
                closed: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Takes no further item of a slot while `limit` of its items are taken and not yet
    /// [done](Inbox::done): bounds what waits behind a slow worker or a slow reader.
    #[must_use]
    pub fn with_outstanding(self, limit: usize) -> Self {
        for slot in self.lock().slots.values_mut() {
            slot.outstanding = limit as u64;
        }
        self
    }

    /// Adds an empty slot, of which at most `outstanding` items are taken and not yet
    /// [done](Inbox::done); gives its number, which no slot had before.
    #[must_use]
    pub fn add_slot(&self, outstanding: usize) -> usize {
        let mut state = self.lock();
        let slot = state.next_slot;
        state.next_slot += 1;
        state.slots.insert(slot, Slot::new(outstanding as u64));
        slot
    }

    /// Takes a slot away whose source has ended. Gives what still waits there, which is nothing once
    /// it is [idle](Inbox::is_idle).
    #[must_use]
    pub fn remove_slot(&self, slot: usize) -> Vec<T> {
        let removed = self.lock().slots.remove(&slot);
        self.emptied.notify_all();
        let waiting = removed.into_iter().flat_map(|slot| slot.items);
        waiting.map(|(item, _)| item).collect()
    }

    /// Does nothing wait in the slot, and is everything done that was taken from it?
    #[must_use]
    pub fn is_idle(&self, slot: usize) -> bool {
        let state = self.lock();
        let slot = state.slots.get(&slot);
        slot.is_none_or(|slot| slot.items.is_empty() && slot.taken == slot.done)
    }

    /// As [`Inbox::with_outstanding`] with a limit of 1, for `slot` alone: an item is taken once all
    /// that came of the one before is known.
    #[must_use]
    pub fn one_at_a_time(self, slot: usize) -> Self {
        if let Some(slot) = self.lock().slots.get_mut(&slot) {
            slot.outstanding = 1;
        }
        self
    }

    /// With items for two kinds of takers, [`Inbox::take`] and [`Inbox::take_passed`].
    #[must_use]
    pub fn routed(self, route: Box<dyn Route<T>>) -> Self {
        self.lock().router = Some(Router(route));
        self
    }

    /// One item taken from `slot` has gone all its way.
    pub fn done(&self, slot: usize) {
        if let Some(slot) = self.lock().slots.get_mut(&slot) {
            slot.done += 1;
        }
        self.filled.notify_all();
    }

    /// Puts the newest item of a live source; never waits. A short burst is kept; of a surplus that lasts the
    /// newest wins. Returns what is lost by that, oldest first: items displaced, or `item` itself once the
    /// inbox is closed or the slot taken away.
    #[must_use]
    pub fn put_newest(&self, slot: usize, item: T) -> Vec<T> {
        let mut state = self.lock();
        let Some(place) = state.open_slot(slot) else {
            return vec![item];
        };
        let displaced = place.make_room();
        place.items.push_back((item, Keep::Replaceable));
        self.tell_takers(state);
        displaced
    }

    /// Puts an item of a lossless source, waiting while `capacity` items wait already.
    ///
    /// # Errors
    /// The item itself, if the inbox was closed or the slot aborted meanwhile.
    pub fn put_waiting(&self, slot: usize, item: T, capacity: usize) -> Result<(), T> {
        let mut state = self.lock();
        loop {
            let Some(place) = state.open_slot(slot).filter(|place| !place.aborted) else {
                return Err(item);
            };
            if place.items.len() < capacity {
                place.items.push_back((item, Keep::Replaceable));
                self.tell_takers(state);
                return Ok(());
            }
            state = self
                .emptied
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts an item that is never displaced and never waits; for rare notices (a run's end), not
    /// for frames. Returns it once the inbox is closed.
    ///
    /// # Errors
    /// The item itself, if the inbox is closed.
    pub fn put_notice(&self, slot: usize, item: T) -> Result<(), T> {
        let mut state = self.lock();
        let Some(place) = state.open_slot(slot) else {
            return Err(item);
        };
        place.items.push_back((item, Keep::Always));
        self.tell_takers(state);
        Ok(())
    }

    /// Wakes a [`Inbox::put_waiting`] of this slot with an error, now and from now on, until
    /// [`Inbox::resume`]. Called before a source is shut down, or the two wait for each other.
    pub fn abort(&self, slot: usize) {
        self.set_aborted(slot, true);
        self.emptied.notify_all();
    }

    /// Allows [`Inbox::put_waiting`] again after [`Inbox::abort`].
    pub fn resume(&self, slot: usize) {
        self.set_aborted(slot, false);
    }

    fn set_aborted(&self, slot: usize, is_aborted: bool) {
        if let Some(slot) = self.lock().slots.get_mut(&slot) {
            slot.aborted = is_aborted;
        }
    }

    /// Takes up to `max` items that are to be looked at, at most one per slot, waiting for the first.
    /// Slots are served in turn. `None` once the inbox is closed and empty.
    #[must_use]
    pub fn take(&self, max: usize) -> Option<Vec<Taken<T>>> {
        self.take_of(Lane::Look, max, Duration::ZERO)
    }

    /// As [`Inbox::take`], and waits at most `wait` after the first for others, up to `max` or one of each
    /// slot that may give one. What waits can still be displaced by what is newer.
    #[must_use]
    pub fn take_together(&self, max: usize, wait: Duration) -> Option<Vec<Taken<T>>> {
        self.take_of(Lane::Look, max, wait)
    }

    /// As [`Inbox::take`], of the items that are handed on unseen.
    #[must_use]
    pub fn take_passed(&self, max: usize) -> Option<Vec<Taken<T>>> {
        self.take_of(Lane::Pass, max, Duration::ZERO)
    }

    fn take_of(&self, lane: Lane, max: usize, wait: Duration) -> Option<Vec<Taken<T>>> {
        let mut state = self.lock();
        let mut until = None;
        loop {
            let left = if wait.is_zero() {
                Duration::ZERO
            } else {
                state.time_left(lane, max, wait, &mut until)
            };
            if !left.is_zero() {
                let waited = self.filled.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let taken = state.take_in_turn(max, lane);
            if !taken.is_empty() {
                let is_routed = state.router.is_some();
                drop(state);
                self.emptied.notify_all();
                if is_routed {
                    // What follows in these slots may be for the others, and closed and empty is to
                    // be seen by all.
                    self.filled.notify_all();
                }
                return Some(taken);
            }
            if state.closed && state.slots.values().all(|slot| slot.items.is_empty()) {
                return None;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Refuses further items and lets takers finish what waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Something can be taken; with two kinds of takers either may be whom it is for.
    fn tell_takers(&self, state: MutexGuard<'_, State<T>>) {
        let is_routed = state.router.is_some();
        drop(state);
        if is_routed {
            self.filled.notify_all();
        } else {
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slot<T> {
    fn new(outstanding: u64) -> Self {
        Self {
            items: VecDeque::new(),
            lane: None,
            spare: BURST,
            calm: 0,
            outstanding,
            taken: 0,
            done: 0,
            aborted: false,
            given: None,
        }
    }
}

impl<T> Slot<T> {
    /// What goes for the next item of a live source, oldest first.
    fn make_room(&mut self) -> Vec<T> {
        if !matches!(self.items.back(), Some((_, Keep::Replaceable))) {
            self.calm += 1;
            if self.calm == CALM {
                self.calm = 0;
                self.spare = (self.spare + 1).min(BURST);
            }
            return Vec::new();
        }
        self.calm = 0;
        if self.spare > 0 {
            self.spare -= 1;
            return Vec::new();
        }
        let is_stale = |(_, keep): &&(T, Keep)| *keep == Keep::Replaceable;
        let stale = self.items.iter().rev().take_while(is_stale).count();
        let kept = self.items.len() - stale;
        if kept == 0 {
            self.lane = None;
        }
        self.items.drain(kept..).map(|(item, _)| item).collect()
    }
}

impl<T> State<T> {
    /// The slot, if something can still be put there.
    fn open_slot(&mut self, slot: usize) -> Option<&mut Slot<T>> {
        if self.closed {
            return None;
        }
        let slot = self.slots.get_mut(&slot)?;
        slot.given = Some(Instant::now());
        Some(slot)
    }

    /// How long others are still waited for, once there is a first; `until` says when that ends.
    fn time_left(
        &mut self,
        lane: Lane,
        max: usize,
        wait: Duration,
        until: &mut Option<Instant>,
    ) -> Duration {
        let (ready, possible) = self.ready(lane);
        if ready == 0 {
            *until = None;
        }
        if self.closed || ready == 0 || ready >= max.min(possible) {
            return Duration::ZERO;
        }
        let until = *until.get_or_insert_with(|| Instant::now() + wait);
        until.saturating_duration_since(Instant::now())
    }

    /// How many items can be taken now, and of how many slots one could come soon.
    fn ready(&mut self, lane: Lane) -> (usize, usize) {
        let (mut ready, mut possible) = (0, 0);
        for (index, slot) in &mut self.slots {
            if slot.taken - slot.done >= slot.outstanding {
                continue;
            }
            let Some((item, _)) = slot.items.front() else {
                let is_awake = slot.given.is_some_and(|at| at.elapsed() < ASLEEP_AFTER);
                possible += usize::from(is_awake);
                continue;
            };
            possible += 1;
            let is_for = match &mut self.router {
                Some(Router(route)) => *slot.lane.get_or_insert_with(|| route.lane(*index, item)),
                None => Lane::Look,
            };
            ready += usize::from(is_for == lane);
        }
        (ready, possible)
    }

    fn take_in_turn(&mut self, max: usize, lane: Lane) -> Vec<Taken<T>> {
        let first = self.next[lane as usize];
        let (before, from) = (self.slots.range(..first), self.slots.range(first..));
        let in_turn: Vec<usize> = from.chain(before).map(|(slot, _)| *slot).collect();
        let mut taken = Vec::new();
        for index in in_turn {
            if taken.len() == max {
                break;
            }
            let Some(slot) = self.slots.get_mut(&index) else {
                continue;
            };
            if slot.taken - slot.done >= slot.outstanding {
                continue;
            }
            let Some((item, _)) = slot.items.front() else {
                continue;
            };
            if let Some(Router(route)) = &mut self.router {
                let is_for = *slot.lane.get_or_insert_with(|| route.lane(index, item));
                if is_for != lane {
                    continue;
                }
                route.taken(index, item, lane);
                slot.lane = None;
            } else if lane == Lane::Pass {
                continue;
            }
            if let Some((item, _)) = slot.items.pop_front() {
                taken.push(Taken {
                    slot: index,
                    ticket: slot.taken,
                    item,
                });
                slot.taken += 1;
                self.next[lane as usize] = index + 1;
            }
        }
        taken
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
