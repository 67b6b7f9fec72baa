//! Frames → JPEG files, on a thread of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use tracing::warn;

use super::desk::Job;
use super::{SnapshotDesk, SnapshotOptions};
use crate::base::{BBox, ClipLoss, DiskRoom, Metrics, Size};
use crate::sinks::web::{RgbPicture, rgb_of};

/// Encodes and writes the pictures of all cameras.
#[derive(Debug)]
pub struct SnapshotWriter {
    desk: Arc<SnapshotDesk>,
    jobs: Receiver<Job>,
    is_failing: bool,
}

impl SnapshotWriter {
    /// A writer and the desk that gives it work.
    #[must_use]
    pub fn new(
        options: SnapshotOptions,
        room: Arc<DiskRoom>,
        metrics: Arc<Metrics>,
    ) -> (Self, Arc<SnapshotDesk>) {
        let (desk, jobs) = SnapshotDesk::new(options, room, metrics);
        let writer = Self {
            desk: Arc::clone(&desk),
            jobs,
            is_failing: false,
        };
        (writer, desk)
    }

    /// Works until the desk is closed and everything is done.
    pub fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            let camera = &job.result.meta.camera;
            match self.make(&job) {
                Ok(()) => {
                    self.desk.metrics.clips().snapshot_made(camera);
                    self.is_failing = false;
                }
                Err(error) => {
                    let loss = ClipLoss::Failed;
                    self.desk.metrics.clips().snapshot_missing(camera, loss);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        warn!(%camera, error, "the picture of an event is lost; further ones are only counted");
                    }
                }
            }
        }
    }

    fn make(&self, job: &Job) -> Result<(), String> {
        let frame = job
            .result
            .frame
            .as_ref()
            .ok_or("the frame has no picture")?;
        let picture = rgb_of(frame, &job.result, job.hidden.as_deref())?;
        self.write(job, &job.pictured.frame, &picture.jpeg()?)?;
        if let (Some(name), Some(bbox)) = (&job.pictured.object, job.object) {
            let part = surroundings(bbox, self.desk.options.margin, frame.meta.size);
            self.write(job, name, &cut(&picture, part).jpeg()?)?;
        }
        Ok(())
    }

    /// Whole or not at all.
    fn write(&self, job: &Job, name: &str, jpeg: &[u8]) -> Result<(), String> {
        let path = self.desk.path_of(&job.result.meta.camera, name);
        write_whole(&path, jpeg).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // One name for all: what a crash leaves is written over by the next.
    let part = path.with_file_name(".snapshot.part");
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // Half a picture is none; that it cannot be removed hurts nobody.
        drop(std::fs::remove_file(part));
    }
    written
}

/// Left, top, right and bottom of the part of a frame that shows a box and `margin` of its size on
/// each side, px; never empty.
fn surroundings(bbox: BBox, margin: f32, size: Size) -> [u32; 4] {
    let (dx, dy) = (bbox.width() * margin, bbox.height() * margin);
    let within = |edge: f32, most: u32| (edge.max(0.0) as u32).min(most);
    let left = within((bbox.left() - dx).floor(), size.width.saturating_sub(1));
    let top = within((bbox.top() - dy).floor(), size.height.saturating_sub(1));
    let right = within((bbox.right() + dx).ceil(), size.width).max(left + 1);
    let bottom = within((bbox.bottom() + dy).ceil(), size.height).max(top + 1);
    [left, top, right, bottom]
}

fn cut(picture: &RgbPicture, [left, top, right, bottom]: [u32; 4]) -> RgbPicture {
    let row = picture.width as usize * 3;
    let (from, to) = (left as usize * 3, right as usize * 3);
    let rows = picture.rgb.chunks_exact(row);
    let rows = rows.skip(top as usize).take((bottom - top) as usize);
    RgbPicture {
        width: right - left,
        height: bottom - top,
        rgb: rows.flat_map(|row| &row[from..to]).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 100,
        height: 50,
    };

    #[test]
    fn the_surroundings_stay_within_the_frame() {
        let part = |l, t, r, b| surroundings(BBox::from_ltrb(l, t, r, b).unwrap(), 0.5, SIZE);
        assert_eq!(part(40.0, 20.0, 60.0, 30.0), [30, 15, 70, 35]);
        assert_eq!(part(-10.0, 40.0, 10.0, 60.0), [0, 30, 20, 50]);
        assert_eq!(part(120.0, 60.0, 130.0, 70.0), [99, 49, 100, 50]);
    }

    #[test]
    fn a_part_is_cut_out_row_by_row() {
        let rgb = (0..4 * 3 * 3).collect();
        let picture = RgbPicture {
            width: 4,
            height: 3,
            rgb,
        };
        let part = cut(&picture, [1, 1, 3, 3]);
        assert_eq!((part.width, part.height), (2, 2));
        assert_eq!(part.rgb, [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32]);
    }
}
