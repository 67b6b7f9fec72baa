//! What differs between the running configuration and a new one; pure.

use std::collections::BTreeSet;

use crate::app::config::{Auto, CameraConfig, Config};
use crate::base::{CameraId, ConfigChanges};
use crate::perception::zones::ZonesPlan;
use crate::sinks::annotate::PrivacyRules;
use crate::sinks::retention::OwnLimits;

/// What becomes of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Added,
    Reopened,
    Adjusted,
    Same,
}

/// What a new configuration changes. Cameras that wait for the detector (files) are only counted at a
/// start: they stay as they run.
#[derive(Debug)]
pub struct Difference {
    /// Those of the new configuration: what becomes of each, and how it is watched before and then.
    cameras: Vec<(Fate, Option<CameraConfig>, CameraConfig)>,
    removed: Vec<CameraId>,
    after_restart: Vec<String>,
}

impl Difference {
    /// From `running` to `wanted`, which is in `text`; `started` is what the daemon was started with.
    #[must_use]
    pub fn between(running: &Config, wanted: &Config, text: &str, started: &toml::Table) -> Self {
        let table = text.parse::<toml::Table>().unwrap_or_default();
        let mut difference = Self {
            cameras: Vec::new(),
            removed: Vec::new(),
            after_restart: after_restart(running, wanted, &table, started),
        };
        for (index, now) in wanted.cameras.iter().enumerate() {
            let before = find(&running.cameras, &now.id);
            let is_fixed = now.lossless || before.is_some_and(|before| before.lossless);
            if is_fixed && before != Some(now) {
                difference.note_after_restart(format!("cameras[{index}]"));
            }
            match (is_fixed, before) {
                (true, None) => {}
                (true, Some(before)) => difference.push(Fate::Same, Some(before), before),
                (false, before) => difference.push(fate(before, now), before, now),
            }
        }
        for gone in &running.cameras {
            if find(&wanted.cameras, &gone.id).is_some() {
                continue;
            }
            if gone.lossless {
                difference.note_after_restart(format!("cameras ({} is gone)", gone.id));
                difference.push(Fate::Same, Some(gone), gone);
            } else {
                difference.removed.push(gone.id.clone());
            }
        }
        difference
    }

    fn push(&mut self, fate: Fate, before: Option<&CameraConfig>, now: &CameraConfig) {
        self.cameras.push((fate, before.cloned(), now.clone()));
    }

    /// The same difference with its cameras as they are in `effective`, where what they take from other
    /// sections is as at the start.
    #[must_use]
    pub(super) fn of(mut self, effective: Vec<CameraConfig>) -> Self {
        for (kind, before, now) in &mut self.cameras {
            if now.lossless {
                continue;
            }
            if let Some(camera) = find(&effective, &now.id) {
                *kind = fate(before.as_ref(), camera);
                *now = camera.clone();
            }
        }
        self
    }

    pub(super) fn note_after_restart(&mut self, key: String) {
        self.after_restart.push(key);
    }

    /// The cameras as they are watched after the change.
    pub(super) fn cameras(&self) -> impl Iterator<Item = &CameraConfig> {
        self.cameras.iter().map(|(_, _, now)| now)
    }

    /// Those that are opened: new ones, and others anew.
    pub(super) fn opened(&self) -> impl Iterator<Item = &CameraConfig> {
        let opened = |fate| matches!(fate, Fate::Added | Fate::Reopened);
        let cameras = self.cameras.iter();
        cameras
            .filter(move |it| opened(it.0))
            .map(|(_, _, now)| now)
    }

    pub(super) fn is_opened(&self, id: &CameraId) -> bool {
        self.opened().any(|camera| camera.id == *id)
    }

    /// Those that go on and are watched otherwise.
    pub(super) fn adjusted(&self) -> impl Iterator<Item = &CameraConfig> {
        let cameras = self.cameras.iter();
        cameras
            .filter(|(fate, _, _)| *fate == Fate::Adjusted)
            .map(|(_, _, now)| now)
    }

    /// Every one that is new or changes, and how it was watched before.
    pub(super) fn changed(&self) -> impl Iterator<Item = (Option<&CameraConfig>, &CameraConfig)> {
        let cameras = self.cameras.iter();
        cameras
            .filter(|(fate, _, _)| *fate != Fate::Same)
            .map(|(_, before, now)| (before.as_ref(), now))
    }

