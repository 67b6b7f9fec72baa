//! Age of the results and missing pictures over the number of cameras, as a drawing.

use super::report::{Plan, Report};
use super::trial::Trial;

/// Width and height of the field, px.
const FIELD: (f64, f64) = (420.0, 220.0);
/// Space left and right of it, for numbers and names, px.
const MARGIN: f64 = 64.0;
/// Space above and below, px.
const TITLE: f64 = 56.0;
/// Ages are drawn up to so many times the limit.
const ABOVE: f64 = 2.0;

/// Name, colour (Okabe & Ito's, told apart by all kinds of eyes), figure.
type Line = (&'static str, &'static str, fn(&Trial) -> f64);
const AGES: [Line; 3] = [
    ("p50 age", "#009e73", |trial| trial.age_ms.p50),
    ("p95 age", "#d55e00", |trial| trial.age_ms.p95),
    ("p99 age", "#cc79a7", |trial| trial.age_ms.p99),
];
const MISSING: &str = "#0072b2";

/// One field per kind of camera.
pub fn svg(report: &Report) -> String {
    let (width, each) = (FIELD.0 + 2.0 * MARGIN, FIELD.1 + 2.0 * TITLE);
    let height = each * report.plans.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (index, plan) in report.plans.iter().enumerate() {
        let top = each * index as f64 + TITLE;
        text.push_str(&format!("<g transform=\"translate({MARGIN} {top})\">\n"));
        text.push_str(&field(plan));
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

fn field(plan: &Plan) -> String {
    let (wide, high) = FIELD;
    let most = plan.trials.iter().map(|it| it.cameras).max().unwrap_or(1);
    let x = |cameras: u32| f64::from(cameras) / f64::from(most) * wide;
    let top = plan.limits.age_ms * ABOVE;
    let y = |age: f64| high - (age / top).min(1.0) * high;
    let carried = format!("{}: {} carried", escaped(&plan.cameras), plan.carries);
    let mut text = format!(
        "<text y=\"-34\" font-size=\"14\">{carried}</text>\n\
         <rect width=\"{wide}\" height=\"{high}\" fill=\"none\" stroke=\"#999999\"/>\n\
         <rect width=\"{:.1}\" height=\"{high}\" fill=\"#009e73\" opacity=\"0.08\"/>\n\
         <path d=\"M0 {limit:.1}H{wide}\" stroke=\"#555555\" stroke-dasharray=\"4 3\"/>\n\
         <text x=\"-6\" y=\"{:.1}\" text-anchor=\"end\">{:.0} ms</text>\n\
         <text x=\"-6\" y=\"{high}\" text-anchor=\"end\">0</text>\n\
         <text x=\"{}\" y=\"{high}\">0 %</text>\n<text x=\"{}\" y=\"10\">100 %</text>\n",
        x(plan.carries),
        y(plan.limits.age_ms) + 4.0,
        plan.limits.age_ms,
        wide + 6.0,
        wide + 6.0,
        limit = y(plan.limits.age_ms),
    );
    for trial in &plan.trials {
        text.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            x(trial.cameras),
            high + 16.0,
            trial.cameras
        ));
    }
    text.push_str(&format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">cameras</text>\n",
        wide / 2.0,
        high + 34.0
    ));
    let missing = |trial: &Trial| high - trial.missing.min(1.0) * high;
    let ages = AGES.iter().enumerate().map(|(place, (name, colour, of))| {
        line(plan, &x, &|trial| y(of(trial)), colour) + &legend(place, name, colour)
    });
    text.extend(ages);
    text.push_str(&line(plan, &x, &missing, MISSING));
    text.push_str(&legend(AGES.len(), "missing", MISSING));
    text
}

fn line(plan: &Plan, x: &dyn Fn(u32) -> f64, y: &dyn Fn(&Trial) -> f64, colour: &str) -> String {
    let points: Vec<String> = plan
        .trials
        .iter()
        .map(|trial| format!("{:.1},{:.1}", x(trial.cameras), y(trial)))
        .collect();
    let dots: String = plan
        .trials
        .iter()
        .map(|trial| {
            let (x, y) = (x(trial.cameras), y(trial));
            format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n")
        })
        .collect();
    let points = points.join(" ");
    format!(
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{dots}"
    )
}

fn legend(place: usize, name: &str, colour: &str) -> String {
    let x = 100.0 * place as f64;
    format!(
        "<path d=\"M{x} -14h18\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
         <text x=\"{}\" y=\"-10\">{name}</text>\n",
        x + 22.0
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
