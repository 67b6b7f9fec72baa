//! Names of classes, as people write them.

use super::{DetectError, usual_class};
use crate::base::ClassId;

/// The class called `name` among those that `model` knows; upper and lower case are the same unless
/// two classes differ in nothing else. A name that another data set uses is understood too: `motorbike`
/// finds `motorcycle`.
///
/// # Errors
/// [`DetectError::UnknownClass`] with the nearest name and all known ones.
pub fn class_called(name: &str, known: &[String], model: &str) -> Result<ClassId, DetectError> {
    let exact = known.iter().position(|class| class == name);
    let as_written = |name: &str| {
        known
            .iter()
            .position(|class| class.eq_ignore_ascii_case(name))
    };
    let index = exact
        .or_else(|| as_written(name))
        .or_else(|| as_written(usual_class(name)?));
    index
        .and_then(|index| u16::try_from(index).ok())
        .map(ClassId)
        .ok_or_else(|| DetectError::UnknownClass {
            model: model.to_owned(),
            class: name.to_owned(),
            hint: hint(name, known),
            known: known.join(", "),
        })
}

fn hint(name: &str, known: &[String]) -> String {
    let distance =
        |class: &String| strsim::levenshtein(&class.to_lowercase(), &name.to_lowercase());
    known
        .iter()
        .min_by_key(|class| distance(class))
        .filter(|class| distance(class) <= 1 + name.chars().count() / 3)
        .map_or_else(String::new, |class| format!(", did you mean \"{class}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn case_matters_only_where_nothing_else_differs() {
        let known = names(&["car", "Person", "person"]);
        let found = |name| class_called(name, &known, "m").unwrap();
        assert_eq!(found("person"), ClassId(2));
        assert_eq!(found("Person"), ClassId(1));
        assert_eq!(found("CAR"), ClassId(0));
    }

    #[test]
    fn a_class_is_found_by_the_name_that_another_data_set_uses() {
        let known = names(&["person", "motorcycle", "truck"]);
        let found = |name| class_called(name, &known, "m").unwrap();
        assert_eq!(found("motorbike"), ClassId(1));
        assert_eq!(found("Lorry"), ClassId(2));
        assert_eq!(found("pedestrian"), ClassId(0));
    }

    #[test]
    fn an_unknown_class_is_told_with_the_nearest_if_there_is_one() {
        let told = |name, known: &[&str]| {
            let error = class_called(name, &names(known), "m").unwrap_err();
            error.to_string()
        };
        assert_eq!(
            told("persn", &["car", "person"]),
            "model m: no class \"persn\", did you mean \"person\"?; known: car, person"
        );
        assert_eq!(
            told("zeppelin", &["car", "dog"]),
            "model m: no class \"zeppelin\"; known: car, dog"
        );
    }
}
