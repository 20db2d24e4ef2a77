//! Takes out of a text what tells of a machine and of people, before the text leaves the machine.
//!
//! Guides ask for it: a log must not hold addresses and the like. Found are addresses of networks and of
//! cards, unique identifiers, e-mail addresses, tokens and passwords, names of hosts and users, and paths of
//! this machine. Each thing becomes a word of its kind, `<address-1>`, the same one wherever the thing
//! stands, so that a reader still sees what is the same as what. How often what was found is counted.
//!
//! Pure: what is known of the machine is given ([`Known`]); the original is never touched. It
//! works on bytes, since a log is any bytes. A version number looks like an address and a C++ name
//! like another: what stands around them tells (`rules`). The price of caution is that a name nobody
//! told it of is not found; so the counts are shown, and a person may look.

mod context;
mod rules;

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::{Captures, Regex};
use serde::Serialize;

use rules::Rule;

/// What is known of the machine and of its user.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Names of the host.
    pub hosts: Vec<String>,
    /// Names of users.
    pub users: Vec<String>,
    /// Folders of this machine, each with what a reader calls it: `store`, `project`.
    pub folders: Vec<(String, String)>,
    /// Folders inside the job: they are the image's, not the machine's.
    pub job_folders: Vec<String>,
}

/// Kinds of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A token, a password, a private key.
    Token,
    /// An e-mail address.
    Email,
    /// A unique identifier, of a GPU for instance.
    Identifier,
    /// The hardware address of a card.
    Hardware,
    /// An address of the internet protocol, version 4 or 6.
    Address,
    /// The name of a host.
    Host,
    /// A path of the machine.
    Path,
    /// The name of a user.
    User,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Email => "email",
            Self::Identifier => "identifier",
            Self::Hardware => "hardware-address",
            Self::Address => "address",
            Self::Host => "host",
            Self::Path => "path",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How much was found, by kind.
pub type Counts = BTreeMap<Kind, usize>;

/// `2 address, 1 user`; nothing for nothing.
pub fn in_words(counts: &Counts) -> String {
    let words: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    words.join(", ")
}

/// Scrubs texts that belong together.
#[derive(Debug)]
pub struct Scrubber {
    rules: Vec<Rule>,
    /// What stands for what, by kind and by the thing itself.
    words: BTreeMap<(Kind, Vec<u8>), String>,
}

impl Scrubber {
    /// Knows nothing of any text yet.
    pub fn new(known: &Known) -> Self {
        Self { rules: rules::all(known), words: BTreeMap::new() }
    }

    /// The text without what was found, and how much that was.
    pub fn scrub(&mut self, text: &[u8]) -> (Vec<u8>, Counts) {
        let mut counts = Counts::new();
        let mut scrubbed = text.to_vec();
        for rule in &self.rules {
            if !rule.regex.is_match(&scrubbed) {
                continue;
            }
            scrubbed = replace(rule, &scrubbed, &mut self.words, &mut counts);
        }
        (scrubbed, counts)
    }

    /// The same for a text.
    pub fn scrub_text(&mut self, text: &str) -> (String, Counts) {
        let (scrubbed, counts) = self.scrub(text.as_bytes());
        (String::from_utf8_lossy(&scrubbed).into_owned(), counts)
    }
}

fn replace(
    rule: &Rule,
    text: &[u8],
    words: &mut BTreeMap<(Kind, Vec<u8>), String>,
    counts: &mut Counts,
) -> Vec<u8> {
    let regex: &Regex = &rule.regex;
    let replaced = regex.replace_all(text, |found: &Captures| -> Vec<u8> {
        let whole = found.get(0).expect("the whole match is always there");
        // The thing itself may be a part of what shows that it is one.
        let thing = found.name("it").unwrap_or(whole);
        let is_kept = rule.except.iter().any(|begin| {
            let rest = text[whole.start()..].strip_prefix(begin.as_bytes());
            rest.is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
        });
        if is_kept || !(rule.is_one)(text, thing.start(), thing.end()) {
            return whole.as_bytes().to_vec();
        }
        *counts.entry(rule.kind).or_insert(0) += 1;
        let word = match &rule.word {
            Some(word) => word.clone(),
            None => word_for(rule.kind, thing.as_bytes(), words),
        };
        let mut text = whole.as_bytes()[..thing.start() - whole.start()].to_vec();
        text.extend(word.as_bytes());
        text.extend(&whole.as_bytes()[thing.end() - whole.start()..]);
        text
    });
    replaced.into_owned()
}

/// The word that stands for a thing wherever it is found; upper and lower case are the same thing.
fn word_for(kind: Kind, thing: &[u8], words: &mut BTreeMap<(Kind, Vec<u8>), String>) -> String {
    let key = (kind, thing.to_ascii_lowercase());
    if let Some(word) = words.get(&key) {
        return word.clone();
    }
    let number = words.keys().filter(|(other, _)| *other == kind).count() + 1;
    let word = format!("<{kind}-{number}>");
    words.insert(key, word.clone());
    word
}

#[cfg(test)]
mod tests;
