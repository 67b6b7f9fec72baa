//! Polygons, lines and quadrilaterals that can be used, and what is wrong with those that cannot.
//!
//! Coordinates are normalised to the frame: x 0..=1 from the left, y 0..=1 from the top.

use std::fmt;

use geo::line_intersection::line_intersection;
use geo::{
    Area, Coord, Euclidean, IsConvex, Length, Line, LineIntersection, LineString, MapCoords,
    Polygon, Validation,
};

use crate::base::Size;

/// Shortest line, share of the frame: one pixel of a picture 1000 px wide.
const MIN_LENGTH: f64 = 0.001;

/// Smallest area, share of the frame's: ten by ten pixels of a picture 1000 × 1000 px large.
const MIN_AREA: f64 = 1e-4;

/// Smallest triangle of three corners of a calibration, share of the frame's area or, on the
/// ground, m²: with less, three corners lie in a row and the fourth decides nothing.
const MIN_TRIANGLE: f64 = 5e-4;

/// Most corners of a polygon.
const MAX_CORNERS: usize = 100;

/// Why a shape cannot be used. The text says what is there, what is allowed and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError(String);

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}

fn refuse<T>(text: impl Into<String>) -> Result<T, ShapeError> {
    Err(ShapeError(text.into()))
}

/// A simple polygon within the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct PolygonShape(Polygon);

impl PolygonShape {
    /// A polygon from its corners, in order around it, normalised.
    ///
    /// # Errors
    /// [`ShapeError`] for fewer than 3 corners or more than 100, corners outside the frame, sides
    /// that cross or touch, and no area.
    pub fn new(corners: &[[f64; 2]]) -> Result<Self, ShapeError> {
        let count = corners.len();
        if count < 3 {
            return refuse(format!(
                "{count} point{}, a polygon needs at least 3",
                if count == 1 { "" } else { "s" }
            ));
        }
        if count > MAX_CORNERS {
            return refuse(format!("{count} points, allowed are at most {MAX_CORNERS}"));
        }
        within_frame(corners)?;
        if let Some((one, other)) = crossing_sides(corners) {
            return refuse(format!(
                "sides {one} and {other} cross or touch, list the corners in order around the polygon"
            ));
        }
        let polygon = Polygon::new(LineString::from_iter(corners.iter().copied()), Vec::new());
        if let Some(problem) = polygon.validation_errors().first() {
            return refuse(format!("{problem}, list the corners in order around it"));
        }
        if polygon.unsigned_area() < MIN_AREA {
            return refuse(
                "the polygon has next to no area (less than 0.01 % of the frame), move its corners apart",
            );
        }
        Ok(Self(polygon))
    }

    /// The polygon on a frame of this size, px.
    pub(super) fn on_frame(&self, size: Size) -> Polygon {
        self.0.map_coords(|corner| on_frame(corner, size))
    }

    /// The corners, normalised, in order.
    #[must_use]
    pub fn corners(&self) -> Vec<[f32; 2]> {
        let ring = self.0.exterior();
        let open = ring.0.len().saturating_sub(1);
        ring.coords().take(open).map(narrowed).collect()
    }
}

/// A straight line of some length within the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineShape(Line);

impl LineShape {
    /// A line from its two points, normalised.
    ///
    /// # Errors
    /// [`ShapeError`] for more or fewer than 2 points, points outside the frame, and no length.
    pub fn new(points: &[[f64; 2]]) -> Result<Self, ShapeError> {
        let &[from, to] = points else {
            let count = points.len();
            return refuse(format!("{count} points, a line has exactly 2"));
        };
        within_frame(points)?;
        let line = Line::new(from, to);
        if Euclidean.length(&line) < MIN_LENGTH {
            return refuse("both points are the same, a line needs a length: move one of them");
        }
        Ok(Self(line))
    }

    /// The line on a frame of this size, px.
    pub(super) fn on_frame(&self, size: Size) -> Line {
        self.0.map_coords(|point| on_frame(point, size))
    }

