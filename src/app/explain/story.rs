//! The life of one track: the frames in which something was decided, the boring ones left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::verdict::{Breakdown, Name, Verdict, shown};
use crate::sinks::publish::{
    ChangeEntry, DecisionFrame, DecisionLine, NameEntry, RefusedWhy, TrackEntry,
};

/// A box that was given by less than this affinity over what else there was is a close call.
const CLOSE: f64 = 0.15;
/// Close calls this many frames apart are told as one.
const SAME_CALL_FRAMES: u64 = 15;
/// A track that begins with at least this IoU on a place where this one was expected may be its object.
const SPLIT_IOU: f64 = 0.1;

/// What kind of moment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentKind {
    /// Started by a detection.
    Born,
    /// Believed, and given its id.
    Confirmed,
    /// A lost object was recognised in a new track.
    FoundAgain,
    /// Given its detection by little.
    Close,
    /// Not seen.
    Coasted,
    /// Seen again.
    Recovered,
    /// Another track began where this one was expected.
    Split,
    /// Another track ended as a duplicate of this one.
    Merged,
    /// Identities were exchanged.
    Exchanged,
    /// Remembered by its look alone.
    Dormant,
    /// Over.
    Ended,
    /// Still there where the log ends.
    Alive,
}

impl MomentKind {
    /// The word in the timeline.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Born => "born",
            Self::Confirmed => "confirmed",
            Self::FoundAgain => "found again",
            Self::Close => "close call",
            Self::Coasted => "coasted",
            Self::Recovered => "recovered",
            Self::Split => "split?",
            Self::Merged => "merged",
            Self::Exchanged => "exchanged",
            Self::Dormant => "dormant",
            Self::Ended => "ended",
            Self::Alive => "alive",
        }
    }
}

/// Something that happened to a track.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// What kind of thing.
    pub kind: MomentKind,
    /// First frame.
    pub frame: u64,
    /// Last frame.
    pub to_frame: u64,
    /// Stream time of the first frame, ns since the run began.
    pub pts_ns: u64,
    /// The frame that shows it best.
    pub best_frame: u64,
    /// Where the track was or was expected then: left, top, right, bottom, px.
    pub box_px: Option<[f64; 4]>,
    /// In words.
    pub text: String,
}

/// A stretch of frames that becomes one moment.
#[derive(Debug)]
struct Stretch {
    moment: Moment,
    frames: u64,
    last_pts_ns: u64,
    /// Of close calls the smallest margin, of misses the best affinity.
    best: f64,
    reasons: BTreeMap<&'static str, u64>,
}

/// A birth that may become the track, or take its object.
#[derive(Debug)]
struct Birth {
    moment: Moment,
    /// Set where the track was expected there.
    split: Option<String>,
}

/// Gathers the moments of one track, line by line.
#[derive(Debug)]
pub(super) struct Story {
    id: u64,
    pub moments: Vec<Moment>,
    pub frames: u64,
    /// Every id there was.
    pub ids: BTreeSet<u64>,
    /// The number of the recording's first frame.
    pub first_frame: Option<u64>,
    last_frame: Option<u64>,
    last_pts_ns: u64,
    /// Living births without id.
    births: BTreeMap<u64, Birth>,
    close: Option<Stretch>,
    coast: Option<Stretch>,
    is_alive: bool,
}

impl Story {
    pub fn new(id: u64) -> Self {
        Self {
            id,
            moments: Vec::new(),
            frames: 0,
            ids: BTreeSet::new(),
            first_frame: None,
            last_frame: None,
            last_pts_ns: 0,
            births: BTreeMap::new(),
            close: None,
            coast: None,
            is_alive: false,
        }
    }

    /// Whether the line begins another recording appended to this one.
    pub fn is_over_before(&self, line: &DecisionLine) -> bool {
        match line {
            DecisionLine::Frame(frame) => self.last_frame.is_some_and(|last| frame.frame <= last),
            DecisionLine::RunEnd(_) => false,
        }
    }

