//! What an option's value may be, and how it is told when it may not.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::app::config::ModelRef;
use crate::perception::schedule::{DetectSchedule, INTERVAL};

/// A value by its name.
pub fn choice<T: Copy + Send + Sync + 'static>(
    choices: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let find = |name: String| choices.iter().find(|(known, _)| *known == name);
    PossibleValuesParser::new(choices.iter().map(|(name, _)| *name))
        .try_map(move |name| find(name).map(|(_, value)| *value).ok_or("not a choice"))
}

#[expect(clippy::unnecessary_wraps, reason = "the form clap asks for")]
pub fn parse_model(text: &str) -> Result<ModelRef, String> {
    Ok(ModelRef::parse(text))
}

/// `416x416`, width first.
pub fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |side: &str| side.parse().ok().filter(|side| (32..=8192).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "allowed is WIDTHxHEIGHT, each 32 to 8192, such as 416x416".to_owned())
}

/// As the configuration's `schedule` and `interval`; 1 is every frame.
pub fn parse_schedule(text: &str) -> Result<DetectSchedule, String> {
    if text == "adaptive" {
        return Ok(DetectSchedule::Adaptive);
    }
    match text.parse::<NonZeroU32>() {
        Ok(of) if of == NonZeroU32::MIN => Ok(DetectSchedule::Every),
        Ok(of) if INTERVAL.contains(&of.get()) => Ok(DetectSchedule::Interval(of)),
        _ => Err("allowed is 2 to 30, 1 for every frame, or adaptive".to_owned()),
    }
}

pub fn parse_unit(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "allowed is 0 to 1".to_owned())
}

/// A length of time, up to a day.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|secs| (0.0..=86_400.0).contains(secs))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "allowed is 0 to 86400".to_owned())
}

/// As many as the configuration allows, too.
pub fn parse_few(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= 64)
        .ok_or_else(|| "allowed is 1 to 64".to_owned())
}

pub fn parse_many(text: &str) -> Result<NonZeroU32, String> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= 512)
        .ok_or_else(|| "allowed is 1 to 512".to_owned())
}