    /// The points, normalised.
    #[must_use]
    pub fn points(&self) -> [[f32; 2]; 2] {
        [narrowed(&self.0.start), narrowed(&self.0.end)]
    }
}

/// The way objects should go, from its first point towards its second.
pub type Arrow = LineShape;

/// A convex quadrilateral within the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuadShape([[f64; 2]; 4]);

impl QuadShape {
    /// A quadrilateral from its corners, in order around it, normalised.
    ///
    /// # Errors
    /// [`ShapeError`] for more or fewer than 4 corners, corners outside the frame, three in a row,
    /// and corners that are not in order around a convex shape.
    pub fn new(corners: &[[f64; 2]]) -> Result<Self, ShapeError> {
        let corners = four(corners)?;
        within_frame(&corners)?;
        convex(&corners, MIN_TRIANGLE)?;
        Ok(Self(corners))
    }

    /// The corners on a frame of this size, px.
    pub(super) fn on_frame(&self, size: Size) -> [Coord; 4] {
        self.0.map(|[x, y]| on_frame(Coord { x, y }, size))
    }

    /// The corners, normalised.
    #[must_use]
    pub fn corners(&self) -> [[f32; 2]; 4] {
        self.0.map(|[x, y]| [x as f32, y as f32])
    }
}

/// Four points on the ground that a calibration can be made of, m.
///
/// # Errors
/// [`ShapeError`] as for [`QuadShape::new`], but for the frame.
pub fn ground_corners(corners: &[[f64; 2]]) -> Result<[[f64; 2]; 4], ShapeError> {
    let corners = four(corners)?;
    if !corners
        .as_flattened()
        .iter()
        .all(|metres| metres.is_finite())
    {
        return refuse("a coordinate is no number, allowed are metres");
    }
    convex(&corners, MIN_TRIANGLE)?;
    Ok(corners)
}

fn four(corners: &[[f64; 2]]) -> Result<[[f64; 2]; 4], ShapeError> {
    corners.try_into().or_else(|_| {
        let count = corners.len();
        refuse(format!("{count} points, a calibration needs exactly 4"))
    })
}

/// Three corners in a row, or a corner inside the others, leave the mapping undetermined.
fn convex(corners: &[[f64; 2]; 4], min_triangle: f64) -> Result<(), ShapeError> {
    for left_out in 0..4 {
        let others: Vec<[f64; 2]> = (0..4)
            .filter(|index| *index != left_out)
            .map(|index| corners[index])
            .collect();
        let triangle = Polygon::new(LineString::from_iter(others), Vec::new());
        if triangle.unsigned_area() < min_triangle {
            let names: Vec<String> = (1..=4)
                .filter(|number| *number != left_out + 1)
                .map(|number| number.to_string())
                .collect();
            return refuse(format!(
                "points {} lie in a row, a calibration needs four corners of an area: move one of them",
                names.join(", ")
            ));
        }
    }
    let mut ring = LineString::from_iter(corners.iter().copied());
    ring.close();
    if !ring.is_strictly_convex() {
        return refuse(
            "the points are not in order around a convex quadrilateral, list its corners clockwise",
        );
    }
    Ok(())
}

fn within_frame(points: &[[f64; 2]]) -> Result<(), ShapeError> {
    let is_outside = |[x, y]: &&[f64; 2]| !(0.0..=1.0).contains(x) || !(0.0..=1.0).contains(y);
    match points.iter().position(|point| is_outside(&point)) {
        None => Ok(()),
        Some(index) => {
            let [x, y] = points[index];
            refuse(format!(
                "point {} ({x}, {y}) lies outside the frame, allowed is 0 to 1 from the left and from the top",
                index + 1
            ))
        }
    }
}

