//! Reads `entry_points.txt` as pip 24.0 does under Python 3.7 to 3.10: with `pkg_resources`.
//!
//! pip reads every group before it makes a launcher, so one bad line anywhere stops it.
//! Under later versions pip reads comments after `;` and indented lines as well; a file that
//! needs those is refused here rather than installed in two ways.

use super::record::split_lines;
use crate::tarball::check_path;

/// The scripts that a wheel asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scripts {
    /// `console_scripts`.
    pub(super) console: Vec<Script>,
    /// `gui_scripts`.
    pub(super) gui: Vec<Script>,
}

/// A name and the callable that it starts: `name = module:function.attribute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) function: String,
}

/// One line of any group.
struct EntryPoint<'a> {
    name: &'a str,
    module: &'a str,
    attribute: Option<&'a str>,
}

impl Scripts {
    /// Whether one of the scripts has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.console.iter().chain(&self.gui).any(|script| script.name == name)
    }

    /// Reads the file; an error says in which line pip would stop.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut groups: Vec<(&str, Vec<EntryPoint<'_>>)> = Vec::new();
        for (index, line) in split_lines(text).into_iter().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let added = add_line(&mut groups, line);
            added
                .map_err(|reason| format!("line {} of its entry_points.txt {reason}", index + 1))?;
        }
        let scripts = |wanted: &str| -> Result<Vec<Script>, String> {
            let group = groups.iter().find(|(group, _)| *group == wanted);
            group.map_or(&[][..], |(_, points)| points).iter().map(Script::of).collect()
        };
        Ok(Self { console: scripts("console_scripts")?, gui: scripts("gui_scripts")? })
    }
}

fn add_line<'a>(
    groups: &mut Vec<(&'a str, Vec<EntryPoint<'a>>)>,
    line: &'a str,
) -> Result<(), &'static str> {
    if let Some(rest) = line.strip_prefix('[') {
        let group = rest.strip_suffix(']').ok_or("has an open bracket")?.trim();
        if !is_path(group) {
            return Err("has an unusable name of a group");
        }
        if groups.iter().any(|(known, _)| *known == group) {
            return Err("begins a group for the second time");
        }
        groups.push((group, Vec::new()));
        return Ok(());
    }
    let (_, points) = groups.last_mut().ok_or("stands before any group")?;
    let point = EntryPoint::parse(line).ok_or("is no `name = module:function`")?;
    if points.iter().any(|known| known.name == point.name) {
        return Err("has a name that is there already");
    }
    points.push(point);
    Ok(())
}

impl<'a> EntryPoint<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let path = match value.find('[') {
            Some(start) if are_extras(&value[start..]) => value[..start].trim_end(),
            Some(_) => return None,
            None => value,
        };
        let (module, attribute) = match path.split_once(':') {
            Some((module, attribute)) => (module.trim_end(), Some(attribute.trim_start())),
            None => (path, None),
        };
        let is_right = !name.trim().is_empty() && is_path(module) && attribute.is_none_or(is_path);
        is_right.then_some(Self { name: name.trim(), module, attribute })
    }
}

impl Script {
    fn of(point: &EntryPoint<'_>) -> Result<Self, String> {
        let EntryPoint { name, module, attribute } = point;
        // The name becomes a file's; distlib cuts others in its own way.
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '[' | ']');
        if matches!(*name, "." | "..") || name.contains(is_odd) {
            return Err(format!("its script `{}` has an unusable name", name.escape_debug()));
        }
        check_path(name.as_bytes()).map_err(|reason| format!("its script `{name}`: {reason}"))?;
        let Some(function) = attribute else {
            return Err(format!("its script `{name}` names a module but no function: `{module}`"));
        };
        let [name, module, function] = [name, module, function].map(|text| (*text).to_owned());
        Ok(Self { name, module, function })
    }
}

/// Words joined by single dots.
fn is_path(text: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.split('.').all(|word| !word.is_empty() && word.chars().all(is_letter))
}

/// `[name, other-name]`, or nothing between the brackets.
fn are_extras(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_letter);
    inner.is_some_and(|names| {
        names.trim().is_empty() || names.split(',').all(|name| is_name(name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str, module: &str, function: &str) -> Script {
        let [name, module, function] = [name, module, function].map(str::to_owned);
        Script { name, module, function }
    }

    #[test]
    fn scripts_are_read_with_comments_indents_and_extras() {
        let text = "# c\n[console_scripts]\n  a = m:f\n\n b=m.n : C.run [x, y-z]\r\n[other.group]\nq = 1\n\
                    [ gui_scripts ]\r\ng.h = m:g\x0bü = m:ü []";
        let scripts = Scripts::parse(text).unwrap();
        assert_eq!(scripts.console, [script("a", "m", "f"), script("b", "m.n", "C.run")]);
        assert_eq!(scripts.gui, [script("g.h", "m", "g"), script("ü", "m", "ü")]);
        assert!(scripts.has("a") && scripts.has("ü") && !scripts.has("q"));
    }

    #[test]
    fn a_file_that_pip_cannot_read_is_refused_with_the_line() {
        for (text, line) in [
            ("a = m:f", "line 1"),
            ("; comment\n[s]", "line 1"),
            ("[s]\na", "line 2"),
            ("[s]\n= m:f", "line 2"),
            ("[s]\na = m:f\na = m:g", "line 3"),
            ("[s]\n[s]", "line 2"),
            ("[s-t]", "line 1"),
            ("[s] # x", "line 1"),
            ("[s]\na = m:f ; comment", "line 2"),
            ("[s]\na = m-n:f", "line 2"),
            ("[s]\na = m:f:g", "line 2"),
            ("[s]\na = m:f [x", "line 2"),
            ("[s]\na = m:f [x.y]", "line 2"),
            ("[s]\na = :f", "line 2"),
            ("[s]\na = b = m:f", "line 2"),
        ] {
            let reason = Scripts::parse(text).unwrap_err();
            assert!(reason.contains(line), "{text}: {reason}");
        }
    }

    #[test]
    fn a_script_needs_a_function_and_the_name_of_a_file() {
        let long = format!("{} = m:f", "n".repeat(256));
        for line in [
            "a = m",
            "a/b = m:f",
            "a b = m:f",
            ". = m:f",
            ".. = m:f",
            "a\0b = m:f",
            "a\u{1b}[0m = m:f",
            &long,
        ] {
            assert!(Scripts::parse(&format!("[console_scripts]\n{line}")).is_err(), "{line}");
            assert!(Scripts::parse(&format!("[other]\n{line}")).is_ok(), "{line}");
        }
    }
}
