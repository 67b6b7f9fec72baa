//! The scores as tables for people.

use std::fmt;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{ClassScores, EvalReport};
use crate::tools::evaluate::Scores;

/// The name of the row that holds all sequences as one.
pub(super) const COMBINED: &str = "COMBINED";

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, class) in self.classes.iter().enumerate() {
            if index > 0 {
                writeln!(f, "\n")?;
            }
            writeln!(f, "{}, {}: scores in percent\n", self.format, class.class)?;
            writeln!(f, "{}\n", shares(class))?;
            writeln!(f, "{}\n", counts(class))?;
            let Scores {
                hota,
                clear,
                identity,
                ..
            } = &class.combined;
            write!(
                f,
                "HOTA {}  IDF1 {}  MOTA {}",
                percent(hota.mean().hota),
                percent(identity.idf1()),
                percent(clear.mota())
            )?;
        }
        Ok(())
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

fn shares(class: &ClassScores) -> String {
    let header = [
        "HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "IDF1", "IDP", "IDR",
        "MOTA", "MOTP",
    ];
    table(class, &header, |scores| {
        let at = scores.hota.mean();
        let (identity, clear) = (&scores.identity, &scores.clear);
        [
            at.hota,
            at.det_a,
            at.ass_a,
            at.det_re,
            at.det_pr,
            at.ass_re,
            at.ass_pr,
            at.loc_a,
            identity.idf1(),
            identity.idp(),
            identity.idr(),
            clear.mota(),
            clear.motp(),
        ]
        .map(percent)
        .to_vec()
    })
}

fn counts(class: &ClassScores) -> String {
    let header = [
        "frames", "boxes", "ids", "tracked", "tracks", "TP", "FN", "FP", "IDSW", "Frag", "MT",
        "PT", "ML",
    ];
    table(class, &header, |scores| {
        let (count, clear) = (&scores.count, &scores.clear);
        [
            count.frames,
            count.truth_boxes,
            count.truth_ids,
            count.track_boxes,
            count.track_ids,
            clear.tp,
            clear.fne,
            clear.fp,
            clear.idsw,
            clear.frag,
            clear.mt,
            clear.pt,
            clear.ml,
        ]
        .map(|count| count.to_string())
        .to_vec()
    })
}

fn table(class: &ClassScores, header: &[&str], cells: impl Fn(&Scores) -> Vec<String>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // One row is one line, whatever the terminal's width: people search for these.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(std::iter::once("sequence").chain(header.iter().copied()));
    let row = |name: &str, scores| std::iter::once(name.to_owned()).chain(cells(scores));
    for sequence in &class.sequences {
        table.add_row(row(&sequence.name, &sequence.scores));
    }
    table.add_row(row(COMBINED, &class.combined));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
