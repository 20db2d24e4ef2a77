//! Places of inputs in a reader's words: what comparing shows of each.

use super::LockedDownload;
use crate::recipe::{DownloadRecipe, GitRecipe};

/// Commit, repositories, place and part of a git source.
pub(super) fn git_text(git: &GitRecipe) -> String {
    let place = git.path.as_ref().map_or(String::new(), |path| format!(" at `{path}`"));
    let patterns = |word: &str, patterns: &[String]| match patterns {
        [] => String::new(),
        patterns => format!(", {word} `{}`", patterns.join("`, `")),
    };
    let (only, without) = (patterns("only", &git.include), patterns("without", &git.exclude));
    format!("{} of {}{place}{only}{without}", git.commit, git.urls.join(", "))
}

/// Where a file of the web comes from.
pub(super) fn address_text(urls: &[String], executable: bool) -> String {
    format!("from {}{}", urls.join(", "), if executable { " executable" } else { "" })
}

/// What a recipe says of a download.
pub(super) fn download_asked_text(asked: &DownloadRecipe) -> String {
    let digest = asked.sha256.map(|digest| format!(", {digest}")).unwrap_or_default();
    let size = asked.size.map(|size| format!(", {size} bytes")).unwrap_or_default();
    format!("{}{digest}{size}", address_text(&asked.urls, asked.executable))
}

/// A locked download in as many words as the recipe has for it.
pub(super) fn download_locked_text(
    locked: &LockedDownload,
    asked: Option<&DownloadRecipe>,
) -> String {
    let knows = |what: fn(&DownloadRecipe) -> bool| asked.is_some_and(what);
    let digest = knows(|asked| asked.sha256.is_some()).then(|| format!(", {}", locked.sha256));
    let size = knows(|asked| asked.size.is_some()).then(|| format!(", {} bytes", locked.size));
    let address = address_text(&locked.urls, locked.executable);
    format!("{address}{}{}", digest.unwrap_or_default(), size.unwrap_or_default())
}
