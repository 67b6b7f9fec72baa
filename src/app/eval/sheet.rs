//! The scores for programs: JSON and comma separated values, with the names of the literature.

use serde_json::{Map, Value, json};

use super::EvalReport;
use super::table::COMBINED;
use crate::tools::evaluate::{ALPHAS, Hota, HotaAt, Scores, alphas};

/// Name and version of the JSON form.
const SCHEMA: &str = "gantryd.evaluation.v1";

/// All figures, those of each threshold too; shares are 0..=1.
pub fn json(report: &EvalReport) -> String {
    let classes: Vec<Value> = report
        .classes
        .iter()
        .map(|class| {
            let sequences: Map<_, _> = class
                .sequences
                .iter()
                .map(|sequence| (sequence.name.clone(), scores(&sequence.scores)))
                .collect();
            json!({
                "class": class.class.to_string(),
                "sequences": sequences,
                "combined": scores(&class.combined),
            })
        })
        .collect();
    let all = json!({ "schema": SCHEMA, "format": report.format, "alphas": alphas(), "classes": classes });
    format!("{all:#}\n")
}

fn scores(scores: &Scores) -> Value {
    let mut hota: Map<String, Value> = map(scores.hota.mean().named());
    hota.insert("per_alpha".to_owned(), per_alpha(&scores.hota).into());
    let mut clear = map(scores.clear.shares());
    clear.append(&mut map(scores.clear.counts()));
    let mut identity = map(scores.identity.shares());
    identity.append(&mut map(scores.identity.counts()));
    json!({
        "HOTA": hota,
        "CLEAR": clear,
        "Identity": identity,
        "Count": map(scores.count.counts()),
    })
}

fn map<V: Into<Value>>(figures: impl IntoIterator<Item = (&'static str, V)>) -> Map<String, Value> {
    let figures = figures.into_iter();
    figures
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

fn per_alpha(hota: &Hota) -> Map<String, Value> {
    let mut lists = Map::new();
    let at: [HotaAt; ALPHAS] = std::array::from_fn(|index| hota.at(index));
    for (place, (name, _)) in at[0].named().into_iter().enumerate() {
        let list: Vec<f64> = at.iter().map(|at| at.named()[place].1).collect();
        lists.insert(name.to_owned(), list.into());
    }
    let counts: [[u64; 3]; ALPHAS] = std::array::from_fn(|index| hota.counts(index));
    for (place, name) in ["HOTA_TP", "HOTA_FN", "HOTA_FP"].into_iter().enumerate() {
        let list: Vec<u64> = counts.iter().map(|counts| counts[place]).collect();
        lists.insert(name.to_owned(), list.into());
    }
    lists
}

/// A row per class and sequence, the last of each class the combined one; shares are 0..=1.
pub fn csv(report: &EvalReport) -> String {
    let mut text = String::from("class,sequence");
    for (name, _) in columns(&Scores::default()) {
        text.push(',');
        text.push_str(&name);
    }
    text.push('\n');
    for class in &report.classes {
        let sequences = class.sequences.iter();
        let named = sequences.map(|sequence| (sequence.name.as_str(), &sequence.scores));
        for (name, scores) in named.chain([(COMBINED, &class.combined)]) {
            text.push_str(&format!("{},{}", class.class, quoted(name)));
            for (_, figure) in columns(scores) {
                text.push(',');
                text.push_str(&figure);
            }
            text.push('\n');
        }
    }
    text
}

fn columns(scores: &Scores) -> Vec<(String, String)> {
    let share = |(name, share): (&str, f64)| (name.to_owned(), share.to_string());
    let count = |(name, count): (&str, u64)| (name.to_owned(), count.to_string());
    let mut columns = Vec::new();
    columns.extend(scores.hota.mean().named().map(share));
    columns.extend(scores.clear.shares().map(share));
    columns.extend(scores.clear.counts().map(count));
    columns.extend(scores.identity.shares().map(share));
    columns.extend(scores.identity.counts().map(count));
    columns.extend(scores.count.counts().map(count));
    for (index, alpha) in alphas().into_iter().enumerate() {
        for (name, figure) in scores.hota.at(index).named() {
            columns.push((format!("{name}_{alpha:.2}"), figure.to_string()));
        }
    }
    columns
}

/// A field as RFC 4180 wants it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
