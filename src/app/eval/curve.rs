//! HOTA and its parts over the threshold, as a drawing.

use super::EvalReport;
use crate::tools::evaluate::{ALPHAS, HotaAt, Scores, alphas};

/// Side of the square that holds the curves, px.
const SIDE: f64 = 360.0;
/// Space left of it and below it, for numbers and names, px.
const MARGIN: f64 = 56.0;
/// Space right of it, for the legend, px.
const LEGEND: f64 = 150.0;
/// Height of the title, px.
const TITLE: f64 = 40.0;

/// What is drawn: name, colour (Okabe & Ito's, told apart by all kinds of eyes), figure.
type Line = (&'static str, &'static str, fn(&HotaAt) -> f64);
const LINES: [Line; 4] = [
    ("HOTA", "#000000", |at| at.hota),
    ("DetA", "#0072b2", |at| at.det_a),
    ("AssA", "#d55e00", |at| at.ass_a),
    ("LocA", "#009e73", |at| at.loc_a),
];

/// One square per class, all sequences combined.
pub fn svg(report: &EvalReport) -> String {
    let width = MARGIN + SIDE + LEGEND;
    let height = TITLE + SIDE + MARGIN;
    let total = height * report.classes.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" width=\"{width}\" \
         height=\"{total}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (index, class) in report.classes.iter().enumerate() {
        let top = TITLE + height * index as f64;
        text.push_str(&format!("<g transform=\"translate({MARGIN} {top})\">\n"));
        let title = format!("{}, {}: HOTA over α", report.format, class.class);
        text.push_str(&format!(
            "<text y=\"-14\" font-size=\"14\">{title}</text>\n"
        ));
        text.push_str(&axes());
        text.push_str(&curves(&class.combined));
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

fn axes() -> String {
    let mut text = String::new();
    for tenth in (0..=10).step_by(2) {
        let share = f64::from(tenth) / 10.0;
        let (x, y) = (place_x(share), place_y(share));
        text.push_str(&format!(
            "<path d=\"M0 {y:.1}H{SIDE}M{x:.1} 0V{SIDE}\" stroke=\"#dddddd\"/>\n\
             <text x=\"-8\" y=\"{:.1}\" text-anchor=\"end\">{share:.1}</text>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{share:.1}</text>\n",
            y + 4.0,
            SIDE + 18.0
        ));
    }
    text.push_str(&format!(
        "<rect width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#555555\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">IoU threshold α</text>\n",
        SIDE / 2.0,
        SIDE + 40.0
    ));
    text
}

fn curves(scores: &Scores) -> String {
    let at: [HotaAt; ALPHAS] = std::array::from_fn(|index| scores.hota.at(index));
    let mean = scores.hota.mean();
    let mut text = String::new();
    for (row, (name, colour, figure)) in LINES.iter().enumerate() {
        let points: Vec<String> = alphas()
            .iter()
            .zip(&at)
            .map(|(alpha, at)| format!("{:.2},{:.2}", place_x(*alpha), place_y(figure(at))))
            .collect();
        let y = 14.0 + 20.0 * row as f64;
        text.push_str(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <path d=\"M{:.1} {:.1}h20\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{y:.1}\">{name} {:.2} %</text>\n",
            points.join(" "),
            SIDE + 14.0,
            y - 4.0,
            SIDE + 40.0,
            figure(&mean) * 100.0
        ));
    }
    text
}

fn place_x(alpha: f64) -> f64 {
    alpha * SIDE
}

fn place_y(share: f64) -> f64 {
    (1.0 - share) * SIDE
}
