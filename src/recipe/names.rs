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

/// The rule of [`image_reference`] in words.
pub(crate) const IMAGE_REFERENCE: &str =
    "a reference names its registry, and a tag or a digest: `registry.test/team/image:1.0`";

/// A reference that means the same to everybody: with the registry's host, and not the moving
/// `latest` that a missing tag stands for.
pub(crate) fn image_reference(text: &str) -> bool {
    let Some((host, rest)) = text.split_once('/') else { return false };
    let named = host == "localhost" || host.contains(['.', ':']);
    let (name, version) = match rest.split_once('@') {
        Some((name, digest)) => (name, digest.parse::<crate::digest::Digest>().is_ok()),
        None => match rest.rsplit_once(':') {
            Some((name, tag)) => (name, !tag.is_empty() && !tag.contains('/')),
            None => (rest, false),
        },
    };
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        !part.is_empty() && part.chars().all(plain)
    };
    // A name with both a tag and a digest keeps its tag for the reader.
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    named && version && name.split('/').all(part) && !host.contains(char::is_whitespace)
}

/// A repository that anybody can be told: its address has a scheme and no credentials.
pub(crate) fn repository_url(text: &str) -> bool {
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let known = ["https", "http", "git", "ssh", "file"];
    let parts = text.split_once("://").filter(|(scheme, _)| known.contains(scheme));
    plain
        && parts.is_some_and(|(scheme, rest)| {
            let authority = rest.split('/').next().unwrap_or("");
            // `git@` is how ssh names its one user; anything else before `@` is somebody's own.
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            !rest.is_empty() && user.is_none_or(|user| scheme == "ssh" && user == "git")
        })
}

/// A file of the web that anybody can be told of.
pub(crate) fn web_address(text: &str) -> bool {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    is_web && repository_url(text) && !text.contains('#')
}

/// What a recipe may name as a place of wheels, in words.
pub(crate) const FIND_LINKS: &str = "expected the address of a page of links without credentials, or a folder relative to the project";

/// The rule of [`web_address`] in words.
pub(crate) const WEB_ADDRESS: &str =
    "an address begins with `https://` or `http://` and has neither credentials nor a fragment";

/// The rule of [`requirement`] in words.
pub(crate) const REQUIREMENT: &str = "a requirement is a name and, if need be, extras, versions after `==`, `!=`, `<=`, `>=`, `<`, `>` or `~=`, and a marker: `torch==1.9.1`";

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

/// A requirement by name and version (PEP 508); what follows a `;` is left to the resolver.
pub(crate) fn requirement(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text = text.split(';').next().unwrap_or_default().trim();
    let rest = text.trim_start_matches(is_part).trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => match extras.split_once(']') {
            Some((_, rest)) => rest.trim_start(),
            None => return false,
        },
        None => rest,
    };
    let inside = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let versions = inside.unwrap_or(rest);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && (versions.is_empty() || versions.split(',').all(version_clause))
}

/// An operator and a version (PEP 440, "Version specifiers").
fn version_clause(text: &str) -> bool {
    let text = text.trim();
    let operators = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];
    let version = operators.iter().find_map(|operator| text.strip_prefix(operator));
    version.is_some_and(|version| {
        version.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric())
    })
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
    fn a_reference_without_host_or_version_is_refused() {
        let digest = format!("registry.test/a@sha256:{}", "0".repeat(64));
        for text in ["registry.test/team/image:1.0", "localhost:5000/a:1", digest.as_str()] {
            assert!(image_reference(text), "{text}");
        }
        for text in
            ["ubuntu", "ubuntu:20.04", "team/image:1", "registry.test/a", "registry.test/A:1"]
        {
            assert!(!image_reference(text), "{text}");
        }
    }

    #[test]
    fn a_repository_with_credentials_is_refused() {
        for text in ["https://host.test/a/b", "ssh://git@host.test/a", "file:///srv/a.git"] {
            assert!(repository_url(text), "{text}");
        }
        for text in
            ["https://me:secret@host.test/a", "host.test/a", "https://", "ftp://host.test/a"]
        {
            assert!(!repository_url(text), "{text}");
        }
    }

    #[test]
    fn an_address_of_the_web_has_a_host_and_no_credentials() {
        assert!(web_address("https://host.test/a/b.bin?download=1"));
        for text in [
            "/etc/passwd",
            "file:///etc/passwd",
            "https://me:x@host.test/a",
            "https://",
            "http://h.test/a#b",
            "https://h.test/a b",
        ] {
            assert!(!web_address(text), "{text}");
        }
    }

    #[test]
    fn a_requirement_has_an_operator_before_its_version() {
        for text in [
            "Pillow",
            "pillow==9.5.0",
            "Pillow [x] >=1, <2",
            "pillow;python_version<'4'",
            "pillow (>=1)",
            "torch===1.9.1+cu102",
            "a~= 1.2",
        ] {
            assert!(requirement(text), "{text}");
        }
        for text in ["", "numpy=1.21.6", "numpy 1.21.6", "numpy==", "numpy[x==1", "==1", "a==1,"] {
            assert!(!requirement(text), "{text}");
        }
    }

    #[test]
    fn a_day_that_is_not_in_the_calendar_is_refused() {
        assert!(date("2026-11-20"));
        assert!(!date("2026-02-30") && !date("2026-1-2") && !date("20261120"));
    }
}
