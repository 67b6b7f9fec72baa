//! What `gantryd models inspect` counts, against graphs whose figures are known by hand and against
//! models whose figures are published.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use gantryd::app::models::{Inspection, by_file, inspect};
use gantryd::perception::detect::{DetectOptions, Residual, Signature, Structure};

fn inspected(file: &Path, size: Option<(u32, u32)>) -> Inspection {
    inspect(by_file(file), size, &DetectOptions::default()).unwrap()
}

/// Made by `tests/reference/make_structure_fixtures.py`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/structure")
        .join(format!("{name}.onnx"))
}

fn residual(name: &str) -> Residual {
    inspected(&fixture(name), None).structure().residual
}

fn blocks(blocks: usize, identity: usize, longest_chain: usize) -> Residual {
    Residual {
        blocks,
        identity,
        convolutional: blocks,
        longest_chain,
    }
}

#[test]
fn an_activation_after_each_sum_leaves_identity_paths_and_breaks_the_chain() {
    assert_eq!(residual("post_activation"), blocks(3, 3, 1));
}

#[test]
fn pre_activation_makes_one_chain_of_all_blocks() {
    assert_eq!(residual("pre_activation"), blocks(3, 3, 3));
}

#[test]
fn a_projection_is_a_block_without_an_identity_path() {
    // Identity, 1×1 convolution, pooling, identity.
    assert_eq!(residual("projection"), blocks(4, 2, 1));
}

#[test]
fn quantisation_hides_neither_blocks_nor_their_chain() {
    assert_eq!(residual("qdq"), blocks(2, 2, 2));
}

#[test]
fn joined_parts_pyramids_and_added_constants_are_no_blocks() {
    assert_eq!(residual("csp_concat"), blocks(0, 0, 0));
}

#[test]
fn parameters_and_costs_are_those_worked_out_by_hand() {
    // 3×3 of 4 channels: 148 parameters, 4 · 64 · 36 = 9216 products at 8×8; 1×1: 20 and 1024.
    for (name, parameters, macs, counted) in [
        ("post_activation", 7 * 148, 7 * 9216, 7),
        ("pre_activation", 7 * 148, 7 * 9216, 7),
        // 5 of 3×3 (two at 8×8, to 4×4, to 2×2, at 2×2) and one of 1×1 to 4×4.
        (
            "projection",
            5 * 148 + 20,
            2 * 9216 + 2304 + 576 + 576 + 256,
            6,
        ),
        // Weights int8, biases int32: each element once, scales not at all.
        ("qdq", 3 * 148, 3 * 9216, 3),
        // Two 3×3, two 1×1, 3×3 of 8 to 4 channels to 4×4, 1×1 of 8 to 4.
        (
            "csp_concat",
            2 * 148 + 2 * 20 + 292 + 36,
            2 * 9216 + 2 * 1024 + 4608 + 2048,
            6,
        ),
        // Depthwise 256 · 9; transposed 256 · 2 · 4; dense 3 · 2.
        ("depthwise", 36 + 32 + 6 + 3, 2304 + 2048 + 6, 3),
    ] {
        let inspection = inspected(&fixture(name), None);
        let structure = inspection.structure();
        assert_eq!(structure.weights.parameters, parameters, "{name}");
        assert_eq!(structure.weights.tables, 0, "{name}");
        assert_eq!(structure.cost.macs, macs, "{name}");
        assert_eq!(structure.cost.counted, counted, "{name}");
        assert!(structure.cost.left_out.is_empty(), "{name}");
    }
}

