//! What to write into a configuration: a `[track]` of its own, or the lines of one that is there.

use super::setting::Setting;

/// The section of the tracker.
const SECTION: &str = "track";

/// A `[track]` with the keys of `setting` below `why`, a line of comment each. Where the setting in use
/// is to be kept, the keys are commented out.
#[must_use]
pub fn section(setting: &Setting, is_taken: bool, why: &[String]) -> String {
    let mut text = String::new();
    for line in why {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str(&format!("[{SECTION}]\n"));
    let before = if is_taken { "" } else { "# " };
    for (key, value) in setting.lines() {
        text.push_str(&format!("{before}{key} = {value}\n"));
    }
    text
}

/// What is to be changed in the configuration `text` for `setting`, a line each, with the numbers of
/// the lines of the file as it stands.
#[must_use]
pub fn changes(text: &str, setting: &Setting) -> Vec<String> {
    let header = format!("[{SECTION}]");
    let lines: Vec<&str> = text.lines().collect();
    let begins = lines
        .iter()
        .position(|line| without_comment(line) == header);
    let section = begins.map_or(&[][..], |begins| &lines[begins + 1..]);
    let ends = section
        .iter()
        .position(|line| line.trim_start().starts_with('['));
    let section = &section[..ends.unwrap_or(section.len())];
    let mut changes = Vec::new();
    let mut added = Vec::new();
    for (key, value) in setting.lines() {
        let is_key = |line: &str| {
            let name = line.split_once('=').map(|(name, _)| name.trim());
            name == Some(key)
        };
        match (begins, section.iter().position(|line| is_key(line))) {
            (Some(begins), Some(at)) => {
                let now = without_comment(section[at]);
                changes.push(format!("line {}: {now} → {key} = {value}", begins + at + 2));
            }
            _ => added.push(format!("{key} = {value}")),
        }
    }
    let is_elsewhere = begins.is_none() && has_track(text);
    let place = match begins {
        Some(begins) => format!("below line {}, {header}", begins + 1),
        None if is_elsewhere => format!("in {SECTION}, which is not written as {header} here"),
        None => format!("at the end, below a line {header}"),
    };
    changes.extend(added.iter().map(|line| format!("{place}: add {line}")));
    changes
}

fn has_track(text: &str) -> bool {
    let table = text.parse::<toml::Table>();
    table.is_ok_and(|table| table.contains_key(SECTION))
}

fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(line, _)| line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting = Setting {
        scores: Some((40, 56)),
        low: None,
        memory: Some(35),
        hits: None,
        votes: None,
    };

    #[test]
    fn a_section_can_be_read_again() {
        let text = section(&SETTING, true, &["gantryd tune".to_owned()]);
        assert_eq!(
            text,
            "# gantryd tune\n[track]\nhigh = 0.40\nnew = 0.56\nmemory_secs = 3.5\n"
        );
        let kept = section(&SETTING, false, &[]);
        let kept: toml::Table = kept.parse().unwrap();
        assert_eq!(kept["track"].as_table().map(toml::Table::len), Some(0));
    }

    #[test]
    fn the_lines_to_change_are_named() {
        let text =
            "[detect]\nhigh = 1\n[track] # ours\nmemory_secs = \"auto\" # 2\n\n[log]\nnew = 3\n";
        assert_eq!(
            changes(text, &SETTING),
            [
                "line 4: memory_secs = \"auto\" → memory_secs = 3.5",
                "below line 3, [track]: add high = 0.40",
                "below line 3, [track]: add new = 0.56",
            ]
        );
    }

    #[test]
    fn a_file_without_the_section_gets_one() {
        let changes = changes("[detect]\n", &SETTING);
        assert_eq!(
            changes[0],
            "at the end, below a line [track]: add high = 0.40"
        );
        let inline = super::changes("track = { low = 0.1 }\n", &SETTING);
        assert!(inline[0].starts_with("in track, which is not written as [track] here"));
    }
}
