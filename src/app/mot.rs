//! Detections in the MOTChallenge text format (results: `sinks::publish`).
//!
//! A row is `frame,id,left,top,width,height,score[,class…]`, comma separated, frames counted from 1.
//! Positions are continuous pixels and are taken and given as they stand: the benchmarks' own files
//! differ in whether the first pixel is 0 or 1, and a tracker that shifted them would score less.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::base::{BBox, ClassId, Detection};

/// Frames a file may count to: 38 days at 30 fps. A larger number is a fault in the file.
const MAX_FRAME: u64 = 100_000_000;
/// Longest line read, bytes.
const MAX_LINE_BYTES: usize = 4096;

/// What is wrong with a MOT file.
#[derive(Debug, thiserror::Error)]
pub enum MotError {
    /// The file cannot be read.
    #[error("{path}: cannot read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A row is not what the format allows.
    #[error(
        "{path}:{line}: {fault}; a row is frame,id,left,top,width,height,score with frames counted from 1"
    )]
    Row {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: RowFault,
    },
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowFault {
    /// Too few fields.
    #[error("{0} fields, at least 7 are needed")]
    Fields(usize),
    /// A field that is no number.
    #[error("{name} is {text:?}, which is not a finite number")]
    Number {
        /// Which field.
        name: &'static str,
        /// What stands there.
        text: String,
    },
    /// A frame number that is no whole number from 1.
    #[error("frame is {0:?}, allowed is a whole number from 1 to {MAX_FRAME}")]
    Frame(String),
    /// A width or height below 0, or positions too large to hold.
    #[error("the box {width} × {height} at ({left}, {top}) is none")]
    Box {
        /// Left edge.
        left: f32,
        /// Top edge.
        top: f32,
        /// Width.
        width: f32,
        /// Height.
        height: f32,
    },
    /// More bytes than any row has.
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    Length,
    /// Not text.
    #[error("not UTF-8 text")]
    Text,
}

/// The detections of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct MotFrame {
    /// Counted from 1.
    pub number: u64,
    /// In the order of the file.
    pub detections: Vec<Detection>,
}

/// A detection file in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MotDetections {
    /// In order of their numbers; frames without detections are left out.
    pub frames: Vec<MotFrame>,
    /// Rows left out because their box has no area.
    pub empty_boxes: usize,
    /// Scores outside 0..=1 (some detectors write logits) that were cut to that range.
    pub cut_scores: usize,
}

/// Reads a detection file; rows may stand in any order.
///
/// An eighth field is taken as the class when it is a whole number from 0 to 65535; otherwise, as in
/// the benchmarks' own `-1`, the class is 0. Empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// The file and the line of the first row that cannot be taken.
pub fn read_detections(path: &Path) -> Result<MotDetections, MotError> {
    let read_error = |source| MotError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(read_error)?);
    let mut read = MotDetections::default();
    let mut rows: Vec<(u64, Detection)> = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let mut line_reader = reader.by_ref().take(MAX_LINE_BYTES as u64 + 1);
        if line_reader
            .read_until(b'\n', &mut bytes)
            .map_err(read_error)?
            == 0
        {
            break;
        }
        let row_error = |fault| MotError::Row {
            path: path.to_owned(),
            line,
            fault,
        };
        if bytes.len() > MAX_LINE_BYTES {
            return Err(row_error(RowFault::Length));
        }
        let text = str::from_utf8(&bytes)
            .map_err(|_not_text| row_error(RowFault::Text))?
            .trim_start_matches('\u{feff}')
            .trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let row = Row::parse(text).map_err(row_error)?;
        match row.detection(&mut read.cut_scores).map_err(row_error)? {
            Some(detection) => rows.push((row.frame, detection)),
            None => read.empty_boxes += 1,
        }
    }
    rows.sort_by_key(|row| row.0);
    for chunk in rows.chunk_by(|a, b| a.0 == b.0) {
        read.frames.push(MotFrame {
            number: chunk[0].0,
            detections: chunk.iter().map(|row| row.1.clone()).collect(),
        });
    }
    Ok(read)
}

