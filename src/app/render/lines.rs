//! Result lines as something that can be asked what was where at any moment of the film.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::error::RenderError;
use crate::base::{
    BBox, CameraId, ClassId, Frame, FrameMeta, FrameResult, Pts, Timings, TrackId, TrackSnapshot,
    TrackState, UtcNanos, UtcSource,
};

/// A frame and a line are the same moment if they are no further apart: MP4 rounds times.
const SAME_NS: u64 = 2_000_000;

/// Between two lines further apart than this nothing is known.
const LONGEST_GAP_NS: u64 = 1_000_000_000;

#[derive(Debug, Deserialize)]
struct Line {
    r#type: String,
    #[serde(default)]
    camera: String,
    #[serde(default)]
    run: u32,
    #[serde(default)]
    pts_ns: u64,
    utc: Option<String>,
    #[serde(default)]
    tracks: Vec<TrackLine>,
    segment_pts_ns: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct TrackLine {
    id: u64,
    class: String,
    confidence: f32,
    box_px: [f32; 4],
    velocity_px_s: [f32; 2],
    state: String,
    #[serde(default)]
    presumed: bool,
    age_ns: u64,
    unseen_ns: u64,
}

/// What was where at one moment.
#[derive(Debug, Clone)]
struct Moment {
    /// Time in the film, ns.
    pts_ns: u64,
    utc: Option<UtcNanos>,
    /// In id order.
    tracks: Vec<TrackSnapshot>,
}

/// What was where in a film.
#[derive(Debug)]
pub(super) struct Lines {
    camera: String,
    classes: Vec<String>,
    /// In order of time.
    moments: Vec<Moment>,
}

impl Lines {
    /// The lines in `path`, which are about `video`.
    ///
    /// # Errors
    /// [`RenderError`] if there are none, or one is no result line.
    pub fn read(path: &Path, video: &Path) -> Result<Self, RenderError> {
        let text = fs::read_to_string(path).map_err(|source| {
            let (path, video) = (path.to_owned(), video.to_owned());
            match source.kind() {
                std::io::ErrorKind::NotFound => RenderError::NoLines { path, video },
                _ => RenderError::Read { path, source },
            }
        })?;
        let mut lines = Self {
            camera: String::new(),
            classes: Vec::new(),
            moments: Vec::new(),
        };
        let mut first_run = None;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            let line: Line = serde_json::from_str(line).map_err(|error| RenderError::Line {
                path: path.to_owned(),
                line: index + 1,
                fault: error.to_string(),
            })?;
            // Without its place in the film a line is one of `gantryd track`, whose film is the first run.
            let is_told = line.segment_pts_ns.is_some();
            let run = *first_run.get_or_insert(line.run);
            if line.r#type == "frame" && (is_told || line.run == run) {
                lines.add(line);
            }
        }
        if lines.moments.is_empty() {
            return Err(RenderError::NoFrames {
                path: path.to_owned(),
            });
        }
        lines.moments.sort_by_key(|moment| moment.pts_ns);
        Ok(lines)
    }

    fn add(&mut self, line: Line) {
        let pts_ns = line.segment_pts_ns.unwrap_or(line.pts_ns);
        let utc = line
            .utc
            .and_then(|utc| utc.parse::<jiff::Timestamp>().ok())
            .and_then(|utc| i64::try_from(utc.as_nanosecond()).ok());
        let tracks = line.tracks.into_iter();
        let moment = Moment {
            pts_ns,
            utc: utc.map(UtcNanos),
            tracks: tracks.filter_map(|it| self.track(it, pts_ns)).collect(),
        };
        self.moments.push(moment);
        self.camera = line.camera;
    }

    /// Boxes are input: one that is none is left out.
    fn track(&mut self, line: TrackLine, pts_ns: u64) -> Option<TrackSnapshot> {
        let known = self.classes.iter().position(|name| *name == line.class);
        let class = known.unwrap_or_else(|| {
            self.classes.push(line.class);
            self.classes.len() - 1
        });
        let [left, top, right, bottom] = line.box_px;
        Some(TrackSnapshot {
            id: TrackId(line.id),
            class: ClassId(u16::try_from(class).ok()?),
            class_share: 1.0,
            confidence: line.confidence,
            bbox: BBox::from_ltrb(left, top, right, bottom)?,
            velocity: line.velocity_px_s,
            state: match line.state.as_str() {
                "coasting" => TrackState::Coasting,
                "tentative" => TrackState::Tentative,
                _ => TrackState::Confirmed,
            },
            first_seen: Pts(pts_ns.saturating_sub(line.age_ns)),
            last_seen: Pts(pts_ns.saturating_sub(line.unseen_ns)),
            is_presumed: line.presumed,
            before_run: std::time::Duration::ZERO,
        })
    }

    /// The camera of the lines.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    /// Names of the classes, by [`ClassId`].
    pub fn classes(&self) -> Arc<[String]> {
        Arc::from(self.classes.as_slice())
    }

    /// What is known of a frame of the film, with its picture.
    pub fn result_at(&self, frame: &Arc<Frame>, camera: &CameraId) -> FrameResult {
        let moment = self.at(frame.meta.pts.0);
        FrameResult {
            meta: FrameMeta {
                camera: camera.clone(),
                utc: moment.utc,
                utc_source: UtcSource::Media,
                ..frame.meta.clone()
            },
            is_detected: true,
            detections: 0,
            tracks: moment.tracks,
            ended: Vec::new(),
            counts: None,
            decisions: None,
            private: Vec::new(),
            timings: Timings::default(),
            frame: Some(Arc::clone(frame)),
        }
    }

    /// What was where at a time of the film: as a line says, else between two lines.
    fn at(&self, pts_ns: u64) -> Moment {
        let after = self.moments.partition_point(|it| it.pts_ns < pts_ns);
        let (before, after) = (
            after.checked_sub(1).and_then(|it| self.moments.get(it)),
            self.moments.get(after),
        );
        let near = [before, after]
            .into_iter()
            .flatten()
            .min_by_key(|it| it.pts_ns.abs_diff(pts_ns));
        if let Some(near) = near.filter(|it| it.pts_ns.abs_diff(pts_ns) <= SAME_NS) {
            return near.clone();
        }
        let shifted = |from: &Moment| {
            let by = i128::from(pts_ns) - i128::from(from.pts_ns);
            let utc = i64::try_from(i128::from(from.utc?.0) + by).ok()?;
            Some(UtcNanos(utc))
        };
        let mut moment = Moment {
            pts_ns,
            utc: near.and_then(shifted),
            tracks: Vec::new(),
        };
        if let (Some(before), Some(after)) = (before, after)
            && after.pts_ns - before.pts_ns <= LONGEST_GAP_NS
        {
            let share =
                (pts_ns - before.pts_ns) as f64 / (after.pts_ns - before.pts_ns).max(1) as f64;
            let tracks = before.tracks.iter().filter_map(|track| {
                let later = after.tracks.iter().find(|it| it.id == track.id)?;
                between(track, later, share as f32)
            });
            moment.tracks = tracks.collect();
        }
        moment
    }
}

