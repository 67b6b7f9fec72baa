//! Events that were told after the state was left: what they counted counts, and what they were about has
//! happened, so that it is not told again.

use super::Zones;
use crate::base::{Direction, TrackId};

/// What an event of before said, as far as it changes what zones know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub number: u64,
    /// The ids of its object.
    pub tracks: Vec<TrackId>,
    /// What happened.
    pub what: ToldKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldKind {
    /// The object crossed this line.
    Crossing(String, Direction),
    /// It crossed the second line after the first.
    Turn(String, String),
    /// It came into this zone.
    Entry(String),
    /// It left this zone.
    Exit(String),
    /// It has been in this zone for too long.
    Loitering(String),
    /// Anything else.
    Other,
}

impl Zones {
    /// Takes in what was told after the state was left that these go on from, in order. What is known
    /// already, by its number, is passed over; so is a place that is not there any more.
    pub fn catch_up(&mut self, told: &[Told]) {
        for event in told {
            if event.number > self.last_number {
                self.take_in(event);
                self.number_after(event.number);
            }
        }
    }

    fn take_in(&mut self, event: &Told) {
        let line = |name: &str| self.plan.lines.iter().position(|it| &*it.name == name);
        let zone = |name: &str| self.plan.zones.iter().position(|it| &*it.name == name);
        let was = |id: &TrackId, object: &super::Object| object.was(*id);
        let mut objects = self.objects.values_mut().rev();
        let object = objects.find(|it| event.tracks.iter().any(|id| was(id, it)));
        match &event.what {
            ToldKind::Crossing(name, direction) => {
                let Some(index) = line(name) else { return };
                let count = &mut self.counts.lines[index];
                match direction {
                    Direction::In => count.ins += 1,
                    Direction::Out => count.outs += 1,
                }
                if let Some(object) = object {
                    object.lines[index].has_crossed(*direction);
                    object.last_line = Some(index);
                }
            }
            ToldKind::Turn(from, to) => {
                if let (Some(from), Some(to)) = (line(from), line(to)) {
                    *self.counts.turns.entry((from, to)).or_default() += 1;
                }
            }
            ToldKind::Entry(name) => {
                let Some(index) = zone(name) else { return };
                self.counts.zones[index].entries += 1;
                if let Some(object) = object {
                    object.visits[index].has_entered(object.last_seen);
                }
            }
            ToldKind::Exit(name) => {
                let Some(index) = zone(name) else { return };
                self.counts.zones[index].exits += 1;
                if let Some(object) = object {
                    object.visits[index].has_left();
                }
            }
            ToldKind::Loitering(name) => {
                if let (Some(index), Some(object)) = (zone(name), object) {
                    object.visits[index].has_loitered();
                }
            }
            ToldKind::Other => {}
        }
    }
}
