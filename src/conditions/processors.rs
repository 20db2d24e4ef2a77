//! Clocks, heat and load of the processors.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::column::{Column, Count, Seen, Source};

/// Processors whose clock and heat are read, spread evenly over all. Before Linux 5.18 each
/// reading of a clock interrupts that processor, so that looking at hundreds would disturb.
const LOOKED_AT: usize = 16;

/// Drivers of sensors in processors.
const SENSORS: [&str; 4] = ["coretemp", "k10temp", "zenpower", "cpu_thermal"];

/// Processor time of the job and of this process; the reason if it is not known.
pub(super) type Own = Box<dyn FnMut() -> Result<Duration, String> + Send>;

/// The processors of the machine below a root.
pub(super) struct Processors {
    stat: PathBuf,
    own: Own,
    /// Ticks a second in `/proc/stat`.
    ticks: f64,
    clocks: Vec<PathBuf>,
    cpuinfo: Option<PathBuf>,
    throttles: Vec<PathBuf>,
    sensors: Vec<PathBuf>,
    others: Count,
    steal: Count,
    throttled: Count,
}

impl Processors {
    /// Those below `root`; `own` tells what of their time is not others'.
    pub fn under(root: &Path, own: Own) -> Self {
        let folder = root.join("sys/devices/system/cpu");
        let looked_at = looked_at(count(root));
        let files = |name: &str| -> Vec<PathBuf> {
            let all = looked_at.iter().map(|cpu| folder.join(format!("cpu{cpu}")).join(name));
            all.filter(|file| file.is_file()).collect()
        };
        let throttles = ["core_throttle_count", "package_throttle_count"];
        let throttles = throttles.map(|name| files(&format!("thermal_throttle/{name}")));
        Self {
            stat: root.join("proc/stat"),
            own,
            ticks: rustix::param::clock_ticks_per_second().max(1) as f64,
            clocks: files("cpufreq/scaling_cur_freq"),
            cpuinfo: has_live_clock(root).then(|| root.join("proc/cpuinfo")),
            throttles: throttles.concat(),
            sensors: sensors(root),
            others: Count::default(),
            steal: Count::default(),
            throttled: Count::default(),
        }
    }

    fn clock(&self) -> Result<f64, &'static str> {
        let kilohertz: Vec<f64> = self.clocks.iter().filter_map(|file| number(file)).collect();
        if let Some(mean) = mean(&kilohertz) {
            return Ok(mean / 1000.0);
        }
        let text = self.cpuinfo.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let text = text.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("cpu MHz"));
        let values = lines.filter_map(|line| line.split_once(':')?.1.trim().parse().ok());
        mean(&values.collect::<Vec<f64>>())
            .ok_or("the kernel tells no clock, as in most virtual machines")
    }

    fn look_at_load(&mut self, seen: &mut Seen) {
        let Some(times) = times(&self.stat) else {
            seen.note(Column::CpuOthers, Err("`/proc/stat` cannot be read"));
            seen.note(Column::CpuSteal, Err("`/proc/stat` cannot be read"));
            return;
        };
        if let Some(steal) = self.steal.rate(times.stolen / self.ticks, seen.since) {
            seen.note(Column::CpuSteal, Ok::<_, String>(steal));
        }
        match (self.own)() {
            Err(reason) => seen.note(Column::CpuOthers, Err(reason)),
            Ok(own) => {
                let others = times.busy / self.ticks - own.as_secs_f64();
                // The kernel's ticks are coarse: what seems negative is nothing.
                let others = self.others.not_below(others);
                if let Some(load) = self.others.rate(others, seen.since) {
                    seen.note(Column::CpuOthers, Ok::<_, String>(load));
                }
            }
        }
    }

    fn look_at_heat(&mut self, seen: &mut Seen) {
        if self.throttles.is_empty() {
            seen.note(Column::CpuThrottle, Err("the kernel counts no thermal throttling"));
        } else {
            let events: f64 = self.throttles.iter().filter_map(|file| number(file)).sum();
            if let Some(events) = self.throttled.grown(events) {
                seen.note(Column::CpuThrottle, Ok::<_, String>(events));
            }
        }
        let hottest = self.sensors.iter().filter_map(|file| number(file)).reduce(f64::max);
        let hottest = hottest.map(|millidegrees| millidegrees / 1000.0);
        seen.note(Column::CpuCelsius, hottest.ok_or("no sensor of a processor"));
    }
}

impl Source for Processors {
    fn look(&mut self, seen: &mut Seen) {
        self.look_at_load(seen);
        seen.note(Column::CpuMhz, self.clock());
        self.look_at_heat(seen);
    }
}

/// Ticks of all processors since the machine started.
struct Times {
    busy: f64,
    stolen: f64,
}

/// Reads the first line of `/proc/stat` (proc(5)).
fn times(stat: &Path) -> Option<Times> {
    let text = fs::read_to_string(stat).ok()?;
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<f64> = fields.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    let field = |position: usize| fields.get(position).copied().unwrap_or(0.0);
    if fields.len() < 4 {
        return None;
    }
    // user, nice, system, irq and softirq; idle and waiting for a disk are nobody's work, and a
    // guest's time is part of user.
    let busy = [0, 1, 2, 5, 6].into_iter().map(field).sum();
    Some(Times { busy, stolen: field(7) })
}

/// Logical processors of the machine.
pub(super) fn count(root: &Path) -> usize {
    let text = fs::read_to_string(root.join("proc/stat")).unwrap_or_default();
    let is_one = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    text.lines().filter(is_one).count()
}

fn looked_at(count: usize) -> Vec<usize> {
    let many = count.min(LOOKED_AT);
    (0..many).map(|position| position * count / many).collect()
}