/// A track on its way from one place to another, `share` of it done.
fn between(from: &TrackSnapshot, to: &TrackSnapshot, share: f32) -> Option<TrackSnapshot> {
    let mix = |a: f32, b: f32| a + (b - a) * share;
    let (a, b) = (&from.bbox, &to.bbox);
    let bbox = BBox::from_ltrb(
        mix(a.left(), b.left()),
        mix(a.top(), b.top()),
        mix(a.right(), b.right()),
        mix(a.bottom(), b.bottom()),
    )?;
    Some(TrackSnapshot { bbox, ..*from })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pts_ns: u64, id: u64, left: f32) -> String {
        format!(
            "{{\"schema\":\"gantryd.result.v1\",\"type\":\"frame\",\"camera\":\"gate\",\"run\":1,\
             \"seq\":0,\"pts_ns\":7,\"utc\":\"2023-11-14T22:13:20.000000000Z\",\"tracks\":[{{\"id\":{id},\
             \"class\":\"car\",\"confidence\":0.5,\"box_px\":[{left},0.0,{},10.0],\
             \"velocity_px_s\":[0.0,0.0],\"state\":\"confirmed\",\"age_ns\":0,\"unseen_ns\":0}}],\
             \"segment_pts_ns\":{pts_ns}}}\n",
            left + 10.0
        )
    }

    fn read(text: &str) -> Result<Lines, RenderError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, text).unwrap();
        Lines::read(&path, Path::new("a.mp4"))
    }

    #[test]
    fn between_two_lines_a_box_moves_evenly() {
        let ms = 1_000_000;
        let text = line(0, 7, 100.0) + &line(100 * ms, 7, 200.0) + &line(2000 * ms, 7, 0.0);
        let lines = read(&text).unwrap();
        let left = |pts_ns| {
            let tracks = lines.at(pts_ns).tracks;
            tracks.first().map(|track| track.bbox.left())
        };
        assert_eq!(left(ms), Some(100.0), "a time that MP4 has rounded");
        assert_eq!(left(25 * ms), Some(125.0));
        assert_eq!(left(100 * ms), Some(200.0));
        assert_eq!(left(1000 * ms), None, "nothing is known in a long gap");
        assert_eq!(left(2010 * ms), None, "nor after the last line");
        // 22:13:20 and 25 ms.
        let utc = lines.at(25 * ms).utc.unwrap();
        assert_eq!(utc.to_string(), "2023-11-14T22:13:20.025000000Z");
    }

    #[test]
    fn an_object_that_is_in_one_line_alone_is_in_between_in_none() {
        let lines = read(&(line(0, 7, 0.0) + &line(100_000_000, 8, 0.0))).unwrap();
        assert!(lines.at(50_000_000).tracks.is_empty());
        assert_eq!(&*lines.classes(), ["car"]);
    }

    #[test]
    fn what_is_no_result_line_is_named_with_its_place() {
        let error = read(&(line(0, 7, 0.0) + "{\"type\":\n")).unwrap_err();
        assert!(error.to_string().contains("a.jsonl:2: no result line"));
        let error = read("").unwrap_err().to_string();
        assert!(error.contains("no frame in it"), "{error}");
        let missing = Lines::read(Path::new("/nowhere.jsonl"), Path::new("a.mp4"));
        let error = missing.unwrap_err().to_string();
        assert!(error.contains("--lines"), "{error}");
    }
}
