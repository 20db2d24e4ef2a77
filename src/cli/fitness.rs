//! Which GPUs of a machine an image's code can run on, as far as its wheels are here.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::CliError;
use super::preflight::Draft;
use crate::bench::{Host, Kind, Lack, PlannedCase};
use crate::doctor::{self, ImageCode, KnownCard, Unfit};
use crate::engine::Gpus;
use crate::lock::Lock;
use crate::store::Store;

/// What an image's code means for the GPUs of a machine.
#[derive(Default)]
pub struct Fitness {
    /// GPUs that the image cannot run on, by number, and why.
    pub unfit: BTreeMap<u32, String>,
    /// What is missing where no GPU of the machine is fit.
    pub lacks: Vec<Lack>,
    /// Whether all wheels could be looked into.
    pub is_all_known: bool,
}

impl Fitness {
    /// Looks into the wheels of `draft`, if there is a case and a GPU that it matters for.
    pub fn of(
        context: &Context,
        store: &Store,
        draft: &Draft,
        host: &Host,
        planned: &[PlannedCase],
    ) -> Result<Self, CliError> {
        let cases = with_gpus(planned);
        let cards = match cases.is_empty() {
            true => Vec::new(),
            false => doctor::known_cards(host, true),
        };
        match &draft.lock {
            Some(lock) if !cards.is_empty() => {
                let code = look(context, store, lock)?;
                Ok(Self::judge(&code, &cards, host.driver.as_deref(), &cases))
            }
            _ => Ok(Self { unfit: BTreeMap::new(), lacks: Vec::new(), is_all_known: true }),
        }
    }

    /// What `code` means for `cards` and the driver, for the cases on GPUs.
    pub fn judge(
        code: &ImageCode,
        cards: &[KnownCard],
        driver: Option<&str>,
        cases: &[String],
    ) -> Self {
        let mut lacks: Vec<Lack> = Vec::new();
        let mut unfit = BTreeMap::new();
        let old_driver = driver.and_then(|driver| code.unfit_driver(driver));
        for known in cards {
            let reasons = code.unfit(known);
            if reasons.is_empty() {
                continue;
            }
            let capability = known.capability.map_or(String::new(), |it| it.to_string());
            let reason =
                format!("not fit: the image has no code for compute capability {capability}");
            unfit.insert(known.card.index, reason);
            let reasons = reasons.into_iter().map(|reason| lack(Kind::Code, reason, cases));
            lacks.extend(reasons.filter(|lack| !lacks.contains(lack)).collect::<Vec<_>>());
        }
        if unfit.len() < cards.len() {
            // The other cards can do it; where they are too few, the pool says which are not fit.
            lacks.clear();
        }
        if let Some(old) = old_driver {
            let reason = || "not fit: its driver is too old".to_owned();
            unfit.extend(cards.iter().map(|known| (known.card.index, reason())));
            lacks.push(lack(Kind::OldDriver, old, cases));
        }
        Self { unfit, lacks, is_all_known: code.unread().next().is_none() }
    }
}

fn lack(kind: Kind, Unfit { needed, there }: Unfit, cases: &[String]) -> Lack {
    Lack { kind, needed, there, cases: cases.to_vec() }
}

/// The names of the cases that run on GPUs.
pub fn with_gpus(planned: &[PlannedCase]) -> Vec<String> {
    let cases = planned.iter().filter(|case| case.job.gpus != Gpus::None);
    cases.map(|case| case.case.name.clone()).collect()
}

/// The GPU code of an image's wheels; the first time it takes seconds for a large wheel, and is told.
pub fn look(context: &Context, store: &Store, lock: &Lock) -> Result<ImageCode, CliError> {
    let mut tell = |wheel: &str| {
        context.display.finish();
        context.display.begin(&format!("looking for GPU code in {wheel}"), 0);
    };
    let code = ImageCode::read(store, lock, &context.stop, &mut tell);
    context.display.finish();
    Ok(code?)
}
