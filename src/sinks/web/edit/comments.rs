//! Comments that outlive the table they stand over.

use toml_edit::{DocumentMut, Item, RawString, Table};

/// Keeps what stands over tables that were removed and is not about them: everything above the last
/// empty line before the table. It comes to stand over what followed.
pub(super) fn leave_behind(document: &mut DocumentMut, removed: &[Table]) {
    let mut left: Vec<(isize, String)> = removed
        .iter()
        .filter_map(|table| Some((table.position()?, general(&prefix(table))?)))
        .collect();
    // From the last to the first, so that they keep their order where several come together.
    left.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    for (position, text) in left {
        let mut next = None;
        each(document.as_table_mut(), &mut |table| {
            let at = table.position().filter(|at| *at > position);
            next = match (at, next) {
                (Some(at), Some(next)) => Some(at.min(next)),
                (at, next) => at.or(next),
            };
        });
        let Some(next) = next else {
            let trailing = document.trailing().as_str().unwrap_or_default();
            document.set_trailing(format!("{text}{trailing}"));
            continue;
        };
        each(document.as_table_mut(), &mut |table| {
            if table.position() == Some(next) {
                let joined = format!("{text}{}", prefix(table).trim_start_matches('\n'));
                table.decor_mut().set_prefix(joined);
            }
        });
    }
}

fn prefix(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(RawString::as_str);
    prefix.unwrap_or_default().to_owned()
}

/// The part that ends with the last empty line, if there is a comment in it.
fn general(prefix: &str) -> Option<String> {
    let end = prefix.rfind("\n\n")? + 2;
    let text = &prefix[..end];
    text.contains('#').then(|| text.to_owned())
}

fn each(table: &mut Table, act: &mut impl FnMut(&mut Table)) {
    act(table);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => each(table, act),
            Item::ArrayOfTables(tables) => {
                for table in tables.iter_mut() {
                    each(table, act);
                }
            }
            Item::Value(_) | Item::None => {}
        }
    }
}
