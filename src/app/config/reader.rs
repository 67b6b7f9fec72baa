//! Reads typed values out of a TOML document and collects every fault, each with its key path.
//!
//! serde would stop at the first fault; an operator wants to see all of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use super::nearest::nearest;
use super::words::shown;
use super::{Auto, Fault};
use crate::base::redact_text;

/// What all sections of one document share.
#[derive(Debug, Default)]
pub(super) struct Reader {
    folder: PathBuf,
    faults: RefCell<Vec<Fault>>,
    known: RefCell<BTreeSet<String>>,
}

impl Reader {
    /// A reader that resolves relative paths against `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..Self::default()
        }
    }

    /// The document as its outermost section.
    pub(super) fn root(&self, table: Table) -> Section<'_> {
        Section {
            reader: self,
            path: String::new(),
            schema_path: String::new(),
            table,
            known: Vec::new(),
            given: BTreeSet::new(),
        }
    }

    /// Every fault found, and every key that was asked for (`cameras[].id`).
    pub(super) fn into_parts(self) -> (Vec<Fault>, BTreeSet<String>) {
        (self.faults.into_inner(), self.known.into_inner())
    }
}

/// One table of the document: each getter takes its key out, what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Section<'r> {
    reader: &'r Reader,
    path: String,
    schema_path: String,
    table: Table,
    known: Vec<&'static str>,
    given: BTreeSet<&'static str>,
}

impl<'r> Section<'r> {
    /// The path of the section itself, `cameras[2]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes a fault of `key`.
    pub(super) fn fault(&self, key: &str, text: impl Into<String>) {
        self.reader.faults.borrow_mut().push(Fault {
            key: joined(&self.path, key),
            text: text.into(),
        });
    }

    /// Notes that `value` of `key` is not what is `allowed`.
    pub(super) fn refuse(&self, key: &str, value: &Value, allowed: impl Display) {
        self.fault(key, format!("{}, allowed is {allowed}", shown(value)));
    }

    /// Is the key given, whatever its value?
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes `text` for a key that was not given; one that was given has its own fault already.
    pub(super) fn fault_if_absent(&self, key: &'static str, text: &str) {
        if !self.given.contains(key) {
            self.fault(key, text);
        }
    }

    /// Notes `text` for the first of `keys` if none of them was given.
    pub(super) fn fault_if_none_of(&self, keys: [&'static str; 2], text: &str) {
        if !keys.iter().any(|key| self.given.contains(key)) {
            self.fault(keys[0], text);
        }
    }

    /// Was the key given and read, whatever its value?
    pub(super) fn was_given(&self, key: &'static str) -> bool {
        self.given.contains(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.reader
            .known
            .borrow_mut()
            .insert(joined(&self.schema_path, key));
        let value = self.table.remove(key)?;
        self.given.insert(key);
        Some(value)
    }

    fn nested(&self, path: String, schema_path: String, table: Table) -> Section<'r> {
        Section {
            reader: self.reader,
            path,
            schema_path,
            table,
            known: Vec::new(),
            given: BTreeSet::new(),
        }
    }

    /// The table `[key]`; empty if it is absent.
    pub(super) fn child(&mut self, key: &'static str) -> Section<'r> {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.refuse(key, &other, format_args!("a table, [{key}]"));
                Table::new()
            }
        };
        let (path, schema) = (joined(&self.path, key), joined(&self.schema_path, key));
        self.nested(path, schema, table)
    }

