//! Reads a project's page of a package index: JSON (PEP 691) or HTML (PEP 503).

use reqwest::Url;
use serde::Deserialize;

use crate::digest::Digest;

/// What to ask for: JSON if the index has it.
pub(super) const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// One file that a page offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) url: Url,
    /// The digest that the page announces, if it does.
    pub(super) sha256: Option<Digest>,
}

/// The part of a JSON page that is read here; what else there is does not matter.
#[derive(Deserialize)]
struct JsonPage {
    files: Vec<JsonFile>,
}

#[derive(Deserialize)]
struct JsonFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: JsonHashes,
}

#[derive(Default, Deserialize)]
struct JsonHashes {
    sha256: Option<String>,
}

/// The files that a page offers; `page` is where it was found, for links relative to it.
pub(super) fn links(body: &[u8], media_type: &str, page: &Url) -> Result<Vec<Link>, String> {
    if media_type.ends_with("json") {
        return json_links(body, page);
    }
    match media_type {
        "" | "text/html" | "application/xhtml+xml" | "application/vnd.pypi.simple.v1+html" => {
            Ok(html_links(&String::from_utf8_lossy(body), page))
        }
        other => Err(format!("its media type is `{other}`")),
    }
}

/// Whether a page says of any of its files when it was uploaded, as PEP 700 lets a JSON page do.
pub(super) fn tells_upload_times(body: &[u8], media_type: &str) -> bool {
    #[derive(Deserialize)]
    struct Page {
        files: Vec<File>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct File {
        upload_time: Option<String>,
    }
    let read = serde_json::from_slice::<Page>(body);
    media_type.ends_with("json")
        && read.is_ok_and(|page| page.files.iter().any(|file| file.upload_time.is_some()))
}

fn json_links(body: &[u8], page: &Url) -> Result<Vec<Link>, String> {
    let read: JsonPage = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let links = read.files.into_iter().filter_map(|file| {
        let sha256 = file.hashes.sha256.and_then(|hex| Digest::from_hex(&hex).ok());
        Some(Link { name: file.filename, url: page.join(&file.url).ok()?, sha256 })
    });
    Ok(links.collect())
}

fn html_links(text: &str, page: &Url) -> Vec<Link> {
    let mut base = page.clone();
    let mut links = Vec::new();
    for (tag, attributes) in tags(text) {
        let Some(reference) = href(attributes) else { continue };
        if tag.eq_ignore_ascii_case("base") {
            base = page.join(&reference).unwrap_or(base);
        } else if tag.eq_ignore_ascii_case("a") {
            links.extend(base.join(&reference).ok().and_then(link));
        }
    }
    links
}

/// The link that a URL is; its name is the last part of its path.
fn link(mut url: Url) -> Option<Link> {
    let fragment = url.fragment().unwrap_or("").to_owned();
    url.set_fragment(None);
    let name = percent_decoded(url.path_segments()?.next_back()?);
    let announced = fragment.split('&').find_map(|part| part.strip_prefix("sha256="));
    let sha256 = announced.and_then(|hex| Digest::from_hex(hex).ok());
    (!name.is_empty()).then_some(Link { name, url, sha256 })
}

/// Name and attributes of each opening tag.
fn tags(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('<').skip(1).filter_map(|rest| {
        // A `>` inside a quoted attribute is legal: `data-requires-python=">=3.8"`.
        let mut quote = None;
        let end = rest.find(|c| match (quote, c) {
            (None, '>') => true,
            (None, '"' | '\'') => {
                quote = Some(c);
                false
            }
            (Some(open), _) if open == c => {
                quote = None;
                false
            }
            _ => false,
        })?;
        let tag = &rest[..end];
        let name_end = tag.find(char::is_whitespace)?;
        Some((&tag[..name_end], &tag[name_end..]))
    })
}

/// The value of `href` among a tag's attributes.
fn href(attributes: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let name = &rest[..name_end];
        if name.is_empty() {
            return None;
        }
        rest = rest[name_end..].trim_start();
        let Some(after) = rest.strip_prefix('=') else { continue };
        let (value, after) = attribute_value(after.trim_start())?;
        if name.eq_ignore_ascii_case("href") {
            return Some(unescaped(value.trim()));
        }
        rest = after;
    }
}

