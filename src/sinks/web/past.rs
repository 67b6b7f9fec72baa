//! The newest events of a camera, found by number, time, type and place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::base::{UtcNanos, utc_now};

/// Events that are kept in memory per camera.
pub(super) const EVENTS: usize = 1000;

/// Bytes of their lines that are kept in memory per camera.
pub(super) const BYTES: usize = 2 * 1024 * 1024;

/// Clocks are put right: by so much an event may say a time outside of those around it.
pub(super) const SLACK_NS: i64 = 3600 * 1_000_000_000;

/// Bytes of one answer: it waits in memory until it is taken.
pub(super) const ANSWER_BYTES: usize = 1024 * 1024;

/// A published event and what it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub number: u64,
    /// When it was; when it was heard of where its line does not say.
    pub utc: UtcNanos,
    /// Its published line.
    pub line: Arc<str>,
    pub files: Files,
    /// Where it is counted per minute: `("gate", "in")`.
    pub counted: Option<(Arc<str>, &'static str)>,
    kind: Box<str>,
    places: Vec<Box<str>>,
}

/// Names of the files that show an event, in the folder of its camera.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub clip: Option<Box<str>>,
    pub frame: Option<Box<str>>,
    pub object: Option<Box<str>>,
}

#[derive(Deserialize)]
struct EventWords {
    number: u64,
    r#type: Box<str>,
    utc: Option<String>,
    direction: Option<String>,
    line: Option<Box<str>>,
    zone: Option<Box<str>>,
    place: Option<Box<str>>,
    from: Option<Box<str>>,
    to: Option<Box<str>>,
    clip: Option<ClipWords>,
    snapshot: Option<SnapshotWords>,
}

#[derive(Deserialize)]
struct ClipWords {
    file: Box<str>,
}

#[derive(Deserialize)]
struct SnapshotWords {
    frame: Box<str>,
    object: Option<Box<str>>,
}

impl Told {
    /// The event of a published line; `None` if it is none.
    pub fn of(line: &str) -> Option<Self> {
        let words: EventWords = serde_json::from_str(line).ok()?;
        let counted = match (&*words.r#type, words.direction.as_deref()) {
            ("line_crossing", Some("in")) => words.line.as_deref().map(|it| (Arc::from(it), "in")),
            ("line_crossing", Some("out")) => {
                words.line.as_deref().map(|it| (Arc::from(it), "out"))
            }
            ("zone_entry", _) => words.zone.as_deref().map(|it| (Arc::from(it), "entries")),
            _ => None,
        };
        let places = [words.line, words.zone, words.place, words.from, words.to];
        let (frame, object) = match words.snapshot {
            Some(it) => (Some(it.frame), it.object),
            None => (None, None),
        };
        Some(Self {
            number: words.number,
            utc: words
                .utc
                .and_then(|it| UtcNanos::parse(&it))
                .unwrap_or_else(utc_now),
            line: Arc::from(line),
            files: Files {
                clip: words.clip.map(|it| it.file),
                frame,
                object,
            },
            counted,
            kind: words.r#type,
            places: places.into_iter().flatten().collect(),
        })
    }
}

/// Which events are wanted; what is `None` or empty takes all.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Only higher numbers.
    pub after: Option<u64>,
    /// Only lower numbers.
    pub before: Option<u64>,
    pub from: Option<UtcNanos>,
    /// Not this moment itself.
    pub to: Option<UtcNanos>,
    pub kinds: Vec<String>,
    pub place: Option<String>,
}

impl Wanted {
    pub(super) fn takes(&self, event: &Told) -> bool {
        self.from.is_none_or(|from| event.utc >= from)
            && self.to.is_none_or(|to| event.utc < to)
            && (self.kinds.is_empty() || self.kinds.iter().any(|it| **it == *event.kind))
            && self
                .place
                .as_ref()
                .is_none_or(|place| event.places.iter().any(|it| **it == **place))
    }
}

/// What is here of the events that are wanted.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// Oldest first.
    pub events: Vec<Told>,
    /// Bytes of their lines.
    pub bytes: usize,
    /// Below this number there may be others that are not here any more; `None` where none is missing,
    /// or these are enough.
    pub older_than: Option<u64>,
}

/// Events by number, the newest of them.
#[derive(Debug, Default)]
pub(super) struct PastEvents {
    told: BTreeMap<u64, Told>,
    bytes: usize,
    /// Up to this number they are from before the start.
    recalled_to: Option<u64>,
}

impl PastEvents {
    /// Takes an event that has just been told. One that is known already, with its files, stays.
    pub fn add(&mut self, event: Told) {
        if self.recalled_to.is_some_and(|last| event.number <= last) {
            // Numbers begin anew: those of before would be taken for newer ones.
            *self = Self::default();
        }
        if !self.told.contains_key(&event.number) {
            self.put(event);
        }
    }

