//! Git's protocol over HTTP, version 2 and what came before (gitprotocol-http(5), gitprotocol-v2(5)).
//!
//! One commit is asked for by its name, without its history. A server of the old protocol that gives
//! away only what its references name, and any that says it has no such commit, is
//! asked for all references instead: branches, tags, and the heads of pull requests.

use std::path::Path;

use git2::Indexer;
use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::packets::{Packet, Packets, no_git, put, text};
use super::{Fetcher, Wish, holding};
use crate::fetch::client::{Answer, ask_for};
use crate::fetch::error::{Refusal, Trouble};
use crate::fetch::retry::{Attempts, Ending, Stopped, wait, why};

/// No pack is larger (bytes); a server that sends for ever would fill the disk.
const PACK_LIMIT: u64 = 64 << 30;
/// More names than any server's references have.
const REFERENCE_LIMIT: usize = 4_000_000;

/// A server, and what it is asked for.
pub(super) struct Server<'a> {
    fetcher: &'a Fetcher<'a>,
    client: Client,
    url: Url,
    wish: Wish<'a>,
}

/// Why there is no pack.
pub(super) enum NoPack {
    Stopped,
    Refused(Refusal),
}

/// What a server said of itself.
struct Greeting {
    /// Where it is in the end, after redirections.
    url: Url,
    /// Whether it speaks version 2.
    is_second: bool,
    capabilities: Vec<String>,
    /// Objects that its references name; version 2 lists them when asked.
    references: Vec<String>,
    credentials: Option<(String, String)>,
}

/// How an attempt to get a pack ended.
enum Failed {
    Ending(Ending),
    /// The server has no such object, or does not give it away.
    NotThere(String),
    Refused(Refusal),
}

impl From<Ending> for Failed {
    fn from(ending: Ending) -> Self {
        Self::Ending(ending)
    }
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Ending(Ending::Trouble(trouble))
    }
}

impl Greeting {
    fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// Whether a command of version 2 has a feature: `fetch=shallow filter`.
    fn has_feature(&self, command: &str, feature: &str) -> bool {
        let values = self.capabilities.iter().filter_map(|known| known.strip_prefix(command));
        let mut values = values.filter_map(|rest| rest.strip_prefix('='));
        values.any(|value| value.split(' ').any(|known| known == feature))
    }
}

impl<'a> Server<'a> {
    pub(super) fn new(fetcher: &'a Fetcher<'a>, client: Client, url: Url, wish: Wish<'a>) -> Self {
        Self { fetcher, client, url, wish }
    }

