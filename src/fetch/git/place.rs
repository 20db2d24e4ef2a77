//! What a repository's place is, and what a relative one means.

use std::path::{Path, PathBuf};

use reqwest::Url;

/// How a repository is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A folder of this machine.
    Local(PathBuf),
    /// A server that speaks git over HTTP.
    Http(Url),
    /// Nothing that this program can ask, and why.
    Other(String),
}

/// What `place` means; a path is relative to `folder`.
pub(super) fn target(place: &str, folder: &Path) -> Target {
    if let Some(literal) = place.strip_prefix("file://") {
        let path = Url::parse(place).ok().and_then(|url| url.to_file_path().ok());
        return Target::Local(path.unwrap_or_else(|| PathBuf::from(literal)));
    }
    if place.starts_with("http://") || place.starts_with("https://") {
        return Url::parse(place)
            .map_or_else(|error| Target::Other(format!("it is no URL: {error}")), Target::Http);
    }
    if place.contains("://") || is_secure_shell(place) {
        let words = "only https, http and paths are asked; set `url.<base>.insteadOf` in git's \
                     configuration to reach it through one of those";
        return Target::Other(words.to_owned());
    }
    Target::Local(folder.join(place))
}

/// `user@host:path`: a colon before the first slash (git-clone(1), "GIT URLS").
fn is_secure_shell(place: &str) -> bool {
    let first = place.split('/').next().unwrap_or("");
    first.contains(':')
}

/// The place of a submodule that `.gitmodules` gives relative to its parent (git-submodule(1), `add`).
pub(super) fn resolve(parent: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = parent.trim_end_matches('/').to_owned();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            // Never into the scheme: `https://` stays.
            let start = base.find("://").map_or(0, |at| at + 3);
            let end = base[start..].rfind(['/', ':']).map_or(start, |at| start + at);
            base.truncate(end);
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else {
            // Too many steps up leave no host; the address then says so itself.
            let base = if base.ends_with("://") { &base } else { base.trim_end_matches('/') };
            return format!("{base}/{}", rest.trim_end_matches('/'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_submodule_lies_beside_its_parent() {
        let parent = "https://hub.test/team/net.git";
        assert_eq!(resolve(parent, "../ops.git"), "https://hub.test/team/ops.git");
        assert_eq!(resolve(parent, "../../other/ops"), "https://hub.test/other/ops");
        assert_eq!(resolve(parent, "./ops"), "https://hub.test/team/net.git/ops");
        assert_eq!(resolve(parent, "https://x.test/y"), "https://x.test/y");
        assert_eq!(resolve("https://hub.test/net", "../../../../x"), "https:///x");
    }

    #[test]
    fn only_http_and_folders_can_be_asked() {
        let folder = Path::new("/project");
        let is_other = |place| matches!(target(place, folder), Target::Other(_));
        assert!(is_other("git@hub.test:team/net.git"));
        assert!(is_other("ssh://git@hub.test/net.git"));
        assert!(is_other("git://hub.test/net.git"));
        assert_eq!(target("file:///srv/net", folder), Target::Local("/srv/net".into()));
        assert_eq!(target("mirror/net", folder), Target::Local("/project/mirror/net".into()));
    }
}