    /// Takes the line that names the files of an event.
    pub fn complete(&mut self, event: Told) {
        if self.recalled_to.is_none_or(|last| event.number > last) {
            self.put(event);
        }
    }

    /// Takes events from before the start; those of the same or later numbers that have been told
    /// meanwhile show that numbers began anew, and then none is taken.
    pub fn recall(&mut self, events: Vec<Told>) {
        let newest = events.iter().map(|event| event.number).max();
        let first = self.told.first_key_value().map(|(number, _)| *number);
        if newest >= first && first.is_some() {
            return;
        }
        self.recalled_to = newest;
        for event in events {
            self.put(event);
        }
    }

    fn put(&mut self, event: Told) {
        self.bytes += event.line.len();
        if let Some(before) = self.told.insert(event.number, event) {
            self.bytes -= before.line.len();
        }
        while self.told.len() > EVENTS || self.bytes > BYTES {
            let Some((_, oldest)) = self.told.pop_first() else {
                break;
            };
            self.bytes -= oldest.line.len();
        }
    }

    /// From when on all events can be asked for; `None` where none is missing. They are numbered from 1
    /// without a gap, so the first one tells, here or on the disk.
    pub fn known_from(&self, on_disk: Option<(u64, UtcNanos)>) -> Option<UtcNanos> {
        let (number, first) = self.told.first_key_value()?;
        let here = (*number, first.utc);
        let (number, utc) = on_disk.map_or(here, |on_disk| on_disk.min(here));
        (number > 1).then_some(utc)
    }

    /// The event of this number.
    pub fn get(&self, number: u64) -> Option<&Told> {
        self.told.get(&number)
    }

    /// The newest `limit` events that are wanted; fewer where they are long.
    pub fn pick(&self, wanted: &Wanted, limit: usize) -> Picked {
        let first = wanted.after.map_or(0, |after| after.saturating_add(1));
        let end = wanted.before.unwrap_or(u64::MAX).max(first);
        let events = self.told.range(first..end).map(|(_, event)| event);
        let (mut picked, mut is_full) = (Picked::default(), limit == 0);
        for event in events.rev().filter(|event| wanted.takes(event)) {
            let bytes = picked.bytes + event.line.len();
            if picked.events.len() >= limit || (picked.bytes > 0 && bytes > ANSWER_BYTES) {
                is_full = true;
                break;
            }
            picked.bytes = bytes;
            picked.events.push(event.clone());
        }
        is_full |= picked.events.len() >= limit || picked.bytes > ANSWER_BYTES;
        picked.older_than = self.lacks(wanted).filter(|_| !is_full);
        picked.events.reverse();
        picked
    }

    /// Below which number events are missing here that may be wanted.
    fn lacks(&self, wanted: &Wanted) -> Option<u64> {
        let Some((number, first)) = self.told.first_key_value() else {
            return Some(u64::MAX);
        };
        let is_later = |from: UtcNanos| from.0.saturating_sub(SLACK_NS) > first.utc.0;
        let is_here = *number <= 1
            || wanted
                .after
                .is_some_and(|after| after.saturating_add(1) >= *number)
            || wanted.from.is_some_and(is_later);
        (!is_here).then_some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, second: u64, rest: &str) -> Told {
        let utc = format!("2026-03-01T08:00:{second:02}.000000000Z");
        Told::of(&format!(
            "{{\"number\":{number},\"utc\":\"{utc}\",{rest},\"recording\":null}}"
        ))
        .unwrap()
    }

    fn entry(number: u64) -> Told {
        line(number, number, "\"type\":\"zone_entry\",\"zone\":\"yard\"")
    }

