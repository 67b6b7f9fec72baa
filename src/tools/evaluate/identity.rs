//! Identity metrics: each true id is given one track for the whole sequence.

use std::collections::BTreeMap;

use super::EvaluateError;
use super::assign::{Costs, MAX_PAIRS};
use super::prepare::{Prepared, SAME};

/// The counts of the identity metrics; the shares follow from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    /// True boxes found by the track of their id.
    pub idtp: u64,
    /// True boxes that were not.
    pub idfn: u64,
    /// Track boxes that find no box of their id.
    pub idfp: u64,
}

impl Identity {
    /// Harmonic mean of recall and precision, 0..=1.
    #[must_use]
    pub fn idf1(&self) -> f64 {
        let all = self.idtp as f64 + 0.5 * (self.idfp + self.idfn) as f64;
        self.idtp as f64 / all.max(1.0)
    }

    /// Precision, 0..=1.
    #[must_use]
    pub fn idp(&self) -> f64 {
        self.idtp as f64 / (self.idtp + self.idfp).max(1) as f64
    }

    /// Recall, 0..=1.
    #[must_use]
    pub fn idr(&self) -> f64 {
        self.idtp as f64 / (self.idtp + self.idfn).max(1) as f64
    }

    /// The shares with the names they have in the literature.
    #[must_use]
    pub fn shares(&self) -> [(&'static str, f64); 3] {
        [
            ("IDF1", self.idf1()),
            ("IDP", self.idp()),
            ("IDR", self.idr()),
        ]
    }

    /// The counts with the names they have in the literature.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        [
            ("IDTP", self.idtp),
            ("IDFN", self.idfn),
            ("IDFP", self.idfp),
        ]
    }

    /// Several sequences as one: counts are added.
    pub fn combine<'i>(all: impl Iterator<Item = &'i Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.idtp += one.idtp;
            sum.idfn += one.idfn;
            sum.idfp += one.idfp;
        }
        sum
    }
}

/// Gives tracks to true ids so that the most boxes are found by the right one. With these, the least
/// sum of IDFN and IDFP is reached too: both are totals less IDTP.
pub(super) fn score(prepared: &Prepared) -> Result<Identity, EvaluateError> {
    let mut shared = vec![0u64; prepared.links.len()];
    for frame in &prepared.frames {
        for overlap in &frame.overlaps {
            shared[overlap.link] += u64::from(overlap.iou >= SAME);
        }
    }
    let links: Vec<_> = prepared
        .links
        .iter()
        .zip(shared)
        .filter(|(_, shared)| *shared > 0)
        .map(|(&(truth, track), shared)| Link {
            truth,
            track,
            shared,
        })
        .collect();
    let groups = groups(
        &links,
        prepared.truth_lengths.len(),
        prepared.track_lengths.len(),
    );
    let mut costs = Costs::default();
    let mut idtp = 0;
    for group in &groups {
        idtp += most(group, &mut costs)?;
    }
    Ok(Identity {
        idtp,
        idfn: prepared.count.truth_boxes - idtp,
        idfp: prepared.count.track_boxes - idtp,
    })
}

/// A true id and a track, and the number of frames in which they match.
#[derive(Debug, Clone, Copy)]
struct Link {
    truth: usize,
    track: usize,
    shared: u64,
}

/// The links apart by who meets whom, so that a long sequence costs what its groups cost.
fn groups(links: &[Link], truths: usize, tracks: usize) -> Vec<Vec<Link>> {
    let mut parent: Vec<usize> = (0..truths + tracks).collect();
    for link in links {
        let (a, b) = (
            root(&mut parent, link.truth),
            root(&mut parent, truths + link.track),
        );
        parent[a.max(b)] = a.min(b);
    }
    let mut groups = BTreeMap::<usize, Vec<Link>>::new();
    for link in links {
        let group = root(&mut parent, link.truth);
        groups.entry(group).or_default().push(*link);
    }
    groups.into_values().collect()
}

fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}

/// The most frames that one track per true id can match.
fn most(group: &[Link], costs: &mut Costs) -> Result<u64, EvaluateError> {
    let places = |of: fn(&Link) -> usize| {
        let mut ids: Vec<_> = group.iter().map(of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (truths, tracks) = (places(|link| link.truth), places(|link| link.track));
    if truths.len().saturating_mul(tracks.len()) > MAX_PAIRS {
        return Err(EvaluateError::Entangled {
            truths: truths.len(),
            tracks: tracks.len(),
        });
    }
    costs.reset(truths.len(), tracks.len());
    for link in group {
        let row = truths.partition_point(|&id| id < link.truth);
        let col = tracks.partition_point(|&id| id < link.track);
        // Exact: a count of frames is far below 2^53.
        costs.set(row, col, -(link.shared as f64));
    }
    let pairs = costs.cheapest_pairs();
    let sum: f64 = pairs.iter().map(|&(row, col)| -costs.get(row, col)).sum();
    Ok(sum as u64)
}
