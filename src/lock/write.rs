//! A lock as text: one item a line, so that a change of one input is a change of one line.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Asked, BuildSource, Lock, LockedBuild, LockedDownload, LockedGit, LockedSeal, VERSION,
};

impl Lock {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut lock = self.clone();
        lock.sort();
        let mut text = Text(format!("# Written by `repro lock {}`.\n", lock.name));
        text.pair("version", &VERSION);
        text.pair("name", &lock.name);
        text.pair("epoch", &lock.epoch);
        text.pair("as-of", &lock.as_of);
        text.asked(&lock.asked);
        text.base(&lock);
        text.python(&lock);
        lock.git.iter().for_each(|git| text.git(git));
        lock.downloads.iter().for_each(|download| text.download(download));
        lock.builds.iter().for_each(|build| text.build(build));
        text.tables(&lock);
        if let Some(seal) = &lock.seal {
            text.seal(seal);
        }
        text.0
    }
}

struct Text(String);

impl Text {
    fn asked(&mut self, asked: &Asked) {
        self.header("[asked]");
        if !asked.base.is_empty() {
            self.pair("base", &asked.base);
        }
        self.list("packages", &asked.packages);
        self.list("requirements", &asked.requirements);
        for (name, build) in &asked.builds {
            self.header(&format!("[asked.build.{}]", key_text(name)));
            self.list("requires", &build.requires);
            self.list("packages", &build.packages);
            self.list("wheels", &build.wheels);
        }
    }

    fn base(&mut self, lock: &Lock) {
        let Some(base) = &lock.base else {
            // A registry's image that could not be pinned stands among what is unpinned.
            if !lock.lacks_base() {
                self.header("[debian]");
                self.pair("suite", &lock.suite);
                self.list("packages", &lock.packages);
            }
            return;
        };
        self.header("[base]");
        self.pair("image", &base.image);
        self.pair("manifest", &base.manifest);
        self.pair("size", &base.size);
        self.pair("config", &base.config);
        self.list("layers", &base.layers);
        self.table("[base.env]", &base.env);
        if !base.directories.is_empty() {
            self.header("[base.directories]");
            base.directories.iter().for_each(|(parent, names)| self.pair(parent, names));
        }
    }

    fn git(&mut self, git: &LockedGit) {
        self.header("[[git]]");
        self.pair("name", &git.name);
        self.list("urls", &git.urls);
        self.pair("commit", &git.commit);
        self.pair("tree", &git.tree);
        if let Some(path) = &git.path {
            self.pair("path", path);
        }
        for (key, patterns) in [("include", &git.include), ("exclude", &git.exclude)] {
            if !patterns.is_empty() {
                self.list(key, patterns);
            }
        }
        if !git.submodules.is_empty() {
            self.list("submodules", &git.submodules);
        }
        self.pair("archive", &git.archive);
    }

    fn download(&mut self, download: &LockedDownload) {
        self.header("[[download]]");
        self.pair("path", &download.path);
        self.list("urls", &download.urls);
        self.pair("size", &download.size);
        self.pair("sha256", &download.sha256.hex());
        if download.executable {
            self.pair("executable", &true);
        }
    }

    fn python(&mut self, lock: &Lock) {
        self.header("[python]");
        self.pair("version", &lock.python.version);
        self.pair("interpreter", &lock.python.interpreter);
        self.pair("prefix", &lock.python.prefix);
        self.pair("site", &lock.python.site);
        self.pair("scripts", &lock.python.scripts);
        self.pair("glibc", &lock.python.glibc);
        if !lock.find_links.is_empty() {
            self.list("find-links", &lock.find_links);
        }
        self.list("wheels", &lock.wheels);
    }

    fn build(&mut self, build: &LockedBuild) {
        self.header("[[build]]");
        self.pair("name", &build.name);
        self.pair("version", &build.version);
        match &build.source {
            BuildSource::Distribution(source) => self.pair("source", source),
            BuildSource::Git(name) => self.pair("git", name),
            BuildSource::Local => {}
        }
        if let Some(profile) = &build.profile {
            self.pair("profile", profile);
        }
        if !build.local.is_empty() {
            self.list("local", &build.local);
        }
        if let Some(output) = &build.output {
            self.pair("output", output);
        }
        if !build.files.is_empty() {
            self.list("files", &build.files);
        }
        self.list("command", &build.command);
        if !build.repeatable {
            self.pair("repeatable", &false);
        }
        self.list("packages", &build.packages);
        self.list("wheels", &build.wheels);
        self.table("[build.outputs]", &build.outputs);
        self.table("[build.env]", &build.env);
    }

    fn tables(&mut self, lock: &Lock) {
        self.header("[config]");
        self.pair("architecture", &lock.config.architecture);
        self.pair("workdir", &lock.config.workdir);
        self.pair("shm-size", &lock.config.shm_size);
        self.list("entrypoint", &lock.config.entrypoint);
        self.list("writable", &lock.config.writable);
        self.table("[config.env]", &lock.config.env);
        self.table("[symlinks]", &lock.symlinks);
        self.table("[files]", &lock.files);
        self.section("[local]", "files", &lock.local_files);
        self.section("[profiles]", "files", &lock.profile_files);
        self.section("[unpinned]", "inputs", &lock.unpinned);
    }

    fn seal(&mut self, seal: &LockedSeal) {
        self.header("[seal]");
        self.pair("manifest", &seal.manifest);
        self.list("layers", &seal.layers);
    }

    fn header(&mut self, header: &str) {
        self.0 += &format!("\n{header}\n");
    }

    fn pair(&mut self, key: &str, value: &impl Serialize) {
        self.0 += &format!("{} = {}\n", key_text(key), value_text(&json(value)));
    }

    fn list(&mut self, key: &str, items: &[impl Serialize]) {
        if items.is_empty() {
            self.0 += &format!("{key} = []\n");
            return;
        }
        self.0 += &format!("{key} = [\n");
        for item in items {
            self.0 += &format!("  {},\n", value_text(&json(item)));
        }
        self.0 += "]\n";
    }

    /// A table of strings; nothing if it is empty.
    fn table(&mut self, header: &str, pairs: &BTreeMap<String, String>) {
        if !pairs.is_empty() {
            self.header(header);
            pairs.iter().for_each(|(key, value)| self.pair(key, value));
        }
    }

    /// A list in a table of its own; nothing if it is empty.
    fn section(&mut self, header: &str, key: &str, items: &[impl Serialize]) {
        if !items.is_empty() {
            self.header(header);
            self.list(key, items);
        }
    }
}

/// The value with its keys in the order of the type's fields.
fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("the lock's types have string keys and cannot fail")
}

fn value_text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(pairs) => {
            let pair = |(key, value): (&String, &Value)| {
                format!("{} = {}", key_text(key), value_text(value))
            };
            format!("{{ {} }}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => string_text(text),
        other => other.to_string(),
    }
}

/// A basic string on one line. JSON's escapes are TOML's, but for DEL (TOML 1.0, "String").
fn string_text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { string_text(key) }
}
