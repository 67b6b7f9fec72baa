//! A frame looked at in parts besides as a whole, so that what is small in a wide view is large enough
//! for the network (Akyon et al. 2022, "Slicing Aided Hyper Inference", arXiv 2202.06934).

use std::str::FromStr;

use super::preprocess::Region;
use crate::base::{BBox, Detection, Size};

/// Share of a tile's side that it has in common with the next one: what is no larger is whole in one of
/// both.
const OVERLAP: f64 = 0.2;

/// A box that ends so near to where a tile ends inside of the frame is cut off, frame px.
const CUT: f32 = 2.0;

/// Two boxes of different pictures that overlap so much are one object, of whatever classes.
const SAME: f32 = 0.6;

/// A box that ends so near to where a tile ends inside of the frame may be part of something, frame px.
const NEAR: f32 = 12.0;

/// Such a box that is so much inside of another of its class, of another picture, is a part of it.
const PART: f32 = 0.8;

/// Most columns or rows.
pub const MAX_TILES: u32 = 8;

/// Into how many columns and rows a frame is divided; 1 × 1 leaves it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

impl Default for Tiles {
    fn default() -> Self {
        Self {
            columns: 1,
            rows: 1,
        }
    }
}

/// Tiles that do not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("allowed is off, or columns x rows of 1 to {MAX_TILES} each, such as 2x1")]
pub struct UnknownTiles;

impl FromStr for Tiles {
    type Err = UnknownTiles;

    fn from_str(text: &str) -> Result<Self, UnknownTiles> {
        if text == "off" {
            return Ok(Self::default());
        }
        let side = |text: &str| {
            let side = text.parse().ok();
            side.filter(|side| (1..=MAX_TILES).contains(side))
        };
        let (columns, rows) = text.split_once('x').ok_or(UnknownTiles)?;
        Ok(Self {
            columns: side(columns).ok_or(UnknownTiles)?,
            rows: side(rows).ok_or(UnknownTiles)?,
        })
    }
}

impl Tiles {
    /// Pictures that are looked at per frame.
    #[must_use]
    pub fn pictures(self) -> usize {
        match self.columns * self.rows {
            1 => 1,
            tiles => tiles as usize + 1,
        }
    }

    /// The parts of a frame of this size that are looked at, the whole of it first.
    pub(super) fn regions(self, frame: Size) -> Vec<Region> {
        let mut regions = vec![Region::whole(frame)];
        if self.pictures() == 1 {
            return regions;
        }
        let columns = spans(frame.width, self.columns);
        for (top, height) in spans(frame.height, self.rows) {
            regions.extend(columns.iter().map(|&(left, width)| Region {
                left,
                top,
                size: Size { width, height },
            }));
        }
        regions
    }
}

/// First pixel, even, and length of each of `count` parts of a side, which overlap by [`OVERLAP`].
fn spans(side: u32, count: u32) -> Vec<(u32, u32)> {
    let parts = f64::from(count) - f64::from(count - 1) * OVERLAP;
    let length = ((f64::from(side) / parts).ceil() as u32).clamp(1, side);
    let step = f64::from(side - length) / f64::from((count - 1).max(1));
    let first = |index: u32| (f64::from(index) * step) as u32 & !1;
    (0..count).map(|index| (first(index), length)).collect()
}

/// One of them.
#[derive(Debug)]
struct Found {
    /// Number of the picture that it comes from.
    picture: usize,
    /// May it be part of something that the picture cuts off?
    is_near: bool,
    detection: Detection,
}

/// What was seen in the parts of a frame becomes what is in the frame.
#[derive(Debug, Default)]
pub(super) struct Merged {
    found: Vec<Found>,
}

impl Merged {
    /// Takes what was seen in `region` of a frame of `size`, the picture with this number. What a tile
    /// cuts off inside of the frame is left to the others.
    pub(super) fn take(
        &mut self,
        picture: usize,
        region: Region,
        size: Size,
        seen: Vec<Detection>,
    ) {
        let (width, height) = (region.size.width as f32, region.size.height as f32);
        // A tile begins at an even pixel, so that the last may end one before the frame does.
        let is_right = region.left + region.size.width + 1 >= size.width;
        let is_bottom = region.top + region.size.height + 1 >= size.height;
        let ends_within = |bbox: &BBox, margin: f32| {
            (region.left > 0 && bbox.left() < margin)
                || (region.top > 0 && bbox.top() < margin)
                || (!is_right && bbox.right() > width - margin)
                || (!is_bottom && bbox.bottom() > height - margin)
        };
        for mut detection in seen {
            if ends_within(&detection.bbox, CUT) {
                continue;
            }
            let is_near = ends_within(&detection.bbox, NEAR);
            let (x, y) = (region.left as f32, region.top as f32);
            let [left, top, right, bottom] = [
                detection.bbox.left() + x,
                detection.bbox.top() + y,
                detection.bbox.right() + x,
                detection.bbox.bottom() + y,
            ];
            if let Some(bbox) = BBox::from_ltrb(left, top, right, bottom) {
                detection.bbox = bbox;
                self.found.push(Found {
                    picture,
                    is_near,
                    detection,
                });
            }
        }
    }

    /// Each object once, the surest box of it, best first and at most `most`.
    pub(super) fn finish(mut self, most: usize) -> Vec<Detection> {
        self.found
            .sort_by(|a, b| super::detections::order(&a.detection, &b.detection));
        let mut kept: Vec<Found> = Vec::with_capacity(self.found.len().min(most));
        for one in self.found {
            if kept.len() == most {
                break;
            }
            if !kept.iter().any(|better| is_same(better, &one)) {
                kept.push(one);
            }
        }
        kept.into_iter().map(|it| it.detection).collect()
    }
}

