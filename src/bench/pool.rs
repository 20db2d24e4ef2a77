//! The GPUs that a run may use: which there are, which were chosen, which are free.
//!
//! A run locks as many as its largest case needs, so that another run can have the rest. What
//! somebody chose by name is used or refused; what nobody chose is used where it is free.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::BenchError;
use super::busy::Look;
use super::card_lock::{self, CardLock};
use super::host::Host;
use crate::engine::Card;

/// The GPUs of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Those that cases get, in the order of the bus or as they were chosen.
    pub cards: Vec<Card>,
    /// How many could be had, if a case needed them.
    pub usable: usize,
    /// Why others of the machine are not among them, one fragment each.
    pub left_out: Vec<String>,
}

/// Which GPUs a run asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Numbers or UUIDs, or beginnings of UUIDs; without it any that are free.
    pub chosen: Option<&'a [String]>,
    /// How many each case needs.
    pub needs: &'a [u32],
    /// How many cases run at once.
    pub jobs: usize,
    /// GPUs that the image cannot run on, by number, and why.
    pub unfit: &'a BTreeMap<u32, String>,
}

/// Where a machine's processes and locks are; another place than the machine's own in tests.
#[derive(Debug, Clone)]
pub struct Places {
    /// What `/proc` lies in.
    pub root: PathBuf,
    /// The folder of locks.
    pub locks: PathBuf,
}

impl Places {
    /// Those of this machine.
    pub fn of_this_machine() -> Self {
        Self { root: "/".into(), locks: card_lock::folder() }
    }
}

/// GPUs that no other run can have as long as this lives.
#[derive(Debug)]
pub struct Claim {
    /// The GPUs.
    pub pool: Pool,
    /// What was looked at to find out whether they are free.
    pub looked: String,
    _locks: Vec<CardLock>,
}

impl Pool {
    /// Every GPU of the machine, free or not.
    pub fn whole(host: &Host) -> Self {
        let cards = host.cards();
        Self { usable: cards.len(), cards, left_out: Vec::new() }
    }

    /// Every GPU of the machine but those of `unfit` (number to reason), free or not.
    pub fn fit(host: &Host, unfit: &BTreeMap<u32, String>) -> Self {
        let mut cards = host.cards();
        cards.retain(|card| !unfit.contains_key(&card.index));
        let unfit = unfit.iter().map(|(index, reason)| (*index, reason.clone()));
        Self { usable: cards.len(), cards, left_out: reasons(unfit) }
    }

    /// What is missing for a case that needs `gpus` GPUs, if anything.
    pub fn lacks(&self, host: &Host, gpus: u32) -> Option<String> {
        if self.cards.len() >= gpus as usize {
            return None;
        }
        let noun = if gpus == 1 { "GPU" } else { "GPUs" };
        if self.left_out.is_empty() {
            let fewer = || format!("needs {gpus} {noun}, this run has {}", self.cards.len());
            return Some(host.lacks_gpus(gpus).unwrap_or_else(fewer));
        }
        let (usable, all, why) = (self.usable, host.gpus.len(), self.left_out.join("; "));
        Some(format!(
            "needs {gpus} {noun}, this run can use {usable} of this machine's {all} ({why})"
        ))
    }
}

/// Finds and locks GPUs of `host` for a run.
///
/// # Errors
///
/// [`BenchError::UnknownGpu`] and [`BenchError::GpusTaken`] for what was chosen by name.
pub fn claim(host: &Host, wish: &Wish, places: &Places) -> Result<Claim, BenchError> {
    let look = Look::at(&places.root);
    let cards = match wish.chosen {
        Some(names) => chosen(host, names)?,
        None => host.cards(),
    };
    let reason = |card: &Card| wish.unfit.get(&card.index).cloned().or_else(|| look.of(card.minor));
    let busy = |card: &Card| Some((card.index, reason(card)?));
    let mut taken = reasons(cards.iter().filter_map(busy));
    let free: Vec<Card> = cards.iter().filter(|card| busy(card).is_none()).cloned().collect();
    let wanted = |free: usize| if wish.chosen.is_some() { free } else { enough(wish, free) };
    let (mut locked, others) = lock(&free, wanted(free.len()), &places.locks)?;
    let usable = free.len() - others.len();
    taken.extend(others);
    let looked = look.extent();
    if wish.chosen.is_some() && !taken.is_empty() {
        return Err(BenchError::GpusTaken { taken, looked });
    }
    if wish.chosen.is_some() && cards.len() < host.gpus.len() {
        let numbers: Vec<_> = cards.iter().map(|card| card.index.to_string()).collect();
        taken.push(format!("GPU {} chosen", numbers.join(", ")));
    }
    // Fewer may be free than it seemed: then fewer are enough.
    locked.truncate(wanted(locked.len()));
    let (cards, locks) = locked.into_iter().unzip();
    Ok(Claim { pool: Pool { cards, usable, left_out: taken }, looked, _locks: locks })
}

