//! The commands by purpose, as the front page of the help shows them.
//!
//! What a command does is told by its own first line; here is only where it stands. A test keeps
//! each command in exactly one group.

use clap::Command;
use clap::builder::StyledStr;

/// Heading and commands of each group, in the order of a first visit.
pub const GROUPS: [(&str, &[&str]); 7] = [
    ("See what there is", &["list", "inspect", "diff"]),
    ("Build an image", &["lock", "build", "verify", "wheel"]),
    ("Run a benchmark", &["doctor", "run", "status", "attach", "stop", "exec"]),
    ("Look at results", &["report", "results", "parse"]),
    ("Bring data", &["fetch-data", "verify-data", "pin-data"]),
    ("Carry it elsewhere", &["export", "push", "pull", "mirror", "bundle", "import"]),
    (
        "Add a guide, look after this machine",
        &["init", "audit", "gc", "fsck", "completions", "man"],
    ),
];

/// The command with its front page: usage, commands by group, options by heading, examples.
pub fn with_front_page(command: Command) -> Command {
    let styles = command.get_styles();
    let (header, literal) = (*styles.get_header(), *styles.get_literal());
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    let names = GROUPS.iter().flat_map(|(_, names)| *names);
    let longest = names.map(|name| name.len()).max().unwrap_or(0);
    for (heading, names) in GROUPS {
        text.push_str(&format!("\n{header}{heading}:{header:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or(String::new(), StyledStr::to_string);
            let space = " ".repeat(longest - name.len() + 2);
            text.push_str(&format!("  {literal}{name}{literal:#}{space}{about}\n"));
        }
    }
    text.push_str("\n`repro help COMMAND` tells everything of one command.\n\n");
    text.push_str(options(&command).trim_end());
    text.push_str("{after-help}");
    command.help_template(StyledStr::from(text))
}

/// The options under their headings. The help's own text of them has the commands, too, unless none
/// is to be seen.
fn options(command: &Command) -> String {
    let alone = command.clone().mut_subcommands(|command| command.hide(true));
    alone.help_template("{all-args}").render_help().ansi().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_exactly_one_group() {
        let command = super::super::command();
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        let visible: Vec<&str> =
            visible.map(Command::get_name).filter(|name| *name != "help").collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut wrong = Vec::new();
        for name in &visible {
            match grouped.iter().filter(|other| *other == name).count() {
                1 => {}
                0 => wrong.push(format!("add `{name}` to a group in src/cli/groups.rs")),
                count => wrong.push(format!("`{name}` stands in {count} groups")),
            }
        }
        let gone = grouped.iter().filter(|name| !visible.contains(name));
        wrong.extend(gone.map(|name| format!("`{name}` stands in a group and is no command")));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
