//! What a guide says in two places.

use regex::RegexBuilder;
use serde::Serialize;

use super::{AuditError, Guide};
use crate::recipe::{AuditCheck, Finding};

/// Two places, and what each says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Places {
    /// The check's name.
    pub name: String,
    /// One place.
    pub one: Said,
    /// The other.
    pub other: Said,
    /// Whether both say the same, and say something.
    pub agrees: bool,
    /// The erratum that tells of a difference.
    pub erratum: Option<String>,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The file's path in the repository.
    pub file: String,
    /// Whether there is such a file.
    pub is_there: bool,
    /// What the pattern found, in the order of the file.
    pub values: Vec<String>,
}

impl Places {
    /// Whether the two agree, or differ as an erratum says; an erratum about nothing is as wrong
    /// as a difference that none tells of.
    pub fn is_good(&self) -> bool {
        let is_said = !self.one.values.is_empty() || !self.other.values.is_empty();
        is_said && self.agrees == self.erratum.is_none()
    }
}

/// Looks both places up.
pub fn compare_places(guide: &Guide, check: &AuditCheck) -> Result<Places, AuditError> {
    let (one, other) = (said(guide, &check.one)?, said(guide, &check.other)?);
    let agrees = one.values == other.values && !one.values.is_empty();
    Ok(Places { name: check.name.clone(), one, other, agrees, erratum: check.differs.clone() })
}

fn said(guide: &Guide, finding: &Finding) -> Result<Said, AuditError> {
    let file = guide.path(Some(&finding.file));
    let content = guide.find(&file)?;
    let text = content.as_deref().map(String::from_utf8_lossy);
    let values = text.map_or_else(Vec::new, |text| values(&text, &finding.pattern));
    Ok(Said { file, is_there: content.is_some(), values })
}

fn values(text: &str, pattern: &str) -> Vec<String> {
    let regex = RegexBuilder::new(pattern).multi_line(true).build();
    let regex = regex.expect("a recipe has checked its patterns");
    let found = regex.captures_iter(text).filter_map(|found| found.get(1));
    found.map(|group| group.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(one: &[&str], other: &[&str], erratum: Option<&str>) -> Places {
        let said = |values: &[&str]| Said {
            file: "f".to_owned(),
            is_there: true,
            values: values.iter().map(ToString::to_string).collect(),
        };
        Places {
            name: "n".to_owned(),
            one: said(one),
            other: said(other),
            agrees: one == other && !one.is_empty(),
            erratum: erratum.map(str::to_owned),
        }
    }

    #[test]
    fn every_match_counts_and_lines_have_ends() {
        assert_eq!(values("bs 6\nbs 22 x\nbs 18\n", r"^bs (\d+)$"), ["6", "18"]);
    }

    #[test]
    fn a_difference_needs_its_erratum_and_an_erratum_its_difference() {
        assert!(places(&["22"], &["22"], None).is_good());
        assert!(places(&["22"], &["18"], Some("batch")).is_good());
        assert!(!places(&["22"], &["18"], None).is_good());
        assert!(!places(&["22"], &["22"], Some("batch")).is_good());
    }

    #[test]
    fn what_nobody_says_is_not_agreed_upon() {
        assert!(!places(&[], &[], None).is_good());
        assert!(!places(&[], &[], Some("batch")).is_good());
        assert!(places(&["22"], &[], Some("batch")).is_good());
    }
}