struct Row {
    frame: u64,
    ltwh: [f32; 4],
    score: f32,
    class: ClassId,
}

impl Row {
    fn parse(text: &str) -> Result<Self, RowFault> {
        let mut fields = [""; 8];
        let mut count = 0;
        for field in text.split(',') {
            if let Some(place) = fields.get_mut(count) {
                *place = field.trim();
            }
            count += 1;
        }
        if count < 7 {
            return Err(RowFault::Fields(count));
        }
        // Some tools write frame numbers as 12.0.
        let frame = fields[0].strip_suffix(".0").unwrap_or(fields[0]);
        let frame = frame
            .parse()
            .ok()
            .filter(|number| (1..=MAX_FRAME).contains(number))
            .ok_or_else(|| RowFault::Frame(fields[0].to_owned()))?;
        Ok(Self {
            frame,
            ltwh: [
                number("left", fields[2])?,
                number("top", fields[3])?,
                number("width", fields[4])?,
                number("height", fields[5])?,
            ],
            score: number("score", fields[6])?,
            class: ClassId(fields[7].parse().unwrap_or(0)),
        })
    }

    /// The detection, or `None` if its box has no area.
    fn detection(&self, cut_scores: &mut usize) -> Result<Option<Detection>, RowFault> {
        let [left, top, width, height] = self.ltwh;
        let (right, bottom) = (left + width, top + height);
        if width < 0.0 || height < 0.0 || !right.is_finite() || !bottom.is_finite() {
            return Err(RowFault::Box {
                left,
                top,
                width,
                height,
            });
        }
        let confidence = self.score.clamp(0.0, 1.0);
        *cut_scores += usize::from((confidence - self.score).abs() > 0.0);
        Ok(
            BBox::from_ltrb(left, top, right, bottom).map(|bbox| Detection {
                bbox,
                class: self.class,
                confidence,
                embedding: None,
            }),
        )
    }
}

fn number(name: &'static str, text: &str) -> Result<f32, RowFault> {
    text.parse()
        .ok()
        .filter(|number: &f32| number.is_finite())
        .ok_or_else(|| RowFault::Number {
            name,
            text: text.chars().take(40).collect(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> RowFault {
        Row::parse(text).err().unwrap()
    }

    #[test]
    fn a_row_is_taken_as_it_stands() {
        let row = Row::parse("7,-1, 10.5,20,30,40,0.9,2,-1").unwrap();
        let detection = row.detection(&mut 0).unwrap().unwrap();
        assert_eq!(row.frame, 7);
        assert_eq!(
            detection.bbox,
            BBox::from_ltrb(10.5, 20.0, 40.5, 60.0).unwrap()
        );
        assert_eq!(detection.class, ClassId(2));
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(fault("1,-1,2,3"), RowFault::Fields(4));
        assert_eq!(
            fault("0,-1,1,1,1,1,1").to_string(),
            "frame is \"0\", allowed is a whole number from 1 to 100000000"
        );
        assert_eq!(
            fault("1,-1,nan,1,1,1,1").to_string(),
            "left is \"nan\", which is not a finite number"
        );
        let negative = Row::parse("1,-1,0,0,-5,5,1").unwrap();
        assert!(matches!(
            negative.detection(&mut 0),
            Err(RowFault::Box { .. })
        ));
    }

    #[test]
    fn scores_outside_the_range_are_cut_and_counted() {
        let mut cut = 0;
        let row = Row::parse("1,-1,0,0,5,5,3.7").unwrap();
        let detection = row.detection(&mut cut).unwrap().unwrap();
        assert!((detection.confidence - 1.0).abs() < 1e-6);
        assert_eq!(cut, 1);
    }
}
