//! gantryd's own model against PyTorch: models/training/resident/reference.py made tests/fixtures/resident.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod detect_common;

use std::path::{Path, PathBuf};

use detect_common::{detector, detector_of_size, i420};
use gantryd::base::{BBox, Detection};
use serde::Deserialize;

/// Pixels of the frame by which an edge may differ.
const MAX_EDGE_GAP: f32 = 0.5;
const MAX_SCORE_GAP: f32 = 0.005;
/// Least cosine of two embeddings of one box.
const LEAST_LIKENESS: f32 = 0.999;
/// The reference lists boxes from 0.25; those right at the limit may be on either side of it.
const FLOOR: f32 = 0.25;

#[derive(Deserialize)]
struct Reference {
    name: String,
    width: u32,
    height: u32,
    /// Left, top, right, bottom, class, confidence, embedding.
    boxes: Vec<Vec<f32>>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resident")
}

fn is_same(found: &Detection, row: &[f32]) -> bool {
    let expected = BBox::from_ltrb(row[0], row[1], row[2], row[3]).unwrap();
    let edges = [
        found.bbox.left() - expected.left(),
        found.bbox.top() - expected.top(),
        found.bbox.right() - expected.right(),
        found.bbox.bottom() - expected.bottom(),
    ];
    f32::from(found.class.0) == row[4]
        && (found.confidence - row[5]).abs() <= MAX_SCORE_GAP
        && edges.iter().all(|edge| edge.abs() <= MAX_EDGE_GAP)
}

#[test]
fn boxes_scores_and_embeddings_are_those_of_pytorch() {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/resident-n/resident-n.onnx");
    let Some(detector) = detector(&onnx, FLOOR - MAX_SCORE_GAP) else {
        return;
    };
    let mut detector = detector.unwrap();
    let references: Vec<Reference> =
        serde_json::from_slice(&std::fs::read(fixtures().join("resident.json")).unwrap()).unwrap();
    let mut compared = 0;
    for reference in references {
        let planes = std::fs::read(fixtures().join(format!("{}.yuv", reference.name))).unwrap();
        let frame = i420(reference.width, reference.height, &planes);
        let found = detector.detect(&[&frame]).unwrap().remove(0).detections;
        for row in &reference.boxes {
            let Some(same) = found.iter().find(|one| is_same(one, row)) else {
                panic!(
                    "{}: {:?} is not among {found:#?}",
                    reference.name,
                    &row[..6]
                );
            };
            let embedding = same.embedding.as_ref().unwrap();
            let likeness: f32 = embedding
                .values()
                .iter()
                .zip(&row[6..])
                .map(|(a, b)| a * b)
                .sum();
            assert!(
                likeness >= LEAST_LIKENESS,
                "{}: likeness {likeness}",
                reference.name
            );
            compared += 1;
        }
        let sure = found
            .iter()
            .filter(|one| one.confidence > FLOOR + MAX_SCORE_GAP);
        assert!(
            sure.count() <= reference.boxes.len(),
            "{}: more boxes than PyTorch",
            reference.name
        );
    }
    assert!(compared >= 10, "only {compared} boxes were compared");
}

/// Edges of two inputs' boxes of an object differ by a part of its size.
const SAME_OBJECT: f32 = 0.5;

#[test]
fn the_input_takes_another_size() {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/resident-n/resident-n.onnx");
    let Some(usual) = detector(&onnx, FLOOR) else {
        return;
    };
    let mut usual = usual.unwrap();
    let mut larger = detector_of_size(&onnx, FLOOR, (640, 352)).unwrap();
    let input = &larger.plan().input;
    assert_eq!((input.width, input.height), (640, 352));

    let planes = std::fs::read(fixtures().join("junction.yuv")).unwrap();
    let frame = i420(640, 360, &planes);
    let found = |detector: &mut gantryd::perception::detect::Detector| {
        detector.detect(&[&frame]).unwrap().remove(0).detections
    };
    let (usual, larger) = (found(&mut usual), found(&mut larger));
    let surest = usual.first().unwrap();
    assert!(
        larger
            .iter()
            .any(|one| one.class == surest.class && one.bbox.iou(&surest.bbox) > SAME_OBJECT),
        "{surest:?} is not among {larger:?}"
    );
}

#[test]
fn a_network_of_fixed_size_takes_no_other() {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/yolov8.onnx");
    if detector(&onnx, FLOOR).is_none() {
        return;
    }
    let error = detector_of_size(&onnx, FLOOR, (128, 128)).err().unwrap();
    let text = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    assert!(text.contains("128") && text.contains("96"), "{text}");
}

#[test]
fn an_input_with_too_few_places_is_refused_with_the_remedy() {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/resident-n/resident-n.onnx");
    if detector(&onnx, FLOOR).is_none() {
        return;
    }
    let error = detector_of_size(&onnx, FLOOR, (96, 96)).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("96x96 has 189 places") && text.contains("128x128 or more"),
        "{text}"
    );
    assert!(detector_of_size(&onnx, FLOOR, (128, 128)).is_ok());
}

#[test]
fn the_doctor_proves_a_provider_against_the_cpu() {
    let proof = assert_cmd::Command::cargo_bin("gantryd")
        .unwrap()
        .args([
            "doctor",
            "--gpu",
            "--provider",
            "cpu",
            "--input-size",
            "320x192",
        ])
        .assert()
        .success();
    let told = String::from_utf8_lossy(&proof.get_output().stdout).into_owned();
    for part in [
        "resident-n on cpu",
        "by CPUExecutionProvider",
        "0 more; edges within 0.00 px",
        "cpu may be trusted with this model",
    ] {
        assert!(told.contains(part), "no \"{part}\" in:\n{told}");
    }
    // This build of ONNX Runtime has no CUDA: an error that says what to do, not the CPU in silence.
    let refused = assert_cmd::Command::cargo_bin("gantryd")
        .unwrap()
        .args(["doctor", "--gpu"])
        .assert();
    let output = refused.get_output();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() != Some(0) && told.contains("built without it; name one that has it"),
        "{told}"
    );
}
