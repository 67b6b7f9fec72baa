//! What is searched: the keys of `[track]` that a replay can judge, and their ranges.

use std::time::Duration;

use crate::app::config::{Auto, MotionSource, TrackConfig};
use crate::app::resolve;
use crate::perception::track::TrackOptions;

/// Scores are tried in steps of this many hundredths.
const SCORE_STEP: f64 = 2.0;
/// `high` and `new`, hundredths.
const SCORES: (f64, f64) = (10.0, 95.0);
/// `low`, hundredths; a detector gives nothing below its `min_confidence`.
const LOWS: (f64, f64) = (4.0, 50.0);
/// `memory_secs`, tenths of a second.
const MEMORIES: (f64, f64) = (3.0, 200.0);
/// `confirm_hits`.
const HITS: (f64, f64) = (1.0, 5.0);

/// What one key is set to, in steps that are told apart. What is `None` stays as it is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// `high` and `new`, hundredths. They go together: setting one ends the following of the scores.
    pub scores: Option<(u32, u32)>,
    /// `low`, hundredths.
    pub low: Option<u32>,
    /// `memory_secs`, tenths.
    pub memory: Option<u32>,
    /// `confirm_hits`.
    pub hits: Option<u32>,
    /// `camera_motion`: `boxes` or `off`.
    pub votes: Option<bool>,
}

/// A dimension of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Whether `high` and `new` are set.
    ByHand,
    /// `high`.
    High,
    /// `new`.
    New,
    /// `low`.
    Low,
    /// The logarithm of `memory_secs`.
    Memory,
    /// `confirm_hits`.
    Hits,
    /// `camera_motion`.
    Votes,
}

impl Dimension {
    /// All, in the order of a [`Point`].
    pub const ALL: [Self; 7] = [
        Self::ByHand,
        Self::High,
        Self::New,
        Self::Low,
        Self::Memory,
        Self::Hits,
        Self::Votes,
    ];

    /// First value and the end, which does not belong to it.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::ByHand | Self::Votes => (0.0, 2.0),
            Self::High | Self::New => SCORES,
            Self::Low => LOWS,
            Self::Memory => (MEMORIES.0.ln(), MEMORIES.1.ln()),
            Self::Hits => (0.0, HITS.1 - HITS.0 + 1.0),
        }
    }

    /// Whether its values are names rather than amounts.
    pub fn is_choice(self) -> bool {
        matches!(self, Self::ByHand | Self::Hits | Self::Votes)
    }
}

/// A value of each dimension; not a number where it does not matter.
pub type Point = [f64; Dimension::ALL.len()];

/// Everything that can be set, beside what is in use.
#[derive(Debug, Clone)]
pub struct Space {
    base: TrackConfig,
    in_use: TrackOptions,
}

impl Space {
    /// The settings around `base`.
    #[must_use]
    pub fn new(base: TrackConfig) -> Self {
        let in_use = resolve::track_from_config(&base, false);
        Self { base, in_use }
    }

    /// What the tracker is told with `setting`: what the daemon makes of the keys that are written.
    #[must_use]
    pub fn options(&self, setting: &Setting) -> TrackOptions {
        resolve::track_from_config(&self.config(setting), false)
    }

    /// `[track]` with `setting`.
    #[must_use]
    pub fn config(&self, setting: &Setting) -> TrackConfig {
        let mut config = self.base.clone();
        if let Some((high, new)) = setting.scores {
            config.high = Auto::Set(f64::from(high) / 100.0);
            config.new = Auto::Set(f64::from(new) / 100.0);
        }
        if let Some(low) = setting.low {
            config.low = Auto::Set(f64::from(low) / 100.0);
        }
        if let Some(tenths) = setting.memory {
            config.memory_secs = Auto::Set(f64::from(tenths) / 10.0);
        }
        if let Some(hits) = setting.hits {
            config.confirm_hits = Auto::Set(hits);
        }
        if let Some(votes) = setting.votes {
            config.camera_motion = if votes {
                MotionSource::Boxes
            } else {
                MotionSource::Off
            };
        }
        config
    }

    /// The setting nearest to `point`; what would change nothing is left as it is.
    #[must_use]
    pub fn setting(&self, point: &Point) -> Setting {
        let [by_hand, high, new, low, memory, hits, votes] = *point;
        let score = |value: f64| ((value / SCORE_STEP).round() * SCORE_STEP) as u32;
        let mut setting = Setting {
            scores: (by_hand >= 1.0).then(|| (score(high), score(new))),
            low: Some(score(low)),
            memory: Some(memory.exp().round() as u32),
            hits: Some((hits.floor() + HITS.0) as u32),
            votes: Some(votes >= 1.0),
        };
        // The picture is not there when detections are replayed.
        if self.base.camera_motion == MotionSource::Image {
            setting.votes = None;
        }
        let high = self.options(&setting).high_score;
        setting.low = setting.low.filter(|low| *low as f32 <= high * 100.0);
        self.plain(setting)
    }

    /// `setting` without what is in use anyway.
    fn plain(&self, setting: Setting) -> Setting {
        let now = &self.in_use;
        let differs = |score: f32, hundredths: &u32| (score * 100.0).round() as u32 != *hundredths;
        Setting {
            scores: setting.scores.filter(|(high, new)| {
                now.follow_scores
                    || differs(now.high_score, high)
                    || differs(now.new_track_score, new)
            }),
            low: setting.low.filter(|low| differs(now.low_score, low)),
            memory: setting.memory.filter(|tenths| *tenths != tenths_of(now)),
            hits: setting.hits.filter(|hits| *hits != now.confirm_hits),
            votes: setting.votes.filter(|votes| *votes != now.vote_on_camera),
        }
    }

