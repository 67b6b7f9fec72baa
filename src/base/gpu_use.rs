//! What NVIDIA cards are doing, as their driver's library tells (NVML), read when somebody asks. Without
//! that library, or without a card, there is nothing to tell.

use std::fmt;
use std::sync::OnceLock;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::{Device, Nvml};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;

/// One card now; what its driver does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuUse {
    /// Its number, as `nvidia-smi` has it.
    pub index: u32,
    /// What it is called.
    pub name: String,
    /// Share of the last second or less in which it computed, percent.
    pub busy_percent: Option<u32>,
    /// Memory in use, of all processes, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Memory there is, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Temperature of its chip, °C.
    pub celsius: Option<u32>,
}

impl GpuUse {
    /// Every card.
    #[must_use]
    pub fn now() -> Vec<Self> {
        let Some(nvml) = library() else {
            return Vec::new();
        };
        let devices = 0..nvml.device_count().unwrap_or(0);
        devices
            .filter_map(|index| Some(Self::of(index, &nvml.device_by_index(index).ok()?)))
            .collect()
    }

    fn of(index: u32, device: &Device<'_>) -> Self {
        let memory = device.memory_info().ok();
        Self {
            index,
            name: device.name().unwrap_or_default(),
            busy_percent: device.utilization_rates().ok().map(|it| it.gpu),
            memory_used_bytes: memory.as_ref().map(|it| it.used),
            memory_total_bytes: memory.as_ref().map(|it| it.total),
            celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        }
    }
}

/// The driver's library, opened when it is first asked for.
fn library() -> Option<&'static Nvml> {
    static LIBRARY: OnceLock<Option<Nvml>> = OnceLock::new();
    let open = || match Nvml::init() {
        Ok(nvml) => Some(nvml),
        Err(error) => {
            tracing::debug!(%error, "no NVIDIA card is looked at");
            None
        }
    };
    LIBRARY.get_or_init(open).as_ref()
}

/// Tells [`GpuUse`] at `/metrics`.
#[derive(Debug)]
pub(super) struct GpuMetrics;

type Reads = fn(&GpuUse) -> Option<f64>;

impl Collector for GpuMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cards = GpuUse::now();
        let gauges: [(&str, &str, Reads); 4] = [
            (
                "gantryd_gpu_busy_ratio",
                "Share of the time in which the card computed",
                |it| it.busy_percent.map(|percent| f64::from(percent) / 100.0),
            ),
            (
                "gantryd_gpu_memory_used_bytes",
                "Memory of the card in use, of all processes",
                |it| it.memory_used_bytes.map(|bytes| bytes as f64),
            ),
            (
                "gantryd_gpu_memory_total_bytes",
                "Memory of the card",
                |it| it.memory_total_bytes.map(|bytes| bytes as f64),
            ),
            (
                "gantryd_gpu_temperature_celsius",
                "Temperature of the card's chip",
                |it| it.celsius.map(f64::from),
            ),
        ];
        for (name, text, reads) in gauges {
            let values = cards.iter().filter_map(|card| Some((card, reads(card)?)));
            let values: Vec<_> = values.collect();
            let Some((_, first)) = values.first() else {
                continue;
            };
            let kind = ConstGauge::new(*first).metric_type();
            let mut family = encoder.encode_descriptor(name, text, None, kind)?;
            for (card, value) in values {
                let labels = [("gpu", card.index.to_string()), ("name", card.name.clone())];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
