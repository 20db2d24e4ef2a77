//! Installs a wheel as pip 24.0 does, on paper: which file goes where with which bytes.
//!
//! The yardstick is `pip install --no-compile --no-deps --no-index --prefix PREFIX
//! --root ROOT -r LIST` run by the image's interpreter; `tests/it/pip_equality.rs`
//! compares with it. No `.pyc` and no `direct_url.json` is written. The order in which
//! pip writes matters where a wheel has two entries for one place: the last one wins.

mod entry_points;
mod record;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};

use self::entry_points::Scripts;
use self::record::Row;
use super::error::LayerError;
use super::plan::Source;
use super::sources::Sources;
use super::zip::{Archive, ZipEntry, normal};
use crate::lock::PythonTarget;

/// Files that must be read to install a wheel are not larger than this (bytes).
const READ_LIMIT: u64 = 64 << 20;

/// A file to be installed.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) executable: bool,
    pub(super) source: Source,
}

/// A wheel's files by path, and what a reader should know of its RECORD.
pub(super) struct Installation {
    pub(super) files: BTreeMap<String, Installed>,
    pub(super) notes: Vec<String>,
}

/// Plans the installation of `archive`, which is input number `input`, as `name`.
pub(super) fn install(
    archive: &Archive,
    input: u32,
    name: &str,
    requested: bool,
    python: &PythonTarget,
    sources: &mut Sources,
) -> Result<Installation, LayerError> {
    let info = find_info(archive, name)?;
    let mut installer = Installer {
        archive,
        input,
        python,
        sources,
        info,
        headers: format!("{}/include/python{}/{name}", python.prefix, python.version),
        files: BTreeMap::new(),
        moved: BTreeMap::new(),
        changed: BTreeMap::new(),
        generated: Vec::new(),
    };
    installer.run(requested)
}

struct Installer<'a> {
    archive: &'a Archive,
    input: u32,
    python: &'a PythonTarget,
    sources: &'a mut Sources,
    /// Name of the `.dist-info` folder.
    info: String,
    /// Where C headers go.
    headers: String,
    files: BTreeMap<String, Installed>,
    /// Names in the wheel to paths in RECORD.
    moved: BTreeMap<String, String>,
    /// Rows of files whose first line was changed, by path.
    changed: BTreeMap<String, Row>,
    /// Rows of files that are not in the wheel.
    generated: Vec<Row>,
}

