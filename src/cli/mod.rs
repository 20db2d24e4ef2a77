//! Arguments, one file per command, all printing, exit codes and hints.
//!
//! Results go to standard output, everything else to standard error; `--json`
//! turns the result into one JSON document. Exit codes: 0 done, 1 internal or
//! I/O, 2 wrong input, 3 content is not what was pinned, 4 network, engine or GPUs
//! not there, 5 the benchmark, or a build's command, ran and failed, 130 stopped by Ctrl-C.
//!
//! - `groups`, `completions`, `man`: the command line told to people and to shells;
//! - `output`, `progress`, `watch`: what is printed, in what colour and width, and how often;
//! - `run`, `detach`, `runs`: a run, one that leaves its terminal, and runs of other processes;
//! - `context`, `subject`, `reference`, `error`: what most commands need. The others are commands.
//!
//! Invariants: no other module prints; every error ends here and gets its exit
//! code and its hint in `error`. Commands are thin: what they do is in the modules.

mod attach;
mod audit;
mod build;
mod bundle;
mod cases;
mod completions;
mod context;
mod detach;
mod diff;
mod doctor;
mod dry_run;
mod error;
mod exec;
mod export;
mod fetch_data;
mod fitness;
mod fsck;
mod gc;
mod groups;
mod import;
mod init;
mod inspect;
mod known;
mod list;
mod lock;
mod man;
mod mirror;
mod output;
mod parse;
mod pin_data;
mod preflight;
mod progress;
mod pull;
mod push;
mod rebuild;
mod recipes;
mod reference;
mod rehearse;
mod report;
mod results;
mod run;
mod runs;
mod status;
mod stop;
mod subject;
mod verify;
mod verify_data;
mod watch;
mod wheel;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::address::Address;
use crate::settings;
use context::Context;
use error::CliError;

/// Turns a published benchmark guide into a sealed image and a table of numbers that anyone can get again.
#[derive(Debug, Parser)]
#[command(
    name = "repro",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Examples:\n  \
        repro list                                        what there is to build and run\n  \
        repro run --image seg-debian --profile smoke      build, check the data, run, print the table\n  \
        repro verify seg-debian                           build again elsewhere and compare\n\n\
        Exit codes: 0 done, 1 internal or I/O, 2 wrong input, 3 content is not what was pinned,\n\
        4 network, engine or GPUs not there, 5 the benchmark, or a build's command, ran and failed,\n\
        130 stopped by Ctrl-C."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
