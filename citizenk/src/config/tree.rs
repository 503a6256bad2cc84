//! A settings file as data: values that know their line.
//!
//! In: the text of a TOML file. Out: a tree, independent of the parser, which the rest of `config`
//! reads. The parser comes with the feature `cli`.

use std::collections::BTreeMap;

use super::source::Source;
use crate::error::ConfigError;

/// A value and its line.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// What TOML can say; dates and times are texts.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "cli"),
    allow(
        dead_code,
        reason = "made by the parser of settings files, which is part of `cli`"
    )
)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Node>;

impl Value {
    /// For messages: what it is, never what it says.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a TOML document.
///
/// # Errors
/// Names the line; never quotes it, because it may hold a secret.
#[cfg(feature = "cli")]
pub(crate) fn parse(path: &str, text: &str) -> Result<Table, ConfigError> {
    use std::sync::Arc;

    use toml::de::{DeTable, DeValue};

    struct Reader {
        path: Arc<str>,
        /// Where each line starts.
        lines: Vec<usize>,
    }

    impl Reader {
        fn source(&self, offset: usize) -> Source {
            let line = self.lines.partition_point(|start| *start <= offset);
            Source::File {
                path: Arc::clone(&self.path),
                line,
            }
        }

        fn table(&self, table: DeTable<'_>) -> Result<Table, ConfigError> {
            table
                .into_iter()
                .map(|(key, value)| {
                    let source = self.source(key.span().start);
                    let key = key.into_inner().into_owned();
                    let value = self.value(&key, &source, value.into_inner())?;
                    Ok((key, Node { value, source }))
                })
                .collect()
        }

        fn value(
            &self,
            key: &str,
            source: &Source,
            value: DeValue<'_>,
        ) -> Result<Value, ConfigError> {
            Ok(match value {
                DeValue::String(text) => Value::Text(text.into_owned()),
                DeValue::Integer(number) => {
                    let parsed = i64::from_str_radix(number.as_str(), number.radix());
                    Value::Integer(
                        parsed.map_err(|_| source.error(key, "this integer is too large"))?,
                    )
                }
                DeValue::Float(number) => {
                    let parsed = number.as_str().parse();
                    Value::Float(parsed.map_err(|_| source.error(key, "this is no number"))?)
                }
                DeValue::Boolean(value) => Value::Boolean(value),
                DeValue::Datetime(datetime) => Value::Text(datetime.to_string()),
                DeValue::Array(items) => Value::List(
                    items
                        .into_iter()
                        .map(|item| {
                            let source = self.source(item.span().start);
                            let value = self.value(key, &source, item.into_inner())?;
                            Ok(Node { value, source })
                        })
                        .collect::<Result<_, ConfigError>>()?,
                ),
                DeValue::Table(table) => Value::Table(self.table(table)?),
            })
        }
    }

    let reader = Reader {
        path: Arc::from(path),
        lines: std::iter::once(0)
            .chain(text.match_indices('\n').map(|(index, _)| index + 1))
            .collect(),
    };
    match DeTable::parse(text) {
        Ok(table) => reader.table(table.into_inner()),
        Err(error) => {
            let source = reader.source(error.span().map_or(0, |span| span.start));
            Err(ConfigError::new(
                source.to_string(),
                format!("not valid TOML: {}", error.message()),
            ))
        }
    }
}

/// Without the feature there is no parser.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cli"))]
pub(crate) fn parse(path: &str, _text: &str) -> Result<Table, ConfigError> {
    Err(ConfigError::new(
        path,
        "settings files need the feature `cli` of citizenk",
    ))
}
