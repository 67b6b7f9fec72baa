//! Who gets an id, who ends, and who begins, when a frame's detections are given out.

use super::Tracker;
use super::lifecycle::Track;
use crate::base::{Birth, Covered, Detection, EndReason, EndedTrack, IdentityChange, Pts, TrackId};

impl Tracker {
    /// Gives ids to the tracks that are believed from now on.
    pub(super) fn confirm(&mut self) {
        for track in &mut self.tracks {
            if track.id.is_none() && track.is_believable(&self.options) {
                self.last_id += 1;
                let (id, birth) = (TrackId(self.last_id), track.birth);
                track.id = Some(id);
                if let Some(record) = &mut self.record {
                    record.changes.push(IdentityChange::Confirmed { birth, id });
                }
            }
        }
    }

    /// Ends coasting tracks that lie on an older track which is seen: one object that had two.
    pub(super) fn end_duplicates(&mut self, ended: &mut Vec<EndedTrack>) {
        for index in (0..self.tracks.len()).rev() {
            let (older, track) = (&self.tracks[..index], &self.tracks[index]);
            let Some(id) = track.id.filter(|_| !track.is_seen) else {
                continue;
            };
            let covers = |other: &Track| {
                other.is_seen
                    && other.is_confirmed()
                    && other.class.share(track.class.winner()) > 0.0
                    && other.bbox.iou(&track.bbox) >= self.options.duplicate_overlap
            };
            if let Some(other) = older.iter().find(|other| covers(other)) {
                let (reason, of) = (EndReason::Duplicate, other.id);
                ended.push(EndedTrack { id, reason });
                self.note(|| IdentityChange::Ended { id, reason, of });
                self.tracks.remove(index);
            }
        }
    }

    /// Ends what was not seen for too long.
    pub(super) fn bury(&mut self, ended: &mut Vec<EndedTrack>) {
        let options = &self.options;
        let appearance = &mut self.appearance;
        let mut lost = |id: Option<TrackId>| {
            let reason = EndReason::Lost;
            ended.extend(id.map(|id| EndedTrack { id, reason }));
        };
        for track in self
            .tracks
            .extract_if(.., |track| track.is_forgotten(options))
        {
            if let Some(record) = &mut self.record
                && track.id.is_none()
            {
                let birth = track.birth;
                record.changes.push(IdentityChange::Dropped { birth });
            }
            if appearance.keeps(&track, options) {
                if let (Some(record), Some(id)) = (&mut self.record, track.id) {
                    record.changes.push(IdentityChange::Dormant { id });
                }
                appearance.dormant.push(track);
            } else {
                lost(track.id);
            }
        }
        let longest = options.lost_with_appearance.as_secs_f64();
        let dormant = &mut appearance.dormant;
        let surplus = dormant.len().saturating_sub(options.max_dormant);
        dormant.drain(..surplus).for_each(|track| lost(track.id));
        dormant
            .extract_if(.., |track| track.unseen_secs > longest)
            .for_each(|track| lost(track.id));
    }

    /// Starts a track for each strong detection that is neither a track's nor overlaps a seen one.
    pub(super) fn give_birth(&mut self, detections: &[Detection], pts: Pts) {
        let old = self.tracks.len();
        let least = self.least_birth_score();
        for (place, &index) in (0..).zip(&self.scratch.taking_part) {
            let detection = &detections[index as usize];
            if self.scratch.detection_taken[index as usize] {
                continue;
            }
            if detection.confidence < least || self.tracks.len() >= self.options.max_tracks {
                break;
            }
            let is_part_of = |track: &Track| {
                let limit = if track.class.share(detection.class) > 0.0 {
                    self.options.birth_overlap
                } else {
                    self.options.birth_overlap_other_class
                };
                track.is_seen && track.bbox.iou(&detection.bbox) > limit
            };
            if let Some(cover) = self.tracks[..old].iter().find(|track| is_part_of(track)) {
                if let Some(record) = &mut self.record {
                    record.covered.push(Covered {
                        place,
                        by: cover.name(),
                        iou: cover.bbox.iou(&detection.bbox),
                    });
                }
                continue;
            }
            self.last_birth += 1;
            let birth = self.last_birth;
            self.tracks.push(Track::new(detection, pts, birth));
            if let Some(record) = &mut self.record {
                record.births.push(Birth { birth, place });
            }
        }
    }
}
