//! apt's configuration: nested blocks and plain assignments (apt.conf(5)).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::Environment;

/// Values by their whole name in lower case, `acquire::http::proxy`; of several the last counts.
pub(super) struct AptConfiguration(BTreeMap<String, String>);

impl AptConfiguration {
    /// Everything that apt would read: the file that `APT_CONFIG` names, `apt.conf.d`, `apt.conf`.
    /// What cannot be read says nothing.
    pub(super) fn read(environment: &Environment) -> Self {
        let parts = fs::read_dir(environment.system("/etc/apt/apt.conf.d"));
        let parts = parts.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        let mut parts: Vec<PathBuf> = parts.filter(|path| is_part(path)).collect();
        parts.sort();
        let mut places: Vec<_> = environment.path("APT_CONFIG").into_iter().collect();
        places.extend(parts);
        places.push(environment.system("/etc/apt/apt.conf"));
        let texts = places.iter().filter_map(|place| fs::read_to_string(place).ok());
        Self(texts.flat_map(|text| parse(&text)).collect())
    }

    /// The value of a name in lower case.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Every value below a name, with what follows the name.
    pub(super) fn below(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let values = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let prefix = format!("{name}::");
        values.filter_map(move |(name, value)| Some((name.strip_prefix(&prefix)?, value)))
    }
}

/// Other names in the folder are copies that editors and package managers leave.
fn is_part(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    name.strip_suffix(".conf").unwrap_or(&name).chars().all(plain)
}

fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for token in tokens(text) {
        match token.as_str() {
            "{" => blocks.push(words.drain(..).next().unwrap_or_default()),
            "}" => {
                blocks.pop();
                words.clear();
            }
            ";" => {
                let mut statement = words.drain(..);
                if let (Some(name), Some(value)) = (statement.next(), statement.next()) {
                    let names = blocks.iter().chain([&name]).filter(|name| !name.is_empty());
                    let names: Vec<_> = names.map(|name| name.to_lowercase()).collect();
                    found.push((names.join("::"), value));
                }
            }
            _ => words.push(token),
        }
    }
    found
}

/// Words, quoted values without their quotes, and the signs `{`, `}` and `;`; no comments.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") || first == '#' {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if "{};".contains(first) {
            tokens.push(first.to_string());
            1
        } else if first == '"' {
            let value = rest[1..].split('"').next().unwrap_or_default();
            tokens.push(value.to_owned());
            (value.len() + 2).min(rest.len())
        } else {
            let is_end = |c: char| c.is_whitespace() || "{};\"".contains(c);
            let end = rest.find(is_end).unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        };
        rest = rest[taken..].trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_plain_names_say_the_same() {
        let texts = [
            "Acquire::http::Proxy \"http://proxy.test:3142\";",
            "Acquire { http { Proxy \"http://proxy.test:3142\"; }; };",
            "// why\nacquire::HTTP {\n  /* a \"quoted; } */ Proxy http://proxy.test:3142; # here\n};",
        ];
        for text in texts {
            let found = parse(text);
            let expected = ("acquire::http::proxy".to_owned(), "http://proxy.test:3142".to_owned());
            assert_eq!(found, [expected], "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_configuration_says_nothing() {
        for text in ["", "}}};", "{{{", "\"", "a \"b", "/* never closed", "ü;", "Proxy;"] {
            assert_eq!(parse(text), [], "{text}");
        }
    }
}
