//! Who is who by what objects look like, where their places do not tell.
//!
//! Belongs here: galleries of looks, what similarities mean, and the two uses of them: contested
//! pairs, and lost objects that come back. Does not belong here: where looks come from.
//!
//! Source of the parts: a gallery per track (DeepSORT, arXiv 1703.07402), a running mean (JDE,
//! arXiv 1909.12605); what similarity means is learnt on the way, see [`likeness`].

mod doubt;
mod gallery;
mod likeness;

pub use doubt::Doubt;
pub use gallery::Gallery;
pub use likeness::Likeness;

use super::TrackOptions;
use super::affinity::{MILLION, agreement};
use super::assign::Pair;
use super::lifecycle::Track;
use crate::base::{BBox, Detection, Pts};

/// What a certain look adds to, or takes from, the affinity of a contested pair.
const WEIGHT: f32 = 0.6;
/// Two pairs of one track or one detection contest if their affinities differ by less than this.
const CONTESTED: f32 = 0.3;
/// A track unseen for longer than this returns: its place is uncertain, seconds.
const RETURN_SECS: f64 = 0.5;
/// A detection that others cover by less than this part shows its own look.
const CLEAN: f32 = 0.3;
/// A lost object must have been looked at this often to be found by its look.
const LEAST_LOOKS: u32 = 3;
/// How far an object can have got, in its own heights: at once, and per second.
const REACH: [f32; 2] = [1.5, 3.0];
/// Least ratio of the heights, and of the widths, of a lost object and a find.
const LEAST_SIZE_RATIO: f32 = 0.5;
/// A find must be more alike than any other lost object within reach by this much.
const LEAD: f32 = 0.03;

/// Others that each look is compared with; in a crowd few of them are seen clearly.
const STRANGERS: usize = 4;
/// So many strange looks in a row make a track one that may have gone over to another object.
const LEAST_DOUBTS: u32 = 3;

/// Time since two tracks went over to each other, at most, when it is found out, seconds.
const DOUBT_SECS: f64 = 3.0;

/// What is known about looks, and the objects that only a look can bring back.
#[derive(Debug, Default)]
pub struct Appearance {
    likeness: Likeness,
    /// Whether any detection of this step carries a look; without, nothing here is ever done.
    is_shown: bool,
    /// Detections that take part in this step.
    considered: Vec<u32>,
    /// Tracks and the detections they were given in this step.
    matched: Vec<(u32, u32)>,
    /// Detections that more than one track could have had.
    contested: Vec<bool>,
    /// Objects lost for longer than places are predicted, in the order in which they were.
    pub dormant: Vec<Track>,
    steps: usize,
    scratch: Scratch,
}

/// Best and second best gain of each row and column.
#[derive(Debug, Default)]
struct Scratch {
    rows: Vec<[i32; 2]>,
    cols: Vec<[i32; 2]>,
}

/// A lost object that a new track turns out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Find {
    /// Place of the new track.
    pub fresh: usize,
    /// Where the lost one is.
    pub lost: Lost,
}

/// Where a lost object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// At this place among the living tracks.
    Living(usize),
    /// At this place among the dormant ones.
    Dormant(usize),
}

impl Appearance {
    /// What similarities mean here, and how many steps were taken.
    pub fn learnt(&self) -> (&Likeness, usize) {
        (&self.likeness, self.steps)
    }

    /// Goes on with what was learnt before, and with these objects to be found by their looks.
    pub fn go_on(&mut self, likeness: Likeness, steps: usize, dormant: Vec<Track>) {
        (self.likeness, self.steps, self.dormant) = (likeness, steps, dormant);
    }

    /// Begins a step with the detections that take part.
    pub fn begin(&mut self, detections: &[Detection], taking_part: &[u32]) {
        self.considered.clear();
        self.matched.clear();
        self.contested.clear();
        self.steps = self.steps.wrapping_add(1);
        self.is_shown = taking_part
            .iter()
            .any(|&index| detections[index as usize].embedding.is_some());
        if self.is_shown {
            self.considered.extend(taking_part);
            self.contested.resize(detections.len(), false);
        }
    }

