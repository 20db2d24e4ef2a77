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
    /// Whether wheels that may decide it are not in the store yet.
    pub has_unread: bool,
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
            _ => Ok(Self::default()),
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
            let reason = || "not fit: the driver is too old".to_owned();
            unfit.extend(cards.iter().map(|known| (known.card.index, reason())));
            lacks.push(lack(Kind::OldDriver, old, cases));
        }
        Self { unfit, lacks, has_unread: code.unread().next().is_some() }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::doctor::{Capability, Code, ImageWheel, Library, Part, Version, WheelCode};
    use crate::engine::Card;

    /// An image of one wheel with machine code for Volta, made by CUDA 10.2.
    fn volta() -> ImageCode {
        let code = BTreeSet::from([Code::cubin(Capability::new(7, 0))]);
        let part = Part { code, empty: BTreeSet::new(), containers: 1, bytes: 1000 };
        let library =
            Library { path: "libnet.so".to_owned(), parts: vec![part], ..Library::default() };
        let runtimes = BTreeSet::from([Version { major: 10, minor: 2 }]);
        let code = WheelCode { libraries: vec![library], runtimes };
        let wheel = ImageWheel { wheel: "net 1.0".to_owned(), code: Some(code) };
        ImageCode { wheels: vec![wheel], base: None }
    }

    fn cards(numbers: &[Option<u32>]) -> Vec<KnownCard> {
        let card = |(index, number): (u32, &Option<u32>)| KnownCard {
            card: Card { index, minor: index, uuid: None, name: "X".to_owned() },
            capability: number.map(Capability::of_number),
        };
        (0..).zip(numbers).map(card).collect()
    }

    fn judged(numbers: &[Option<u32>], driver: &str) -> (Vec<u32>, Vec<Kind>) {
        let cases = ["net/sp".to_owned()];
        let fitness = Fitness::judge(&volta(), &cards(numbers), Some(driver), &cases);
        assert!(fitness.lacks.iter().all(|lack| lack.cases == cases));
        let kinds = fitness.lacks.into_iter().map(|lack| lack.kind);
        (fitness.unfit.into_keys().collect(), kinds.collect())
    }

    #[test]
    fn a_reason_is_given_once_for_many_equal_cards() {
        let found = judged(&[Some(90), Some(90)], "550.54.15");
        assert_eq!(found, (vec![0, 1], vec![Kind::Code]));
    }

    #[test]
    fn a_fit_card_beside_others_means_that_nothing_is_missing() {
        assert_eq!(judged(&[Some(90), Some(75)], "550.54.15"), (vec![0], vec![]));
    }

    #[test]
    fn a_card_of_unknown_capability_is_not_held_back() {
        assert_eq!(judged(&[None], "550.54.15"), (vec![], vec![]));
    }

    #[test]
    fn with_an_old_driver_no_card_is_fit() {
        assert_eq!(judged(&[Some(70)], "418.87"), (vec![0], vec![Kind::OldDriver]));
        assert_eq!(judged(&[Some(90)], "418.87"), (vec![0], vec![Kind::Code, Kind::OldDriver]));
    }

    #[test]
    fn wheels_that_are_not_here_are_remembered_as_such() {
        let mut code = volta();
        code.wheels.push(ImageWheel { wheel: "other 1.0".to_owned(), code: None });
        assert!(Fitness::judge(&code, &[], None, &[]).has_unread);
        assert!(!Fitness::judge(&volta(), &[], None, &[]).has_unread);
    }
}
