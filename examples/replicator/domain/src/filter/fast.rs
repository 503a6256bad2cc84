//! Common expressions on the record's bytes: paths of fields, literals, comparisons, `&&`, `||`, `!`, `contains`,
//! `starts_with`, `ends_with` and `bucket`. Everything else, also a comparison of two objects, is left to the
//! reference.

use std::borrow::Cow;

use jmespath::ast::{Ast, Comparator};
use jmespath::{Rcvar, Variable};
use serde_json::Number;

use super::{Scratch, Verdict};
use crate::json::{Found, Kind, Paths, Segment, find};
use crate::record::Record;
use crate::sample;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Program {
    paths: Paths,
    root: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Is(Operand),
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Compare(Comparator, Operand, Operand),
    Text(TextTest, Operand, Box<str>),
}

#[derive(Clone, Copy, Debug)]
enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug)]
enum Operand {
    /// The number of a path in the value.
    Value(usize),
    Key,
    Header(Box<str>),
    Headers,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Missing,
    Literal(Rcvar),
    Bucket(Box<Operand>),
}

enum Answer<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Object { empty: bool },
    Array { empty: bool },
}

/// Why there is no answer.
enum Stop {
    /// The reference has to decide.
    Fallback,
}

type Evaluated<T> = Result<T, Stop>;

/// `None`: the expression is not a common one.
pub(super) fn compile(ast: &Ast) -> Option<Program> {
    let mut paths = Paths::default();
    let root = test(ast, &mut paths)?;
    Some(Program { paths, root })
}

fn test(ast: &Ast, paths: &mut Paths) -> Option<Test> {
    Some(match ast {
        Ast::Not { node, .. } => Test::Not(Box::new(test(node, paths)?)),
        Ast::And { lhs, rhs, .. } => {
            Test::And(Box::new(test(lhs, paths)?), Box::new(test(rhs, paths)?))
        }
        Ast::Or { lhs, rhs, .. } => {
            Test::Or(Box::new(test(lhs, paths)?), Box::new(test(rhs, paths)?))
        }
        Ast::Comparison {
            comparator,
            lhs,
            rhs,
            ..
        } => Test::Compare(
            comparator.clone(),
            operand(lhs, paths)?,
            operand(rhs, paths)?,
        ),
        Ast::Function { name, args, .. } if name != "bucket" => {
            let kind = match name.as_str() {
                "contains" => TextTest::Contains,
                "starts_with" => TextTest::StartsWith,
                "ends_with" => TextTest::EndsWith,
                _ => return None,
            };
            let [subject, Ast::Literal { value, .. }] = args.as_slice() else {
                return None;
            };
            Test::Text(
                kind,
                operand(subject, paths)?,
                value.as_string()?.as_str().into(),
            )
        }
        other => Test::Is(operand(other, paths)?),
    })
}

fn fields<'a>(ast: &'a Ast, path: &mut Vec<&'a str>) -> Option<()> {
    match ast {
        Ast::Field { name, .. } => path.push(name),
        Ast::Subexpr { lhs, rhs, .. } => {
            fields(lhs, path)?;
            fields(rhs, path)?;
        }
        _ => return None,
    }
    Some(())
}

fn operand(ast: &Ast, paths: &mut Paths) -> Option<Operand> {
    match ast {
        Ast::Literal { value, .. } => {
            let scalar = !matches!(
                **value,
                Variable::Array(_) | Variable::Object(_) | Variable::Expref(_)
            );
            return scalar.then(|| Operand::Literal(value.clone()));
        }
        Ast::Function { name, args, .. } if name == "bucket" => {
            let [subject] = args.as_slice() else {
                return None;
            };
            return Some(Operand::Bucket(Box::new(operand(subject, paths)?)));
        }
        _ => {}
    }
    let mut path = Vec::new();
    fields(ast, &mut path)?;
    Some(match path.as_slice() {
        ["key"] => Operand::Key,
        ["topic"] => Operand::Topic,
        ["partition"] => Operand::Partition,
        ["offset"] => Operand::Offset,
        ["timestamp"] => Operand::Timestamp,
        ["headers"] => Operand::Headers,
        ["headers", name] => Operand::Header((*name).into()),
        ["value", rest @ ..] => {
            let rest: Vec<_> = rest
                .iter()
                .map(|name| Segment::Field((*name).to_owned()))
                .collect();
            Operand::Value(paths.add(&rest))
        }
        // Texts and numbers have no fields, and there are no other roots.
        _ => Operand::Missing,
    })
}

impl Program {
    /// `None`: the reference has to decide.
    pub(super) fn judge(
        &self,
        record: &Record<'_>,
        needs_value: bool,
        scratch: &mut Scratch,
    ) -> Option<Verdict> {
        scratch.found.clear();
        if let Some(bytes) = record.value.filter(|_| needs_value)
            && let Err(error) = find(bytes, &self.paths, true, &mut scratch.found)
        {
            return Some(Verdict::Undecodable(error));
        }
        let run = Run {
            record,
            found: &scratch.found,
        };
        match run.test(&self.root) {
            Ok(true) => Some(Verdict::Keep),
            Ok(false) => Some(Verdict::Drop),
            Err(Stop::Fallback) => None,
        }
    }
}

struct Run<'a> {
    record: &'a Record<'a>,
    found: &'a [Found],
}

