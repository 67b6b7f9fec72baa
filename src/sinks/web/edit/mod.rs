//! Changes of the configuration's text, made so that comments, order and everything that is not
//! changed stay as they are.
//!
//! Belongs here: text in, text out. Whether the new text is valid is for the desk to say. Zones and
//! lines are named by the keys of the configuration, `polygon_norm`, `loiter_secs`; coordinates leave
//! as shares of the frame, and come back in the form they had.

mod comments;
mod values;

use serde_json::{Map, Value as Json};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use values::{json, same, toml_value};

/// Keys of a camera that can be set over the page. None names a file of this machine, sends a
/// password anywhere or weakens a check.
const CAMERA_KEYS: &[&str] = &[
    "id",
    "uri",
    "transport",
    "codec",
    "decode",
    "latency_ms",
    "stall_secs",
    "connect_secs",
    "required",
    "classes",
    "confidence",
    "annotate",
    "raw",
    "lossless",
    "frame_px",
];

/// Where a camera that is set over the page may be.
const SCHEMES: &[&str] = &["rtsp://", "rtsps://", "http://", "https://"];

/// Names a zone or line by the name that it had before.
const WAS: &str = "was";

/// A change that cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    /// The text of the file is no TOML.
    #[error("the configuration is no TOML any more, put it right in the file")]
    Syntax,
    /// There is no such camera.
    #[error("no camera {0:?} in the configuration")]
    NoCamera(String),
    /// A value that may not be given here.
    #[error("{0}")]
    Refused(String),
}

/// A zone, a line, a mask or a calibration by the keys of the configuration.
pub(super) type Words = Map<String, Json>;

/// What is drawn in a camera's picture, coordinates as shares of the frame.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct Places {
    pub zones: Vec<Words>,
    pub lines: Vec<Words>,
    pub masks: Vec<Words>,
    pub calibration: Option<Words>,
}

/// All zones and lines of a camera; one with `was` goes on as what was called so.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPlaces {
    pub zones: Vec<Words>,
    pub lines: Vec<Words>,
}

/// What `text` says of the camera's places, and the camera's index in it.
pub(super) fn places(text: &str, id: &str) -> Result<(usize, Places), EditError> {
    let mut document = parsed(text)?;
    let (index, camera) = find(&mut document, id)?;
    let frame = frame(camera);
    let listed = |key: &str| -> Vec<Words> {
        let tables = camera.get(key).cloned().map(Item::into_array_of_tables);
        let tables = tables.and_then(Result::ok).unwrap_or_default();
        tables.iter().map(|table| words(table, frame)).collect()
    };
    let places = Places {
        zones: listed("zones"),
        lines: listed("lines"),
        masks: listed("masks"),
        calibration: None,
    };
    let calibration = camera.get("calibration").cloned().map(Item::into_table);
    let calibration = calibration.and_then(Result::ok);
    Ok((
        index,
        Places {
            calibration: calibration.map(|table| words(&table, frame)),
            ..places
        },
    ))
}

/// `text` with these zones and lines of the camera.
pub(super) fn with_places(text: &str, id: &str, new: &NewPlaces) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let (_, camera) = find(&mut document, id)?;
    let frame = frame(camera);
    let mut removed = replace(camera, "zones", &new.zones, frame)?;
    removed.extend(replace(camera, "lines", &new.lines, frame)?);
    comments::leave_behind(&mut document, &removed);
    Ok(document.to_string())
}

/// What a camera is asked with: the user, where that is new, and the file of the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login<'a> {
    pub user: Option<&'a str>,
    pub password_file: &'a str,
}

impl Login<'_> {
    fn set(&self, camera: &mut Table) -> Result<(), EditError> {
        if let Some(user) = self.user {
            set(camera, "user", &user.into())?;
        }
        set(camera, "password_file", &self.password_file.into())
    }
}

/// `text` with one camera more.
pub(super) fn with_camera(
    text: &str,
    words: &Words,
    login: Option<&Login<'_>>,
) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let mut camera = Table::new();
    set_keys(&mut camera, words)?;
    login.map_or(Ok(()), |login| login.set(&mut camera))?;
    cameras(&mut document)?.push(camera);
    Ok(document.to_string())
}

/// `text` with other values of the camera's keys; `null` takes a key away, what is not named stays.
pub(super) fn with_changed_camera(
    text: &str,
    id: &str,
    words: &Words,
    login: Option<&Login<'_>>,
) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let (_, camera) = find(&mut document, id)?;
    let has_password = camera.contains_key("password_file") || camera.contains_key("user");
    let moves = words.get("uri").is_some_and(|uri| {
        let before = camera.get("uri").and_then(Item::as_str);
        uri.as_str() != before
    });
    if has_password && moves && login.is_none() {
        return Err(EditError::Refused(
            "uri: this camera has a password, which would be sent to the new address; give the password \
             of the new one, or change both in the file"
                .to_owned(),
        ));
    }
    set_keys(camera, words)?;
    login.map_or(Ok(()), |login| login.set(camera))?;
    Ok(document.to_string())
}

