//! What is looked for, in the order in which it is taken out.
//!
//! Order matters: an e-mail address holds a host's name, a token may hold anything.

use regex::bytes::Regex;

use super::context::{
    always, is_address, is_address_6, is_hardware, is_host, is_mail, is_secret, is_user_folder,
    is_whole_path, is_whole_word,
};
use super::{Kind, Known};

/// One thing to look for.
#[derive(Debug)]
pub(super) struct Rule {
    pub kind: Kind,
    /// What is taken out is the group `it`, or all of the match.
    pub regex: Regex,
    /// Whether it really is one, by what stands around it.
    pub is_one: fn(&[u8], usize, usize) -> bool,
    /// What stands for it; else a word is made of the kind.
    pub word: Option<String>,
    /// What begins so is none.
    pub except: Vec<String>,
}

/// Tokens that can be told by their form, with nothing around them.
const TOKENS: [&str; 8] = [
    r"\bgh[pousr]_[A-Za-z0-9]{30,}\b",
    r"\bgithub_pat_[A-Za-z0-9_]{30,}\b",
    r"\bglpat-[A-Za-z0-9_-]{20,}\b",
    r"\bhf_[A-Za-z0-9]{30,}\b",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
];

/// Names that say nothing of anybody, and words that a log may well have for other reasons.
const COMMON: [&str; 18] = [
    "root",
    "user",
    "users",
    "admin",
    "nobody",
    "localhost",
    "localdomain",
    "debian",
    "ubuntu",
    "centos",
    "docker",
    "runner",
    "guest",
    "test",
    "train",
    "data",
    "benchmark",
    "repro",
];

/// Folders that machines mount things at; no image has its own files there, or the job says so.
const HOST_PATH: &str = r"(?P<it>/(?:mnt|media|nfs|gpfs|lustre|scratch|ssd[0-9]*|disk[0-9]+|data[0-9]+|Volumes)/[^\s'\x22:;,)\]}<>]+)";

/// Every rule.
pub(super) fn all(known: &Known) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |kind, pattern: &str, is_one, word: Option<String>| {
        // Every pattern is written here or escaped.
        let regex = Regex::new(pattern).expect("the pattern is sound");
        let except = Vec::new();
        rules.push(Rule { kind, regex, is_one, word, except });
    };
    TOKENS.iter().for_each(|pattern| add(Kind::Token, pattern, always, None));
    add(Kind::Token, r"(?i)\b(?:bearer|basic)\s+(?P<it>[A-Za-z0-9._~+/=-]{8,})", is_secret, None);
    add(Kind::Token, r"://[^\s/:@'\x22]+:(?P<it>[^\s/@'\x22]+)@", always, None);
    let keys = "password|passwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key";
    let key = format!(r#"(?i)(?:{keys})["']?\s*[:=]\s*["']?(?P<it>[A-Za-z0-9._~+/=-]{{8,}})"#);
    add(Kind::Token, &key, is_secret, None);
    add(
        Kind::Email,
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
        is_mail,
        None,
    );
    let uuid = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";
    add(Kind::Identifier, &format!(r"(?:(?:GPU|MIG)-)?{uuid}"), is_whole_word, None);
    add(
        Kind::Identifier,
        r"(?i)guid[\s:=]+(?P<it>(?:0x)?[0-9a-f]{4}(?::?[0-9a-f]{4}){3})\b",
        always,
        None,
    );
    add(
        Kind::Identifier,
        r"(?i)\bserial(?: number)?\s*[:=]\s*(?P<it>[0-9A-Z-]{8,})\b",
        always,
        None,
    );
    let pairs = |between: &str| format!("[0-9A-Fa-f]{{2}}(?:{between}[0-9A-Fa-f]{{2}}){{5,19}}");
    add(Kind::Hardware, &format!("{}|{}", pairs(":"), pairs("-")), is_hardware, None);
    add(Kind::Address, r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", is_address, None);
    add(Kind::Address, r"[0-9A-Fa-f:]{3,}(?:\.[0-9]{1,3}){0,3}", is_address_6, None);
    add(Kind::Host, r"\bip-[0-9]{1,3}(?:-[0-9]{1,3}){3}\b", always, None);
    add(Kind::Host, r"\broot@(?P<it>[A-Za-z0-9][A-Za-z0-9.-]*)", is_host, None);
    add(
        Kind::Host,
        r"(?i)\bhost_?name\s*[:=]\s*['\x22]?(?P<it>[A-Za-z0-9][A-Za-z0-9.-]*)",
        always,
        None,
    );
    known_names(known, &mut add);
    for rule in rules.iter_mut().filter(|rule| matches!(rule.kind, Kind::User | Kind::Path)) {
        // An image may keep its programs in `/home`.
        rule.except = known.job_folders.iter().filter(|folder| folder.len() > 1).cloned().collect();
    }
    rules
}

/// What the machine told of itself.
fn known_names(
    known: &Known,
    add: &mut impl FnMut(Kind, &str, fn(&[u8], usize, usize) -> bool, Option<String>),
) {
    for host in known.hosts.iter().filter(|name| is_telling(name)) {
        add(Kind::Host, &format!("(?i){}", regex::escape(host)), is_whole_word, None);
    }
    // The longest first: a folder inside another one has a name of its own.
    let mut folders = known.folders.clone();
    folders.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    for (path, word) in folders.iter().filter(|(path, _)| path.len() > 1) {
        add(Kind::Path, &regex::escape(path), is_whole_path, Some(format!("<{word}>")));
    }
    let homes = r"/(?:home|Users)/(?P<it>[A-Za-z0-9._-]+)";
    add(Kind::User, homes, is_user_folder, None);
    add(Kind::Path, HOST_PATH, is_whole_path, None);
    for user in known.users.iter().filter(|name| is_telling(name)) {
        add(Kind::User, &regex::escape(user), is_whole_word, None);
    }
}

/// Whether taking out the name everywhere takes out more of the person than of the log.
fn is_telling(name: &str) -> bool {
    name.len() >= 3 && !COMMON.contains(&name)
}
