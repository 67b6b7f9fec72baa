//! Writes the simulated crowds that the tracker's tests follow as sequences, for `peers.py`, and tells
//! how gantryd follows them:
//!   cargo run --release --manifest-path tests/benches/trackers/Cargo.toml --bin crowds -- OUT
//!
//! Frames are numbered as they come: who counts frames does not learn which ones were dropped.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

use gantryd::tools::evaluate::Scores;

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../../../support/crowd.rs"]
mod crowd;

use crowd::{SIZE, Scenario, SceneFrame, follow, score};

fn main() -> io::Result<()> {
    let out = env::args().nth(1).unwrap_or_else(|| "crowds".to_owned());
    let crowds = crowd::shaken();
    for (scenario, frames) in &crowds {
        write(
            &Path::new(&out).join(format!("crowd-{}", scenario.seed)),
            scenario,
            frames,
        )?;
    }
    for (name, told) in [("told", true), ("boxes alone", false)] {
        let scored: Vec<Scores> = crowds
            .iter()
            .map(|(_, it)| score(it, &follow(it, told)))
            .collect();
        let all = Scores::combine(scored.iter());
        let (hota, identity) = (all.hota.mean(), &all.identity);
        println!(
            "gantryd, {name}: HOTA {:.2}, AssA {:.2}, IDF1 {:.2}",
            100.0 * hota.hota,
            100.0 * hota.ass_a,
            100.0 * identity.idf1()
        );
    }
    Ok(())
}

/// One sequence: det.txt, gt.txt, gmc.txt and seqinfo.ini.
fn write(folder: &Path, scenario: &Scenario, frames: &[SceneFrame]) -> io::Result<()> {
    let (mut dets, mut truth, mut gmc) = (String::new(), String::new(), String::new());
    let ltwh = |[left, top, right, bottom]: &[f64; 4]| {
        format!("{left:.2},{top:.2},{:.2},{:.2}", right - left, bottom - top)
    };
    for (number, frame) in (1..).zip(frames) {
        for (bbox, score) in &frame.detections {
            let _ = writeln!(dets, "{number},-1,{},{score:.4}", ltwh(bbox));
        }
        for (id, bbox) in &frame.truth {
            let _ = writeln!(truth, "{number},{id},{},1,1,1", ltwh(bbox));
        }
        let [x, y] = frame.shift;
        let _ = writeln!(gmc, "{number} 1 0 {x:.4} 0 1 {y:.4}");
    }
    let info = format!(
        "[Sequence]\nname=crowd-{}\nframeRate={}\nseqLength={}\nimWidth={}\nimHeight={}\n",
        scenario.seed,
        scenario.fps,
        frames.len(),
        SIZE[0],
        SIZE[1]
    );
    fs::create_dir_all(folder)?;
    let files = [
        ("det.txt", dets),
        ("gt.txt", truth),
        ("gmc.txt", gmc),
        ("seqinfo.ini", info),
    ];
    files
        .iter()
        .try_for_each(|(name, text)| fs::write(folder.join(name), text))
}
