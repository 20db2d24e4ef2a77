//! Rehearses a case without GPUs: its real command starts, and is good when it asks for the GPU.
//!
//! A path, link, folder or program that a case of GPUs lacks shows on any machine, long before the first step.
//! What ends the command decides: the guide's code has to fail for want of a GPU and of nothing else.
//! Nothing is measured and no record is written, so a rehearsal can never be taken for a result.

use std::time::Duration;

use regex::Regex;
use serde::Serialize;

use super::plan::PlannedCase;
use super::verdict::chain;
use crate::engine::{Engine, EngineError, Exit, Mount, Stop};
use crate::image::Image;
use crate::recipe::Recipe;
use crate::store::Store;

/// How long a command may take until it asks for the GPU, if nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How frameworks say that there is no GPU.
const NO_GPU: [&str; 8] = [
    // torch, without a driver and with one that finds no card
    "Found no NVIDIA driver",
    "No CUDA GPUs are available",
    // the CUDA runtime; the second one is its word for a driver that is not there, too
    "no CUDA-capable device",
    "CUDA driver version is insufficient",
    // torch's NCCL; detectron2's launcher
    "no GPUs found",
    "cuda is not available",
    // MindSpore
    "Failed to get current device number",
    "libcuda.so.1: cannot open shared object file",
];

/// The statement that chooses a card. Where there is none, mmcv computes its number modulo zero
/// (`_init_dist_pytorch` in mmcv/runner/dist_utils.py), and the error's own words tell of no GPU.
const CHOOSES_GPU: &str = "torch.cuda.set_device(";

/// Errors of programs that start others: each only repeats that one of those failed.
const RELAYED: [&str; 4] =
    ["CalledProcessError", "ChildFailedError", "ProcessExitedException", "ProcessRaisedException"];

/// Lines of an error's message that are looked at.
const MESSAGE_LINES: usize = 4;

/// Lines at the end of a log in which a program without tracebacks says what it lacks.
const LAST_LINES: usize = 20;

/// Output that is looked at; a command that writes more than this has long begun to train.
const LONGEST_LOG: usize = 64 << 20;

/// What a rehearsal of one case came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsed {
    /// The case.
    pub case: String,
    /// Whether it came as far as it can without GPUs.
    pub state: Reached,
    /// The words that asked for the GPU; what went wrong; why it was left out.
    pub reason: String,
    /// Seconds that the command took.
    pub duration: Option<f64>,
    /// The last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// How far a case came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// The guide's code asked for the GPU, or ended well if its profile needs none.
    Good,
    /// Something else ended it.
    Failed,
    /// It was not started.
    Skipped,
}

/// Starts the command of `case` without GPUs and says how far it came; `has_gpus` if its profile needs some.
///
/// # Errors
///
/// The user asked to stop.
pub fn rehearse(
    engine: &dyn Engine,
    store: &Store,
    (image, recipe): (&Image, &Recipe),
    (case, has_gpus): (&PlannedCase, bool),
    stop: &Stop,
) -> Result<Rehearsed, EngineError> {
    let name = case.case.name.clone();
    let ended = |state, reason: String| Rehearsed {
        case: name.clone(),
        state,
        reason,
        duration: None,
        last_lines: Vec::new(),
    };
    if let Some(reason) = case.skipped() {
        return Ok(ended(Reached::Skipped, reason.to_owned()));
    }
    if let Some(reason) = dangling(recipe, &case.job.mounts) {
        return Ok(ended(Reached::Failed, reason));
    }
    let mut log = Vec::new();
    let mut output = |bytes: &[u8]| {
        if log.len() < LONGEST_LOG {
            log.extend_from_slice(bytes);
        }
    };
    let outcome = match engine.run(store, image, &case.job, &mut output, stop) {
        Ok(outcome) => outcome,
        Err(error) if stop.is_requested() => return Err(error),
        Err(error) => return Ok(ended(Reached::Failed, chain(&error))),
    };
    let log = String::from_utf8_lossy(&log);
    let judged = match outcome.exit {
        Exit::Status(0) if has_gpus => {
            Err("it ended well without having asked for a GPU".to_owned())
        }
        Exit::Status(0) => Ok("it ended well".to_owned()),
        Exit::TimedOut => Err(format!(
            "it went on for {} s without having asked for a GPU",
            case.job.timeout.as_secs()
        )),
        Exit::Stopped => Err("stopped by the user".to_owned()),
        Exit::Status(_) | Exit::Signal(_) if has_gpus => asks_for_gpu(&log),
        Exit::Status(status) => Err(format!("the command returned {status}")),
        Exit::Signal(signal) => Err(format!("signal {signal} ended the command")),
    };
    let (state, reason) = match judged {
        Ok(reason) => (Reached::Good, reason),
        Err(reason) => (Reached::Failed, reason),
    };
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].iter();
    Ok(Rehearsed {
        duration: Some(outcome.duration.as_secs_f64()),
        last_lines: last.map(|line| (*line).to_owned()).collect(),
        ..ended(state, reason)
    })
}

