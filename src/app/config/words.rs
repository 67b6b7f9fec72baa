//! How values are quoted in faults.

use toml::Value;

use crate::base::redact_text;

/// Longest text of a value that is quoted in a fault.
const QUOTED_CHARS: usize = 60;

/// A value as quoted in a fault: short, on one line, without credentials.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// Text as quoted in a fault: short, on one line, without credentials.
pub(super) fn quoted(text: &str) -> String {
    let safe = redact_text(text);
    if safe.chars().count() <= QUOTED_CHARS {
        return format!("{safe:?}");
    }
    let head: String = safe.chars().take(QUOTED_CHARS).collect();
    format!("{:?}", format!("{head}…"))
}
