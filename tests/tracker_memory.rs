//! What the tracker allocates: nothing, once it has seen as many objects before.

use std::alloc::System;

use gantryd::base::{BBox, ClassId, Detection, Pts};
use gantryd::perception::track::{Step, TrackOptions, Tracker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A hundred objects in rows that walk to and fro, a few of them unseen in each frame.
fn crowd(frame: u32) -> Vec<Detection> {
    let walked = 40.0 * (frame as f32 / 15.0).sin();
    (0..100u16)
        .filter(|number| !(u32::from(*number) + frame).is_multiple_of(17))
        .filter_map(|number| {
            let (column, row) = (f32::from(number % 10), f32::from(number / 10));
            let (cx, cy) = (100.0 + 180.0 * column + walked, 60.0 + 100.0 * row);
            Some(Detection {
                bbox: BBox::from_cxcywh(cx, cy, 40.0, 90.0)?,
                class: ClassId(number % 3),
                confidence: 0.4 + 0.5 * f32::from(number % 7) / 6.0,
                embedding: None,
            })
        })
        .collect()
}

#[test]
fn the_steady_state_allocates_nothing() {
    let frames: Vec<_> = (0..300).map(crowd).collect();
    let mut tracker = Tracker::new(TrackOptions::default());
    let mut step = Step::default();
    let mut show = |number: usize| {
        let pts = Pts(number as u64 * 33_333_333);
        tracker.step_into(&frames[number], pts, &mut step);
        step.tracks.len()
    };
    let shown = (0..100).map(&mut show).last();
    assert!(shown > Some(50), "{shown:?}");
    let region = Region::new(COUNTED);
    for number in 100..300 {
        show(number);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
