//! Fills the clips of one camera from its ring, and describes them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::desk::{ClipDesk, Wanted};
use super::film::{Film, FilmEnd};
use super::sidecar::{self, Scenery, Told, with_pts};
use crate::base::{ClipLoss, FrameResult};
use crate::sinks::publish::frame_line;

/// Results that are remembered for the lines of clips, without their pictures: several minutes.
const MAX_RESULTS: usize = 20_000;

/// Bytes that may wait for the disk; then packets stay in the ring.
const MAX_WAITING: u64 = 32 * 1024 * 1024;

/// A camera that sends nothing for so long ends its clip.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// How long the results of the last pictures are waited for.
const RESULT_WAIT: Duration = Duration::from_secs(3);

/// How long a file may take to be finished.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long those who claim clips are waited for at the end.
const LAST_CLAIMS: Duration = Duration::from_secs(3);

/// How often the end of a file is looked for when everything ends.
const LAST_TICK: Duration = Duration::from_millis(20);

/// A clip on its way to the disk.
struct Open {
    clip: Wanted,
    film: Option<Film>,
    /// Number of the next packet.
    next: u64,
    fed: Instant,
    shortened: Vec<ClipLoss>,
    /// Set when no more packets come; the clip is off the desk then.
    closing: Option<Instant>,
}

/// Writes the clips of one camera; belongs to one thread.
pub struct ClipWriter {
    desk: Arc<ClipDesk>,
    classes: Arc<[String]>,
    scenery: Scenery,
    open: Vec<Open>,
    results: VecDeque<Arc<FrameResult>>,
}

impl ClipWriter {
    /// A writer for the clips of `desk`; `classes` are the model's names.
    #[must_use]
    pub fn new(desk: Arc<ClipDesk>, classes: Arc<[String]>, scenery: Scenery) -> Self {
        Self {
            desk,
            classes,
            scenery,
            open: Vec::new(),
            results: VecDeque::new(),
        }
    }

    /// From now on this is drawn over the pictures.
    pub fn show(&mut self, scenery: Scenery) {
        self.scenery = scenery;
    }

    /// Remembers a result for the lines of clips.
    pub fn note(&mut self, result: Arc<FrameResult>) {
        self.results.push_back(result);
        self.forget_results();
    }

    /// Moves on what has come: to be called several times a second.
    pub fn tick(&mut self) {
        let is_known = |name: &str| self.open.iter().any(|it| &*it.clip.name == name);
        for clip in self.desk.begun(is_known) {
            self.open.push(Open {
                next: clip.first,
                film: None,
                fed: Instant::now(),
                shortened: clip.is_cut.then_some(ClipLoss::Ring).into_iter().collect(),
                closing: None,
                clip,
            });
        }
        for open in &mut self.open {
            if open.closing.is_none() {
                feed(&self.desk, open);
            }
        }
        self.close_done(false);
    }

