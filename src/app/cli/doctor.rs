//! `gantryd doctor`.

use std::path::PathBuf;

use clap::Args;

use super::values::{choice, parse_model};
use crate::app::config::{ModelRef, Provider, parse_input_size};

/// `gantryd doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  gantryd doctor                                    what this machine has and lacks
  gantryd doctor --gpu                              whether the accelerator finds what the CPU finds
  gantryd doctor --tune --write /etc/gantryd/site.toml
                                                    the fastest network, provider and threads here

Ends with 1 if something that every input needs is missing, otherwise with 0.")]
#[command(group = clap::ArgGroup::new("timed"))]
pub struct DoctorArgs {
    /// Look at the output folder of this configuration too
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The ONNX Runtime library [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
    /// Prove the accelerator: a simulated picture goes through it and through the CPU, and both must
    /// find the same
    #[arg(long, group = "timed")]
    pub gpu: bool,
    /// Time networks, providers and threads on this machine, and tell which to use
    #[arg(long, group = "timed")]
    pub tune: bool,
    /// With --tune: set what was chosen in this configuration, the rest of it as it is
    #[arg(long, value_name = "FILE", requires = "tune")]
    pub write: Option<PathBuf>,
    /// The model to prove it with, or to time [default: gantryd's own; --tune times its 8-bit form
    /// too]
    #[arg(long, short, value_name = "ID|FILE", value_parser = parse_model, requires = "timed")]
    pub model: Option<ModelRef>,
    /// What to prove
    #[arg(long, value_parser = choice(Provider::ALL), default_value = "cuda", requires = "gpu")]
    pub provider: Provider,
    /// Index of the accelerator
    #[arg(long, value_name = "N", default_value_t = 0, requires = "timed")]
    pub device: u32,
    /// Input of a network that takes any size, multiples of 32 [default: the model's own]
    #[arg(long, value_name = "WxH", value_parser = parse_input_size, requires = "timed")]
    pub input_size: Option<(usize, usize)>,
    /// With --gpu: the picture is made into the input of the network on the card (detect.zero_copy)
    #[arg(long, requires = "gpu")]
    pub zero_copy: bool,
    /// With --gpu: a call of the network is one command to the card (graphs = true of the provider cuda)
    #[arg(long, requires = "gpu")]
    pub cuda_graphs: bool,
}
