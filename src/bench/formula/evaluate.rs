//! From tree and scope to one number.

use super::super::clock;
use super::super::number::Number;
use super::{Binding, FormulaError, Node, Operator, Scope};

/// What a part of a formula comes to.
enum Value {
    Number(Number),
    Series(Vec<Number>),
}

pub(super) fn evaluate(root: &Node, scope: &Scope) -> Result<Number, FormulaError> {
    let number = number(value(root, scope)?, "the formula")?;
    if number.is_finite() { Ok(number) } else { Err(not_finite(number)) }
}

fn not_finite(number: Number) -> FormulaError {
    FormulaError::NotFinite { result: number.repr() }
}

fn value(node: &Node, scope: &Scope) -> Result<Value, FormulaError> {
    match node {
        Node::Number(number) => Ok(Value::Number(*number)),
        Node::Name(name) => look_up(name, scope),
        Node::Negate(inner) => {
            let zero = Value::Number(Number::Int(0));
            // `0 - x` would turn `-0.0` into `0.0`; nobody measures a negative nothing.
            binary(Operator::Subtract, zero, value(inner, scope)?)
        }
        Node::Binary(operator, left, right) => {
            binary(*operator, value(left, scope)?, value(right, scope)?)
        }
        Node::Call(function, arguments) => {
            let arguments: Result<Vec<_>, _> =
                arguments.iter().map(|argument| value(argument, scope)).collect();
            call(function, arguments?)
        }
    }
}

fn look_up(name: &str, scope: &Scope) -> Result<Value, FormulaError> {
    match scope.get(name) {
        Some(Binding::Number(number)) => Ok(Value::Number(*number)),
        Some(Binding::Series(series)) => Ok(Value::Series(series.clone())),
        Some(Binding::Unusable(reason)) => Err(FormulaError::Unusable { reason: reason.clone() }),
        None => Err(FormulaError::UnknownName {
            name: name.to_owned(),
            known: scope.keys().cloned().collect(),
        }),
    }
}

fn binary(operator: Operator, left: Value, right: Value) -> Result<Value, FormulaError> {
    use Value::{Number, Series};
    let series = |numbers: Result<Vec<_>, _>| numbers.map(Series);
    match (left, right) {
        (Number(left), Number(right)) => compute(operator, left, right).map(Number),
        (Series(left), Number(right)) => {
            series(left.into_iter().map(|left| compute(operator, left, right)).collect())
        }
        (Number(left), Series(right)) => {
            series(right.into_iter().map(|right| compute(operator, left, right)).collect())
        }
        (Series(left), Series(right)) => {
            same_length(operator.text(), &left, &right)?;
            let pairs = left.into_iter().zip(right);
            series(pairs.map(|(left, right)| compute(operator, left, right)).collect())
        }
    }
}

fn same_length(place: &'static str, a: &[Number], b: &[Number]) -> Result<(), FormulaError> {
    let (left, right) = (a.len(), b.len());
    if left == right { Ok(()) } else { Err(FormulaError::Lengths { place, left, right }) }
}

fn compute(operator: Operator, left: Number, right: Number) -> Result<Number, FormulaError> {
    let (a, b) = (left.as_f64(), right.as_f64());
    match operator {
        Operator::Add => arithmetic(left, right, i64::checked_add, a + b),
        Operator::Subtract => arithmetic(left, right, i64::checked_sub, a - b),
        Operator::Multiply => arithmetic(left, right, i64::checked_mul, a * b),
        Operator::Divide if b == 0.0 => Err(FormulaError::DivisionByZero),
        Operator::Divide => Ok(Number::Float(a / b)),
        Operator::Less => Ok(truth(a < b)),
        Operator::LessOrEqual => Ok(truth(a <= b)),
        Operator::Greater => Ok(truth(a > b)),
        Operator::GreaterOrEqual => Ok(truth(a >= b)),
        Operator::Equal => Ok(truth(a == b)),
        Operator::NotEqual => Ok(truth(a != b)),
    }
}

fn truth(holds: bool) -> Number {
    Number::Int(i64::from(holds))
}

/// Whole numbers stay whole, as in Python; beyond 64 bits they are refused, never wrapped.
fn arithmetic(
    left: Number,
    right: Number,
    whole: fn(i64, i64) -> Option<i64>,
    fraction: f64,
) -> Result<Number, FormulaError> {
    let (Number::Int(a), Number::Int(b)) = (left, right) else {
        return Ok(Number::Float(fraction));
    };
    let too_large = || FormulaError::NotFinite { result: format!("about {fraction:e}") };
    whole(a, b).map(Number::Int).ok_or_else(too_large)
}

fn call(function: &'static str, mut arguments: Vec<Value>) -> Result<Value, FormulaError> {
    // The parser has checked the number of arguments; the last one is taken first.
    let second = if arguments.len() > 1 { arguments.pop() } else { None };
    let first = arguments.pop().expect("the parser lets no call through without arguments");
    match (function, second) {
        ("where", Some(condition)) => pick(first, condition).map(Value::Series),
        ("elapsed", Some(to)) => elapsed(number(first, function)?, number(to, function)?),
        ("round" | "trunc", digits) => rounded(function, first, digits),
        ("int" | "float", _) => convert(function, number(first, function)?),
        ("abs", _) => absolute(first),
        ("min" | "max", Some(other)) => {
            let pair = [number(first, function)?, number(other, function)?];
            summary(function, &pair).map(Value::Number)
        }
        ("count", _) => Ok(Value::Number(Number::Int(series(first, function)?.len() as i64))),
        _ => summary(function, &series(first, function)?).map(Value::Number),
    }
}

