//! The texts of `pipelines/`, to be read for the elements they name.

/// Lists each file with its text.
macro_rules! pipelines {
    ($($name:literal,)+) => {
        &[$(($name, include_str!(concat!("../../../pipelines/", $name)))),+]
    };
}

/// Name and text of each file in `pipelines/`.
pub(super) const PIPELINES: &[(&str, &str)] = pipelines![
    "capture-decode-card.gst",
    "capture-decode.gst",
    "capture-file.gst",
    "capture-http.gst",
    "capture-images.gst",
    "capture-packets.gst",
    "capture-rtsp.gst",
    "capture-test.gst",
    "capture-v4l2.gst",
    "clip-mp4.gst",
    "codecs.txt",
    "encode-nv.gst",
    "encode-openh264.gst",
    "encode-trial.gst",
    "encode-v4l2.gst",
    "encode-va.gst",
    "encode-x264.gst",
    "film-codec.gst",
    "film-encode-h264.gst",
    "film-encode-h265.gst",
    "film-read.gst",
    "play-rtsp.gst",
    "record-mp4.gst",
    "record-raw.gst",
    "simulate-mp4.gst",
    "simulate-rtsp.gst",
    "webrtc-h264.gst",
    "webrtc-needs.txt",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let listed: Vec<&str> = PIPELINES.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, names);
    }
}
