//! One row of a truth or result file, in MOTChallenge or KITTI columns.

use super::{Rect, Region};

/// Frames a file may count to: 38 days at 30 fps. A larger number is a fault in the file.
const MAX_FRAME: u64 = 100_000_000;
/// Largest id: up to here a number written as 7.0 is exact.
const MAX_ID: u64 = 1 << 53;
/// Characters of a bad field that are shown.
const SHOWN: usize = 40;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{line}: {fault}")]
pub struct RowError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: RowFault,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowFault {
    /// Too few fields.
    #[error("{found} fields, at least {needed} are needed: {columns}")]
    Fields {
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
        /// Their names.
        columns: &'static str,
    },
    /// A field that is no number.
    #[error("{name} is {text:?}, which is not a finite number")]
    Number {
        /// Which field.
        name: &'static str,
        /// What stands there.
        text: String,
    },
    /// A frame number that cannot be.
    #[error("frame is {text:?}, allowed is a whole number from {first} to {last}")]
    Frame {
        /// What stands there.
        text: String,
        /// Number of the first frame.
        first: u64,
        /// Number of the last frame.
        last: u64,
    },
    /// An id that cannot be.
    #[error("id is {0:?}, allowed is a whole number from 0; are these detections without tracks?")]
    Id(String),
    /// A box with negative sides.
    #[error("the box is {width} × {height}, its sides cannot be negative")]
    Box {
        /// Right less left, px.
        width: f64,
        /// Bottom less top, px.
        height: f64,
    },
    /// A class that the format does not have.
    #[error("class is {text:?}, allowed is {allowed}")]
    Class {
        /// What stands there.
        text: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A row that does not say its class where classes are asked for.
    #[error("no class in this row; score all classes together, or write the class as 8th field")]
    NoClass,
    /// An id with two boxes in one frame.
    #[error("id {id} has a second box in this frame, the first is in line {first_line}")]
    Twice {
        /// Which id.
        id: u64,
        /// Where the first box stands.
        first_line: usize,
    },
}

/// A row as it stands, its numbers checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub line: usize,
    /// Counted from 0.
    pub frame: u64,
    pub id: u64,
    pub bbox: Rect,
    /// `None` where the row does not say, or says -1.
    pub class: Option<i64>,
    /// MOTChallenge: the confidence is not 0. KITTI: neither truncated nor mostly hidden.
    pub is_marked: bool,
}

/// The rows that hold something: number of the line, and its text.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The fields of a row, apart by commas or, where it has none, by blanks.
pub(super) struct Fields<'t> {
    all: Vec<&'t str>,
}

const MOT_COLUMNS: &str = "frame,id,left,top,width,height,conf,class,visibility";
const KITTI_COLUMNS: &str =
    "frame id type truncated occluded alpha left top right bottom ..., apart by blanks";
/// KITTI: an object that is hidden more than this is not counted (2: largely occluded).
const MAX_OCCLUSION: f64 = 2.0;

impl<'t> Fields<'t> {
    pub fn of(text: &'t str) -> Self {
        let all = if text.contains(',') {
            text.trim_end_matches([',', ' ', '\t'])
                .split(',')
                .map(str::trim)
                .collect()
        } else {
            text.split_whitespace().collect()
        };
        Self { all }
    }

    /// A row in MOTChallenge columns with at least `needed` fields; `frames` is the number of frames.
    pub fn mot(&self, line: usize, needed: usize, frames: Option<u64>) -> Result<Row, RowFault> {
        self.enough(needed, MOT_COLUMNS)?;
        let [left, top] = [self.number(2, "left")?, self.number(3, "top")?];
        let [width, height] = [self.number(4, "width")?, self.number(5, "height")?];
        let mark = self.optional(6, "conf")?.unwrap_or(1.0);
        let class = self.optional(7, "class")?.map(|class| class as i64);
        let id = id(self.all[1])?.ok_or_else(|| RowFault::Id(shown(self.all[1])))?;
        let bbox = Rect {
            left,
            top,
            right: left + width,
            bottom: top + height,
        };
        Ok(Row {
            line,
            frame: frame(self.all[0], 1, frames)? - 1,
            id,
            bbox: proper(bbox, width, height)?,
            class: class.filter(|class| *class >= 0),
            is_marked: mark.trunc().abs() > 0.0,
        })
    }

