//! Lost objects that come back where their motion can have taken them.
//!
//! The association asks that the boxes overlap well, because it decides in every frame. A track that
//! was seen twice where nobody was, of the size of an object that was lost not far away, is more
//! likely that object than a new one.

use super::affinity::size_agreement;
use super::appearance::Find;
use super::lifecycle::Track;

/// Farthest from where a lost object is expected, in standard deviations of its place. Measured, see
/// docs/tracking.md.
const REACH: f64 = 4.0;
/// Least agreement in size, so that strangers seldom pass. Measured.
const LIKENESS: f32 = 0.85;

/// Adds, for each new track, the lost one that its place speaks for most, the nearest pairs first, each
/// lost one at most once and none that looks have found.
pub(super) fn add(finds: &mut Vec<Find>, tracks: &[Track], is_fresh: impl Fn(&Track) -> bool) {
    let nearest = |(fresh, track): (usize, &Track)| {
        let reached = tracks.iter().enumerate().filter_map(|(lost, old)| {
            let apart = can_be(old, track).then(|| old.filter.apart(&track.bbox))?;
            (apart < REACH).then_some((apart, lost))
        });
        let (apart, lost) = reached.min_by(|a, b| a.0.total_cmp(&b.0))?;
        Some((apart, Find::by_place(fresh, lost)))
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

/// Whether a lost track can be the object of a new one, wherever it is. One that has been looked at is
/// left to its look.
fn can_be(lost: &Track, fresh: &Track) -> bool {
    lost.is_confirmed()
        && !lost.is_seen
        && !lost.is_awaited
        && lost.look.is_none()
        && lost.last_seen() < fresh.first_seen()
        && lost.class.share(fresh.class.winner()) > 0.0
        && size_agreement(&lost.bbox, &fresh.bbox) >= LIKENESS
}
