//! `mapping test`: runs the tests in a mapping's text.

use std::fmt;

use serde::{Serialize, Serializer};

use super::single::Single;
use crate::mapping::{Case, Plan};
use crate::plain::plain;
use crate::raw::{Elements, Value, extended_json, extended_json_of, kind, kind_name};

/// What became of a mapping's tests.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Its tests, in order.
    pub tests: Vec<Test>,
}

impl Report {
    /// The number of tests that passed.
    pub fn passed(&self) -> usize {
        self.tests.iter().filter(|test| test.failures.is_empty()).count()
    }
    /// The tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Test> {
        self.tests.iter().filter(|test| !test.failures.is_empty())
    }
}

/// What became of a test.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Test {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line that it begins at, from 1.
    pub line: usize,
    /// What is not as it must be. The test passed if there is nothing.
    pub failures: Vec<Failure>,
}

/// What is not as a test says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The test expects documents of a collection that is no target.
    UnknownTarget {
        /// The collection.
        collection: String,
    },
    /// A document is not the expected one.
    Document {
        /// The target.
        collection: String,
        /// The number of the document, from 1.
        number: usize,
        /// The first place where they differ.
        difference: Difference,
        /// The expected document, as Extended JSON.
        expected: String,
        /// What was written.
        got: String,
    },
    /// A document is expected that was not written.
    Missing {
        /// The target.
        collection: String,
        /// The number of the document, from 1.
        number: usize,
        /// The expected document, as Extended JSON.
        expected: String,
    },
    /// A document was written that is not expected.
    Unexpected {
        /// The target.
        collection: String,
        /// The number of the document, from 1.
        number: usize,
        /// The document, as Extended JSON.
        got: String,
    },
    /// A server would refuse what becomes of the document.
    Refused {
        /// Why.
        reason: String,
    },
    /// The source document cannot be mapped or restored.
    Broken {
        /// Why.
        reason: String,
    },
    /// The way back gives another document.
    NotRestored {
        /// The first place where they differ.
        difference: Difference,
        /// What was restored, as Extended JSON.
        got: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::UnknownTarget { collection } => {
                let collection = plain(collection);
                write!(f, "the test expects documents in '{collection}', which is not a target")
            }
            Failure::Document { collection, number, difference, expected, got } => write!(
                f,
                "{collection}, document {number}: {difference}\nexpected:\n{}\ngot:\n{}",
                indented(expected),
                indented(got)
            ),
            Failure::Missing { collection, number, expected } => write!(
                f,
                "{collection}, document {number}: was not written\nexpected:\n{}",
                indented(expected)
            ),
            Failure::Unexpected { collection, number, got } => write!(
                f,
                "{collection}, document {number}: was written, and is not expected\ngot:\n{}",
                indented(got)
            ),
            Failure::Refused { reason } => {
                write!(f, "the document is refused: {reason}")
            }
            Failure::Broken { reason } => write!(f, "the document cannot be mapped: {reason}"),
            Failure::NotRestored { difference, got } => write!(
                f,
                "the way back produces another document: {difference}\ngot:\n{}",
                indented(got)
            ),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first place where two documents differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The field's path; items by their number.
    pub path: String,
    /// What is expected there: a value with its type, or a field's name. None: nothing.
    pub expected: Option<String>,
    /// What is there.
    pub got: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let Difference { path, expected, got } = self;
        write!(f, "'{path}' must be {}, and is {}", text(expected), text(got))
    }
}

/// Runs the tests of a mapping: maps each source document, compares what is written with what the
/// test expects, byte for byte, and always restores the source.
///
/// # Examples
///
/// ```
/// use mongosplit::{Plan, cases};
///
/// let plan = Plan::parse(
///     r#"
///     format = 2
///     name = "m"
///     version = "1"
///     source = "old"
///     key = "_id"
///     [[target]]
///     collection = "new"
///     fields = [{ name = "_id" }, { name = "b", copy = "a" }]
///     [[test]]
///     given = { _id = 1, a = "x" }
///     expect = { new = [{ _id = 1, b = "x" }] }
///     "#,
/// )?;
/// assert_eq!(cases::run(&plan).passed(), 1);
/// # Ok::<(), mongosplit::Error>(())
/// ```
pub fn run(plan: &Plan) -> Report {
    let tests = plan.cases().into_iter().map(|case| test(plan, case)).collect();
    Report { tests }
}

