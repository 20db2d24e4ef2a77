//! Finds what a misspelled name was meant to be.

use crate::recipe;

/// Names that are less alike (Jaro-Winkler, 0 to 1) are not worth proposing.
const SIMILAR: f64 = 0.75;

/// The known names that are like `name`, the most similar first.
pub(super) fn ranked<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let mut similar: Vec<_> = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate.as_str()))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    similar.into_iter().map(|(_, candidate)| candidate).collect()
}

/// `, did you mean …?` or nothing, for the end of a message.
pub(super) fn hint(name: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    recipe::nearest(name, &known).map_or(String::new(), |near| format!(", did you mean `{near}`?"))
}
