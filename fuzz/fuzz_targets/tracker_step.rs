//! Whatever detections and times come, the tracker keeps its promises.
//!
//! `cargo +nightly fuzz run tracker_step -- -max_total_time=60`

#![no_main]

use std::collections::BTreeSet;

use gantryd::base::{BBox, ClassId, Detection, Pts};
use gantryd::perception::track::{CameraWarp, TrackOptions, Tracker};
use libfuzzer_sys::fuzz_target;

/// Bytes as numbers, zeros after their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let count = N.min(self.0.len());
        let (head, rest) = self.0.split_at(count);
        taken[..count].copy_from_slice(head);
        self.0 = rest;
        taken
    }

    /// Any bits: NaN, infinities and denormals too.
    fn any(&mut self) -> f32 {
        f32::from_le_bytes(self.take())
    }

    /// A number as pictures have them, else anything.
    fn pixel(&mut self) -> f32 {
        let [kind, low, high] = self.take();
        if kind < 200 {
            f32::from(u16::from_le_bytes([low, high])) / 16.0
        } else {
            self.any()
        }
    }

    fn detection(&mut self) -> Option<Detection> {
        let (left, top) = (self.pixel(), self.pixel());
        let (right, bottom) = (left + self.pixel(), top + self.pixel());
        let [kind, score, class] = self.take();
        Some(Detection {
            bbox: BBox::from_ltrb(left, top, right, bottom)?,
            class: ClassId(u16::from(class)),
            confidence: if kind < 230 {
                f32::from(score) / 255.0
            } else {
                self.any()
            },
            embedding: None,
        })
    }

    /// Mostly a frame time; also standing still, going back, hours.
    fn next_time(&mut self, now: u64) -> u64 {
        let [kind, much] = self.take();
        let much = u64::from(much);
        match kind {
            0 => now,
            1 => now.saturating_sub(much * 100_000_000),
            2 => now.saturating_add(much * 600_000_000_000),
            3 => u64::from_le_bytes(self.take()),
            _ => now.saturating_add(much * 1_000_000),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let [settings] = bytes.take();
    let options = TrackOptions {
        record_decisions: settings & 1 == 1,
        max_tracks: if settings & 2 == 2 { 8 } else { 2000 },
        ..TrackOptions::default()
    };
    let max_tracks = options.max_tracks;
    let mut tracker = Tracker::new(options);
    let (mut now, mut newest) = (1_000_000_000, 0);
    let mut ended = BTreeSet::new();
    while !bytes.0.is_empty() {
        now = bytes.next_time(now);
        let [count, extra] = bytes.take();
        if extra == 7 {
            let map = [(); 6].map(|()| f64::from(bytes.any()));
            CameraWarp::new(map)
                .into_iter()
                .for_each(|warp| tracker.move_camera(warp));
        }
        let detections: Vec<Detection> =
            (0..count % 32).filter_map(|_| bytes.detection()).collect();
        let step = tracker.step(&detections, Pts(now));
        assert!(step.tracks.len() <= max_tracks);
        assert!(step.tracks.windows(2).all(|pair| pair[0].id < pair[1].id));
        for track in &step.tracks {
            assert!(!ended.contains(&track.id), "an id came back");
            assert!(track.bbox.width() > 0.0 && track.bbox.height() > 0.0);
            assert!(track.velocity.iter().all(|part| !part.is_nan()));
            newest = newest.max(track.id.0);
        }
        for track in &step.ended {
            assert!(ended.insert(track.id), "a track ended twice");
        }
        if extra == 9 {
            let over = tracker.end_run();
            assert!(over.iter().all(|track| ended.insert(track.id)));
        }
    }
    let alive = tracker.end_run();
    assert_eq!(
        ended.len() + alive.len(),
        newest as usize,
        "ids are dense and each ends once"
    );
});
