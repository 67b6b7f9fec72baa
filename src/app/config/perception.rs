//! `[detect]` and `[track]`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Section;
use super::{Auto, providers};
use crate::app::pipeline::GIVE_UP;
use crate::base::redact_text;
use crate::card::CardError;
use crate::perception::detect::{ProviderOptions, Tiles, class_name_fault};
use crate::perception::schedule::{DetectSchedule, INTERVAL};

choices! {
    /// What runs the network.
    Provider {
        /// CUDA where the model really runs on it, else the processor; the log says which and why.
        Auto = "auto",
        /// The processor.
        Cpu = "cpu",
        /// NVIDIA CUDA.
        Cuda = "cuda",
        /// NVIDIA TensorRT.
        Tensorrt = "tensorrt",
        /// Intel OpenVINO.
        Openvino = "openvino",
    }
}

choices! {
    /// What to do when an accelerator finds something else than the processor in the golden picture.
    ProofPolicy {
        /// Not start.
        Refuse = "refuse",
        /// Log an error and go on.
        Alert = "alert",
        /// Not compare.
        Off = "off",
    }
}

choices! {
    /// How it is decided which frames the detector looks at.
    ScheduleKind {
        /// It looks at every one.
        Every = "every",
        /// One of `interval`.
        Interval = "interval",
        /// Those that the picture and the tracks ask for.
        Adaptive = "adaptive",
    }
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// One of the models that come with gantryd, `gantryd models list`.
    Id(String),
    /// An ONNX file.
    File(PathBuf),
}

