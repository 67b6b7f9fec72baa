//! `gantryd simulate`: a camera that films places which do not exist, with exact truth.

use std::num::NonZeroU64;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::progress::Progress;
use super::signals::Signals;
use crate::tools::simulate::{Dataset, Daytime, SceneKind, Weather};

/// `gantryd simulate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd simulate --dataset train --images 10000     pictures and COCO labels for training

The same seed gives the same bytes.")]
pub struct SimulateArgs {
    /// The place [default: junction; each picture of a data set its own]
    #[arg(value_name = "SCENE", value_parser = names(SceneKind::ALL, None))]
    pub scene: Option<String>,
    /// Everything random comes from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Size of the pictures
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(u32, u32)>,
    /// The weather [default: clear; random for a data set]
    #[arg(long, value_parser = names(Weather::ALL, Some("random")))]
    pub weather: Option<String>,
    /// The time of day [default: day; random for a data set]
    #[arg(long, value_parser = names(Daytime::ALL, Some("random")))]
    pub time: Option<String>,
    /// How much goes on, 1 is usual
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_density)]
    pub density: f32,
    /// Write pictures and labels for training into this folder
    #[arg(long, value_name = "DIR")]
    pub dataset: Option<PathBuf>,
    /// How many pictures the data set has
    #[arg(long, value_name = "N", default_value = "1000")]
    pub images: NonZeroU64,
}

fn names<T>(all: &'static [(&'static str, T)], more: Option<&'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(all.iter().map(|(name, _)| *name).chain(more))
}

/// What stands for a name; `None` for `random`.
fn found<T: Copy>(all: &[(&str, T)], name: Option<&str>) -> Option<T> {
    let (_, value) = all.iter().find(|(known, _)| Some(*known) == name)?;
    Some(*value)
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|pixels: &u32| (64..=3840).contains(pixels) && pixels % 2 == 0)
    };
    text.split_once('x')
        .and_then(|(width, height)| number(width).zip(number(height)))
        .ok_or_else(|| "allowed is WxH, both even and 64 to 3840, such as 1280x720".to_owned())
}

fn parse_density(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|density| (0.0..=4.0).contains(density))
        .ok_or_else(|| "allowed is 0 to 4".to_owned())
}

/// Films and writes what was asked for.
///
/// # Errors
/// If nothing was asked for, or a file cannot be written.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let signals = Signals::listen().context("listening for signals")?;
    let Some(folder) = &args.dataset else {
        bail!("nothing to write; ask for --dataset DIR");
    };
    let dataset = Dataset {
        scene: found(SceneKind::ALL, args.scene.as_deref()),
        weather: found(Weather::ALL, args.weather.as_deref()),
        time: found(Daytime::ALL, args.time.as_deref()),
        seed: args.seed,
        size: args.size.unwrap_or((512, 288)),
        images: args.images.get(),
        density: args.density,
    };
    let mut progress = Progress::start("dataset");
    dataset.write(folder, |done| {
        progress.update(done, Some(args.images.get()));
        !signals.came()
    })?;
    progress.finish();
    Ok(())
}
