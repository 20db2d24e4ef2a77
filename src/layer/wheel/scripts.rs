//! The launchers that pip 24.0 writes for entry points, letter by letter.
//!
//! The text belongs to the format epoch: pip 22.3 to 25.1 write the same.

use super::entry_points::{Script, Scripts};
use crate::lock::PythonTarget;

/// A launcher's file name and content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Launcher {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Longer first lines are not understood by every kernel (distlib's limit for Linux).
const SHEBANG_LIMIT: usize = 127;

/// The launchers of a wheel, in the order in which pip writes them.
pub(super) fn launchers(scripts: &Scripts, python: &PythonTarget) -> Vec<Launcher> {
    let console = versioned(&scripts.console, &python.version);
    let all = console.iter().chain(&scripts.gui);
    all.map(|script| Launcher {
        name: script.name.clone(),
        content: launcher(script, &python.interpreter),
    })
    .collect()
}

/// What a script's first line becomes if it begins with `#!python`.
pub(super) fn first_line(interpreter: &str) -> String {
    format!("#!{interpreter}\n")
}

fn launcher(script: &Script, interpreter: &str) -> Vec<u8> {
    let Script { module, function, .. } = script;
    let import = function.split('.').next().unwrap_or(function);
    format!(
        r"{}# -*- coding: utf-8 -*-
import re
import sys
from {module} import {import}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
",
        shebang(interpreter)
    )
    .into_bytes()
}

fn shebang(interpreter: &str) -> String {
    // Three more for `#!` and the end of the line.
    if interpreter.len() + 3 <= SHEBANG_LIMIT && !interpreter.contains(' ') {
        return first_line(interpreter);
    }
    let quote = if interpreter.contains(' ') { "\"" } else { "" };
    format!("#!/bin/sh\n'''exec' {quote}{interpreter}{quote} \"$0\" \"$@\"\n' '''\n")
}

/// pip and setuptools ship launchers for the Python they were built with; pip replaces them
/// by those of the Python it installs for.
fn versioned(console: &[Script], version: &str) -> Vec<Script> {
    let major = version.split('.').next().unwrap_or(version);
    let find = |name: &str| console.iter().find(|script| script.name == name);
    let named = |script: &Script, name: String| Script { name, ..script.clone() };
    let mut made = Vec::new();
    let mut left = console.to_vec();
    if let Some(pip) = find("pip") {
        let names = ["pip".to_owned(), format!("pip{major}"), format!("pip{version}")];
        made.extend(names.map(|name| named(pip, name)));
        left.retain(|script| !is_pip(&script.name));
    }
    if let Some(script) = find("easy_install") {
        let names = ["easy_install".to_owned(), format!("easy_install-{version}")];
        made.extend(names.map(|name| named(script, name)));
        left.retain(|script| !is_easy_install(&script.name));
    }
    made.extend(left);
    made
}

/// `pip`, `pip3`, `pip3.9`.
fn is_pip(name: &str) -> bool {
    name.strip_prefix("pip").is_some_and(|version| {
        let mut parts = version.split('.');
        version.is_empty() || (parts.by_ref().take(2).all(is_number) && parts.next().is_none())
    })
}

/// `easy_install`, `easy_install-3.9`.
fn is_easy_install(name: &str) -> bool {
    name.strip_prefix("easy_install").is_some_and(|rest| {
        let version = rest.strip_prefix('-').and_then(|version| version.split_once('.'));
        rest.is_empty()
            || version.is_some_and(|(major, minor)| is_number(major) && is_number(minor))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(interpreter: &str) -> PythonTarget {
        PythonTarget {
            version: "3.9".to_owned(),
            interpreter: interpreter.to_owned(),
            prefix: "/usr/local".to_owned(),
            site: "/usr/local/lib/python3.9/dist-packages".to_owned(),
            scripts: "/usr/local/bin".to_owned(),
            glibc: "2.31".to_owned(),
        }
    }

    fn scripts(names: &[&str]) -> Scripts {
        let text: Vec<String> = names.iter().map(|name| format!("{name} = m:f\n")).collect();
        Scripts::parse(&format!("[console_scripts]\n{}", text.concat())).unwrap()
    }

    #[test]
    fn a_launcher_has_the_text_of_pip_24_0() {
        let scripts = Scripts::parse("[gui_scripts]\na = pkg.mod:Class.run").unwrap();
        let made = launchers(&scripts, &python("/usr/bin/python3.9"));
        let expected = "#!/usr/bin/python3.9\n# -*- coding: utf-8 -*-\nimport re\nimport sys\n\
            from pkg.mod import Class\nif __name__ == '__main__':\n    sys.argv[0] = \
            re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit(Class.run())\n";
        assert_eq!(String::from_utf8(made[0].content.clone()).unwrap(), expected);
    }

    #[test]
    fn an_interpreter_that_no_first_line_can_name_is_started_by_a_shell() {
        let made = launchers(&scripts(&["a"]), &python("/opt/my python/bin/python"));
        let text = String::from_utf8(made[0].content.clone()).unwrap();
        assert!(text.starts_with(
            "#!/bin/sh\n'''exec' \"/opt/my python/bin/python\" \"$0\" \"$@\"\n' '''\n# -*-"
        ));
        let long = format!("/{}", "x".repeat(124));
        let made = launchers(&scripts(&["a"]), &python(&long));
        assert!(made[0].content.starts_with(format!("#!/bin/sh\n'''exec' {long} ").as_bytes()));
    }

    #[test]
    fn pip_and_easy_install_get_the_names_of_the_target_python() {
        let names = |names: &[&str]| -> Vec<String> {
            let made = launchers(&scripts(names), &python("/p"));
            made.into_iter().map(|launcher| launcher.name).collect()
        };
        assert_eq!(names(&["pip", "pip3", "pip3.11", "pipx"]), ["pip", "pip3", "pip3.9", "pipx"]);
        assert_eq!(names(&["pip3", "x"]), ["pip3", "x"]);
        assert_eq!(
            names(&["easy_install", "easy_install-2.7"]),
            ["easy_install", "easy_install-3.9"]
        );
    }
}
