//! How much room the disk has, as far as writers have to know: told by one thread, asked per frame.

use std::sync::atomic::{AtomicU8, Ordering};

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RoomLevel {
    /// What is left is for events alone.
    EventsOnly,
    /// No room for recordings.
    NoRecording,
    /// Room for everything.
    #[default]
    Enough,
}

/// Shared by the thread that watches the disk and those that write to it. Writes by default.
#[derive(Debug)]
pub struct DiskRoom(AtomicU8);

impl Default for DiskRoom {
    fn default() -> Self {
        Self(AtomicU8::new(RoomLevel::Enough as u8))
    }
}

impl DiskRoom {
    /// Who may write from now on.
    pub fn set(&self, level: RoomLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    /// Who may write now.
    #[must_use]
    pub fn level(&self) -> RoomLevel {
        let level = self.0.load(Ordering::Relaxed);
        if level == RoomLevel::EventsOnly as u8 {
            RoomLevel::EventsOnly
        } else if level == RoomLevel::NoRecording as u8 {
            RoomLevel::NoRecording
        } else {
            RoomLevel::Enough
        }
    }

    /// May pictures be recorded?
    #[must_use]
    pub fn is_for_recordings(&self) -> bool {
        self.level() == RoomLevel::Enough
    }

    /// May results be written?
    #[must_use]
    pub fn is_for_results(&self) -> bool {
        self.level() > RoomLevel::EventsOnly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_stop_before_results() {
        let room = DiskRoom::default();
        let told = [
            RoomLevel::Enough,
            RoomLevel::NoRecording,
            RoomLevel::EventsOnly,
        ];
        let allowed = told.map(|level| {
            room.set(level);
            assert_eq!(room.level(), level);
            (room.is_for_recordings(), room.is_for_results())
        });
        assert_eq!(allowed, [(true, true), (false, true), (false, false)]);
    }
}
