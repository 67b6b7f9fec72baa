//! What computes the network, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    model: String,
    provider: String,
}

/// Which execution provider the network runs on, and how much of it.
#[derive(Debug, Default)]
pub struct DetectorMetrics {
    used: Family<Labels, Gauge>,
    nodes: Family<Labels, Gauge>,
}

impl DetectorMetrics {
    /// Nothing runs yet.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "detector_provider",
            "1 for the execution provider that the detector runs on",
            metrics.used.clone(),
        );
        registry.register(
            "detector_nodes",
            "Nodes of the network by the execution provider that runs them, where an accelerator was proven: what it left to the CPU is there, too",
            metrics.nodes.clone(),
        );
        metrics
    }

    /// `model` runs on `provider`; `nodes` are those of each, by the names of ONNX Runtime.
    pub fn runs_on<'a>(
        &self,
        model: &str,
        provider: &str,
        nodes: impl IntoIterator<Item = (&'a String, &'a usize)>,
    ) {
        let labels = |provider: &str| Labels {
            model: model.to_owned(),
            provider: provider.to_owned(),
        };
        self.used.get_or_create(&labels(provider)).set(1);
        for (provider, count) in nodes {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.nodes.get_or_create(&labels(provider)).set(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Metrics;

    #[test]
    fn the_provider_and_what_it_leaves_to_others_are_told() {
        let metrics = Metrics::new();
        let nodes = [("CUDAExecutionProvider", 180), ("CPUExecutionProvider", 3)];
        let nodes: std::collections::BTreeMap<_, _> =
            nodes.map(|(name, count)| (name.to_owned(), count)).into();
        metrics.detector().runs_on("resident-n", "cuda", &nodes);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, metrics.registry()).unwrap();
        for line in [
            "gantryd_detector_provider{model=\"resident-n\",provider=\"cuda\"} 1",
            "gantryd_detector_nodes{model=\"resident-n\",provider=\"CPUExecutionProvider\"} 3",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