/// `text` without the camera and everything below it.
pub(super) fn without_camera(text: &str, id: &str) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let (index, _) = find(&mut document, id)?;
    let removed = cameras(&mut document)?.remove(index);
    comments::leave_behind(&mut document, &[removed]);
    Ok(document.to_string())
}

fn parsed(text: &str) -> Result<DocumentMut, EditError> {
    // The parser's own words quote the text, which may hold a credential.
    let document: Result<DocumentMut, toml_edit::TomlError> = text.parse();
    document.or(Err(EditError::Syntax))
}

fn cameras(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, EditError> {
    let item = document
        .entry("cameras")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    as_tables(item)
}

/// The tables of an item, which may be written as `[{ … }]` as well.
fn as_tables(item: &mut Item) -> Result<&mut ArrayOfTables, EditError> {
    if !item.is_array_of_tables() {
        let tables = std::mem::take(item).into_array_of_tables();
        *item = Item::ArrayOfTables(tables.or(Err(EditError::Syntax))?);
    }
    item.as_array_of_tables_mut().ok_or(EditError::Syntax)
}

fn find<'d>(document: &'d mut DocumentMut, id: &str) -> Result<(usize, &'d mut Table), EditError> {
    let cameras = cameras(document)?.iter_mut().enumerate();
    let mut named = cameras.filter(|(_, it)| it.get("id").and_then(Item::as_str) == Some(id));
    named
        .next()
        .ok_or_else(|| EditError::NoCamera(id.to_owned()))
}

/// The size that the camera's pixels belong to.
fn frame(camera: &Table) -> Option<[f64; 2]> {
    let sides = json(camera.get("frame_px")?.as_value()?);
    match sides.as_array()?.as_slice() {
        [width, height] => Some([width.as_f64()?, height.as_f64()?]),
        _ => None,
    }
}

/// What a table says, coordinates as shares of the frame.
fn words(table: &Table, frame: Option<[f64; 2]>) -> Words {
    let mut words = Words::new();
    for (key, item) in table {
        let Some(value) = item.as_value().map(json) else {
            continue;
        };
        match (key.strip_suffix("_px"), frame) {
            (Some(stem), Some([width, height])) => {
                let shares = values::scaled(&value, [1.0 / width, 1.0 / height]);
                words.insert(format!("{stem}_norm"), shares);
            }
            _ => {
                words.insert(key.to_owned(), value);
            }
        }
    }
    words
}

/// Makes the tables below `key` those of `new`; gives those that are gone.
fn replace(
    camera: &mut Table,
    key: &str,
    new: &[Words],
    frame: Option<[f64; 2]>,
) -> Result<Vec<Table>, EditError> {
    if !camera.contains_key(key) {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        camera.insert(key, Item::ArrayOfTables(ArrayOfTables::new()));
    }
    let Some(item) = camera.get_mut(key) else {
        return Ok(Vec::new());
    };
    let tables = as_tables(item)?;
    let mut old: Vec<Table> = std::mem::take(tables).into_iter().collect();
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    for words in new {
        let name = words.get(WAS).or_else(|| words.get("name"));
        let name = name.and_then(Json::as_str);
        let same_name =
            |it: &Table| name.is_some() && it.get("name").and_then(Item::as_str) == name;
        let mut table = match old.iter().position(same_name) {
            Some(at) => {
                let table = old.remove(at);
                kept.extend(table.position());
                table
            }
            None => Table::new(),
        };
        update(&mut table, words, frame)?;
        made.push(table);
    }
    // Where a table is written is its position; those that stay take each other's if they changed
    // places, and a new one follows the one before it.
    kept.sort_unstable();
    let mut places = kept.into_iter();
    for mut table in made {
        if table.position().is_some() {
            table.set_position(places.next());
        }
        tables.push(table);
    }
    if tables.is_empty() {
        camera.remove(key);
    }
    Ok(old)
}

