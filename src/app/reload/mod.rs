//! The configuration while the daemon runs: read again, compared, tried, changed.
//!
//! A change touches the cameras that differ and no other. It is made as a whole or not at all: what is
//! new is opened and must give a frame before anything that runs is touched (docs/reload.md).

mod difference;
mod file;
mod watched;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use difference::Difference;
pub use file::ConfigFile;
pub use watched::Watched;

use super::check::{camera_faults, class_faults};
use super::config::{CameraConfig, Config, ConfigError};
use super::films::FilmMakers;
use super::pipeline::{CameraPlan, Candidate, Changes, PipelineError, ReaderChange, ReaderChanges};
use super::recorders::Recorders;
use super::signals::Hangup;
use super::{resolve, service};
use crate::base::{
    CameraId, ChangeOutcome, ConfigChanges, ConfigDesk, ConfigRefusal, ConfigText, DiskRoom,
    Metrics, PasswordFile, Secret, Stop, redact_text,
};
use crate::sinks::retention::CameraLimits;

/// How often it is looked whether a signal has come.
const TICK: Duration = Duration::from_millis(100);

/// What the daemon was started with.
#[derive(Debug)]
struct Started {
    config: Config,
    table: toml::Table,
}

/// What a [`Desk`] is made of.
#[derive(Debug)]
pub struct DeskParts {
    /// The file that the daemon was started with.
    pub file: ConfigFile,
    /// What was in it then.
    pub config: Config,
    /// As text.
    pub text: String,
    /// Changes the cameras.
    pub changes: Changes,
    /// Records them.
    pub recorders: Arc<Recorders>,
    /// Makes clips of their events.
    pub films: Arc<FilmMakers>,
    /// How long what is stored of them is kept.
    pub limits: CameraLimits,
    /// Who is watched, for readiness and the watchdog.
    pub watched: Watched,
    /// Names of the model's classes.
    pub classes: Arc<[String]>,
    /// Name of the model.
    pub model: String,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The room on the disk, for raw recordings.
    pub room: Arc<DiskRoom>,
}

/// Changes the configuration of a running daemon, one change after the other.
#[derive(Debug)]
pub struct Desk {
    file: ConfigFile,
    started: Started,
    state: Mutex<State>,
    changes: Changes,
    recorders: Arc<Recorders>,
    films: Arc<FilmMakers>,
    limits: CameraLimits,
    watched: Watched,
    classes: Arc<[String]>,
    model: String,
    metrics: Arc<Metrics>,
    room: Arc<DiskRoom>,
}

#[derive(Debug)]
struct State {
    /// What runs: the cameras as they are watched, everything else as at the start.
    running: Config,
    /// The keys that were last said to count only after a restart.
    told: Vec<String>,
}

/// A configuration that may be made the running one, and what that takes.
struct Proposal {
    /// Its cameras, everything else as at the start.
    next: Config,
    difference: Difference,
}

impl Desk {
    /// The desk of a daemon that has just started.
    #[must_use]
    pub fn new(parts: DeskParts) -> Self {
        let table = parts.text.parse().unwrap_or_default();
        Self {
            file: parts.file,
            state: Mutex::new(State {
                running: parts.config.clone(),
                told: Vec::new(),
            }),
            started: Started {
                config: parts.config,
                table,
            },
            changes: parts.changes,
            recorders: parts.recorders,
            films: parts.films,
            limits: parts.limits,
            watched: parts.watched,
            classes: parts.classes,
            model: parts.model,
            metrics: parts.metrics,
            room: parts.room,
        }
    }

    /// Makes what is in the file the configuration, and tells the log and systemd what came of it.
    pub fn reload(&self, is_ready: bool) {
        if is_ready {
            service::reloading();
        }
        let mut state = self.lock();
        let text = self.file.read().map(|it| it.text);
        let status = match self.make(&mut state, text, None) {
            Ok(_) => "configuration read again",
            Err(refusal) => {
                let file = self.file.to_string();
                for fault in refusal.to_string().lines() {
                    tracing::error!(
                        file,
                        fault,
                        "the configuration is refused, everything goes on as it was"
                    );
                }
                "the new configuration is refused, everything goes on as it was"
            }
        };
        if is_ready {
            service::ready(status);
        }
    }