    fn numbers(past: &PastEvents, wanted: &Wanted, limit: usize) -> Vec<u64> {
        let events = past.pick(wanted, limit).events;
        events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn events_are_found_by_number_time_type_and_place() {
        let mut past = PastEvents::default();
        for number in 1..=4 {
            past.add(entry(number));
        }
        let crossing = "\"type\":\"line_crossing\",\"line\":\"gate\",\"direction\":\"out\"";
        past.add(line(5, 5, crossing));
        let all = Wanted::default();
        assert_eq!(numbers(&past, &all, 2), [4, 5]);
        assert_eq!(past.known_from(None), None);
        let page = Wanted {
            after: Some(1),
            before: Some(4),
            ..Wanted::default()
        };
        assert_eq!(numbers(&past, &page, 9), [2, 3]);
        let time = Wanted {
            from: UtcNanos::parse("2026-03-01T08:00:02Z"),
            to: UtcNanos::parse("2026-03-01T08:00:04Z"),
            ..Wanted::default()
        };
        assert_eq!(numbers(&past, &time, 9), [2, 3]);
        let kind = Wanted {
            kinds: vec!["turn".to_owned(), "line_crossing".to_owned()],
            ..Wanted::default()
        };
        assert_eq!(numbers(&past, &kind, 9), [5]);
        let place = Wanted {
            place: Some("yard".to_owned()),
            ..Wanted::default()
        };
        assert_eq!(numbers(&past, &place, 9), [1, 2, 3, 4]);
        let counted = past.get(5).and_then(|event| event.counted.clone());
        assert_eq!(counted, Some((Arc::from("gate"), "out")));
        let inverted = Wanted {
            after: Some(9),
            before: Some(3),
            ..Wanted::default()
        };
        assert!(past.pick(&inverted, 9).events.is_empty());
    }

    #[test]
    fn files_stay_known_whoever_tells_first() {
        let with_files = "\"type\":\"zone_entry\",\"zone\":\"yard\",\"clip\":{\"file\":\"a.mp4\",\
                          \"pts_ns\":5},\"snapshot\":{\"frame\":\"f.jpg\",\"object\":null}";
        let expected = Files {
            clip: Some("a.mp4".into()),
            frame: Some("f.jpg".into()),
            object: None,
        };
        let mut past = PastEvents::default();
        past.add(entry(1));
        past.complete(line(1, 1, with_files));
        past.complete(line(2, 2, with_files));
        past.add(entry(2));
        for number in [1, 2] {
            assert_eq!(past.get(number).unwrap().files, expected);
        }
    }

    #[test]
    fn what_was_before_is_recalled_unless_numbers_began_anew() {
        let mut past = PastEvents::default();
        past.add(entry(8));
        past.recall(vec![entry(6), entry(7)]);
        past.add(entry(9));
        assert_eq!(numbers(&past, &Wanted::default(), 9), [6, 7, 8, 9]);

        let mut told_first = PastEvents::default();
        told_first.add(entry(1));
        told_first.recall(vec![entry(6), entry(7)]);
        assert_eq!(numbers(&told_first, &Wanted::default(), 9), [1]);

        let mut recalled_first = PastEvents::default();
        recalled_first.recall(vec![entry(6), entry(7)]);
        recalled_first.add(entry(1));
        assert_eq!(numbers(&recalled_first, &Wanted::default(), 9), [1]);
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_bytes() {
        let mut past = PastEvents::default();
        for number in 0..EVENTS as u64 + 10 {
            past.add(line(number, 0, "\"type\":\"turn\""));
        }
        assert_eq!(past.told.len(), EVENTS);
        let mut past = PastEvents::default();
        let long = format!("\"type\":\"turn\",\"x\":\"{}\"", "x".repeat(BYTES / 4));
        for number in 0..10 {
            past.add(line(number, 0, &long));
        }
        assert_eq!(past.told.len(), 3);
        assert_eq!(past.known_from(None), Some(past.told[&7].utc));
        let sum: usize = past.told.values().map(|event| event.line.len()).sum();
        assert_eq!(past.bytes, sum);
    }

    #[test]
    fn an_answer_is_bounded_and_never_empty() {
        let mut past = PastEvents::default();
        let long = |bytes: usize| format!("\"type\":\"turn\",\"x\":\"{}\"", "x".repeat(bytes));
        for number in 0..5 {
            past.add(line(number, 0, &long(ANSWER_BYTES / 3)));
        }
        assert_eq!(numbers(&past, &Wanted::default(), 5), [3, 4]);
        assert_eq!(
            past.pick(&Wanted::default(), 5).older_than,
            None,
            "what did not fit is still here"
        );
        past.add(line(5, 0, &long(ANSWER_BYTES)));
        assert_eq!(numbers(&past, &Wanted::default(), 5), [5]);
    }

    #[test]
    fn what_is_missing_here_is_told() {
        let mut past = PastEvents::default();
        let older = |past: &PastEvents, wanted: Wanted, limit| past.pick(&wanted, limit).older_than;
        assert_eq!(older(&past, Wanted::default(), 5), Some(u64::MAX));
        past.recall(vec![entry(6), entry(7), entry(8)]);
        assert_eq!(older(&past, Wanted::default(), 5), Some(6));
        assert_eq!(older(&past, Wanted::default(), 3), None, "these are enough");
        let after = |after| Wanted {
            after: Some(after),
            ..Wanted::default()
        };
        assert_eq!(older(&past, after(5), 5), None);
        assert_eq!(older(&past, after(4), 5), Some(6));
        let from = |from| Wanted {
            from: UtcNanos::parse(from),
            ..Wanted::default()
        };
        assert_eq!(
            older(&past, from("2026-03-01T08:00:10Z"), 5),
            Some(6),
            "clocks are put right"
        );
        assert_eq!(older(&past, from("2026-03-01T10:00:00Z"), 5), None);
        past.recall((1..6).map(entry).collect());
        assert_eq!(older(&past, Wanted::default(), 50), None);
    }

    #[test]
    fn what_is_no_event_is_none() {
        for text in ["", "{}", "{\"number\":1", "[1]", "{\"number\":\"1\"}"] {
            assert_eq!(Told::of(text), None, "{text}");
        }
    }
}
