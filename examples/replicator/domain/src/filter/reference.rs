//! The crate `jmespath` on the whole record, with the function `bucket`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jmespath::ast::Ast;
use jmespath::functions::{ArgumentType, CustomFunction, Signature};
use jmespath::{Context, Expression, JmespathError, Rcvar, Runtime, Variable};

use super::Verdict;
use crate::json::{Paths, find};
use crate::record::Record;
use crate::sample;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = Runtime::new();
    runtime.register_builtin_functions();
    let takes = ArgumentType::Union(vec![ArgumentType::String, ArgumentType::Null]);
    let bucket = |args: &[Rcvar], _: &mut Context<'_>| {
        let bucket = args
            .first()
            .and_then(|key| Some(sample::bucket(key.as_string()?.as_bytes())));
        let bucket = bucket.map_or(Variable::Null, |bucket| Variable::Number(bucket.into()));
        Ok(Rcvar::new(bucket))
    };
    let signature = Signature::new(vec![takes], None);
    runtime.register_function(
        "bucket",
        Box::new(CustomFunction::new(signature, Box::new(bucket))),
    );
    runtime
});

/// How many arguments a function takes; the crate tells only when it is called.
fn arguments(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "abs" | "avg" | "bucket" | "ceil" | "floor" | "keys" | "length" | "max" | "min"
        | "reverse" | "sort" | "sum" | "to_array" | "to_number" | "to_string" | "type"
        | "values" => (1, 1),
        "contains" | "ends_with" | "join" | "map" | "max_by" | "min_by" | "sort_by"
        | "starts_with" => (2, 2),
        "merge" | "not_null" => (1, usize::MAX),
        _ => return None,
    })
}

fn children(ast: &Ast) -> Vec<&Ast> {
    match ast {
        Ast::Comparison { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Condition {
            predicate, then, ..
        } => vec![predicate, then],
        Ast::Expref { ast, .. } => vec![ast],
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => {
            vec![node]
        }
        Ast::Function { args, .. } => args.iter().collect(),
        Ast::MultiList { elements, .. } => elements.iter().collect(),
        Ast::MultiHash { elements, .. } => elements.iter().map(|pair| &pair.value).collect(),
        Ast::Identity { .. }
        | Ast::Field { .. }
        | Ast::Index { .. }
        | Ast::Literal { .. }
        | Ast::Slice { .. } => Vec::new(),
    }
}

/// What the crate would say only at the first record.
pub(super) fn check(ast: &Ast) -> Result<(), (usize, String)> {
    match ast {
        Ast::Function { offset, name, args } => {
            let Some((least, most)) = arguments(name) else {
                return Err((*offset, format!("there is no function `{name}`")));
            };
            if args.len() < least || args.len() > most {
                let wants = if most == usize::MAX {
                    format!("at least {least}")
                } else {
                    least.to_string()
                };
                return Err((
                    *offset,
                    format!("`{name}` takes {wants} arguments, not {}", args.len()),
                ));
            }
        }
        Ast::Slice {
            offset, step: 0, ..
        } => return Err((*offset, "a slice's step is not 0".to_owned())),
        _ => {}
    }
    children(ast).into_iter().try_for_each(check)
}

/// Whether the value must be known: it is named, or everything is looked at.
pub(super) fn needs_value(ast: &Ast) -> bool {
    match ast {
        Ast::Field { name, .. } if name == "value" => true,
        Ast::Identity { .. } => true,
        _ => children(ast).into_iter().any(needs_value),
    }
}

fn text(bytes: Option<&[u8]>) -> Variable {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map_or(Variable::Null, |text| Variable::String(text.to_owned()))
}

/// The expression with our functions.
pub(super) fn compile(text: &str) -> Result<Expression<'static>, JmespathError> {
    RUNTIME.compile(text)
}

pub(super) fn judge(
    expression: &Expression<'_>,
    record: &Record<'_>,
    needs_value: bool,
) -> Verdict {
    let value = match record.value {
        Some(bytes) if needs_value => match serde_json::from_slice::<Variable>(bytes) {
            Ok(value) => value,
            Err(_) => {
                let found = find(bytes, &Paths::default(), true, &mut Vec::new());
                let unknown = crate::json::ScanError {
                    offset: 0,
                    reason: "it is no JSON",
                };
                return Verdict::Undecodable(found.err().unwrap_or(unknown));
            }
        },
        _ => Variable::Null,
    };
    let mut headers = BTreeMap::new();
    record.headers.visit(&mut |name, value| {
        headers.insert(name.to_owned(), Rcvar::new(text(value)));
    });
    let number = |number: i64| Variable::Number(number.into());
    let roots = [
        ("key", text(record.key)),
        ("value", value),
        ("headers", Variable::Object(headers)),
        ("topic", Variable::String(record.topic.to_owned())),
        ("partition", number(record.partition.into())),
        ("offset", number(record.offset)),
        ("timestamp", record.timestamp.map_or(Variable::Null, number)),
    ];
    let roots = roots.map(|(name, value)| (name.to_owned(), Rcvar::new(value)));
    let root = Rcvar::new(Variable::Object(BTreeMap::from(roots)));
    match expression.search(root) {
        Ok(answer) if answer.is_truthy() => Verdict::Keep,
        Ok(_) => Verdict::Drop,
        Err(error) => Verdict::Failed(error.reason.to_string().replace("Runtime error: ", "")),
    }
}
