//! Drawing, judged by the pixels it leaves.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::{
    BBox, CameraId, ClassId, ColorMatrix, ColorRange, FrameMeta, FrameSeq, Pts, RunId, Size,
    Timings, TrackId, UtcSource,
};

/// Value of bytes that are no picture.
const OUTSIDE: u8 = 77;

/// Grey planes with bytes of no picture behind each row.
struct Picture {
    size: Size,
    interleaved: bool,
    strides: [usize; 2],
    planes: [Vec<u8>; 3],
}

impl Picture {
    fn new(width: u32, height: u32, interleaved: bool, padding: usize) -> Self {
        let (w, h) = (width as usize, height as usize);
        let chroma_row = w.div_ceil(2) * if interleaved { 2 } else { 1 };
        let plane = |row: usize, rows: usize| {
            let mut line = vec![128; row];
            line.resize(row + padding, OUTSIDE);
            line.repeat(rows)
        };
        Self {
            size: Size { width, height },
            interleaved,
            strides: [w + padding, chroma_row + padding],
            planes: [
                plane(w, h),
                plane(chroma_row, h.div_ceil(2)),
                plane(chroma_row, h.div_ceil(2)),
            ],
        }
    }

    fn draw(&mut self, annotator: &mut Annotator, result: &FrameResult) {
        let [luma, first, second] = &mut self.planes;
        let chroma = PlaneMut {
            data: first,
            stride: self.strides[1],
        };
        let chroma = if self.interleaved {
            Chroma::Interleaved(chroma)
        } else {
            let second = PlaneMut {
                data: second,
                stride: self.strides[1],
            };
            Chroma::Planar(chroma, second)
        };
        let luma = PlaneMut {
            data: luma,
            stride: self.strides[0],
        };
        let (matrix, range) = (ColorMatrix::Bt709, ColorRange::Limited);
        let mut canvas = Canvas::new(self.size, matrix, range, luma, chroma);
        annotator.draw(&mut canvas, result);
    }

    fn luma(&self, x: usize, y: usize) -> u8 {
        self.planes[0][y * self.strides[0] + x]
    }

    /// (U, V) of a chroma sample.
    fn chroma(&self, x: usize, y: usize) -> (u8, u8) {
        let row = y * self.strides[1];
        if self.interleaved {
            (self.planes[1][row + x * 2], self.planes[1][row + x * 2 + 1])
        } else {
            (self.planes[1][row + x], self.planes[2][row + x])
        }
    }

    fn is_untouched(&self) -> bool {
        self.planes
            .iter()
            .flatten()
            .all(|&byte| byte == 128 || byte == OUTSIDE)
    }

    fn outside_is_untouched(&self) -> bool {
        let padding = self.strides[0] - self.size.width as usize;
        let strides = [self.strides[0], self.strides[1], self.strides[1]];
        self.planes.iter().zip(strides).all(|(plane, stride)| {
            plane
                .chunks(stride)
                .all(|row| row[stride - padding..].iter().all(|&byte| byte == OUTSIDE))
        })
    }
}

fn plain() -> Annotator {
    let options = AnnotateOptions {
        trail: Duration::ZERO,
        header: false,
    };
    Annotator::new(options, ["car".to_owned()].into())
}

fn track(id: u64, ltrb: [f32; 4], state: TrackState) -> TrackSnapshot {
    let [left, top, right, bottom] = ltrb;
    TrackSnapshot {
        id: TrackId(id),
        class: ClassId(0),
        class_share: 1.0,
        confidence: 0.87,
        bbox: BBox::from_ltrb(left, top, right, bottom).unwrap(),
        velocity: [0.0; 2],
        state,
        first_seen: Pts(0),
        last_seen: Pts(0),
        is_presumed: false,
        before_run: std::time::Duration::ZERO,
    }
}