fn number(value: Value, place: &'static str) -> Result<Number, FormulaError> {
    match value {
        Value::Number(number) => Ok(number),
        Value::Series(_) => Err(FormulaError::Kind { place, expected: "number" }),
    }
}

fn series(value: Value, place: &'static str) -> Result<Vec<Number>, FormulaError> {
    match value {
        Value::Series(series) => Ok(series),
        Value::Number(_) => Err(FormulaError::Kind { place, expected: "series" }),
    }
}

/// The values of a series whose condition, a series of the same length, is not 0.
fn pick(values: Value, condition: Value) -> Result<Vec<Number>, FormulaError> {
    let (values, condition) = (series(values, "where")?, series(condition, "where")?);
    same_length("where", &values, &condition)?;
    let pairs = values.into_iter().zip(condition);
    Ok(pairs.filter(|(_, holds)| holds.as_f64() != 0.0).map(|(value, _)| value).collect())
}

/// Seconds from one clock reading to a later one; logs without years may cross New Year.
fn elapsed(from: Number, to: Number) -> Result<Value, FormulaError> {
    let seconds = to.as_f64() - from.as_f64();
    let seconds = if seconds < 0.0 { seconds + clock::YEAR } else { seconds };
    Ok(Value::Number(Number::Float(seconds)))
}

fn rounded(
    function: &'static str,
    value: Value,
    digits: Option<Value>,
) -> Result<Value, FormulaError> {
    let value = number(value, function)?;
    let Some(digits) = digits else { return convert("int", value.round(0)) };
    let Number::Int(digits @ 0..=300) = number(digits, function)? else {
        return Err(FormulaError::Kind { place: function, expected: "whole number of digits" });
    };
    let digits = digits as usize;
    let result = if function == "round" { value.round(digits) } else { value.truncate(digits) };
    Ok(Value::Number(result))
}

fn convert(function: &'static str, number: Number) -> Result<Value, FormulaError> {
    let float = number.as_f64();
    if function == "float" {
        return Ok(Value::Number(Number::Float(float)));
    }
    match number {
        Number::Int(_) => Ok(Value::Number(number)),
        // 2^63 is the first that does not fit; everything below it is exact after `trunc`.
        Number::Float(_) if float.abs() < 9_223_372_036_854_775_808.0 => {
            Ok(Value::Number(Number::Int(float.trunc() as i64)))
        }
        Number::Float(_) => Err(not_finite(number)),
    }
}

fn absolute(value: Value) -> Result<Value, FormulaError> {
    let one = |number: Number| match number {
        Number::Int(whole) => {
            whole.checked_abs().map(Number::Int).ok_or_else(|| not_finite(number))
        }
        Number::Float(fraction) => Ok(Number::Float(fraction.abs())),
    };
    match value {
        Value::Number(number) => one(number).map(Value::Number),
        Value::Series(series) => {
            series.into_iter().map(one).collect::<Result<_, _>>().map(Value::Series)
        }
    }
}

/// One number from all of a series.
fn summary(function: &'static str, series: &[Number]) -> Result<Number, FormulaError> {
    let (Some(first), Some(last)) = (series.first(), series.last()) else {
        return Err(FormulaError::Empty { function });
    };
    match function {
        "first" => Ok(*first),
        "last" => Ok(*last),
        "sum" => sum(series),
        "mean" => Ok(Number::Float(sum(series)?.as_f64() / series.len() as f64)),
        "median" => Ok(median(series)),
        "min" => Ok(extreme(series, |a, b| a < b)),
        "max" => Ok(extreme(series, |a, b| a > b)),
        "all" => Ok(truth(series.iter().all(|value| value.as_f64() != 0.0))),
        "any" => Ok(truth(series.iter().any(|value| value.as_f64() != 0.0))),
        _ => unreachable!("the parser lets only known functions through"),
    }
}

/// From left to right without compensation, as the guides' loops add up.
fn sum(series: &[Number]) -> Result<Number, FormulaError> {
    series.iter().try_fold(Number::Int(0), |sum, number| compute(Operator::Add, sum, *number))
}

fn median(series: &[Number]) -> Number {
    let mut sorted = series.to_vec();
    sorted.sort_by(|a, b| a.as_f64().total_cmp(&b.as_f64()));
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return sorted[middle];
    }
    Number::Float((sorted[middle - 1].as_f64() + sorted[middle].as_f64()) / 2.0)
}

/// The first of the values that beat all others, as Python's `min` and `max`.
fn extreme(series: &[Number], beats: fn(f64, f64) -> bool) -> Number {
    let better = |best: Number, next: &Number| {
        if beats(next.as_f64(), best.as_f64()) { *next } else { best }
    };
    series[1..].iter().fold(series[0], better)
}