    pub fn add(&mut self, line: &DecisionLine) {
        match line {
            DecisionLine::Frame(frame) => self.add_frame(frame),
            DecisionLine::RunEnd(end) => {
                if end.ended.contains(&self.id) {
                    self.close_stretches();
                    let text = "the run ended".to_owned();
                    let at = self.last_frame.unwrap_or_default();
                    self.push(moment(MomentKind::Ended, at, self.last_pts_ns, None, text));
                    self.is_alive = false;
                }
                self.births.clear();
            }
        }
    }

    /// The moments in order, once every line was added.
    pub fn finish(mut self) -> Self {
        self.close_stretches();
        if self.is_alive {
            let text = "it still lives where the log ends".to_owned();
            let at = self.last_frame.unwrap_or_default();
            self.push(moment(MomentKind::Alive, at, self.last_pts_ns, None, text));
        }
        self.moments.sort_by_key(|moment| moment.frame);
        self
    }

    fn add_frame(&mut self, frame: &DecisionFrame) {
        self.frames += 1;
        let own = NameEntry::Id(self.id);
        let entry = frame.tracks.iter().find(|entry| entry.name == own);
        if let Some(entry) = entry {
            self.add_entry(entry, frame);
        }
        self.add_births(entry, frame);
        for change in &frame.changes {
            self.add_change(change, entry, frame);
        }
        self.first_frame.get_or_insert(frame.frame);
        self.last_frame = Some(frame.frame);
        self.last_pts_ns = frame.pts_ns;
    }

    fn add_entry(&mut self, entry: &TrackEntry, frame: &DecisionFrame) {
        self.is_alive = true;
        let gate = frame.limits.gate;
        let verdict = Verdict::of(entry, frame);
        let Verdict::Given { bid, .. } = &verdict else {
            return self.add_miss(entry, &verdict, frame);
        };
        let place = box_of(frame, bid.place);
        if let Some(coast) = self.coast.take() {
            self.moments.push(coast.told());
            let secs = entry.unseen_secs.unwrap_or_default();
            let text = format!("after {secs:.2} s: {}", verdict.text(frame, gate));
            self.push(at(MomentKind::Recovered, frame, place, text));
            return;
        }
        let margin = verdict.margin(gate).unwrap_or(f64::MAX);
        if margin >= CLOSE {
            return;
        }
        let text = verdict.text(frame, gate);
        let is_same = |close: &Stretch| frame.frame - close.moment.to_frame <= SAME_CALL_FRAMES;
        if !self.close.as_ref().is_some_and(is_same) {
            let earlier = self.close.take();
            self.moments.extend(earlier.map(Stretch::told));
        }
        let moment = at(MomentKind::Close, frame, place, text.clone());
        let close = self
            .close
            .get_or_insert_with(|| Stretch::new(moment, f64::MAX));
        close.add(frame);
        if margin < close.best {
            close.best = margin;
            close.show(frame, place, text);
        }
    }

    fn add_miss(&mut self, entry: &TrackEntry, verdict: &Verdict, frame: &DecisionFrame) {
        let (reason, affinity) = match verdict {
            Verdict::Outbid { bid, .. } => ("taken by another track", bid.affinity),
            Verdict::Refused { refused, .. } => {
                let reason = match refused.why {
                    RefusedWhy::Apart => "no box overlaps",
                    RefusedWhy::Taken => "taken by another track",
                    RefusedWhy::Weak => "too weak a box",
                    RefusedWhy::Gate => "below the gate",
                    RefusedWhy::Look => "looks like another",
                };
                // What overlaps tells more than what is near.
                (reason, refused.parts.total() + 2.0 * refused.iou - 2.0)
            }
            Verdict::Alone | Verdict::Given { .. } => ("no box near", f64::MIN),
        };
        let text = verdict.text(frame, frame.limits.gate);
        let moment = at(MomentKind::Coasted, frame, entry.at, text.clone());
        let coast = self
            .coast
            .get_or_insert_with(|| Stretch::new(moment, f64::MIN));
        coast.add(frame);
        *coast.reasons.entry(reason).or_default() += 1;
        if affinity > coast.best {
            coast.best = affinity;
            coast.show(frame, entry.at, text);
        }
    }

