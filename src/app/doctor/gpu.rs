//! `gantryd doctor --gpu`: an accelerator must find what the CPU finds.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use yuv::{YuvBiPlanarImageMut, YuvConversionMode, YuvRange, YuvStandardMatrix};

use crate::app::cli::{DoctorArgs, Exit};
use crate::app::resolve;
use crate::base::{
    CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat,
    Pixels, Pts, RunId, Size, UtcSource,
};
use crate::perception::detect::{DetectOptions, Proof, prove};
use crate::tools::simulate::{Daytime, Options, SceneKind, Simulation, Weather};

/// Batch sizes that are timed, where the model takes them.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Size of the golden picture, pixels.
const GOLDEN: (u32, u32) = (1280, 720);

/// Proves the accelerator, and tells how to end: [`Exit::Runtime`] if it says anything else than the CPU.
///
/// # Errors
/// If the model or the accelerator cannot be used, with the remedy.
pub(super) fn run(
    args: &DoctorArgs,
    library: Option<PathBuf>,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let model = resolve::model(args.model.as_ref())?;
    let options = DetectOptions {
        runtime_library: library,
        provider: resolve::provider(args.provider),
        device: args.device,
        input_size: args.input_size,
        max_batch: BATCHES[BATCHES.len() - 1]
            .try_into()
            .unwrap_or(std::num::NonZeroUsize::MIN),
        ..DetectOptions::default()
    };
    let golden = golden().context("filming the picture to prove with")?;
    let began = Instant::now();
    let proof = prove(&model, &options, &golden, &BATCHES)?;
    writeln!(
        out,
        "{} on {} (device {}, ONNX Runtime {}), {:.1} s with both sessions",
        model.id,
        proof.provider,
        args.device,
        proof.runtime,
        began.elapsed().as_secs_f64()
    )?;
    told(&proof, out)?;
    Ok(if proof.holds() {
        Exit::Done
    } else {
        Exit::Runtime
    })
}

fn told(proof: &Proof, out: &mut impl Write) -> std::io::Result<()> {
    let nodes: Vec<String> = proof
        .nodes
        .iter()
        .map(|(by, count)| format!("{count} by {by}"))
        .collect();
    writeln!(out, "nodes       {}", nodes.join(", "))?;
    for (batch, rate) in &proof.rates {
        writeln!(
            out,
            "batch {batch:<5} {rate:.0} pictures/s, network alone, from host memory"
        )?;
    }
    writeln!(out, "same        {proof}")?;
    for (what, list) in [("not found", &proof.missing), ("only here", &proof.extra)] {
        for one in list {
            let (b, class, score) = (&one.bbox, one.class.0, one.confidence);
            writeln!(
                out,
                "{what:<11} class {class} score {score:.3} at {:.1} {:.1} {:.1} {:.1}",
                b.left(),
                b.top(),
                b.right(),
                b.bottom()
            )?;
        }
    }
    let verdict = if proof.holds() {
        format!("{} may be trusted with this model", proof.provider)
    } else {
        format!(
            "{} says something else than the cpu: update its driver and ONNX Runtime, or use --provider cpu (detect.provider = \"cpu\")",
            proof.provider
        )
    };
    writeln!(out, "{verdict}")
}

/// A junction at noon, as a decoder would hand it over.
fn golden() -> anyhow::Result<Frame> {
    let mut simulation = Simulation::new(&Options {
        scene: SceneKind::Junction,
        seed: 7,
        size: GOLDEN,
        weather: Weather::Clear,
        time: Daytime::Day,
        density: 1.5,
        shake: 0.0,
        spread: 0.0,
        lens: Some(42.0),
    });
    simulation.advance(4.0);
    let picture = simulation.picture();
    let (width, height) = picture.size;
    let mut image =
        YuvBiPlanarImageMut::<u8>::alloc(width, height, yuv::YuvChromaSubsampling::Yuv420);
    yuv::rgb_to_yuv_nv12(
        &mut image,
        &picture.rgb,
        width * 3,
        YuvRange::Limited,
        YuvStandardMatrix::Bt709,
        YuvConversionMode::Balanced,
    )?;
    let planes = vec![
        (image.y_plane.borrow().to_vec(), image.y_stride as usize),
        (image.uv_plane.borrow().to_vec(), image.uv_stride as usize),
    ];
    Ok(Frame {
        meta: FrameMeta {
            camera: CameraId::new("golden"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(0),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size { width, height },
        },
        pixels: Pixels {
            format: PixelFormat::Nv12,
            matrix: ColorMatrix::Bt709,
            range: ColorRange::Limited,
            planes: Arc::new(OwnedPlanes(planes)),
        },
        arrived: Instant::now(),
    })
}
