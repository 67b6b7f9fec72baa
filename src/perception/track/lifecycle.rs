//! One object's life: tentative → confirmed ⇄ coasting → ended.

use serde::{Deserialize, Serialize};

use crate::base::{BBox, Detection, Embedding, Pts, TrackId, TrackName, TrackSnapshot, TrackState};

use super::appearance::{Doubt, Gallery};
use super::kalman::BoxFilter;
use super::vote::ClassVote;
use super::{CameraWarp, TrackOptions};

/// Part of the detection in the published box of a seen track whose surprises are independent of each
/// other; the rest is the filter's estimate.
///
/// A detection is the better box where the filter lags behind, the estimate where detections jump about
/// it; [`BoxFilter::lag`] tells which, and is added. Measured, see docs/tracking.md.
const DETECTION_SHARE: f32 = 0.2;
/// Time constant of the usual height, seconds. Measured.
const HEIGHT_MEMORY_SECS: f32 = 1.2;
/// An object is surely seen whose usual score is this many times the one from which on scores are high.
/// Measured, see docs/tracking.md.
const SURELY_SEEN: f32 = 1.6;
/// A surely seen object is presumed to be there for this many seconds when it is missed. Measured.
const MISSED_SECS: f64 = 0.09;
/// An object of whose box something nearer hides this share is presumed to be behind it for so many
/// seconds. Measured.
const OCCLUDED_SHARE: f32 = 0.7;
const OCCLUDED_SECS: f64 = 0.21;
/// Weight of the newest score in a track's usual score. Measured.
const SCORE_MEMORY: f32 = 0.65;

/// One object as the tracker knows it. Changed in place; cloned for a snapshot alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Track {
    /// Given when the track is believed.
    pub id: Option<TrackId>,
    /// Number of its birth: its name in decisions before it has an id.
    pub birth: u64,
    pub filter: BoxFilter,
    /// The filter's estimate for the current frame.
    pub bbox: BBox,
    pub class: ClassVote,
    /// Running mean of the scores of its detections.
    pub usual_score: f32,
    /// Running mean of the heights of its detections, in heights of the filter's estimate, so that it grows
    /// as the object is expected to.
    usual_stretch: f32,
    /// The share of its predicted box that something nearer hides, 0..=1.
    pub occlusion: f32,
    /// Seconds since it was last seen, 0 if seen in this frame.
    pub unseen_secs: f64,
    /// Whether it was seen in the last frame that was stepped.
    pub is_seen: bool,
    /// What it has looked like, where detections say so.
    pub look: Option<Box<Gallery>>,
    /// Looks of late that are not its own, in a row.
    pub doubt: Option<Box<Doubt>>,
    /// It goes on from before a time in which nobody watched, and has not been seen since.
    pub is_awaited: bool,
    hits: u32,
    last_bbox: BBox,
    last_score: f32,
    first_seen: Pts,
    last_seen: Pts,
}

impl Track {
    pub fn new(detection: &Detection, pts: Pts, birth: u64) -> Self {
        Self {
            id: None,
            birth,
            filter: BoxFilter::new(&detection.bbox),
            bbox: detection.bbox,
            class: ClassVote::new(detection.class, detection.confidence),
            usual_score: detection.confidence,
            usual_stretch: 1.0,
            occlusion: 0.0,
            unseen_secs: 0.0,
            is_seen: true,
            look: detection
                .embedding
                .as_ref()
                .map(|look| Box::new(Gallery::new(look, pts))),
            doubt: None,
            is_awaited: false,
            hits: 1,
            last_bbox: detection.bbox,
            last_score: detection.confidence,
            first_seen: pts,
            last_seen: pts,
        }
    }

    pub fn predict(&mut self, dt: f64) {
        self.filter.predict(dt, self.is_seen);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
        self.unseen_secs += dt;
    }

    /// As [`Track::predict`] on a frame that nobody looked for objects in: who was seen when somebody
    /// looked last has not been missed, and does not grow older.
    pub fn carry(&mut self, dt: f64) {
        self.filter.predict(dt, self.is_seen);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
        if !self.is_seen {
            self.unseen_secs += dt;
        }
    }

    /// Passes `secs` in which nobody watched. It counts as unseen for at most `most_unseen` of them: it was
    /// not missed, there was nobody to see it. Standing objects stay where they are.
    pub fn pass(&mut self, secs: f64, stands: bool, most_unseen: f64) {
        if stands {
            self.filter.stand();
        }
        self.filter.predict(secs, false);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
        self.unseen_secs = (self.unseen_secs + secs).min(most_unseen.max(self.unseen_secs));
        self.is_seen = false;
        self.is_awaited = true;
        self.doubt = None;
    }