    /// Reloads whenever a signal has come, until `stop`.
    pub fn listen(&self, hangup: &Hangup, stop: &Stop, is_ready: impl Fn() -> bool) {
        while !stop.wait(TICK) {
            if hangup.take() {
                self.reload(is_ready());
            }
        }
    }

    /// Makes `text` the configuration and counts what came of it; `write` puts it into the file once
    /// nothing can go wrong any more.
    fn make(
        &self,
        state: &mut State,
        text: Result<String, ConfigRefusal>,
        write: Option<&str>,
    ) -> Result<ConfigChanges, ConfigRefusal> {
        let proposed = text.and_then(|text| self.propose(&state.running, &text));
        let done = proposed.and_then(|proposal| {
            let is_change = proposal.difference.touches_cameras();
            let changes = proposal.difference.changes();
            self.carry_out(&mut state.running, proposal, write)?;
            Ok((is_change, changes))
        });
        self.metrics.config().change(match &done {
            Ok((false, _)) => ChangeOutcome::Unchanged,
            Ok((true, _)) => ChangeOutcome::Applied,
            Err(_) => ChangeOutcome::Refused,
        });
        let (is_change, changes) = done?;
        tell(is_change, &changes, &mut state.told);
        Ok(changes)
    }

    /// What `text` would change, if it is valid as a whole.
    fn propose(&self, running: &Config, text: &str) -> Result<Proposal, ConfigRefusal> {
        let wanted = self.read(text)?;
        let effective = self.effective(text)?;
        let mut difference =
            Difference::between(running, &wanted, text, &self.started.table).of(effective.cameras);
        let mut faults = Vec::new();
        for (index, camera) in wanted.cameras.iter().enumerate() {
            if difference.is_opened(&camera.id) {
                faults.extend(camera_faults(&wanted, camera, &format!("cameras[{index}]")));
            }
        }
        faults.extend(class_faults(&wanted, &self.model, &self.classes));
        if !faults.is_empty() {
            let lines = faults.iter().map(ToString::to_string);
            return Err(ConfigRefusal::Invalid(lines.collect()));
        }
        let lowest = resolve::detect_from_config(&Config {
            cameras: difference.cameras().cloned().collect(),
            ..self.started.config.clone()
        });
        let kept = resolve::detect_from_config(&self.started.config).min_confidence;
        if lowest.min_confidence < kept {
            difference.note_after_restart(format!(
                "cameras[].confidence below {kept} (the detector keeps nothing weaker)"
            ));
        }
        let next = Config {
            cameras: difference.cameras().cloned().collect(),
            ..running.clone()
        };
        Ok(Proposal { next, difference })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, text: &str) -> Result<Config, ConfigRefusal> {
        Config::from_text(text, self.file.path()).map_err(|error| invalid(&error, ""))
    }

    /// The cameras of `text` with everything else as at the start: a camera takes what it does not say
    /// itself from there.
    fn effective(&self, text: &str) -> Result<Config, ConfigRefusal> {
        let cameras = text.parse::<toml::Table>().ok();
        let cameras = cameras.and_then(|mut table| table.remove("cameras"));
        let mut table = self.started.table.clone();
        // They may name cameras that are no more.
        table.remove("sinks");
        if let Some(cameras) = cameras {
            table.insert("cameras".to_owned(), cameras);
        }
        let hint =
            " (with the other sections as they were at the start; restart gantryd to change both)";
        Config::from_text(&table.to_string(), self.file.path())
            .map_err(|error| invalid(&error, hint))
    }

