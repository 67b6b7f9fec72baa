//! Takes out what must not count and brings the rest into the form that the metrics read.

use std::collections::BTreeMap;

use super::assign::{Costs, MAX_PAIRS};
use super::{Count, EvaluateError, Rect, Role, Track, Truth, TruthBox, Whose};

/// Least IoU of a track box and a true box that are taken for the same.
pub(super) const SAME: f64 = 0.5;
/// A track box is in a region if more than this part of it is.
const INSIDE: f64 = 0.5;

/// A true box and a track box of one frame that overlap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlap {
    /// Place among the frame's true boxes.
    pub truth: usize,
    /// Place among the frame's track boxes.
    pub track: usize,
    /// IoU, above 0.
    pub iou: f64,
    /// Place of the two ids in [`Prepared::links`].
    pub link: usize,
}

/// The boxes of one frame that count. Ids are places in the lists of [`Prepared`].
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub truths: Vec<usize>,
    pub tracks: Vec<usize>,
    /// By true box, then by track box.
    pub overlaps: Vec<Overlap>,
}

/// A sequence ready to be scored.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared {
    /// Frames with any box, in order.
    pub frames: Vec<Frame>,
    /// Boxes of each true id that counts.
    pub truth_lengths: Vec<u64>,
    /// Boxes of each track that counts.
    pub track_lengths: Vec<u64>,
    /// Pairs of a true id and a track that overlap in any frame, sorted.
    pub links: Vec<(usize, usize)>,
    pub count: Count,
}

/// Takes out track boxes on ignored ones, in ignored regions and too low, then what is not counted.
pub(super) fn prepare(truth: &Truth, tracks: &[Track]) -> Result<Prepared, EvaluateError> {
    let mut costs = Costs::default();
    let mut kept = Vec::new();
    for (frame, scene) in scenes(truth, tracks) {
        scene.check(frame)?;
        kept.push(scene.kept(truth.min_height_px, &mut costs));
    }
    Ok(number(&kept, truth.frames))
}

/// Everything about one frame, in the order it was given.
#[derive(Debug, Default)]
struct Scene<'s> {
    truths: Vec<&'s TruthBox>,
    tracks: Vec<&'s Track>,
    regions: Vec<Rect>,
}

fn scenes<'s>(truth: &'s Truth, tracks: &'s [Track]) -> BTreeMap<u64, Scene<'s>> {
    let mut scenes = BTreeMap::<u64, Scene<'s>>::new();
    for bbox in &truth.boxes {
        scenes.entry(bbox.frame).or_default().truths.push(bbox);
    }
    for track in tracks {
        scenes.entry(track.frame).or_default().tracks.push(track);
    }
    for region in &truth.regions {
        if let Some(scene) = scenes.get_mut(&region.frame) {
            scene.regions.push(region.bbox);
        }
    }
    scenes
}

/// What counts of one frame, with the ids of the input.
struct Kept {
    truths: Vec<u64>,
    tracks: Vec<u64>,
    /// Places in `truths` and `tracks`, and the IoU.
    overlaps: Vec<(usize, usize, f64)>,
}