/// A value with or without quotes, and what follows it.
fn attribute_value(text: &str) -> Option<(&str, &str)> {
    match text.chars().next()? {
        quote @ ('"' | '\'') => text[1..].split_once(quote),
        _ => {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            Some(text.split_at(end))
        }
    }
}

/// Resolves the character references that occur in URLs.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference =
            after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        match reference {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn page() -> Url {
        Url::parse("https://index.test/simple/torch/").unwrap()
    }

    fn html(text: &str) -> Vec<(String, String, bool)> {
        let links = links(text.as_bytes(), "text/html", &page()).unwrap();
        links.into_iter().map(|link| (link.name, link.url.into(), link.sha256.is_some())).collect()
    }

    fn one(name: &str, url: &str, announced: bool) -> Vec<(String, String, bool)> {
        vec![(name.to_owned(), url.to_owned(), announced)]
    }

    #[test]
    fn a_link_of_an_html_page_has_name_place_and_digest() {
        let text = format!("<html><a href=\"../../files/a-1%2Bcu101.whl#sha256={HEX}\">a</a>");
        let url = "https://index.test/files/a-1%2Bcu101.whl";
        assert_eq!(html(&text), one("a-1+cu101.whl", url, true));
    }

    #[test]
    fn html_is_read_as_browsers_read_it() {
        let url = "https://index.test/simple/torch/a.whl?x=1&y=2";
        for text in [
            "<A class='x' HREF='a.whl?x=1&amp;y=2'>",
            "<a\ndata-requires-python=\">=3.8\"\nhref = \"a.whl?x=1&#38;y=2\" >",
            "<a href=a.whl?x=1&y=2>",
            "<!-- <br> --><a data-yanked href=\" a.whl?x=1&#x26;y=2 \"/>",
        ] {
            assert_eq!(html(text), one("a.whl", url, false), "{text}");
        }
    }

    #[test]
    fn a_base_moves_what_is_relative() {
        let text = "<base href=\"/mirror/\"><a href=\"a.whl\">";
        assert_eq!(html(text), one("a.whl", "https://index.test/mirror/a.whl", false));
    }

    #[test]
    fn garbage_has_no_links() {
        for text in [
            "",
            "<",
            "<a",
            "<a href",
            "<a href=",
            "<a href=\"a.whl",
            "<a href=''>",
            "<a =x>",
            "<ä href=x>",
        ] {
            assert!(html(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn upload_times_are_told_by_a_json_page_or_by_none() {
        let tells = |body: &str, kind: &str| tells_upload_times(body.as_bytes(), kind);
        let (with, json) = (r#"{"files": [{"upload-time": "2020"}]}"#, "application/json");
        assert!(tells(with, json) && !tells(with, "text/html"));
        assert!(!tells(r#"{"files": [{"upload-time": null}, {}]}"#, json) && !tells("{", json));
    }

    #[test]
    fn a_json_page_is_read_and_other_types_are_refused() {
        let text = format!(
            "{{\"meta\": {{\"api-version\": \"1.1\"}}, \"files\": [{{\"filename\": \"a.whl\", \"url\": \"a.whl\", \"hashes\": {{\"sha256\": \"{HEX}\"}}, \"yanked\": false}}]}}"
        );
        let found = links(text.as_bytes(), "application/vnd.pypi.simple.v1+json", &page()).unwrap();
        assert_eq!(found[0].name, "a.whl");
        assert_eq!(found[0].sha256, Some(Digest::of(b"")));
        assert!(links(b"{", "application/json", &page()).is_err());
        assert!(links(b"x", "application/octet-stream", &page()).is_err());
    }
}
