//! `repro doctor`

mod checks;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use super::context::Context;
use super::error::CliError;
use super::fitness::{self, Fitness};
use super::preflight::{Draft, Preflight};
use super::run;
use crate::bench::{self, Host, PlannedCase, Pool};
use crate::doctor::{self, Check, ImageCode, KnownCard, State};
use crate::store::{self, Store};

/// Say whether this machine can run an image: what is needed, what is there, what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Downloads nothing and runs nothing; code is looked at in wheels that are in the store. `repro run` does the same first.\n\
    Ends with 4 if something is bad.\n\nExamples:\n  \
    repro doctor                                     this machine: GPUs, driver, engine, kernel, disks\n  \
    repro doctor seg-debian                          the guide's cases; the GPU code of each wheel\n  \
    repro doctor seg-debian --profile smoke          the cases of another profile\n  \
    repro doctor seg-debian --case '*/sp/*'          some of the cases\n  \
    repro doctor seg-debian --host h200.json         a machine elsewhere: a run record, or\n  \
    \u{20}                                                {\"gpus\": [\"NVIDIA H200\"], \"driver\": \"550.54.15\"}"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal; without it the machine alone
    image: Option<String>,
    /// The profile whose cases are to run
    #[arg(long, short, default_value = bench::FULL_PROFILE)]
    profile: String,
    /// Only these cases: names or globs
    #[arg(long, value_name = "CASE")]
    case: Vec<String>,
    /// Ask for the machine that this file describes: a run record, or the `host` of one
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
}

/// The machine that is asked about.
struct Machine {
    host: Host,
    cards: Vec<KnownCard>,
    /// Whether it is the one that this program runs on.
    is_this: bool,
}

/// What an image needs, beside the machine.
struct Wanted {
    draft: Draft,
    profile: String,
    planned: Vec<PlannedCase>,
    preflight: Preflight,
    code: ImageCode,
}

/// All that was found out.
struct Findings {
    checks: Vec<Check>,
    code: Option<ImageCode>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let machine = Machine::of(arguments)?;
    let store = context.store()?;
    let wanted = match &arguments.image {
        Some(image) => Some(Wanted::of(context, &store, arguments, image, &machine)?),
        None => None,
    };
    let mut checks = match &wanted {
        Some(wanted) => checks::of_image(context, wanted, &machine),
        None => checks::of_cards(&machine),
    };
    checks.extend(checks::of_machine(context, &machine, wanted.is_some()));
    checks.sort_by_key(|check| checks::place(&check.check));
    let findings = Findings { checks, code: wanted.map(|wanted| wanted.code) };
    show::show(context, arguments.image.as_deref(), &machine, &findings);
    let is_bad = findings.checks.iter().any(|check| check.state == State::Bad);
    Ok(if is_bad { ExitCode::from(4) } else { ExitCode::SUCCESS })
}

impl Machine {
    fn of(arguments: &Arguments) -> Result<Self, CliError> {
        let (host, is_this) = match &arguments.host {
            Some(file) => (doctor::host_of_file(file)?, false),
            None => (Host::of_this_machine(), true),
        };
        let cards = doctor::known_cards(&host, is_this);
        Ok(Self { host, cards, is_this })
    }

    /// What its kernel offers; `None` for one elsewhere.
    fn offers(&self) -> Option<Vec<Check>> {
        self.is_this.then(|| doctor::machine(Path::new("/"), store::is_root()))
    }
}

impl Wanted {
    fn of(
        context: &Context,
        store: &Store,
        arguments: &Arguments,
        image: &str,
        machine: &Machine,
    ) -> Result<Self, CliError> {
        let draft = Draft::resolve(context, store, image)?;
        let asked = run_arguments(arguments, image);
        let mut request = run::Request::new(&asked, &machine.host)?;
        let (planned, _) = request.plan(context, store, &draft)?;
        let cases = fitness::with_gpus(&planned);
        let code = match &draft.lock {
            // What no case needs is not worth the seconds.
            Some(lock) if !cases.is_empty() => fitness::look(context, store, lock)?,
            _ => ImageCode::default(),
        };
        let driver = machine.host.driver.as_deref();
        let fitness = match cases.is_empty() {
            true => Fitness::default(),
            false => Fitness::judge(&code, &machine.cards, driver, &cases),
        };
        request.pool = Pool::fit(&machine.host, &fitness.unfit);
        let (planned, mut lacks) = request.plan(context, store, &draft)?;
        lacks.extend(fitness.lacks);
        let preflight =
            Preflight::new(context, store, &draft, &arguments.profile, &planned, lacks)?;
        Ok(Self { draft, profile: arguments.profile.clone(), planned, preflight, code })
    }
}

/// What `repro run` would be started with.
fn run_arguments(arguments: &Arguments, image: &str) -> run::Arguments {
    #[derive(Parser)]
    struct Run {
        #[command(flatten)]
        arguments: run::Arguments,
    }
    let named = ["run", "--image", image, "--profile", &arguments.profile].map(str::to_owned);
    let cases = arguments.case.iter().flat_map(|case| ["--case".to_owned(), case.clone()]);
    Run::parse_from(named.into_iter().chain(cases)).arguments
}
