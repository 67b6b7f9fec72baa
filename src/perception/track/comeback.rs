//! Lost objects that come back where their motion can have taken them.
//!
//! The association asks that the boxes overlap well, because it decides in every frame. A track that
//! was seen twice where nobody was, of the size of an object that was lost not far away, is more
//! likely that object than a new one.

use super::TrackOptions;
use super::affinity::size_agreement;
use super::appearance::{Find, Lost};
use super::lifecycle::Track;

/// Farthest from where a lost object is expected, in standard deviations of its place. Measured, see
/// docs/tracking.md.
const REACH: f64 = 4.0;
/// And no farther than so many of its longer sides, however little is known. Measured.
const FARTHEST: f32 = 1.0;
/// Least agreement in size, so that strangers seldom pass. Measured.
const LIKENESS: f32 = 0.85;

/// Adds, for each new track, the lost one that its place speaks for most, the nearest pairs first, each
/// lost one at most once and none that looks have found. Who finds another the nearer one gets no
/// second choice.
pub(super) fn add(
    finds: &mut Vec<Find>,
    tracks: &[Track],
    is_fresh: impl Fn(&Track) -> bool,
    is_lost: impl Fn(&Track) -> bool,
) {
    let nearest = |(fresh, track): (usize, &Track)| {
        let reached = tracks.iter().enumerate().filter_map(|(lost, old)| {
            let can_be = is_lost(old) && can_be(old, track);
            let apart = can_be.then(|| old.filter.apart(&track.bbox))?;
            (apart < REACH).then_some((apart, lost))
        });
        let (apart, lost) = reached.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let lost = Lost::Living(lost);
        Some((apart, Find { fresh, lost }))
    };
    let fresh = tracks.iter().enumerate();
    let mut near: Vec<_> = fresh
        .filter(|(_, track)| is_fresh(track))
        .filter_map(nearest)
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, find) in near {
        let is_free = |other: &Find| other.fresh != find.fresh && other.lost != find.lost;
        if finds.iter().all(is_free) {
            finds.push(find);
        }
    }
}

/// Whether a track is one whose object may come back by its place.
pub(super) fn is_lost(track: &Track, options: &TrackOptions) -> bool {
    track.is_confirmed() && !track.is_seen && !track.is_awaited && !track.is_forgotten(options)
}

/// Whether time, place, class and size allow that a lost track is the object of a new one.
fn can_be(lost: &Track, fresh: &Track) -> bool {
    let (expected, found) = (&lost.bbox, &fresh.bbox);
    let px = (expected.cx() - found.cx()).hypot(expected.cy() - found.cy());
    lost.last_seen() < fresh.first_seen()
        && px <= FARTHEST * expected.width().max(expected.height())
        && lost.class.share(fresh.class.winner()) > 0.0
        && size_agreement(expected, found) >= LIKENESS
}
