//! Repositories that the tests make, and git's own server in front of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time};
use repro::digest::CommitId;

use crate::loopback::{Reply, Request, Server};

/// `net.git` with its submodule `ops.git`, bare.
pub struct Repositories {
    folder: tempfile::TempDir,
    /// On a branch and a tag.
    pub main: CommitId,
    /// On nothing.
    pub loose: CommitId,
    /// The parent of a pull request's head.
    pub behind_pull: CommitId,
    /// The commit of the submodule.
    pub ops: CommitId,
}

impl Repositories {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ops = Repository::init_bare(folder.path().join("ops.git")).unwrap();
        let op =
            commit(&ops, &[("op.c", "int op;\n", FileMode::Blob)], &[], Some("refs/heads/main"));
        let net = Repository::init_bare(folder.path().join("net.git")).unwrap();
        let main = net_commit(&net, op, "main", &[], Some("refs/heads/main"));
        net.reference("refs/tags/v1", main, false, "").unwrap();
        let loose = net_commit(&net, op, "loose", &[], None);
        let behind = net_commit(&net, op, "behind", &[], None);
        net_commit(&net, op, "pull", &[behind], Some("refs/pull/7/head"));
        let [main, loose, behind_pull, ops] =
            [main, loose, behind, op].map(|oid| commit_id(&oid.to_string()));
        Self { folder, main, loose, behind_pull, ops }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of both, as a URL that others are joined to.
    pub fn base(&self) -> String {
        format!("file://{}/", self.path().display())
    }

    /// A copy of `net.git` that lacks the object of one path of the main commit.
    pub fn without(&self, path: &str) -> PathBuf {
        let net = Repository::open_bare(self.path().join("net.git")).unwrap();
        let commit = net.find_commit(Oid::from_str(&self.main.to_string()).unwrap()).unwrap();
        let lost = commit.tree().unwrap().get_path(Path::new(path)).unwrap().id();
        let place = self.path().join("partial.git");
        let partial = Repository::init_bare(&place).unwrap();
        let (from, to) = (net.odb().unwrap(), partial.odb().unwrap());
        let mut names = Vec::new();
        from.foreach(|name| {
            names.push(*name);
            true
        })
        .unwrap();
        for name in names.into_iter().filter(|name| *name != lost) {
            let object = from.read(name).unwrap();
            to.write(object.kind(), object.data()).unwrap();
        }
        place
    }

    /// A commit in `net.git` whose tree has one file of this name, whatever it is.
    pub fn with_name(&self, name: &str) -> CommitId {
        let net = Repository::open_bare(self.path().join("net.git")).unwrap();
        let blob = net.blob(b"hostile\n").unwrap();
        let entry = [b"100644 ", name.as_bytes(), b"\0", blob.as_bytes()].concat();
        let odb = net.odb().unwrap();
        let tree = odb.write(ObjectType::Tree, &entry).unwrap();
        let text = format!(
            "tree {tree}\nauthor A <a@test> 1 +0000\ncommitter A <a@test> 1 +0000\n\nhostile\n"
        );
        commit_id(&odb.write(ObjectType::Commit, text.as_bytes()).unwrap().to_string())
    }
}

fn commit_id(text: &str) -> CommitId {
    text.parse().unwrap()
}

/// A tree with everything that a tree can have.
fn net_commit(net: &Repository, ops: Oid, word: &str, parents: &[Oid], name: Option<&str>) -> Oid {
    let script = format!("#!/bin/sh\r\necho {word}\n");
    let modules = "[submodule \"ops\"]\n\tpath = ops\n\turl = ../ops.git\n";
    let files = [
        (".gitmodules", modules, FileMode::Blob),
        ("data/one.txt", "one\n", FileMode::Blob),
        ("data/same.txt", "one\n", FileMode::Blob),
        ("data/latest", "one.txt", FileMode::Link),
        ("train.sh", script.as_str(), FileMode::BlobExecutable),
        ("ops", &ops.to_string(), FileMode::Commit),
    ];
    commit(net, &files, parents, name)
}

fn commit(
    repository: &Repository,
    files: &[(&str, &str, FileMode)],
    parents: &[Oid],
    name: Option<&str>,
) -> Oid {
    let mut builder = TreeUpdateBuilder::new();
    for (path, content, mode) in files {
        let object = match mode {
            FileMode::Commit => Oid::from_str(content).unwrap(),
            _ => repository.blob(content.as_bytes()).unwrap(),
        };
        builder.upsert(*path, object, *mode);
    }
    let empty = repository.treebuilder(None).unwrap().write().unwrap();
    let empty = repository.find_tree(empty).unwrap();
    let tree = builder.create_updated(repository, &empty).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = Signature::new("Test", "test@example.org", &Time::new(1_600_000_000, 0)).unwrap();
    let parents: Vec<_> = parents.iter().map(|oid| repository.find_commit(*oid).unwrap()).collect();
    let parents: Vec<_> = parents.iter().collect();
    repository.commit(name, &who, &who, "a commit", &tree, &parents).unwrap()
}

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Protocol version 2.
    Second,
    /// As servers did before it: only what references name is given away.
    First,
    /// Asks for `user` and `secret`.
    WithPassword,
    /// The first pack breaks off.
    CutOnce,
}

/// `git http-backend` in front of the repositories.
pub fn backend(repositories: &Repositories, speech: Speech) -> Server {
    let root = repositories.path().to_owned();
    Server::new(move |request| {
        // `user:secret` in the alphabet of RFC 4648.
        let expected = "Basic dXNlcjpzZWNyZXQ=";
        let given = request.headers.get("authorization").map(String::as_str);
        if speech == Speech::WithPassword && given != Some(expected) {
            return Reply::status(401).with("www-authenticate", "Basic realm=\"git\"");
        }
        let mut reply = ask_git(&root, request, speech);
        if speech == Speech::CutOnce && !request.body.is_empty() && request.earlier == 0 {
            reply.cut_after = Some(reply.body.len() / 2);
        }
        reply
    })
}

fn ask_git(root: &Path, request: &Request, speech: Speech) -> Reply {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", root);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("GIT_PROJECT_ROOT", root).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("REQUEST_METHOD", if request.body.is_empty() { "GET" } else { "POST" });
    command.env("CONTENT_LENGTH", request.body.len().to_string());
    if let Some(kind) = request.headers.get("content-type") {
        command.env("CONTENT_TYPE", kind);
    }
    if let Some(protocol) = request.headers.get("git-protocol").filter(|_| speech != Speech::First)
    {
        command.env("GIT_PROTOCOL", protocol);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("git is needed by these tests");
    child.stdin.take().unwrap().write_all(&request.body).unwrap();
    reply_of(&child.wait_with_output().unwrap().stdout)
}

/// Reads what a CGI program writes (RFC 3875, section 6).
fn reply_of(output: &[u8]) -> Reply {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let body = output.get(end + 4..).unwrap_or_default();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut lines = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        lines.next().map(|(_, value)| value.to_owned())
    };
    let status = header("Status").and_then(|text| text.split(' ').next()?.parse().ok());
    let reply = Reply { status: status.unwrap_or(200), ..Reply::ok(body) };
    reply.with("content-type", header("Content-Type").unwrap_or_default())
}
