//! Detections → tracks: predict → associate → update → birth and death.
//!
//! Belongs here: deciding which detection is which object. Pure: values in, values out; no clock,
//! no randomness, no hash order. Does not belong here: where detections come from, and anything
//! that looks at pixels.

mod affinity;
mod appearance;
mod assign;
mod camera;
mod carry;
mod comeback;
mod kalman;
mod lifecycle;
mod options;
mod record;
mod scale;
mod snapshot;
mod turnover;
mod vote;
mod warp;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_appearance;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_snapshot;

pub use carry::{Displacement, Prospect};
pub use options::TrackOptions;
pub use snapshot::{Absence, TrackerState};
pub use warp::CameraWarp;

use crate::base::{
    CameraMotion, DecisionLimits, Detection, EndReason, EndedTrack, FrameDecisions, IdentityChange,
    Pts, TrackSnapshot,
};
use affinity::{Affinity, Candidate, Covers, Sweep, place_of, sort_key};
use appearance::{Appearance, Lost};
use assign::{Assigner, Pair};
use camera::CameraVote;
use lifecycle::Track;
use record::Association;
use scale::ScoreScale;

/// What one frame made of the tracks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Living believed tracks (confirmed and coasting), in id order.
    ///
    /// A track is given its id, and appears here, when it is believed; tentative tracks have no id
    /// and are not shown, so that ids stay dense for people.
    pub tracks: Vec<TrackSnapshot>,
    /// Confirmed tracks that ended in this step, in id order.
    pub ended: Vec<EndedTrack>,
    /// Detections that were not looked at because the frame had more than
    /// [`TrackOptions::max_detections`].
    pub ignored: usize,
}

/// Follows the objects of one camera. One per camera; ids are counted from 1 and never used twice.
#[derive(Debug)]
pub struct Tracker {
    options: TrackOptions,
    /// In order of birth.
    tracks: Vec<Track>,
    last_id: u64,
    last_birth: u64,
    last_pts: Option<Pts>,
    scale: ScoreScale,
    /// What the thresholds are multiplied with in this step.
    score_factor: f32,
    /// Tracks from before a time in which nobody watched that were seen again.
    gone_on: u64,
    /// How the camera moved before the next step, if that was told.
    warp: Option<CameraWarp>,
    appearance: Appearance,
    /// Decisions of the last step, if they are wanted.
    record: Option<Box<FrameDecisions>>,
    scratch: Scratch,
}

/// Memory kept from frame to frame, so that a step need not allocate.
#[derive(Debug, Default)]
struct Scratch {
    camera: CameraVote,
    sweep: Sweep,
    assigner: Assigner,
    pairs: Vec<Pair>,
    keys: Vec<u64>,
    /// Indices of the detections that take part, best score first.
    taking_part: Vec<u32>,
    /// Indices of the tracks that make the rows of the current association.
    rows: Vec<u32>,
    /// What covers each of them.
    covers: Vec<Covers>,
    /// Whether the track was given a detection in this step.
    track_taken: Vec<bool>,
    /// Whether the detection was given to a track in this step.
    detection_taken: Vec<bool>,
}

/// Leaves out what is one object seen as two classes: of two detections of different classes that
/// overlap by at least `overlap` only the better scored one stays. `order` is best first.
fn drop_second_classes(order: &mut Vec<u32>, detections: &[Detection], overlap: f32) {
    let class = |index: u32| detections[index as usize].class;
    let is_mixed = order
        .windows(2)
        .any(|pair| class(pair[0]) != class(pair[1]));
    if !is_mixed {
        return;
    }
    let mut kept = 0;
    for place in 0..order.len() {
        let index = order[place];
        let bbox = detections[index as usize].bbox;
        let is_second = |&better: &u32| {
            class(better) != class(index) && detections[better as usize].bbox.iou(&bbox) >= overlap
        };
        if !order[..kept].iter().any(is_second) {
            order[kept] = index;
            kept += 1;
        }
    }
    order.truncate(kept);
}

