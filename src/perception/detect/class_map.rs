//! From a model's classes to gantryd's: `motorbike` and `motor` are both a `motorcycle`.

use std::collections::BTreeMap;

use super::{DetectError, class_called};

/// Longest name of a class, characters: it is drawn beside boxes.
pub const MAX_CLASS_NAME: usize = 64;

/// Names that data sets use for what gantryd calls by another: COCO as Darknet writes it, Objects365,
/// VisDrone, BDD100K, and British English. Compared without case, `_` and `-` as spaces.
///
/// Only what is the same thing or a finer kind of it; `bike` is left alone, because it is a bicycle in
/// one data set and a motorcycle in another.
const USUAL: &[(&str, &str)] = &[
    ("person", "person"),
    ("human", "person"),
    ("pedestrian", "person"),
    ("people", "person"),
    ("bicycle", "bicycle"),
    ("motorcycle", "motorcycle"),
    ("motor", "motorcycle"),
    ("motorbike", "motorcycle"),
    ("car", "car"),
    ("automobile", "car"),
    ("sedan", "car"),
    ("sports car", "car"),
    ("suv", "car"),
    ("van", "van"),
    ("minivan", "van"),
    ("truck", "truck"),
    ("fire truck", "truck"),
    ("heavy truck", "truck"),
    ("lorry", "truck"),
    ("pickup truck", "truck"),
    ("bus", "bus"),
    ("forklift", "forklift"),
    ("fork lift", "forklift"),
    ("forklift truck", "forklift"),
];

/// What gantryd calls a class that a model calls `name`, if it has a word for it.
#[must_use]
pub fn usual_class(name: &str) -> Option<&'static str> {
    let plain = name.trim().to_lowercase().replace(['_', '-'], " ");
    let found = USUAL.iter().find(|(known, _)| *known == plain);
    found.map(|(_, class)| *class)
}

/// What is wrong with `name` as the name of a class, if anything; an empty one drops the class.
#[must_use]
pub fn class_name_fault(name: &str) -> Option<String> {
    let is_plain = name.trim() == name && !name.chars().any(char::is_control);
    let is_good = is_plain && name.chars().count() <= MAX_CLASS_NAME;
    (!is_good).then(|| {
        format!(
            "{name:?}, allowed is a name of at most {MAX_CLASS_NAME} characters without spaces around it, or \"\" to drop the class"
        )
    })
}

/// What becomes of each class of a model. Several may become one; an empty name drops the class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassMap {
    names: Vec<String>,
    of_model: Vec<Option<u16>>,
}

impl ClassMap {
    /// The map for a model whose classes are called `model_classes`.
    ///
    /// `chosen` is the operator's word and comes first, `stated` the manifest's; what neither names
    /// goes by [`usual_class`], and what that does not know keeps its name. The names of the result
    /// are in the order in which the model first uses them.
    ///
    /// # Errors
    /// [`DetectError::ClassMap`] if a key is no class of the model, or nothing is left.
    pub fn new(
        model: &str,
        model_classes: &[String],
        stated: &BTreeMap<String, String>,
        chosen: &BTreeMap<String, String>,
    ) -> Result<Self, DetectError> {
        let mut renamed: Vec<Option<&str>> = vec![None; model_classes.len()];
        for (place, entries) in [
            ("class_map of the manifest", stated),
            ("detect.class_map", chosen),
        ] {
            for (class, name) in entries {
                let found = class_called(class, model_classes, model).map_err(|error| {
                    DetectError::ClassMap {
                        place,
                        what: error.to_string(),
                    }
                })?;
                renamed[usize::from(found.0)] = Some(name);
            }
        }
        let mut map = Self::default();
        for (class, renamed) in model_classes.iter().zip(renamed) {
            let name = renamed.or_else(|| usual_class(class)).unwrap_or(class);
            let id = map.id_of(name);
            map.of_model.push(id);
        }
        if map.names.is_empty() && !model_classes.is_empty() {
            return Err(DetectError::ClassMap {
                place: "class_map",
                what: format!(
                    "model {model}: every class is dropped, allowed is to keep one at least"
                ),
            });
        }
        Ok(map)
    }

