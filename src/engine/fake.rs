//! An engine that runs nothing and answers with a prepared log; for tests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::outputs::Collector;
use super::{Engine, EngineError, Exit, Job, Kept, Meter, Outcome, Stop};
use crate::digest::Digest;
use crate::image::Image;
use crate::store::Store;

/// What the fake engine answers to one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the job writes.
    pub output: Vec<u8>,
    /// How it ends.
    pub exit: Exit,
    /// How long it takes; a timeout or a stop ends it earlier.
    pub delay: Duration,
    /// Peak memory to report in bytes.
    pub peak_memory: Option<u64>,
    /// Peak of the job's own memory to report in bytes.
    pub peak_job_memory: Option<u64>,
    /// Bytes given to the callback at once.
    pub chunk: usize,
    /// Files that it leaves, by their path in the job.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Answer {
    /// A job that writes `output` and succeeds at once.
    pub fn text(output: impl Into<Vec<u8>>) -> Self {
        Self {
            output: output.into(),
            exit: Exit::Status(0),
            delay: Duration::ZERO,
            peak_memory: None,
            peak_job_memory: None,
            chunk: 4096,
            files: BTreeMap::new(),
        }
    }

    /// A job that writes the content of a log file and succeeds at once.
    pub fn file(path: &Path) -> io::Result<Self> {
        fs::read(path).map(Self::text)
    }

    /// The same answer with another end.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same answer with a file that the job leaves at `path`.
    #[must_use]
    pub fn leaving(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The same answer after `delay`.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// One job that the fake engine was asked to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The seal of the image it was to run in.
    pub seal: Digest,
    /// The job.
    pub job: Job,
}

/// Chooses an answer by the job.
type Choose = Box<dyn Fn(&Job) -> Answer + Send + Sync>;

/// Answers every job as it was told to and records it.
pub struct Fake {
    choose: Choose,
    calls: Mutex<Vec<Call>>,
}

impl Fake {
    /// Gives every job the same answer.
    pub fn new(answer: Answer) -> Self {
        Self::with(move |_| answer.clone())
    }

    /// Lets `choose` answer.
    pub fn with(choose: impl Fn(&Job) -> Answer + Send + Sync + 'static) -> Self {
        Self { choose: Box::new(choose), calls: Mutex::new(Vec::new()) }
    }

    /// The jobs it was asked to run so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Engine for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn run_metered(
        &self,
        _store: &Store,
        image: &Image,
        job: &Job,
        output: &mut dyn FnMut(&[u8]),
        stop: &Stop,
        _meter: &Meter,
    ) -> Result<Outcome, EngineError> {
        let call = Call { seal: image.seal, job: job.clone() };
        self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(call);
        let answer = (self.choose)(job);
        let collector = Collector::new(job)?;
        let start = Instant::now();
        answer.output.chunks(answer.chunk.max(1)).for_each(output);
        let ended_early = wait(answer.delay, job.timeout, stop);
        let exit = ended_early.unwrap_or(answer.exit);
        let kept = if exit == Exit::Stopped { Vec::new() } else { keep(&answer, collector) };
        Ok(Outcome {
            exit,
            duration: start.elapsed(),
            cpu_time: None,
            peak_memory: answer.peak_memory,
            peak_job_memory: answer.peak_job_memory,
            kept,
        })
    }
}

fn keep(answer: &Answer, mut collector: Collector<'_>) -> Vec<Kept> {
    for (path, content) in &answer.files {
        if collector.wants(path) {
            collector.take(path, &mut content.as_slice());
        }
    }
    collector.finish()
}

/// Lets `delay` pass; returns what ended it earlier.
fn wait(delay: Duration, timeout: Duration, stop: &Stop) -> Option<Exit> {
    let start = Instant::now();
    loop {
        if stop.is_requested() {
            return Some(Exit::Stopped);
        }
        let passed = start.elapsed();
        if passed >= delay {
            return None;
        }
        if passed >= timeout {
            return Some(Exit::TimedOut);
        }
        thread::sleep(Duration::from_millis(2).min(delay - passed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Gpus;

    fn job(command: &str) -> Job {
        Job {
            command: vec![command.to_owned()],
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            mounts: Vec::new(),
            writable: Vec::new(),
            shm_size: 1 << 20,
            timeout: Duration::from_secs(60),
            memory: None,
            gpus: Gpus::None,
            keep: Vec::new(),
        }
    }

    fn image() -> Image {
        Image {
            name: "test".to_owned(),
            seal: Digest::of(b"seal"),
            lock: Digest::of(b"lock"),
            layers: Vec::new(),
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
        }
    }

    fn run(fake: &Fake, job: &Job, stop: &Stop) -> (Outcome, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut written = Vec::new();
        let mut output = |bytes: &[u8]| written.extend_from_slice(bytes);
        let outcome = fake.run(&store, &image(), job, &mut output, stop).unwrap();
        (outcome, written)
    }

    #[test]
    fn the_answer_is_the_prepared_one_and_the_call_is_recorded() {
        let fake = Fake::with(|job| match job.command[0].as_str() {
            "good" => Answer::text("time: 0.5\n"),
            _ => Answer::text("Traceback\n").exit(Exit::Status(1)),
        });
        let (outcome, written) = run(&fake, &job("good"), &Stop::new());
        assert_eq!(
            (outcome.exit, written.as_slice()),
            (Exit::Status(0), b"time: 0.5\n".as_slice())
        );
        let (outcome, _) = run(&fake, &job("bad"), &Stop::new());
        assert_eq!(outcome.exit, Exit::Status(1));
        let commands: Vec<_> = fake.calls().into_iter().map(|call| call.job.command).collect();
        assert_eq!(commands, [["good"], ["bad"]]);
        assert_eq!(fake.calls()[0].seal, Digest::of(b"seal"));
    }

    #[test]
    fn a_slow_job_is_ended_by_its_timeout_and_by_a_stop() {
        let fake = Fake::new(Answer::text("").after(Duration::from_secs(3600)));
        let short = Job { timeout: Duration::from_millis(5), ..job("slow") };
        assert_eq!(run(&fake, &short, &Stop::new()).0.exit, Exit::TimedOut);
        let stop = Stop::new();
        stop.request();
        assert_eq!(run(&fake, &job("slow"), &stop).0.exit, Exit::Stopped);
    }
}