impl Installer<'_> {
    fn run(&mut self, requested: bool) -> Result<Installation, LayerError> {
        check_version(&self.text("WHEEL")?).map_err(|reason| self.refuse(reason))?;
        self.text("METADATA")?;
        let scripts = self.scripts()?;
        self.place_entries(&scripts)?;
        for launcher in scripts::launchers(&scripts, self.python) {
            let path = format!("{}/{}", self.python.scripts, launcher.name);
            self.generate(&path, true, launcher.content);
        }
        self.generate(&self.info_path("INSTALLER"), false, b"pip\n".to_vec());
        if requested {
            self.generate(&self.info_path("REQUESTED"), false, Vec::new());
        }
        let notes = self.write_record()?;
        Ok(Installation { files: std::mem::take(&mut self.files), notes })
    }

    fn scripts(&mut self) -> Result<Scripts, LayerError> {
        let name = format!("{}/entry_points.txt", self.info);
        if self.archive.find(&name).is_none() {
            return Ok(Scripts::default());
        }
        Scripts::parse(&self.text("entry_points.txt")?).map_err(|reason| self.refuse(reason))
    }

    /// Root files first, then other `.data` files, then scripts, as pip does.
    fn place_entries(&mut self, scripts: &Scripts) -> Result<(), LayerError> {
        let archive = self.archive;
        let (data, root): (Vec<_>, Vec<_>) =
            archive.entries.iter().partition(|entry| first_part(&entry.name).ends_with(".data"));
        for entry in root {
            let path = format!("{}/{}", self.python.site, normal(&entry.name));
            self.place(entry, &path, None);
        }
        let (scripts_of_wheel, others): (Vec<_>, Vec<_>) =
            data.into_iter().partition(|entry| entry.name.split('/').nth(1) == Some("scripts"));
        for entry in others {
            let path = self.data_path(entry)?;
            self.place(entry, &path, None);
        }
        for entry in scripts_of_wheel {
            let path = self.data_path(entry)?;
            if !is_wrapper(&path, scripts) {
                let content = self.rewritten(entry)?;
                self.place(entry, &path, content);
            }
        }
        Ok(())
    }

    fn place(&mut self, entry: &ZipEntry, path: &str, rewritten: Option<Vec<u8>>) {
        let row_path = relative(path, &self.python.site);
        self.moved.insert(entry.name.clone(), row_path.clone());
        let source = match rewritten {
            Some(content) => {
                self.changed.insert(row_path.clone(), Row::of(row_path, &content));
                Source::Literal(content)
            }
            None => entry.source(self.input),
        };
        self.files.insert(inside(path), Installed { executable: entry.executable, source });
    }

    fn generate(&mut self, path: &str, executable: bool, content: Vec<u8>) {
        self.generated.push(Row::of(relative(path, &self.python.site), &content));
        let source = Source::Literal(content);
        self.files.insert(inside(path), Installed { executable, source });
    }

    /// Where an entry of `NAME.data/SCHEME/` goes.
    fn data_path(&self, entry: &ZipEntry) -> Result<String, LayerError> {
        let name = normal(&entry.name);
        let mut parts = name.splitn(3, '/').skip(1);
        let (Some(scheme), Some(rest)) = (parts.next(), parts.next()) else {
            return Err(self.refuse_entry(entry, "is in no scheme of its .data folder"));
        };
        let folder = match scheme {
            "purelib" | "platlib" => &self.python.site,
            "scripts" => &self.python.scripts,
            "headers" => &self.headers,
            "data" => &self.python.prefix,
            _ => {
                return Err(self.refuse_entry(entry, "is in an unknown scheme of its .data folder"));
            }
        };
        Ok(format!("{folder}/{rest}"))
    }

    /// The content of a script that begins with `#!python`, with the image's interpreter there.
    fn rewritten(&mut self, entry: &ZipEntry) -> Result<Option<Vec<u8>>, LayerError> {
        const MARK: &[u8] = b"#!python";
        let source = entry.source(self.input);
        let mut start = Vec::new();
        // Binaries of many megabytes are shipped as scripts: only the first bytes are kept.
        self.sources.content(&entry.name, &source, &mut |bytes| {
            start.extend_from_slice(&bytes[..bytes.len().min(MARK.len() - start.len())]);
            Ok(())
        })?;
        if start != MARK {
            return Ok(None);
        }
        let content = self.sources.read(&entry.name, &source, READ_LIMIT)?;
        let end =
            content.iter().position(|byte| *byte == b'\n').map_or(content.len(), |end| end + 1);
        let mut rewritten = scripts::first_line(&self.python.interpreter).into_bytes();
        rewritten.extend_from_slice(&content[end..]);
        Ok(Some(rewritten))
    }

    /// Writes RECORD; returns what does not match in the wheel's own.
    fn write_record(&mut self) -> Result<Vec<String>, LayerError> {
        let text = self.text("RECORD")?;
        let old = record::parse(&text).map_err(|reason| self.refuse(reason))?;
        let notes = self.compare(&old);
        let mut moved = std::mem::take(&mut self.moved);
        let mut rows = Vec::new();
        for row in old {
            let path = moved.remove(&row.path).unwrap_or(row.path);
            let changed = self.changed.get(&path).cloned();
            rows.push(changed.unwrap_or(Row { path, hash: row.hash, size: row.size }));
        }
        rows.append(&mut self.generated);
        let unlisted = moved.into_values();
        rows.extend(unlisted.map(|path| Row { path, hash: String::new(), size: String::new() }));
        let path = inside(&self.info_path("RECORD"));
        let source = Source::Literal(record::write(rows));
        self.files.insert(path, Installed { executable: false, source });
        Ok(notes)
    }

    /// RECORD is no check, because pip never looks; but a reader wants to know.
    fn compare(&self, rows: &[Row]) -> Vec<String> {
        let by_path: BTreeMap<&str, &Row> =
            rows.iter().map(|row| (row.path.as_str(), row)).collect();
        let file = &self.archive.file;
        let mut notes = Vec::new();
        for entry in &self.archive.entries {
            match by_path.get(entry.name.as_str()) {
                None => notes.push(format!("`{}` of `{file}` is not in its RECORD", entry.name)),
                Some(row) if !row.size.is_empty() && row.size != entry.size().to_string() => {
                    let (size, path) = (entry.size(), &entry.name);
                    notes.push(format!(
                        "`{path}` of `{file}` has {size} bytes, its RECORD says {}",
                        row.size
                    ));
                }
                Some(_) => {}
            }
        }
        let names: BTreeSet<&str> =
            self.archive.entries.iter().map(|entry| entry.name.as_str()).collect();
        let gone = rows.iter().filter(|row| !names.contains(row.path.as_str()));
        notes.extend(gone.map(|row| format!("`{}` of RECORD is not in `{file}`", row.path)));
        notes
    }

    fn info_path(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.python.site, self.info)
    }

    /// Text of a file in the `.dist-info` folder, which must be there.
    fn text(&mut self, name: &str) -> Result<String, LayerError> {
        let path = format!("{}/{name}", self.info);
        let Some(entry) = self.archive.find(&path) else {
            return Err(self.refuse(format!("it has no `{path}`")));
        };
        let bytes = self.sources.read(&path, &entry.source(self.input), READ_LIMIT)?;
        String::from_utf8(bytes).map_err(|_| self.refuse(format!("its `{path}` is not UTF-8")))
    }

    fn refuse(&self, reason: String) -> LayerError {
        LayerError::Wheel { file: self.archive.file.clone(), reason }
    }

    fn refuse_entry(&self, entry: &ZipEntry, reason: &str) -> LayerError {
        let (file, entry) = (self.archive.file.clone(), entry.name.clone());
        LayerError::WheelEntry { file, entry, reason: reason.to_owned() }
    }
}