fn note_exchange(record: &mut Option<Box<FrameDecisions>>, one: &Track, other: &Track) {
    if let (Some(record), Some(id), Some(with)) = (record, one.id, other.id) {
        record.changes.push(IdentityChange::Exchanged { id, with });
    }
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(options: TrackOptions) -> Self {
        let record = options.record_decisions.then(Box::default);
        Self {
            options,
            tracks: Vec::new(),
            last_id: 0,
            last_birth: 0,
            last_pts: None,
            scale: ScoreScale::default(),
            score_factor: 1.0,
            gone_on: 0,
            warp: None,
            appearance: Appearance::default(),
            record,
            scratch: Scratch::default(),
        }
    }

    /// Takes the detections of the frame shown at `pts` (none is a valid answer) and says what lives.
    ///
    /// Scores that are not finite never take part. A `pts` equal to or before the last one counts as
    /// no time passed, and time goes on from there.
    pub fn step(&mut self, detections: &[Detection], pts: Pts) -> Step {
        let mut step = Step::default();
        self.step_into(detections, pts, &mut step);
        step
    }

    /// As [`Tracker::step`], into the memory of an earlier answer: without embeddings, with no more
    /// objects than there have been before and none that returns, nothing is allocated.
    pub fn step_into(&mut self, detections: &[Detection], pts: Pts, step: &mut Step) {
        step.tracks.clear();
        step.ended.clear();
        self.learn_scale(detections);
        step.ignored = self.sort_by_score(detections);
        self.begin_record(detections);
        self.predict(pts);
        self.follow_camera();
        self.associate_believed(detections, pts);
        self.associate_tentative(detections, pts);
        self.appearance.learn(&mut self.tracks, detections, pts);
        self.mark_missed();
        self.set_right();
        self.find_again();
        self.confirm();
        self.end_duplicates(&mut step.ended);
        self.bury(&mut step.ended);
        self.give_birth(detections, pts);
        if let Some(record) = &mut self.record {
            record::lost(record, &step.ended);
        }
        let high_score = self.high_score();
        let shown = |track: &Track| track.snapshot(pts, high_score);
        step.tracks.extend(self.tracks.iter().filter_map(shown));
        step.tracks.sort_unstable_by_key(|track| track.id);
        step.ended.sort_unstable_by_key(|track| track.id);
    }

    /// Goes on with other options; what lives goes on living, and whether decisions are recorded stays
    /// as it is.
    pub fn adjust(&mut self, options: TrackOptions) {
        if !options.follow_scores {
            self.score_factor = 1.0;
        }
        self.options = TrackOptions {
            record_decisions: self.options.record_decisions,
            ..options
        };
    }

    /// The id given last, 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Gives ids above `last_id` from now on, of a tracker that followed this camera before.
    pub fn number_after(&mut self, last_id: u64) {
        self.last_id = self.last_id.max(last_id);
    }

    /// Tells how the picture moves to the frame of the next step; that step takes it instead of
    /// finding the camera's motion by a vote of the tracks.
    pub fn move_camera(&mut self, warp: CameraWarp) {
        self.warp = Some(warp);
    }

    /// What was decided in the last step, and why; `None` unless [`TrackOptions::record_decisions`].
    #[must_use]
    pub fn decisions(&self) -> Option<&FrameDecisions> {
        self.record.as_deref()
    }

    /// Ends every track because the camera's run is over; the numbering goes on in the next run.
    pub fn end_run(&mut self) -> Vec<EndedTrack> {
        self.last_pts = None;
        self.warp = None;
        let mut ended: Vec<_> = self
            .tracks
            .drain(..)
            .chain(self.appearance.dormant.drain(..))
            .filter_map(|track| {
                Some(EndedTrack {
                    id: track.id?,
                    reason: EndReason::RunEnded,
                })
            })
            .collect();
        ended.sort_unstable_by_key(|track| track.id);
        ended
    }

    fn learn_scale(&mut self, detections: &[Detection]) {
        if self.options.follow_scores {
            for detection in detections {
                self.scale.add(detection.confidence);
            }
            self.score_factor = self.scale.factor();
        }
    }

    /// Sorts the detections that take part, best first, and answers how many were over the limit.
    fn sort_by_score(&mut self, detections: &[Detection]) -> usize {
        let Scratch {
            keys,
            taking_part,
            sweep,
            detection_taken,
            track_taken,
            ..
        } = &mut self.scratch;
        keys.clear();
        let numbered = (0..).zip(detections);
        keys.extend(numbered.filter_map(|(index, detection)| {
            let score = detection.confidence;
            (score >= self.options.low_score && score.is_finite()).then(|| sort_key(-score, index))
        }));
        keys.sort_unstable();
        let ignored = keys.len().saturating_sub(self.options.max_detections);
        keys.truncate(self.options.max_detections);
        taking_part.clear();
        taking_part.extend(keys.iter().map(|&key| place_of(key)));
        drop_second_classes(taking_part, detections, self.options.same_object_overlap);
        sweep.set(detections, taking_part);
        detection_taken.clear();
        detection_taken.resize(detections.len(), false);
        track_taken.clear();
        track_taken.resize(self.tracks.len(), false);
        self.appearance.begin(detections, taking_part);
        ignored
    }

    fn begin_record(&mut self, detections: &[Detection]) {
        let (high_score, new_track_score) = (self.high_score(), self.least_birth_score());
        let Some(record) = &mut self.record else {
            return;
        };
        **record = FrameDecisions {
            limits: DecisionLimits {
                gate: self.options.gate,
                tentative_gate: self.options.tentative_gate,
                high_score,
                new_track_score,
                second_chance_secs: self.options.second_chance.as_secs_f64(),
                memory_secs: self.options.memory.as_secs_f64(),
            },
            ..FrameDecisions::default()
        };
        record::boxes(record, detections, &self.scratch.taking_part);
    }

    fn note(&mut self, change: impl FnOnce() -> IdentityChange) {
        if let Some(record) = &mut self.record {
            record.changes.push(change());
        }
    }

    /// Least score that starts a track with this detector.
    fn least_birth_score(&self) -> f32 {
        self.options.new_track_score.max(self.options.high_score) * self.score_factor
    }

    /// Scores from here on are high for this detector.
    fn high_score(&self) -> f32 {
        self.options.high_score * self.score_factor
    }

    fn predict(&mut self, pts: Pts) {
        let dt = self
            .last_pts
            .map_or(0.0, |last| pts.secs_since(last).max(0.0));
        self.last_pts = Some(pts);
        for track in &mut self.tracks {
            track.predict(dt);
        }
        for lost in &mut self.appearance.dormant {
            lost.unseen_secs += dt;
        }
    }

    /// Takes every track along where the whole picture moved.
    fn follow_camera(&mut self) {
        if let Some(warp) = self.warp.take() {
            for track in self.tracks.iter_mut().chain(&mut self.appearance.dormant) {
                track.warp(&warp);
            }
            if let Some(record) = &mut self.record {
                record.camera = CameraMotion::Told;
            }
            return;
        }
        if !self.options.vote_on_camera {
            return;
        }
        let high_score = self.high_score();
        let Scratch { camera, sweep, .. } = &mut self.scratch;
        if let Some(step) = camera.step(&self.tracks, sweep, high_score) {
            for track in self.tracks.iter_mut().chain(&mut self.appearance.dormant) {
                track.shift(step);
            }
            if let Some(record) = &mut self.record {
                record.camera = CameraMotion::Voted(step);
            }
        }
    }

    /// All detections against every believed track, seen or lost, in one assignment.
    fn associate_believed(&mut self, detections: &[Detection], pts: Pts) {
        self.associate(detections, pts, self.options.gate, Track::is_confirmed);
    }

    /// High scores that are left against tentative tracks.
    fn associate_tentative(&mut self, detections: &[Detection], pts: Pts) {
        let gate = self.options.tentative_gate;
        self.associate(detections, pts, gate, |track| !track.is_confirmed());
    }

    /// Gives detections that are left to tracks that take part, so that the sum of their affinities
    /// is the largest possible.
    fn associate(
        &mut self,
        detections: &[Detection],
        pts: Pts,
        gate: f32,
        takes_part: impl Fn(&Track) -> bool,
    ) {
        let affinity = Affinity {
            high_score: self.high_score(),
            recent_secs: self.options.second_chance.as_secs_f64(),
            memory_secs: self.options.memory.as_secs_f64(),
        };
        let Scratch {
            sweep,
            assigner,
            pairs,
            taking_part,
            rows,
            covers,
            track_taken,
            detection_taken,
            ..
        } = &mut self.scratch;
        pairs.clear();
        rows.clear();
        covers.clear();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if track_taken[index] || !takes_part(track) {
                continue;
            }
            let worth = |one: &Candidate, iou: f32| {
                let detection = taking_part[one.col as usize] as usize;
                let is_allowed = !detection_taken[detection]
                    && affinity.allows(track, one.score)
                    && (!track.is_awaited || snapshot::agrees(track, &detections[detection], iou));
                is_allowed.then(|| affinity.of(track, &detections[detection], one, iou))
            };
            let cover = sweep.add_row(rows.len() as u32, &track.bbox, gate, worth, pairs);
            track.occlusion = cover.most();
            covers.push(cover);
            rows.push(index as u32);
        }
        if pairs.is_empty() && self.record.is_none() {
            return;
        }
        let sides = (rows.as_slice(), taking_part.as_slice());
        self.appearance
            .weigh(pairs, sides, &self.tracks, detections);
        let column_of = assigner.solve(rows.len(), taking_part.len(), pairs);
        if let Some(record) = &mut self.record {
            let association = Association {
                affinity: &affinity,
                gate,
                tracks: &self.tracks,
                detections,
                taking_part,
                rows,
                pairs,
                sweep,
                is_taken: detection_taken,
            };
            association.write(record, &column_of);
        }
        for (row, &index) in rows.iter().enumerate() {
            let Some(col) = column_of(row) else { continue };
            let detection = taking_part[col] as usize;
            track_taken[index as usize] = true;
            detection_taken[detection] = true;
            self.gone_on += u64::from(self.tracks[index as usize].is_awaited);
            let cover = covers[row].share(col);
            self.tracks[index as usize].see(&detections[detection], pts, cover);
            if detections[detection].confidence >= affinity.high_score {
                self.appearance.note(index, taking_part[col]);
            }
        }
    }

    fn mark_missed(&mut self) {
        for (track, &taken) in self.tracks.iter_mut().zip(&self.scratch.track_taken) {
            if !taken {
                track.miss();
            }
        }
    }

    /// Gives back the identities of tracks that went over to each other's or to a lost object.
    fn set_right(&mut self) {
        let mistaken = self.appearance.mistaken(&self.tracks);
        for find in &mistaken {
            let is_done = self.tracks[find.fresh].doubt.is_none();
            // A seen track without doubts is right already, perhaps by an exchange just made.
            let is_right = |other: usize| {
                let other = &self.tracks[other];
                other.was_seen() && other.doubt.is_none()
            };
            match find.lost {
                // One exchange may have set both right.
                _ if is_done => {}
                Lost::Living(other) if is_right(other) => {}
                Lost::Living(other) => {
                    if let Ok([one, other]) = self.tracks.get_disjoint_mut([find.fresh, other]) {
                        note_exchange(&mut self.record, one, other);
                        one.exchange(other);
                    }
                }
                Lost::Dormant(other) => {
                    let lost = &mut self.appearance.dormant[other];
                    note_exchange(&mut self.record, &self.tracks[find.fresh], lost);
                    self.tracks[find.fresh].exchange(lost);
                    // Whose place the track had was seen there until now.
                    lost.was_last_where(&self.tracks[find.fresh]);
                }
            }
        }
        if !mistaken.is_empty() {
            self.tracks.sort_by_key(Track::first_seen);
        }
    }

    /// Lets lost objects go on as the tracks that turn out to be them, before these get ids of their
    /// own.
    fn find_again(&mut self) {
        let options = &self.options;
        let is_fresh = |track: &Track| track.id.is_none() && track.is_believable(options);
        let mut finds = self.appearance.finds(&self.tracks, is_fresh);
        let is_lost =
            |track: &Track| comeback::is_lost(track, options) && !self.appearance.knows(track);
        comeback::add(&mut finds, &self.tracks, is_fresh, is_lost);
        if finds.is_empty() {
            return;
        }
        let mut living: Vec<Option<Track>> = self.tracks.drain(..).map(Some).collect();
        // From the back, so that places stay what they are.
        finds.sort_by_key(|find| std::cmp::Reverse(find.lost));
        for find in finds {
            let lost = match find.lost {
                Lost::Living(index) => living[index].take(),
                Lost::Dormant(index) => Some(self.appearance.dormant.remove(index)),
            };
            if let (Some(mut lost), Some(fresh)) = (lost, living[find.fresh].take()) {
                if let (Some(record), Some(id)) = (&mut self.record, lost.id) {
                    let birth = fresh.birth;
                    record
                        .changes
                        .push(IdentityChange::FoundAgain { birth, id });
                }
                lost.resume(fresh);
                living[find.fresh] = Some(lost);
            }
        }
        self.tracks.extend(living.into_iter().flatten());
        self.tracks.sort_by_key(Track::first_seen);
    }
}
