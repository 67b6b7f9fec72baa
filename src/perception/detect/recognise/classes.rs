//! Names of classes: from metadata, from the well-known sets, or by number.

use super::super::heads::Classes;

/// The 80 classes of COCO detection, in the usual order.
pub const COCO: [&str; 80] = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
];

/// Category ids of COCO that no image uses; the 80 others of 1..=90 are the classes in order.
const COCO_GAPS: [usize; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

/// More names than any detector has.
const MAX_CLASSES: usize = 65_535;

/// The COCO names.
pub fn coco() -> Vec<String> {
    COCO.iter().map(|&name| name.to_owned()).collect()
}

/// From COCO category ids (0..=90, sparse) to the 80 classes; `first` is the id at index 0.
pub fn coco_from_category(first: usize, len: usize) -> Classes {
    let map = (first..first + len)
        .map(|id| {
            if id == 0 || id > 90 || COCO_GAPS.contains(&id) {
                return None;
            }
            let gaps = COCO_GAPS.iter().filter(|&&gap| gap < id).count();
            u16::try_from(id - 1 - gaps).ok()
        })
        .collect();
    Classes {
        count: COCO.len(),
        map: Some(map),
    }
}

/// Names for `count` classes nobody has named.
pub fn numbered(count: usize) -> Vec<String> {
    if count == COCO.len() {
        coco()
    } else {
        (0..count).map(|i| format!("class{i}")).collect()
    }
}

/// Names from the text that exporters put into metadata: a Python dict `{0: 'person', 1: "it's"}`, a
/// list `['person', …]`, JSON of either, or lines. `None` if it is none of these or the numbers have gaps
/// that no list could hold.
pub fn parse_names(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let body = match (text.chars().next()?, text.chars().last()?) {
        ('{', '}') | ('[', ']') | ('(', ')') => &text[1..text.len() - 1],
        _ => {
            let lines: Vec<String> = text
                .split(['\n', ','])
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect();
            return (lines.len() > 1 && lines.len() <= MAX_CLASSES).then_some(lines);
        }
    };
    let is_dict = text.starts_with('{');
    let mut names: Vec<String> = Vec::new();
    let mut chars = body.chars().peekable();
    let mut key: Option<String> = is_dict.then(String::new);
    let mut value: Option<String> = None;
    let mut flush = |key: &mut Option<String>, value: &mut Option<String>| -> Option<()> {
        if let Some(name) = value.take() {
            let at = match key {
                Some(key) => key.trim().parse().ok()?,
                None => names.len(),
            };
            if at >= MAX_CLASSES {
                return None;
            }
            while names.len() <= at {
                names.push(format!("class{}", names.len()));
            }
            names[at] = name;
        }
        if let Some(key) = key {
            key.clear();
        }
        Some(())
    };
    let mut in_key = is_dict;
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut quoted = String::new();
                while let Some(q) = chars.next() {
                    match q {
                        '\\' => quoted.extend(chars.next()),
                        q if q == c => break,
                        q => quoted.push(q),
                    }
                }
                match (&mut key, in_key) {
                    (Some(key), true) => key.push_str(&quoted),
                    _ => value = Some(quoted),
                }
            }
            ':' if is_dict => in_key = false,
            ',' => {
                flush(&mut key, &mut value)?;
                in_key = is_dict;
            }
            c => match (&mut key, in_key) {
                (Some(key), true) => key.push(c),
                _ if c.is_whitespace() && value.is_none() => {}
                _ => value.get_or_insert_default().push(c),
            },
        }
    }
    flush(&mut key, &mut value)?;
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_exporters_are_read() {
        assert_eq!(
            parse_names("{0: 'person', 1: \"driver's cab\", 2: 'it\\'s, here'}").unwrap(),
            ["person", "driver's cab", "it's, here"]
        );
        assert_eq!(parse_names("['a', 'b']").unwrap(), ["a", "b"]);
        assert_eq!(
            parse_names("{\"1\": \"b\", \"0\": \"a\"}").unwrap(),
            ["a", "b"]
        );
        assert_eq!(parse_names("a,b\nc").unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn names_with_absurd_numbers_are_refused() {
        assert_eq!(parse_names("{99999999999: 'a'}"), None);
        assert_eq!(parse_names("{-1: 'a'}"), None);
        assert_eq!(parse_names(""), None);
    }

    #[test]
    fn coco_categories_map_to_the_eighty_classes() {
        // Published list: 1 person, 13 stop sign, 17 cat, 44 bottle, 90 toothbrush; 12 and 26 unused.
        let map = coco_from_category(0, 91).map.unwrap();
        let name = |id: usize| map[id].map(|class| COCO[usize::from(class)]);
        assert_eq!(name(1), Some("person"));
        assert_eq!(name(13), Some("stop sign"));
        assert_eq!(name(17), Some("cat"));
        assert_eq!(name(44), Some("bottle"));
        assert_eq!(name(90), Some("toothbrush"));
        assert_eq!((name(0), name(12), name(26)), (None, None, None));
        assert_eq!(map.iter().flatten().count(), 80);
    }
}