impl<'a> Run<'a> {
    fn test(&self, test: &'a Test) -> Evaluated<bool> {
        match test {
            Test::Is(operand) => Ok(match self.answer(operand)? {
                Answer::Null => false,
                Answer::Bool(is) => is,
                Answer::Number(_) => true,
                Answer::Text(text) => !text.is_empty(),
                Answer::Object { empty } | Answer::Array { empty } => !empty,
            }),
            Test::Not(test) => Ok(!self.test(test)?),
            Test::And(first, second) => Ok(self.test(first)? && self.test(second)?),
            Test::Or(first, second) => Ok(self.test(first)? || self.test(second)?),
            Test::Compare(comparator, first, second) => self.compare(comparator, first, second),
            Test::Text(kind, subject, part) => {
                // Of lists and of what the function does not take the reference knows more.
                let Answer::Text(text) = self.answer(subject)? else {
                    return Err(Stop::Fallback);
                };
                Ok(match kind {
                    TextTest::Contains => text.contains(&**part),
                    TextTest::StartsWith => text.starts_with(&**part),
                    TextTest::EndsWith => text.ends_with(&**part),
                })
            }
        }
    }

    fn compare(
        &self,
        comparator: &Comparator,
        first: &'a Operand,
        second: &'a Operand,
    ) -> Evaluated<bool> {
        let equal = match (self.answer(first)?, self.answer(second)?) {
            (Answer::Number(first), Answer::Number(second)) => {
                let (first, second) = (Variable::Number(first), Variable::Number(second));
                return Ok(first.compare(comparator, &second) == Some(true));
            }
            (Answer::Null, Answer::Null) => true,
            (Answer::Bool(first), Answer::Bool(second)) => first == second,
            (Answer::Text(first), Answer::Text(second)) => first == second,
            (Answer::Object { .. }, Answer::Object { .. })
            | (Answer::Array { .. }, Answer::Array { .. }) => {
                return Err(Stop::Fallback);
            }
            _ => false,
        };
        Ok(match comparator {
            Comparator::Equal => equal,
            Comparator::NotEqual => !equal,
            // Only numbers have an order.
            _ => false,
        })
    }

    fn answer(&self, operand: &'a Operand) -> Evaluated<Answer<'a>> {
        let text = |bytes: Option<&'a [u8]>| {
            let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.map_or(Answer::Null, |text| Answer::Text(Cow::Borrowed(text)))
        };
        Ok(match operand {
            Operand::Value(path) => match self.found.iter().find(|found| found.path == *path) {
                Some(found) => self.found(found)?,
                None => Answer::Null,
            },
            Operand::Key => text(self.record.key),
            Operand::Header(wanted) => {
                let mut last = Answer::Null;
                self.record.headers.visit(&mut |name, value| {
                    if *name == **wanted {
                        let value = value.and_then(|value| std::str::from_utf8(value).ok());
                        last = value.map_or(Answer::Null, |value| {
                            Answer::Text(Cow::Owned(value.to_owned()))
                        });
                    }
                });
                last
            }
            Operand::Headers => {
                let mut empty = true;
                self.record.headers.visit(&mut |_, _| empty = false);
                Answer::Object { empty }
            }
            Operand::Topic => Answer::Text(Cow::Borrowed(self.record.topic)),
            Operand::Partition => Answer::Number(self.record.partition.into()),
            Operand::Offset => Answer::Number(self.record.offset.into()),
            Operand::Timestamp => self
                .record
                .timestamp
                .map_or(Answer::Null, |timestamp| Answer::Number(timestamp.into())),
            Operand::Missing => Answer::Null,
            Operand::Literal(literal) => match &**literal {
                Variable::Null => Answer::Null,
                Variable::Bool(is) => Answer::Bool(*is),
                Variable::Number(number) => Answer::Number(number.clone()),
                Variable::String(text) => Answer::Text(Cow::Borrowed(text)),
                _ => return Err(Stop::Fallback),
            },
            Operand::Bucket(subject) => match self.answer(subject)? {
                Answer::Text(text) => Answer::Number(sample::bucket(text.as_bytes()).into()),
                Answer::Null => Answer::Null,
                _ => return Err(Stop::Fallback),
            },
        })
    }

    fn found(&self, found: &Found) -> Evaluated<Answer<'a>> {
        let bytes = self
            .record
            .value
            .and_then(|value| value.get(found.start..found.end));
        let bytes = bytes.ok_or(Stop::Fallback)?;
        Ok(match found.kind {
            Kind::Null => Answer::Null,
            Kind::Bool(is) => Answer::Bool(is),
            Kind::Object { empty } => Answer::Object { empty },
            Kind::Array { empty } => Answer::Array { empty },
            Kind::Number => match serde_json::from_slice(bytes) {
                Ok(number) => Answer::Number(number),
                Err(_) => return Err(Stop::Fallback),
            },
            Kind::String { escaped: false } => {
                match std::str::from_utf8(&bytes[1..bytes.len() - 1]) {
                    Ok(text) => Answer::Text(Cow::Borrowed(text)),
                    Err(_) => return Err(Stop::Fallback),
                }
            }
            Kind::String { escaped: true } => match serde_json::from_slice(bytes) {
                Ok(text) => Answer::Text(Cow::Owned(text)),
                Err(_) => return Err(Stop::Fallback),
            },
        })
    }
}