fn result(pts: u64, tracks: Vec<TrackSnapshot>) -> FrameResult {
    FrameResult {
        meta: FrameMeta {
            camera: CameraId::new("gate"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(pts),
            utc: None,
            utc_source: UtcSource::Unknown,
            size: Size {
                width: 640,
                height: 360,
            },
        },
        is_detected: true,
        detections: 0,
        tracks,
        ended: Vec::new(),
        counts: None,
        decisions: None,
        private: Vec::new(),
        timings: Timings::default(),
        frame: None,
    }
}

#[test]
fn a_box_line_lies_inside_the_box_with_a_dark_outline_around_it() {
    let mut picture = Picture::new(640, 360, true, 0);
    let tracks = vec![track(
        1,
        [100.0, 100.0, 200.0, 200.0],
        TrackState::Confirmed,
    )];
    picture.draw(&mut plain(), &result(0, tracks));
    // 360 rows: lines are 2 px wide, the outline 1 px.
    let across: Vec<u8> = (97..104).map(|x| picture.luma(x, 150)).collect();
    let line = across[3];
    assert_ne!(line, 128);
    assert_eq!(across, [128, 128, across[2], line, line, 128, 128]);
    assert!(across[2] < 100, "the outline is dark: {across:?}");
    assert_eq!(picture.luma(199, 150), line);
    assert_eq!(picture.luma(150, 199), line);
    assert_eq!(picture.luma(150, 150), 128, "the inside stays free");
    assert_ne!(picture.chroma(50, 75), (128, 128));
    assert_eq!(picture.chroma(60, 75), (128, 128));
}

#[test]
fn nv12_and_i420_show_the_same_picture() {
    let tracks = vec![
        track(1, [33.0, 41.0, 150.0, 99.0], TrackState::Confirmed),
        track(2, [200.0, 50.0, 301.0, 177.0], TrackState::Coasting),
    ];
    let result = result(0, tracks);
    let mut nv12 = Picture::new(401, 225, true, 7);
    let mut i420 = Picture::new(401, 225, false, 7);
    nv12.draw(&mut plain(), &result);
    i420.draw(&mut plain(), &result);
    assert_eq!(nv12.planes[0], i420.planes[0]);
    for y in 0..113 {
        for x in 0..201 {
            assert_eq!(nv12.chroma(x, y), i420.chroma(x, y), "({x}, {y})");
        }
    }
}

#[test]
fn tentative_tracks_are_not_drawn() {
    let mut picture = Picture::new(640, 360, true, 0);
    let tracks = vec![track(
        1,
        [100.0, 100.0, 200.0, 200.0],
        TrackState::Tentative,
    )];
    picture.draw(&mut plain(), &result(0, tracks));
    assert!(picture.is_untouched());
}

#[test]
fn a_coasting_box_is_dashed() {
    let mut picture = Picture::new(640, 360, true, 0);
    let tracks = vec![track(1, [100.0, 100.0, 300.0, 200.0], TrackState::Coasting)];
    picture.draw(&mut plain(), &result(0, tracks));
    let painted = (100..300).filter(|&x| picture.luma(x, 199) != 128).count();
    // Dashes of 3 line widths, gaps as long.
    assert!((90..=110).contains(&painted), "{painted} of 200");
}

#[test]
fn a_label_above_the_picture_moves_to_where_it_can_be_read() {
    let mut picture = Picture::new(640, 360, true, 0);
    let tracks = vec![track(1, [100.0, 0.0, 110.0, 360.0], TrackState::Confirmed)];
    picture.draw(&mut plain(), &result(0, tracks));
    // Wider than the box: to the right of it only a label can have painted.
    let painted = (0..360).filter(|&y| picture.luma(130, y) != 128).count();
    assert!(painted >= 10, "{painted}");
}

#[test]
fn labels_of_close_objects_do_not_cover_each_other() {
    let one = track(1, [100.0, 100.0, 120.0, 120.0], TrackState::Confirmed);
    let two = track(2, [108.0, 103.0, 130.0, 122.0], TrackState::Confirmed);
    let painted = |tracks: Vec<TrackSnapshot>| {
        let mut picture = Picture::new(640, 360, true, 0);
        picture.draw(&mut plain(), &result(0, tracks));
        // To the right of both boxes, where only labels are.
        (0..360).filter(|&y| picture.luma(140, y) != 128).count()
    };
    let single = painted(vec![one]);
    assert!(single > 0);
    assert_eq!(painted(vec![one, two]), 2 * single);
}

#[test]
fn a_trail_leads_to_the_object_and_ends_with_it() {
    let options = AnnotateOptions {
        trail: Duration::from_secs(2),
        header: false,
    };
    let mut annotator = Annotator::new(options, [].into());
    let at = |left: f32| track(1, [left, 100.0, left + 20.0, 140.0], TrackState::Confirmed);
    let mut last = result(0, Vec::new());
    for step in 0..20u64 {
        last = result(step * 50_000_000, vec![at(100.0 + step as f32 * 10.0)]);
        annotator.observe(&last);
    }
    let mut picture = Picture::new(640, 360, true, 0);
    picture.draw(&mut annotator, &last);
    // Bottom centre went from (110, 140) to (300, 140).
    assert_ne!(picture.luma(200, 140), 128);
    assert_eq!(picture.luma(90, 140), 128);
    assert_eq!(picture.luma(320, 140), 128);

    annotator.observe(&result(1_000_000_000, Vec::new()));
    let mut picture = Picture::new(640, 360, true, 0);
    picture.draw(&mut annotator, &last);
    assert_eq!(
        picture.luma(200, 140),
        128,
        "forgotten when the track was gone"
    );
}

#[test]
fn the_colour_of_an_id_never_changes_and_neighbours_differ() {
    let color = |id| {
        let mut picture = Picture::new(64, 64, true, 0);
        let tracks = vec![track(id, [0.0, 0.0, 64.0, 64.0], TrackState::Confirmed)];
        picture.draw(&mut plain(), &result(0, tracks));
        (picture.luma(0, 63), picture.chroma(0, 31))
    };
    assert_eq!(color(7), color(7));
    for id in 1..20 {
        assert_ne!(color(id), color(id + 1));
    }
}

#[test]
fn an_8k_picture_and_names_of_any_script_are_drawn() {
    let names = ["自動車 🚗 ذو عجلات very long name that goes on and on".to_owned()];
    let mut annotator = Annotator::new(AnnotateOptions::default(), names.into());
    let mut picture = Picture::new(7680, 4320, false, 0);
    let tracks = vec![track(
        u64::MAX,
        [7000.0, 4000.0, 9e9, 9e9],
        TrackState::Confirmed,
    )];
    picture.draw(&mut annotator, &result(0, tracks));
    assert!(!picture.is_untouched());
}

fn any_track() -> impl Strategy<Value = TrackSnapshot> {
    let edge = || prop_oneof![-50f32..400.0, -1e9f32..1e9, Just(0.0f32)];
    let state = prop_oneof![Just(TrackState::Confirmed), Just(TrackState::Coasting)];
    (any::<u64>(), edge(), edge(), edge(), edge(), state).prop_filter_map(
        "no box",
        |(id, left, top, right, bottom, state)| {
            BBox::from_ltrb(left, top, right, bottom)?;
            Some(track(id, [left, top, right, bottom], state))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_is_drawn_outside_the_picture(
        width in 1u32..330,
        height in 1u32..250,
        padding in 0usize..9,
        interleaved: bool,
        tracks in prop::collection::vec(any_track(), 0..6),
        next in prop::collection::vec(any_track(), 0..6),
    ) {
        let mut annotator = Annotator::new(AnnotateOptions::default(), [].into());
        let mut second = tracks.clone();
        for (track, place) in second.iter_mut().zip(&next) {
            track.bbox = place.bbox;
        }
        annotator.observe(&result(0, tracks));
        let last = result(300_000_000, second);
        annotator.observe(&last);
        let mut picture = Picture::new(width, height, interleaved, padding);
        picture.draw(&mut annotator, &last);
        prop_assert!(picture.outside_is_untouched());
    }
}
