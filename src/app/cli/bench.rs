//! `gantryd bench`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use super::DetectArgs;
use super::values::{choice, parse_few, parse_many};
use crate::app::config::{Decode, Encoder};

/// `gantryd bench`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd bench                                     a test picture, 10 s
  gantryd bench traffic.mp4 --model yolo11n.onnx    your video, your model
  gantryd bench traffic.mp4 --streams 4 --video     four cameras with annotated recording
  gantryd bench --plan                              how many cameras this machine carries
  gantryd bench gate.mp4 --plan --video --codec both --json plan.json --svg plan.svg
  gantryd bench rtsp://cam/stream --plan --fps 15   your camera, opened again and again

With --plan the film is served as RTSP cameras in real time, and more and more of them go through
the whole frame path until results come too late or not at all. A film of yours tells most; without
one a junction is filmed.

Efficiency is measured fps / (cores / CPU seconds per frame): 1.00 is a machine that does nothing else.")]
pub struct BenchArgs {
    /// Video file, read again and again [default: a test picture]
    #[arg(value_name = "INPUT")]
    pub input: Option<String>,
    /// Cameras at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_many)]
    pub streams: NonZeroU32,
    /// How long to measure, after warming up
    #[arg(long, value_name = "S", default_value = "10")]
    pub seconds: NonZeroU32,
    /// Annotate and encode too
    #[arg(long)]
    pub video: bool,
    /// What encodes the annotated video
    #[arg(long, value_parser = choice(Encoder::ALL), default_value = "auto")]
    pub encoder: Encoder,
    /// Which decoder; auto takes hardware first
    #[arg(long, value_parser = choice(Decode::ALL), default_value = "auto")]
    pub decode: Decode,
    /// Find how many cameras this machine carries; --seconds is for each trial
    #[arg(long, conflicts_with = "streams")]
    pub plan: bool,
    /// The most cameras that are tried
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_many, requires = "plan")]
    pub max_cameras: NonZeroU32,
    /// Try these numbers of cameras instead of searching
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = parse_many, requires = "plan", conflicts_with = "max_cameras")]
    pub cameras: Vec<NonZeroU32>,
    /// How old 95 of 100 results may be, ms from the arrival of the frame
    #[arg(long, value_name = "MS", default_value = "250", requires = "plan")]
    pub max_age: NonZeroU32,
    /// Pictures per second of the film that is made, or of the camera given [default: 15]
    #[arg(long, value_name = "N", requires = "plan")]
    pub fps: Option<NonZeroU32>,
    /// Encode the film anew where it is in another codec [default: as it is]
    #[arg(long, value_parser = ["h264", "h265", "both"], requires = "plan")]
    pub codec: Option<String>,
    /// Write everything that was measured
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub json: Option<PathBuf>,
    /// Draw age and missing pictures over the number of cameras
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub svg: Option<PathBuf>,
    /// Most pictures in one call of the network, of several cameras [default: 1 on the CPU, on CUDA as
    /// many as cameras, up to 32]
    #[arg(long, value_name = "N", value_parser = parse_few)]
    pub batch: Option<NonZeroU32>,
    /// How long a picture may wait for those of other cameras, ms
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub batch_wait: u64,
    /// The detector.
    #[command(flatten)]
    pub detect: DetectArgs,
}
