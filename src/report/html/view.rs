//! What the page's templates are filled with: words, already fit for a reader.

use askama::Template;

use crate::recipe::Erratum;

/// A figure with its name.
pub(super) struct Tile {
    pub label: String,
    pub value: String,
    pub note: String,
}

/// A word with a colour; the word alone says it, too.
pub(super) struct Badge {
    pub text: String,
    pub class: &'static str,
}

/// One line of a list of facts.
pub(super) struct Fact {
    pub name: &'static str,
    pub value: String,
    pub mono: bool,
}

/// A command to copy.
pub(super) struct Command {
    pub about: &'static str,
    pub text: String,
}

/// A part of the machine, and that of the guide's.
pub(super) struct Part {
    pub name: &'static str,
    pub here: String,
    pub reference: String,
    pub verdict: &'static str,
}

/// One published figure.
pub(super) struct ComparisonRow {
    pub metric: String,
    pub measured: String,
    pub published: String,
    pub tolerance: String,
    pub ratio: String,
    pub badge: Badge,
    pub reasons: Vec<String>,
    pub conditions: String,
}

/// One repetition of a case.
pub(super) struct RepeatRow {
    pub number: String,
    pub status: String,
    pub throughput: String,
    pub spread: String,
    pub time: String,
}

/// One figure of the recipe.
pub(super) struct FigureRow {
    pub name: String,
    /// What it comes to, or why it is missing: a sentence, and no figure.
    pub value: String,
    pub is_missing: bool,
    pub formula: String,
    pub about: String,
}

/// One case with its plots.
#[derive(Template)]
#[template(path = "case.html")]
pub(super) struct CaseView {
    pub anchor: String,
    pub name: String,
    pub badges: Vec<Badge>,
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
    pub tiles: Vec<Tile>,
    pub plots: String,
    /// Which repetition the comparisons and figures are of, where there are several.
    pub measured: String,
    pub comparisons: Vec<ComparisonRow>,
    pub repeats: Vec<RepeatRow>,
    pub panels: String,
    pub figures: Vec<FigureRow>,
    pub facts: Vec<Fact>,
    pub commands: Vec<Command>,
}

/// One run with what all of its cases share.
#[derive(Template)]
#[template(path = "run.html")]
pub(super) struct RunView<'a> {
    pub anchor: String,
    pub title: String,
    /// What the recipe says that it is.
    pub about: String,
    pub start: String,
    /// A chart over the cases, if there are several.
    pub plot: String,
    pub facts: Vec<Fact>,
    pub files: Vec<String>,
    pub host: Vec<Part>,
    pub has_reference: bool,
    pub commands: Vec<Command>,
    pub errata: Vec<&'a Erratum>,
    pub cases: Vec<String>,
}

/// The whole page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    pub policy: String,
    pub style: String,
    pub script: &'static str,
    pub title: String,
    pub subtitle: String,
    pub tiles: Vec<Tile>,
    pub notes: Vec<String>,
    pub table: String,
    pub rest: String,
    pub version: &'static str,
}

impl Tile {
    pub fn new(label: &str, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { label: label.to_owned(), value: value.into(), note: note.into() }
    }
}

impl Badge {
    pub fn new(text: impl Into<String>, class: &'static str) -> Self {
        Self { text: text.into(), class }
    }

    /// A status or a verdict, with a sign beside the word.
    pub fn of(word: &str) -> Self {
        match word {
            "ok" => Self::new("\u{2713} ok", "good"),
            "within" => Self::new("\u{2713} within", "good"),
            "above" => Self::new("\u{25b2} above", "warn"),
            "below" => Self::new("\u{25bc} below", "bad"),
            "failed" => Self::new("\u{2717} failed", "bad"),
            "not comparable" => Self::new("\u{2260} not comparable", ""),
            word if word.ends_with("failed") => Self::new(format!("\u{2717} {word}"), "bad"),
            word => Self::new(word, ""),
        }
    }

    /// What would spoil a number.
    pub fn flag(word: &str) -> Self {
        Self::new(format!("\u{26a0} {word}"), "warn")
    }
}

impl Fact {
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), mono: false }
    }

    pub fn mono(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), mono: true }
    }
}

impl Command {
    pub fn new(about: &'static str, text: String) -> Self {
        Self { about, text }
    }
}
