//! Which files gantryd wrote and has finished, by their names.

/// Length of `yyyymmddThhmmssZ`.
const STAMP: usize = 16;

/// Rotated result files: how the name begins and ends. Events are not among them.
const RESULTS: [(&str, &str); 3] = [
    ("results", "jsonl"),
    ("results.mot", "txt"),
    ("results.decisions", "jsonl"),
];

/// How the names of pictures of events end.
const PICTURES: [&str; 2] = ["_frame", "_object"];

/// Can a folder of this name be a camera's? (The configuration allows no other names.)
pub(super) fn is_camera(folder: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !folder.is_empty() && !folder.starts_with('.') && folder.chars().all(is_plain)
}

/// What is deleted together with the file `name` in the folder of `camera`: the part of the name
/// that a recording and its sidecar share. `None` for every file that is not to be deleted.
pub(super) fn unit_of<'n>(camera: &str, name: &'n str) -> Option<&'n str> {
    let (stem, extension) = name.rsplit_once('.')?;
    // Events have a limit of their own, and the sidecar of a camera called "events", which
    // cannot be told from them, is kept.
    if extension == "jsonl" && stem.starts_with("events_") {
        return None;
    }
    for (begin, end) in RESULTS {
        let rest = stem.strip_prefix(begin).and_then(|it| it.strip_prefix('_'));
        if extension == end && rest.is_some_and(|it| is_stamp(it, "-")) {
            return Some(name);
        }
    }
    let recorded = camera.replace("..", "__");
    let rest = [camera, recorded.as_str()]
        .iter()
        .find_map(|it| stem.strip_prefix(it)?.strip_prefix('_'))?;
    let is_raw = || {
        rest.strip_suffix("_raw")
            .is_some_and(|it| is_stamp(it, "-"))
    };
    let is_clip = || {
        rest.strip_suffix("_clip")
            .is_some_and(|it| is_stamp(it, "_"))
    };
    match extension {
        "mp4" | "jsonl" => (is_stamp(rest, "_") || is_raw() || is_clip()).then_some(stem),
        "json" => is_clip().then_some(stem),
        "jpg" => {
            let numbered = PICTURES.iter().find_map(|end| rest.strip_suffix(end))?;
            let has_number = numbered.len() > STAMP;
            (has_number && is_stamp(numbered, "_")).then_some(name)
        }
        _ => None,
    }
}

/// Is it a file of events that is full? Those of a camera called "events" cannot be told from its sidecars.
pub(super) fn is_full_events(camera: &str, name: &str) -> bool {
    let stamp = name
        .strip_prefix("events_")
        .and_then(|it| it.strip_suffix(".jsonl"));
    camera != "events" && stamp.is_some_and(|it| is_stamp(it, "-"))
}

/// What a film is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilmKind {
    /// With boxes drawn in.
    Annotated,
    /// As the camera sent it.
    Raw,
    /// Of an event.
    Clip,
}

impl FilmKind {
    /// The name used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Annotated => "annotated",
            Self::Raw => "raw",
            Self::Clip => "clip",
        }
    }
}

/// Kind and beginning (`yyyymmddThhmmssZ`) of the film `name` in the folder of `camera`; `None` for
/// every name that gantryd gives to no film.
#[must_use]
pub fn film_named<'n>(camera: &str, name: &'n str) -> Option<(FilmKind, &'n str)> {
    let stem = name.strip_suffix(".mp4")?;
    let unit = unit_of(camera, name).filter(|unit| *unit == stem)?;
    let kind = if unit.ends_with("_clip") {
        FilmKind::Clip
    } else if unit.ends_with("_raw") {
        FilmKind::Raw
    } else {
        FilmKind::Annotated
    };
    let recorded = camera.replace("..", "__");
    let rest = unit
        .strip_prefix(camera)
        .or_else(|| unit.strip_prefix(&*recorded))?;
    let stamp = rest.strip_prefix('_')?.get(..STAMP)?;
    Some((kind, stamp))
}

