//! Names and paths that recipes, data sets and locks may use.
//!
//! Each rule is a predicate and a text that says it; a path that passes can be
//! joined to a folder without leaving it.

/// The rule of [`plain_name`] in words.
pub(crate) const PLAIN_NAME: &str = "a name is lower-case letters, digits, `.`, `_`, `+` and `-`, and starts with a letter or digit";

/// The rule of [`absolute_path`] in words.
pub(crate) const ABSOLUTE_PATH: &str =
    "a path in the image starts with `/` and has no `.`, `..`, empty part or trailing `/`";

/// The rule of [`relative_path`] in words.
pub(crate) const RELATIVE_PATH: &str =
    "a local path is relative and has no `.`, `..`, empty part, backslash or control character";

/// The rule of [`file_name`] in words.
pub(crate) const FILE_NAME: &str =
    "a file name has no `/`, backslash or control character and is not `.` or `..`";

/// Names of images, variants, data sets, Debian packages.
pub(crate) fn plain_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".+_-".contains(c);
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(plain)
}

/// A normalised absolute path.
pub(crate) fn absolute_path(text: &str) -> bool {
    text == "/" || text.strip_prefix('/').is_some_and(relative_path)
}

/// A path that stays below whatever it is joined to.
pub(crate) fn relative_path(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(file_name)
}

/// One part of a path.
pub(crate) fn file_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && !text.contains(['/', '\\'])
        && !text.contains(char::is_control)
}

/// `3.9`, `2.31`.
pub(crate) fn release_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// A day of the calendar, `2026-11-20`.
pub(crate) fn date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// Distribution name as package indexes compare it (PEP 503).
pub(crate) fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_folder_is_refused() {
        for text in ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb"] {
            assert!(!relative_path(text), "{text:?}");
        }
        assert!(relative_path("seg/smoke/sitecustomize.py"));
    }

    #[test]
    fn an_image_path_is_absolute_and_normalised() {
        assert!(absolute_path("/") && absolute_path("/usr/local"));
        for text in ["usr", "//usr", "/usr/", "/usr/../etc", "/./usr", ""] {
            assert!(!absolute_path(text), "{text:?}");
        }
    }

    #[test]
    fn a_day_that_is_not_in_the_calendar_is_refused() {
        assert!(date("2026-11-20"));
        assert!(!date("2026-02-30") && !date("2026-1-2") && !date("20261120"));
    }
}
