//! Real models on real pictures: the detector against `tests/reference/reference.py`.
//!
//! Needs ../shared, ONNX Runtime, and a Python with onnxruntime, numpy and OpenCV
//! (`GANTRYD_REFERENCE_PYTHON`, else `python3`); says so and passes where one is absent.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a skipped test has to say so; a broken reference ends the test"
)]

mod detect_common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use detect_common::{detector, i420, shared};
use gantryd::base::{BBox, Detection, Frame};
use gantryd::perception::detect::{InputPlan, Padding, Preprocessor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    model: String,
    image: String,
    source: String,
    width: u32,
    height: u32,
    boxes: Vec<[f32; 6]>,
    /// Lowest and highest score of each box when the tensor is moved by up to [`MAX_TENSOR_GAP`].
    spread: Vec<[f32; 2]>,
}

/// Every reference box from this score must be found.
const SCORE: f32 = 0.5;
const MIN_IOU: f32 = 0.9;
const MAX_SCORE_GAP: f32 = 0.02;

/// Grey levels by which any element of a tensor may differ from the reference's (`NOISE` there).
const MAX_TENSOR_GAP: f32 = 0.001;

/// How far a score is outside of what the reference itself gives when its tensor is moved by as much
/// as two correct tensors may differ. Nothing but the plain distance for most models; a dynamically
/// quantised one can move by more than [`MAX_SCORE_GAP`] from a change in the last bit.
fn gap(score: f32, [low, high]: &[f32; 2]) -> f32 {
    (low - score).max(score - high).max(0.0)
}

#[derive(Default)]
struct Tally {
    boxes: usize,
    matched: usize,
    worst_iou: f32,
    /// Distance of a score by the rule of [`gap`], from the reference itself, and the widest spread.
    worst_gap: f32,
    worst_plain: f32,
    widest: f32,
    misses: Vec<String>,
}

impl Tally {
    fn take(
        &mut self,
        what: &str,
        (reference, spread): (&[f32; 6], &[f32; 2]),
        found: &[Detection],
        width: u32,
        height: u32,
    ) {
        let [left, top, right, bottom, class, score] = *reference;
        let Some(expected) = BBox::from_ltrb(left, top, right, bottom)
            .and_then(|b| b.clip(width as f32, height as f32))
        else {
            return;
        };
        self.boxes += 1;
        self.widest = self.widest.max(spread[1] - spread[0]);
        let best = found
            .iter()
            .filter(|d| f32::from(d.class.0) == class)
            .map(|d| (d.bbox.iou(&expected), gap(d.confidence, spread), d))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((iou, gap, d)) if iou >= MIN_IOU && gap <= MAX_SCORE_GAP => {
                self.matched += 1;
                self.worst_iou = self.worst_iou.min(iou);
                self.worst_gap = self.worst_gap.max(gap);
                self.worst_plain = self.worst_plain.max((d.confidence - score).abs());
            }
            other => self
                .misses
                .push(format!("{what}: {reference:?}, best {other:?}")),
        }
    }
}

/// Runs reference.py; `false`, said aloud, where Python or one of its modules is absent.
fn reference_py(args: &[&Path]) -> bool {
    let python = std::env::var("GANTRYD_REFERENCE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/reference.py");
    match Command::new(&python).arg(script).args(args).output() {
        Ok(run) if run.status.success() => true,
        Ok(run) => {
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(said.contains("ModuleNotFoundError"), "reference.py: {said}");
            eprintln!("SKIPPED: {python} lacks onnxruntime, numpy or cv2");
            false
        }
        Err(error) => {
            eprintln!("SKIPPED: {python}: {error}");
            false
        }
    }
}

