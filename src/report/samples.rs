//! The samples of the machine's conditions that lie beside a record.

use std::path::{Component, Path};

use crate::conditions::ConditionsRecord;
use crate::digest::Digest;
use crate::named_file;

/// Samples over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Samples {
    /// Since the command's start.
    pub seconds: Vec<f64>,
    /// The other columns with their names, each as long as `seconds`; absent where not measured.
    columns: Vec<(String, Vec<Option<f64>>)>,
}

/// Quantities that share a plot.
#[derive(Debug)]
pub(super) struct Panel<'a> {
    pub title: &'static str,
    pub unit: &'static str,
    /// What values are divided by to be in that unit.
    pub divisor: f64,
    pub from_zero: bool,
    pub lines: Vec<Line<'a>>,
}

/// One column in a panel.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub label: String,
    pub values: &'a [Option<f64>],
}

/// Panel, unit, divisor, whether its axis begins at 0, and the columns in it; `gpu` stands for each GPU.
type Kind = (&'static str, &'static str, f64, bool, &'static [&'static str]);

const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;

/// Shown only where it happened: on most machines it never does.
const SWAP: &str = "Swap traffic";

/// In the order in which a reader asks.
const PANELS: [Kind; 14] = [
    ("Load of others", "processors", 1.0, true, &["cpu_others", "cpu_steal"]),
    ("Processor clock", "MHz", 1.0, false, &["cpu_mhz"]),
    ("Processor temperature", "°C", 1.0, false, &["cpu_celsius"]),
    ("GPU clock", "MHz", 1.0, false, &["gpu_sm_mhz"]),
    ("GPU temperature", "°C", 1.0, false, &["gpu_celsius"]),
    ("GPU power", "W", 1.0, true, &["gpu_watts"]),
    ("GPU utilisation", "%", 0.01, true, &["gpu_utilisation"]),
    ("GPU memory used", "GiB", GIB, true, &["gpu_memory_used"]),
    ("GPU memory clock", "MHz", 1.0, false, &["gpu_memory_mhz"]),
    ("Memory available", "GiB", GIB, true, &["memory_available"]),
    ("Tasks kept waiting", "% of the time", 0.01, true, &["psi_cpu", "psi_memory", "psi_io"]),
    (SWAP, "MiB/s", MIB, true, &["swap_in", "swap_out"]),
    ("Disk traffic", "MiB/s", MIB, true, &["disk_read", "disk_write"]),
    ("Disk free", "GiB", GIB, true, &["disk_free"]),
];

impl Samples {
    /// Reads the file that `record` names beside it, which must be what the record says.
    pub fn read(folder: &Path, record: &ConditionsRecord) -> Result<Self, String> {
        let (Some(file), Some(digest)) = (&record.file, &record.digest) else {
            let why = record.not_measured.get("file").map_or("nobody knows why", String::as_str);
            return Err(format!("they were not written: {why}"));
        };
        // A record from elsewhere may name anything.
        let mut parts = Path::new(file).components();
        let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
            return Err(format!("`{file}` is no file beside the record"));
        };
        let bytes = named_file::read(&folder.join(name))
            .map_err(|error| format!("`{file}` cannot be read: {}", error.kind()))?;
        if Digest::of(&bytes) != *digest {
            return Err(format!("`{file}` is not what was recorded"));
        }
        Self::parse(&bytes).ok_or_else(|| format!("`{file}` has no samples"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let names = reader.headers().ok()?.clone();
        let columns = names.iter().skip(1).map(|name| (name.to_owned(), Vec::new())).collect();
        let mut samples = Self { seconds: Vec::new(), columns };
        for line in reader.records() {
            let line = line.ok()?;
            let number = |index: usize| {
                let number: Option<f64> = line.get(index).and_then(|cell| cell.trim().parse().ok());
                number.filter(|number| number.is_finite())
            };
            samples.seconds.push(number(0)?);
            for (index, (_, values)) in samples.columns.iter_mut().enumerate() {
                values.push(number(index + 1));
            }
        }
        (!samples.seconds.is_empty()).then_some(samples)
    }

    /// The panels that have anything to show.
    pub fn panels(&self) -> Vec<Panel<'_>> {
        let panel = |(title, unit, divisor, from_zero, names): &Kind| {
            let lines: Vec<Line> = names.iter().flat_map(|name| self.lines(name)).collect();
            let least = if *title == SWAP { 0.0 } else { f64::NEG_INFINITY };
            let mut values = lines.iter().flat_map(|line| line.values).flatten();
            let has_value = values.any(|value| *value > least);
            let (divisor, from_zero) = (*divisor, *from_zero);
            has_value.then_some(Panel { title, unit, divisor, from_zero, lines })
        };
        PANELS.iter().filter_map(panel).collect()
    }

    /// The column of this name, or for `gpu_watts` those of every GPU.
    fn lines(&self, name: &str) -> Vec<Line<'_>> {
        let of_gpu = name.strip_prefix("gpu_");
        let line = |(column, values): &'_ (String, Vec<Option<f64>>)| {
            let label = match of_gpu {
                None => (column == name).then(|| name.replace('_', " "))?,
                Some(kind) => {
                    let (number, rest) = column.strip_prefix("gpu")?.split_once('_')?;
                    (rest == kind).then(|| format!("GPU {number}"))?
                }
            };
            Some((label, values.len()))
        };
        let lines = self.columns.iter().filter_map(|column| Some((line(column)?, &column.1)));
        lines.map(|((label, _), values)| Line { label, values }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "seconds,cpu_others,gpu0_watts,gpu1_watts,psi_io\n0,0.5,,250,0\n1,1.5,,300,0.25\n";

    #[test]
    fn panels_have_what_was_measured() {
        let samples = Samples::parse(TEXT.as_bytes()).unwrap();
        let panels = samples.panels();
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title).collect();
        assert_eq!(titles, ["Load of others", "GPU power", "Tasks kept waiting"]);
        let labels: Vec<&str> = panels[1].lines.iter().map(|line| line.label.as_str()).collect();
        assert_eq!(labels, ["GPU 0", "GPU 1"]);
        assert_eq!(panels[1].lines[1].values, [Some(250.0), Some(300.0)]);
    }

    #[test]
    fn a_file_that_is_not_the_recorded_one_is_not_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let read = |file: &str, content: &[u8]| {
            let record = ConditionsRecord {
                file: Some(file.to_owned()),
                digest: Some(Digest::of(content)),
                ..ConditionsRecord::default()
            };
            Samples::read(folder.path(), &record)
        };
        std::fs::write(folder.path().join("conditions.csv"), TEXT).unwrap();
        assert!(read("conditions.csv", TEXT.as_bytes()).is_ok());
        let reason = read("conditions.csv", b"other").unwrap_err();
        assert_eq!(reason, "`conditions.csv` is not what was recorded");
        assert!(read("../conditions.csv", TEXT.as_bytes()).is_err());
        assert!(read("/etc/passwd", TEXT.as_bytes()).is_err());
        assert!(read("none.csv", b"").is_err());
    }
}
