//! `repro run --detach`: the run goes on in a process of its own, without a terminal.
//!
//! The first process does everything that can be refused, then starts this program again with
//! the same arguments: a process that has threads cannot fork. They go through a pipe, because a
//! command line is there for everybody to read, and longer than that of the first process. The second one leaves the session of
//! the terminal, finds everything built and verified, and says which run it is over the pipe that is
//! its standard output; what refuses it after all comes the same way. Then both streams become a file in
//! the run's folder, the pipes close, and the first process ends.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::address::Address;
use crate::store::open_to_append;

/// The hidden option of the second process.
pub const WORD: &str = "in-background";

/// What the second process has to say, in the run's folder.
const LOG: &str = "detached.log";

/// How soon Ctrl-C is seen before the run has begun.
const TICK: Duration = Duration::from_millis(20);

/// What the second process says before it is alone.
#[derive(Debug, Serialize, Deserialize)]
struct Handed {
    run: String,
    folder: PathBuf,
}

/// Starts the second process and waits until its run has begun, or was refused.
pub fn start(context: &Context) -> Result<ExitCode, CliError> {
    let program = Path::new("/proc/self/exe");
    let failed = |action| move |source| CliError::Io { action, path: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(without_secrets(std::env::args_os().skip(1)))
        .arg(format!("--{WORD}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed("start"))?;
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(mut input) = child.stdin.take() {
        // One that could not be given them says so itself.
        let _ = input.write_all(arguments.join(OsStr::new("\0")).as_bytes());
    }
    let (said, complaint) = listen(context, &mut child);
    if let Ok(handed) = serde_json::from_slice::<Handed>(&said) {
        tell(context, &handed);
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&String::from_utf8_lossy(&said));
    output::error(String::from_utf8_lossy(&complaint).trim_end());
    let status = child.wait().map_err(failed("wait for"))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The arguments that this process works with: those of its command line, or for the second process
/// those that the first one hands it.
pub fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let word = OsString::from(format!("--{WORD}"));
    if arguments.last() == Some(&word) {
        let whole = read_all(Some(io::stdin().lock()));
        let parts = whole.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_owned()));
        // Somebody who types the word has nothing to hand over.
        if !whole.is_empty() {
            arguments = parts.collect();
            arguments.push(word);
        }
    }
    arguments
}

/// Everything that the second process says until it is alone or ends; Ctrl-C ends it.
fn listen(context: &Context, child: &mut Child) -> (Vec<u8>, Vec<u8>) {
    let (said, complaint) = (child.stdout.take(), child.stderr.take());
    let process = rustix::process::Pid::from_child(child);
    thread::scope(|scope| {
        let said = scope.spawn(|| read_all(said));
        let complaint = scope.spawn(|| read_all(complaint));
        let mut is_asked = false;
        while !(said.is_finished() && complaint.is_finished()) {
            if context.stop.is_requested() && !is_asked {
                is_asked = true;
                // One that has ended meanwhile needs nothing.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            }
            thread::sleep(TICK);
        }
        (said.join().unwrap_or_default(), complaint.join().unwrap_or_default())
    })
}

fn read_all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a broken pipe is all there is.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    bytes
}

fn tell(context: &Context, handed: &Handed) {
    let Handed { run, folder } = handed;
    if context.json {
        let attach = format!("repro attach {run}");
        return output::json(&json!({ "run": run, "folder": folder, "attach": attach }));
    }
    output::print(&format!("{run}\n"));
    output::note(&format!(
        "the run goes on without this terminal\n  folder  {}\n  follow  repro attach {run}\n  \
         look    repro status\n  stop    repro stop {run}",
        folder.display()
    ));
}

/// Leaves the terminal's session, so that its end is none of ours. Only errors are said until the
/// run has begun: the first process has said everything else.
pub fn leave_terminal() {
    // A process that leads a session already has no terminal of somebody else.
    let _ = rustix::process::setsid();
    output::set_talk(output::Talk { quiet: true, verbose: 0 });
}

/// Says which run it is, and lets the first process go.
pub fn hand_over(context: &Context, run: &str, folder: &Path) {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let handed = Handed { run: run.to_owned(), folder: folder.clone() };
    output::json(&handed);
    let file = open_log(&folder).or_else(|_| File::options().write(true).open("/dev/null"));
    // Without any file the pipes stay, and the run writes its records all the same.
    if let Ok(file) = file {
        let _ = rustix::stdio::dup2_stdout(&file);
        let _ = rustix::stdio::dup2_stderr(&file);
    }
    output::set_talk(context.talk);
}

/// The file that standard output and error go to; a run that is gone on with adds to it.
fn open_log(folder: &Path) -> io::Result<File> {
    let file = open_to_append(&folder.join(LOG))?;
    let owner = folder.metadata()?;
    if rustix::process::geteuid().is_root() {
        // Under sudo it belongs to whom the folder belongs to; a failure matters to a later removal only.
        let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(file)
}

/// Options that name a place that may hold a password.
const PLACES: [&str; 6] = [
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--debian-mirror",
    "--debian-security-mirror",
    "--mirror",
];

/// `arguments` without what nobody else may read: an option that names a place with its password is
/// left out, because nothing is fetched once a run has begun.
fn without_secrets(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_secret = |text: &str| Address::from(text).is_secret();
    let mut kept: Vec<OsString> = Vec::new();
    for argument in arguments {
        let Some(text) = argument.to_str().filter(|text| is_secret(text)) else {
            kept.push(argument);
            continue;
        };
        let is_place = |word: &OsString| PLACES.iter().any(|option| word == option);
        let is_whole = PLACES
            .iter()
            .any(|option| text.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')));
        if kept.last().is_some_and(is_place) {
            kept.pop();
        } else if !is_whole {
            kept.push(Address::from(text).to_string().into());
        }
    }
    kept
}

/// The words that go on with a run that was started by `arguments`, but for its name.
pub fn resume_words(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut words = vec!["repro".to_owned()];
    let mut after_resume = false;
    for argument in without_secrets(arguments) {
        let argument = argument.to_string_lossy().into_owned();
        let is_value = after_resume && !argument.starts_with('-');
        after_resume = argument == "--resume";
        let is_ours = argument == "--detach" || argument == format!("--{WORD}");
        if !(is_value || after_resume || is_ours || argument.starts_with("--resume=")) {
            words.push(argument);
        }
    }
    words.push("--resume".to_owned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        resume_words(line.split(' ').map(OsString::from)).join(" ")
    }

    #[test]
    fn a_run_is_gone_on_with_by_what_started_it() {
        let started = "run --image a --case x/* --detach --set n=2";
        assert_eq!(words(started), "repro run --image a --case x/* --set n=2 --resume");
    }

    #[test]
    fn what_goes_on_with_a_run_has_no_password() {
        let started = "run --index-url http://me:pw@a.test/ --mirror=http://me:pw@b.test --image a \
                       --find-links http://c.test --set url=http://me:pw@d.test --detach";
        let expected = "repro run --image a --find-links http://c.test --set url=http://***@d.test \
                        --resume";
        assert_eq!(words(started), expected);
    }

    #[test]
    fn a_run_that_was_gone_on_with_names_one_run_only() {
        assert_eq!(words("run --resume latest --image a"), "repro run --image a --resume");
        assert_eq!(words("run --resume --image a"), "repro run --image a --resume");
        assert_eq!(
            words("run --image a --resume=x --in-background"),
            "repro run --image a --resume"
        );
    }
}
