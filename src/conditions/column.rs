//! What is measured, and one sample of it.

use std::collections::BTreeMap;
use std::fmt;

/// One column of the samples; the order is that of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    /// Mean clock of the processors that were looked at.
    CpuMhz,
    /// Processors' worth of load by others than the job and `repro`.
    CpuOthers,
    /// Processors' worth of time that a hypervisor gave to others.
    CpuSteal,
    /// Times that a processor was slowed down by heat since the last sample.
    CpuThrottle,
    /// The hottest package.
    CpuCelsius,
    /// Bytes that could be had without swapping.
    MemoryAvailable,
    /// Bytes a second from swap.
    SwapIn,
    /// Bytes a second to swap.
    SwapOut,
    /// Part of the time in which a task waited for a processor.
    PsiCpu,
    /// The same for memory.
    PsiMemory,
    /// The same for a disk.
    PsiIo,
    /// Bytes free where results are written.
    DiskFree,
    /// Bytes free in the store, where that is another file system.
    StoreFree,
    /// Bytes a second from the disks of results, store and data.
    DiskRead,
    /// Bytes a second to them.
    DiskWrite,
    /// Something of the GPU with this number.
    Card(u32, CardColumn),
}

/// What is measured of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardColumn {
    /// Clock of its processors.
    SmMhz,
    /// Clock of its memory.
    MemoryMhz,
    /// Temperature.
    Celsius,
    /// Power that it draws.
    Watts,
    /// Power that it may draw.
    WattsLimit,
    /// Part of the time in which it computed.
    Utilisation,
    /// Bytes of its memory in use.
    MemoryUsed,
    /// Why its clock is lower than it could be, bits as the driver gives them.
    Throttle,
    /// Processes on it that are not the job's.
    Others,
    /// Errors of its memory since the driver was loaded that could not be corrected.
    EccErrors,
}

impl CardColumn {
    /// Every one.
    pub(super) const ALL: [Self; 10] = [
        Self::SmMhz,
        Self::MemoryMhz,
        Self::Celsius,
        Self::Watts,
        Self::WattsLimit,
        Self::Utilisation,
        Self::MemoryUsed,
        Self::Throttle,
        Self::Others,
        Self::EccErrors,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SmMhz => "sm_mhz",
            Self::MemoryMhz => "memory_mhz",
            Self::Celsius => "celsius",
            Self::Watts => "watts",
            Self::WattsLimit => "watts_limit",
            Self::Utilisation => "utilisation",
            Self::MemoryUsed => "memory_used",
            Self::Throttle => "throttle",
            Self::Others => "others",
            Self::EccErrors => "ecc_errors",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CpuMhz => "cpu_mhz",
            Self::CpuOthers => "cpu_others",
            Self::CpuSteal => "cpu_steal",
            Self::CpuThrottle => "cpu_throttle",
            Self::CpuCelsius => "cpu_celsius",
            Self::MemoryAvailable => "memory_available",
            Self::SwapIn => "swap_in",
            Self::SwapOut => "swap_out",
            Self::PsiCpu => "psi_cpu",
            Self::PsiMemory => "psi_memory",
            Self::PsiIo => "psi_io",
            Self::DiskFree => "disk_free",
            Self::StoreFree => "store_free",
            Self::DiskRead => "disk_read",
            Self::DiskWrite => "disk_write",
            Self::Card(card, column) => return write!(f, "gpu{card}_{}", column.name()),
        })
    }
}

/// What was seen of the machine in one stretch of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    /// Its end, in seconds since the command's start.
    pub seconds: f64,
    /// Its length in seconds.
    pub period: f64,
    /// What was measured; what was not is absent.
    pub values: BTreeMap<Column, f64>,
}

impl Sample {
    /// A column's value, if it was measured.
    pub fn get(&self, column: Column) -> Option<f64> {
        self.values.get(&column).copied()
    }

    /// Bits of a column.
    pub fn bits(&self, column: Column) -> u64 {
        // NVML has nine of them; a float holds 53.
        self.get(column).map_or(0, |value| value as u64)
    }