/// Are both of one object, seen in two pictures?
fn is_same(better: &Found, one: &Found) -> bool {
    let (a, b) = (&better.detection.bbox, &one.detection.bbox);
    let width = a.right().min(b.right()) - a.left().max(b.left());
    let height = a.bottom().min(b.bottom()) - a.top().max(b.top());
    if better.picture == one.picture || width <= 0.0 || height <= 0.0 {
        return false;
    }
    let (shared, areas) = (width * height, [a, b].map(|it| it.width() * it.height()));
    let is_part = (better.is_near || one.is_near) && better.detection.class == one.detection.class;
    shared > SAME * (areas[0] + areas[1] - shared)
        || (is_part && shared > PART * areas[0].min(areas[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ClassId;

    const FULL_HD: Size = Size {
        width: 1920,
        height: 1080,
    };

    #[test]
    fn tiles_are_read() {
        let of = |columns, rows| Ok(Tiles { columns, rows });
        assert_eq!("off".parse(), of(1, 1));
        assert_eq!("3x2".parse(), of(3, 2));
        for text in ["", "2", "0x1", "9x1", "2x", "2x-1", "x"] {
            assert_eq!(text.parse::<Tiles>(), Err(UnknownTiles), "{text}");
        }
    }

    #[test]
    fn tiles_cover_the_frame_overlap_and_begin_at_even_pixels() {
        for (columns, rows) in [(2, 1), (3, 2), (8, 8)] {
            let tiles = Tiles { columns, rows };
            for size in [
                FULL_HD,
                Size {
                    width: 641,
                    height: 359,
                },
            ] {
                let regions = tiles.regions(size);
                assert_eq!(regions.len(), tiles.pictures());
                assert_eq!(regions[0], Region::whole(size));
                let row = &regions[1..=columns as usize];
                assert_eq!(row[0].left, 0);
                for pair in row.windows(2) {
                    assert!(pair[1].left.is_multiple_of(2));
                    let common = pair[0].left + pair[0].size.width - pair[1].left;
                    let share = f64::from(common) / f64::from(pair[0].size.width);
                    assert!((0.18..0.24).contains(&share), "{share}");
                }
                let last = regions.last().unwrap();
                assert!(size.width - (last.left + last.size.width) <= 1, "{last:?}");
                assert!(size.height - (last.top + last.size.height) <= 1, "{last:?}");
            }
        }
        assert_eq!(Tiles::default().regions(FULL_HD), [Region::whole(FULL_HD)]);
    }

    fn seen(left: f32, width: f32, class: u16, confidence: f32) -> Detection {
        Detection {
            bbox: BBox::from_ltrb(left, 100.0, left + width, 140.0).unwrap(),
            class: ClassId(class),
            confidence,
            embedding: None,
        }
    }

    fn merged(pictures: [Vec<Detection>; 3]) -> Vec<(f32, f32)> {
        let tiles = Tiles {
            columns: 2,
            rows: 1,
        };
        let mut merged = Merged::default();
        let regions = tiles.regions(FULL_HD);
        for (picture, (region, seen)) in regions.into_iter().zip(pictures).enumerate() {
            merged.take(picture, region, FULL_HD, seen);
        }
        let found = merged.finish(300);
        found
            .iter()
            .map(|it| (it.bbox.left(), it.confidence))
            .collect()
    }

    #[test]
    fn an_object_is_there_once_with_its_surest_box() {
        // Where the second tile begins.
        let first = 852.0;
        let found = merged([
            vec![seen(900.0, 40.0, 0, 0.5)],
            vec![seen(901.0, 40.0, 1, 0.8), seen(10.0, 20.0, 0, 0.4)],
            vec![seen(901.0 - first, 40.0, 0, 0.7)],
        ]);
        assert_eq!(found, [(901.0, 0.8), (10.0, 0.4)]);
    }

    #[test]
    fn what_a_tile_cuts_off_is_left_to_the_others_and_a_part_is_no_object() {
        let tile = 1067.0;
        let found = merged([
            // Larger than what the tiles have in common.
            vec![seen(700.0, 500.0, 0, 0.6)],
            vec![
                seen(700.0, tile - 700.0, 0, 0.9),
                // Ends a little before the tile does; and a small one before the large one.
                seen(860.0, 200.0, 0, 0.5),
                seen(760.0, 40.0, 0, 0.4),
            ],
            vec![seen(0.0, 300.0, 0, 0.9)],
        ]);
        assert_eq!(found, [(700.0, 0.6), (760.0, 0.4)]);
        // The second tile ends one pixel before the frame, which is the border of the frame all the same.
        let right = seen(1067.0 - 30.0, 30.0, 0, 0.5);
        assert_eq!(merged([vec![], vec![], vec![right]]).len(), 1);
        // At the border of the frame itself nothing is cut off by a tile.
        assert_eq!(
            merged([vec![], vec![seen(0.0, 30.0, 0, 0.5)], vec![]]).len(),
            1
        );
    }

    #[test]
    fn neighbours_of_one_picture_are_not_one_object() {
        let found = merged([
            vec![],
            vec![seen(100.0, 40.0, 0, 0.9), seen(108.0, 40.0, 0, 0.8)],
            vec![],
        ]);
        assert_eq!(found.len(), 2);
    }
}