impl ModelRef {
    /// An id, or a file if it ends in `.onnx` or contains a `/`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.ends_with(".onnx") || text.contains('/') {
            Self::File(PathBuf::from(text))
        } else {
            Self::Id(text.to_owned())
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `[detect]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectConfig {
    /// Which model.
    pub model: ModelRef,
    /// Which frames it looks at.
    pub schedule: DetectSchedule,
    /// What runs it.
    pub provider: Provider,
    /// What to do when it finds something else than the processor.
    pub proof: ProofPolicy,
    /// What `auto` stands for, and the settings of each provider.
    pub providers: ProviderOptions,
    /// Sessions that run side by side.
    pub workers: Auto<u32>,
    /// Threads inside one session.
    pub intra_threads: u32,
    /// Width and height of the network's input, for a model that takes any; auto asks the model.
    pub input_size: Auto<(usize, usize)>,
    /// Parts of a frame that are looked at besides the whole.
    pub tiles: Tiles,
    /// Frames of NVIDIA's decoder stay in the memory of the card.
    pub zero_copy: bool,
    /// Most pictures in one call of the network.
    pub max_batch: Auto<u32>,
    /// Numbers of pictures that a call may have; empty leaves it to the provider.
    pub batch_sizes: Vec<u32>,
    /// How long a frame may wait for those of other cameras.
    pub max_wait: Duration,
    /// How long it may fail at every frame before the daemon ends.
    pub give_up: Duration,
    /// Least confidence of a detection that starts a track; auto leaves it to `[track]`.
    pub confidence: Auto<f64>,
    /// Least confidence of a detection that is kept at all: it can go on with a track.
    pub min_confidence: f64,
    /// Overlap above which the weaker of two boxes goes; auto asks the model family.
    pub nms_iou: Auto<f64>,
    /// Classes to keep; empty keeps all.
    pub classes: Vec<String>,
    /// What classes of the model are called; an empty name drops the class.
    pub class_map: BTreeMap<String, String>,
    /// The ONNX Runtime library; auto looks in the usual places.
    pub runtime_library: Auto<PathBuf>,
    /// A network that says what objects look like.
    pub reid: Option<ModelRef>,
    /// Classes it looks at; empty looks at persons.
    pub reid_classes: Vec<String>,
    /// Objects less high are not looked at, frame px.
    pub reid_min_height_px: f64,
    /// Most objects looked at in one frame.
    pub reid_max_crops: u32,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            model: ModelRef::Id("resident-n".to_owned()),
            schedule: DetectSchedule::Every,
            provider: Provider::Auto,
            proof: ProofPolicy::Refuse,
            providers: ProviderOptions::default(),
            workers: Auto::Auto,
            intra_threads: 1,
            input_size: Auto::Auto,
            tiles: Tiles::default(),
            zero_copy: false,
            max_batch: Auto::Auto,
            batch_sizes: Vec::new(),
            max_wait: Duration::ZERO,
            give_up: GIVE_UP,
            confidence: Auto::Auto,
            min_confidence: 0.1,
            nms_iou: Auto::Auto,
            classes: Vec::new(),
            class_map: BTreeMap::new(),
            runtime_library: Auto::Auto,
            reid: None,
            reid_classes: Vec::new(),
            reid_min_height_px: 48.0,
            reid_max_crops: 16,
        }
    }
}

impl DetectConfig {
    /// What runs the model, in words: `cuda`, or `tensorrt or cpu`.
    #[must_use]
    pub fn runs_on(&self) -> String {
        if self.provider != Provider::Auto || self.providers == ProviderOptions::default() {
            return self.provider.to_string();
        }
        let names = self.providers.order.iter().map(|it| it.as_str());
        names.collect::<Vec<_>>().join(" or ")
    }

    pub(super) fn read(mut section: Section<'_>) -> Self {
        let s = &mut section;
        let default = Self::default();
        let (provider, providers) = providers::read(s);
        let config = Self {
            model: read_model(s, "model").unwrap_or(default.model),
            schedule: read_schedule(s),
            provider,
            proof: s.choice("proof", ProofPolicy::ALL, default.proof),
            providers,
            workers: s.auto_integer("workers", 1..=64),
            intra_threads: s.integer("intra_threads", 1..=64, default.intra_threads),
            input_size: read_input_size(s),
            tiles: read_tiles(s),
            zero_copy: s.boolean("zero_copy", false),
            max_batch: s.auto_integer("max_batch", 1..=64),
            batch_sizes: s.integers("batch_sizes", 1..=64).unwrap_or_default(),
            max_wait: Duration::from_millis(s.integer("max_wait_ms", 0..=1000, 0).into()),
            give_up: s.secs("give_up_secs", 2.0..=3600.0, default.give_up),
            confidence: s.auto_number("confidence", 0.0..=1.0),
            min_confidence: s.number("min_confidence", 0.0..=1.0, default.min_confidence),
            nms_iou: s.auto_number("nms_iou", 0.0..=1.0),
            classes: s.texts("classes").unwrap_or_default(),
            class_map: read_class_map(s),
            runtime_library: read_library(s),
            reid: read_model(s, "reid"),
            reid_classes: s.texts("reid_classes").unwrap_or_default(),
            reid_min_height_px: s.number(
                "reid_min_height_px",
                1.0..=4320.0,
                default.reid_min_height_px,
            ),
            reid_max_crops: s.integer("reid_max_crops", 1..=300, default.reid_max_crops),
        };
        if let Auto::Set(confidence) = config.confidence
            && confidence < config.min_confidence
        {
            let least = config.min_confidence;
            let text = format!("{confidence}, allowed is min_confidence ({least}) to 1");
            section.fault("confidence", text);
        }
        if let (true, device @ 1..) = (config.zero_copy, config.providers.cuda.device) {
            let text = CardError::NotTheFirst { device };
            section.fault("zero_copy", format!("true, {text}"));
        }
        let sizes = &config.batch_sizes;
        if !sizes.is_sorted_by(|one, next| one < next) {
            let text = format!("{sizes:?}, allowed are numbers that rise, such as [1, 4, 8]");
            section.fault("batch_sizes", text);
        }
        if let (Auto::Set(most), Some(largest)) = (config.max_batch, sizes.last())
            && most != *largest
        {
            let text = format!("{sizes:?}, the last must be max_batch ({most}), or leave that out");
            section.fault("batch_sizes", text);
        }
        section.finish();
        config
    }
}

fn read_model(section: &mut Section<'_>, key: &'static str) -> Option<ModelRef> {
    match ModelRef::parse(&section.text(key)?) {
        ModelRef::File(path) => section.readable(key, &path).map(ModelRef::File),
        id @ ModelRef::Id(_) => Some(id),
    }
}

fn read_schedule(section: &mut Section<'_>) -> DetectSchedule {
    let kind = section.choice("schedule", ScheduleKind::ALL, ScheduleKind::Every);
    let interval = section.integer_if_given("interval", INTERVAL);
    match (kind, interval.and_then(NonZeroU32::new)) {
        (ScheduleKind::Interval, Some(of)) => DetectSchedule::Interval(of),
        (ScheduleKind::Interval, None) => {
            let (least, most) = (INTERVAL.start(), INTERVAL.end());
            let text = format!("missing, schedule \"interval\" needs {least} to {most}");
            section.fault("interval", text);
            DetectSchedule::Every
        }
        (_, Some(of)) => {
            let text = format!("{of}, goes with schedule = \"interval\" alone");
            section.fault("interval", text);
            DetectSchedule::Every
        }
        (ScheduleKind::Every, None) => DetectSchedule::Every,
        (ScheduleKind::Adaptive, None) => DetectSchedule::Adaptive,
    }
}

fn read_class_map(section: &mut Section<'_>) -> BTreeMap<String, String> {
    let map = section.text_table("class_map");
    for (class, name) in &map {
        if let Some(fault) = class_name_fault(name) {
            let key = redact_text(&format!("class_map.{class}"));
            section.fault(&key, redact_text(&fault));
        }
    }
    map
}

/// `"640x352"` → (640, 352).
///
/// # Errors
/// What is allowed, in words.
pub fn parse_input_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| {
        let side = text.parse().ok();
        side.filter(|side: &usize| (32..=4096).contains(side) && side.is_multiple_of(32))
    };
    text.split_once('x')
        .and_then(|(width, height)| side(width).zip(side(height)))
        .ok_or_else(|| {
            "allowed is WxH, both multiples of 32 from 32 to 4096, such as 640x384".to_owned()
        })
}

fn read_tiles(section: &mut Section<'_>) -> Tiles {
    const KEY: &str = "tiles";
    match section.text(KEY).map(|text| (text.parse(), text)) {
        None => Tiles::default(),
        Some((Ok(tiles), _)) => tiles,
        Some((Err(allowed), text)) => {
            section.fault(KEY, redact_text(&format!("\"{text}\", {allowed}")));
            Tiles::default()
        }
    }
}

fn read_input_size(section: &mut Section<'_>) -> Auto<(usize, usize)> {
    const KEY: &str = "input_size";
    match section.text(KEY) {
        Some(text) if text != "auto" => match parse_input_size(&text) {
            Ok(size) => Auto::Set(size),
            Err(allowed) => {
                let text = redact_text(&text);
                section.fault(KEY, format!("\"{text}\", {allowed}, or \"auto\""));
                Auto::Auto
            }
        },
        _ => Auto::Auto,
    }
}

fn read_library(section: &mut Section<'_>) -> Auto<PathBuf> {
    match section.text("runtime_library") {
        Some(text) if text != "auto" => section
            .readable("runtime_library", Path::new(&text))
            .map_or(Auto::Auto, Auto::Set),
        _ => Auto::Auto,
    }
}

choices! {
    /// How the motion of the camera is found.
    MotionSource {
        /// Not at all: the camera stands still.
        Off = "off",
        /// By a vote of the tracks.
        Boxes = "boxes",
        /// From the picture; by the vote where the picture does not tell.
        Image = "image",
    }
}

/// `[track]`; what is auto is the tracker's own default.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackConfig {
    /// How long a hidden object is remembered, s.
    pub memory_secs: Auto<f64>,
    /// Detections in a row until a track is believed.
    pub confirm_hits: Auto<u32>,
    /// Detections at least this confident are matched first.
    pub high: Auto<f64>,
    /// Detections below this are not matched at all.
    pub low: Auto<f64>,
    /// Detections at least this confident start a track.
    pub new: Auto<f64>,
    /// How long a hidden object is remembered by its look, s.
    pub appearance_memory_secs: Auto<f64>,
    /// How the motion of the camera is found.
    pub camera_motion: MotionSource,
}

impl Default for TrackConfig {
    fn default() -> Self {
        Self {
            memory_secs: Auto::Auto,
            confirm_hits: Auto::Auto,
            high: Auto::Auto,
            low: Auto::Auto,
            new: Auto::Auto,
            appearance_memory_secs: Auto::Auto,
            camera_motion: MotionSource::Boxes,
        }
    }
}

impl TrackConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let s = &mut section;
        let config = Self {
            memory_secs: s.auto_number("memory_secs", 0.0..=600.0),
            confirm_hits: s.auto_integer("confirm_hits", 1..=100),
            high: s.auto_number("high", 0.0..=1.0),
            low: s.auto_number("low", 0.0..=1.0),
            new: s.auto_number("new", 0.0..=1.0),
            appearance_memory_secs: s.auto_number("appearance_memory_secs", 0.0..=3600.0),
            camera_motion: s.choice("camera_motion", MotionSource::ALL, MotionSource::Boxes),
        };
        if let (Auto::Set(low), Auto::Set(high)) = (config.low, config.high)
            && low > high
        {
            section.fault("low", format!("{low}, allowed is 0 to high ({high})"));
        }
        section.finish();
        config
    }
}
