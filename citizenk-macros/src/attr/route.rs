//! Arguments of `#[route]`.
//!
//! In: the attribute's tokens. Out: [`RouteArgs`]; nothing here knows the function.

use std::collections::HashSet;

use syn::LitStr;
use syn::parse::ParseStream;

use super::keys::{Args, Common, FUNCTION_KEYS, Key, Table, ValueContext};
use super::slot::{Given, Slot};
use super::value;
use crate::report::with_help;

/// HTTP methods a route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Patch,
}

#[derive(Default)]
pub(crate) struct RouteArgs {
    pub(crate) get: Slot<LitStr>,
    pub(crate) post: Slot<LitStr>,
    pub(crate) put: Slot<LitStr>,
    pub(crate) delete: Slot<LitStr>,
    pub(crate) patch: Slot<LitStr>,
    pub(crate) tag: Slot<LitStr>,
    pub(crate) common: Common,
}

impl RouteArgs {
    fn slots(&self) -> [(Method, &'static str, &Slot<LitStr>); 5] {
        [
            (Method::Get, "get", &self.get),
            (Method::Post, "post", &self.post),
            (Method::Put, "put", &self.put),
            (Method::Delete, "delete", &self.delete),
            (Method::Patch, "patch", &self.patch),
        ]
    }

    /// Whether any method was given, with a good path or not.
    pub(crate) fn has_method(&self) -> bool {
        self.slots().iter().any(|(_, _, slot)| slot.was_given())
    }

    /// The methods given with a good path.
    pub(crate) fn methods(&self) -> Vec<(Method, &'static str, &Given<LitStr>)> {
        self.slots()
            .into_iter()
            .filter_map(|(method, name, slot)| slot.given().map(|given| (method, name, given)))
            .collect()
    }
}

impl Args for RouteArgs {
    const TABLE: Table<Self> = Table {
        attribute: "route",
        positional: None,
        keys: KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

const KEYS: &[Key<RouteArgs>] = &[
    Key {
        name: "get",
        example: r#"get = "/orders/{id}""#,
        doc: "answers GET at this path",
        read: |args, entry| entry.read(&mut args.get, path),
    },
    Key {
        name: "post",
        example: r#"post = "/orders""#,
        doc: "answers POST at this path",
        read: |args, entry| entry.read(&mut args.post, path),
    },
    Key {
        name: "put",
        example: r#"put = "/orders/{id}""#,
        doc: "answers PUT at this path",
        read: |args, entry| entry.read(&mut args.put, path),
    },
    Key {
        name: "delete",
        example: r#"delete = "/orders/{id}""#,
        doc: "answers DELETE at this path",
        read: |args, entry| entry.read(&mut args.delete, path),
    },
    Key {
        name: "patch",
        example: r#"patch = "/orders/{id}""#,
        doc: "answers PATCH at this path",
        read: |args, entry| entry.read(&mut args.patch, path),
    },
    Key {
        name: "tag",
        example: r#"tag = "orders""#,
        doc: "groups endpoints in the documentation; default: the module's name",
        read: |args, entry| entry.read(&mut args.tag, value::text),
    },
];

pub(crate) fn path(cx: &ValueContext<'_>, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let literal = value::text(cx, input)?;
    check_path(&literal.value()).map_err(|text| syn::Error::new(literal.span(), text))?;
    Ok(literal)
}

/// What the HTTP server would panic about, and what it would never match.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err(with_help(
            "a route starts with `/`",
            format!("`\"/{path}\"`"),
        ));
    }
    if let Some(c) = path
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'))
    {
        return Err(format!("a route cannot contain {c:?}"));
    }
    let mut seen = HashSet::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        if let Some(name) = segment.strip_prefix([':', '*']) {
            return Err(with_help(
                format!("`{segment}` is not how a route names a parameter"),
                format!("write `{{{name}}}`, or `{{*{name}}}` for the rest of the path"),
            ));
        }
        let Some(name) = parameter(segment)? else {
            continue;
        };
        if name.starts_with('*') && index + 1 != segments.len() {
            return Err(format!(
                "`{{{name}}}` takes the rest of the path, so it must be last"
            ));
        }
        let name = name.trim_start_matches('*');
        if name.is_empty() || name.contains('*') {
            return Err("a path parameter needs a name, e.g. `{id}`".to_owned());
        }
        if !seen.insert(name) {
            return Err(format!("route `{path}` has two parameters `{name}`"));
        }
    }
    Ok(())
}

/// The parameter a segment is made of.
fn parameter(segment: &str) -> Result<Option<&str>, String> {
    if !segment.contains(['{', '}']) {
        return Ok(None);
    }
    let name = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .filter(|name| !name.contains(['{', '}']));
    match name {
        Some(name) => Ok(Some(name)),
        None => Err(format!(
            "`{segment}` must be a parameter `{{name}}` and nothing else, or contain no braces"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for good in ["/", "/a", "/a/{id}", "/a/{id}/b/{*rest}", "/a/"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        let bad = [
            ("a", "a route starts with `/`\nhelp: `\"/a\"`"),
            ("/a?b=1", "a route cannot contain '?'"),
            ("/a b", "a route cannot contain ' '"),
            (
                "/a/:id",
                "`:id` is not how a route names a parameter\nhelp: write `{id}`, or `{*id}` for the rest of the path",
            ),
            ("/{id}/{id}", "route `/{id}/{id}` has two parameters `id`"),
            (
                "/{*rest}/a",
                "`{*rest}` takes the rest of the path, so it must be last",
            ),
            ("/{}", "a path parameter needs a name, e.g. `{id}`"),
            (
                "/x{id}",
                "`x{id}` must be a parameter `{name}` and nothing else, or contain no braces",
            ),
            (
                "/{id",
                "`{id` must be a parameter `{name}` and nothing else, or contain no braces",
            ),
        ];
        for (path, text) in bad {
            assert_eq!(check_path(path), Err(text.to_owned()), "{path}");
        }
    }
}