/// How the mark of a film that is kept for good ends; it has the film's name otherwise.
const KEPT: &str = ".keep";

/// The name of the mark that keeps the film `name` of `camera` for good; `None` if that is no film.
#[must_use]
pub fn mark_of(camera: &str, name: &str) -> Option<String> {
    film_named(camera, name)?;
    let stem = name.strip_suffix(".mp4")?;
    Some(format!("{stem}{KEPT}"))
}

/// The unit that the mark `name` keeps, if it is one.
pub(super) fn kept_by<'n>(camera: &str, name: &'n str) -> Option<&'n str> {
    let stem = name.strip_suffix(KEPT)?;
    film_named(camera, &format!("{stem}.mp4")).map(|_film| stem)
}

/// Is `name`, in the folder of `camera`, a picture of an event?
#[must_use]
pub fn is_picture(camera: &str, name: &str) -> bool {
    name.ends_with(".jpg") && unit_of(camera, name) == Some(name)
}

/// Is a unit of [`unit_of`] kept of an event: a clip, or a picture?
pub(super) fn is_of_event(unit: &str) -> bool {
    unit.ends_with("_clip") || unit.ends_with(".jpg")
}

/// `yyyymmddThhmmssZ`, and for one more of the same second `mark` and a number.
fn is_stamp(text: &str, mark: &str) -> bool {
    let Some((stamp, rest)) = text.split_at_checked(STAMP) else {
        return false;
    };
    let is_in_place = |(at, c): (usize, char)| match at {
        8 => c == 'T',
        15 => c == 'Z',
        _ => c.is_ascii_digit(),
    };
    let is_number = |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_digit());
    stamp.chars().enumerate().all(is_in_place)
        && (rest.is_empty() || rest.strip_prefix(mark).is_some_and(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gantryd_finished_is_known_by_its_name() {
        for (name, unit) in [
            ("gate_20231114T221320Z.mp4", "gate_20231114T221320Z"),
            ("gate_20231114T221320Z.jsonl", "gate_20231114T221320Z"),
            ("gate_20231114T221320Z_12.mp4", "gate_20231114T221320Z_12"),
            ("gate_20231114T221320Z_raw.mp4", "gate_20231114T221320Z_raw"),
            (
                "gate_20231114T221320Z-2_raw.mp4",
                "gate_20231114T221320Z-2_raw",
            ),
            (
                "gate_20231114T221320Z-2_raw.jsonl",
                "gate_20231114T221320Z-2_raw",
            ),
            (
                "gate_20231114T221320Z_clip.mp4",
                "gate_20231114T221320Z_clip",
            ),
            (
                "gate_20231114T221320Z_2_clip.json",
                "gate_20231114T221320Z_2_clip",
            ),
            (
                "gate_20231114T221320Z_2_clip.jsonl",
                "gate_20231114T221320Z_2_clip",
            ),
            (
                "gate_20231114T221320Z_12_frame.jpg",
                "gate_20231114T221320Z_12_frame.jpg",
            ),
            (
                "gate_20231114T221320Z_12_object.jpg",
                "gate_20231114T221320Z_12_object.jpg",
            ),
            (
                "results_20231114T221320Z.jsonl",
                "results_20231114T221320Z.jsonl",
            ),
            (
                "results_20231114T221320Z-1.jsonl",
                "results_20231114T221320Z-1.jsonl",
            ),
            (
                "results.mot_20231114T221320Z.txt",
                "results.mot_20231114T221320Z.txt",
            ),
            (
                "results.decisions_20231114T221320Z.jsonl",
                "results.decisions_20231114T221320Z.jsonl",
            ),
        ] {
            assert_eq!(unit_of("gate", name), Some(unit));
        }
        let dotted = unit_of("a..b", "a__b_20231114T221320Z.mp4");
        assert_eq!(dotted, Some("a__b_20231114T221320Z"));
    }

    #[test]
    fn films_and_pictures_are_known_by_their_names_and_no_path_is_one() {
        let stamp = "20231114T221320Z";
        for (name, kind) in [
            ("gate_20231114T221320Z.mp4", FilmKind::Annotated),
            ("gate_20231114T221320Z-2_raw.mp4", FilmKind::Raw),
            ("gate_20231114T221320Z_2_clip.mp4", FilmKind::Clip),
        ] {
            assert_eq!(film_named("gate", name), Some((kind, stamp)));
        }
        let dotted = film_named("a..b", "a__b_20231114T221320Z.mp4");
        assert_eq!(dotted, Some((FilmKind::Annotated, stamp)));
        assert!(is_picture("gate", "gate_20231114T221320Z_12_frame.jpg"));
        for name in [
            "../gate/gate_20231114T221320Z.mp4",
            "gate_20231114T221320Z/../x.mp4",
            "gate_20231114T221320Z_1/../../x_frame.jpg",
            "gate_20231114T221320Z.jsonl",
            "results_20231114T221320Z.jsonl",
            "site.toml",
            "..",
            "",
        ] {
            assert_eq!(film_named("gate", name), None, "{name}");
            assert!(!is_picture("gate", name), "{name}");
        }
    }

    #[test]
    fn a_mark_belongs_to_a_film_and_is_never_deleted_itself() {
        let film = "gate_20231114T221320Z_2_clip.mp4";
        let mark = mark_of("gate", film).unwrap();
        assert_eq!(mark, "gate_20231114T221320Z_2_clip.keep");
        assert_eq!(kept_by("gate", &mark), film.strip_suffix(".mp4"));
        assert_eq!(unit_of("gate", &mark), None);
        assert_eq!(mark_of("gate", "events.jsonl"), None);
        assert_eq!(kept_by("gate", "../x.keep"), None);
    }

    #[test]
    fn full_files_of_events_are_known_and_never_among_the_others() {
        for name in [
            "events_20260301T080000Z.jsonl",
            "events_20260301T080000Z-2.jsonl",
        ] {
            assert!(is_full_events("gate", name) && !is_full_events("events", name));
            assert_eq!(unit_of("gate", name), None);
        }
        for name in [
            "events.jsonl",
            "events_x.jsonl",
            "gate_20260301T080000Z.jsonl",
        ] {
            assert!(!is_full_events("gate", name), "{name}");
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        for name in [
            "results.jsonl",
            "results.mot.txt",
            "results.decisions.jsonl",
            "events.jsonl",
            "events_20231114T221320Z.jsonl",
            "yard_20231114T221320Z.mp4",
            "gate_20231114T221320Z.mp4.part",
            "gate_20231114T221320Z.mkv",
            "gate_20231114T221320.mp4",
            "gate_2023111ST221320Z.mp4",
            "gate_20231114T221320Z_.mp4",
            "gate_20231114T221320Z_copy.mp4",
            "gate_20231114T221320Z_raw.json",
            "gate_20231114T221320Z.json",
            "gate_20231114T221320Z_frame.jpg",
            "gate_20231114T221320Z_12_face.jpg",
            "gate_20231114T221320Z_12.jpg",
            "gate_ä0231114T221320Z.mp4",
            "gate.mp4",
            "holiday.mp4",
            "events.redb",
            "",
            "..",
        ] {
            assert_eq!(unit_of("gate", name), None, "{name}");
        }
        let sidecar = unit_of("events", "events_20231114T221320Z.jsonl");
        assert_eq!(sidecar, None, "it may as well be events");
    }

    #[test]
    fn folders_of_cameras_have_plain_names() {
        assert!(is_camera("gate-1.b_2"));
        for name in ["", ".", "..", ".hidden", "lost+found", "a b", "ä"] {
            assert!(!is_camera(name), "{name}");
        }
    }
}