impl Scene<'_> {
    fn check(&self, frame: u64) -> Result<(), EvaluateError> {
        let (truths, tracks) = (self.truths.len(), self.tracks.len());
        if truths.saturating_mul(tracks) > MAX_PAIRS {
            return Err(EvaluateError::Crowded {
                frame,
                truths,
                tracks,
            });
        }
        let twice = |whose, mut ids: Vec<u64>| {
            ids.sort_unstable();
            let repeated = ids.windows(2).find(|pair| pair[0] == pair[1]);
            repeated.map_or(Ok(()), |pair| {
                let id = pair[0];
                Err(EvaluateError::TwiceInFrame { whose, frame, id })
            })
        };
        twice(Whose::Truth, self.truths.iter().map(|b| b.id).collect())?;
        twice(Whose::Tracks, self.tracks.iter().map(|t| t.id).collect())
    }

    fn kept(&self, min_height_px: Option<f64>, costs: &mut Costs) -> Kept {
        let removed = self.removed(min_height_px, costs);
        let truths = self
            .truths
            .iter()
            .filter(|truth| truth.role == Role::Counted);
        let tracks = self.tracks.iter().zip(&removed);
        let tracks = tracks.filter(|(_, removed)| !**removed);
        let mut kept = Kept {
            truths: truths.clone().map(|truth| truth.id).collect(),
            tracks: tracks.clone().map(|(track, _)| track.id).collect(),
            overlaps: Vec::new(),
        };
        for (row, truth) in truths.enumerate() {
            for (col, (track, _)) in tracks.clone().enumerate() {
                let iou = truth.bbox.iou(&track.bbox);
                if iou > 0.0 {
                    kept.overlaps.push((row, col, iou));
                }
            }
        }
        kept
    }

    /// Which tracks are taken out before scoring.
    fn removed(&self, min_height_px: Option<f64>, costs: &mut Costs) -> Vec<bool> {
        let mut removed = vec![false; self.tracks.len()];
        let has_ignored = self.truths.iter().any(|truth| truth.role == Role::Ignored);
        if !has_ignored && self.regions.is_empty() && min_height_px.is_none() {
            return removed;
        }
        let mut is_matched = vec![false; self.tracks.len()];
        for (truth, track) in self.matches(costs) {
            is_matched[track] = true;
            removed[track] = self.truths[truth].role == Role::Ignored;
        }
        for (index, track) in self.tracks.iter().enumerate() {
            if is_matched[index] {
                continue;
            }
            let is_low =
                min_height_px.is_some_and(|least| track.bbox.height() <= least + f64::EPSILON);
            let is_inside = self
                .regions
                .iter()
                .any(|region| track.bbox.share_inside(region) > INSIDE + f64::EPSILON);
            removed[index] = is_low || is_inside;
        }
        removed
    }

    /// Pairs of true boxes and tracks with an IoU of at least [`SAME`], of the largest sum of IoU.
    fn matches(&self, costs: &mut Costs) -> Vec<(usize, usize)> {
        costs.reset(self.truths.len(), self.tracks.len());
        for (row, truth) in self.truths.iter().enumerate() {
            for (col, track) in self.tracks.iter().enumerate() {
                let iou = truth.bbox.iou(&track.bbox);
                if iou >= SAME - f64::EPSILON {
                    costs.set(row, col, -iou);
                }
            }
        }
        let mut pairs = costs.cheapest_pairs();
        pairs.retain(|&(row, col)| costs.get(row, col) < -f64::EPSILON);
        pairs
    }
}

/// Replaces ids by places, in order of the ids.
fn number(kept: &[Kept], frames: u64) -> Prepared {
    let (truth_places, truth_lengths) = places(kept.iter().flat_map(|frame| &frame.truths));
    let (track_places, track_lengths) = places(kept.iter().flat_map(|frame| &frame.tracks));
    let mut prepared = Prepared {
        count: Count {
            frames,
            truth_boxes: truth_lengths.iter().sum(),
            truth_ids: truth_lengths.len() as u64,
            track_boxes: track_lengths.iter().sum(),
            track_ids: track_lengths.len() as u64,
        },
        truth_lengths,
        track_lengths,
        ..Prepared::default()
    };
    for frame in kept {
        let truths: Vec<_> = frame.truths.iter().map(|id| truth_places[id]).collect();
        let tracks: Vec<_> = frame.tracks.iter().map(|id| track_places[id]).collect();
        let overlaps = frame.overlaps.iter().map(|&(truth, track, iou)| {
            prepared.links.push((truths[truth], tracks[track]));
            Overlap {
                truth,
                track,
                iou,
                link: 0,
            }
        });
        prepared.frames.push(Frame {
            overlaps: overlaps.collect(),
            truths,
            tracks,
        });
    }
    prepared.links.sort_unstable();
    prepared.links.dedup();
    for frame in &mut prepared.frames {
        for overlap in &mut frame.overlaps {
            let ids = (frame.truths[overlap.truth], frame.tracks[overlap.track]);
            overlap.link = prepared.links.partition_point(|link| *link < ids);
        }
    }
    prepared
}

/// The place of each id in the order of ids, and how often each occurs.
fn places<'i>(ids: impl Iterator<Item = &'i u64>) -> (BTreeMap<u64, usize>, Vec<u64>) {
    let mut counts = BTreeMap::<u64, u64>::new();
    for id in ids {
        *counts.entry(*id).or_default() += 1;
    }
    let lengths = counts.values().copied().collect();
    let places = counts.into_keys().enumerate();
    (places.map(|(place, id)| (id, place)).collect(), lengths)
}

impl Frame {
    /// The overlaps of those `pairs` (true box, track box; sorted) that overlap at all.
    pub fn matched<'f>(&'f self, pairs: &'f [(usize, usize)]) -> impl Iterator<Item = &'f Overlap> {
        pairs.iter().filter_map(|pair| {
            let key = |overlap: &Overlap| (overlap.truth, overlap.track);
            let place = self.overlaps.binary_search_by_key(pair, key).ok()?;
            Some(&self.overlaps[place])
        })
    }
}