    /// Changes the gains of contested pairs, and of pairs of tracks that return, by what their looks
    /// say. Of returning tracks, pairs that are worth nothing then are taken out.
    ///
    /// `rows` are indices of tracks, `columns` of detections.
    pub fn weigh(
        &mut self,
        pairs: &mut Vec<Pair>,
        (rows, columns): (&[u32], &[u32]),
        tracks: &[Track],
        detections: &[Detection],
    ) {
        if !self.is_shown {
            return;
        }
        self.rank(pairs, rows.len(), columns.len());
        let is_contested = |best: &[i32; 2]| {
            let margin = (CONTESTED * MILLION) as i32;
            best[1] > 0 && best[0] - best[1] < margin
        };
        for (col, best) in self.scratch.cols.iter().enumerate() {
            self.contested[columns[col] as usize] |= is_contested(best);
        }
        let weight = WEIGHT * self.likeness.trust();
        if weight <= 0.0 {
            return;
        }
        pairs.retain_mut(|pair| {
            let (row, col) = (pair.row as usize, pair.col as usize);
            let (track, index) = (&tracks[rows[row] as usize], columns[col] as usize);
            let returns = track.unseen_secs > RETURN_SECS;
            let contested =
                is_contested(&self.scratch.rows[row]) || is_contested(&self.scratch.cols[col]);
            if !returns && !contested {
                return true;
            }
            let detection = &detections[index];
            let similarity = track
                .look
                .as_ref()
                .zip(detection.embedding.as_ref())
                .and_then(|(gallery, look)| gallery.similarity(look));
            let Some(similarity) = similarity else {
                return true;
            };
            // Of several, the better look is the better choice even half hidden; alone, a half hidden
            // one is no reason to doubt a return.
            let clean = if contested {
                1.0
            } else {
                1.0 - covered(&detection.bbox, index, detections, &self.considered)
            };
            let change = weight * clean * self.likeness.evidence(similarity);
            pair.gain = pair.gain.saturating_add((change * MILLION) as i32);
            if pair.gain <= 0 && !returns {
                pair.gain = 1;
            }
            pair.gain > 0
        });
    }

    fn rank(&mut self, pairs: &[Pair], rows: usize, cols: usize) {
        for (best, count) in [
            (&mut self.scratch.rows, rows),
            (&mut self.scratch.cols, cols),
        ] {
            best.clear();
            best.resize(count, [0; 2]);
        }
        let place = |best: &mut [i32; 2], gain: i32| {
            if gain > best[0] {
                *best = [gain, best[0]];
            } else if gain > best[1] {
                best[1] = gain;
            }
        };
        for pair in pairs {
            place(&mut self.scratch.rows[pair.row as usize], pair.gain);
            place(&mut self.scratch.cols[pair.col as usize], pair.gain);
        }
    }

    /// Notes that `track` was given `detection`, both by index.
    pub fn note(&mut self, track: u32, detection: u32) {
        if self.is_shown {
            self.matched.push((track, detection));
        }
    }

    /// Takes looks of the tracks that were seen clearly, and learns from them what similarities mean.
    pub fn learn(&mut self, tracks: &mut [Track], detections: &[Detection], pts: Pts) {
        let count = self.matched.len();
        for (number, &(track, index)) in self.matched.iter().enumerate() {
            let (track, index) = (track as usize, index as usize);
            let detection = &detections[index];
            let Some(look) = &detection.embedding else {
                continue;
            };
            let is_due = tracks[track].is_look_due(pts) || !tracks[track].is_confirmed();
            if !is_due || covered(&detection.bbox, index, detections, &self.considered) > CLEAN {
                continue;
            }
            // Whose look a contested one is, is not known; new tracks have nothing to lose.
            if tracks[track].is_confirmed() && self.contested[index] {
                continue;
            }
            let is_known = tracks[track].is_confirmed();
            let mut strange = None;
            if let (true, Some(gallery)) = (is_known, &tracks[track].look) {
                if let Some(similarity) = gallery.similarity(look) {
                    if gallery.looks() >= LEAST_LOOKS && self.likeness.is_strange(similarity) {
                        strange = Some(similarity);
                    } else {
                        self.likeness.add_same(similarity);
                    }
                }
                // Others each time, so that everybody meets everybody.
                for offset in 0..STRANGERS.min(count.saturating_sub(1)) {
                    let other = (number + 1 + (self.steps + offset) % (count - 1)) % count;
                    if let Some(similarity) =
                        self.stranger(gallery, track, other, tracks, detections)
                    {
                        self.likeness.add_different(similarity);
                    }
                }
            }
            let track = &mut tracks[track];
            let settled = match strange {
                Some(similarity) => track.doubt_look(look, similarity, pts),
                None => track.take_look(look, pts),
            };
            settled
                .into_iter()
                .for_each(|similarity| self.likeness.add_same(similarity));
        }
    }

    /// Similarity of a gallery to the look of match number `other`, if that is clearly another object
    /// of the same class.
    fn stranger(
        &self,
        gallery: &Gallery,
        track: usize,
        other: usize,
        tracks: &[Track],
        detections: &[Detection],
    ) -> Option<f32> {
        let (other, index) = self.matched[other];
        let (other, index) = (&tracks[other as usize], index as usize);
        let detection = &detections[index];
        let is_stranger = other.is_confirmed()
            && other.class.winner() == tracks[track].class.winner()
            && covered(&detection.bbox, index, detections, &self.considered) <= CLEAN;
        gallery
            .similarity(detection.embedding.as_ref()?)
            .filter(|_| is_stranger)
    }

