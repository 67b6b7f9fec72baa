//! One camera's way from run to run: the time that goes on, and what is left for the file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::file::CameraState;
use super::writer::Desk;
use crate::base::{
    CameraId, EndedTrack, Event, Frame, FrameMeta, Metrics, PathPoint, Pts, RunId, Size,
    TrackSnapshot, UtcNanos, utc_now,
};
use crate::perception::track::{Absence, Tracker};
use crate::perception::zones::Zones;

/// After an event a state is left this soon, so that a kill takes little with it.
const SOON: Duration = Duration::from_millis(500);

/// How often a state is left, and how long objects are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    pub every: Duration,
    pub absence: Absence,
}

/// Carries one camera's tracker and zones over the ends of its runs. Owned by the `track` thread.
///
/// PTS begin anew with every run. Tracker and zones are told *scene time* instead: PTS in the first run
/// there ever was, and from then on the last frame's time, plus how long the clock of this machine says
/// that nobody watched, plus PTS. Nothing of it is published: results and events hold times of their run.
#[derive(Debug)]
pub struct Past {
    camera: CameraId,
    /// What the state belongs to: the source, the model.
    prints: [[u8; 32]; 2],
    reach: Reach,
    desk: Desk,
    metrics: Arc<Metrics>,
    /// Scene time less PTS, ns.
    offset_ns: i128,
    run: Option<RunId>,
    /// The run is over, and the next has not begun.
    is_between_runs: bool,
    last: Option<LastFrame>,
    /// The last run of before the restart.
    run_before: u32,
    /// Tracks that have ended since their run did, to be told with the next frame.
    ended: Vec<EndedTrack>,
    left: Option<Instant>,
    /// Something happened that the last state left does not know.
    is_news: bool,
    /// The next run shows another place.
    is_elsewhere: bool,
    gone_on: u64,
}

#[derive(Debug, Clone, Copy)]
struct LastFrame {
    scene: Pts,
    size: Size,
    arrived: Arrived,
}

/// When a frame arrived.
#[derive(Debug, Clone, Copy)]
enum Arrived {
    /// In this process.
    Now(Instant),
    /// In the one before.
    Before(UtcNanos),
}

/// What the step into a new run made of tracks and zones.
#[derive(Debug, Default)]
pub struct Entered {
    /// Tracks that do not go on, in id order.
    pub ended: Vec<EndedTrack>,
    /// What that means to zones and lines, with times of the new run.
    pub events: Vec<Event>,
}