/// The first two sides that meet elsewhere than in the corner they share, counted from 1; side 1
/// goes from corner 1 to corner 2.
fn crossing_sides(corners: &[[f64; 2]]) -> Option<(usize, usize)> {
    let count = corners.len();
    let side = |index: usize| Line::new(corners[index], corners[(index + 1) % count]);
    for one in 0..count {
        for other in one + 1..count {
            let is_neighbour = other == one + 1 || (one == 0 && other == count - 1);
            let meets = match line_intersection(side(one), side(other)) {
                None => false,
                Some(LineIntersection::SinglePoint { .. }) => !is_neighbour,
                Some(LineIntersection::Collinear { .. }) => true,
            };
            if meets {
                return Some((one + 1, other + 1));
            }
        }
    }
    None
}

fn on_frame(point: Coord, size: Size) -> Coord {
    Coord {
        x: point.x * f64::from(size.width),
        y: point.y * f64::from(size.height),
    }
}

fn narrowed(point: &Coord) -> [f32; 2] {
    [point.x as f32, point.y as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(corners: &[[f64; 2]]) -> String {
        PolygonShape::new(corners).unwrap_err().to_string()
    }

    #[test]
    fn a_square_is_a_polygon_and_keeps_its_corners() {
        let corners = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]];
        let square = PolygonShape::new(&corners).unwrap();
        assert_eq!(square.corners(), corners.map(|[x, y]| [x as f32, y as f32]));
    }

    #[test]
    fn each_unusable_polygon_is_told_with_the_remedy() {
        assert_eq!(
            told(&[[0.1, 0.1], [0.9, 0.9]]),
            "2 points, a polygon needs at least 3"
        );
        // A bow tie: the second and the fourth side cross in the middle.
        assert_eq!(
            told(&[[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]]),
            "sides 2 and 4 cross or touch, list the corners in order around the polygon"
        );
        assert_eq!(
            told(&[[0.1, 0.1], [1.2, 0.1], [0.5, 0.9]]),
            "point 2 (1.2, 0.1) lies outside the frame, allowed is 0 to 1 from the left and from the top"
        );
        assert!(told(&[[0.1, 0.1], [0.2, 0.1], [0.15, 0.101]]).contains("no area"));
        // There and back.
        assert!(told(&[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]).contains("cross or touch"));
        assert!(told(&[[f64::NAN, 0.1], [0.5, 0.5], [0.9, 0.1]]).contains("outside the frame"));
    }

    #[test]
    fn a_line_needs_two_points_and_a_length() {
        let told = |points: &[[f64; 2]]| LineShape::new(points).unwrap_err().to_string();
        assert_eq!(told(&[[0.5, 0.5]]), "1 points, a line has exactly 2");
        assert_eq!(
            told(&[[0.5, 0.5], [0.5, 0.5]]),
            "both points are the same, a line needs a length: move one of them"
        );
        assert!(told(&[[0.5, -0.1], [0.5, 0.5]]).contains("point 1 (0.5, -0.1) lies outside"));
    }

    #[test]
    fn a_degenerate_quadrilateral_is_told_with_the_remedy() {
        let told = |points: &[[f64; 2]]| QuadShape::new(points).unwrap_err().to_string();
        assert!(told(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]).contains("exactly 4"));
        let row = [[0.1, 0.1], [0.5, 0.1], [0.9, 0.1], [0.5, 0.9]];
        assert!(told(&row).starts_with("points 1, 2, 3 lie in a row"));
        let bow_tie = [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];
        assert!(told(&bow_tie).contains("not in order around a convex quadrilateral"));
        let dented = [[0.1, 0.1], [0.9, 0.1], [0.45, 0.4], [0.1, 0.9]];
        assert!(told(&dented).contains("convex"));
        assert!(ground_corners(&[[0.0, 0.0], [0.0, 20.0], [7.0, 20.0], [7.0, 0.0]]).is_ok());
        assert!(ground_corners(&[[0.0, 0.0], [0.0, 20.0], [0.0, 30.0], [7.0, 0.0]]).is_err());
    }
}
