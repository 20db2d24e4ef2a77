//! From text to tree, by recursive descent.

use super::super::number::Number;
use super::{FUNCTIONS, FormulaError, Node, Operator};

/// Bytes of the longest formula; bounds the tree that a chain of operators makes.
const LONGEST: usize = 1000;
/// Parentheses, calls and signs inside each other.
const DEEPEST: usize = 40;

pub(super) fn parse(text: &str) -> Result<Node, FormulaError> {
    if text.len() > LONGEST {
        return Err(FormulaError::TooLarge);
    }
    let mut parser = Parser { text, position: 0, depth: 0 };
    let root = parser.comparison()?;
    parser.skip_space();
    if parser.rest().is_empty() { Ok(root) } else { Err(parser.error("an operator or the end")) }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn skip_space(&mut self) {
        self.position += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, expected: &'static str) -> FormulaError {
        let found = match self.rest().chars().next() {
            Some(character) => format!("`{character}`"),
            None => "the end".to_owned(),
        };
        let position = self.text[..self.position].chars().count() + 1;
        FormulaError::Syntax { position, expected, found }
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    /// The first of `operators` that comes next; longer ones have to stand first.
    fn operator(&mut self, operators: &[Operator]) -> Option<Operator> {
        operators.iter().copied().find(|operator| self.take(operator.text()))
    }

    fn comparison(&mut self) -> Result<Node, FormulaError> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let left = self.sum()?;
        let known = [LessOrEqual, GreaterOrEqual, Equal, NotEqual, Less, Greater];
        let Some(operator) = self.operator(&known) else { return Ok(left) };
        Ok(Node::Binary(operator, Box::new(left), Box::new(self.sum()?)))
    }

    fn sum(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.product()?;
        while let Some(operator) = self.operator(&[Operator::Add, Operator::Subtract]) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.signed()?;
        while let Some(operator) = self.operator(&[Operator::Multiply, Operator::Divide]) {
            left = Node::Binary(operator, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, FormulaError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(FormulaError::TooLarge);
        }
        let node =
            if self.take("-") { Node::Negate(Box::new(self.signed()?)) } else { self.primary()? };
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node, FormulaError> {
        if self.take("(") {
            let inner = self.comparison()?;
            return if self.take(")") { Ok(inner) } else { Err(self.error("`)`")) };
        }
        match self.rest().chars().next() {
            Some('0'..='9' | '.') => self.number(),
            Some('a'..='z' | 'A'..='Z' | '_') => self.name_or_call(),
            _ => Err(self.error("a number, a name or `(`")),
        }
    }

    fn number(&mut self) -> Result<Node, FormulaError> {
        let rest = self.rest().as_bytes();
        let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = digits(0);
        if rest.get(length) == Some(&b'.') {
            length += 1 + digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            length += match digits(length + 1 + sign) {
                0 => 0,
                count => 1 + sign + count,
            };
        }
        let number = Number::parse(&self.rest()[..length]).ok_or_else(|| self.error("a number"))?;
        self.position += length;
        Ok(Node::Number(number))
    }

    fn name_or_call(&mut self) -> Result<Node, FormulaError> {
        let rest = self.rest();
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
        let name = &rest[..length];
        self.position += length;
        if !self.take("(") {
            return Ok(Node::Name(name.to_owned()));
        }
        let Some(function) = FUNCTIONS.iter().find(|function| **function == name) else {
            return Err(FormulaError::UnknownFunction { name: name.to_owned() });
        };
        let arguments = self.arguments()?;
        check_count(function, arguments.len())?;
        Ok(Node::Call(function, arguments))
    }

    fn arguments(&mut self) -> Result<Vec<Node>, FormulaError> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.comparison()?);
            if self.take(")") {
                return Ok(arguments);
            }
            if !self.take(",") {
                return Err(self.error("`,` or `)`"));
            }
        }
    }
}

fn check_count(function: &'static str, found: usize) -> Result<(), FormulaError> {
    let (expected, fits) = match function {
        "round" | "min" | "max" => ("1 or 2", (1..=2).contains(&found)),
        "trunc" | "where" | "elapsed" => ("2", found == 2),
        _ => ("1", found == 1),
    };
    if fits { Ok(()) } else { Err(FormulaError::Arguments { function, expected, found }) }
}