impl Past {
    pub(super) fn new(
        camera: CameraId,
        prints: [[u8; 32]; 2],
        reach: Reach,
        desk: Desk,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            camera,
            prints,
            reach,
            desk,
            metrics,
            offset_ns: 0,
            run: None,
            is_between_runs: false,
            last: None,
            run_before: 0,
            ended: Vec::new(),
            left: None,
            is_news: false,
            is_elsewhere: false,
            gone_on: 0,
        }
    }

    /// Goes on after a restart.
    pub(super) fn begin_after(&mut self, state: &CameraState) {
        self.run_before = state.run;
        self.last = Some(LastFrame {
            scene: state.scene,
            size: state.size,
            arrived: Arrived::Before(state.arrived),
        });
    }

    /// The next run is of this source. Of another than so far nothing goes on but counts and numbers.
    pub fn move_to(&mut self, source: &str) {
        let print: [u8; 32] = Sha256::digest(source).into();
        self.is_elsewhere |= print != self.prints[0];
        self.prints[0] = print;
    }

    /// To be told of every frame before anything else is done with it. With the first of a run, tracker
    /// and zones go on from the run before as far as they may.
    pub fn enter(
        &mut self,
        frame: &Frame,
        tracker: &mut Tracker,
        zones: Option<&mut Zones>,
    ) -> Entered {
        let meta = &frame.meta;
        let mut entered = Entered::default();
        self.is_between_runs = false;
        if self.run.replace(meta.run) != Some(meta.run) {
            self.is_news = true;
            entered.ended = std::mem::take(&mut self.ended);
            if let Some(last) = self.last {
                self.go_on(last, frame, tracker, zones, &mut entered);
            }
        }
        self.last = Some(LastFrame {
            scene: self.scene(meta.pts),
            size: meta.size,
            arrived: Arrived::Now(frame.arrived),
        });
        entered
    }

    fn go_on(
        &mut self,
        last: LastFrame,
        frame: &Frame,
        tracker: &mut Tracker,
        zones: Option<&mut Zones>,
        entered: &mut Entered,
    ) {
        let meta = &frame.meta;
        let absence = &self.reach.absence;
        // A clock that was set back says nothing; so long, then, that nothing goes on.
        let too_long = absence.standing + Duration::from_secs(1);
        let gap = last.gap_until(frame).unwrap_or(too_long);
        let scene = i128::from(last.scene.0) + i128::try_from(gap.as_nanos()).unwrap_or(0);
        self.offset_ns = scene - i128::from(meta.pts.0);
        let first = self.in_scene_time(meta);
        // Pixels of another size are other places.
        let is_same_picture = last.size == meta.size && !std::mem::take(&mut self.is_elsewhere);
        let ended = if is_same_picture {
            tracker.pass_absence(first.pts, absence)
        } else {
            tracker.end_run()
        };
        let events = match zones {
            Some(zones) if is_same_picture => zones.pass_absence(&first, gap.as_secs_f64(), &ended),
            Some(zones) => zones.end_at(&first),
            None => Vec::new(),
        };
        tracing::debug!(camera = %self.camera, run = meta.run.0, gap_secs = gap.as_secs_f64(), ended = ended.len(), "a new run goes on from the one before");
        entered.ended.extend(ended);
        entered.ended.sort_unstable_by_key(|track| track.id);
        entered.events = events;
        self.in_run_time(&mut [], &mut entered.events);
    }

    /// Scene time of a frame of this run.
    #[must_use]
    pub fn scene(&self, pts: Pts) -> Pts {
        let scene = i128::from(pts.0) + self.offset_ns;
        Pts(u64::try_from(scene).unwrap_or(0))
    }

    /// The frame as zones are told of it.
    #[must_use]
    pub fn in_scene_time(&self, meta: &FrameMeta) -> FrameMeta {
        FrameMeta {
            pts: self.scene(meta.pts),
            ..meta.clone()
        }
    }

    /// Brings tracks and events back to the time of their run, as they are published. What lies before
    /// the run has no time there: how long a track was known before is kept beside, of the way of an
    /// object only what belongs to the run is told.
    pub fn in_run_time(&self, tracks: &mut [TrackSnapshot], events: &mut [Event]) {
        if self.offset_ns == 0 {
            return;
        }
        for track in tracks {
            let before = self.before_run_ns(track.first_seen);
            track.before_run = Duration::from_nanos(before);
            track.first_seen = self.run_time(track.first_seen);
            track.last_seen = self.run_time(track.last_seen);
        }
        for event in events {
            event.frame.pts = self.run_time(event.frame.pts);
            if let Some(object) = &mut event.object {
                self.path_in_run_time(&mut object.path);
            }
        }
    }

    fn path_in_run_time(&self, path: &mut Vec<PathPoint>) {
        let newest = path.last().copied();
        path.retain(|point| self.before_run_ns(point.pts) == 0);
        if path.is_empty() {
            path.extend(newest);
        }
        for point in path {
            point.pts = self.run_time(point.pts);
        }
    }

    fn run_time(&self, scene: Pts) -> Pts {
        let pts = i128::from(scene.0) - self.offset_ns;
        Pts(u64::try_from(pts.max(0)).unwrap_or(u64::MAX))
    }

    /// How far a scene time lies before the run, ns.
    fn before_run_ns(&self, scene: Pts) -> u64 {
        let before = self.offset_ns - i128::from(scene.0);
        u64::try_from(before.max(0)).unwrap_or(u64::MAX)
    }

    /// To be told after every frame, with what came of it.
    pub fn keep(&mut self, has_events: bool, tracker: &Tracker, zones: Option<&Zones>) {
        let gone_on = tracker.gone_on();
        if gone_on > self.gone_on {
            let tracks = gone_on - self.gone_on;
            self.metrics.state().continued(&self.camera, tracks);
            self.gone_on = gone_on;
        }
        self.is_news |= has_events;
        let since = self.left.map(|left| left.elapsed());
        let is_due = match since {
            None => self.is_news || tracker.follows_any(),
            Some(since) => {
                self.is_news && since >= SOON || since >= self.reach.every && tracker.follows_any()
            }
        };
        if is_due {
            self.leave(tracker, zones);
        }
    }

    /// The run is over.
    pub fn end_run(&mut self, tracker: &Tracker, zones: Option<&Zones>) {
        self.is_between_runs = true;
        self.leave(tracker, zones);
    }

    /// Nobody has watched for longer than anything is waited for: what was followed ends. Gives what that
    /// means to zones and lines, told of the last frame that was seen.
    pub fn give_up(&mut self, tracker: &mut Tracker, zones: Option<&mut Zones>) -> Vec<Event> {
        // News that no later frame took along.
        if self.is_news && self.left.is_none_or(|left| left.elapsed() >= SOON) {
            self.leave(tracker, zones.as_deref());
        }
        let waited = match self.last.map(|last| last.arrived) {
            Some(Arrived::Now(arrived)) if self.is_between_runs => arrived.elapsed(),
            _ => return Vec::new(),
        };
        if waited <= self.reach.absence.standing || !tracker.follows_any() {
            return Vec::new();
        }
        self.ended.extend(tracker.end_run());
        let (mut events, zones) = match zones {
            Some(zones) => (zones.end_run(), Some(&*zones)),
            None => (Vec::new(), None),
        };
        self.in_run_time(&mut [], &mut events);
        self.leave(tracker, zones);
        events
    }

    fn leave(&mut self, tracker: &Tracker, zones: Option<&Zones>) {
        let Some(last) = self.last else { return };
        let [source, model] = self.prints;
        let state = CameraState {
            camera: self.camera.to_string(),
            source,
            model,
            run: self.run.map_or(self.run_before, |run| run.0),
            arrived: last.utc(),
            scene: last.scene,
            size: last.size,
            tracker: tracker.state(),
            zones: zones.map(Zones::state),
        };
        self.desk.leave(&self.camera, state);
        self.left = Some(Instant::now());
        self.is_news = false;
    }
}

impl LastFrame {
    /// Time until `frame` arrived, by the clocks of this machine: those of cameras may be wrong, and then
    /// be put right. `None` if the clock was set back.
    fn gap_until(&self, frame: &Frame) -> Option<Duration> {
        match self.arrived {
            Arrived::Now(arrived) => Some(frame.arrived.saturating_duration_since(arrived)),
            Arrived::Before(utc) => {
                let gap_ns = utc_of(frame.arrived).0.checked_sub(utc.0)?;
                u64::try_from(gap_ns).ok().map(Duration::from_nanos)
            }
        }
    }

    fn utc(&self) -> UtcNanos {
        match self.arrived {
            Arrived::Now(arrived) => utc_of(arrived),
            Arrived::Before(utc) => utc,
        }
    }
}

/// The wall clock at a moment that is not long ago.
fn utc_of(moment: Instant) -> UtcNanos {
    let since = i64::try_from(moment.elapsed().as_nanos()).unwrap_or(0);
    UtcNanos(utc_now().0.saturating_sub(since))
}