    /// Where `setting` lies; inside of every range.
    #[must_use]
    pub fn point(&self, setting: &Setting) -> Point {
        let options = self.options(setting);
        let by_hand = setting.scores.is_some();
        let hundredths = |score: f32| f64::from((score * 100.0).round());
        let if_set = |score: f32| {
            if by_hand { hundredths(score) } else { f64::NAN }
        };
        let point = [
            f64::from(u8::from(by_hand)),
            if_set(options.high_score),
            if_set(options.new_track_score),
            hundredths(options.low_score),
            f64::from(tenths_of(&options)).ln(),
            f64::from(options.confirm_hits) - HITS.0,
            f64::from(u8::from(options.vote_on_camera)),
        ];
        std::array::from_fn(|index| {
            let (start, end) = Dimension::ALL[index].range();
            // The end does not belong to the range; not a number stays what it is.
            point[index].clamp(start, end.next_down())
        })
    }
}

fn tenths_of(options: &TrackOptions) -> u32 {
    (options.memory.max(Duration::ZERO).as_secs_f64() * 10.0).round() as u32
}

impl Setting {
    /// Keys of `[track]` and the values they are set to, as TOML has them.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let score = |hundredths: u32| format!("{:.2}", f64::from(hundredths) / 100.0);
        let votes = |votes| if votes { "\"boxes\"" } else { "\"off\"" };
        let lines = [
            ("high", self.scores.map(|(high, _)| score(high))),
            ("low", self.low.map(score)),
            ("new", self.scores.map(|(_, new)| score(new))),
            (
                "memory_secs",
                self.memory
                    .map(|tenths| format!("{:.1}", f64::from(tenths) / 10.0)),
            ),
            ("confirm_hits", self.hits.map(|hits| hits.to_string())),
            ("camera_motion", self.votes.map(|on| votes(on).to_owned())),
        ];
        let set = |(key, value): (_, Option<String>)| Some((key, value?));
        lines.into_iter().filter_map(set).collect()
    }

    /// The same with one key fewer: a setting for each that is set.
    #[must_use]
    pub fn simpler(&self) -> [Option<Self>; 5] {
        let without = |is_set: bool, other: Self| is_set.then_some(other);
        let one = *self;
        [
            without(one.votes.is_some(), Self { votes: None, ..one }),
            without(one.hits.is_some(), Self { hits: None, ..one }),
            without(one.low.is_some(), Self { low: None, ..one }),
            without(
                one.memory.is_some(),
                Self {
                    memory: None,
                    ..one
                },
            ),
            without(
                one.scores.is_some(),
                Self {
                    scores: None,
                    ..one
                },
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_not_set_again() {
        let space = Space::new(TrackConfig::default());
        let point = space.point(&Setting::default());
        assert_eq!(space.setting(&point), Setting::default());
        assert_eq!(
            space.options(&Setting::default()),
            TrackOptions::default(),
            "nothing set is the tracker's own default"
        );
    }

    #[test]
    fn a_point_becomes_keys_and_the_keys_the_point() {
        let space = Space::new(TrackConfig::default());
        let point = [1.0, 40.9, 57.2, 20.4, 34.6_f64.ln(), 2.5, 0.0];
        let setting = space.setting(&point);
        assert_eq!(
            setting.lines(),
            [
                ("high", "0.40".to_owned()),
                ("low", "0.20".to_owned()),
                ("new", "0.58".to_owned()),
                ("memory_secs", "3.5".to_owned()),
                ("confirm_hits", "3".to_owned()),
                ("camera_motion", "\"off\"".to_owned()),
            ]
        );
        assert_eq!(space.setting(&space.point(&setting)), setting);
        let options = space.options(&setting);
        assert!(!options.follow_scores, "thresholds set by hand stand");
        assert_eq!(options.memory, Duration::from_millis(3500));
    }

    #[test]
    fn the_low_score_never_passes_the_high_one() {
        let space = Space::new(TrackConfig::default());
        let point = [1.0, 20.0, 60.0, 44.0, 3.0, 1.0, 1.0];
        assert_eq!(space.setting(&point).low, None);
    }

    #[test]
    fn every_setting_lies_inside_of_the_ranges() {
        let base = TrackConfig {
            memory_secs: Auto::Set(0.0),
            confirm_hits: Auto::Set(50),
            low: Auto::Set(0.0),
            ..TrackConfig::default()
        };
        let point = Space::new(base).point(&Setting::default());
        for (dimension, value) in Dimension::ALL.into_iter().zip(point) {
            let (start, end) = dimension.range();
            let is_inside = value.is_nan() || (start..end).contains(&value);
            assert!(is_inside, "{dimension:?} {value}");
        }
    }

    #[test]
    fn the_picture_cannot_be_judged_without_pictures() {
        let base = TrackConfig {
            camera_motion: MotionSource::Image,
            ..TrackConfig::default()
        };
        let space = Space::new(base);
        let setting = space.setting(&[0.0, 0.0, 0.0, 10.0, 20.0_f64.ln(), 1.0, 0.0]);
        assert_eq!(setting.votes, None);
    }
}
