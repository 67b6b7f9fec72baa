//! Which GStreamer elements gantryd's pipelines name, and which Debian package holds each.

use std::collections::BTreeSet;

/// Element → Debian package. `tests::every_element_of_ours_has_a_package` keeps it complete.
const PACKAGES: &[(&str, &[&str])] = &[
    (
        "libgstreamer1.0-0",
        &[
            "capsfilter",
            "fakesink",
            "fakesrc",
            "filesink",
            "filesrc",
            "funnel",
            "identity",
            "multiqueue",
            "queue",
            "tee",
            "typefind",
        ],
    ),
    (
        "gstreamer1.0-plugins-base",
        &[
            "appsink",
            "appsrc",
            "decodebin",
            "decodebin3",
            "parsebin",
            "oggdemux",
            "videoconvert",
            "videorate",
            "videoscale",
            "videotestsrc",
        ],
    ),
    (
        "gstreamer1.0-plugins-good",
        &[
            "avidemux",
            "flvdemux",
            "hlsdemux2",
            "imagefreeze",
            "jpegdec",
            "jpegenc",
            "matroskademux",
            "matroskamux",
            "mp4mux",
            "multifilesrc",
            "multipartdemux",
            "pngdec",
            "qtdemux",
            "rtph264depay",
            "rtph264pay",
            "rtph265pay",
            "rtph265depay",
            "rtpjitterbuffer",
            "rtpjpegdepay",
            "rtpmp4vdepay",
            "rtpvp8depay",
            "rtpvp9depay",
            "rtspsrc",
            "souphttpsrc",
            "splitmuxsink",
            "udpsrc",
            "v4l2h264dec",
            "v4l2h264enc",
            "v4l2h265dec",
            "v4l2jpegdec",
            "v4l2src",
            "v4l2vp8dec",
            "v4l2vp9dec",
            "videobox",
            "videocrop",
            "videoflip",
            "vp8dec",
            "vp9dec",
        ],
    ),
    (
        "gstreamer1.0-plugins-bad",
        &[
            "dtlssrtpenc",
            "srtpenc",
            "webrtcbin",
            "av1dec",
            "av1parse",
            "cudaupload",
            "dashdemux",
            "h264parse",
            "h265parse",
            "hlsdemux",
            "jpegparse",
            "libde265dec",
            "mpeg4videoparse",
            "mpegvideoparse",
            "nvav1dec",
            "nvh264dec",
            "nvh264enc",
            "nvh265dec",
            "nvjpegdec",
            "nvvp8dec",
            "nvvp9dec",
            "openh264dec",
            "openh264enc",
            "pngparse",
            "tsdemux",
            "v4l2slh264dec",
            "v4l2slh265dec",
            "vaav1dec",
            "vah264dec",
            "vah264enc",
            "vah264lpenc",
            "vah265dec",
            "vajpegdec",
            "vapostproc",
            "vavp8dec",
            "vavp9dec",
            "vp9parse",
            "webpdec",
            "x265enc",
        ],
    ),
    ("gstreamer1.0-plugins-ugly", &["x264enc"]),
    (
        "gstreamer1.0-libav",
        &[
            "avdec_h264",
            "avdec_h265",
            "avdec_mjpeg",
            "avdec_mpeg2video",
            "avdec_mpeg4",
            "avdec_png",
            "avdec_vp8",
            "avdec_vp9",
        ],
    ),
    (
        "gstreamer1.0-vaapi",
        &[
            "vaapih264dec",
            "vaapih264enc",
            "vaapih265dec",
            "vaapijpegdec",
        ],
    ),
    ("gstreamer1.0-nice", &["nicesink", "nicesrc"]),
];

/// The Debian package that holds `element`, if known.
pub(super) fn package_of(element: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(_, elements)| elements.contains(&element))
        .map(|(package, _)| *package)
}

/// What to do about missing elements: one command that installs all their packages.
pub(super) fn remedy<'e>(missing: impl IntoIterator<Item = &'e str>) -> String {
    let mut packages = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for element in missing {
        match package_of(element) {
            Some(package) => packages.insert(package),
            None => unknown.insert(element),
        };
    }
    let mut remedy = String::new();
    if !packages.is_empty() {
        let packages: Vec<&str> = packages.into_iter().collect();
        remedy = format!("apt-get install {}", packages.join(" "));
    }
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        let joint = if remedy.is_empty() { "" } else { "; " };
        remedy = format!(
            "{remedy}{joint}install the plugin with {}",
            unknown.join(", ")
        );
    }
    remedy
}

/// The elements a pipeline text names, in their order, each once.
///
/// A word without `=`, `/`, `.` and placeholder is an element; so is the value of a
/// `…-factory=` property. Comments and quoted values are skipped.
pub(super) fn elements_in(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let body: String = lines.collect::<Vec<_>>().join(" ");
    // Every second piece lies between quotes.
    let bare: String = body.split('"').step_by(2).collect::<Vec<_>>().join("_=_");
    let mut elements: Vec<String> = Vec::new();
    for word in bare.split_whitespace() {
        let name = match word.split_once('=') {
            Some((key, value)) if key.ends_with("-factory") => value,
            Some(_) => continue,
            None => word,
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if is_name && !elements.iter().any(|known| known == name) {
            elements.push(name.to_owned());
        }
    }
    elements
}

/// One row of `codecs.txt`: codec, what, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodecRow<'t> {
    pub(super) codec: &'t str,
    pub(super) what: &'t str,
    pub(super) text: &'t str,
}

/// The rows of `codecs.txt`.
pub(super) fn codec_rows(text: &str) -> impl Iterator<Item = CodecRow<'_>> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let (codec, rest) = line.split_once(char::is_whitespace)?;
            let (what, text) = rest.trim_start().split_once(char::is_whitespace)?;
            let text = text.trim();
            Some(CodecRow { codec, what, text })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn elements_are_read_out_of_a_pipeline() {
        let text = "# fakesrc ! not this\n{depay} tee name=encoded allow=true\n\
            ! queue name=decode max-size-time=0 ! {decoder}\n  ! video/x-raw,format=I420;video/x-raw\n\
            ! splitmuxsink muxer-factory=mp4mux muxer-properties=\"properties,a=1 b c\" encoded. ! queue\n\
            ! appsink name=frames";
        assert_eq!(
            elements_in(text),
            ["tee", "queue", "splitmuxsink", "mp4mux", "appsink"]
        );
    }

    #[test]
    fn one_command_installs_every_missing_package() {
        assert_eq!(
            remedy(["x264enc", "rtspsrc", "qtdemux"]),
            "apt-get install gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
        );
        assert_eq!(remedy(["warpdrive"]), "install the plugin with warpdrive");
    }

    #[test]
    fn every_element_of_ours_has_a_package() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("SKIPPED: no pipelines/ here");
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let mut elements = Vec::new();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("gst") => elements = elements_in(&text),
                Some("txt") => {
                    for row in codec_rows(&text).filter(|row| !["caps", "rtp"].contains(&row.what))
                    {
                        elements.extend(elements_in(row.text));
                    }
                }
                _ => {}
            }
            for element in elements {
                assert!(
                    package_of(&element).is_some(),
                    "{element} in {}",
                    path.display()
                );
            }
        }
    }
}