/// Whether `/proc/cpuinfo` shows a clock that was measured: without this feature it repeats
/// one constant for ever.
fn has_live_clock(root: &Path) -> bool {
    let text = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "aperfmperf")
}

/// The first temperature of each package.
fn sensors(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("sys/class/hwmon")).into_iter().flatten();
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_processor = |folder: &PathBuf| {
        let name = fs::read_to_string(folder.join("name")).unwrap_or_default();
        SENSORS.contains(&name.trim())
    };
    let mut files: Vec<PathBuf> =
        folders.filter(is_processor).map(|folder| folder.join("temp1_input")).collect();
    files.sort();
    files
}

pub(super) fn number(file: &Path) -> Option<f64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::tree::Tree;

    fn looks(tree: &Tree, own: Own, change: impl FnOnce(&Tree)) -> Seen {
        let mut processors = Processors::under(tree.path(), own);
        processors.ticks = 100.0;
        processors.look(&mut Seen::default());
        change(tree);
        let mut seen = Seen { since: Some(2.0), ..Seen::default() };
        processors.look(&mut seen);
        seen
    }

    fn used(seconds: &'static [u64]) -> Own {
        let mut seconds = seconds.iter().map(|seconds| Duration::from_secs(*seconds));
        Box::new(move || seconds.next().ok_or_else(|| "gone".to_owned()))
    }

    #[test]
    fn the_load_of_others_is_what_the_job_did_not_use() {
        let tree =
            Tree::new(&[("proc/stat", "cpu  100 0 100 5000 70 0 0 10 40 0\ncpu0 1\ncpu1 1\n")]);
        let seen = looks(&tree, used(&[1, 3]), |tree| {
            // 400 ticks busy in two seconds, of which the job used two seconds: one processor's worth.
            tree.write("proc/stat", "cpu  300 50 200 5000 90 25 25 60 90 0\n");
        });
        assert_eq!(seen.values[&Column::CpuOthers], 1.0);
        assert_eq!(seen.values[&Column::CpuSteal], 0.25);
        assert_eq!(count(tree.path()), 0, "the second text has no processors");
    }

    #[test]
    fn a_load_that_seems_negative_is_none() {
        let tree = Tree::new(&[("proc/stat", "cpu  100 0 100 5000 0 0 0 0 0 0\ncpu0 1\n")]);
        let seen = looks(&tree, used(&[1, 9]), |tree| {
            tree.write("proc/stat", "cpu  150 0 100 5000 0 0 0 0 0 0\n");
        });
        assert_eq!(seen.values[&Column::CpuOthers], 0.0);
    }

    #[test]
    fn what_a_virtual_machine_does_not_show_is_not_measured() {
        let tree = Tree::new(&[
            ("proc/stat", "cpu  1 0 1 5 0 0 0 0 0 0\ncpu0 1\n"),
            ("proc/cpuinfo", "processor: 0\ncpu MHz : 2596.0\nflags : fpu hypervisor\n"),
        ]);
        let seen = looks(&tree, Box::new(|| Err("no control group".to_owned())), |_| {});
        assert_eq!(seen.missing["cpu_others"], "no control group");
        assert!(seen.missing["cpu_mhz"].contains("no clock"));
        assert!(seen.missing.contains_key("cpu_throttle"));
        assert!(seen.missing.contains_key("cpu_celsius"));
        let nothing = looks(&Tree::new(&[]), used(&[1, 1]), |_| {});
        assert!(nothing.values.is_empty());
        assert_eq!(nothing.missing["cpu_steal"], "`/proc/stat` cannot be read");
    }

    #[test]
    fn clocks_heat_and_throttling_are_read() {
        let cpu = |number: u32, file: &str| format!("sys/devices/system/cpu/cpu{number}/{file}");
        let tree = Tree::new(&[
            ("proc/stat", "cpu  1 0 1 5 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n"),
            (&cpu(0, "cpufreq/scaling_cur_freq"), "3000000\n"),
            (&cpu(1, "cpufreq/scaling_cur_freq"), "2000000\n"),
            (&cpu(0, "thermal_throttle/core_throttle_count"), "5\n"),
            (&cpu(1, "thermal_throttle/package_throttle_count"), "7\n"),
            ("sys/class/hwmon/hwmon0/name", "nvme\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "99000\n"),
            ("sys/class/hwmon/hwmon1/name", "coretemp\n"),
            ("sys/class/hwmon/hwmon1/temp1_input", "81500\n"),
        ]);
        let seen = looks(&tree, used(&[1, 1]), |tree| {
            tree.write(&cpu(0, "thermal_throttle/core_throttle_count"), "9\n");
        });
        assert_eq!(seen.values[&Column::CpuMhz], 2500.0);
        assert_eq!(seen.values[&Column::CpuThrottle], 4.0);
        assert_eq!(seen.values[&Column::CpuCelsius], 81.5);
    }

    #[test]
    fn the_clock_of_cpuinfo_counts_where_it_is_a_measured_one() {
        let tree = Tree::new(&[
            ("proc/stat", "cpu  1 0 1 5 0 0 0 0 0 0\ncpu0 1\n"),
            ("proc/cpuinfo", "cpu MHz\t\t: 2600.0\nflags\t: fpu aperfmperf\ncpu MHz\t: 3400.0\n"),
        ]);
        assert_eq!(looks(&tree, used(&[1, 1]), |_| {}).values[&Column::CpuMhz], 3000.0);
    }

    #[test]
    fn of_many_processors_a_few_are_looked_at_evenly() {
        assert_eq!(looked_at(0), [0usize; 0]);
        assert_eq!(looked_at(3), [0, 1, 2]);
        assert_eq!(looked_at(128), (0..16).map(|number| number * 8).collect::<Vec<_>>());
    }
}
