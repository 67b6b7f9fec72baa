//! `gantryd doctor --gpu`: an accelerator must find what the CPU finds.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::app::accelerator::golden;
use crate::app::cli::{DoctorArgs, Exit};
use crate::app::resolve;
use crate::perception::detect::{DetectOptions, Proof, prove};

/// Batch sizes that are timed, where the model takes them.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

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
        providers: resolve::providers(args.device, args.cuda_graphs),
        input_size: args.input_size,
        zero_copy: args.zero_copy,
        max_batch: std::num::NonZeroUsize::new(BATCHES[BATCHES.len() - 1]),
        ..DetectOptions::default()
    };
    let golden = golden()?;
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
    for rate in &proof.rates {
        let mut ways = vec![format!(
            "{:.0} network alone, from host memory",
            rate.from_host
        )];
        let on_card = rate
            .on_card
            .map(|it| format!("{it:.0} network alone, from its own memory"));
        let whole = rate
            .whole
            .map(|it| format!("{it:.0} from frames on the card to boxes"));
        ways.extend(on_card.into_iter().chain(whole));
        writeln!(
            out,
            "batch {:<5} pictures/s: {}",
            rate.batch,
            ways.join(", ")
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