/// The words with which the log asks for a GPU; `Err` says what ended the command instead.
///
/// The first error of a traceback decides: what other processes or an outer program say after it follows from it, and a
/// warning before it (`torch.cuda.is_available()` gives one) has ended nothing.
fn asks_for_gpu(log: &str) -> Result<String, String> {
    let lines: Vec<&str> = log.lines().map(|line| untagged(line.trim_end())).collect();
    let error =
        Regex::new(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b").expect("is valid");
    let is_relayed = |line: &str| RELAYED.iter().any(|name| line.contains(name));
    let in_traceback = lines.iter().position(|line| line.starts_with("Traceback ("));
    let first = in_traceback.and_then(|from| {
        let found = lines[from..].iter().position(|line| error.is_match(line) && !is_relayed(line));
        found.map(|at| from + at)
    });
    let looked_at = match first {
        Some(at) => &lines[at..lines.len().min(at + MESSAGE_LINES)],
        None => &lines[lines.len().saturating_sub(LAST_LINES)..],
    };
    let failed = first.and_then(|at| lines[..at].iter().rfind(|line| !is_underline(line)));
    if let Some(line) = failed.filter(|line| line.contains(CHOOSES_GPU)) {
        return Ok(line.trim().to_owned());
    }
    let is_asking = |line: &&&str| NO_GPU.iter().any(|words| line.contains(words));
    match looked_at.iter().find(is_asking) {
        Some(line) => Ok(line.trim().to_owned()),
        None => {
            let line = first.map(|at| lines[at]).or(lines.last().copied()).unwrap_or_default();
            Err(format!("it failed before it asked for a GPU\n  error  {line}"))
        }
    }
}

/// Returns whether a line only marks a part of the statement above it, as Python 3.11 and later do.
fn is_underline(line: &str) -> bool {
    line.chars().all(|letter| matches!(letter, ' ' | '^' | '~'))
}

/// A line without the mark that `mpirun --tag-output` puts before it.
fn untagged(line: &str) -> &str {
    match line.strip_prefix('[').and_then(|rest| rest.split_once("]<std")) {
        Some((_, rest)) => rest.split_once(">:").map_or(line, |(_, text)| text),
        None => line,
    }
}

/// A link of the image that leads to a mounted folder in which its file is not.
fn dangling(recipe: &Recipe, mounts: &[Mount]) -> Option<String> {
    recipe.image.symlinks.iter().find_map(|(link, target)| {
        let leads_to_nothing = |mount: &Mount| {
            let below = target.strip_prefix(&mount.target)?.strip_prefix('/')?;
            (!mount.source.join(below).exists()).then_some(())
        };
        mounts.iter().find_map(leads_to_nothing)?;
        Some(format!("the link `{link}` leads to `{target}`, which no data set has"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(log: &str) -> String {
        asks_for_gpu(log).unwrap_err()
    }

    #[test]
    fn torch_that_finds_no_driver_has_asked_for_the_gpu() {
        let log = "Traceback (most recent call last):\n  File \"train.py\", line 1, in <module>\n    x.cuda()\n\
                   RuntimeError: Found no NVIDIA driver on your system.\n";
        let asked = "RuntimeError: Found no NVIDIA driver on your system.";
        assert_eq!(asks_for_gpu(log).as_deref(), Ok(asked));
        // torch 1.7 begins its message on the next line.
        let log = "Traceback (most recent call last):\n  File \"a\"\nAssertionError: \nFound no NVIDIA driver\n";
        assert_eq!(asks_for_gpu(log).as_deref(), Ok("Found no NVIDIA driver"));
    }

    #[test]
    fn a_warning_that_there_is_no_gpu_excuses_no_missing_file() {
        let log = "UserWarning: CUDA initialization: Found no NVIDIA driver on your system.\n\
                   Traceback (most recent call last):\n  File \"train.py\", line 1\n\
                   FileNotFoundError: [Errno 2] No such file or directory: 'a.train'\n";
        assert_eq!(
            reason(log),
            "it failed before it asked for a GPU\n  error  \
             FileNotFoundError: [Errno 2] No such file or directory: 'a.train'"
        );
    }

    #[test]
    fn a_statement_that_chooses_among_no_cards_has_asked_for_one() {
        let log = "Traceback (most recent call last):\n  File \"dist_utils.py\", line 40\n    \
                   torch.cuda.set_device(rank % num_gpus)\n    ~~~~^^^^^\n\
                   ZeroDivisionError: integer division or modulo by zero\n";
        assert_eq!(asks_for_gpu(log).as_deref(), Ok("torch.cuda.set_device(rank % num_gpus)"));
        let other = log.replace("torch.cuda.set_device(rank % num_gpus)", "steps % workers");
        assert!(reason(&other).ends_with("ZeroDivisionError: integer division or modulo by zero"));
    }

    #[test]
    fn what_a_launcher_repeats_does_not_decide() {
        let log = "Traceback (most recent call last):\n  File \"launch.py\"\n\
                   torch.multiprocessing.spawn.ProcessRaisedException: \n\n\
                   -- Process 1 terminated with the following error:\n\
                   Traceback (most recent call last):\n  File \"launch.py\"\n\
                   AssertionError: cuda is not available. Please check your installation.\n";
        assert!(asks_for_gpu(log).unwrap().starts_with("AssertionError: cuda is not available"));
    }

    #[test]
    fn lines_that_mpirun_has_marked_are_read_without_the_mark() {
        let log = "[1,1]<stderr>:Traceback (most recent call last):\n[1,1]<stderr>:  File \"a.py\"\n\
                   [1,1]<stderr>:OSError: [Errno 30] Read-only file system: './ckpt_1'\n";
        assert!(reason(log).ends_with("OSError: [Errno 30] Read-only file system: './ckpt_1'"));
    }

    #[test]
    fn a_program_without_a_traceback_is_told_by_its_last_lines() {
        assert!(asks_for_gpu("a\nno CUDA-capable device is detected\nb\n").is_ok());
        let early = format!("no CUDA-capable device\n{}", "step\n".repeat(LAST_LINES));
        assert!(reason(&early).ends_with("error  step"));
        assert!(reason("").starts_with("it failed before"));
    }
}
