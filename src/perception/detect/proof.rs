//! Whether an accelerator says what the CPU says, how fast it is, and which nodes it leaves to others.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::on_card;
use super::runtime::Runtime;
use super::session;
use super::{DetectError, DetectOptions, Detector, ModelFiles, Provider, Signature};
use crate::base::{Detection, Frame};

/// Detections below this score may be on one side only: they come and go with the last bit.
const SURE: f32 = 0.3;

/// Scores may differ by so much. fp16 and TF32 keep 11 bits, a network of 40 layers loses some.
const SCORE_TOLERANCE: f32 = 0.02;

/// Edges may differ by so many pixels, and by [`EDGE_SHARE`] of the box's longer side.
const EDGE_PIXELS: f32 = 1.0;

/// See [`EDGE_PIXELS`].
const EDGE_SHARE: f32 = 0.01;

/// How much more a network in 8-bit integers may differ in everything: where one rounds up and the
/// other down, the next layer differs by a whole step.
const QUANTISED: f32 = 5.0;

/// How long each batch size is timed.
const TIMED: Duration = Duration::from_millis(400);

/// What came of comparing a provider with the CPU on one frame.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What was compared with the CPU.
    pub provider: Provider,
    /// Version of ONNX Runtime.
    pub runtime: &'static str,
    /// Differences up to this many times the usual tolerance are accepted.
    pub tolerance: f32,
    /// Sure detections of the CPU.
    pub expected: usize,
    /// Those that the provider does not see, or sees elsewhere or otherwise.
    pub missing: Vec<Detection>,
    /// Sure detections of the provider that the CPU does not see.
    pub extra: Vec<Detection>,
    /// Largest difference between edges of the same object, frame pixels.
    pub worst_edge: f32,
    /// Largest difference between scores of the same object.
    pub worst_score: f32,
    /// Nodes of the network by the provider that runs them, as ONNX Runtime calls it.
    pub nodes: BTreeMap<String, usize>,
    /// How fast it is, by batch size.
    pub rates: Vec<Rate>,
}

/// Pictures per second in calls of one batch size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Pictures in a call.
    pub batch: usize,
    /// The network alone, from and to host memory.
    pub from_host: f64,
    /// The network alone, from memory of the card to that of the host, where calls are CUDA graphs.
    pub on_card: Option<f64>,
    /// From frames on the card to boxes, with [`DetectOptions::zero_copy`].
    pub whole: Option<f64>,
}

impl Proof {
    /// Whether both say the same, within what the provider's arithmetic explains.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.expected > 0 && self.missing.is_empty() && self.extra.is_empty()
    }

    /// Nodes that the CPU runs although another provider was asked for.
    #[must_use]
    pub fn left_to_cpu(&self) -> usize {
        self.nodes.get("CPUExecutionProvider").copied().unwrap_or(0)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} objects as on the cpu, {} more; edges within {:.2} px, scores within {:.4}",
            self.expected - self.missing.len(),
            self.expected,
            self.extra.len(),
            self.worst_edge,
            self.worst_score
        )
    }
}

/// Sends `golden` through the provider of `options` and through the CPU; batches of `batches`
/// pictures are timed.
///
/// # Errors
/// [`DetectError`] if the model cannot be run on either.
pub fn prove(
    model: &ModelFiles,
    options: &DetectOptions,
    golden: &Frame,
    batches: &[usize],
) -> Result<Proof, DetectError> {
    let on_cpu = DetectOptions {
        provider: Provider::Cpu,
        zero_copy: false,
        ..options.clone()
    };
    let wanted = Detector::open(model, &on_cpu)?.detect(&[golden])?.remove(0);
    let mut detector = Detector::open(model, options)?;
    let provider = detector.report().used;
    let on_card;
    let shown = if options.zero_copy {
        on_card = on_card::sent(golden, options.providers.card(provider).0)?;
        &on_card
    } else {
        golden
    };
    let said = detector.detect(&[shown])?.remove(0);
    let is_quantised = Signature::read(&model.onnx)?.graph.has("QuantizeLinear");
    let mut proof = Proof {
        provider,
        runtime: Runtime::load(options.runtime_library.as_deref())?.version(),
        tolerance: if is_quantised { QUANTISED } else { 1.0 },
        expected: 0,
        missing: Vec::new(),
        extra: Vec::new(),
        worst_edge: 0.0,
        worst_score: 0.0,
        nodes: session::nodes(
            model,
            provider,
            options,
            &detector.fixed_dims(),
            |session| detector.run_on(session),
        )?,
        rates: Vec::new(),
    };
    proof.compare(&wanted.detections, &said.detections);
    let most = detector.max_batch();
    for &batch in batches.iter().filter(|batch| **batch <= most) {
        let (from_host, on_card) = detector.time_network(batch, TIMED)?;
        let together = vec![shown; batch];
        let mut whole = || rate(batch, TIMED, || detector.detect(&together).map(drop));
        proof.rates.push(Rate {
            batch,
            from_host,
            on_card,
            whole: options.zero_copy.then(&mut whole).transpose()?,
        });
    }
    Ok(proof)
}