    fn carry_out(
        &self,
        running: &mut Config,
        proposal: Proposal,
        write: Option<&str>,
    ) -> Result<(), ConfigRefusal> {
        let Proposal { next, difference } = proposal;
        if !difference.touches_cameras() {
            return write.map_or(Ok(()), |text| self.file.write(text));
        }
        let _underway = self.changes.begin().map_err(|error| failed(&error))?;
        let candidates = self.try_out(&next, &difference)?;
        let prepared = self.reader_changes(&difference, &candidates);
        let prepared = prepared.and_then(|readers| {
            write.map_or(Ok(()), |text| self.file.write(text))?;
            Ok(readers)
        });
        let mut readers = match prepared {
            Ok(readers) => readers,
            Err(refusal) => {
                self.give_up(candidates);
                return Err(refusal);
            }
        };
        let mut readers_of = move |id: &CameraId| {
            let index = readers.iter().position(|(of, _)| of == id);
            index.map_or_else(ReaderChanges::default, |it| readers.swap_remove(it).1)
        };
        self.settle(&next, &difference, candidates, &mut readers_of)
            .map_err(|error| failed(&error))?;
        self.watched.set(&next.cameras);
        self.limits.set(resolve::own_limits(&next.cameras));
        *running = next;
        Ok(())
    }

    /// Opens everything that is new and waits for a frame of each; all or none.
    fn try_out(
        &self,
        next: &Config,
        difference: &Difference,
    ) -> Result<Vec<Candidate>, ConfigRefusal> {
        let leaving = difference.leaving();
        let mut candidates = Vec::new();
        let mut refusal = None;
        for camera in difference.opened() {
            match self.changes.try_out(self.plan(camera, next), &leaving) {
                Ok(candidate) => candidates.push(candidate),
                Err(error) => {
                    refusal = Some(refused(&error));
                    break;
                }
            }
        }
        if refusal.is_none() {
            let waited = candidates.iter().map(|it| self.changes.wait(it));
            refusal = waited
                .filter_map(Result::err)
                .map(|error| refused(&error))
                .next();
        }
        match refusal {
            None => Ok(candidates),
            Some(refusal) => {
                self.give_up(candidates);
                Err(refusal)
            }
        }
    }

    fn give_up(&self, candidates: Vec<Candidate>) {
        for candidate in candidates {
            self.changes.give_up(candidate);
        }
    }

    /// Who records each camera that changes, and who makes its clips.
    fn reader_changes(
        &self,
        difference: &Difference,
        candidates: &[Candidate],
    ) -> Result<Vec<(CameraId, ReaderChanges)>, ConfigRefusal> {
        let mut changes = Vec::new();
        for (before, now) in difference.changed() {
            let candidate = candidates.iter().find(|it| *it.id() == now.id);
            let readers = self.readers(before, now, candidate);
            let readers = readers.map_err(|error| {
                ConfigRefusal::Camera(redact_text(&format!("camera {}: {error:#}", now.id)))
            })?;
            changes.push((now.id.clone(), readers));
        }
        Ok(changes)
    }

    fn readers(
        &self,
        before: Option<&CameraConfig>,
        now: &CameraConfig,
        candidate: Option<&Candidate>,
    ) -> anyhow::Result<ReaderChanges> {
        let recording = self.recorders.change(before, now)?;
        let clips = match candidate {
            Some(candidate) => self.films.change(now, candidate.capture())?,
            None => ReaderChange::Keep,
        };
        Ok(ReaderChanges { recording, clips })
    }

