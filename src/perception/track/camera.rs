//! How far the whole picture jumped, by the vote of tracks against detections.
//!
//! A pole that sways or a camera that is turned moves every object by the same step. Each track
//! proposes the steps to the detections that look like it; a step that many tracks agree on, and
//! that explains clearly more of them than no step does, is the camera's.

use super::affinity::{Sweep, size_agreement};
use super::lifecycle::Track;

/// Tracks that vote, the oldest first, so that the cost of a crowd is bounded.
const MAX_VOTERS: usize = 24;
/// With fewer voters nobody can tell a moving camera from a moving object.
const MIN_VOTERS: usize = 3;
/// Steps proposed per voter, the nearest first.
const MAX_PROPOSALS: usize = 3;
/// How far an object may have jumped, in its own heights.
const REACH: f32 = 2.0;
/// Least agreement in size of track and detection.
const LIKENESS: f32 = 0.6;
/// A voter's support for a step falls from 1 to 0 as the step differs from its proposal by this part
/// of its height. Measured: at half of it, steps of far-off objects drown in the noise of their boxes.
const TOLERANCE: f32 = 0.25;
/// With this part of the voters for no step there is none to be looked for.
const CALM: f32 = 0.85;
/// Least part of the voters that a step must have.
const MAJORITY: f32 = 0.35;
/// By how much a step must have more than no step: voters, and part of the voters. The first keeps
/// apart a few cars on a road that one drives along. Measured.
const ADVANTAGE: [f32; 2] = [1.0, 0.1];
/// How often the mean of the agreeing proposals is taken anew around the last one.
const REFINEMENTS: usize = 2;

/// A step that one voter proposes.
#[derive(Debug, Clone, Copy)]
struct Proposal {
    voter: usize,
    step: [f32; 2],
    /// px.
    tolerance: f32,
}

impl Proposal {
    /// 1 for the proposal itself, 0 or less out of its tolerance.
    fn support(&self, step: [f32; 2]) -> f32 {
        let [dx, dy] = [self.step[0] - step[0], self.step[1] - step[1]];
        1.0 - (dx * dx + dy * dy) / (self.tolerance * self.tolerance)
    }
}

/// Finds common steps, keeping its memory.
#[derive(Debug, Default)]
pub(super) struct CameraVote {
    /// In order of their voters.
    proposals: Vec<Proposal>,
    near: Vec<(f32, [f32; 2])>,
}

impl CameraVote {
    /// The step of the picture since the last frame beyond what the tracks predicted, px, or `None`
    /// where there is none to be sure of. Detections below `high_score` are not asked.
    pub fn step(&mut self, tracks: &[Track], sweep: &Sweep, high_score: f32) -> Option<[f32; 2]> {
        let mut search = |reach| {
            self.proposals.clear();
            let voters = tracks
                .iter()
                .filter(|track| track.is_confirmed() && track.was_seen())
                .take(MAX_VOTERS);
            let mut count = 0;
            for track in voters {
                self.propose(count, track, sweep, high_score, reach);
                count += 1;
            }
            (count, self.support([0.0; 2]))
        };
        let (count, standing) = search(TOLERANCE);
        let voters = count as f32;
        if count < MIN_VOTERS || standing >= CALM * voters {
            return None;
        }
        search(REACH);
        let [some, part] = ADVANTAGE;
        let needed = (MAJORITY * voters).max(standing + some + part * voters);
        let best = self
            .proposals
            .iter()
            .map(|proposal| (self.support(proposal.step), proposal.step))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        (best.0 >= needed).then(|| (0..REFINEMENTS).fold(best.1, |step, _| self.mean_near(step)))
    }

    /// Adds the steps to the nearest detections within `reach` heights that look like the track.
    fn propose(&mut self, voter: usize, track: &Track, sweep: &Sweep, high_score: f32, reach: f32) {
        let bbox = &track.bbox;
        let reach_px = reach * bbox.height();
        // Widths differ by no more than LIKENESS allows, so that a near centre is a near left edge.
        let margin = reach_px + bbox.width() * (1.0 / LIKENESS - 1.0) / 2.0;
        self.near.clear();
        for other in sweep.between(bbox.left() - margin, bbox.left() + margin) {
            let step = [other.bbox.cx() - bbox.cx(), other.bbox.cy() - bbox.cy()];
            let squared = step[0] * step[0] + step[1] * step[1];
            if squared < reach_px * reach_px
                && other.score >= high_score
                && size_agreement(bbox, &other.bbox) > LIKENESS
            {
                self.near.push((squared, step));
            }
        }
        self.near
            .sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1[0].total_cmp(&b.1[0])));
        let tolerance = TOLERANCE * bbox.height();
        self.proposals
            .extend(self.near.iter().take(MAX_PROPOSALS).map(|near| Proposal {
                voter,
                step: near.1,
                tolerance,
            }));
    }

    /// How many voters are for this step, each by its nearest proposal.
    fn support(&self, step: [f32; 2]) -> f32 {
        let of_voter = |proposals: &[Proposal]| {
            let all = proposals.iter().map(|proposal| proposal.support(step));
            all.fold(0.0, f32::max)
        };
        self.proposals
            .chunk_by(|a, b| a.voter == b.voter)
            .map(of_voter)
            .sum()
    }

    /// Mean of the proposals that agree with this step; near objects, whose steps are less exact in
    /// pixels, weigh less.
    fn mean_near(&self, step: [f32; 2]) -> [f32; 2] {
        let (mut sum, mut total) = ([0.0, 0.0], 0.0);
        for proposal in &self.proposals {
            let weight = proposal.support(step).max(0.0) / proposal.tolerance.powi(2);
            sum[0] += weight * proposal.step[0];
            sum[1] += weight * proposal.step[1];
            total += weight;
        }
        if total > 0.0 {
            sum.map(|sum| sum / total)
        } else {
            step
        }
    }
}