/// `GPU 1 is …`, `GPUs 2, 3 are …`: one fragment for each reason, in the order of the first card that has it.
fn reasons(cards: impl Iterator<Item = (u32, String)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (index, reason) in cards {
        match groups.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, numbers)) => numbers.push(index.to_string()),
            None => groups.push((reason, vec![index.to_string()])),
        }
    }
    let text = |(reason, numbers): (String, Vec<String>)| match numbers.as_slice() {
        [one] => format!("GPU {one} is {reason}"),
        many => format!("GPUs {} are {reason}", many.join(", ")),
    };
    groups.into_iter().map(text).collect()
}

/// Cards with what keeps others from them.
type Locked = Vec<(Card, CardLock)>;

/// Locks `wanted` of the `free` cards; of those that could not be locked, who has them.
fn lock(free: &[Card], wanted: usize, folder: &Path) -> Result<(Locked, Vec<String>), BenchError> {
    let (mut locked, mut others) = (Vec::new(), Vec::new());
    for card in free {
        if locked.len() == wanted {
            break;
        }
        match card_lock::lock(folder, card)? {
            Ok(lock) => locked.push((card.clone(), lock)),
            Err(reason) => others.push(format!("GPU {} is {reason}", card.index)),
        }
    }
    Ok((locked, others))
}

/// How many GPUs a run can make use of where `free` are free.
fn enough(wish: &Wish, free: usize) -> usize {
    let fits = |needed: &usize| *needed <= free;
    let needs: Vec<usize> = wish.needs.iter().map(|needed| *needed as usize).collect();
    let largest = needs.iter().copied().filter(fits).max().unwrap_or(0);
    let singles = needs.iter().filter(|needed| **needed == 1).count();
    largest.max(singles.min(wish.jobs).min(free))
}

/// The cards of these names, in the order they were named in.
fn chosen(host: &Host, names: &[String]) -> Result<Vec<Card>, BenchError> {
    let all = host.cards();
    let mut cards: Vec<Card> = Vec::new();
    for name in names {
        let by_number = |card: &&Card| name.parse() == Ok(card.index);
        let by_uuid = |card: &&Card| {
            let uuid = card.uuid.as_deref().unwrap_or_default().to_ascii_lowercase();
            let name = name.to_ascii_lowercase();
            name.len() > "gpu-".len() && uuid.starts_with(&name)
        };
        let found: Vec<&Card> =
            all.iter().filter(|card| by_number(card) || by_uuid(card)).collect();
        match found.as_slice() {
            [card] if !cards.contains(card) => cards.push((*card).clone()),
            [_] => {}
            _ => {
                let line = |card: &Card| {
                    format!(
                        "{}  {}  {}",
                        card.index,
                        card.uuid.as_deref().unwrap_or("-"),
                        card.name
                    )
                };
                let known = all.iter().map(line).collect();
                return Err(BenchError::UnknownGpu { name: name.clone(), known });
            }
        }
    }
    Ok(cards)
}

