//! Values of TOML as JSON, and back.

use serde_json::{Number, Value as Json};
use toml_edit::{Array, Value};

/// Lists of points are lists in a list; nothing is deeper.
const DEPTH: usize = 3;

/// Two coordinates that differ by less are the same: a thousandth of a pixel of the largest picture.
const SAME: f64 = 1e-7;

/// A value as JSON; what has no counterpart (a date) is `null`.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.value().as_str()),
        Value::Integer(number) => Json::from(*number.value()),
        Value::Float(number) => Number::from_f64(*number.value()).map_or(Json::Null, Json::from),
        Value::Boolean(is) => Json::from(*is.value()),
        Value::Array(list) => Json::Array(list.iter().map(json).collect()),
        Value::Datetime(_) | Value::InlineTable(_) => Json::Null,
    }
}

/// JSON as a value; `None` for objects, `null`, and lists that are too deep.
pub(super) fn toml_value(json: &Json) -> Option<Value> {
    value_within(json, DEPTH)
}

fn value_within(json: &Json, depth: usize) -> Option<Value> {
    match json {
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Bool(is) => Some(Value::from(*is)),
        Json::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_f64().map(Value::from)),
        Json::Array(list) => {
            let depth = depth.checked_sub(1)?;
            let values: Option<Array> = list.iter().map(|it| value_within(it, depth)).collect();
            values.map(Value::from)
        }
        Json::Null | Json::Object(_) => None,
    }
}

/// Do they mean the same? 1 and 1.0 do.
pub(super) fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Number(one), Json::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() < SAME,
            _ => false,
        },
        (one, other) => one == other,
    }
}

/// Points, each side multiplied; anything else stays as it is.
pub(super) fn scaled(points: &Json, by: [f64; 2]) -> Json {
    each_coordinate(points, |value, side| value * by[side])
}

/// Points to a tenth of a pixel.
pub(super) fn rounded(points: &Json) -> Json {
    each_coordinate(points, |value, _| (value * 10.0).round() / 10.0)
}

fn each_coordinate(points: &Json, change: impl Fn(f64, usize) -> f64) -> Json {
    let Json::Array(points) = points else {
        return points.clone();
    };
    let coordinate = |(side, value): (usize, &Json)| {
        let changed = value.as_f64().map(|it| change(it, side.min(1)));
        changed.map_or_else(|| value.clone(), number)
    };
    let point = |point: &Json| match point {
        Json::Array(sides) => Json::Array(sides.iter().enumerate().map(coordinate).collect()),
        other => other.clone(),
    };
    Json::Array(points.iter().map(point).collect())
}

/// Whole numbers without a point.
fn number(value: f64) -> Json {
    let whole = value.round();
    #[expect(clippy::cast_possible_truncation, reason = "looked at before")]
    if whole.abs() < 1e9 && (value - whole).abs() < f64::EPSILON {
        return Json::from(whole as i64);
    }
    Number::from_f64(value).map_or(Json::Null, Json::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_back_as_they_went() {
        for value in [
            json!("a \"b\""),
            json!(3),
            json!(0.25),
            json!(true),
            json!([[0, 1], [0.5, 1]]),
        ] {
            assert_eq!(json(&toml_value(&value).unwrap()), value);
        }
        for value in [json!(null), json!({"a": 1}), json!([[[[1]]]])] {
            assert!(toml_value(&value).is_none(), "{value}");
        }
        assert!(same(&json!([1, 2]), &json!([1.0, 2.0])) && !same(&json!([1]), &json!([1, 2])));
    }
}
