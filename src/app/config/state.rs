//! `[state]`.

use std::time::Duration;

use super::reader::Section;

/// `[state]`: what is remembered of live cameras over a restart and a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateConfig {
    /// Remember at all.
    pub enabled: bool,
    /// How often it is written.
    pub every: Duration,
    /// After a longer time without a picture no object goes on as the same.
    pub reach: Duration,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(5),
            reach: Duration::from_secs(60),
        }
    }
}

impl StateConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            enabled: section.boolean("enabled", default.enabled),
            every: section.secs("every_secs", 1.0..=600.0, default.every),
            reach: section.secs("continue_secs", 0.0..=3600.0, default.reach),
        };
        section.finish();
        config
    }
}
