//! Faults that only GStreamer, the model and the encoder can tell.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Fault;
use crate::app::config::{CameraConfig, CameraUri, Config, Provider};
use crate::app::{resolve, writers};
use crate::base::{Metrics, redact_text};
use crate::capture::{self, CaptureError, Codec, Decode};
use crate::perception::detect::{
    DetectError, DetectOptions, Detector, Provider as Tried, Reid, class_called,
};
use crate::sinks::record::Recorder;

/// Every fault of a valid configuration that `run` would meet at its start: the cameras' pipelines,
/// devices and decoders, the model and its classes, the encoder.
///
/// Loads the model and tries the encoder; opens no stream and leaves no file.
#[must_use]
pub fn deeper_faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, camera) in config.cameras.iter().enumerate() {
        faults.extend(camera_faults(config, camera, &format!("cameras[{index}]")));
    }
    faults.extend(model_faults(config));
    faults.extend(encoder_fault(config));
    faults
}

/// A fault of `key`; causes are chained, and a pipeline text that is quoted loses its credentials.
fn fault(key: impl Into<String>, error: impl Into<anyhow::Error>) -> Fault {
    Fault {
        key: key.into(),
        text: redact_text(&format!("{:#}", error.into())),
    }
}

/// What is wrong with one camera before a stream is opened; `path` is its key.
pub(in crate::app) fn camera_faults(
    config: &Config,
    camera: &CameraConfig,
    path: &str,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let options = resolve::camera_from_config(camera, config).capture;
    let text = |name: &str, text: String| Fault {
        key: format!("{path}.{name}"),
        text,
    };
    // Asked here too, because a pipeline that cannot be used would hide it.
    if let CameraUri::Device(device) = &camera.uri
        && !device.exists()
    {
        let device = device.display();
        faults.push(text(
            "uri",
            format!(
                "{device}: no such device, allowed is one that is there (v4l2-ctl --list-devices)"
            ),
        ));
    }
    match capture::check(&options) {
        Ok(()) => {}
        Err(CaptureError::Unreadable { .. }) if !faults.is_empty() => {}
        // Nothing more can be asked of a GStreamer that does not start.
        Err(error @ CaptureError::Init(_)) => {
            faults.push(fault(format!("{path}.uri"), error));
            return faults;
        }
        Err(error) => {
            let name = match &error {
                CaptureError::Unreadable { path, .. }
                    if Some(path) == camera.tls_ca_file.as_ref() =>
                {
                    "tls_ca_file"
                }
                CaptureError::Unreadable { .. } => "uri",
                _ if camera.pipeline.is_some() => "pipeline",
                _ => "uri",
            };
            faults.push(fault(format!("{path}.{name}"), error));
        }
    }
    if let Some(missing) = missing_decoder(options.codec, options.decode) {
        faults.push(text("decode", missing));
    }
    faults
}

/// What is wrong if a decoder is asked for that is not here for any codec that may come.
fn missing_decoder(codec: Codec, decode: Decode) -> Option<String> {
    let announced = [Codec::H264, Codec::H265, Codec::Mjpeg];
    let may_come = match &codec {
        Codec::Auto => announced.as_slice(),
        one => std::slice::from_ref(one),
    };
    let has = |codec: &Codec| {
        let mut decoders = capture::decoders(*codec).into_iter();
        decoders.any(|(family, _)| family == decode)
    };
    if decode == Decode::Auto || may_come.iter().any(has) {
        return None;
    }
    let what = match codec {
        Codec::Auto => "h264, h265 or mjpeg",
        one => one.as_str(),
    };
    Some(format!(
        "{:?}, no such decoder for {what} on this machine (gantryd doctor lists what is there); allowed is \"auto\" or one that is there",
        decode.as_str()
    ))
}

/// What is wrong with the model and the runtime, and the classes it does not know.
fn model_faults(config: &Config) -> Vec<Fault> {
    let files = match resolve::model(Some(&config.detect.model)) {
        Ok(files) => files,
        Err(error) => return vec![fault("detect.model", error)],
    };
    let options = DetectOptions {
        // Nothing is looked at.
        cameras: NonZeroUsize::MIN,
        ..resolve::detect_from_config(config)
    };
    match Detector::open(&files, &options) {
        Ok(detector) => {
            let known = detector.class_names();
            let mut faults = class_faults(config, &files.id, known);
            faults.extend(reid_fault(config, &options, known));
            faults
        }
        Err(error) => vec![fault(key_of(&error, config), error)],
    }
}

/// What is wrong with the re-identification network, if one is asked for.
fn reid_fault(config: &Config, options: &DetectOptions, known: &[String]) -> Option<Fault> {
    let reid = match resolve::reid_from_config(&config.detect) {
        Ok(reid) => reid?,
        Err(error) => return Some(fault("detect.reid", error)),
    };
    let error = Reid::open(&reid, options, known).err()?;
    let key = match &error {
        DetectError::UnknownClass { .. } => "detect.reid_classes",
        _ => "detect.reid",
    };
    Some(fault(key, error))
}

/// The key whose value makes the model fail.
fn key_of(error: &DetectError, config: &Config) -> &'static str {
    let detect = &config.detect;
    let is_accelerated = match detect.provider {
        Provider::Auto => !detect.providers.order.contains(&Tried::Cpu),
        Provider::Cpu => false,
        Provider::Cuda | Provider::Tensorrt | Provider::Openvino => true,
    } || detect.providers.require_gpu;
    match error {
        DetectError::Runtime(_) => "detect.runtime_library",
        DetectError::ClassMap { .. } => "detect.class_map",
        DetectError::Network { .. } if is_accelerated => match detect.provider {
            Provider::Auto => "detect.providers",
            _ => "detect.provider",
        },
        _ => "detect.model",
    }
}

/// Classes that a camera took over from `[detect]` are told once, there.
pub(in crate::app) fn class_faults(config: &Config, model: &str, known: &[String]) -> Vec<Fault> {
    let shared = &config.detect.classes;
    let named = |key: String, classes: &[String]| {
        let unknown = classes
            .iter()
            .filter_map(|name| class_called(name, known, model).err());
        unknown
            .map(|error| fault(key.clone(), error))
            .collect::<Vec<_>>()
    };
    let mut faults = named("detect.classes".to_owned(), shared);
    for (index, camera) in config.cameras.iter().enumerate() {
        if camera.classes != *shared {
            faults.extend(named(format!("cameras[{index}].classes"), &camera.classes));
        }
        let hidden = format!("cameras[{index}].privacy.classes");
        faults.extend(named(hidden, &camera.privacy.classes));
        for (name, classes) in camera.zones.class_filters() {
            faults.extend(named(format!("cameras[{index}].{name:?}.classes"), classes));
        }
    }
    for (index, sink) in config.sinks.iter().enumerate() {
        faults.extend(named(format!("sinks[{index}].classes"), &sink.classes));
    }
    faults
}

/// What is wrong with the encoder, if anything would be recorded with it.
fn encoder_fault(config: &Config) -> Option<Fault> {
    let camera = config.cameras.iter().find(|camera| camera.annotate)?;
    if !config.record.enabled {
        return None;
    }
    // The first picture would open a file; none comes.
    let trial = Recorder::new(
        resolve::record_from_config(&config.record, &config.output.folder, camera.lossless),
        camera.id.clone(),
        writers::sidecar_line(Arc::from([])),
        None,
        Metrics::new(),
    );
    trial.err().map(|error| fault("record.encoder", error))
}
