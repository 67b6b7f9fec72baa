//! The benchmarks: their files, and their rules about what counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::rows::{Fields, Row, RowError, RowFault, lines};
use super::{Region, Role, Track, Truth, TruthBox};

/// Whose columns and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benchmark {
    /// MOTChallenge columns; rows with confidence 0 are left out.
    Mot15,
    /// MOTChallenge columns with classes: pedestrians count, tracks on people in vehicles, standing
    /// people, mannequins and reflections are taken out. MOT16 and MOT17.
    Mot17,
    /// As MOT17, and tracks on vehicles that are no cars are taken out too.
    Mot20,
    /// MOTChallenge columns; everything is a dancer.
    DanceTrack,
    /// KITTI columns for the truth, those or MOTChallenge's for tracks; cars and pedestrians count,
    /// those truncated or largely hidden, vans, sitting people, DontCare regions and tracks of at
    /// most 25 px height count neither way.
    Kitti,
    /// MOTChallenge columns; tracks on rows with confidence 0 are taken out.
    Plain,
}

/// What is scored together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Everything, whatever its class: [`Benchmark::Plain`].
    All,
    /// One class number: [`Benchmark::Plain`].
    Number(i64),
    /// Every benchmark but the plain one.
    Pedestrian,
    /// [`Benchmark::Kitti`].
    Car,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Number(number) => number.fmt(f),
            Self::Pedestrian => f.write_str("pedestrian"),
            Self::Car => f.write_str("car"),
        }
    }
}

/// MOTChallenge's number of pedestrians.
const MOT_PEDESTRIAN: i64 = 1;
/// Person on vehicle, static person, distractor, reflection.
const MOT_DISTRACTORS: [i64; 4] = [2, 7, 8, 12];
/// Vehicles without engine, cranes and the like.
const MOT_OTHER_VEHICLE: i64 = 6;
/// MOTChallenge numbers its classes up to this.
const MOT_CLASSES: i64 = 13;
const KITTI_CAR: i64 = 1;
const KITTI_VAN: i64 = 2;
const KITTI_PEDESTRIAN: i64 = 4;
const KITTI_SITTING: i64 = 5;
/// KITTI: a track box on nothing that is at most this high is taken out, px.
const KITTI_MIN_HEIGHT_PX: f64 = 25.0;

fn kitti_class(name: &str) -> Option<i64> {
    match name.to_ascii_lowercase().as_str() {
        "car" | "car_2" => Some(KITTI_CAR),
        "van" => Some(KITTI_VAN),
        "truck" => Some(3),
        "pedestrian" => Some(KITTI_PEDESTRIAN),
        "person" | "person_sitting" => Some(KITTI_SITTING),
        "cyclist" => Some(6),
        "tram" => Some(7),
        "misc" => Some(8),
        "dontcare" => Some(9),
        _ => None,
    }
}

/// The true boxes of one file, for every class.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRows {
    benchmark: Benchmark,
    rows: Vec<Row>,
    regions: Vec<Region>,
}

/// The tracks of one file, for every class.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackRows {
    rows: Vec<Row>,
}