/// The one `.dist-info` folder, which must belong to the distribution.
fn find_info(archive: &Archive, name: &str) -> Result<String, LayerError> {
    let refuse = |reason| LayerError::Wheel { file: archive.file.clone(), reason };
    let parts = archive.entries.iter().map(|entry| first_part(&entry.name));
    let infos: BTreeSet<&str> = parts.filter(|part| part.ends_with(".dist-info")).collect();
    let mut infos = infos.into_iter();
    let info = infos.next().ok_or_else(|| refuse("it has no .dist-info folder".to_owned()))?;
    if let Some(other) = infos.next() {
        return Err(refuse(format!("it has two .dist-info folders: `{info}` and `{other}`")));
    }
    if !normalised(info).starts_with(&normalised(name)) {
        return Err(refuse(format!("its .dist-info folder `{info}` is not one of `{name}`")));
    }
    Ok(info.to_owned())
}

/// Versions above 1 may mean anything (the wheel specification says to refuse them).
fn check_version(wheel: &str) -> Result<(), String> {
    let value = |line: &str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case("wheel-version").then(|| value.trim().to_owned())
    };
    let version = wheel.lines().find_map(value).ok_or("its WHEEL has no Wheel-Version")?;
    let parts: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    match parts.as_deref() {
        Ok([0 | 1, ..]) => Ok(()),
        Ok(_) => Err(format!("it has version {version} of the wheel format, pip 24.0 knows 1")),
        Err(_) => Err(format!("its Wheel-Version is not one: `{version}`")),
    }
}

/// Scripts that setuptools made for an entry point are left out: pip makes its own.
fn is_wrapper(path: &str, scripts: &Scripts) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let endings = [".exe", "-script.py", ".pya"];
    let lower = name.to_lowercase();
    let ending = endings.into_iter().find(|ending| lower.ends_with(ending)).unwrap_or("");
    scripts.has(name.get(..name.len() - ending.len()).unwrap_or(name))
}

fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// A distribution's normalised name (PEP 503).
fn normalised(name: &str) -> String {
    let mut text = String::new();
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !text.is_empty() {
            text.push('-');
        }
        text.push_str(&part.to_lowercase());
    }
    text
}

/// An absolute path of the image as a path in the layer.
fn inside(path: &str) -> String {
    normal(path)
}

/// A path as RECORD has it: relative to the site folder.
fn relative(path: &str, folder: &str) -> String {
    let (path, folder) = (normal(path), normal(folder));
    let (path, folder): (Vec<_>, Vec<_>) = (path.split('/').collect(), folder.split('/').collect());
    let common = path.iter().zip(&folder).take_while(|(one, other)| one == other).count();
    let mut parts = vec![".."; folder.len() - common];
    parts.extend(&path[common..]);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_paths_are_relative_to_the_site_folder() {
        let site = "/usr/local/lib/python3.9/dist-packages";
        assert_eq!(relative("/usr/local/bin/x", site), "../../../bin/x");
        assert_eq!(relative(&format!("{site}/a/b.py"), site), "a/b.py");
    }

    #[test]
    fn names_are_compared_in_their_normalised_form() {
        assert_eq!(normalised("Foo__Bar-.baz"), "foo-bar-baz");
    }

    #[test]
    fn wheel_versions_that_pip_knows_are_taken() {
        assert!(check_version("Wheel-Version: 1.0\nRoot-Is-Purelib: true\n").is_ok());
        assert!(check_version("wheel-version: 1.9\n").is_ok());
        for text in ["", "Wheel-Version: 2.0", "Wheel-Version: x"] {
            assert!(check_version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scripts_that_setuptools_made_for_an_entry_point_are_left_out() {
        let scripts = Scripts::parse("[console_scripts]\nTool = m:f").unwrap();
        for name in ["Tool", "Tool.exe", "Tool-script.py", "Tool.PYA"] {
            assert!(is_wrapper(&format!("/usr/local/bin/{name}"), &scripts), "{name}");
        }
        assert!(!is_wrapper("/usr/local/bin/tool", &scripts));
    }
}
