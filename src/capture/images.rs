//! A folder of pictures as a source: which files, in which order, at which rate.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;

use super::CaptureError;

/// Rate of a folder without `seqinfo.ini`, frames per second.
const DEFAULT_RATE: f64 = 25.0;

/// The pictures of a folder in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ImageList {
    pub files: Vec<PathBuf>,
    /// Media type of all of them.
    pub media: &'static str,
    /// Frames per second.
    pub rate: f64,
}

impl ImageList {
    /// Lists `folder`. Its rate is `frameRate` of `seqinfo.ini` (MOTChallenge) beside the
    /// pictures or one folder above.
    ///
    /// # Errors
    /// [`CaptureError::Unreadable`] if it cannot be listed, holds no picture, or mixes kinds.
    pub fn of_folder(folder: &Path) -> Result<Self, CaptureError> {
        let fault = |reason: String| CaptureError::Unreadable {
            path: folder.to_owned(),
            reason,
        };
        let entries = std::fs::read_dir(folder).map_err(|error| fault(describe(&error)))?;
        let mut found: Vec<(PathBuf, &'static str)> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter_map(|path| media_of(&path).map(|media| (path, media)))
            .collect();
        found.sort();
        let Some(media) = found.first().map(|(_, media)| *media) else {
            return Err(fault("no jpg or png picture in this folder".to_owned()));
        };
        if found.iter().any(|(_, other)| *other != media) {
            return Err(fault(
                "holds both jpg and png pictures; one kind is needed".to_owned(),
            ));
        }
        Ok(Self {
            files: found.into_iter().map(|(path, _)| path).collect(),
            media,
            rate: rate_of(folder).unwrap_or(DEFAULT_RATE),
        })
    }

    /// Feeds the pictures to `source`, one whenever it asks.
    pub fn feed(self, source: &gst_app::AppSrc) {
        let caps = gst::Caps::builder(self.media)
            .field(
                "framerate",
                gst::Fraction::approximate_f64(self.rate).unwrap_or(gst::Fraction::new(25, 1)),
            )
            .build();
        source.set_caps(Some(&caps));
        let next = Mutex::new(0usize);
        let callbacks = gst_app::AppSrcCallbacks::builder()
            .need_data(move |source, _| {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                self.push(*next, source);
                *next += 1;
            })
            .build();
        source.set_callbacks(callbacks);
    }

    fn push(&self, index: usize, source: &gst_app::AppSrc) {
        let Some(path) = self.files.get(index) else {
            // Refused only if the pipeline is being shut down.
            source.end_of_stream().ok();
            return;
        };
        match std::fs::read(path) {
            Ok(bytes) => {
                let time = |index: usize| {
                    gst::ClockTime::from_nseconds((index as f64 * 1e9 / self.rate).round() as u64)
                };
                let mut buffer = gst::Buffer::from_mut_slice(bytes);
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(time(index));
                    buffer.set_duration(time(index + 1).saturating_sub(time(index)));
                }
                source.push_buffer(buffer).ok();
            }
            Err(error) => gst::element_error!(
                source,
                gst::ResourceError::Read,
                ("{}: {}", path.display(), describe(&error))
            ),
        }
    }
}

/// The words for an I/O error of a file.
pub(super) fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn media_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        _ => None,
    }
}

fn rate_of(folder: &Path) -> Option<f64> {
    let beside = folder.join("seqinfo.ini");
    let above = folder.parent().map(|parent| parent.join("seqinfo.ini"));
    let text = std::fs::read_to_string(beside)
        .ok()
        .or_else(|| std::fs::read_to_string(above?).ok())?;
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("framerate"))
        .and_then(|(_, value)| value.trim().parse::<f64>().ok())
        .filter(|rate| rate.is_finite() && *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_in_name_order_at_the_rate_of_seqinfo() {
        let sequence = tempfile::tempdir().unwrap();
        let folder = sequence.path().join("img1");
        std::fs::create_dir(&folder).unwrap();
        for name in ["000010.jpg", "000002.JPG", "notes.txt"] {
            std::fs::write(folder.join(name), b"").unwrap();
        }
        std::fs::write(
            sequence.path().join("seqinfo.ini"),
            "[Sequence]\nname=x\nframeRate=14\n",
        )
        .unwrap();
        let list = ImageList::of_folder(&folder).unwrap();
        assert_eq!(
            list.files,
            [folder.join("000002.JPG"), folder.join("000010.jpg")]
        );
        assert!((list.rate - 14.0).abs() < 1e-9);
        assert_eq!(list.media, "image/jpeg");
    }

    #[test]
    fn a_folder_without_pictures_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = ImageList::of_folder(folder.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("no jpg or png picture in this folder")
        );
    }
}