    /// Fetches a pack that holds the commit into the object folder `folder`, as often as it takes.
    pub(super) fn bring(&self, folder: &Path) -> Result<(), NoPack> {
        let mut attempts = Attempts::default();
        loop {
            let last = match self.attempt(folder) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(refusal)) => return Err(NoPack::Refused(refusal)),
                Err(Failed::NotThere(reason)) => {
                    return Err(NoPack::Refused(Refusal::git(&reason)));
                }
                Err(Failed::Ending(Ending::Stopped)) => return Err(NoPack::Stopped),
                Err(Failed::Ending(Ending::Trouble(trouble))) => trouble,
            };
            let Some(time) = attempts.after(&last, 0) else {
                let attempts = attempts.made();
                return Err(NoPack::Refused(Refusal::Trouble { attempts, last }));
            };
            self.fetcher.progress.retried(self.wish.name, 0, &why(&last, time));
            wait(time, self.fetcher.stop).map_err(|Stopped| NoPack::Stopped)?;
        }
    }

    fn attempt(&self, folder: &Path) -> Result<(), Failed> {
        let greeting = self.greet()?;
        let commit = self.wish.commit.to_string();
        let old =
            ["allow-tip-sha1-in-want", "allow-reachable-sha1-in-want", "allow-any-sha1-in-want"];
        let may_ask = greeting.is_second
            || greeting.references.contains(&commit)
            || old.iter().any(|capability| greeting.can(capability));
        if may_ask {
            match self.pack(&greeting, std::slice::from_ref(&commit), true, folder) {
                Err(Failed::NotThere(_)) => {}
                result => return result,
            }
        }
        let mut references = match greeting.is_second {
            true => self.list(&greeting)?,
            false => greeting.references.clone(),
        };
        references.sort();
        references.dedup();
        if references.is_empty() {
            return Err(Failed::NotThere("the repository is empty".to_owned()));
        }
        self.pack(&greeting, &references, false, folder)?;
        match holding(&[folder], self.wish) {
            Ok(_) => Ok(()),
            Err(_) => Err(Failed::NotThere(format!(
                "no such commit, neither by its name nor behind any of {} references (branches, tags, pull requests)",
                references.len()
            ))),
        }
    }

    /// Asks who is there; with credentials if the server wants some.
    fn greet(&self) -> Result<Greeting, Failed> {
        let mut credentials = None;
        let answer = match self.ask_for_greeting(&credentials) {
            Err(Ending::Trouble(Trouble::Status { code: 401, .. })) => {
                credentials = self.fetcher.settings.git_credentials(&self.url);
                if credentials.is_none() {
                    let words = "the server asks for a password, and neither `.netrc` nor git's credential helpers have one";
                    return Err(Failed::Refused(Refusal::git(words)));
                }
                self.ask_for_greeting(&credentials).map_err(|ending| match ending {
                    Ending::Trouble(Trouble::Status { code: 401 | 403, .. }) => {
                        let words = "the server does not accept the password that `.netrc` or git's credential helpers have";
                        Failed::Refused(Refusal::git(words))
                    }
                    ending => ending.into(),
                })?
            }
            answer => answer?,
        };
        let answer = answer.ok_or(Failed::Refused(Refusal::NotFound))?;
        let Some(url) = base_of(&answer.head.url) else {
            return Err(no_git("the server redirects to what is no repository").into());
        };
        if answer.head.media_type != "application/x-git-upload-pack-advertisement" {
            return Err(no_git("there is no git server that speaks the smart protocol").into());
        }
        let packets = Packets::new(answer, self.fetcher.stop);
        greeting(packets, url, credentials)
    }

    fn ask_for_greeting(
        &self,
        credentials: &Option<(String, String)>,
    ) -> Result<Option<Answer>, Ending> {
        let url = below(&self.url, "info/refs", Some("service=git-upload-pack"));
        let request = self.client.get(url).header("git-protocol", "version=2");
        ask_for(with_credentials(request, credentials), self.fetcher.stop)
    }

    fn post(&self, greeting: &Greeting, body: Vec<u8>) -> Result<Packets<'_>, Failed> {
        let url = below(&greeting.url, "git-upload-pack", None);
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result");
        if greeting.is_second {
            request = request.header("git-protocol", "version=2");
        }
        let request = with_credentials(request, &greeting.credentials).body(body);
        let answer = ask_for(request, self.fetcher.stop)?;
        let answer = answer.ok_or(Failed::Refused(Refusal::NotFound))?;
        Ok(Packets::new(answer, self.fetcher.stop))
    }

    /// The objects that all references name (version 2).
    fn list(&self, greeting: &Greeting) -> Result<Vec<String>, Failed> {
        let mut body = Vec::new();
        put(&mut body, "command=ls-refs");
        if greeting.can("object-format=sha1") {
            put(&mut body, "object-format=sha1");
        }
        body.extend(b"00010000");
        let mut packets = self.post(greeting, body)?;
        let mut references = Vec::new();
        while let Some(line) = packets.line()? {
            refuse_error(&line)?;
            references
                .extend(line.split(' ').next().filter(|name| is_name(name)).map(str::to_owned));
            if references.len() > REFERENCE_LIMIT {
                return Err(no_git("there is no end of references").into());
            }
        }
        Ok(references)
    }

    /// Asks for `wants`, without their history where `shallow`, and indexes what comes.
    fn pack(
        &self,
        greeting: &Greeting,
        wants: &[String],
        shallow: bool,
        folder: &Path,
    ) -> Result<(), Failed> {
        let body = match greeting.is_second {
            true => second_request(greeting, wants, shallow),
            false => first_request(greeting, wants, shallow),
        };
        let mut packets = self.post(greeting, body)?;
        skip_to_pack(&mut packets, greeting.is_second)?;
        self.index(&mut packets, folder)
    }

    fn index(&self, packets: &mut Packets<'_>, folder: &Path) -> Result<(), Failed> {
        let broken =
            |error: git2::Error| no_git(&format!("the pack is damaged: {}", error.message()));
        // Without a check for missing parents: history was not asked for.
        let mut indexer = Indexer::new(None, &folder.join("pack"), 0o444, false).map_err(broken)?;
        let mut size = 0u64;
        loop {
            let data = match packets.next()? {
                Packet::Data(data) => data,
                _ => break,
            };
            match data.split_first() {
                Some((1, piece)) => {
                    size += piece.len() as u64;
                    if size > PACK_LIMIT {
                        return Err(Failed::Refused(Refusal::Endless));
                    }
                    self.fetcher.progress.advanced(self.wish.name, piece.len() as u64);
                    std::io::Write::write_all(&mut indexer, piece)
                        .map_err(|error| no_git(&format!("the pack is damaged: {error}")))?;
                }
                Some((2, _)) | None => {}
                Some((3, words)) => return Err(told(&text(words)?)),
                Some(_) => return Err(no_git("a packet has no band").into()),
            }
        }
        if size == 0 {
            return Err(no_git("the server sent no pack").into());
        }
        indexer.commit().map_err(broken)?;
        Ok(())
    }
}

