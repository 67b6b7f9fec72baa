//! An accelerator is believed when it finds what the CPU finds.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use yuv::{YuvBiPlanarImageMut, YuvConversionMode, YuvRange, YuvStandardMatrix};

use super::config::ProofPolicy;
use crate::base::{
    CameraId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat,
    Pixels, Pts, RunId, Size, UtcSource,
};
use crate::perception::detect::{DetectOptions, ModelFiles, Proof, Provider, prove};
use crate::tools::simulate::{Daytime, Options, SceneKind, Simulation, Weather};

/// Size of the golden picture, pixels.
const GOLDEN: (u32, u32) = (1280, 720);

/// Sends the golden picture through the provider that is `used` and through the CPU, once, and acts
/// by `policy` if they disagree. The CPU needs no proof. Gives the nodes of the network by who runs them,
/// where that was proven.
///
/// # Errors
/// If they disagree and the policy is to refuse, with the remedy; if the CPU cannot run the model.
pub(super) fn prove_at_start(
    model: &ModelFiles,
    detect: &DetectOptions,
    used: Provider,
    policy: ProofPolicy,
) -> anyhow::Result<BTreeMap<String, usize>> {
    if used == Provider::Cpu || policy == ProofPolicy::Off {
        return Ok(BTreeMap::new());
    }
    let began = Instant::now();
    let options = DetectOptions {
        provider: used,
        reid: None,
        // One picture is looked at.
        max_batch: Some(NonZeroUsize::MIN),
        batch_sizes: None,
        ..detect.clone()
    };
    let proof = prove(model, &options, &golden()?, &[])?;
    let (took_ms, left_to_cpu) = (began.elapsed().as_millis() as u64, proof.left_to_cpu());
    match verdict(&proof, policy) {
        Verdict::NothingSeen => tracing::warn!(
            model = %model.id, provider = %used,
            "not proven: the model sees nothing in the golden picture, so the provider cannot be compared with the cpu"
        ),
        Verdict::Proven => {
            tracing::info!(model = %model.id, provider = %used, %proof, left_to_cpu, took_ms, "accelerator proven");
        }
        Verdict::Alert => {
            tracing::error!(model = %model.id, provider = %used, %proof, left_to_cpu, "the accelerator says something else than the cpu");
        }
        Verdict::Refuse => bail!(
            "model {}: {used} says something else than the cpu ({proof}); gantryd doctor --gpu --provider {used} shows it; update driver and ONNX Runtime, or set detect.provider = \"cpu\"; detect.proof = \"alert\" goes on all the same",
            model.id
        ),
    }
    Ok(proof.nodes)
}

/// What a comparison means for the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// There was nothing to compare: told, and gone on.
    NothingSeen,
    Proven,
    Alert,
    Refuse,
}

fn verdict(proof: &Proof, policy: ProofPolicy) -> Verdict {
    if proof.expected == 0 && proof.extra.is_empty() {
        Verdict::NothingSeen
    } else if proof.holds() {
        Verdict::Proven
    } else if policy == ProofPolicy::Alert {
        Verdict::Alert
    } else {
        Verdict::Refuse
    }
}

/// A junction at noon, as a decoder would hand it over.
pub(super) fn golden() -> anyhow::Result<Frame> {
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
    )
    .context("turning the golden picture into planes")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{BBox, ClassId, Detection};

    fn proof(expected: usize, missing: usize, extra: usize) -> Proof {
        let seen = Detection {
            bbox: BBox::from_ltrb(10.0, 10.0, 50.0, 90.0).unwrap(),
            class: ClassId(0),
            confidence: 0.9,
            embedding: None,
        };
        Proof {
            provider: Provider::Cuda,
            runtime: "1.24",
            tolerance: 1.0,
            expected,
            missing: vec![seen.clone(); missing],
            extra: vec![seen; extra],
            worst_edge: 0.0,
            worst_score: 0.0,
            nodes: BTreeMap::new(),
            rates: Vec::new(),
        }
    }

    #[test]
    fn what_differs_from_the_cpu_is_refused_unless_an_alert_is_enough() {
        use ProofPolicy::{Alert, Refuse};
        let cases = [
            ((8, 0, 0), Refuse, Verdict::Proven),
            ((8, 1, 0), Refuse, Verdict::Refuse),
            ((8, 0, 1), Refuse, Verdict::Refuse),
            ((8, 1, 0), Alert, Verdict::Alert),
            ((0, 0, 0), Refuse, Verdict::NothingSeen),
            // It sees what is not there.
            ((0, 0, 3), Refuse, Verdict::Refuse),
            ((0, 0, 3), Alert, Verdict::Alert),
        ];
        for ((expected, missing, extra), policy, wanted) in cases {
            let proof = proof(expected, missing, extra);
            assert_eq!(verdict(&proof, policy), wanted, "{proof}");
        }
    }
}
