//! Reads a parsed TOML value into a Rust type and says where it does not fit.
//!
//! The usual deserializer stops at the first unknown key. This one notes every
//! unknown key, goes on, and words a wrong type for a person who knows TOML but
//! not this program's types.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, Unexpected, Visitor};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::document::{Fault, unknown_keys};

/// A value, the key it stands under, and where unknown keys are noted.
pub(super) struct Node<'a, 't> {
    pub value: &'a Spanned<DeValue<'t>>,
    pub key: Range<usize>,
    pub path: String,
    pub sink: &'a RefCell<Vec<Fault>>,
}

/// Why a value does not fit; it gets its place on the way up.
#[derive(Debug)]
pub(super) struct DecodeError {
    message: String,
    place: Option<(usize, String)>,
}

impl DecodeError {
    fn at(mut self, offset: usize, path: &str) -> Self {
        self.place.get_or_insert_with(|| (offset, path.to_owned()));
        self
    }

    pub(super) fn into_fault(self) -> Fault {
        let (offset, path) = self.place.unwrap_or_default();
        let message =
            if path.is_empty() { self.message } else { format!("`{path}`: {}", self.message) };
        Fault { offset, message }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!(
            "expected {}, found {}",
            words(&expected.to_string()),
            kind(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = found.to_string().replace("integer ", "").replace("string ", "");
        Self::custom(format_args!("expected {}, found {found}", words(&expected.to_string())))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("missing key `{field}`"))
    }
}

/// Serde's name of what was expected in TOML's words.
fn words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "a table",
        _ => "something else",
    }
}

impl Node<'_, '_> {
    /// A table's message points to its key: its own span may be another file's worth of lines.
    fn offset(&self) -> usize {
        let whole = matches!(self.value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        if whole { self.key.start } else { self.value.span().start }
    }

    fn visit<'de, V: Visitor<'de>>(
        &self,
        known: Option<&[&str]>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.value.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let read = i64::from_str_radix(&digits, number.radix());
                visitor.visit_i64(read.map_err(|_| DecodeError::custom("the number is too large"))?)
            }
            DeValue::Float(number) => {
                let read = number.as_str().replace('_', "").parse();
                visitor.visit_f64(read.map_err(|_| DecodeError::custom("this is no number"))?)
            }
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => Err(DecodeError::custom(
                "a date or time is written as a string here, in quotation marks",
            )),
            DeValue::Array(items) => visitor.visit_seq(Items { items, next: 0, node: self }),
            DeValue::Table(table) => {
                if let Some(known) = known {
                    unknown_keys(table, known, &self.path, &mut self.sink.borrow_mut());
                }
                visitor.visit_map(Entries::new(table, known, self))
            }
        }
    }
}

impl<'de> de::Deserializer<'de> for Node<'_, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit(None, visitor).map_err(|error| error.at(self.offset(), &self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // A struct would also take an array, its fields in order; nobody writes that on purpose.
        let result = match self.value.get_ref() {
            DeValue::Array(_) => Err(DecodeError::custom("expected a table, found an array")),
            _ => self.visit(Some(fields), visitor),
        };
        result.map_err(|error| error.at(self.offset(), &self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (offset, path) = (self.offset(), self.path.clone());
        let place = |error: DecodeError| error.at(offset, &path);
        match self.value.get_ref() {
            DeValue::String(text) => {
                visitor.visit_enum(text.as_ref().into_deserializer()).map_err(place)
            }
            _ => Err(place(DecodeError::custom("expected a string"))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The items of an array, one after the other.
struct Items<'a, 't> {
    items: &'a DeArray<'t>,
    next: usize,
    node: &'a Node<'a, 't>,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(value) = self.items.get(self.next) else { return Ok(None) };
        self.next += 1;
        // People count from one.
        let path = format!("{}[{}]", self.node.path, self.next);
        let node = Node { value, key: value.span(), path, sink: self.node.sink };
        seed.deserialize(node).map(Some)
    }
}

/// The entries of a table; for a struct only those with known keys.
struct Entries<'a, 't> {
    entries: Vec<(&'a Spanned<toml::de::DeString<'t>>, &'a Spanned<DeValue<'t>>)>,
    next: usize,
    node: &'a Node<'a, 't>,
}

impl<'a, 't> Entries<'a, 't> {
    fn new(table: &'a DeTable<'t>, known: Option<&[&str]>, node: &'a Node<'a, 't>) -> Self {
        let wanted = |key: &str| known.is_none_or(|known| known.contains(&key));
        let entries = table.iter().filter(|(key, _)| wanted(key.get_ref())).collect();
        Self { entries, next: 0, node }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let text: &str = key.get_ref();
        let text: de::value::StrDeserializer<'_, DecodeError> = text.into_deserializer();
        let place = |error: DecodeError| error.at(key.span().start, &self.node.path);
        seed.deserialize(text).map(Some).map_err(place)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some((key, value)) = self.entries.get(self.next) else {
            return seed.deserialize(BorrowedStrDeserializer::new(""));
        };
        self.next += 1;
        let path = match self.node.path.as_str() {
            "" => key.get_ref().to_string(),
            parent => format!("{parent}.{}", key.get_ref()),
        };
        seed.deserialize(Node { value, key: key.span(), path, sink: self.node.sink })
    }
}