    /// A DontCare row in KITTI columns.
    pub fn kitti_region(&self, frames: Option<u64>) -> Result<Region, RowFault> {
        self.enough(10, KITTI_COLUMNS)?;
        Ok(Region {
            frame: frame(self.all[0], 0, frames)?,
            bbox: self.kitti_box()?,
        })
    }

    fn kitti_box(&self) -> Result<Rect, RowFault> {
        let [left, top] = [self.number(6, "left")?, self.number(7, "top")?];
        let [right, bottom] = [self.number(8, "right")?, self.number(9, "bottom")?];
        let bbox = Rect {
            left,
            top,
            right,
            bottom,
        };
        proper(bbox, right - left, bottom - top)
    }

    /// A row in KITTI columns, its class by `class_of`; `None` if it has no id.
    pub fn kitti(
        &self,
        line: usize,
        frames: Option<u64>,
        class_of: impl Fn(&str) -> Option<i64>,
    ) -> Result<Option<Row>, RowFault> {
        self.enough(10, KITTI_COLUMNS)?;
        let class = class_of(self.all[2]).ok_or_else(|| RowFault::Class {
            text: shown(self.all[2]),
            allowed: "Car, Van, Truck, Pedestrian, Person, Cyclist, Tram, Misc or DontCare",
        })?;
        let truncated = self.number(3, "truncated")?.trunc();
        let occluded = self.number(4, "occluded")?.trunc();
        let bbox = self.kitti_box()?;
        let frame = frame(self.all[0], 0, frames)?;
        Ok(id(self.all[1])?.map(|id| Row {
            line,
            frame,
            id,
            bbox,
            class: Some(class),
            is_marked: truncated <= 0.0 && occluded <= MAX_OCCLUSION,
        }))
    }

    pub fn get(&self, index: usize) -> Option<&'t str> {
        self.all.get(index).copied()
    }

    fn enough(&self, needed: usize, columns: &'static str) -> Result<(), RowFault> {
        let found = self.all.len();
        if found < needed {
            return Err(RowFault::Fields {
                found,
                needed,
                columns,
            });
        }
        Ok(())
    }

    fn number(&self, index: usize, name: &'static str) -> Result<f64, RowFault> {
        let text = self.all.get(index).copied().unwrap_or_default();
        finite(text).ok_or_else(|| RowFault::Number {
            name,
            text: shown(text),
        })
    }

    fn optional(&self, index: usize, name: &'static str) -> Result<Option<f64>, RowFault> {
        self.get(index)
            .map(|_| self.number(index, name))
            .transpose()
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn whole(text: &str) -> Option<f64> {
    finite(text).filter(|number| number.fract().abs() <= 0.0)
}

fn frame(text: &str, first: u64, frames: Option<u64>) -> Result<u64, RowFault> {
    let last = frames.map_or(MAX_FRAME, |frames| (frames + first).saturating_sub(1));
    whole(text)
        .filter(|frame| (first as f64..=last as f64).contains(frame))
        .map(|frame| frame as u64)
        .ok_or_else(|| RowFault::Frame {
            text: shown(text),
            first,
            last,
        })
}

/// The id, or `None` if it is negative.
fn id(text: &str) -> Result<Option<u64>, RowFault> {
    let id = whole(text).filter(|id| *id <= MAX_ID as f64);
    let id = id.ok_or_else(|| RowFault::Id(shown(text)))?;
    Ok((id >= 0.0).then_some(id as u64))
}

fn proper(bbox: Rect, width: f64, height: f64) -> Result<Rect, RowFault> {
    if width < 0.0 || height < 0.0 {
        return Err(RowFault::Box { width, height });
    }
    Ok(bbox)
}
