//! Real models on real pictures: the detector against `tests/reference/reference.py`.
//!
//! Needs ../shared, ONNX Runtime, and a Python with onnxruntime, numpy and OpenCV
//! (`GANTRYD_REFERENCE_PYTHON`, else `python3`); says so and passes where one is absent.

mod detect_common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use detect_common::{detector, i420, shared};
use gantryd::base::{BBox, Detection};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    model: String,
    image: String,
    source: String,
    width: u32,
    height: u32,
    boxes: Vec<[f32; 6]>,
    /// Lowest and highest score of each box when half a grey level of noise is added to the picture.
    spread: Vec<[f32; 2]>,
}

/// Every reference box from this score must be found.
const SCORE: f32 = 0.5;
const MIN_IOU: f32 = 0.9;
const MAX_SCORE_GAP: f32 = 0.02;

/// Dynamically quantised models, in which half a grey level of noise moves single scores by more than
/// [`MAX_SCORE_GAP`]: their scores must lie within what the reference itself gives under that noise.
const NOISE_AMPLIFIERS: [&str; 2] = ["yolo26n_int8", "yolov8n_int8_lamri"];

/// How far a score is from the reference; for a noise amplifier, how far outside of its spread.
fn gap(model: &str, score: f32, reference: f32, [low, high]: &[f32; 2]) -> f32 {
    if NOISE_AMPLIFIERS.contains(&model) {
        (low - score).max(score - high).max(0.0)
    } else {
        (score - reference).abs()
    }
}

#[derive(Default)]
struct Tally {
    boxes: usize,
    matched: usize,
    worst_iou: f32,
    /// Distance of a score by the rule of [`gap`], and from the reference itself.
    worst_gap: f32,
    worst_plain: f32,
    misses: Vec<String>,
}

impl Tally {
    fn take(
        &mut self,
        (model, what): (&str, &str),
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
        let best = found
            .iter()
            .filter(|d| f32::from(d.class.0) == class)
            .map(|d| {
                (
                    d.bbox.iou(&expected),
                    gap(model, d.confidence, score, spread),
                    d,
                )
            })
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

#[test]
fn every_shared_model_sees_what_the_reference_sees() {
    let (Some(models), Some(images)) = (shared("models"), shared("images")) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let python = std::env::var("GANTRYD_REFERENCE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/reference.py");
    let run = Command::new(&python)
        .args([&script, &models, &images, &out.path().to_path_buf()])
        .output();
    match run {
        Ok(run) if run.status.success() => {}
        Ok(run) => {
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(said.contains("ModuleNotFoundError"), "reference.py: {said}");
            eprintln!("SKIPPED: {python} lacks onnxruntime, numpy or cv2");
            return;
        }
        Err(error) => {
            eprintln!("SKIPPED: {python}: {error}");
            return;
        }
    }
    let text = std::fs::read_to_string(out.path().join("detections.json")).unwrap();
    let references: Vec<Reference> = serde_json::from_str(&text).unwrap();
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    let mut open = None;
    for reference in &references {
        if open
            .as_ref()
            .is_none_or(|(name, _)| *name != reference.model)
        {
            let onnx = models.join(format!("{}.onnx", reference.model));
            let Some(detector) = detector(&onnx, 0.1) else {
                return;
            };
            open = Some((reference.model.clone(), detector.unwrap()));
        }
        let (_, detector) = open.as_mut().unwrap();
        let planes = std::fs::read(out.path().join(format!("{}.yuv", reference.image))).unwrap();
        let frame = i420(reference.width, reference.height, &planes);
        let seen = detector.detect(&[&frame]).unwrap().remove(0);
        let key = (reference.model.clone(), reference.source.clone());
        let tally = tallies.entry(key).or_insert_with(|| Tally {
            worst_iou: 1.0,
            ..Tally::default()
        });
        let boxes = reference.boxes.iter().zip(&reference.spread);
        for expected in boxes.filter(|(b, _)| b[5] >= SCORE) {
            tally.take(
                (&reference.model, &reference.image),
                expected,
                &seen.detections,
                reference.width,
                reference.height,
            );
        }
    }
    eprintln!("model, source: matched of boxes, worst IoU, worst |Δconf| by the rule, plain");
    for ((model, source), tally) in &tallies {
        eprintln!(
            "{model:32} {source:4}  {}/{}  {:.3}  {:.4}  {:.4}",
            tally.matched, tally.boxes, tally.worst_iou, tally.worst_gap, tally.worst_plain
        );
        for miss in &tally.misses {
            eprintln!("    {miss}");
        }
    }
    // From the same planes, resized as planes, there is no excuse. The other rows show what another
    // order of resizing, chroma filter or no subsampling is worth.
    for ((model, source), tally) in &tallies {
        assert!(
            source != "planes" || tally.misses.is_empty(),
            "{model}: {:?}",
            tally.misses
        );
    }
}