#[test]
fn an_open_size_is_taken_from_the_caller_and_what_depends_on_the_picture_is_left_out() {
    let inspection = inspected(&fixture("dynamic"), Some((64, 32)));
    let cost = &inspection.structure().cost;
    // 3×3 of 3 to 4 channels to 32×16, then 512 rows of 4 times 4×5.
    assert_eq!(cost.macs, 4 * 512 * 27 + 512 * 5 * 4);
    assert_eq!(cost.counted, 2);
    let left_out: Vec<_> = cost.left_out.iter().collect();
    assert_eq!(left_out, [(&"MatMul".to_owned(), &1)]);
    let text = inspection.to_string();
    for part in [
        "at 64x32, 2 convolutions and products; left out 1: MatMul 1",
        "shapes that depend on the picture: NonZero 1",
        "has an open shape",
        "not checked here",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_size_that_the_file_does_not_take_is_refused() {
    let files = by_file(&fixture("pre_activation"));
    let error = inspect(files, Some((64, 64)), &DetectOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("--size 64x64: the input \"x\" is 8x8 in the file, leave --size out"),
        "{error}"
    );
}

#[test]
fn damaged_files_are_refused_or_counted_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("damaged.onnx");
    let mut random = fastrand::Rng::with_seed(7);
    let mut counted = 0;
    for name in ["projection", "qdq", "dynamic", "depthwise", "csp_concat"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            std::fs::write(&file, &bytes).unwrap();
            let Ok(signature) = Signature::read(&file) else {
                continue;
            };
            // Whatever the numbers are now, they come out.
            let structure = Structure::of(&signature, "x", &[1, 3, 64, 64]);
            let residual = structure.residual;
            assert!(
                residual.identity <= residual.blocks && residual.longest_chain <= residual.blocks
            );
            counted += 1;
        }
    }
    assert!(counted > 300, "only {counted} could be read at all");
}

/// File, parameters and FLOPs as published, and multiply-accumulates from the shapes that ONNX Runtime
/// computes (`tests/reference/count_structure.py`).
///
/// Published: YOLOX-nano 0.91 M, 1.08 GFLOPs; NanoDet-m 0.95 M, 0.72; PicoDet-s 0.99 M, 0.73; YOLO11n
/// 2.6 M, 6.5 at 640 (a quarter of it at 320); YOLO26n 2.4 M, 5.4; YOLOv8n 3.2 M, 8.7. They count
/// normalisations that are folded away in these files, and round.
const PUBLISHED: &[(&str, f64, f64, u64)] = &[
    ("yolox_nano_416_kazuhito", 0.91e6, 1.08e9, 522_553_408),
    ("nanodet_m_320_kazuhito", 0.95e6, 0.72e9, 342_223_200),
    ("picodet_s_320_coco", 0.99e6, 0.73e9, 350_963_528),
    ("yolo11n_int8_droneeye", 2.6e6, 6.5e9 / 4.0, 812_052_800),
    ("yolo26n_int8", 2.4e6, 5.4e9, 2_740_153_600),
    ("yolov8n_int8_lamri", 3.2e6, 8.7e9, 4_371_993_600),
];

#[test]
fn figures_of_known_models_are_the_published_ones() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    if !models.is_dir() {
        eprintln!("SKIPPED: {} is absent", models.display());
        return;
    }
    for (name, parameters, flops, macs) in PUBLISHED {
        let inspection = inspected(&models.join(format!("{name}.onnx")), None);
        let structure = inspection.structure();
        assert_eq!(structure.cost.macs, *macs, "{name}");
        let off = |mine: f64, published: f64| (mine / published - 1.0).abs();
        let (mine, mine_flops) = (
            structure.weights.parameters as f64,
            2.0 * structure.cost.macs as f64,
        );
        assert!(off(mine, *parameters) < 0.02, "{name}: {mine}");
        assert!(off(mine_flops, *flops) < 0.06, "{name}: {mine_flops}");
    }
    // CSPDarknet of depth 0.33: 1, 3 and 3 bottlenecks with a shortcut in three stages, none in the last.
    let yolox = inspected(&models.join("yolox_nano_416_kazuhito.onnx"), None);
    assert_eq!(yolox.structure().residual, blocks(7, 7, 3));
}