    /// Waits a moment for those who claim clips, then ends every clip with what there is.
    pub fn finish(mut self) {
        self.desk.wait_for_claims(LAST_CLAIMS);
        self.desk.close();
        self.tick();
        for open in &mut self.open {
            if open.closing.is_none() {
                end(&self.desk, open, Some(ClipLoss::Ended));
            }
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.open.is_empty() && Instant::now() < deadline {
            self.close_done(true);
            std::thread::sleep(LAST_TICK);
        }
    }

    /// Describes the clips whose files are complete; at the end without waiting for results.
    fn close_done(&mut self, is_last: bool) {
        let newest = self.results.back().and_then(|it| self.time_of(it));
        let mut open = Vec::new();
        for it in std::mem::take(&mut self.open) {
            let Some(since) = it.closing else {
                open.push(it);
                continue;
            };
            let has_results = newest.is_some_and(|(connection, time_ns)| {
                connection != it.clip.start.connection
                    || it.film.as_ref().is_none_or(|film| time_ns >= film.last_ns)
            });
            let is_late = since.elapsed() > CLOSE_TIMEOUT;
            let end = match &it.film {
                Some(film) => film.end(),
                None => Some(FilmEnd::Failed("the camera sent nothing".to_owned())),
            };
            let waits_for_results = !is_last && !has_results && since.elapsed() < RESULT_WAIT;
            if (end.is_none() && !is_late) || waits_for_results {
                open.push(it);
                continue;
            }
            self.describe(it, end);
        }
        self.open = open;
    }

    /// Writes what belongs to a clip, or removes one that holds nothing.
    fn describe(&mut self, open: Open, end: Option<FilmEnd>) {
        let (camera, path) = (self.desk.camera.clone(), open.clip.path.clone());
        let failure = match end {
            Some(FilmEnd::Done) => None,
            Some(FilmEnd::Failed(why)) => Some(why),
            None => Some("the file was not finished in time".to_owned()),
        };
        let mut shortened = open.shortened;
        if let Some(why) = failure {
            warn!(%camera, file = %path.display(), error = why, "clip ended early");
            shortened.push(ClipLoss::Failed);
        }
        let film = open
            .film
            .filter(|film| film.pictures > 0 && holds_something(&path));
        let Some(film) = film else {
            self.desk.forget(&open.clip.name);
            if let Err(error) = std::fs::remove_file(&path) {
                debug!(file = %path.display(), %error, "empty clip not removed");
            }
            let loss = shortened.last().copied().unwrap_or(ClipLoss::Failed);
            self.desk.metrics.clips().clip_missing(&camera, loss);
            return;
        };
        let (start, last_ns) = (open.clip.start, film.last_ns);
        let lines = self.results.iter().filter_map(|result| {
            let (connection, time_ns) = self.time_of(result)?;
            let is_in = connection == start.connection && time_ns <= last_ns;
            let pts_ns = time_ns.checked_sub(start.time_ns).filter(|_| is_in)?;
            Some(with_pts(&frame_line(result, &self.classes), pts_ns))
        });
        let told = Told {
            camera: &camera,
            start_pts_ns: self.desk.clock.pts_of(open.clip.run, start.time_ns),
            shortened: &shortened,
            scenery: &self.scenery,
        };
        let written = sidecar::write_lines(&path, lines)
            .and_then(|()| sidecar::write(&open.clip, &film, &told));
        if let Err(error) = written {
            warn!(%camera, file = %path.display(), %error, "a clip has no description");
        }
        for loss in &shortened {
            self.desk.metrics.clips().clip_shortened(&camera, *loss);
        }
        self.desk.metrics.clips().clip_made(&camera);
        info!(%camera, file = %path.display(), events = open.clip.events.len(),
            pictures = film.pictures, "clip written");
    }

    /// Connection and running time of a result's frame.
    fn time_of(&self, result: &FrameResult) -> Option<(u32, u64)> {
        let time = self.desk.clock.time_of(result.meta.run, result.meta.pts)?;
        Some((time.connection, time.time_ns))
    }

    /// Forgets results that no clip can want: older than the ring and every open clip.
    fn forget_results(&mut self) {
        let ring = self.desk.ring.oldest();
        let starts = self.open.iter().map(|it| it.clip.start);
        let wanted: Vec<_> = starts.chain(ring).collect();
        while let Some(first) = self.results.front() {
            let is_wanted = match self.time_of(first) {
                Some((connection, time_ns)) => wanted
                    .iter()
                    .any(|it| it.connection == connection && it.time_ns <= time_ns),
                None => false,
            };
            if is_wanted && self.results.len() <= MAX_RESULTS {
                return;
            }
            self.results.pop_front();
        }
    }
}

/// Hands to a clip what has come for it, and ends it if that is all.
fn feed(desk: &ClipDesk, open: &mut Open) {
    if !desk.room.is_for_recordings() {
        return end(desk, open, Some(ClipLoss::DiskLow));
    }
    if let Some(FilmEnd::Failed(_)) = open.film.as_ref().and_then(Film::end) {
        return end(desk, open, None);
    }
    if open
        .film
        .as_ref()
        .is_some_and(|film| film.waiting() > MAX_WAITING)
    {
        return;
    }
    let new = desk.ring.since(open.next);
    if new.has_gap {
        return end(desk, open, Some(ClipLoss::Slow));
    }
    for packet in new.packets {
        if packet.connection != open.clip.start.connection {
            return end(desk, open, Some(ClipLoss::Ended));
        }
        open.next = packet.number + 1;
        open.fed = Instant::now();
        let film = match &mut open.film {
            Some(film) => film,
            empty @ None => {
                let start_ns = open.clip.start.time_ns;
                match Film::begin(&open.clip.path, start_ns, &packet.format) {
                    Ok(film) => empty.insert(film),
                    Err(error) => {
                        warn!(camera = %desk.camera, file = %open.clip.path.display(), error,
                            "a clip cannot be begun");
                        return end(desk, open, Some(ClipLoss::Failed));
                    }
                }
            }
        };
        if film.push(&packet).is_err() {
            return end(desk, open, None);
        }
        // The desk knows how far it goes: an event may have joined.
        if packet.time_ns >= open.clip.until_ns
            && let Some(clip) = desk.take_done(&open.clip.name, packet.time_ns)
        {
            open.clip = clip;
            return end(desk, open, None);
        }
    }
    if open.fed.elapsed() > SILENT_AFTER {
        end(desk, open, Some(ClipLoss::Ended));
    }
}

/// No more packets go into a clip, and no more events.
fn end(desk: &ClipDesk, open: &mut Open, loss: Option<ClipLoss>) {
    if let Some(film) = &open.film {
        film.finish();
    }
    if let Some(clip) = desk.take(&open.clip.name) {
        open.clip = clip;
    }
    // What ended it does not matter where all is there.
    let has_all = open
        .film
        .as_ref()
        .is_some_and(|film| film.last_ns >= open.clip.until_ns);
    open.shortened.extend(loss.filter(|_| !has_all));
    open.closing = Some(Instant::now());
}

fn holds_something(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| it.len() > 0)
}
