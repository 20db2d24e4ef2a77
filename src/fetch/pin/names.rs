//! Names in the forms that indexes and archives write them.

use super::PinError;
use crate::recipe::names::normalised;

/// The normalised name that a requirement asks for.
///
/// # Errors
///
/// [`PinError::Requirement`] for what is no plain PEP 508 requirement: an option of pip's
/// requirements files, a path, or a URL, none of which can be pinned behind any mirror.
pub(super) fn requirement_name(requirement: &str) -> Result<String, PinError> {
    let refuse =
        |reason| Err(PinError::Requirement { requirement: requirement.to_owned(), reason });
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text = requirement.trim();
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it does not start with the name of a distribution");
    }
    let rest = rest.trim_start();
    if !(rest.is_empty() || rest.starts_with(['=', '<', '>', '!', '~', '[', '(', ';'])) {
        return refuse("after the name a version, an extra or a marker is expected");
    }
    if rest.contains("://") || rest.contains(" --") || rest.contains(['\n', '\r', '@', '#', '\\']) {
        return refuse("options, comments, paths and URLs are not part of a requirement");
    }
    Ok(normalised(name))
}

/// Undoes `%2b` and the like; `None` if what comes out is no plain file name or path.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// The last part of a URL's or a path's path, decoded.
pub(super) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = percent_decoded(path.rsplit('/').next()?)?;
    (!name.is_empty() && !name.contains('/') && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_named_whatever_follows_its_name() {
        for text in [
            "Pillow",
            "pillow==9.5.0",
            "Pillow [x] >=1",
            "pillow;python_version<'4'",
            "pillow (>=1)",
        ] {
            assert_eq!(requirement_name(text).unwrap(), "pillow", "{text}");
        }
    }

    #[test]
    fn what_could_reach_past_the_index_is_no_requirement() {
        let texts = [
            "",
            "-r other.txt",
            "--index-url=x",
            "./folder",
            "numpy @ https://x.test/n.whl",
            "git+https://x.test/n",
            "numpy==1 --hash=sha256:0",
            "numpy==1\n--pre",
            "numpy==1 # new",
            "numpy 1.0",
            "numpy==1 \\",
        ];
        for text in texts {
            let error = requirement_name(text).unwrap_err();
            assert!(matches!(error, PinError::Requirement { .. }), "{text}");
        }
    }

    #[test]
    fn a_file_name_never_leaves_its_folder() {
        assert_eq!(
            file_name("https://x.test/a/t-1%2Bcu101.whl#sha256=0").unwrap(),
            "t-1+cu101.whl"
        );
        for url in [
            "https://x.test/a/..%2Fb",
            "https://x.test/a/%2e%2e",
            "https://x.test/",
            "a%0ab",
            "a%f",
        ] {
            assert_eq!(file_name(url), None, "{url}");
        }
    }
}
