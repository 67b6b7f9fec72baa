//! `gantryd track`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::values::choice;
use super::{DetectArgs, SourceArgs};
use crate::app::config::{Encoder, MotionSource};

/// `gantryd track`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd track traffic.mp4
  gantryd track gate.mp4 yard.mp4 --model yolo11n.onnx --classes person,car --out results
  gantryd track rtsp://10.0.0.5/live --user viewer --password-file pw.txt --max-frames 1000
  gantryd track /dev/video0 --no-video
  gantryd track MOT17-04/img1 --conf 0.4
  gantryd track gate.mp4 --zones gate.toml      count at lines and zones too
  gantryd track gate.mp4 --decisions && gantryd explain out/gate.jsonl --track 7

Writes <stem>.mp4 with boxes and ids, <stem>.jsonl with one result per frame, and <stem>.mot.txt;
with --zones <stem>.events.jsonl, with --decisions <stem>.decisions.jsonl.")]
pub struct TrackArgs {
    /// Video file, rtsp(s):// or http(s):// stream, /dev/videoN, or folder of images
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// Where the results go
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Write no annotated video: encoding costs more than everything but the network
    #[arg(long)]
    pub no_video: bool,
    /// Stop after so many frames of each input
    #[arg(long, value_name = "N")]
    pub max_frames: Option<NonZeroU64>,
    /// What encodes the annotated video
    #[arg(long, value_parser = choice(Encoder::ALL), default_value = "auto")]
    pub encoder: Encoder,
    /// Count at the zones and lines of this file (docs/zones.md), into `<stem>.events.jsonl`
    #[arg(long, value_name = "FILE.toml")]
    pub zones: Option<PathBuf>,
    /// Write why each object was matched, coasted or ended, for gantryd explain, into `<stem>.decisions.jsonl`
    #[arg(long)]
    pub decisions: bool,
    /// How the motion of a camera that shakes or turns is found: by a vote of the tracks, from the image
    /// (for few objects), or not at all
    #[arg(long, value_parser = choice(MotionSource::ALL), default_value = "boxes")]
    pub camera_motion: MotionSource,
    /// The detector.
    #[command(flatten)]
    pub detect: DetectArgs,
    /// The inputs.
    #[command(flatten)]
    pub source: SourceArgs,
}