    /// How far its centre goes in a second, in sizes of its own.
    pub fn sizes_per_second(&self) -> f64 {
        let [x, y] = self.filter.velocity();
        f64::from(x.hypot(y)) / self.filter.size()
    }

    /// Takes along where it was seen last, and gives the box to the filter's estimate.
    pub fn carried(&mut self, shift: [f32; 2], stretch: f32) {
        let seen = &self.last_bbox;
        self.last_bbox = BBox::from_cxcywh(
            seen.cx() + shift[0],
            seen.cy() + shift[1],
            seen.width() * stretch,
            seen.height() * stretch,
        )
        .unwrap_or(self.last_bbox);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
    }

    /// Moves it `step` px without a change of its velocity: the camera moved.
    pub fn shift(&mut self, step: [f32; 2]) {
        self.filter.shift(step);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
    }

    /// Takes it along where the whole picture moved, its velocity turned and stretched too.
    pub fn warp(&mut self, warp: &CameraWarp) {
        self.filter.warp(warp);
        self.bbox = self.filter.bbox().unwrap_or(self.last_bbox);
    }

    /// Takes a detection as its own, of which something nearer hides the share `cover`, 0..=1.
    pub fn see(&mut self, detection: &Detection, pts: Pts, cover: f32) {
        let usual_height = self.usual_height();
        self.filter
            .update(&detection.bbox, detection.confidence, cover);
        self.bbox = self.filter.bbox().unwrap_or(detection.bbox);
        self.class.add(detection.class, detection.confidence);
        let secs = pts.secs_since(self.last_seen).max(0.0) as f32;
        let newest = secs / (secs + HEIGHT_MEMORY_SECS);
        let newest = newest.max(1.0 / (self.hits as f32 + 1.0));
        let mean = usual_height + newest * (detection.bbox.height() - usual_height);
        self.usual_stretch = mean / self.filter.height() as f32;
        self.usual_score += SCORE_MEMORY * (detection.confidence - self.usual_score);
        self.unseen_secs = 0.0;
        self.is_seen = true;
        self.is_awaited = false;
        self.hits = self.hits.saturating_add(1);
        self.last_bbox = detection.bbox;
        self.last_score = detection.confidence;
        self.last_seen = pts;
    }

    /// Running mean of the heights of its detections, px, grown as it is expected to since.
    pub fn usual_height(&self) -> f32 {
        self.usual_stretch * self.filter.height() as f32
    }

    /// Goes on as `fresh`, a new track that turned out to be this object: its place and motion are
    /// taken, identity and past stay.
    pub fn resume(&mut self, fresh: Self) {
        self.filter = fresh.filter;
        self.usual_stretch = fresh.usual_stretch;
        self.bbox = fresh.bbox;
        self.class.add(fresh.class.winner(), fresh.usual_score);
        self.usual_score = fresh.usual_score;
        self.unseen_secs = fresh.unseen_secs;
        self.is_seen = fresh.is_seen;
        self.is_awaited = false;
        self.hits = self.hits.saturating_add(fresh.hits);
        self.last_bbox = fresh.last_bbox;
        self.last_score = fresh.last_score;
        self.last_seen = fresh.last_seen;
        self.doubt = None;
        if let (Some(gallery), Some(looks)) = (&mut self.look, &fresh.look) {
            gallery.add(looks.mean(), fresh.last_seen);
        }
    }

    /// Takes a look of its own.
    ///
    /// Answers how alike the looks were that were doubted until now, and wrongly.
    pub fn take_look(&mut self, look: &Embedding, pts: Pts) -> Vec<f32> {
        match &mut self.look {
            Some(gallery) => gallery.add(look, pts),
            empty @ None => *empty = Some(Box::new(Gallery::new(look, pts))),
        }
        let doubt = self.doubt.take();
        doubt.map_or_else(Vec::new, |doubt| doubt.into_similarities())
    }

    /// Takes a look that is hardly its own. With many in a row it must have changed; answers as
    /// [`Track::take_look`].
    pub fn doubt_look(&mut self, look: &Embedding, similarity: f32, pts: Pts) -> Vec<f32> {
        match &mut self.doubt {
            Some(doubt) => doubt.add(look, similarity, pts),
            empty @ None => *empty = Some(Box::new(Doubt::new(look, similarity, pts))),
        }
        match self.doubt.take_if(|doubt| doubt.is_change()) {
            Some(doubt) => {
                let mut similarities = self.take_look(doubt.looks().mean(), pts);
                similarities.extend(doubt.into_similarities());
                similarities
            }
            None => Vec::new(),
        }
    }

