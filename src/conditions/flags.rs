//! Tells from the samples what would spoil the number.
//!
//! Each cause has a level that a sample must reach and a part of the case's time for which it
//! must do so. They are chosen so that what stays below moves a mean by about one percent at
//! most, which is how far runs on a quiet machine differ anyway.

use std::collections::BTreeMap;

use super::cards::{harmful, words};
use super::column::{CardColumn, Column, Sample};
use super::record::{Flag, FlagKind};

/// Processors' worth of load by others that counts: half of one can hold up a job of one thread.
const OTHERS: f64 = 0.5;

/// The same as a part of all processors: on a large machine a few are nobody's loss.
const OTHERS_PART: f64 = 0.1;

/// Part of all processors that a hypervisor may take away before it counts.
const STEAL_PART: f64 = 0.05;

/// Part of the time for which others must disturb: half a processor of two for a twentieth of
/// the time is about one percent.
const SPELL: f64 = 0.05;

/// Part of the time for which a clock must be low: slowdowns by hardware halve it, so that two
/// percent of the time are one to two percent of the work.
const THROTTLED_SPELL: f64 = 0.02;

/// Part of the time in which tasks wait for memory that counts: without want of memory it is zero.
const WAITED_FOR_MEMORY: f64 = 0.1;

/// Part of all memory below which the kernel drops the files that a job reads again and again.
const LITTLE_MEMORY: f64 = 0.02;

/// Bytes a second to or from swap that count: 256 pages, each of which a task may wait for.
const SWAPPED: f64 = 1_048_576.0;

/// Part of the time in which tasks wait for a disk that counts; less is usual where others only write logs.
const WAITED_FOR_DISK: f64 = 0.3;

/// Part of the time for which they must do so: every job waits for the disk while it starts.
const DISK_SPELL: f64 = 0.2;

/// Bytes free below which a disk is nearly full: two or three checkpoints of a detection model.
const NEARLY_FULL: f64 = 1_073_741_824.0;

/// The same as a part of a small file system.
const NEARLY_FULL_PART: f64 = 0.1;

/// Seconds that a spell lasts at least, in a case of more than two.
const SHORTEST: f64 = 1.0;

/// What the levels are parts of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Machine {
    /// Logical processors.
    pub processors: f64,
    /// Bytes of memory, if known.
    pub memory: Option<f64>,
    /// Bytes of each file system that is written to.
    pub disks: BTreeMap<Column, f64>,
}

/// What can spoil a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    CardThrottled(u32),
    ProcessorsThrottled,
    CardShared(u32),
    Others,
    Steal,
    WaitedForMemory,
    LittleMemory,
    Swapped,
    WaitedForDisk,
    NearlyFull(Column),
}

/// The time for which a cause was there.
#[derive(Debug, Clone, Copy)]
struct Spell {
    seconds: f64,
    from: f64,
    to: f64,
    /// The figure times seconds.
    sum: f64,
    least: f64,
    bits: u64,
}

/// Collects spells while samples come, so that nothing depends on how many are kept.
#[derive(Debug)]
pub(super) struct Watchman {
    machine: Machine,
    spells: BTreeMap<Cause, Spell>,
    total: f64,
}

impl Watchman {
    pub fn new(machine: Machine) -> Self {
        Self { machine, spells: BTreeMap::new(), total: 0.0 }
    }

    /// Looks at one sample, in the order of time.
    pub fn see(&mut self, sample: &Sample) {
        self.total += sample.period;
        for (cause, figure) in causes(sample, &self.machine) {
            let spell = self.spells.entry(cause).or_insert(Spell {
                seconds: 0.0,
                from: sample.seconds - sample.period,
                to: sample.seconds,
                sum: 0.0,
                least: figure,
                bits: 0,
            });
            spell.seconds += sample.period;
            spell.to = sample.seconds;
            spell.sum += figure * sample.period;
            spell.least = spell.least.min(figure);
            if let Cause::CardThrottled(card) = cause {
                spell.bits |= harmful(sample.bits(Column::Card(card, CardColumn::Throttle)));
            }
        }
    }

    /// What was there for long enough.
    pub fn flags(&self) -> Vec<Flag> {
        let enough = |(cause, spell): &(&Cause, &Spell)| {
            let needed = cause.part() * self.total;
            spell.seconds >= needed.max(SHORTEST.min(self.total / 2.0)).min(self.total)
                || matches!(cause, Cause::NearlyFull(_))
        };
        let flag = |(cause, spell): (&Cause, &Spell)| Flag {
            kind: cause.kind(),
            text: self.text(*cause, spell),
            from: rounded(spell.from),
            to: rounded(spell.to),
        };
        self.spells.iter().filter(enough).map(flag).collect()
    }