    /// Whether a track can be told by its look.
    pub fn knows(&self, track: &Track) -> bool {
        let looks = track.look.as_ref().map_or(0, |gallery| gallery.looks());
        looks >= LEAST_LOOKS && self.likeness.is_sure()
    }

    /// Whether a track that is forgotten by its place can still be found by its look.
    pub fn keeps(&self, track: &Track, options: &TrackOptions) -> bool {
        track.is_confirmed()
            && self.knows(track)
            && options.max_dormant > 0
            && track.unseen_secs <= options.lost_with_appearance.as_secs_f64()
    }

    /// Lost objects that tracks about to be believed turn out to be, each at most once, the most alike
    /// first.
    pub fn finds(&self, tracks: &[Track], is_fresh: impl Fn(&Track) -> bool) -> Vec<Find> {
        if !self.likeness.is_sure() {
            return Vec::new();
        }
        let mut finds: Vec<(f32, Find)> = tracks
            .iter()
            .enumerate()
            .filter(|(_, track)| is_fresh(track))
            .filter_map(|(fresh, track)| self.find(fresh, track, tracks))
            .collect();
        finds.sort_by(|a, b| {
            let by_similarity = b.0.total_cmp(&a.0);
            by_similarity.then(a.1.fresh.cmp(&b.1.fresh))
        });
        let mut taken = Vec::new();
        let finds = finds.into_iter().map(|(_, find)| find);
        let first = |find: &Find| {
            let is_first = !taken.contains(&find.lost);
            taken.push(find.lost);
            is_first
        };
        finds.filter(first).collect()
    }

    /// Tracks whose looks of late are not theirs, with the objects that they turn out to be on; each
    /// object at most once, the most alike first.
    pub fn mistaken(&self, tracks: &[Track]) -> Vec<Find> {
        let is_mistaken = |track: &Track| {
            let doubts = track
                .doubt
                .as_ref()
                .map_or(0, |doubt| doubt.looks().looks());
            track.is_seen && doubts >= LEAST_DOUBTS
        };
        self.finds(tracks, is_mistaken)
    }

    fn find(&self, fresh: usize, track: &Track, tracks: &[Track]) -> Option<(f32, Find)> {
        let look = match (&track.doubt, &track.look) {
            (Some(doubt), _) => doubt.looks().mean(),
            (None, looks) => looks.as_ref()?.mean(),
        };
        // Two that went over to each other are both seen.
        let is_missing =
            |lost: &Track| !lost.is_seen || (track.doubt.is_some() && lost.doubt.is_some());
        let living = tracks
            .iter()
            .enumerate()
            .filter(|(index, lost)| *index != fresh && lost.is_confirmed() && is_missing(lost))
            .map(|(index, lost)| (Lost::Living(index), lost));
        let dormant = self
            .dormant
            .iter()
            .enumerate()
            .map(|(index, lost)| (Lost::Dormant(index), lost));
        let (mut count, mut best, mut second) = (0, None, f32::MIN);
        for (place, lost) in living.chain(dormant) {
            if !may_be(lost, track) {
                continue;
            }
            let gallery = lost.look.as_ref();
            let Some(similarity) = gallery.and_then(|gallery| gallery.similarity(look)) else {
                continue;
            };
            count += 1;
            match best {
                Some((_, most)) if similarity <= most => second = second.max(similarity),
                _ => {
                    second = best.map_or(second, |(_, most): (Lost, f32)| most.max(second));
                    best = Some((place, similarity));
                }
            }
        }
        let (lost, similarity) = best?;
        let is_find = similarity - second >= LEAD && self.likeness.is_find(similarity, count);
        is_find.then_some((similarity, Find { fresh, lost }))
    }
}

/// Whether class, size and distance allow that a new track is a lost object.
fn may_be(lost: &Track, fresh: &Track) -> bool {
    let (from, to) = (&lost.bbox, &fresh.bbox);
    let looks = lost.look.as_ref().map_or(0, |gallery| gallery.looks());
    let apart_secs = if fresh.doubt.is_some() {
        lost.unseen_secs + DOUBT_SECS
    } else {
        lost.unseen_secs
    };
    let reach = (REACH[0] + REACH[1] * apart_secs as f32) * from.height().max(to.height());
    looks >= LEAST_LOOKS
        && lost.class.share(fresh.class.winner()) > 0.0
        && agreement(from.height(), to.height()) >= LEAST_SIZE_RATIO
        && agreement(from.width(), to.width()) >= LEAST_SIZE_RATIO
        && (from.cx() - to.cx()).hypot(from.cy() - to.cy()) <= reach
}

/// Largest part of a detection's box that one other detection covers, 0..=1.
fn covered(bbox: &BBox, index: usize, detections: &[Detection], considered: &[u32]) -> f32 {
    let others = considered.iter().filter(|&&other| other as usize != index);
    others
        .map(|&other| bbox.intersection(&detections[other as usize].bbox))
        .fold(0.0, f32::max)
        / bbox.area()
}