    /// Whether the last look was taken long enough ago for another.
    pub fn is_look_due(&self, pts: Pts) -> bool {
        let own = self.look.as_ref().is_none_or(|looks| looks.is_due(pts));
        let strange = self.doubt.as_ref();
        own && strange.is_none_or(|doubt| doubt.looks().is_due(pts))
    }

    /// Exchanges what two tracks are; where they are and how they move stays.
    pub fn exchange(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.id, &mut other.id);
        std::mem::swap(&mut self.class, &mut other.class);
        std::mem::swap(&mut self.look, &mut other.look);
        std::mem::swap(&mut self.first_seen, &mut other.first_seen);
        self.doubt = None;
        other.doubt = None;
        for track in [self, other] {
            track.last_seen = track.last_seen.max(track.first_seen);
        }
    }

    /// Takes the place of `other` as its own last one, as of now.
    pub fn was_last_where(&mut self, other: &Self) {
        self.filter = other.filter.clone();
        self.usual_stretch = other.usual_stretch;
        self.bbox = other.bbox;
        self.last_bbox = other.last_bbox;
        self.last_seen = other.last_seen;
        self.unseen_secs = 0.0;
    }

    /// How decisions name it.
    pub fn name(&self) -> TrackName {
        TrackName {
            id: self.id,
            birth: self.birth,
        }
    }

    /// When it was first seen.
    pub fn first_seen(&self) -> Pts {
        self.first_seen
    }

    /// When it was last seen.
    pub fn last_seen(&self) -> Pts {
        self.last_seen
    }

    pub fn miss(&mut self) {
        self.is_seen = false;
    }

    /// Share of the memory that has passed since it was last seen, 0..=1.
    pub fn forgotten_share(&self, memory_secs: f64) -> f32 {
        if self.was_seen() || memory_secs <= 0.0 {
            return 0.0;
        }
        (self.unseen_secs / memory_secs).clamp(0.0, 1.0) as f32
    }

    /// Whether it was seen in the frame before this one (asked between predict and see).
    pub fn was_seen(&self) -> bool {
        self.is_seen
    }

    pub fn is_confirmed(&self) -> bool {
        self.id.is_some()
    }

    pub fn is_believable(&self, options: &TrackOptions) -> bool {
        self.hits >= options.confirm_hits
    }

    /// Whether it has been unseen for longer than is remembered.
    pub fn is_forgotten(&self, options: &TrackOptions) -> bool {
        !self.is_seen && (!self.is_confirmed() || self.unseen_secs > options.memory.as_secs_f64())
    }

    /// Whether it is unseen at `pts` and most likely in the picture. The scores of its detector are high
    /// from `high_score` on.
    fn is_presumed(&self, pts: Pts, high_score: f32) -> bool {
        if self.is_seen || self.is_awaited {
            return false;
        }
        let secs = pts.secs_since(self.last_seen);
        let is_hidden = self.occlusion >= OCCLUDED_SHARE && secs <= OCCLUDED_SECS;
        let is_missed = self.usual_score >= SURELY_SEEN * high_score && secs <= MISSED_SECS;
        is_hidden || is_missed
    }

    /// The box for people: of filter and detection where there is one, predicted where not.
    fn shown_bbox(&self) -> BBox {
        if !self.is_seen {
            return self.bbox;
        }
        let (seen, believed) = (&self.last_bbox, &self.bbox);
        let [centre, size] = self
            .filter
            .lag()
            .map(|lag| (DETECTION_SHARE + lag).clamp(0.0, 1.0));
        let mix = |share: f32, seen: f32, believed: f32| believed + share * (seen - believed);
        BBox::from_cxcywh(
            mix(centre, seen.cx(), believed.cx()),
            mix(centre, seen.cy(), believed.cy()),
            mix(size, seen.width(), believed.width()),
            mix(size, seen.height(), believed.height()),
        )
        .unwrap_or(*seen)
    }

    /// How it is published; a tentative track is not.
    pub fn snapshot(&self, pts: Pts, high_score: f32) -> Option<TrackSnapshot> {
        Some(TrackSnapshot {
            id: self.id?,
            class: self.class.winner(),
            class_share: self.class.share(self.class.winner()),
            confidence: self.last_score,
            bbox: self.shown_bbox(),
            velocity: self.filter.velocity(),
            state: if self.is_seen {
                TrackState::Confirmed
            } else {
                TrackState::Coasting
            },
            is_presumed: self.is_presumed(pts, high_score),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            before_run: std::time::Duration::ZERO,
        })
    }
}