struct Global {
    /// The project's folder [default: found upwards from the current folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    project: Option<PathBuf>,
    /// The folder data sets lie in [default: $REPRO_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    data: Option<PathBuf>,
    /// Package index for wheels and source distributions [default: as pip and uv are set up]
    #[arg(long, global = true, value_name = "URL", help_heading = "Locations")]
    index_url: Option<Address>,
    /// A further package index
    #[arg(long, global = true, value_name = "URL", help_heading = "Locations")]
    extra_index_url: Vec<Address>,
    /// A folder or page with links to wheels
    #[arg(long, global = true, value_name = "DIR|URL", help_heading = "Locations")]
    find_links: Vec<Address>,
    /// Debian archive [default: as apt is set up]
    #[arg(long, global = true, value_name = "URL", help_heading = "Locations")]
    debian_mirror: Vec<Address>,
    /// Debian security archive [default: as apt is set up]
    #[arg(long, global = true, value_name = "URL", help_heading = "Locations")]
    debian_security_mirror: Vec<Address>,
    /// A folder or URL that `repro mirror` filled; looked at before anything else
    #[arg(long, global = true, value_name = "DIR|URL", help_heading = "Locations")]
    mirror: Vec<Address>,
    /// What jobs run in: `auto` (a Docker daemon of this machine if one answers, else embedded),
    /// `docker` or `embedded` [default: $REPRO_ENGINE, `engine` in the settings, `auto`]
    #[arg(long, global = true, value_name = "ENGINE", help_heading = "Global options")]
    engine: Option<String>,
    /// Ask nothing from a network
    #[arg(long, global = true, help_heading = "Global options")]
    offline: bool,
    /// Print the result as JSON
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// When text is coloured; `NO_COLOR` and `CLICOLOR_FORCE` are respected by `auto`
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output",
        hide_possible_values = true
    )]
    color: output::Color,
    #[command(flatten)]
    talk: output::Talk,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List images, their profiles and cases; what is sealed, unsealed or unpinned
    List(list::Arguments),
    /// Write a commented recipe that works as it is, to be changed into a guide's
    Init(init::Arguments),
    /// Resolve a recipe once and write its lock
    Lock(lock::Arguments),
    /// Build the image of a lock; compare it with its seal
    Build(build::Arguments),
    /// Show the layers of an image: size, origin, sharing
    Inspect(inspect::Arguments),
    /// Write an image as an OCI layout or as an archive
    Export(export::Arguments),
    /// Bring an image from a registry by its digest
    Pull(pull::Arguments),
    /// Bring an image to a registry
    Push(push::Arguments),
    /// Build an image again elsewhere and compare every byte
    Verify(verify::Arguments),
    /// List what build jobs compiled: inputs, command and digest
    Wheel(wheel::Arguments),
    /// Run the benchmark's cases in the sealed image; write records and a table
    Run(run::Arguments),
    /// Show what runs measured: a table, a page, CSV, JSON, a case over runs
    Report(report::Arguments),
    /// Show where runs are: what goes on now, how far, and what ended lately
    Status(status::Arguments),
    /// Follow a run that goes on without a terminal; ends as the run ends
    Attach(attach::Arguments),
    /// Stop a run as Ctrl-C does, wherever it was started
    Stop(stop::Arguments),
    /// List, check, index and export run records
    Results(results::Arguments),
    /// Read logs that somebody else made; print the table and the guide's records
    Parse(parse::Arguments),
    /// Run one command in a sealed image
    Exec(exec::Arguments),
    /// Say whether this machine can run an image: what is needed, what is there, what to do
    Doctor(doctor::Arguments),
    /// Hold a guide against itself and against its recipe
    Audit(audit::Arguments),
    /// Bring data sets: download, verify, unpack; say what has to be brought by hand
    FetchData(fetch_data::Arguments),
    /// Check data sets against what is pinned
    VerifyData(verify_data::Arguments),
    /// Measure an archive and pin it in `datasets.toml`
    PinData(pin_data::Arguments),
    /// Say what differs between two images, locks or OCI layouts, or between two runs
    Diff(diff::Arguments),
    /// Copy every pinned input of an image into a folder
    Mirror(mirror::Arguments),
    /// Write one file with everything that an image or a run needs
    Bundle(bundle::Arguments),
    /// Bring a bundle into the store; show the records in it
    Import(import::Arguments),
    /// Remove from the store what no checkout and no run needs
    Gc(gc::Arguments),
    /// Hash every blob in the store, compare every unpacked layer and data set
    Fsck(fsck::Arguments),
    /// Print the script that completes commands, options and names in a shell
    Completions(completions::Arguments),
    /// Write the manual: one page for each command
    Man(man::Arguments),
    /// The second build of `verify`, in its own process
    #[command(name = "__rebuild", hide = true)]
    Rebuild(rebuild::Arguments),
}

impl Global {
    fn options(&self) -> settings::Options {
        settings::Options {
            project: self.project.clone(),
            data: self.data.clone(),
            index_url: self.index_url.clone(),
            extra_index_url: self.extra_index_url.clone(),
            find_links: self.find_links.clone(),
            debian_mirror: self.debian_mirror.clone(),
            debian_security_mirror: self.debian_security_mirror.clone(),
            mirror: self.mirror.clone(),
            offline: self.offline,
            engine: self.engine.clone(),
            ..settings::Options::default()
        }
    }
}

/// The command line.
fn command() -> clap::Command {
    Cli::command()
}

