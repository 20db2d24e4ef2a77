//! Reads what `apt-get install --print-uris` prints: one package of the closure a line.
//!
//! ```text
//! 'http://archive/pool/main/libx/libxcrypt/libcrypt1_4.4.18-4_amd64.deb' libcrypt1_1%3a4.4.18-4_amd64.deb 87504 SHA256:…
//! ```
//!
//! The second word is the name apt gives the file in its cache: package, version with
//! epoch, and architecture (the name in the archive lacks the epoch).

use super::PinError;
use super::names::percent_decoded;
use super::tool::APT;
use crate::digest::Digest;
use crate::lock::LockedPackage;

/// Reads every line; `roots` are the URLs of the archives that were asked. Sorted by name.
pub(super) fn parse(text: &str, roots: &[String]) -> Result<Vec<LockedPackage>, PinError> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut packages = lines.map(|line| package(line, roots)).collect::<Result<Vec<_>, _>>()?;
    packages.sort();
    match packages.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(APT.answer(format!("`{}` stands in it twice", pair[0].name))),
        None => Ok(packages),
    }
}

fn package(line: &str, roots: &[String]) -> Result<LockedPackage, PinError> {
    let unclear = || APT.answer(format!("`{line}` is no line of `--print-uris`"));
    let (url, rest) =
        line.strip_prefix('\'').and_then(|rest| rest.split_once("' ")).ok_or_else(unclear)?;
    let mut words = rest.split(' ');
    let file = words.next().ok_or_else(unclear)?;
    let size = words.next().and_then(|size| size.parse().ok()).ok_or_else(unclear)?;
    let digest = words.next().unwrap_or_default();
    let (name, version, architecture) = parts(file).ok_or_else(unclear)?;
    let no_digest = || PinError::Unknown { what: "SHA-256", file: file.to_owned() };
    let hex = digest.strip_prefix("SHA256:").ok_or_else(no_digest)?;
    let sha256 = Digest::from_hex(hex).map_err(|_| no_digest())?;
    let path = path_below(url, roots)
        .ok_or_else(|| APT.answer(format!("`{file}` is not below an archive that was asked")))?;
    Ok(LockedPackage { name, version, architecture, path, size, sha256 })
}

/// Package, version and architecture of `libcrypt1_1%3a4.4.18-4_amd64.deb`.
fn parts(file: &str) -> Option<(String, String, String)> {
    let decoded = percent_decoded(file)?;
    let mut parts = decoded.strip_suffix(".deb")?.split('_');
    let found = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.to_owned());
    let (name, version, architecture) = &found;
    let complete = !name.is_empty() && !version.is_empty() && !architecture.is_empty();
    (complete && parts.next().is_none()).then_some(found)
}

/// The path below the archive's root, as the archive's own index writes it.
fn path_below(url: &str, roots: &[String]) -> Option<String> {
    let matching = roots
        .iter()
        .filter_map(|root| url.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/'));
    // The longest root leaves the shortest path: one archive may lie below another.
    let path = percent_decoded(matching.min_by_key(|path| path.len())?)?;
    let is_plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    is_plain.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "f617952df0c57b4ee039448e3941bccd3f97bfff71e9b0f87ca6dae15cb3f5ef";

    fn roots() -> Vec<String> {
        vec![
            "http://mirror.test/debian/".to_owned(),
            "http://mirror.test/debian/security/".to_owned(),
        ]
    }

    fn line(url: &str, file: &str) -> String {
        format!("'{url}' {file} 87504 SHA256:{HEX}\n")
    }

    #[test]
    fn a_package_is_read_with_its_epoch_and_without_its_host() {
        let text = line(
            "http://mirror.test/debian/pool/main/libx/libxcrypt/libcrypt1_4.4.18-4%2bb1_amd64.deb",
            "libcrypt1_1%3a4.4.18-4+b1_amd64.deb",
        ) + &line(
            "http://mirror.test/debian/security/pool/a/a_1_all.deb",
            "a_1_all.deb",
        );
        let found = parse(&text, &roots()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].path, "pool/a/a_1_all.deb");
        let expected = LockedPackage {
            name: "libcrypt1".to_owned(),
            version: "1:4.4.18-4+b1".to_owned(),
            architecture: "amd64".to_owned(),
            path: "pool/main/libx/libxcrypt/libcrypt1_4.4.18-4+b1_amd64.deb".to_owned(),
            size: 87504,
            sha256: Digest::from_hex(HEX).unwrap(),
        };
        assert_eq!(found[1], expected);
    }

    #[test]
    fn a_line_that_says_too_little_is_refused_and_never_guessed() {
        let good = "http://mirror.test/debian/pool/a_1_all.deb";
        let cases = [
            (
                line("http://other.test/debian/pool/a_1_all.deb", "a_1_all.deb"),
                "not below an archive",
            ),
            (
                line("http://mirror.test/debian/../a_1_all.deb", "a_1_all.deb"),
                "not below an archive",
            ),
            (
                line("http://mirror.test/debian/%2e%2e/a_1_all.deb", "a_1_all.deb"),
                "not below an archive",
            ),
            (line(good, "a_1.deb"), "is no line of"),
            (line(good, "a__all.deb"), "is no line of"),
            (line(good, "a_1_all.deb").replace("87504", "many"), "is no line of"),
            (line(good, "a_1_all.deb").replace(HEX, ""), "gives no SHA-256 for `a_1_all.deb`"),
            (line(good, "a_1_all.deb").replace("SHA256", "MD5Sum"), "gives no SHA-256"),
            (line(good, "a_1_all.deb").repeat(2), "twice"),
            ("Reading package lists...".to_owned(), "is no line of"),
        ];
        for (text, expected) in cases {
            let error = parse(&text, &roots()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