    fn add_births(&mut self, entry: Option<&TrackEntry>, frame: &DecisionFrame) {
        for &(birth, place) in &frame.births {
            let bbox = box_of(frame, place);
            let text = format!(
                "{} was nobody's; from {:.2} on one starts a track",
                shown(frame, place),
                frame.limits.new
            );
            let expected = entry.and_then(|entry| entry.at).zip(bbox);
            let overlap = expected.map_or(0.0, |(at, bbox)| iou(&at, &bbox));
            let split = (overlap >= SPLIT_IOU).then(|| {
                let refused = entry.and_then(|entry| entry.refused.as_ref());
                let why = match refused.filter(|refused| refused.r#box == place) {
                    Some(refused) => format!(
                        "its affinity was {:.2} = {}",
                        refused.parts.total(),
                        Breakdown(&refused.parts)
                    ),
                    None => "it was not the nearest box".to_owned(),
                };
                format!(
                    "began on {}, IoU {overlap:.2} with where this one was expected; {why}",
                    shown(frame, place)
                )
            });
            let moment = at(MomentKind::Born, frame, bbox, text);
            self.births.insert(birth, Birth { moment, split });
        }
    }

    fn add_change(
        &mut self,
        change: &ChangeEntry,
        entry: Option<&TrackEntry>,
        frame: &DecisionFrame,
    ) {
        let place = entry.and_then(|entry| place_of(entry, frame));
        match change {
            ChangeEntry::Confirmed { new, id } => self.confirmed(*new, *id, frame),
            ChangeEntry::Dropped { new } => {
                self.births.remove(new);
            }
            ChangeEntry::FoundAgain { new, id } => {
                let birth = self.births.remove(new);
                if *id == self.id {
                    self.close_stretches();
                    let mut text = "a new track is it and goes on as it".to_owned();
                    if let Some(birth) = birth {
                        text += &format!(" (begun in frame {})", birth.moment.frame);
                    }
                    self.push(at(MomentKind::FoundAgain, frame, place, text));
                    self.is_alive = true;
                }
            }
            ChangeEntry::Exchanged { id, with } if [*id, *with].contains(&self.id) => {
                let other = if *id == self.id { with } else { id };
                let text = format!("with #{other}: their looks told that they had swapped objects");
                self.push(at(MomentKind::Exchanged, frame, place, text));
            }
            ChangeEntry::Dormant { id } if *id == self.id => {
                self.close_stretches();
                let text = format!(
                    "unseen for over {:.1} s; only its look can bring it back",
                    frame.limits.memory_secs
                );
                self.push(at(MomentKind::Dormant, frame, place, text));
            }
            ChangeEntry::Ended { id, reason, of } if *id == self.id => {
                self.close_stretches();
                let text = match (reason.as_str(), of) {
                    ("duplicate", Some(of)) => {
                        format!("as a duplicate: not seen, and #{of}, which is, covers it")
                    }
                    ("lost", _) => format!(
                        "lost: not seen for longer than it is remembered ({:.1} s by its place)",
                        frame.limits.memory_secs
                    ),
                    (reason, _) => reason.to_owned(),
                };
                self.push(at(MomentKind::Ended, frame, place, text));
                self.is_alive = false;
            }
            ChangeEntry::Ended {
                id, of: Some(of), ..
            } if *of == self.id => {
                let text = format!("#{id} ended as a duplicate of this one");
                self.push(at(MomentKind::Merged, frame, place, text));
            }
            ChangeEntry::Exchanged { .. }
            | ChangeEntry::Dormant { .. }
            | ChangeEntry::Ended { .. } => {}
        }
    }

    fn confirmed(&mut self, birth: u64, id: u64, frame: &DecisionFrame) {
        self.ids.insert(id);
        let Some(Birth { moment, split }) = self.births.remove(&birth) else {
            return;
        };
        if id != self.id {
            if let Some(split) = split {
                let text = format!("#{id} {split}");
                let kind = MomentKind::Split;
                self.push(Moment {
                    kind,
                    text,
                    ..moment
                });
            }
            return;
        }
        self.is_alive = true;
        let own = NameEntry::New(birth);
        let entry = frame.tracks.iter().find(|entry| entry.name == own);
        self.push(moment);
        if let Some(entry) = entry {
            let text = Verdict::of(entry, frame).text(frame, frame.limits.tentative_gate);
            let place = place_of(entry, frame);
            self.push(at(MomentKind::Confirmed, frame, place, text));
        }
    }