/// What the user typed. The front page is made only where somebody wants to read it.
fn parse(arguments: &[OsString]) -> clap::ArgMatches {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, MissingRequiredArgument,
    };
    match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => match error.kind() {
            DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand => {
                groups::with_front_page(command()).get_matches_from(arguments)
            }
            MissingRequiredArgument if lacks_image(&error) => {
                let _ = error.print();
                tell_images();
                std::process::exit(error.exit_code())
            }
            _ => error.exit(),
        },
    }
}

/// Whether a command was typed without the image that it is about.
fn lacks_image(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    let missing = error.get(ContextKind::InvalidArg);
    matches!(missing, Some(ContextValue::Strings(names)) if names.iter().any(|name| name.starts_with("<IMAGE")))
}

/// Says which images a command could have named; what cannot be read is told once one is named.
fn tell_images() {
    let usable = || {
        let context = Context::open(&Global::default()).ok()?;
        let store = context.store_to_read().ok()?;
        reference::usable(&context, &store).ok().filter(|names| !names.is_empty())
    };
    if let Some(names) = usable() {
        let lines: String = names.iter().map(|name| format!("\n  {name}")).collect();
        output::error(&format!("\nimages that can be built and run{lines}"));
    }
}

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    let arguments = detach::arguments();
    output::set_color(output::color_of(&arguments));
    completions::answer();
    let matches = parse(&arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    output::set_talk(cli.global.talk);
    output::start_logging(cli.global.talk.verbose);
    let json = cli.global.json;
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => error.report(json),
    }
}

impl Command {
    /// Whether it may start jobs or says what would start them.
    fn uses_engine(&self) -> bool {
        matches!(
            self,
            Self::Build(_)
                | Self::Export(_)
                | Self::Push(_)
                | Self::Verify(_)
                | Self::Run(_)
                | Self::Exec(_)
                | Self::Doctor(_)
                | Self::Audit(_)
                | Self::Rebuild(_)
        )
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, CliError> {
    let context = Context::open(&cli.global)?;
    if cli.command.uses_engine() {
        // What was written wrong is told before anything is looked at.
        context.settings.engine()?;
    }
    match cli.command {
        Command::List(arguments) => list::run(&context, &arguments),
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Lock(arguments) => lock::run(&context, &arguments),
        Command::Build(arguments) => build::run(&context, &arguments),
        Command::Inspect(arguments) => inspect::run(&context, &arguments),
        Command::Export(arguments) => export::run(&context, &arguments),
        Command::Pull(arguments) => pull::run(&context, &arguments),
        Command::Push(arguments) => push::run(&context, &arguments),
        Command::Verify(arguments) => verify::run(&context, &arguments),
        Command::Wheel(arguments) => wheel::run(&context, &arguments),
        Command::Run(arguments) => run::run(&context, &arguments),
        Command::Report(arguments) => report::run(&context, &arguments),
        Command::Status(arguments) => status::run(&context, &arguments),
        Command::Attach(arguments) => attach::run(&context, &arguments),
        Command::Stop(arguments) => stop::run(&context, &arguments),
        Command::Results(arguments) => results::run(&context, &arguments),
        Command::Parse(arguments) => parse::run(&context, &arguments),
        Command::Exec(arguments) => exec::run(&context, &arguments),
        Command::Doctor(arguments) => doctor::run(&context, &arguments),
        Command::Audit(arguments) => audit::run(&context, &arguments),
        Command::FetchData(arguments) => fetch_data::run(&context, &arguments),
        Command::VerifyData(arguments) => verify_data::run(&context, &arguments),
        Command::PinData(arguments) => pin_data::run(&context, &arguments),
        Command::Diff(arguments) => diff::run(&context, &arguments),
        Command::Mirror(arguments) => mirror::run(&context, &arguments),
        Command::Bundle(arguments) => bundle::run(&context, &arguments),
        Command::Import(arguments) => import::run(&context, &arguments),
        Command::Gc(arguments) => gc::run(&context, &arguments),
        Command::Fsck(arguments) => fsck::run(&context, &arguments),
        Command::Rebuild(arguments) => rebuild::run(&context, &arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
