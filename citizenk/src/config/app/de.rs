//! A serde deserializer over two layers: variables above, the file's table below.

use serde::de::{
    DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
    value::{MapAccessDeserializer, StrDeserializer, StringDeserializer},
};
use serde::forward_to_deserialize_any;

use super::error::AppError;
use super::scalar;
use crate::config::source::Source;
use crate::config::tree::{Node, Table, Value};
use crate::suggest::nearest;

/// A variable seen from a place: the rest of its path below it; `None`: it is this place's value.
#[derive(Clone)]
pub(super) struct Var<'a> {
    pub(super) rest: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

/// A place in the settings: what the file and the variables say there.
pub(super) struct Place<'a> {
    /// `app.database.url`.
    path: String,
    file: File<'a>,
    vars: Vec<Var<'a>>,
}

#[derive(Clone, Copy)]
enum File<'a> {
    Nothing,
    /// The table `[app]` itself, which need not be written.
    Root(&'a Table),
    Node(&'a Node),
}

impl<'a> File<'a> {
    fn table(self) -> Option<&'a Table> {
        match self {
            Self::Root(table)
            | Self::Node(Node {
                value: Value::Table(table),
                ..
            }) => Some(table),
            Self::Nothing | Self::Node(_) => None,
        }
    }
}

/// Names of fields and variables are compared without case and with `-` as `_`.
fn same(a: &str, b: &str) -> bool {
    let fold = |byte: u8| {
        if byte == b'-' {
            b'_'
        } else {
            byte.to_ascii_lowercase()
        }
    };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

impl<'a> Place<'a> {
    pub(super) fn root(table: &'a Table, vars: Vec<Var<'a>>) -> Self {
        Self {
            path: "app".to_owned(),
            file: File::Root(table),
            vars,
        }
    }

    /// The variable that is this place's value.
    fn text(&self) -> Option<&Var<'a>> {
        self.vars.iter().find(|var| var.rest.is_none())
    }

    /// The key for errors: the variable, or the path and the file's line.
    fn key(&self) -> String {
        match (self.text(), self.file) {
            (Some(var), _) => var.name.to_owned(),
            (None, File::Node(node)) => match &node.source {
                source @ Source::File { .. } => format!("{} ({source})", self.path),
                _ => self.path.clone(),
            },
            (None, _) => self.path.clone(),
        }
    }

    /// The names below this place: those of the file, then those only variables have, in lower case;
    /// spelled as one of `fields` where that is the same name.
    fn names(&self, fields: &[&'static str]) -> Vec<String> {
        let mut names: Vec<String> = self
            .file
            .table()
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        for var in &self.vars {
            let Some(rest) = var.rest else { continue };
            let head = rest.split_once("__").map_or(rest, |(head, _)| head);
            if head.is_empty() || names.iter().any(|name| same(name, head)) {
                continue;
            }
            match fields.iter().find(|field| same(field, head)) {
                Some(field) => names.push((*field).to_owned()),
                None => names.push(head.to_ascii_lowercase()),
            }
        }
        names
    }

    fn child(&self, name: &str) -> Self {
        let node = self.file.table().and_then(|table| table.get(name));
        let vars = self.vars.iter().filter_map(|var| {
            let (head, rest) = match var.rest?.split_once("__") {
                Some((head, rest)) => (head, Some(rest)),
                None => (var.rest?, None),
            };
            same(head, name).then(|| Var {
                rest,
                ..var.clone()
            })
        });
        Self {
            path: format!("{}.{name}", self.path),
            file: node.map_or(File::Nothing, File::Node),
            vars: vars.collect(),
        }
    }

    /// Whether there are names below this place.
    fn is_table(&self) -> bool {
        self.file.table().is_some() || self.vars.iter().any(|var| var.rest.is_some())
    }

    fn visit_table<V: Visitor<'a>>(
        self,
        fields: &[&'static str],
        visitor: V,
    ) -> Result<V::Value, AppError> {
        let names = self.names(fields);
        let path = self.path.clone();
        let access = Entries {
            place: self,
            names: names.into_iter(),
            current: None,
        };
        visitor
            .visit_map(access)
            .map_err(|error| error.below(&path))
    }

    /// Keys of the file that the type does not have are errors; such variables may be meant for
    /// somebody else and are named in the log if they look like a slip.
    fn check_names(&self, fields: &'static [&'static str]) -> Result<(), AppError> {
        for name in self.names(fields) {
            if fields.contains(&name.as_str()) {
                continue;
            }
            let child = self.child(&name);
            if let File::Node(_) = child.file {
                let bare = Place {
                    vars: Vec::new(),
                    ..child
                };
                return Err(AppError::unknown_field(&name, fields).at(|| bare.key()));
            }
            if let (Some(var), Some(near)) =
                (child.vars.first(), nearest(&name, fields.iter().copied()))
            {
                tracing::warn!(
                    "{} has no effect; the nearest setting is `{}.{near}`",
                    var.name,
                    self.path
                );
            }
        }
        Ok(())
    }

    /// A value without names below it.
    fn visit_leaf<V: Visitor<'a>>(
        self,
        visitor: V,
        from_text: impl FnOnce(&str, V) -> Result<V::Value, AppError>,
    ) -> Result<V::Value, AppError> {
        let result = match (self.text(), self.file) {
            (Some(var), _) => from_text(var.value, visitor),
            (None, File::Node(Node { value, .. })) => match value {
                Value::Text(text) => visitor.visit_str(text),
                Value::Integer(number) => visitor.visit_i64(*number),
                Value::Float(number) => visitor.visit_f64(*number),
                Value::Boolean(value) => visitor.visit_bool(*value),
                Value::List(items) => visitor.visit_seq(self.items(items)),
                Value::Table(_) => Err(Error::invalid_type(serde::de::Unexpected::Map, &visitor)),
            },
            (None, _) => Err(Error::invalid_type(serde::de::Unexpected::Map, &visitor)),
        };
        result.map_err(|error| error.at(|| self.key()))
    }

    fn items(&self, items: &'a [Node]) -> Items<'a> {
        let places = items.iter().enumerate().map(|(index, node)| Place {
            path: format!("{}[{index}]", self.path),
            file: File::Node(node),
            vars: Vec::new(),
        });
        Items(places.collect::<Vec<_>>().into_iter())
    }

    fn text_items(&self, var: &Var<'a>) -> Items<'a> {
        let places = scalar::list(var.value).into_iter().map(|item| Place {
            path: self.path.clone(),
            file: File::Nothing,
            vars: vec![Var {
                rest: None,
                name: var.name,
                value: item,
            }],
        });
        Items(places.collect::<Vec<_>>().into_iter())
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
            self.visit_leaf(visitor, |text, visitor| {
                let number: $type = scalar::number(text, &visitor)?;
                visitor.$visit(number)
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = AppError;

    numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        self.visit_leaf(visitor, |text, visitor| {
            visitor.visit_bool(scalar::boolean(text)?)
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        self.visit_leaf(visitor, |text, visitor| visitor.visit_str(text))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        if self.text().is_none() && self.is_table() {
            self.visit_table(&[], visitor)
        } else {
            self.visit_leaf(visitor, |text, visitor| visitor.visit_str(text))
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, AppError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        match self.text() {
            Some(var) => {
                let items = self.text_items(var);
                visitor
                    .visit_seq(items)
                    .map_err(|error| error.at(|| self.key()))
            }
            None => self.visit_leaf(visitor, |_, visitor| {
                Err(Error::invalid_type(serde::de::Unexpected::Map, &visitor))
            }),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, AppError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, AppError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        if self.is_table() {
            self.visit_table(&[], visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, AppError> {
        if self.is_table() {
            self.check_names(fields)?;
            self.visit_table(fields, visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, AppError> {
        let text = match (self.text(), self.file) {
            (Some(var), _) => Some(var.value),
            (
                None,
                File::Node(Node {
                    value: Value::Text(text),
                    ..
                }),
            ) => Some(text.as_str()),
            (None, _) => None,
        };
        if let Some(text) = text {
            let variant: StrDeserializer<'_, AppError> = text.into_deserializer();
            return visitor
                .visit_enum(variant)
                .map_err(|error| error.at(|| self.key()));
        }
        if !self.is_table() {
            return self.deserialize_any(visitor);
        }
        let key = self.key();
        let names = self.names(&[]);
        let access = Entries {
            place: self,
            names: names.into_iter(),
            current: None,
        };
        visitor
            .visit_enum(MapAccessDeserializer::new(access))
            .map_err(|error| error.at(|| key))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AppError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char string bytes byte_buf unit unit_struct identifier
    }
}

struct Entries<'a> {
    place: Place<'a>,
    names: std::vec::IntoIter<String>,
    current: Option<String>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = AppError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, AppError> {
        let Some(name) = self.names.next() else {
            return Ok(None);
        };
        self.current = Some(name.clone());
        let key: StringDeserializer<AppError> = name.clone().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|error| error.at(|| self.place.child(&name).key()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, AppError> {
        let name = self
            .current
            .take()
            .ok_or_else(|| AppError::new("a value was asked for before its key"))?;
        let child = self.place.child(&name);
        let key = child.key();
        // Also errors of the type itself, such as a date that does not exist, get their key here.
        seed.deserialize(child).map_err(|error| error.at(|| key))
    }
}

struct Items<'a>(std::vec::IntoIter<Place<'a>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = AppError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, AppError> {
        self.0
            .next()
            .map(|place| {
                let key = place.key();
                seed.deserialize(place).map_err(|error| error.at(|| key))
            })
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}