impl Benchmark {
    /// The classes it scores, each for itself.
    #[must_use]
    pub fn classes(self) -> &'static [Class] {
        match self {
            Self::Kitti => &[Class::Car, Class::Pedestrian],
            Self::Plain => &[Class::All],
            _ => &[Class::Pedestrian],
        }
    }

    /// Reads a truth file of a sequence of `frames` frames, or of as many as it names.
    ///
    /// # Errors
    /// The first row that cannot be taken, with its line.
    pub fn read_truth(self, text: &str, frames: Option<u64>) -> Result<TruthRows, RowError> {
        let mut truth = TruthRows {
            benchmark: self,
            rows: Vec::new(),
            regions: Vec::new(),
        };
        for (line, text) in lines(text) {
            self.truth_row(line, &Fields::of(text), frames, &mut truth)
                .map_err(|fault| RowError { line, fault })?;
        }
        once_per_frame(&truth.rows)?;
        Ok(truth)
    }

    fn truth_row(
        self,
        line: usize,
        fields: &Fields<'_>,
        frames: Option<u64>,
        truth: &mut TruthRows,
    ) -> Result<(), RowFault> {
        if self == Self::Kitti {
            if fields
                .get(2)
                .is_some_and(|class| class.eq_ignore_ascii_case("dontcare"))
            {
                let region = fields.kitti_region(frames)?;
                truth.regions.push(region);
            } else {
                truth.rows.extend(fields.kitti(line, frames, kitti_class)?);
            }
            return Ok(());
        }
        let row = fields.mot(line, self.truth_fields(), frames)?;
        if self.has_mot_classes() && !row.class.is_some_and(|n| (1..=MOT_CLASSES).contains(&n)) {
            return Err(RowFault::Class {
                text: fields.get(7).unwrap_or_default().to_owned(),
                allowed: "1 to 13 in the truth of this format",
            });
        }
        truth.rows.push(row);
        Ok(())
    }

    /// Reads a file of tracks for a sequence of `frames` frames, or of as many as it names.
    ///
    /// # Errors
    /// The first row that cannot be taken, with its line.
    pub fn read_tracks(self, text: &str, frames: Option<u64>) -> Result<TrackRows, RowError> {
        let mut rows = Vec::new();
        for (line, text) in lines(text) {
            let fields = Fields::of(text);
            let row = if self == Self::Kitti && !text.contains(',') {
                fields.kitti(line, frames, kitti_class)
            } else {
                self.mot_track(line, &fields, frames).map(Some)
            };
            rows.extend(row.map_err(|fault| RowError { line, fault })?);
        }
        once_per_frame(&rows)?;
        Ok(TrackRows { rows })
    }

    fn mot_track(
        self,
        line: usize,
        fields: &Fields<'_>,
        frames: Option<u64>,
    ) -> Result<Row, RowFault> {
        /// Frame, id and box.
        const NEEDED: usize = 6;
        let mut row = fields.mot(line, NEEDED, frames)?;
        if self == Self::Plain {
            return Ok(row);
        }
        if self != Self::Kitti && row.class.is_some_and(|class| class > MOT_PEDESTRIAN) {
            return Err(RowFault::Class {
                text: fields.get(7).unwrap_or_default().to_owned(),
                allowed: "1 or -1: this format scores pedestrians alone; leave other tracks out",
            });
        }
        // Of the class that is asked for: these columns do not have the benchmark's own.
        row.class = None;
        Ok(row)
    }

    fn has_mot_classes(self) -> bool {
        matches!(self, Self::Mot17 | Self::Mot20 | Self::DanceTrack)
    }

    fn truth_fields(self) -> usize {
        match self {
            Self::Plain => 6,
            Self::Mot15 => 7,
            _ => 8,
        }
    }

    fn role(self, row: &Row, class: Class) -> Option<Role> {
        let counted = |is_counted, other| Some(if is_counted { Role::Counted } else { other });
        let number = row.class.unwrap_or(-1);
        match (self, class) {
            (Self::Mot15, _) => row.is_marked.then_some(Role::Counted),
            (Self::Plain, Class::Number(wanted)) if row.is_marked && wanted != number => None,
            (Self::Plain, _) => counted(row.is_marked, Role::Ignored),
            (Self::Kitti, Class::Car) => match number {
                KITTI_CAR => counted(row.is_marked, Role::Ignored),
                KITTI_VAN => Some(Role::Ignored),
                _ => None,
            },
            (Self::Kitti, _) => match number {
                KITTI_PEDESTRIAN => counted(row.is_marked, Role::Ignored),
                KITTI_SITTING => Some(Role::Ignored),
                _ => None,
            },
            (Self::Mot17 | Self::Mot20 | Self::DanceTrack, _) => {
                let is_distractor = MOT_DISTRACTORS.contains(&number)
                    || self == Self::Mot20 && number == MOT_OTHER_VEHICLE;
                if is_distractor {
                    Some(Role::Ignored)
                } else {
                    counted(row.is_marked && number == MOT_PEDESTRIAN, Role::Bystander)
                }
            }
        }
    }
}

impl TruthRows {
    /// Number of frames up to the last one with a row.
    #[must_use]
    pub fn frames(&self) -> u64 {
        frames(&self.rows)
    }

    /// The class numbers of the rows that count.
    ///
    /// # Errors
    /// The first row that does not say its class.
    pub fn class_numbers(&self) -> Result<BTreeSet<i64>, RowError> {
        let marked = self.rows.iter().filter(|row| row.is_marked);
        marked.map(class_number).collect()
    }

    /// What is true for `class` in a sequence of `frames` frames.
    #[must_use]
    pub fn of_class(&self, class: Class, frames: u64) -> Truth {
        let boxes = self.rows.iter().filter_map(|row| {
            Some(TruthBox {
                frame: row.frame,
                id: row.id,
                bbox: row.bbox,
                role: self.benchmark.role(row, class)?,
            })
        });
        let is_kitti = self.benchmark == Benchmark::Kitti;
        Truth {
            frames,
            boxes: boxes.collect(),
            regions: self.regions.clone(),
            min_height_px: is_kitti.then_some(KITTI_MIN_HEIGHT_PX),
        }
    }
}

impl TrackRows {
    /// Number of frames up to the last one with a row.
    #[must_use]
    pub fn frames(&self) -> u64 {
        frames(&self.rows)
    }

    /// Whether every row says its class.
    #[must_use]
    pub fn have_classes(&self) -> bool {
        self.rows.iter().all(|row| row.class.is_some())
    }

    /// The tracks of `class`.
    ///
    /// # Errors
    /// For [`Class::Number`], the first row that does not say its class.
    pub fn of_class(&self, class: Class) -> Result<Vec<Track>, RowError> {
        let mut tracks = Vec::new();
        for row in &self.rows {
            let is_of_class = match class {
                Class::All => true,
                Class::Number(number) => class_number(row)? == number,
                Class::Pedestrian => row.class.is_none_or(|number| number == KITTI_PEDESTRIAN),
                Class::Car => row.class.is_none_or(|number| number == KITTI_CAR),
            };
            if is_of_class {
                tracks.push(Track {
                    frame: row.frame,
                    id: row.id,
                    bbox: row.bbox,
                });
            }
        }
        Ok(tracks)
    }
}

fn class_number(row: &Row) -> Result<i64, RowError> {
    row.class.ok_or(RowError {
        line: row.line,
        fault: RowFault::NoClass,
    })
}

fn frames(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.frame + 1).max().unwrap_or(0)
}

fn once_per_frame(rows: &[Row]) -> Result<(), RowError> {
    let mut lines = BTreeMap::new();
    for row in rows {
        if let Some(first_line) = lines.insert((row.frame, row.id), row.line) {
            let id = row.id;
            return Err(RowError {
                line: row.line,
                fault: RowFault::Twice { id, first_line },
            });
        }
    }
    Ok(())
}
