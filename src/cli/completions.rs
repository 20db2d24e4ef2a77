//! `repro completions`, and what a shell asks while somebody types.
//!
//! The script that a shell reads knows nothing: with each Tab it calls this program, which answers from
//! its own command line, the project's recipes and the store's runs. So the names are always those of
//! now. Invariant: an answer downloads nothing, opens no store and says nothing but candidates.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::error::CliError;
use super::output;
use crate::bench;
use crate::dataset::Datasets;
use crate::recipe::Recipe;
use crate::settings::{Options, Settings};

/// Print the script that completes commands, options and names in a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Completes commands, options, images, profiles, cases, data sets and runs.\n\n\
    Examples:\n  \
    repro completions bash > ~/.local/share/bash-completion/completions/repro\n  \
    repro completions zsh > ~/.zfunc/_repro          a folder of `fpath`; then `compinit`\n  \
    repro completions fish > ~/.config/fish/completions/repro.fish"
)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The variable by which a script asks.
const VARIABLE: &str = "REPRO_COMPLETE";

pub fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "repro", "repro", "repro", &mut script)
        .map_err(|source| CliError::Io { action: "write", path: "the script".into(), source })?;
    output::print(String::from_utf8_lossy(&script).trim_start());
    Ok(ExitCode::SUCCESS)
}

/// Answers a shell and ends the program, if one asks.
pub fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).bin("repro").completer("repro").complete();
}

/// The command line with what its values can be.
fn command() -> Command {
    super::command().mut_subcommands(|command| command.mut_args(with_candidates))
}

/// An argument of one name means the same in every command.
fn with_candidates(argument: Arg) -> Arg {
    let candidates = match argument.get_id().as_str() {
        "image" | "named_image" | "images" | "before" | "after" | "what" => {
            ArgValueCandidates::new(images)
        }
        "profile" => ArgValueCandidates::new(profiles),
        "case" => ArgValueCandidates::new(cases),
        "names" => ArgValueCandidates::new(data_sets),
        "system" => ArgValueCandidates::new(systems),
        "run" | "runs" | "resume" => ArgValueCandidates::new(runs),
        _ => return argument,
    };
    argument.add(candidates)
}

fn images() -> Vec<CompletionCandidate> {
    let about =
        |recipe: Recipe| CompletionCandidate::new(recipe.name).help(Some(recipe.title.into()));
    recipes().into_iter().map(about).collect()
}

fn profiles() -> Vec<CompletionCandidate> {
    let recipes = chosen_recipes();
    let profiles = recipes.iter().flat_map(|recipe| recipe.profiles.keys().cloned());
    named(profiles.collect())
}

fn cases() -> Vec<CompletionCandidate> {
    let profile = option(&["--profile", "-p"]).unwrap_or(bench::FULL_PROFILE.to_owned());
    let cases = |recipe: &Recipe| bench::expand(recipe, &profile, &[]).unwrap_or_default();
    named(chosen_recipes().iter().flat_map(cases).map(|case| case.name).collect())
}

fn systems() -> Vec<CompletionCandidate> {
    named(recipes().into_iter().map(|recipe| recipe.system).collect())
}

fn data_sets() -> Vec<CompletionCandidate> {
    let datasets = project().and_then(|project| Datasets::load(&project).ok());
    named(datasets.into_iter().flat_map(|datasets| datasets.sets.into_keys()).collect())
}

fn runs() -> Vec<CompletionCandidate> {
    let Some(settings) = settings() else { return Vec::new() };
    let folders = [settings.store_folder().join("runs"), settings.results_folder().to_owned()];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    named(names.chain(["latest".to_owned()]).collect())
}

fn named(names: BTreeSet<String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The recipe of the image that was typed, else all.
fn chosen_recipes() -> Vec<Recipe> {
    let folder = project().map(|project| project.join("images"));
    let name = option(&["--image", "-i"]);
    let chosen = folder.zip(name).and_then(|(folder, name)| Recipe::load(&folder, &name).ok());
    chosen.map_or_else(recipes, |recipe| vec![recipe])
}

fn recipes() -> Vec<Recipe> {
    let recipes = project().and_then(|project| Recipe::load_all(&project.join("images")).ok());
    recipes.unwrap_or_default()
}

fn project() -> Option<PathBuf> {
    settings()?.project().ok().map(PathBuf::from)
}

/// What cannot be read is told by the command itself, not while its line is typed.
fn settings() -> Option<Settings> {
    let project = option(&["--project"]).map(PathBuf::from);
    Settings::load(Options { project, ..Options::default() }).ok()
}

/// The value of an option among the words that were typed.
fn option(names: &[&str]) -> Option<String> {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").collect();
    value_of(&words, names)
}

fn value_of(words: &[OsString], names: &[&str]) -> Option<String> {
    let texts: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let beside = texts.windows(2).rev().find(|pair| names.contains(&pair[0])).map(|pair| pair[1]);
    let within = || {
        let values = texts.iter().rev().filter_map(|text| text.split_once('='));
        values.into_iter().find(|(name, _)| names.contains(name)).map(|(_, value)| value)
    };
    beside.or_else(within).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_among_the_words_that_were_typed() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let image = |line: &str| value_of(&words(line), &["--image", "-i"]);
        assert_eq!(image("-- repro run --image seg --case x").as_deref(), Some("seg"));
        assert_eq!(image("-- repro run --image=seg --case").as_deref(), Some("seg"));
        assert_eq!(image("-- repro run -i seg --case").as_deref(), Some("seg"));
        assert_eq!(image("-- repro run --case x"), None);
    }
}