    fn id_of(&mut self, name: &str) -> Option<u16> {
        if name.is_empty() {
            return None;
        }
        let known = self.names.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u16::try_from(at).ok()
    }

    /// Whether several classes of the model become one.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.of_model.iter().flatten().count() > self.names.len()
    }

    /// Names of the classes that come out, by their ids.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What class `class` of the model becomes; `None` if it is dropped or does not exist.
    #[must_use]
    pub fn of(&self, class: u16) -> Option<u16> {
        *self.of_model.get(usize::from(class))?
    }

    /// Classes whose name changes, with the new one, and `None` for those that are dropped.
    pub fn changes<'a>(
        &'a self,
        model_classes: &'a [String],
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        model_classes
            .iter()
            .zip(&self.of_model)
            .map(|(class, id)| {
                let name = id.and_then(|id| self.names.get(usize::from(id)));
                (class.as_str(), name.map(String::as_str))
            })
            .filter(|(class, name)| name.is_none_or(|name| name != *class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn entries(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        let entries = entries.iter();
        entries
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn mapped(model: &[&str], stated: &[(&str, &str)], chosen: &[(&str, &str)]) -> ClassMap {
        ClassMap::new("m", &names(model), &entries(stated), &entries(chosen)).unwrap()
    }

    #[test]
    fn names_of_other_data_sets_become_the_usual_ones_and_share_a_class() {
        let model = [
            "pedestrian",
            "people",
            "Car",
            "SUV",
            "motor",
            "awning-tricycle",
        ];
        let map = mapped(&model, &[], &[]);
        assert_eq!(
            map.names(),
            ["person", "car", "motorcycle", "awning-tricycle"]
        );
        let ids: Vec<_> = (0..6).map(|class| map.of(class)).collect();
        assert_eq!(ids, [Some(0), Some(0), Some(1), Some(1), Some(2), Some(3)]);
        assert_eq!(map.of(6), None);
    }

    #[test]
    fn coco_stays_as_it_is() {
        let coco = [
            "person",
            "bicycle",
            "car",
            "motorcycle",
            "airplane",
            "bus",
            "train",
            "truck",
        ];
        let map = mapped(&coco, &[], &[]);
        assert_eq!(map.names(), coco);
        assert_eq!(map.changes(&names(&coco)).count(), 0);
        assert_eq!(mapped(&["aeroplane"], &[], &[]).names(), ["aeroplane"]);
    }

    #[test]
    fn the_operator_comes_before_the_manifest_and_both_before_the_usual() {
        let model = ["pedestrian", "lorry", "bench", "van"];
        let map = mapped(
            &model,
            &[("lorry", "heavy"), ("van", "car"), ("bench", "")],
            &[("van", "van"), ("PEDESTRIAN", "pedestrian")],
        );
        assert_eq!(map.names(), ["pedestrian", "heavy", "van"]);
        assert_eq!(map.of(2), None);
        let model = names(&model);
        let changes: Vec<_> = map.changes(&model).collect();
        assert_eq!(changes, [("lorry", Some("heavy")), ("bench", None)]);
    }

    #[test]
    fn a_class_that_the_model_does_not_have_is_told_with_the_nearest() {
        let error = ClassMap::new(
            "m",
            &names(&["lorry"]),
            &entries(&[]),
            &entries(&[("lory", "x")]),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "detect.class_map: model m: no class \"lory\", did you mean \"lorry\"?; known: lorry"
        );
        let error = ClassMap::new("m", &names(&["a"]), &entries(&[("a", "")]), &entries(&[]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "class_map: model m: every class is dropped, allowed is to keep one at least"
        );
    }
}