    /// The tables `[[key]]`, in their order.
    pub(super) fn children(&mut self, key: &'static str) -> Vec<Section<'r>> {
        let entries = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                self.refuse(key, &other, format_args!("tables, [[{key}]] each"));
                Vec::new()
            }
        };
        let schema = format!("{}[]", joined(&self.schema_path, key));
        let mut sections = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let name = format!("{key}[{index}]");
            match entry {
                Value::Table(table) => {
                    let path = joined(&self.path, &name);
                    sections.push(self.nested(path, schema.clone(), table));
                }
                other => self.refuse(&name, &other, format_args!("a table, [[{key}]]")),
            }
        }
        sections
    }

    /// Text, if the key is there and not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            other => {
                self.refuse(key, &other, "text that is not empty");
                None
            }
        }
    }

    /// true or false.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(value)) => value,
            Some(other) => {
                self.refuse(key, &other, "true or false");
                default
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let Some(value) = self.take(key) else {
            return default;
        };
        integer_in(&value, &range).unwrap_or_else(|| {
            let whole = if value.is_integer() {
                ""
            } else {
                "a whole number, "
            };
            let (low, high) = range.into_inner();
            self.refuse(key, &value, format_args!("{whole}{low} to {high}"));
            default
        })
    }

    /// A number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> f64 {
        let Some(value) = self.take(key) else {
            return default;
        };
        number_in(&value, &range).unwrap_or_else(|| {
            let kind = if is_number(&value) { "" } else { "a number, " };
            let (low, high) = range.into_inner();
            self.refuse(key, &value, format_args!("{kind}{low} to {high}"));
            default
        })
    }

    /// A whole number within `range`, if the key is there.
    pub(super) fn integer_if_given(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let is_given = self.has(key);
        let least = *range.start();
        let number = self.integer(key, range, least);
        is_given.then_some(number)
    }

    /// A number within `range`, if the key is there.
    pub(super) fn number_if_given(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let is_given = self.has(key);
        let least = *range.start();
        let number = self.number(key, range, least);
        is_given.then_some(number)
    }

    /// Points, if the key is there: a list of pairs of numbers.
    pub(super) fn points(&mut self, key: &'static str) -> Option<Vec<[f64; 2]>> {
        let value = self.take(key)?;
        let pair = |entry: &Value| match entry.as_array()?.as_slice() {
            [x, y] => Some([number_in(x, &ANY)?, number_in(y, &ANY)?]),
            _ => None,
        };
        let points = value
            .as_array()
            .and_then(|entries| entries.iter().map(pair).collect());
        if points.is_none() {
            self.refuse(key, &value, "a list of points, [[x, y], [x, y]]");
        }
        points
    }

    /// Width and height in pixels, if the key is there.
    pub(super) fn size(&mut self, key: &'static str) -> Option<[f64; 2]> {
        let value = self.take(key)?;
        let size = value.as_array().and_then(|sides| match sides.as_slice() {
            [width, height] => Some([number_in(width, &SIDE)?, number_in(height, &SIDE)?]),
            _ => None,
        });
        if size.is_none() {
            self.refuse(key, &value, "[width, height] in pixels, each 16 to 16384");
        }
        size
    }

    /// Seconds within `range`; fractions are allowed.
    pub(super) fn secs(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
        default: Duration,
    ) -> Duration {
        Duration::from_secs_f64(self.number(key, range, default.as_secs_f64()))
    }

    /// `"auto"` or a whole number within `range`.
    pub(super) fn auto_integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Auto<u32> {
        self.auto(
            key,
            |value| integer_in(value, &range),
            |allowed| {
                format!(
                    "{allowed} or a whole number, {} to {}",
                    range.start(),
                    range.end()
                )
            },
        )
    }

    /// `"auto"` or a number within `range`.
    pub(super) fn auto_number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Auto<f64> {
        self.auto(
            key,
            |value| number_in(value, &range),
            |allowed| {
                format!(
                    "{allowed} or a number, {} to {}",
                    range.start(),
                    range.end()
                )
            },
        )
    }

    fn auto<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Option<T>,
        allowed: impl Fn(&str) -> String,
    ) -> Auto<T> {
        match self.take(key) {
            None => Auto::Auto,
            Some(Value::String(text)) if text == "auto" => Auto::Auto,
            Some(value) => parse(&value).map_or_else(
                || {
                    self.refuse(key, &value, allowed("\"auto\""));
                    Auto::Auto
                },
                Auto::Set,
            ),
        }
    }

    /// One of the named values of `choices`.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        default: T,
    ) -> T {
        let Some(value) = self.take(key) else {
            return default;
        };
        let chosen = value
            .as_str()
            .and_then(|text| choices.iter().find(|(name, _)| *name == text));
        chosen.map_or_else(
            || {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.refuse(key, &value, format_args!("one of {}", names.join(", ")));
                default
            },
            |(_, choice)| *choice,
        )
    }

    /// A list of whole numbers within `range`, if the key is there.
    pub(super) fn integers(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<Vec<u32>> {
        let value = self.take(key)?;
        let numbers: Option<Vec<u32>> = value.as_array().and_then(|entries| {
            let number = |entry: &Value| integer_in(entry, &range);
            entries.iter().map(number).collect()
        });
        if numbers.is_none() {
            let (least, most) = (range.start(), range.end());
            self.refuse(
                key,
                &value,
                format_args!("a list of whole numbers, {least} to {most} each"),
            );
        }
        numbers
    }

    /// A list of texts, if the key is there.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts: Option<Vec<String>> = value.as_array().and_then(|entries| {
            let text = |entry: &Value| entry.as_str().map(str::to_owned);
            entries.iter().map(text).collect()
        });
        if texts.is_none() {
            self.refuse(key, &value, "a list of texts, [\"person\", \"car\"]");
        }
        texts
    }

    /// A table of texts under keys of the operator's own.
    pub(super) fn text_table(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let Some(value) = self.take(key) else {
            return BTreeMap::new();
        };
        let texts = value.as_table().and_then(|table| {
            let text =
                |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            table.iter().map(text).collect::<Option<_>>()
        });
        texts.unwrap_or_else(|| {
            self.refuse(key, &value, "a table of texts, { lorry = \"truck\" }");
            BTreeMap::new()
        })
    }

    /// A path, resolved against the folder of the configuration file; it need not exist.
    pub(super) fn path_or(&mut self, key: &'static str, default: &Path) -> PathBuf {
        let given = self.text(key).map(PathBuf::from);
        self.resolve(given.as_deref().unwrap_or(default))
    }

    /// A file that can be read, resolved against the folder of the configuration file.
    pub(super) fn existing_file(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key)?;
        self.readable(key, Path::new(&text))
    }

    /// Resolves `path` and notes a fault of `key` if no file can be opened there.
    pub(super) fn readable(&self, key: &str, path: &Path) -> Option<PathBuf> {
        let resolved = self.resolve(path);
        let problem = match std::fs::File::open(&resolved) {
            Ok(_) if resolved.is_dir() => "it is a folder".to_owned(),
            Ok(_) => return Some(resolved),
            Err(error) if error.kind() == ErrorKind::NotFound => "no such file".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        // An address where a path should be may hold a password.
        let shown = redact_text(&resolved.display().to_string());
        self.fault(
            key,
            format!("{shown}: {problem}, allowed is a file that can be read"),
        );
        None
    }

    /// `path` as seen from the folder of the configuration file.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.reader.folder.join(path)
    }

    /// Ends the section: every key nobody asked for is a fault.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let text = match nearest(key, &self.known) {
                Some(known) => format!("unknown key, did you mean {known}?"),
                None => format!("unknown key, allowed are {}", self.known.join(", ")),
            };
            self.fault(&redact_text(key), text);
        }
    }
}