fn with_credentials(
    request: reqwest::blocking::RequestBuilder,
    credentials: &Option<(String, String)>,
) -> reqwest::blocking::RequestBuilder {
    match credentials {
        Some((user, password)) => request.basic_auth(user, Some(password)),
        None => request,
    }
}

/// Reads the answer to the first question: `# service` lines, then either protocol.
fn greeting(
    mut packets: Packets<'_>,
    url: Url,
    credentials: Option<(String, String)>,
) -> Result<Greeting, Failed> {
    let mut greeting = Greeting {
        url,
        is_second: false,
        capabilities: Vec::new(),
        references: Vec::new(),
        credentials,
    };
    let mut is_first = true;
    loop {
        let line = match packets.next()? {
            Packet::Data(data) => text(&data)?,
            // The line that names the service ends in a flush of its own.
            Packet::Flush if is_first => continue,
            _ => return Ok(greeting),
        };
        if line.starts_with("# service=") {
            continue;
        }
        refuse_error(&line)?;
        if is_first && line == "version 2" {
            greeting.is_second = true;
        } else if greeting.is_second {
            greeting.capabilities.push(line);
        } else {
            let (reference, capabilities) = line.split_once('\0').unwrap_or((&line, ""));
            greeting.capabilities.extend(capabilities.split(' ').map(str::to_owned));
            let name = reference.split(' ').next().filter(|name| is_name(name));
            // An empty repository has one reference of zeros.
            let name = name.filter(|name| name.bytes().any(|digit| digit != b'0'));
            greeting.references.extend(name.map(str::to_owned));
        }
        is_first = false;
        if greeting.references.len() > REFERENCE_LIMIT {
            return Err(no_git("there is no end of references").into());
        }
    }
}

fn second_request(greeting: &Greeting, wants: &[String], shallow: bool) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, "command=fetch");
    if greeting.can("object-format=sha1") {
        put(&mut body, "object-format=sha1");
    }
    body.extend(b"0001");
    for line in ["no-progress", "ofs-delta"] {
        put(&mut body, line);
    }
    if shallow && greeting.has_feature("fetch", "shallow") {
        put(&mut body, "deepen 1");
    }
    wants.iter().for_each(|want| put(&mut body, &format!("want {want}")));
    put(&mut body, "done");
    body.extend(b"0000");
    body
}

fn first_request(greeting: &Greeting, wants: &[String], shallow: bool) -> Vec<u8> {
    let used = ["side-band-64k", "ofs-delta", "no-progress"];
    let used: Vec<_> = used.into_iter().filter(|capability| greeting.can(capability)).collect();
    let mut body = Vec::new();
    for (at, want) in wants.iter().enumerate() {
        match at {
            0 => put(&mut body, &format!("want {want} {}", used.join(" "))),
            _ => put(&mut body, &format!("want {want}")),
        }
    }
    if shallow && greeting.can("shallow") {
        put(&mut body, "deepen 1");
    }
    body.extend(b"0000");
    put(&mut body, "done");
    body
}

/// Passes over everything before the pack: what is shallow now, and what both sides have.
fn skip_to_pack(packets: &mut Packets<'_>, is_second: bool) -> Result<(), Failed> {
    loop {
        let line = match packets.next()? {
            Packet::Data(data) => text(&data)?,
            Packet::End => return Err(no_git("the server sent no pack").into()),
            _ => continue,
        };
        refuse_error(&line)?;
        if line == "packfile" && is_second || line == "NAK" && !is_second {
            return Ok(());
        }
    }
}

/// A server says why not on a line of its own.
fn refuse_error(line: &str) -> Result<(), Failed> {
    line.strip_prefix("ERR ").map_or(Ok(()), |words| Err(told(words)))
}

/// What a server says of an object that it does not have or does not give away.
fn told(words: &str) -> Failed {
    let words: String = words.chars().filter(|letter| !letter.is_control()).take(300).collect();
    if words.contains("not our ref") || words.contains("no such") {
        return Failed::NotThere(format!("the server says: {words}"));
    }
    Failed::Refused(Refusal::git(&format!("the server says: {words}")))
}

fn is_name(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// A place below a repository's URL.
fn below(url: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = url.clone();
    let folder = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{folder}/{path}"));
    url.set_query(query);
    url
}

/// The repository that an answer to the first question came from.
fn base_of(url: &Url) -> Option<Url> {
    let folder = url.path().strip_suffix("/info/refs")?.to_owned();
    let mut url = url.clone();
    url.set_path(&folder);
    url.set_query(None);
    Some(url)
}
