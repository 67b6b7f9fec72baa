//! Looks at a track that are not its own.

use serde::{Deserialize, Serialize};

use super::gallery::Gallery;
use crate::base::{Embedding, Pts};

/// Strange looks in a row, and how little each was like the track.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Doubt {
    looks: Gallery,
    similarities: Vec<f32>,
}

impl Doubt {
    /// Strange looks in a row after which an object is taken to have changed.
    const MOST: usize = 12;

    /// A first strange look.
    pub fn new(look: &Embedding, similarity: f32, pts: Pts) -> Self {
        Self {
            looks: Gallery::new(look, pts),
            similarities: vec![similarity],
        }
    }

    /// Another one.
    pub fn add(&mut self, look: &Embedding, similarity: f32, pts: Pts) {
        self.looks.add(look, pts);
        self.similarities.push(similarity);
    }

    /// The strange looks.
    pub fn looks(&self) -> &Gallery {
        &self.looks
    }

    /// Whether there are so many that the object must have changed.
    pub fn is_change(&self) -> bool {
        self.similarities.len() >= Self::MOST
    }

    /// The similarities, for a track that was doubted without cause.
    pub fn into_similarities(self) -> Vec<f32> {
        self.similarities
    }
}