impl Host {
    /// Its GPUs; known by their names alone if that is all that was found out.
    pub fn cards(&self) -> Vec<Card> {
        if !self.cards.is_empty() {
            return self.cards.clone();
        }
        let card = |(index, name): (u32, &String)| Card {
            index,
            minor: index,
            uuid: None,
            name: name.clone(),
        };
        (0..).zip(&self.gpus).map(card).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A machine with four GPUs, some of them in use.
    struct Machine {
        host: Host,
        places: Places,
        _folder: tempfile::TempDir,
    }

    impl Machine {
        fn new(busy: &[u32]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            let driver = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue";
            fs::create_dir_all(root.join("proc/driver/nvidia/gpus")).unwrap();
            fs::create_dir_all(root.join("dev")).unwrap();
            fs::create_dir_all(folder.path().join("locks")).unwrap();
            fs::write(root.join("proc/driver/nvidia/version"), driver).unwrap();
            for card in 0..4 {
                let place = root.join(format!("proc/driver/nvidia/gpus/0000:0{card}:00.0"));
                fs::create_dir(&place).unwrap();
                let uuid = format!("GPU-{card}{card}-x");
                let text = format!("Model: V100\nGPU UUID: {uuid}\nDevice Minor: {card}\n");
                fs::write(place.join("information"), text).unwrap();
                fs::write(root.join(format!("dev/nvidia{card}")), "").unwrap();
            }
            for card in busy {
                let place = root.join(format!("proc/{}/fd", 100 + card));
                fs::create_dir_all(&place).unwrap();
                fs::write(place.join("../comm"), "python3\n").unwrap();
                symlink(format!("/dev/nvidia{card}"), place.join("7")).unwrap();
            }
            let places = Places { root: root.clone(), locks: folder.path().join("locks") };
            Self { host: Host::under(&root), places, _folder: folder }
        }

        fn claim(
            &self,
            chosen: Option<&[&str]>,
            needs: &[u32],
            jobs: usize,
        ) -> Result<Claim, String> {
            let names =
                chosen.map(|names| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
            let unfit = BTreeMap::new();
            let wish = Wish { chosen: names.as_deref(), needs, jobs, unfit: &unfit };
            claim(&self.host, &wish, &self.places).map_err(|error| error.to_string())
        }
    }

    fn numbers(claim: &Claim) -> Vec<u32> {
        claim.pool.cards.iter().map(|card| card.index).collect()
    }

    #[test]
    fn a_run_takes_as_many_cards_as_its_largest_case_that_fits() {
        let machine = Machine::new(&[]);
        assert_eq!(numbers(&machine.claim(None, &[1, 8], 1).unwrap()), [0]);
        assert_eq!(numbers(&machine.claim(None, &[1, 4], 1).unwrap()), [0, 1, 2, 3]);
        assert_eq!(numbers(&machine.claim(None, &[1, 1, 1, 8], 2).unwrap()), [0, 1]);
        assert!(machine.claim(None, &[8], 1).unwrap().pool.cards.is_empty());
    }

    #[test]
    fn two_runs_have_different_cards_until_one_ends() {
        let machine = Machine::new(&[]);
        let first = machine.claim(None, &[1], 1).unwrap();
        let second = machine.claim(None, &[2], 1).unwrap();
        assert_eq!((numbers(&first), numbers(&second)), (vec![0], vec![1, 2]));
        let third = machine.claim(None, &[1, 4], 1).unwrap();
        assert_eq!(numbers(&third), [3]);
        let reason = third.pool.lacks(&machine.host, 4).unwrap();
        assert!(
            reason.starts_with("needs 4 GPUs, this run can use 1 of this machine's 4 (GPU 0 is")
        );
        assert!(reason.contains("locked by another run, process"), "{reason}");
        let error = machine.claim(Some(&["0", "3"]), &[2], 1).unwrap_err();
        assert!(error.contains("GPU 0 is locked by another run"), "{error}");
        drop((first, second, third));
        assert_eq!(numbers(&machine.claim(None, &[4], 1).unwrap()), [0, 1, 2, 3]);
    }

    #[test]
    fn busy_cards_are_passed_over_and_refused_when_they_were_chosen() {
        let machine = Machine::new(&[0, 2]);
        let claim = machine.claim(None, &[1, 2, 4], 1).unwrap();
        assert_eq!(numbers(&claim), [1, 3]);
        assert!(claim.pool.lacks(&machine.host, 2).is_none());
        let reason = claim.pool.lacks(&machine.host, 4).unwrap();
        assert!(reason.contains("GPU 0 is in use by process 100 (python3); GPU 2 is"), "{reason}");
        drop(claim);
        let error = machine.claim(Some(&["2", "3"]), &[1], 1).unwrap_err();
        assert!(error.contains("GPU 2 is in use by process 102 (python3)"), "{error}");
        assert!(error.contains("looked at the open files of 2 processes"), "{error}");
    }

    #[test]
    fn cards_that_the_image_cannot_run_on_are_as_good_as_taken() {
        let machine = Machine::new(&[0]);
        let unfit = BTreeMap::from([(1, "not fit: no code".to_owned())]);
        let wish = |chosen| Wish { chosen, needs: &[4], jobs: 1, unfit: &unfit };
        let claim = claim(&machine.host, &wish(None), &machine.places).unwrap();
        let reason = claim.pool.lacks(&machine.host, 4).unwrap();
        assert!(
            reason.starts_with("needs 4 GPUs, this run can use 2 of this machine's 4"),
            "{reason}"
        );
        assert!(reason.ends_with("; GPU 1 is not fit: no code)"), "{reason}");
        drop(claim);
        let chosen = ["1".to_owned()];
        let refused = super::claim(&machine.host, &wish(Some(&chosen)), &machine.places);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("GPU 1 is not fit: no code"), "{error}");
        let both = BTreeMap::from([(1, unfit[&1].clone()), (3, unfit[&1].clone())]);
        assert_eq!(Pool::fit(&machine.host, &both).left_out, ["GPUs 1, 3 are not fit: no code"]);
        let pool = Pool::fit(&machine.host, &unfit);
        assert_eq!(pool.cards.iter().map(|card| card.index).collect::<Vec<_>>(), [0, 2, 3]);
        assert!(pool.lacks(&machine.host, 4).unwrap().ends_with("(GPU 1 is not fit: no code)"));
        assert_eq!(pool.lacks(&machine.host, 3), None);
    }

    #[test]
    fn cards_are_chosen_by_number_or_by_the_beginning_of_their_uuid() {
        let machine = Machine::new(&[]);
        let claim = machine.claim(Some(&["3", "gpu-11", "3"]), &[1, 8], 1).unwrap();
        assert_eq!(numbers(&claim), [3, 1]);
        let reason = claim.pool.lacks(&machine.host, 8).unwrap();
        assert_eq!(
            reason,
            "needs 8 GPUs, this run can use 2 of this machine's 4 (GPU 3, 1 chosen)"
        );
        drop(claim);
        for name in ["4", "gpu-", "GPU-x", "all", ""] {
            let error = machine.claim(Some(&[name]), &[1], 1).unwrap_err();
            assert!(error.contains("2  GPU-22-x  V100"), "{error}");
        }
    }
}
