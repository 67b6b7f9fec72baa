//! `gantryd models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::{parse_model, parse_size};
use crate::app::config::ModelRef;

/// `gantryd models`.
#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What can be done with models.
#[derive(Debug, Clone, Subcommand)]
pub enum ModelsCommand {
    /// List the models with size, classes, licence and whether the file is there
    List,
    /// Show what gantryd recognises in a model: input, head, classes, and why
    #[command(after_help = "\
Examples:
  gantryd models inspect resident-n
  gantryd models inspect best.onnx      a detector that is not recognised gets a manifest to fill in")]
    Inspect(InspectArgs),
    /// Get a model's file: with checksum, and going on where it was interrupted
    #[command(after_help = "\
Examples:
  gantryd models fetch yolox_nano
  gantryd models fetch yolox_nano --from /media/usb        no network: a folder that has the file
  gantryd models fetch yolo26n --accept-licence AGPL-3.0

Without --to it goes to $GANTRYD_MODELS, else to /var/lib/gantryd/models where the service is installed
and this user may write there, else to ~/.local/share/gantryd/models. Proxies are taken from ALL_PROXY,
HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Ends with 78 if the file is refused, 1 if the network fails.")]
    Fetch(FetchArgs),
    /// Compare each model's file with the checksum of its manifest
    Verify,
}

/// `gantryd models fetch`.
#[derive(Debug, Clone, Args)]
pub struct FetchArgs {
    /// One of gantryd models list
    #[arg(value_name = "ID")]
    pub id: String,
    /// Take it from here instead of where the manifest says
    #[arg(long, value_name = "DIR|FILE|URL")]
    pub from: Option<String>,
    /// Put it into DIR/ID/ instead of the usual place
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Accept the licence of weights that are not free to use in any product
    #[arg(long, value_name = "LICENCE")]
    pub accept_licence: Option<String>,
}

/// `gantryd models inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// A model of gantryd's or FILE.onnx
    #[arg(value_name = "ID|FILE", value_parser = parse_model)]
    pub model: ModelRef,
    /// Size to count the cost for, where the file leaves it open [default: the size gantryd would use]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(u32, u32)>,
    /// The ONNX Runtime library that is asked what it takes [default: the usual places]
    #[arg(long, value_name = "FILE")]
    pub runtime_library: Option<PathBuf>,
}
