//! How far the whole picture jumped, by the vote of tracks against detections.
//!
//! A pole that sways or a camera that is turned moves every object by the same step. Each track
//! proposes the steps to the detections that look like it; a step that most tracks agree on, and
//! that explains clearly more of them than no step does, is the camera's.

use crate::base::Detection;

use super::affinity::size_agreement;
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
/// Steps agree if they differ by less than this part of the voter's height.
const TOLERANCE: f32 = 0.12;
/// Least part of the voters that agree on a step.
const MAJORITY: f32 = 0.5;
/// Least part of the voters by which a step must explain more than no step.
const ADVANTAGE: f32 = 0.2;

/// A step that one voter proposes.
#[derive(Debug, Clone, Copy)]
struct Proposal {
    voter: usize,
    step: [f32; 2],
    tolerance: f32,
}

/// Finds common steps, keeping its memory.
#[derive(Debug, Default)]
pub(super) struct CameraVote {
    proposals: Vec<Proposal>,
    near: Vec<(f32, [f32; 2])>,
}

impl CameraVote {
    /// The step of the picture since the last frame beyond what the tracks predicted, px, or `None`
    /// where there is none to be sure of.
    pub fn step(
        &mut self,
        tracks: &[Track],
        detections: &[Detection],
        chosen: &[u32],
    ) -> Option<[f32; 2]> {
        self.proposals.clear();
        let voters = tracks
            .iter()
            .filter(|track| track.is_confirmed() && track.was_seen())
            .take(MAX_VOTERS);
        let mut count = 0;
        for (voter, track) in voters.enumerate() {
            self.propose(voter, track, detections, chosen);
            count = voter + 1;
        }
        if count < MIN_VOTERS {
            return None;
        }
        let standing = self.support([0.0, 0.0]);
        let needed = (MAJORITY * count as f32).max(standing as f32 + ADVANTAGE * count as f32);
        if needed > count as f32 {
            return None;
        }
        let best = self
            .proposals
            .iter()
            .map(|proposal| (self.support(proposal.step), proposal.step))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        (best.0 as f32 >= needed).then(|| self.mean_near(best.1))
    }

    fn propose(&mut self, voter: usize, track: &Track, detections: &[Detection], chosen: &[u32]) {
        let height = track.bbox.height();
        self.near.clear();
        for &index in chosen {
            let bbox = &detections[index as usize].bbox;
            let step = [bbox.cx() - track.bbox.cx(), bbox.cy() - track.bbox.cy()];
            let distance = step[0].hypot(step[1]);
            if distance < REACH * height && size_agreement(&track.bbox, bbox) > LIKENESS {
                self.near.push((distance, step));
            }
        }
        self.near
            .sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1[0].total_cmp(&b.1[0])));
        let tolerance = TOLERANCE * height;
        self.proposals
            .extend(self.near.iter().take(MAX_PROPOSALS).map(|near| Proposal {
                voter,
                step: near.1,
                tolerance,
            }));
    }

    fn near(&self, step: [f32; 2]) -> impl Iterator<Item = &Proposal> {
        self.proposals.iter().filter(move |proposal| {
            (proposal.step[0] - step[0]).hypot(proposal.step[1] - step[1]) < proposal.tolerance
        })
    }

    /// Number of voters with a proposal near this step. Proposals stand in order of their voters.
    fn support(&self, step: [f32; 2]) -> usize {
        let mut last = None;
        self.near(step)
            .filter(|proposal| last.replace(proposal.voter) != Some(proposal.voter))
            .count()
    }

    fn mean_near(&self, step: [f32; 2]) -> [f32; 2] {
        let (mut sum, mut count) = ([0.0, 0.0], 0.0f32);
        for proposal in self.near(step) {
            sum[0] += proposal.step[0];
            sum[1] += proposal.step[1];
            count += 1.0;
        }
        sum.map(|sum| sum / count.max(1.0))
    }
}