    /// This and the next one as one: means by time, counts added, bits of either.
    pub fn joined(&self, next: &Self) -> Self {
        let mut joined = Self {
            seconds: next.seconds,
            period: self.period + next.period,
            values: self.values.clone(),
        };
        for (column, value) in &next.values {
            let both = match self.get(*column) {
                None => *value,
                Some(earlier) => match column {
                    Column::CpuThrottle => earlier + value,
                    Column::Card(_, CardColumn::Throttle) => {
                        (self.bits(*column) | next.bits(*column)) as f64
                    }
                    Column::Card(_, CardColumn::Others | CardColumn::EccErrors) => {
                        earlier.max(*value)
                    }
                    _ => (earlier * self.period + value * next.period) / joined.period,
                },
            };
            joined.values.insert(*column, both);
        }
        joined
    }
}

/// Takes in what the sources see.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Seconds since they last looked; `None` the first time.
    pub since: Option<f64>,
    /// What they measured.
    pub values: BTreeMap<Column, f64>,
    /// Why they did not measure the rest.
    pub missing: BTreeMap<String, String>,
}

impl Seen {
    /// Notes a value or why there is none.
    pub fn note<E: fmt::Display>(&mut self, column: Column, value: Result<f64, E>) {
        match value {
            Ok(value) => {
                self.values.insert(column, value);
            }
            Err(reason) => {
                self.missing.insert(column.to_string(), reason.to_string());
            }
        }
    }
}

/// Something of the machine that can be looked at again and again.
pub(super) trait Source: Send {
    /// Notes what is to be seen now; rates are those since the last look.
    fn look(&mut self, seen: &mut Seen);
}

/// A count that only grows, as the kernel keeps them.
#[derive(Debug, Default)]
pub(super) struct Count(Option<f64>);

impl Count {
    /// By how much it has grown a second; nothing at the first look and after it was reset.
    pub fn rate(&mut self, now: f64, since: Option<f64>) -> Option<f64> {
        let grown = self.grown(now)?;
        since.filter(|seconds| *seconds > 0.0).map(|seconds| grown / seconds)
    }

    /// `now`, or what it was at the last look if that was more.
    pub fn not_below(&self, now: f64) -> f64 {
        self.0.map_or(now, |before| now.max(before))
    }

    /// By how much it has grown since the last look.
    pub fn grown(&mut self, now: f64) -> Option<f64> {
        let before = self.0.replace(now)?;
        (now >= before).then_some(now - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_samples_become_one_without_losing_what_was_rare() {
        let throttle = Column::Card(0, CardColumn::Throttle);
        let sample = |seconds, period, others, bits, events| Sample {
            seconds,
            period,
            values: BTreeMap::from([
                (Column::CpuOthers, others),
                (throttle, bits),
                (Column::CpuThrottle, events),
            ]),
        };
        let mut next = sample(4.0, 3.0, 2.0, 8.0, 1.0);
        next.values.insert(Column::CpuMhz, 3000.0);
        let joined = sample(1.0, 1.0, 6.0, 4.0, 2.0).joined(&next);
        assert_eq!((joined.seconds, joined.period), (4.0, 4.0));
        assert_eq!(joined.get(Column::CpuOthers), Some(3.0));
        assert_eq!(joined.bits(throttle), 12);
        assert_eq!(joined.get(Column::CpuThrottle), Some(3.0));
        assert_eq!(joined.get(Column::CpuMhz), Some(3000.0));
    }

    #[test]
    fn a_count_that_was_reset_gives_no_rate() {
        let mut count = Count::default();
        assert_eq!(count.rate(100.0, None), None);
        assert_eq!(count.rate(150.0, Some(2.0)), Some(25.0));
        assert_eq!(count.rate(10.0, Some(1.0)), None);
        assert_eq!(count.rate(11.0, Some(1.0)), Some(1.0));
    }

    #[test]
    fn columns_have_the_names_of_the_file() {
        assert_eq!(Column::CpuOthers.to_string(), "cpu_others");
        assert_eq!(Column::Card(3, CardColumn::SmMhz).to_string(), "gpu3_sm_mhz");
        let names: std::collections::BTreeSet<_> =
            CardColumn::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(names.len(), CardColumn::ALL.len());
    }
}