fn references(path: PathBuf) -> Vec<Reference> {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Our tensor of `frame`, as the session is fed, written to `ours`; the largest difference to
/// `theirs`, grey levels.
fn tensor_gap(input: &InputPlan, frame: &Frame, ours: &Path, theirs: &Path) -> f32 {
    let mut preprocessor = Preprocessor::new(input.clone());
    let mut tensor = vec![0.0f32; preprocessor.slot_len()];
    let (size, pixels) = (frame.meta.size, &frame.pixels);
    preprocessor
        .write(size, pixels, &mut tensor, Padding::Write)
        .unwrap();
    let bytes: Vec<u8> = tensor
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    std::fs::write(ours, bytes).unwrap();
    let wanted = std::fs::read(theirs).unwrap();
    assert_eq!(wanted.len(), 4 * tensor.len());
    let (wanted, _) = wanted.as_chunks::<4>();
    let plane = input.width * input.height;
    let gap = |(index, (value, wanted)): (usize, (&f32, &[u8; 4]))| {
        (value - f32::from_le_bytes(*wanted)).abs() * input.std[index / plane]
    };
    tensor
        .iter()
        .zip(wanted)
        .enumerate()
        .map(gap)
        .fold(0.0, f32::max)
}

type Seen = BTreeMap<(String, String), Vec<Detection>>;

/// What the detector sees in every picture with every model, and the largest difference of a tensor
/// per model; `None`, said aloud, where ONNX Runtime is absent.
fn look(
    models: &Path,
    out: &Path,
    references: &[Reference],
) -> Option<(Seen, BTreeMap<String, f32>)> {
    let (mut seen, mut gaps) = (Seen::new(), BTreeMap::<String, f32>::new());
    let mut open = None;
    for reference in references.iter().filter(|r| r.source == "planes") {
        let (model, image) = (&reference.model, &reference.image);
        if open.as_ref().is_none_or(|(name, _)| name != model) {
            let detector = detector(&models.join(format!("{model}.onnx")), 0.1)?;
            open = Some((model.clone(), detector.unwrap()));
        }
        let (_, detector) = open.as_mut().unwrap();
        let planes = std::fs::read(out.join(format!("{image}.yuv"))).unwrap();
        let frame = i420(reference.width, reference.height, &planes);
        let ours = out.join(format!("{model}.{image}.f32"));
        let theirs = out.join(format!("{model}.{image}.reference.f32"));
        let gap = tensor_gap(&detector.plan().input, &frame, &ours, &theirs);
        let worst = gaps.entry(model.clone()).or_default();
        *worst = worst.max(gap);
        let found = detector.detect(&[&frame]).unwrap().remove(0);
        seen.insert((model.clone(), image.clone()), found.detections);
    }
    Some((seen, gaps))
}

#[test]
fn every_shared_model_sees_what_the_reference_sees() {
    let (Some(models), Some(images)) = (shared("models"), shared("images")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    if !reference_py(&[&models, &images, out]) {
        return;
    }
    let mut expected = references(out.join("detections.json"));
    let Some((seen, tensor_gaps)) = look(&models, out, &expected) else {
        return;
    };
    assert!(reference_py(&[Path::new("--tensors"), &models, out]));
    expected.extend(references(out.join("detections-of-tensors.json")));

    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for reference in &expected {
        let key = (reference.model.clone(), reference.source.clone());
        let tally = tallies.entry(key).or_insert_with(|| Tally {
            worst_iou: 1.0,
            ..Tally::default()
        });
        let found = &seen[&(reference.model.clone(), reference.image.clone())];
        let boxes = reference.boxes.iter().zip(&reference.spread);
        for expected in boxes.filter(|(b, _)| b[5] >= SCORE) {
            let (width, height) = (reference.width, reference.height);
            tally.take(&reference.image, expected, found, width, height);
        }
    }
    for (model, gap) in &tensor_gaps {
        eprintln!("{model:32} tensor within {gap:.5} grey levels");
    }
    eprintln!(
        "model, source: matched of boxes, worst IoU, worst |Δconf| by the rule, plain, widest spread"
    );
    for ((model, source), tally) in &tallies {
        eprintln!(
            "{model:32} {source:6}  {}/{}  {:.3}  {:.4}  {:.4}  {:.4}",
            tally.matched,
            tally.boxes,
            tally.worst_iou,
            tally.worst_gap,
            tally.worst_plain,
            tally.widest
        );
        for miss in &tally.misses {
            eprintln!("    {miss}");
        }
    }
    for (model, gap) in &tensor_gaps {
        assert!(*gap <= MAX_TENSOR_GAP, "{model}: {gap} grey levels");
    }
    // From the same planes, resized as planes, and from the same tensor there is no excuse. The other
    // rows show what another order of resizing, chroma filter or no subsampling is worth.
    for ((model, source), tally) in &tallies {
        let must_hold = matches!(source.as_str(), "planes" | "tensor");
        assert!(
            !must_hold || tally.misses.is_empty(),
            "{model}, {source}: {:?}",
            tally.misses
        );
    }
}
