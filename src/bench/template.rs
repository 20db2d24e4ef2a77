//! Texts with holes: `{model}_{mode}_bs{batch_size}`; a literal brace is written twice.
//!
//! An argument of a command that is `{name...}` and nothing else becomes as many
//! arguments as the variable has words, none if it is empty.

use std::fmt::Write as _;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
    Words(String),
}

/// Why a template cannot be read or filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace stands alone.
    #[error("`{template}` has a single `{brace}`; a literal brace is written twice")]
    Brace {
        /// The whole template.
        template: String,
        /// The brace.
        brace: char,
    },
    /// Braces hold no name.
    #[error("`{template}` has `{{{name}}}`, which is no name of a variable")]
    Name {
        /// The whole template.
        template: String,
        /// What stands between the braces.
        name: String,
    },
    /// `{name...}` stands inside a text.
    #[error("`{template}` has `{{{name}...}}` beside other text; it has to be a whole argument")]
    Words {
        /// The whole template.
        template: String,
        /// The variable.
        name: String,
    },
    /// No variable has this name.
    #[error("unknown variable `{name}`{}\n  known    {}", super::nearest::hint(name, known), known.join(", "))]
    Unknown {
        /// The name as written.
        name: String,
        /// Every name there is.
        known: Vec<String>,
    },
}

impl Template {
    /// Reads a template; names are not looked up yet.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let brace = |brace| TemplateError::Brace { template: text.to_owned(), brace };
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(position) = rest.find(['{', '}']) {
            literal.push_str(&rest[..position]);
            let found = if rest[position..].starts_with('{') { '{' } else { '}' };
            rest = &rest[position + 1..];
            if let Some(after) = rest.strip_prefix(found) {
                literal.push(found);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| found == '{') else {
                return Err(brace(found));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(hole(text, name)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Self { parts }.checked(text)
    }

    fn checked(self, text: &str) -> Result<Self, TemplateError> {
        let words = self.parts.iter().find_map(|part| match part {
            Part::Words(name) => Some(name.clone()),
            _ => None,
        });
        match words {
            Some(name) if self.parts.len() > 1 => {
                Err(TemplateError::Words { template: text.to_owned(), name })
            }
            _ => Ok(self),
        }
    }

    /// Fills in one text; `known` is every name that `value` has an answer for.
    pub fn render(
        &self,
        known: &[String],
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Name(name) | Part::Words(name) => {
                    let value = value(name).ok_or_else(|| TemplateError::Unknown {
                        name: name.clone(),
                        known: known.to_vec(),
                    })?;
                    write!(text, "{value}").expect("writing to a string cannot fail");
                }
            }
        }
        Ok(text)
    }

    /// Fills in an argument of a command: one text, or the words of a `{name...}`.
    pub fn render_argument(
        &self,
        known: &[String],
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, TemplateError> {
        let text = self.render(known, value)?;
        if matches!(self.parts[..], [Part::Words(_)]) {
            return Ok(text.split_whitespace().map(str::to_owned).collect());
        }
        Ok(vec![text])
    }
}

fn hole(template: &str, text: &str) -> Result<Part, TemplateError> {
    let name = text.strip_suffix("...").unwrap_or(text);
    if !is_name(name) {
        return Err(TemplateError::Name { template: template.to_owned(), name: text.to_owned() });
    }
    let name = name.to_owned();
    Ok(if text.ends_with("...") { Part::Words(name) } else { Part::Name(name) })
}

/// Whether formulas and templates can use `text` as a name.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    starts && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> Result<Vec<String>, TemplateError> {
        let known = ["batch_size".to_owned(), "empty".to_owned(), "options".to_owned()];
        Template::parse(text)?.render_argument(&known, |name| match name {
            "batch_size" => Some("2".to_owned()),
            "options" => Some("--a 1  --b".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn holes_are_filled_and_double_braces_are_braces() {
        assert_eq!(argument("x=bs{batch_size}!").unwrap(), ["x=bs2!"]);
        assert_eq!(argument("{{{batch_size}}}").unwrap(), ["{2}"]);
        assert_eq!(argument("{options}").unwrap(), ["--a 1  --b"]);
        assert_eq!(argument("").unwrap(), [""]);
    }

    #[test]
    fn a_list_of_words_becomes_that_many_arguments() {
        assert_eq!(argument("{options...}").unwrap(), ["--a", "1", "--b"]);
        assert!(argument("{empty...}").unwrap().is_empty());
        let message = argument("x{options...}").unwrap_err().to_string();
        assert!(message.contains("has to be a whole argument"), "{message}");
    }

    #[test]
    fn an_unknown_variable_is_named_with_all_known_ones() {
        let message = argument("{batch-size}").unwrap_err().to_string();
        assert!(message.contains("`{batch-size}`, which is no name"), "{message}");
        let message = argument("{bach_size}").unwrap_err().to_string();
        assert!(message.starts_with("unknown variable `bach_size`, did you mean `batch_size`?"));
        assert!(message.contains("batch_size, empty, options"), "{message}");
    }

    #[test]
    fn a_lonely_brace_is_refused() {
        for text in ["{", "}", "a{b", "a}b", "{}", "{a}}", "{{a}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
