//! One file of the Container Device Interface, in YAML or JSON, which is YAML as well.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

use super::CdiError;
use super::edits::{Edits, Place};

/// Bytes of the largest file that is read.
const LARGEST: u64 = 4 << 20;

/// The newest version that is known whole.
const NEWEST: (u32, u32) = (1, 0);

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) kind: String,
    content: Map<String, Value>,
    /// Whether it is of a later version than the newest that is known whole.
    is_later: bool,
}

impl Document {
    pub(super) fn read(path: PathBuf) -> Result<Self, CdiError> {
        let mut text = String::new();
        let read =
            fs::File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        read.map_err(|source| CdiError::Read { path: path.clone(), source })?;
        let refuse = |key: &str, reason: String| CdiError::Document {
            path: path.clone(),
            key: key.to_owned(),
            reason,
        };
        let mut documents =
            Yaml::load_from_str(&text).map_err(|error| refuse("the text", error.to_string()))?;
        let content = match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => {
                value(document).map_err(|reason| refuse("the text", reason))?
            }
            _ => return Err(refuse("the text", "it is not one document".to_owned())),
        };
        let Value::Object(content) = content else {
            return Err(refuse("the text", "it is not a table".to_owned()));
        };
        let text_of = |key: &str| match content.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(refuse(key, "it is not a text".to_owned())),
        };
        let (version, kind) = (text_of("cdiVersion")?, text_of("kind")?);
        let mut numbers = version.split('.').map(str::parse);
        let number = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), None) => Some((major, 0)),
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        // Within a major version keys are added, and what is there keeps its meaning.
        let Some(number) = number.filter(|(major, _)| *major <= NEWEST.0) else {
            let reason = format!("version `{version}` is not known; 0 and 1 are");
            return Err(refuse("cdiVersion", reason));
        };
        Ok(Self { path, kind, content, is_later: number > NEWEST })
    }

    pub(super) fn has_device(&self, name: &str) -> bool {
        self.device(name).is_some()
    }

    fn device(&self, name: &str) -> Option<(usize, &Value)> {
        let devices = self.content.get("devices")?.as_array()?;
        devices.iter().enumerate().find(|(_, device)| device["name"] == name)
    }

    /// What the file as a whole and the device of this name ask for.
    pub(super) fn edits(&self, name: &str) -> Result<Edits, CdiError> {
        let mut edits = Edits::default();
        let (position, device) =
            self.device(name).ok_or_else(|| CdiError::NoDevice { path: self.path.clone() })?;
        let of_device = format!("devices[{position}].containerEdits");
        let parts = [
            ("containerEdits".to_owned(), self.content.get("containerEdits")),
            (of_device, device.get("containerEdits")),
        ];
        for (key, part) in parts {
            if let Some(part) = part {
                edits.add(part, &Place { path: &self.path, key, is_later: self.is_later })?;
            }
        }
        if !edits.missing.is_empty() && !edits.binds.iter().any(|bind| bind.device) {
            return Err(edits.missing.remove(0).into());
        }
        Ok(edits)
    }
}

/// A node as JSON has it; what JSON has not is refused.
fn value(node: Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => truth.into(),
        Yaml::Value(Scalar::Integer(number)) => number.into(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.into_owned().into(),
        Yaml::Sequence(nodes) => nodes.into_iter().map(value).collect::<Result<_, _>>()?,
        Yaml::Mapping(pairs) => {
            let mut table = Map::new();
            for (key, node) in pairs {
                let Value::String(key) = value(key)? else {
                    return Err("a key is not a text".to_owned());
                };
                table.insert(key, value(node)?);
            }
            table.into()
        }
        _ => return Err("it has a tag, an alias or a broken value".to_owned()),
    })
}
