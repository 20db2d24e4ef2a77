//! The GPUs of a case: what they show, and who else is on them.

use std::collections::{BTreeMap, BTreeSet};

use super::column::{CardColumn, Column, Seen, Source};
use crate::engine::Card;

/// Looks at GPUs: the driver's library, or what a test makes up.
pub trait CardReader: Send {
    /// What `card` shows now; why nothing can be read of it.
    fn read(&mut self, card: &Card) -> Result<CardReading, String>;
}

/// What one GPU shows at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct CardReading {
    /// What was read, and why the rest was not.
    pub values: BTreeMap<CardColumn, Result<f64, String>>,
    /// The processes that have memory on it.
    pub processes: Result<BTreeSet<u32>, String>,
}

/// Tells the processes of the job; `None` if they cannot be told from others.
pub(super) type Own = Box<dyn FnMut() -> Option<BTreeSet<u32>> + Send>;

/// The GPUs of one case.
pub(super) struct Cards {
    cards: Vec<Card>,
    reader: Result<Box<dyn CardReader>, String>,
    own: Own,
}

impl Cards {
    /// Looks at `cards` with `reader`, or says why it cannot.
    pub fn new(cards: Vec<Card>, reader: Result<Box<dyn CardReader>, String>, own: Own) -> Self {
        Self { cards, reader, own }
    }
}

impl Source for Cards {
    fn look(&mut self, seen: &mut Seen) {
        let reader = match &mut self.reader {
            Ok(reader) => reader,
            Err(reason) => {
                seen.missing.insert("gpu".to_owned(), reason.clone());
                return;
            }
        };
        let own = (self.own)();
        for card in &self.cards {
            match reader.read(card) {
                Ok(reading) => note(seen, card, reading, own.as_ref()),
                Err(reason) => {
                    seen.missing.insert(format!("gpu{}", card.index), reason);
                }
            }
        }
    }
}

fn note(seen: &mut Seen, card: &Card, reading: CardReading, own: Option<&BTreeSet<u32>>) {
    for (column, value) in reading.values {
        seen.note(Column::Card(card.index, column), value);
    }
    let others = match (reading.processes, own) {
        (Err(reason), _) => Err(reason),
        (Ok(all), Some(own)) => Ok(all.difference(own).count() as f64),
        (Ok(_), None) => Err("the job's processes cannot be told from others".to_owned()),
    };
    seen.note(Column::Card(card.index, CardColumn::Others), others);
}

/// Reasons for a lower clock that spoil a measurement, by their bit (`nvml.h`). Not among them:
/// an idle card (1), clocks that somebody has set (2, and 256 for a display).
const REASONS: [(u64, &str); 6] = [
    (4, "power cap"),
    (8, "hardware slowdown"),
    (16, "sync boost"),
    (32, "heat"),
    (64, "heat, slowed down by hardware"),
    (128, "power brake"),
];

/// The reasons among `bits` that spoil a measurement.
pub(super) fn harmful(bits: u64) -> u64 {
    REASONS.iter().fold(0, |all, (bit, _)| all | bit) & bits
}

/// Those reasons in words.
pub(super) fn words(bits: u64) -> String {
    let found = REASONS.iter().filter(|(bit, _)| bits & bit != 0);
    found.map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;

    /// Answers with prepared readings, one after the other; the last one for ever.
    pub struct Fake(pub BTreeMap<u32, Vec<CardReading>>);

    impl CardReader for Fake {
        fn read(&mut self, card: &Card) -> Result<CardReading, String> {
            let readings = self.0.get_mut(&card.index).ok_or("it fell off the bus")?;
            match readings.len() {
                0 => Err("nothing was prepared".to_owned()),
                1 => Ok(readings[0].clone()),
                _ => Ok(readings.remove(0)),
            }
        }
    }

    pub fn card(index: u32) -> Card {
        let uuid = Some(format!("GPU-{index}"));
        Card { index, minor: index, uuid, name: "Tesla V100-SXM2-32GB".to_owned() }
    }

    pub fn reading(values: &[(CardColumn, f64)], processes: &[u32]) -> CardReading {
        CardReading {
            values: values.iter().map(|(column, value)| (*column, Ok(*value))).collect(),
            processes: Ok(processes.iter().copied().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{Fake, card, reading};
    use super::*;

    fn look(cards: Vec<Card>, reader: Result<Box<dyn CardReader>, String>, own: Own) -> Seen {
        let mut seen = Seen::default();
        Cards::new(cards, reader, own).look(&mut seen);
        seen
    }

    #[test]
    fn a_card_is_read_and_processes_of_others_are_counted() {
        let mut shown = reading(&[(CardColumn::SmMhz, 1530.0)], &[70, 71, 900]);
        shown.values.insert(CardColumn::EccErrors, Err("not supported".to_owned()));
        let reader = Box::new(Fake([(3, vec![shown])].into()));
        let seen = look(vec![card(3), card(4)], Ok(reader), Box::new(|| Some([70, 71].into())));
        assert_eq!(seen.values[&Column::Card(3, CardColumn::SmMhz)], 1530.0);
        assert_eq!(seen.values[&Column::Card(3, CardColumn::Others)], 1.0);
        assert_eq!(seen.missing["gpu3_ecc_errors"], "not supported");
        assert_eq!(seen.missing["gpu4"], "it fell off the bus");
    }

    #[test]
    fn without_the_drivers_library_nothing_is_measured_and_nothing_fails() {
        let seen = look(vec![card(0)], Err("no library".to_owned()), Box::new(|| None));
        assert!(seen.values.is_empty());
        assert_eq!(seen.missing, [("gpu".to_owned(), "no library".to_owned())].into());
    }

    #[test]
    fn who_is_on_a_card_is_unknown_where_the_jobs_processes_are() {
        let reader = Box::new(Fake([(0, vec![reading(&[], &[5])])].into()));
        let seen = look(vec![card(0)], Ok(reader), Box::new(|| None));
        assert!(seen.missing["gpu0_others"].contains("cannot be told"));
    }

    #[test]
    fn an_idle_card_and_clocks_that_were_set_are_no_throttling() {
        assert_eq!(harmful(1 | 2 | 256), 0);
        assert_eq!(harmful(1 | 4 | 32), 36);
        assert_eq!(words(4 | 32 | 256), "power cap, heat");
    }
}
