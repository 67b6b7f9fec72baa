//! The tests of the training code (models/training), with whatever Python here has PyTorch.

use std::path::Path;
use std::process::Command;

/// Pythons that may have PyTorch, best first.
fn pythons() -> Vec<String> {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv-training/bin/python");
    let named = std::env::var("GANTRYD_TRAINING_PYTHON").ok();
    named
        .into_iter()
        .chain([local.to_string_lossy().into_owned(), "python3".to_owned()])
        .collect()
}

fn can_train(python: &str) -> bool {
    let found = Command::new(python)
        .args(["-c", "import torch, cv2, onnx, onnxruntime"])
        .output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn the_training_code_passes_its_own_tests() {
    let Some(python) = pythons().into_iter().find(|python| can_train(python)) else {
        println!(
            "SKIPPED: no Python with PyTorch, OpenCV, onnx and onnxruntime; scripts/setup --training installs one"
        );
        return;
    };
    let run = Command::new(&python)
        .args(["-m", "unittest"])
        .env("OMP_NUM_THREADS", "1")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/training"))
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    for line in said.lines().filter(|line| line.starts_with("SKIPPED:")) {
        println!("{line}");
    }
    assert!(
        run.status.success(),
        "{python} -m unittest in models/training:\n{said}\n{told}"
    );
    let last = told.lines().rev().find(|line| line.starts_with("Ran "));
    let ran: usize = last
        .and_then(|line| line.split(' ').nth(1))
        .unwrap()
        .parse()
        .unwrap();
    assert!(ran > 0, "no test was found in models/training");
}
