//! Options that several commands have: the detector and the inputs.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use super::values::{choice, parse_few, parse_model, parse_schedule, parse_unit};
use crate::app::config::{Decode, ModelRef, ProofPolicy, Provider, Transport, parse_input_size};
use crate::perception::detect::Tiles;
use crate::perception::schedule::DetectSchedule;

/// Options about the detector, shared by several commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Detector")]
pub struct DetectArgs {
    /// A model of gantryd's (gantryd models list) or any exported detector, FILE.onnx
    #[arg(long, short, value_name = "ID|FILE", value_parser = parse_model)]
    pub model: Option<ModelRef>,
    /// A network that says what persons look like, so that they are known again; not used where the detector says it
    #[arg(long, value_name = "ID|FILE", value_parser = parse_model)]
    pub reid: Option<ModelRef>,
    /// Keep only these classes
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Least confidence of a detection that starts a track [default: 0.65, less for models that score low]
    #[arg(long, value_name = "X", value_parser = parse_unit, allow_negative_numbers = true)]
    pub conf: Option<f64>,
    /// Let the detector look at one of N frames (2 to 30), or at those that the picture and the tracks
    /// ask for; tracks are carried to the others
    #[arg(long = "detect-every", value_name = "N|adaptive", value_parser = parse_schedule, default_value = "1", hide_default_value = true)]
    pub every: DetectSchedule,
    /// What runs the network; auto takes CUDA if the model runs on it here, else the CPU
    #[arg(long, value_parser = choice(Provider::ALL), default_value = "auto")]
    pub provider: Provider,
    /// What to do if an accelerator finds something else than the CPU in a golden picture
    #[arg(long, value_parser = choice(ProofPolicy::ALL), default_value = "refuse")]
    pub proof: ProofPolicy,
    /// Index of the accelerator
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub device: u32,
    /// Sessions that run side by side [default: one per core, on CUDA one, two from 8 cameras on]
    #[arg(long, value_name = "N", value_parser = parse_few)]
    pub workers: Option<NonZeroU32>,
    /// Threads inside one session
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_few)]
    pub intra_threads: NonZeroU32,
    /// Input of a network that takes any size, multiples of 32: larger finds smaller objects and
    /// takes longer [default: the model's own]
    #[arg(long, value_name = "WxH", value_parser = parse_input_size)]
    pub input_size: Option<(usize, usize)>,
    /// Parts of a frame that are looked at besides the whole, for small objects in a wide view: 2x2
    /// finds objects of little more than half the size and takes five times as long
    #[arg(long, value_name = "off|COLUMNSxROWS", default_value = "off")]
    pub tiles: Tiles,
    /// Frames of NVIDIA's decoder stay in the memory of the card, and only what somebody looks at is
    /// copied to the host
    #[arg(long)]
    pub zero_copy: bool,
    /// A call of the network is one command to an NVIDIA card (a CUDA graph)
    #[arg(long)]
    pub cuda_graphs: bool,
    /// The ONNX Runtime library [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
}

/// Options about inputs, shared by several commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub struct SourceArgs {
    /// Which decoder; auto takes hardware first
    #[arg(long, value_parser = choice(Decode::ALL), default_value = "auto")]
    pub decode: Decode,
    /// How RTP reaches us
    #[arg(long, value_parser = choice(Transport::ALL), default_value = "tcp")]
    pub transport: Transport,
    /// Account of the camera
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// File with the camera's password in its first line
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Authorities to trust for rtsps and https, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,
    /// Accept any certificate: the camera may be somebody else
    #[arg(long, conflicts_with = "tls_ca_file")]
    pub tls_insecure: bool,
}