    /// Makes the change. Nothing of it can be refused any more; only a daemon that stops breaks it off.
    fn settle(
        &self,
        next: &Config,
        difference: &Difference,
        candidates: Vec<Candidate>,
        readers_of: &mut impl FnMut(&CameraId) -> ReaderChanges,
    ) -> Result<(), PipelineError> {
        for id in difference.removed() {
            self.changes.remove(id)?;
            self.metrics.config().watched(id, false);
            self.films.raw_places().remove(id);
        }
        let mut first_error = Ok(());
        for candidate in candidates {
            let id = candidate.id().clone();
            let capture = candidate.capture().clone();
            match self.changes.admit(candidate, readers_of(&id)) {
                Ok(()) => {
                    self.films.raw_places().set(&capture);
                    self.metrics.config().watched(&id, true);
                }
                // The others are let in all the same: each has an owner then.
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        first_error?;
        for camera in difference.adjusted() {
            let mut plan = self.plan(camera, next);
            // Its stream goes on, and with it what is kept of that.
            plan.capture.packets = None;
            self.changes.adjust(&plan, readers_of(&camera.id))?;
        }
        Ok(())
    }

    fn plan(&self, camera: &CameraConfig, config: &Config) -> CameraPlan {
        let mut plan = resolve::camera_from_config(camera, config);
        if let Some(raw) = &mut plan.capture.raw {
            raw.room = Arc::clone(&self.room);
        }
        plan
    }
}

impl Desk {
    /// The words without the addresses of the cameras in `text`, which may be all that keeps others from
    /// them: for those who sit elsewhere. The log has them.
    fn without_addresses(&self, words: String, text: &str) -> String {
        let config = Config::from_text(text, self.file.path());
        let cameras = config.map_or_else(|_faulty| Vec::new(), |config| config.cameras);
        cameras.iter().fold(words, |words, camera| {
            words.replace(&camera.uri.to_string(), "its address")
        })
    }
}

impl ConfigDesk for Desk {
    fn current(&self) -> Result<ConfigText, ConfigRefusal> {
        self.file.read()
    }

    fn check(&self, text: &str) -> Result<ConfigChanges, ConfigRefusal> {
        Ok(self
            .propose(&self.lock().running, text)?
            .difference
            .changes())
    }

    fn password_file(
        &self,
        camera: &str,
        password: &Secret,
    ) -> Result<PasswordFile, ConfigRefusal> {
        self.file.password(camera, password)
    }

    fn apply(&self, text: &str, revision: &str) -> Result<ConfigChanges, ConfigRefusal> {
        let mut state = self.lock();
        if self.file.read()?.revision != revision {
            return Err(ConfigRefusal::Outdated);
        }
        let made = self.make(&mut state, Ok(text.to_owned()), Some(text));
        made.map_err(|refusal| match refusal {
            ConfigRefusal::Camera(words) => {
                ConfigRefusal::Camera(self.without_addresses(words, text))
            }
            other => other,
        })
    }
}

fn tell(is_change: bool, changes: &ConfigChanges, told: &mut Vec<String>) {
    let ids = |ids: &[String]| ids.join(", ");
    if is_change {
        tracing::info!(
            added = ids(&changes.added),
            reopened = ids(&changes.reopened),
            adjusted = ids(&changes.adjusted),
            removed = ids(&changes.removed),
            "configuration changed"
        );
    } else {
        tracing::info!("the configuration was read again, no camera differs");
    }
    if *told != changes.after_restart {
        told.clone_from(&changes.after_restart);
        let keys = ids(told);
        if !keys.is_empty() {
            tracing::warn!(keys, "these values count only after a restart");
        }
    }
}

/// The faults of a configuration, a line each, without the name of the file.
fn invalid(error: &ConfigError, hint: &str) -> ConfigRefusal {
    ConfigRefusal::Invalid(match error {
        ConfigError::Faults { faults, .. } => {
            let line = |fault: &super::config::Fault| format!("{fault}{hint}");
            faults.iter().map(line).collect()
        }
        ConfigError::Syntax {
            line,
            column,
            message,
            excerpt,
            ..
        } => vec![format!(
            "line {line}, column {column}: {message}: {excerpt}"
        )],
        error @ ConfigError::Read { .. } => vec![super::check::told(error)],
    })
}

/// A camera that is not taken, with everything that is known of why.
fn refused(error: &PipelineError) -> ConfigRefusal {
    match error {
        PipelineError::Stopping => failed(error),
        error => ConfigRefusal::Camera(chained(error)),
    }
}

fn failed(error: &PipelineError) -> ConfigRefusal {
    ConfigRefusal::Failed(chained(error))
}

fn chained(error: &PipelineError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    redact_text(&text)
}