/// Makes a table say `words` and nothing else; a value that is the same stays as it is written.
fn update(table: &mut Table, words: &Words, frame: Option<[f64; 2]>) -> Result<(), EditError> {
    let spoken = |key: &str| match (key.strip_suffix("_px"), frame) {
        (Some(stem), Some(_)) => format!("{stem}_norm"),
        _ => key.to_owned(),
    };
    let is_named = |name: &String| words.get(name).is_some_and(|value| !value.is_null());
    let gone: Vec<String> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| !is_named(&spoken(key)))
        .collect();
    for key in gone {
        table.remove(&key);
    }
    for (name, value) in words {
        if name == WAS || value.is_null() {
            continue;
        }
        let in_px = name.strip_suffix("_norm").map(|stem| format!("{stem}_px"));
        match (in_px.filter(|key| table.contains_key(key)), frame) {
            (Some(key), Some([width, height])) => {
                let pixels = values::rounded(&values::scaled(value, [width, height]));
                set(table, &key, &pixels)?;
            }
            _ => set(table, name, value)?,
        }
    }
    Ok(())
}

/// Sets a key, and leaves it alone where it says the same already.
fn set(table: &mut Table, key: &str, value: &Json) -> Result<(), EditError> {
    let before = table.get(key).and_then(Item::as_value);
    if before.is_some_and(|before| same(&json(before), value)) {
        return Ok(());
    }
    let mut new = toml_value(value).ok_or_else(|| {
        let allowed = "text, a number, true, false, or a list of them or of points";
        EditError::Refused(format!("{key}: not to be set here, allowed is {allowed}"))
    })?;
    if let Some(before) = before {
        *new.decor_mut() = before.decor().clone();
    }
    match table.get_mut(key) {
        Some(item) => *item = Item::Value(new),
        None => drop(table.insert(key, Item::Value(new))),
    }
    Ok(())
}

