//! `README.zh-CN.md` says what `README.md` says: what can be compared without knowing Chinese is
//! compared, section by section.

use std::collections::BTreeSet;
use std::fs;

/// One section of a guide to the program.
#[derive(Debug, Default)]
struct Section {
    /// `##` and the like.
    level: String,
    title: String,
    /// Lines of code blocks without what explains them.
    code: Vec<String>,
    /// Rows of tables: digits of each cell.
    rows: Vec<Vec<String>>,
    /// `` `so` `` in running text.
    spans: BTreeSet<String>,
    /// Where links lead.
    links: BTreeSet<String>,
    /// Numbers in running text.
    figures: BTreeSet<String>,
    /// Paragraphs and items of lists.
    items: usize,
}

fn sections(name: &str) -> Vec<Section> {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let mut sections: Vec<Section> = Vec::new();
    let (mut in_code, mut prose, mut before) = (false, String::new(), "");
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
            sections.last_mut().unwrap().code.push(line.to_owned());
        } else if in_code {
            sections.last_mut().unwrap().code.push(code_of(line));
        } else if line.starts_with('#') {
            read_prose(&mut sections, &std::mem::take(&mut prose));
            let (level, title) = line.split_once(' ').unwrap();
            let (level, title) = (level.to_owned(), title.to_owned());
            sections.push(Section { level, title, ..Section::default() });
        } else {
            let section = sections.last_mut().unwrap();
            if line.starts_with('|') {
                section.rows.push(line.split('|').map(digits).collect());
            }
            let is_item = line.starts_with("- ") || numbers_an_item(line);
            section.items += usize::from(is_item || (before.is_empty() && !line.is_empty()));
            prose.push_str(line);
            prose.push('\n');
        }
        before = line;
    }
    read_prose(&mut sections, &prose);
    sections
}

fn numbers_an_item(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// What is typed: the line up to what explains it, which stands after two spaces or a `#`.
fn code_of(line: &str) -> String {
    if line.starts_with("# ") {
        return "#".to_owned();
    }
    let line = line.split(" # ").next().unwrap_or(line).trim_end();
    let indent = line.len() - line.trim_start().len();
    if indent > 8 {
        // An explanation that goes on.
        return String::new();
    }
    let typed = line[indent..].split("  ").next().unwrap_or_default();
    format!("{}{typed}", &line[..indent])
}

fn read_prose(sections: &mut [Section], prose: &str) {
    let Some(section) = sections.last_mut() else { return };
    let mut plain = String::new();
    for (position, part) in prose.split('`').enumerate() {
        match position % 2 {
            0 => plain.push_str(part),
            // A long span may go over the end of a line.
            _ => drop(section.spans.insert(part.split_whitespace().collect::<Vec<_>>().join(" "))),
        }
    }
    for link in plain.split("](").skip(1) {
        section.links.insert(link.split(')').next().unwrap_or_default().to_owned());
    }
    section.figures = plain
        .split(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ',')
        .map(|figure| figure.trim_matches(['.', ',']).to_owned())
        .filter(|figure| !figure.is_empty())
        .collect();
}

fn digits(cell: &str) -> String {
    cell.chars().filter(char::is_ascii_digit).collect()
}

/// What one section has and the other has not.
fn missing(what: &str, one: &BTreeSet<String>, other: &BTreeSet<String>, wrong: &mut Vec<String>) {
    for name in one.difference(other) {
        wrong.push(format!("{what} `{name}` is not in the Chinese text"));
    }
    for name in other.difference(one) {
        wrong.push(format!("{what} `{name}` is in the Chinese text only"));
    }
}

#[test]
fn both_readmes_have_the_same_sections() {
    let levels = |name| sections(name).into_iter().map(|it| it.level).collect::<Vec<_>>();
    assert_eq!(levels("README.zh-CN.md"), levels("README.md"));
}

#[test]
fn commands_options_figures_and_links_are_the_same_in_both_readmes() {
    let mut wrong = Vec::new();
    for (english, chinese) in sections("README.md").iter().zip(&sections("README.zh-CN.md")) {
        let mut found = Vec::new();
        for (a, b) in english.code.iter().zip(&chinese.code).filter(|(a, b)| a != b) {
            found.push(format!("code `{a}` is `{b}`"));
        }
        for (a, b) in english.rows.iter().zip(&chinese.rows).filter(|(a, b)| a != b) {
            found.push(format!("figures of a row {a:?} are {b:?}"));
        }
        if english.code.len() != chinese.code.len() || english.rows.len() != chinese.rows.len() {
            found.push("another number of lines of code or rows of a table".to_owned());
        }
        if english.items != chinese.items {
            found.push(format!("{} paragraphs and items are {}", english.items, chinese.items));
        }
        missing("code", &english.spans, &chinese.spans, &mut found);
        missing("the figure", &english.figures, &chinese.figures, &mut found);
        let mut links = english.links.clone();
        // Each of them leads to the other.
        if links.remove("README.zh-CN.md") {
            links.insert("README.md".to_owned());
        }
        missing("a link to", &links, &chinese.links, &mut found);
        let (title, other) = (&english.title, &chinese.title);
        wrong.extend(found.iter().map(|what| format!("{title} / {other}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_comparison_sees_what_is_typed_and_not_what_explains_it() {
    assert_eq!(code_of("repro gc            removes it"), "repro gc");
    assert_eq!(code_of("mkdir a && cd a                  # or stay"), "mkdir a && cd a");
    assert_eq!(code_of("  indented   text"), "  indented");
    let mut sections = [Section::default()];
    read_prose(&mut sections, "`--keep`: 3.5 of 1,000 [there](a.md).\n");
    assert_eq!(sections[0].spans, BTreeSet::from(["--keep".to_owned()]));
    assert_eq!(sections[0].figures, BTreeSet::from(["3.5".to_owned(), "1,000".to_owned()]));
    assert_eq!(sections[0].links, BTreeSet::from(["a.md".to_owned()]));
}