impl Proof {
    fn compare(&mut self, wanted: &[Detection], said: &[Detection]) {
        let mut is_taken = vec![false; said.len()];
        for one in wanted.iter().filter(|one| one.confidence >= SURE) {
            self.expected += 1;
            let candidates = said.iter().enumerate();
            let free = candidates.filter(|(at, other)| !is_taken[*at] && other.class == one.class);
            let best = free.max_by(|(_, a), (_, b)| {
                let (a, b) = (one.bbox.iou(&a.bbox), one.bbox.iou(&b.bbox));
                a.total_cmp(&b)
            });
            let Some((at, other)) = best.filter(|(_, other)| one.bbox.iou(&other.bbox) > 0.5)
            else {
                self.missing.push(one.clone());
                continue;
            };
            is_taken[at] = true;
            let (edge, score) = (
                edge_difference(one, other),
                (one.confidence - other.confidence).abs(),
            );
            self.worst_edge = self.worst_edge.max(edge);
            self.worst_score = self.worst_score.max(score);
            let side = one.bbox.width().max(one.bbox.height());
            let edge_limit = self.tolerance * (EDGE_PIXELS + EDGE_SHARE * side);
            if edge > edge_limit || score > self.tolerance * SCORE_TOLERANCE {
                self.missing.push(one.clone());
            }
        }
        let more = said.iter().zip(&is_taken);
        let sure = SURE + self.tolerance * SCORE_TOLERANCE;
        let more = more.filter(|(one, taken)| !**taken && one.confidence >= sure);
        self.extra.extend(more.map(|(one, _)| one.clone()));
    }
}

/// Largest difference between the edges of two boxes, pixels.
fn edge_difference(a: &Detection, b: &Detection) -> f32 {
    let (a, b) = (&a.bbox, &b.bbox);
    [
        a.left() - b.left(),
        a.top() - b.top(),
        a.right() - b.right(),
        a.bottom() - b.bottom(),
    ]
    .into_iter()
    .fold(0.0, |worst, difference| f32::max(worst, difference.abs()))
}

/// Pictures per second of `call`, which does `pictures` of them.
pub(super) fn rate<E>(
    pictures: usize,
    at_least: Duration,
    mut call: impl FnMut() -> Result<(), E>,
) -> Result<f64, E> {
    // New shapes are compiled or searched for at the first runs.
    for _ in 0..3 {
        call()?;
    }
    let (began, mut calls) = (Instant::now(), 0_u32);
    while began.elapsed() < at_least {
        call()?;
        calls += 1;
    }
    Ok(f64::from(calls) * pictures as f64 / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{BBox, ClassId};

    fn detection(left: f32, confidence: f32, class: u16) -> Detection {
        Detection {
            bbox: BBox::from_ltrb(left, 10.0, left + 40.0, 50.0).unwrap(),
            class: ClassId(class),
            confidence,
            embedding: None,
        }
    }

    fn compared(wanted: &[Detection], said: &[Detection]) -> Proof {
        let mut proof = Proof {
            provider: Provider::Cuda,
            runtime: "1.31.1",
            tolerance: 1.0,
            expected: 0,
            missing: Vec::new(),
            extra: Vec::new(),
            worst_edge: 0.0,
            worst_score: 0.0,
            nodes: BTreeMap::new(),
            rates: Vec::new(),
        };
        proof.compare(wanted, said);
        proof
    }

    #[test]
    fn the_last_bits_may_differ() {
        let wanted = [detection(10.0, 0.9, 0), detection(100.0, 0.5, 1)];
        let said = [
            detection(100.3, 0.51, 1),
            detection(10.0, 0.895, 0),
            detection(300.0, 0.31, 1),
        ];
        let proof = compared(&wanted, &said);
        assert!(proof.holds(), "{proof}");
        assert!((proof.worst_edge - 0.3).abs() < 1e-3 && (proof.worst_score - 0.01).abs() < 1e-4);
    }

    #[test]
    fn another_place_class_score_or_number_does_not_pass() {
        let wanted = [detection(10.0, 0.9, 0)];
        for said in [
            vec![detection(13.0, 0.9, 0)],
            vec![detection(10.0, 0.9, 1)],
            vec![detection(10.0, 0.8, 0)],
            vec![],
            vec![detection(10.0, 0.9, 0), detection(200.0, 0.6, 0)],
        ] {
            assert!(!compared(&wanted, &said).holds(), "{said:?}");
        }
        assert!(!compared(&[], &[]).holds(), "nothing seen proves nothing");
    }
}