    fn text(&self, cause: Cause, spell: &Spell) -> String {
        let (figure, processors) = (spell.sum / spell.seconds, self.machine.processors);
        let what = match cause {
            Cause::CardThrottled(card) => format!("GPU {card} throttled ({})", words(spell.bits)),
            Cause::ProcessorsThrottled => "processors throttled by heat".to_owned(),
            Cause::CardShared(card) => format!("another process was on GPU {card}"),
            Cause::Others => format!("others used {figure:.1} of {processors} processors"),
            Cause::Steal => format!("the hypervisor took {figure:.1} of {processors} processors"),
            Cause::WaitedForMemory => {
                format!("tasks waited for memory {:.0} % of the time", figure * 100.0)
            }
            Cause::LittleMemory => format!("{} of memory were left", bytes(spell.least)),
            Cause::Swapped => format!("the machine swapped {} a second", bytes(figure)),
            Cause::WaitedForDisk => {
                format!("tasks waited for the disk {:.0} % of the time", figure * 100.0)
            }
            Cause::NearlyFull(column) => {
                let place = if column == Column::StoreFree { "store" } else { "results" };
                return format!("the disk of the {place} had {} left", bytes(spell.least));
            }
        };
        format!("{what} for {} of {}", span(spell.seconds), span(self.total))
    }
}

impl Cause {
    fn kind(self) -> FlagKind {
        match self {
            Self::CardThrottled(_) | Self::ProcessorsThrottled => FlagKind::Throttled,
            Self::CardShared(_) | Self::Others | Self::Steal => FlagKind::Disturbed,
            Self::WaitedForMemory | Self::LittleMemory | Self::Swapped => FlagKind::MemoryPressure,
            Self::WaitedForDisk => FlagKind::DiskPressure,
            Self::NearlyFull(_) => FlagKind::DiskFull,
        }
    }

    /// Part of the time for which it must be there.
    fn part(self) -> f64 {
        match self {
            Self::CardThrottled(_) | Self::ProcessorsThrottled => THROTTLED_SPELL,
            Self::WaitedForDisk => DISK_SPELL,
            _ => SPELL,
        }
    }
}

/// What is wrong in one sample, each with its figure.
fn causes(sample: &Sample, machine: &Machine) -> Vec<(Cause, f64)> {
    let swapped = [Column::SwapIn, Column::SwapOut].map(|column| sample.get(column).unwrap_or(0.0));
    let swapped = Some(swapped.iter().sum());
    let least_memory = machine.memory.map_or(0.0, |memory| memory * LITTLE_MEMORY);
    let at_least = |value: Option<f64>, level: f64| value.filter(|value| *value >= level);
    let below = |value: Option<f64>, level: f64| value.filter(|value| *value < level);
    let others = OTHERS.max(OTHERS_PART * machine.processors);
    // Where the number of processors is unknown nothing is a part of it.
    let steal = (STEAL_PART * machine.processors).max(f64::MIN_POSITIVE);
    let mut found = vec![
        (Cause::Others, at_least(sample.get(Column::CpuOthers), others)),
        (Cause::Steal, at_least(sample.get(Column::CpuSteal), steal)),
        (Cause::ProcessorsThrottled, at_least(sample.get(Column::CpuThrottle), 1.0)),
        (Cause::WaitedForMemory, at_least(sample.get(Column::PsiMemory), WAITED_FOR_MEMORY)),
        (Cause::LittleMemory, below(sample.get(Column::MemoryAvailable), least_memory)),
        (Cause::Swapped, at_least(swapped, SWAPPED)),
        (Cause::WaitedForDisk, at_least(sample.get(Column::PsiIo), WAITED_FOR_DISK)),
    ];
    for (column, size) in &machine.disks {
        let level = NEARLY_FULL.min(NEARLY_FULL_PART * size);
        found.push((Cause::NearlyFull(*column), below(sample.get(*column), level)));
    }
    for (column, value) in &sample.values {
        let Column::Card(card, of_card) = *column else { continue };
        let bits = harmful(*value as u64) as f64;
        match of_card {
            CardColumn::Throttle => {
                found.push((Cause::CardThrottled(card), at_least(Some(bits), 1.0)));
            }
            CardColumn::Others => {
                found.push((Cause::CardShared(card), at_least(Some(*value), 1.0)))
            }
            _ => {}
        }
    }
    found.into_iter().filter_map(|(cause, figure)| Some((cause, figure?))).collect()
}

/// `4.2 s`, `80 s`, `12 min`.
fn span(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..600.0 => format!("{seconds:.0} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

/// `312 MB`, `1.5 GB`.
fn bytes(number: f64) -> String {
    if number < 1e9 { format!("{:.0} MB", number / 1e6) } else { format!("{:.1} GB", number / 1e9) }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
