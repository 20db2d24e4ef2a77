//! The small language that recipes write their figures in: `round(1 / mean(time), 3)`.
//!
//! Numbers, names, `+ - * /`, comparisons, parentheses and the functions of
//! [`FUNCTIONS`]. A value is a number or a series; arithmetic between a series
//! and a number, or between two series of one length, works element by element,
//! and a comparison gives 1 or 0, so that `where` can pick from a series. Numbers
//! behave like Python's, because the guides' scripts are Python (see `number`).
//!
//! | function | of | gives |
//! | --- | --- | --- |
//! | `mean median min max sum first last count` | a series | one number |
//! | `all any` | a series | 1 or 0: whether all, or any, of its values are not 0 |
//! | `min(a, b)`, `max(a, b)` | two numbers | one of them |
//! | `abs(x)` | a number or a series | without its sign |
//! | `where(series, condition)` | two series | the values whose condition is not 0 |
//! | `round(x)`, `round(x, n)` | a number | as Python's: half to even on the exact binary value |
//! | `trunc(x, n)` | a number | the decimals after the `n`th cut off |
//! | `int(x)`, `float(x)` | a number | as Python's |
//! | `elapsed(from, to)` | two clock readings | seconds; a year more if a log without years crossed New Year |
//!
//! Own parser: the expression crates that exist round differently, turn whole
//! numbers into fractions, have no series, or bring assignments and loops, and
//! a formula must neither loop nor change anything.
//!
//! Invariants: parsing and evaluating end, whatever the text; a result is a finite
//! number or an error. Where names come from is left to `figures`.

mod evaluate;
mod parse;

use std::collections::{BTreeMap, BTreeSet};

use super::number::Number;

/// The functions of the language, as error messages list them.
pub const FUNCTIONS: [&str; 17] = [
    "abs", "all", "any", "count", "elapsed", "first", "float", "int", "last", "max", "mean",
    "median", "min", "round", "sum", "trunc", "where",
];

/// A parsed formula.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    root: Node,
}

/// What a name stands for while a formula is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// One number.
    Number(Number),
    /// The numbers of a series, after the skip.
    Series(Vec<Number>),
    /// Nothing to compute with; the reason as a fragment.
    Unusable(String),
}

/// The names a formula may use.
pub type Scope = BTreeMap<String, Binding>;

/// Why a formula cannot be read or has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// The text is no formula.
    #[error("{expected} expected at character {position}, found {found}")]
    Syntax {
        /// Where, counted from 1.
        position: usize,
        /// What would have been right there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// The text is longer or nested deeper than any formula needs to be.
    #[error("the formula is too long or nested too deeply")]
    TooLarge,
    /// No function has this name.
    #[error("unknown function `{name}`\n  known    {}", FUNCTIONS.join(", "))]
    UnknownFunction {
        /// The name as written.
        name: String,
    },
    /// The function takes another number of arguments.
    #[error(
        "`{function}` has a wrong number of arguments\n  expected  {expected}\n  found     {found}"
    )]
    Arguments {
        /// The function.
        function: &'static str,
        /// How many it takes.
        expected: &'static str,
        /// How many were given.
        found: usize,
    },
    /// Nothing has this name.
    #[error("unknown name `{name}`{}\n  known    {}", super::nearest::hint(name, known), known.join(", "))]
    UnknownName {
        /// The name as written.
        name: String,
        /// Every name there is.
        known: Vec<String>,
    },
    /// The name stands for nothing that can be computed with.
    #[error("{reason}")]
    Unusable {
        /// Why, as a fragment.
        reason: String,
    },
    /// A series has no value left after the skip.
    #[error("`{function}` of a series without values")]
    Empty {
        /// The function that needs at least one value.
        function: &'static str,
    },
    /// A divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A series stands where a number is needed, or the other way round.
    #[error("`{place}` needs a {expected}")]
    Kind {
        /// The function or operator.
        place: &'static str,
        /// `number` or `series`.
        expected: &'static str,
    },
    /// Two series of different lengths meet.
    #[error("`{place}` between series of {left} and {right} values")]
    Lengths {
        /// The function or operator.
        place: &'static str,
        /// Values on the left.
        left: usize,
        /// Values on the right.
        right: usize,
    },
    /// The result is not a finite number.
    #[error("the result is {result}, not a finite number")]
    NotFinite {
        /// `nan`, `inf`, or a number out of range.
        result: String,
    },
}

/// A formula's tree; parsing bounds its depth.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(Number),
    Name(String),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(&'static str, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    /// As it is written.
    fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl Formula {
    /// Reads a formula; names are not looked up yet.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parse::parse(text).map(|root| Self { root })
    }

    /// Every name it uses.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        collect_names(&self.root, &mut names);
        names
    }

    /// Its value in `scope`: one finite number.
    pub fn evaluate(&self, scope: &Scope) -> Result<Number, FormulaError> {
        evaluate::evaluate(&self.root, scope)
    }
}

fn collect_names<'a>(node: &'a Node, names: &mut BTreeSet<&'a str>) {
    match node {
        Node::Number(_) => {}
        Node::Name(name) => {
            names.insert(name);
        }
        Node::Negate(inner) => collect_names(inner, names),
        Node::Binary(_, left, right) => {
            collect_names(left, names);
            collect_names(right, names);
        }
        Node::Call(_, arguments) => arguments.iter().for_each(|node| collect_names(node, names)),
    }
}

#[cfg(test)]
mod tests;