fn test(plan: &Plan, case: Case) -> Test {
    let failures = failures(plan, &case);
    Test { name: case.name, line: case.line, failures }
}

fn failures(plan: &Plan, case: &Case) -> Vec<Failure> {
    let single = match Single::new(plan, &case.given) {
        Ok(single) => single,
        Err(fault) => return vec![Failure::Broken { reason: fault.to_string() }],
    };
    if let Some(reason) = single.refusal() {
        return vec![Failure::Refused { reason }];
    }
    let targets: Vec<&str> = plan.target_collections().collect();
    let mut failures = Vec::new();
    for (collection, expected) in case.expect.iter().flatten() {
        match targets.iter().position(|target| target == collection) {
            Some(target) => {
                failures.extend(unlike(collection, expected, &single.documents(target)));
            }
            None => failures.push(Failure::UnknownTarget { collection: collection.clone() }),
        }
    }
    match single.restored() {
        Ok(restored) if restored == case.given => {}
        Ok(restored) => {
            failures.extend(difference(&case.given, &restored).map(|difference| {
                Failure::NotRestored { difference, got: extended_json(&restored) }
            }))
        }
        Err(misfit) => failures.push(Failure::Broken { reason: misfit.to_string() }),
    }
    failures
}

/// The first document of a target that is not as expected.
fn unlike(collection: &str, expected: &[Vec<u8>], got: &[&[u8]]) -> Option<Failure> {
    let collection = collection.to_owned();
    for (number, (expected, got)) in (1..).zip(expected.iter().zip(got)) {
        if let Some(difference) = difference(expected, got) {
            let (expected, got) = (extended_json(expected), extended_json(got));
            return Some(Failure::Document { collection, number, difference, expected, got });
        }
    }
    let number = expected.len().min(got.len()) + 1;
    if let Some(expected) = expected.get(got.len()) {
        return Some(Failure::Missing { collection, number, expected: extended_json(expected) });
    }
    let got = extended_json(got.get(expected.len())?);
    Some(Failure::Unexpected { collection, number, got })
}

/// The first place where documents differ, in the order of their fields.
fn difference(expected: &[u8], got: &[u8]) -> Option<Difference> {
    let mut path: Vec<String> = Vec::new();
    let mut open = vec![(Elements::new(expected), Elements::new(got))];
    while let Some((expected, got)) = open.last_mut() {
        let (expected, got) = (expected.next(), got.next());
        let at = |name: &[u8]| {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            path.iter().chain([&name]).cloned().collect::<Vec<_>>().join(".")
        };
        match (expected, got) {
            (None, None) => {
                open.pop();
                path.pop();
            }
            (Some(expected), Some(got)) if expected.key() == got.key() => {
                let (one, other) = (expected.value(), got.value());
                if one == other {
                    continue;
                }
                if one.kind == other.kind && matches!(one.kind, kind::DOCUMENT | kind::ARRAY) {
                    path.push(String::from_utf8_lossy(expected.key()).escape_debug().to_string());
                    open.push((one.elements(), other.elements()));
                    continue;
                }
                let path = at(expected.key());
                return Some(Difference {
                    path,
                    expected: Some(typed(one)),
                    got: Some(typed(other)),
                });
            }
            (expected, got) => {
                let name = expected.or(got).map_or(&b""[..], |element| element.key());
                let named = |element: crate::raw::Element<'_>| {
                    format!("the field '{}'", String::from_utf8_lossy(element.key()).escape_debug())
                };
                let (expected, got) = (expected.map(named), got.map(named));
                return Some(Difference { path: at(name), expected, got });
            }
        }
    }
    None
}

/// A value with its type, for messages.
fn typed(value: Value<'_>) -> String {
    let text = match value.kind {
        kind::DOCUMENT | kind::ARRAY => String::new(),
        _ => format!(" {}", extended_json_of(value)),
    };
    format!("{}{text}", kind_name(value.kind))
}