/// Every finite number.
const ANY: RangeInclusive<f64> = f64::MIN..=f64::MAX;

/// Sides of a picture, px.
const SIDE: RangeInclusive<f64> = 16.0..=16384.0;

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn integer_in(value: &Value, range: &RangeInclusive<u32>) -> Option<u32> {
    let integer = u32::try_from(value.as_integer()?).ok()?;
    range.contains(&integer).then_some(integer)
}

#[expect(clippy::cast_precision_loss, reason = "ranges lie far below 2^52")]
fn number_in(value: &Value, range: &RangeInclusive<f64>) -> Option<f64> {
    let number = match value {
        Value::Float(number) => *number,
        Value::Integer(number) => *number as f64,
        _ => return None,
    };
    range.contains(&number).then_some(number)
}

fn is_number(value: &Value) -> bool {
    value.is_integer() || value.is_float()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str, read: impl FnOnce(&mut Section<'_>)) -> Vec<String> {
        let reader = Reader::new(Path::new("."));
        let mut section = reader.root(text.parse().unwrap());
        read(&mut section);
        section.finish();
        let lines = reader.into_parts().0;
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_key_gets_the_nearest_known_one() {
        let read = |section: &mut Section<'_>| {
            section.secs("stall_secs", 1.0..=600.0, Duration::from_secs(5));
            section.boolean("raw", false);
        };
        assert_eq!(
            faults_of("stal_sec = 3", read),
            ["stal_sec: unknown key, did you mean stall_secs?"]
        );
        assert_eq!(
            faults_of("stall = 3", read),
            ["stall: unknown key, did you mean stall_secs?"]
        );
        assert_eq!(
            faults_of("zzzzzz = 3", read),
            ["zzzzzz: unknown key, allowed are stall_secs, raw"]
        );
    }

    #[test]
    fn a_wrong_type_says_what_is_allowed() {
        let read = |section: &mut Section<'_>| {
            section.integer("n", 1..=8, 1);
            section.auto_integer("workers", 1..=64);
            section.texts("classes");
        };
        assert_eq!(
            faults_of("n = \"two\"\nworkers = \"many\"\nclasses = \"car\"", read),
            [
                "n: \"two\", allowed is a whole number, 1 to 8",
                "workers: \"many\", allowed is \"auto\" or a whole number, 1 to 64",
                "classes: \"car\", allowed is a list of texts, [\"person\", \"car\"]",
            ]
        );
    }

    #[test]
    fn not_a_number_is_outside_every_range() {
        let read = |section: &mut Section<'_>| {
            section.number("conf", 0.0..=1.0, 0.5);
        };
        assert_eq!(
            faults_of("conf = nan", read),
            ["conf: nan, allowed is 0 to 1"]
        );
    }
}