    fn close_stretches(&mut self) {
        let open = [self.close.take(), self.coast.take()];
        self.moments
            .extend(open.into_iter().flatten().map(Stretch::told));
    }

    fn push(&mut self, moment: Moment) {
        self.moments.push(moment);
    }
}

impl Stretch {
    fn new(moment: Moment, best: f64) -> Self {
        Self {
            last_pts_ns: moment.pts_ns,
            moment,
            frames: 0,
            best,
            reasons: BTreeMap::new(),
        }
    }

    fn add(&mut self, frame: &DecisionFrame) {
        self.frames += 1;
        self.moment.to_frame = frame.frame;
        self.last_pts_ns = frame.pts_ns;
    }

    fn show(&mut self, frame: &DecisionFrame, place: Option<[f64; 4]>, text: String) {
        self.moment.best_frame = frame.frame;
        self.moment.box_px = place;
        self.moment.text = text;
    }

    fn told(self) -> Moment {
        let mut moment = self.moment;
        if self.frames == 1 {
            return moment;
        }
        let best = moment.best_frame;
        let intro = if moment.kind == MomentKind::Coasted {
            let reasons: Vec<String> = self
                .reasons
                .iter()
                .map(|(reason, count)| format!("{reason} in {count}"))
                .collect();
            format!("{} frames: {}; nearest in", self.frames, reasons.join(", "))
        } else {
            format!("{} frames; closest in", self.frames)
        };
        moment.text = format!("{intro} frame {best}: {}", moment.text);
        moment
    }
}

fn moment(
    kind: MomentKind,
    frame: u64,
    pts_ns: u64,
    box_px: Option<[f64; 4]>,
    text: String,
) -> Moment {
    Moment {
        kind,
        frame,
        to_frame: frame,
        pts_ns,
        best_frame: frame,
        box_px,
        text,
    }
}

fn at(kind: MomentKind, frame: &DecisionFrame, place: Option<[f64; 4]>, text: String) -> Moment {
    moment(kind, frame.frame, frame.pts_ns, place, text)
}

fn box_of(frame: &DecisionFrame, place: u32) -> Option<[f64; 4]> {
    let seen = frame.boxes.get(place as usize)?;
    Some([seen.0, seen.1, seen.2, seen.3])
}

fn place_of(entry: &TrackEntry, frame: &DecisionFrame) -> Option<[f64; 4]> {
    let given = entry.r#box.and_then(|place| box_of(frame, place));
    given.or(entry.at)
}

/// IoU of two boxes, left, top, right, bottom.
fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |one: &[f64; 4]| (one[2] - one[0]) * (one[3] - one[1]);
    let shared = width * height;
    let all = area(a) + area(b) - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

/// A frame in which the whole picture jumped, in words.
pub(super) fn camera_text(frame: &DecisionFrame) -> Option<String> {
    match (frame.camera_told, frame.camera_px) {
        (true, _) => Some("the motion of the picture was told".to_owned()),
        (_, Some([x, y])) => Some(format!("the whole picture jumped {x:.1},{y:.1} px")),
        _ => None,
    }
}

/// What became of identities, in words.
pub(super) fn change_text(change: &ChangeEntry) -> String {
    match change {
        ChangeEntry::Confirmed { new, id } => format!("new {new} is believed and becomes #{id}"),
        ChangeEntry::Dropped { new } => format!("new {new} was not seen again and is dropped"),
        ChangeEntry::FoundAgain { new, id } => {
            format!("new {new} is #{id} and goes on as it")
        }
        ChangeEntry::Exchanged { id, with } => {
            format!("#{id} and #{with} exchange identities, by their looks")
        }
        ChangeEntry::Dormant { id } => format!("#{id} is remembered by its look alone"),
        ChangeEntry::Ended { id, reason, of } => {
            let of = of.map_or_else(String::new, |of| format!(" of #{of}"));
            format!("#{id} ended: {reason}{of}")
        }
    }
}

/// The name a track has, for others to print.
pub(super) fn name_text(name: NameEntry) -> String {
    Name(name).to_string()
}