fn set_keys(camera: &mut Table, words: &Words) -> Result<(), EditError> {
    for (key, value) in words {
        if !CAMERA_KEYS.contains(&key.as_str()) {
            let known = CAMERA_KEYS.join(", ");
            return Err(EditError::Refused(format!(
                "{key}: not to be set over the page, allowed are {known}; everything else in the file"
            )));
        }
        let is_far = |uri: &str| SCHEMES.iter().any(|scheme| uri.starts_with(scheme));
        if key == "uri" && !value.as_str().is_some_and(is_far) {
            let known = SCHEMES.join(", ");
            return Err(EditError::Refused(format!(
                "uri: allowed over the page are {known}; files and devices in the file"
            )));
        }
        if value.is_null() {
            camera.remove(key);
        } else {
            set(camera, key, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = r#"# The site.

# The gate.
[[cameras]]
id = "gate"     # the one at the road
uri = "rtsp://10.0.0.5/live"
user = "viewer"
password_file = "gate.password"
frame_px = [200, 100]

# Where cars wait.
[[cameras.zones]]
name = "bay"
polygon_norm = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.50]]   # measured on Monday
loiter_secs = 60  # a minute

# In pixels.
[[cameras.zones]]
name = "door"
polygon_px = [[20, 10], [100, 10], [100, 50]]

[[cameras.lines]]
name = "stop"
line_norm = [[0.0, 0.5], [1, 0.5]]

# General words about what follows.

# The yard.
[[cameras]]
id = "yard"
uri = "rtsp://10.0.0.6/live"

[web]
fps = 5 # slow
"#;

    fn object(value: Json) -> Words {
        value.as_object().unwrap().clone()
    }

    fn now(text: &str) -> NewPlaces {
        let (_, Places { zones, lines, .. }) = places(text, "gate").unwrap();
        NewPlaces { zones, lines }
    }

    #[test]
    fn what_is_read_says_no_more_than_the_places() {
        let (index, read) = places(TEXT, "gate").unwrap();
        assert_eq!(index, 0);
        assert_eq!(read.zones[0]["loiter_secs"], json!(60));
        // 20 of 200 and 10 of 100 pixels.
        assert_eq!(read.zones[1]["polygon_norm"][0], json!([0.1, 0.1]));
        let text = serde_json::to_string(&read).unwrap();
        assert!(
            !text.contains("rtsp") && !text.contains("password"),
            "{text}"
        );
        assert!(places(TEXT, "yard").unwrap().1.zones.is_empty());
        assert!(matches!(places(TEXT, "x"), Err(EditError::NoCamera(_))));
    }

    #[test]
    fn nothing_changed_is_not_a_byte_changed() {
        assert_eq!(with_places(TEXT, "gate", &now(TEXT)).unwrap(), TEXT);
        let none = NewPlaces {
            zones: Vec::new(),
            lines: Vec::new(),
        };
        assert_eq!(with_places(TEXT, "yard", &none).unwrap(), TEXT);
    }

    #[test]
    fn a_moved_point_and_a_new_name_leave_the_rest() {
        let mut new = now(TEXT);
        new.zones[0].insert("was".to_owned(), json!("bay"));
        new.zones[0].insert("name".to_owned(), json!("bay 1"));
        new.zones[0].insert(
            "polygon_norm".to_owned(),
            json!([[0.2, 0.1], [0.5, 0.1], [0.5, 0.5]]),
        );
        new.zones[1].insert(
            "polygon_norm".to_owned(),
            json!([[0.1, 0.1], [0.5, 0.1], [0.25, 0.5]]),
        );
        let text = with_places(TEXT, "gate", &new).unwrap();
        let expected = TEXT
            .replace("\"bay\"", "\"bay 1\"")
            .replace(
                "[[0.1, 0.1], [0.5, 0.1], [0.5, 0.50]]",
                "[[0.2, 0.1], [0.5, 0.1], [0.5, 0.5]]",
            )
            .replace(
                "[[20, 10], [100, 10], [100, 50]]",
                "[[20, 10], [100, 10], [50, 50]]",
            );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_new_place_comes_after_its_neighbours_and_before_the_next_camera() {
        let mut new = now(TEXT);
        new.zones.push(object(
            json!({"name": "new", "polygon_norm": [[0, 0], [1, 0], [1, 1]]}),
        ));
        let text = with_places(TEXT, "gate", &new).unwrap();
        let at = |word: &str| {
            text.find(word)
                .unwrap_or_else(|| panic!("no {word} in\n{text}"))
        };
        assert!(
            at("\"door\"") < at("\"new\"") && at("\"new\"") < at("\"stop\""),
            "{text}"
        );
        assert_eq!(
            text.replace(
                "[[cameras.zones]]\nname = \"new\"\npolygon_norm = [[0, 0], [1, 0], [1, 1]]\n\n",
                ""
            ),
            TEXT
        );
        let first = NewPlaces {
            zones: vec![object(
                json!({"name": "first", "polygon_norm": [[0, 0], [1, 0], [1, 1]]}),
            )],
            lines: Vec::new(),
        };
        let text = with_places(TEXT, "yard", &first).unwrap();
        let at = |word: &str| {
            text.find(word)
                .unwrap_or_else(|| panic!("no {word} in\n{text}"))
        };
        assert!(
            at("10.0.0.6") < at("\"first\"") && at("\"first\"") < at("[web]"),
            "{text}"
        );
        assert_eq!(places(&text, "yard").unwrap().1.zones, first.zones);
    }

    #[test]
    fn places_change_places_and_go() {
        let mut new = now(TEXT);
        new.zones.reverse();
        let text = with_places(TEXT, "gate", &new).unwrap();
        assert!(text.find("\"door\"") < text.find("\"bay\""), "{text}");
        assert_eq!(now(&text).zones, new.zones);
        new.zones.pop();
        new.lines.clear();
        let text = with_places(TEXT, "gate", &new).unwrap();
        assert!(!text.contains("bay") && !text.contains("lines") && text.contains("# In pixels."));
        assert!(
            text.contains("# General words about what follows."),
            "{text}"
        );
    }

    #[test]
    fn cameras_come_change_and_go_without_their_secrets() {
        let camera = object(json!({"id": "new", "uri": "rtsp://10.0.0.7/live", "latency_ms": 50}));
        let text = with_camera(TEXT, &camera, None).unwrap();
        assert!(
            text.find("\"yard\"") < text.find("\"new\"")
                && text.find("\"new\"") < text.find("[web]"),
            "{text}"
        );

        let change = object(json!({"uri": "rtsp://10.0.0.9/live", "latency_ms": null}));
        let text = with_changed_camera(&text, "new", &change, None).unwrap();
        assert!(text.contains("10.0.0.9") && !text.contains("latency_ms"));
        let text = without_camera(&text, "new").unwrap();
        assert_eq!(text, TEXT);
        let text = without_camera(TEXT, "gate").unwrap();
        assert!(text.starts_with("# The site.\n\n# General words"), "{text}");
        assert!(
            !text.contains("gate") && text.contains("fps = 5 # slow"),
            "{text}"
        );

        let moved = object(json!({"uri": "rtsp://evil.example/live"}));
        assert!(
            with_changed_camera(TEXT, "gate", &moved, None).is_err(),
            "its password would follow"
        );
        for (key, value) in [
            ("password_file", json!("/etc/shadow")),
            ("pipeline", json!("x.gst")),
            ("tls_insecure", json!(true)),
            ("zones", json!([])),
            ("uri", json!("/etc/passwd")),
            ("uri", json!("file:///etc/passwd")),
            ("classes", json!({"a": 1})),
        ] {
            let words = Words::from_iter([(key.to_owned(), value)]);
            assert!(with_camera(TEXT, &words, None).is_err(), "{key}");
        }
    }
}
