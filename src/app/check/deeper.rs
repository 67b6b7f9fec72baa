//! Faults that only GStreamer, the model and the encoder can tell.

use std::sync::Arc;

use super::Fault;
use crate::app::config::{CameraConfig, CameraUri, Config, Provider};
use crate::app::{resolve, writers};
use crate::base::Metrics;
use crate::capture::{self, CaptureError, Codec, Decode};
use crate::perception::detect::{DetectError, Detector, class_called};
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

/// A fault of `key`; causes are chained.
fn fault(key: impl Into<String>, error: impl Into<anyhow::Error>) -> Fault {
    Fault {
        key: key.into(),
        text: format!("{:#}", error.into()),
    }
}

fn camera_faults(config: &Config, camera: &CameraConfig, path: &str) -> Vec<Fault> {
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
    match Detector::open(&files, &resolve::detect_from_config(config)) {
        Ok(detector) => class_faults(config, &files.id, detector.class_names()),
        Err(error) => vec![fault(key_of(&error, config), error)],
    }
}

/// The key whose value makes the model fail.
fn key_of(error: &DetectError, config: &Config) -> &'static str {
    let is_accelerated = !matches!(config.detect.provider, Provider::Auto | Provider::Cpu);
    match error {
        DetectError::Runtime(_) => "detect.runtime_library",
        DetectError::Network { .. } if is_accelerated => "detect.provider",
        _ => "detect.model",
    }
}

/// Classes that a camera took over from `[detect]` are told once, there.
fn class_faults(config: &Config, model: &str, known: &[String]) -> Vec<Fault> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::models;
    use std::path::{Path, PathBuf};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name)
    }

    /// Faults of a configuration whose folder is that of the project's pipelines, one per line.
    fn faults(text: &str) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/site.toml");
        let config = Config::from_text(text, &file).unwrap();
        let faults = deeper_faults(&config);
        faults.iter().map(ToString::to_string).collect()
    }

    fn has_runtime() -> bool {
        let options = resolve::detect_from_config(&Config::default());
        let files = models::by_file(&fixture("models/shapes.onnx"));
        let is_there = !matches!(
            Detector::open(&files, &options),
            Err(DetectError::Runtime(_))
        );
        if !is_there {
            eprintln!("SKIPPED: no ONNX Runtime here");
        }
        is_there
    }

    fn site(cameras: &str, rest: &str) -> String {
        let model = fixture("models/shapes.onnx");
        format!("{cameras}\n[detect]\nmodel = {model:?}\n{rest}")
    }

    const GATE: &str = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n";
    const YARD: &str = "[[cameras]]\nid = \"yard\"\nuri = \"/dev/video-none\"\n";

    #[test]
    fn a_copy_of_a_built_in_pipeline_is_accepted() {
        if !has_runtime() {
            return;
        }
        let camera = format!("{GATE}pipeline = \"capture-rtsp.gst\"\n");
        let none: [String; 0] = [];
        assert_eq!(faults(&site(&camera, "[record]\nencoder = \"x264\"")), none);
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_key() {
        if !has_runtime() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.gst");
        std::fs::write(&own, "videotestsrc ! nosuchelement name=frames").unwrap();
        let cameras = format!(
            "{GATE}pipeline = {own:?}\nclasses = [\"CAR\", \"zeppelin\"]\n{YARD}classes = []\n"
        );
        let found = faults(&site(
            &cameras,
            "classes = [\"airship\"]\n[record]\nencoder = \"nv\"\n",
        ));
        let keys: Vec<&str> = found
            .iter()
            .filter_map(|fault| fault.split(": ").next())
            .collect();
        let expected = [
            "cameras[0].pipeline",
            "cameras[1].uri",
            "detect.classes",
            "cameras[0].classes",
        ];
        assert_eq!(keys[..4], expected, "{found:#?}");
        assert!(found[0].contains("no element \"nosuchelement\""));
        assert!(found[1].contains("/dev/video-none: no such device"));
        assert!(found[3].contains("no class \"zeppelin\""));
        // A machine with that hardware has one fault less.
        if gstreamer::ElementFactory::find("nvh264enc").is_none() {
            assert_eq!(keys.get(4), Some(&"record.encoder"), "{found:#?}");
        }
    }

    #[test]
    fn a_pipeline_without_frames_and_a_device_that_is_absent_are_both_told() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.gst");
        std::fs::write(&own, "# nothing\nvideotestsrc ! fakesink").unwrap();
        let found = faults(&site(&format!("{YARD}pipeline = {own:?}\n"), ""));
        assert!(found[0].starts_with("cameras[0].uri: "), "{found:#?}");
        assert!(
            found[1].starts_with("cameras[0].pipeline: ") && found[1].contains("appsink"),
            "{found:#?}"
        );
    }
}