    /// Those that are no longer watched.
    pub(super) fn removed(&self) -> &[CameraId] {
        &self.removed
    }

    /// Those whose stream ends: removed or opened anew.
    pub(super) fn leaving(&self) -> Vec<CameraId> {
        let reopened = self.cameras.iter().filter(|it| it.0 == Fate::Reopened);
        let reopened = reopened.map(|(_, _, now)| now.id.clone());
        self.removed.iter().cloned().chain(reopened).collect()
    }

    /// Is any camera added, opened anew, adjusted or removed?
    pub(super) fn touches_cameras(&self) -> bool {
        !self.removed.is_empty() || self.cameras.iter().any(|it| it.0 != Fate::Same)
    }

    /// It in words.
    #[must_use]
    pub fn changes(&self) -> ConfigChanges {
        let those = |wanted: Fate| {
            let cameras = self.cameras.iter().filter(|(fate, _, _)| *fate == wanted);
            cameras.map(|(_, _, now)| now.id.to_string()).collect()
        };
        ConfigChanges {
            added: those(Fate::Added),
            reopened: those(Fate::Reopened),
            adjusted: those(Fate::Adjusted),
            removed: self.removed.iter().map(ToString::to_string).collect(),
            after_restart: self.after_restart.clone(),
        }
    }
}

fn find<'a>(cameras: &'a [CameraConfig], id: &CameraId) -> Option<&'a CameraConfig> {
    cameras.iter().find(|camera| camera.id == *id)
}

fn fate(before: Option<&CameraConfig>, now: &CameraConfig) -> Fate {
    match before {
        None => Fate::Added,
        Some(before) if before == now => Fate::Same,
        Some(before) if stream_of(before) == stream_of(now) => Fate::Adjusted,
        Some(_) => Fate::Reopened,
    }
}

/// The camera without what can be changed while its stream goes on.
fn stream_of(camera: &CameraConfig) -> CameraConfig {
    CameraConfig {
        is_required: true,
        classes: Vec::new(),
        confidence: Auto::Auto,
        annotate: true,
        zones: ZonesPlan::default(),
        privacy: PrivacyRules::default(),
        retention: OwnLimits::default(),
        ..camera.clone()
    }
}

/// Keys outside of the cameras whose values are others than at the start.
fn after_restart(
    running: &Config,
    wanted: &Config,
    table: &toml::Table,
    started: &toml::Table,
) -> Vec<String> {
    let sections = [
        ("detect", running.detect != wanted.detect),
        ("track", running.track != wanted.track),
        ("output", running.output != wanted.output),
        ("sinks", running.sinks != wanted.sinks),
        ("record", running.record != wanted.record),
        ("clips", running.clips != wanted.clips),
        ("snapshots", running.snapshots != wanted.snapshots),
        ("state", running.state != wanted.state),
        ("metrics", running.metrics != wanted.metrics),
        ("web", running.web != wanted.web),
        ("log", running.log != wanted.log),
        ("service", running.service != wanted.service),
    ];
    let mut all = Vec::new();
    for (section, _) in sections.into_iter().filter(|(_, differs)| *differs) {
        let mut keys = Vec::new();
        differing(section, table.get(section), started.get(section), &mut keys);
        if keys.is_empty() {
            // A file that a key names holds something else.
            keys.push(section.to_owned());
        }
        all.extend(keys);
    }
    all
}

