//! What one frame decided about one track, from the frame's line.

use std::fmt;

use crate::sinks::publish::{
    DecisionFrame, NameEntry, PartsEntry, RefusedEntry, RefusedWhy, TrackEntry,
};

/// A box a track bid for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bid {
    pub place: u32,
    pub affinity: f64,
}

/// A track that bid for the same box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rival {
    pub name: NameEntry,
    pub affinity: f64,
}

/// What one frame decided about one track.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It was given a box.
    Given {
        bid: Bid,
        parts: Option<PartsEntry>,
        /// The next best box.
        next: Option<Bid>,
        /// Who had the next best box.
        next_owner: Option<NameEntry>,
        /// Who else wanted this box.
        rival: Option<Rival>,
    },
    /// Its best box was given to another track.
    Outbid { bid: Bid, winner: Option<Rival> },
    /// The nearest box was not to be had.
    Refused {
        refused: RefusedEntry,
        owner: Option<NameEntry>,
    },
    /// No box was near.
    Alone,
}

impl Verdict {
    pub(super) fn of(entry: &TrackEntry, frame: &DecisionFrame) -> Self {
        let owner = |place: u32| {
            let others = frame.tracks.iter().filter(|other| other.name != entry.name);
            others.clone().find(|other| other.r#box == Some(place))
        };
        let next = entry
            .others
            .first()
            .map(|&(place, affinity)| Bid { place, affinity });
        if let Some(place) = entry.r#box {
            let bids = frame.tracks.iter().filter(|other| other.name != entry.name);
            let rival = bids
                .filter_map(|other| {
                    let bid = other.others.iter().find(|bid| bid.0 == place)?;
                    Some(Rival {
                        name: other.name,
                        affinity: bid.1,
                    })
                })
                .reduce(|best, next| {
                    if next.affinity > best.affinity {
                        next
                    } else {
                        best
                    }
                });
            return Self::Given {
                bid: Bid {
                    place,
                    affinity: entry.affinity.unwrap_or_default(),
                },
                parts: entry.parts,
                next,
                next_owner: next
                    .and_then(|next| owner(next.place))
                    .map(|other| other.name),
                rival,
            };
        }
        if let Some(bid) = next {
            let winner = owner(bid.place).map(|other| Rival {
                name: other.name,
                affinity: other.affinity.unwrap_or_default(),
            });
            return Self::Outbid { bid, winner };
        }
        match entry.refused {
            Some(refused) => Self::Refused {
                refused,
                owner: owner(refused.r#box).map(|other| other.name),
            },
            None => Self::Alone,
        }
    }

    /// By how much the decision could have been another one, for a box that was given: affinity over
    /// the next best box, over the next best track, or over the gate.
    pub(super) fn margin(&self, gate: f64) -> Option<f64> {
        let Self::Given {
            bid, next, rival, ..
        } = self
        else {
            return None;
        };
        let next = next.map_or(f64::MAX, |next| bid.affinity - next.affinity);
        let rival = rival.map_or(f64::MAX, |rival| bid.affinity - rival.affinity);
        Some(next.min(rival).min(bid.affinity - gate))
    }

    /// In words; `frame` is the one it was made of.
    pub(super) fn text(&self, frame: &DecisionFrame, gate: f64) -> String {
        match self {
            Self::Given {
                bid,
                parts,
                next,
                next_owner,
                rival,
            } => {
                let mut text = format!("{}, affinity {:.2}", shown(frame, bid.place), bid.affinity);
                if let Some(parts) = parts {
                    text += &format!(" = {}", Breakdown(parts));
                }
                if let Some(next) = next {
                    text += &format!("; next box {} at {:.2}", next.place, next.affinity);
                    if let Some(owner) = next_owner {
                        text += &format!(" ({}'s)", Name(*owner));
                    }
                }
                if let Some(rival) = rival {
                    let Rival { name, affinity } = rival;
                    text += &format!("; {} bid {affinity:.2} for it", Name(*name));
                }
                text
            }
            Self::Outbid { bid, winner } => {
                let mut text = format!(
                    "its best, {}, affinity {:.2}, went to ",
                    shown(frame, bid.place),
                    bid.affinity
                );
                match winner {
                    Some(Rival { name, affinity }) => {
                        text += &format!("{} at {affinity:.2}", Name(*name));
                    }
                    None => text += "nobody",
                }
                text
            }
            Self::Refused { refused, owner } => refusal(refused, *owner, frame, gate),
            Self::Alone => "no box anywhere near".to_owned(),
        }
    }
}

fn refusal(
    refused: &RefusedEntry,
    owner: Option<NameEntry>,
    frame: &DecisionFrame,
    gate: f64,
) -> String {
    let nearest = shown(frame, refused.r#box);
    let whose = owner.map_or_else(String::new, |owner| format!(", {}'s", Name(owner)));
    let limits = &frame.limits;
    match refused.why {
        RefusedWhy::Apart => format!("no box overlaps; the nearest is {nearest}{whose}"),
        RefusedWhy::Taken => format!(
            "overlapped by {:.2} by {nearest}{whose}, a believed track's",
            refused.iou
        ),
        RefusedWhy::Weak => format!(
            "overlapped by {:.2} by {nearest}{whose}: weak (below {:.2}), and weak boxes are for tracks seen within {:.2} s",
            refused.iou, limits.high, limits.weak_secs
        ),
        RefusedWhy::Gate => format!(
            "overlapped by {:.2} by {nearest}{whose}: affinity {:.2} = {}, not above the gate {gate:.2}",
            refused.iou,
            refused.parts.total(),
            Breakdown(&refused.parts)
        ),
        RefusedWhy::Look => format!(
            "overlapped by {:.2} by {nearest}{whose}, which looks like another object",
            refused.iou
        ),
    }
}

/// A box in words.
pub(super) fn shown(frame: &DecisionFrame, place: u32) -> String {
    match frame.boxes.get(place as usize) {
        Some(&(left, top, right, bottom, score, _)) => format!(
            "box {place} (score {score:.2}, {:.0}x{:.0} at {left:.0},{top:.0})",
            right - left,
            bottom - top
        ),
        None => format!("box {place}"),
    }
}

/// `#7`, or `new 12` before it has an id.
pub(super) struct Name(pub NameEntry);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NameEntry::Id(id) => write!(f, "#{id}"),
            NameEntry::New(birth) => write!(f, "new {birth}"),
        }
    }
}

/// `overlap 0.75 - height 0.01 - unseen 0.05`.
pub(super) struct Breakdown<'a>(pub &'a PartsEntry);

impl fmt::Display for Breakdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0;
        write!(f, "overlap {:.2}", parts.overlap)?;
        for (name, part) in [
            ("height", parts.height),
            ("score", parts.score),
            ("unseen", parts.unseen),
            ("class", parts.class),
            ("weak", parts.weak),
        ] {
            // What is nothing in two digits is not worth a word.
            if part >= 0.005 {
                write!(f, " - {name} {part:.2}")?;
            }
        }
        Ok(())
    }
}
