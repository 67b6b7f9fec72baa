//! The texts of `pipelines/*.gst`: GStreamer descriptions with `{placeholders}`, the only place
//! that names elements. They are embedded in the program; a file of the user's can stand in.

use std::path::{Path, PathBuf};

/// A pipeline description that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PipelineTextError {
    /// The user's file cannot be read.
    #[error("reading pipeline {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text asks for something that is not offered there.
    #[error("pipeline {name}: unknown placeholder {{{placeholder}}}, known here: {known}")]
    Placeholder {
        /// Name of the description.
        name: String,
        /// What it asks for.
        placeholder: String,
        /// What there is.
        known: String,
    },
}

/// A description, comments (`# …` lines) removed, placeholders not yet filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineText {
    name: String,
    text: String,
}

impl PipelineText {
    /// A description from its text; `name` is used in errors.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        Self {
            name: name.to_owned(),
            text: lines.join(" "),
        }
    }

    /// A description from a file of the user's.
    ///
    /// # Errors
    /// [`PipelineTextError::Read`] if the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, PipelineTextError> {
        let text = std::fs::read_to_string(path).map_err(|source| PipelineTextError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::new(&path.display().to_string(), &text))
    }

    /// The text for `gst_parse_launch`, every `{placeholder}` replaced by its value.
    ///
    /// # Errors
    /// [`PipelineTextError::Placeholder`] for a placeholder that is not in `values`.
    pub fn fill(&self, values: &[(&str, &str)]) -> Result<String, PipelineTextError> {
        let mut filled = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (placeholder, tail) = after.split_once('}').unwrap_or((after, ""));
            let Some((_, value)) = values.iter().find(|(key, _)| *key == placeholder) else {
                let known: Vec<&str> = values.iter().map(|(key, _)| *key).collect();
                return Err(PipelineTextError::Placeholder {
                    name: self.name.clone(),
                    placeholder: placeholder.to_owned(),
                    known: known.join(", "),
                });
            };
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_placeholders_are_filled() {
        let text = PipelineText::new("t", "# why\nsrc !\n  {decoder} max={n}\n\n! sink");
        let filled = text.fill(&[("decoder", "dec"), ("n", "1")]).unwrap();
        assert_eq!(filled, "src ! dec max=1 ! sink");
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_the_known_ones() {
        let text = PipelineText::new("mine.gst", "{decodr} ! sink");
        let error = text.fill(&[("decoder", "dec")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pipeline mine.gst: unknown placeholder {decodr}, known here: decoder"
        );
    }
}