/// The keys below `path` whose values differ, in alphabetical order.
fn differing(
    path: &str,
    one: Option<&toml::Value>,
    other: Option<&toml::Value>,
    keys: &mut Vec<String>,
) {
    let tables = (
        one.and_then(|it| it.as_table()),
        other.and_then(|it| it.as_table()),
    );
    let is_table = |it: Option<&toml::Value>| it.is_none_or(toml::Value::is_table);
    if one == other {
        return;
    }
    if !is_table(one) || !is_table(other) || (tables.0.is_none() && tables.1.is_none()) {
        return keys.push(path.to_owned());
    }
    let empty = toml::Table::new();
    let (one, other) = (tables.0.unwrap_or(&empty), tables.1.unwrap_or(&empty));
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        differing(
            &format!("{path}.{name}"),
            one.get(name),
            other.get(name),
            keys,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const GATE: &str = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n";
    const YARD: &str = "[[cameras]]\nid = \"yard\"\nuri = \"rtsp://10.0.0.6/live\"\n";
    const LINE: &str = "[[cameras.lines]]\nname = \"a\"\nline_norm = [[0, 0.5], [1, 0.5]]\n";

    fn config(text: &str) -> Config {
        Config::from_text(text, Path::new("site.toml")).unwrap()
    }

    fn changes(before: &str, now: &str) -> ConfigChanges {
        let started = before.parse().unwrap();
        Difference::between(&config(before), &config(now), now, &started).changes()
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn cameras_come_and_go_and_the_order_does_not_matter() {
        let both = format!("{YARD}{GATE}");
        let expected = ConfigChanges {
            added: ids(&["yard"]),
            ..ConfigChanges::default()
        };
        assert_eq!(changes(GATE, &both), expected);
        assert_eq!(changes(&both, GATE).removed, ids(&["yard"]));
        let turned = format!("{GATE}{YARD}");
        assert_eq!(changes(&both, &turned), ConfigChanges::default());
    }

    #[test]
    fn a_source_that_differs_is_opened_anew() {
        for key in [
            "stall_secs = 7",
            "latency_ms = 100",
            "transport = \"udp\"",
            "codec = \"h264\"",
            "raw = true",
        ] {
            let now = format!("{GATE}{key}\n");
            let expected = ConfigChanges {
                reopened: ids(&["gate"]),
                ..ConfigChanges::default()
            };
            assert_eq!(changes(GATE, &now), expected, "{key}");
        }
        let moved = GATE.replace("10.0.0.5", "10.0.0.7");
        let with_line = format!("{moved}{LINE}");
        let both = changes(GATE, &with_line);
        assert_eq!((both.reopened, both.adjusted), (ids(&["gate"]), ids(&[])));
    }

    #[test]
    fn what_is_looked_for_changes_while_the_stream_goes_on() {
        for key in [
            "classes = [\"car\"]",
            "confidence = 0.3",
            "annotate = false",
            "required = false",
            "privacy.classes = [\"person\"]",
            "retention.max_age_days = 90",
            LINE,
        ] {
            let now = format!("{GATE}{key}\n");
            let expected = ConfigChanges {
                adjusted: ids(&["gate"]),
                ..ConfigChanges::default()
            };
            assert_eq!(changes(GATE, &now), expected, "{key}");
        }
    }

    #[test]
    fn keys_of_other_sections_wait_for_a_restart() {
        let before = format!("{GATE}[log]\nlevel = \"info\"\n");
        let now = format!(
            "{GATE}[log]\nlevel = \"debug\"\n[output.retention]\nmax_age_days = 3\n[web]\nfps = 12\n"
        );
        let expected = ConfigChanges {
            // [web] says what is the default anyway.
            after_restart: ids(&["output.retention.max_age_days", "log.level"]),
            ..ConfigChanges::default()
        };
        assert_eq!(changes(&before, &now), expected);
    }

    #[test]
    fn a_camera_that_waits_for_the_detector_stays_as_it_is() {
        let file = format!("{YARD}lossless = true\n");
        let both = format!("{GATE}{file}");
        assert_eq!(changes(GATE, &both).after_restart, ids(&["cameras[1]"]));
        assert!(changes(GATE, &both).added.is_empty());
        let gone = changes(&both, GATE);
        assert_eq!(gone.after_restart, ids(&["cameras (yard is gone)"]));
        assert!(gone.removed.is_empty());
        assert_eq!(changes(&both, &format!("{both}{LINE}")).adjusted, ids(&[]));
    }

    #[test]
    fn a_camera_takes_what_it_does_not_say_from_the_sections_as_they_were() {
        let now = format!("{GATE}[detect]\nclasses = [\"car\"]\n");
        let started = GATE.parse().unwrap();
        let difference = Difference::between(&config(GATE), &config(&now), &now, &started);
        let changes = difference.of(config(GATE).cameras).changes();
        assert_eq!(changes.adjusted, ids(&[]));
        assert_eq!(changes.after_restart, ids(&["detect.classes"]));
    }
}
