//! An error and what it came of, in one line: the forms that journald and JSON logs take know no causes.

use std::error::Error;

/// `error` and its causes, `writing a.mp4: No space left on device`. A cause that the text before it
/// ends with already is not said twice.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Self>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Layer {
            text,
            source: layers(rest),
        }))
    }

    #[test]
    fn every_cause_is_in_the_line_once() {
        let error = layers(&["running the network", "Gather: no such row", "no such row"]);
        let text = causes(&*error.unwrap());
        assert_eq!(text, "running the network: Gather: no such row");
    }
}
