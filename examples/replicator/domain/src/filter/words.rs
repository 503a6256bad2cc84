//! What is wrong with an expression, for who writes it rather than for who parses it.

/// What the parser calls what it found, and how it is written.
const TOKENS: [(&str, &str); 25] = [
    ("Dot", "."),
    ("Star", "*"),
    ("Flatten", "[]"),
    ("And", "&&"),
    ("Or", "||"),
    ("Pipe", "|"),
    ("Filter", "[?"),
    ("Lbracket", "["),
    ("Rbracket", "]"),
    ("Comma", ","),
    ("Colon", ":"),
    ("Not", "!"),
    ("Ne", "!="),
    ("Eq", "=="),
    ("Gt", ">"),
    ("Gte", ">="),
    ("Lt", "<"),
    ("Lte", "<="),
    ("At", "@"),
    ("Ampersand", "&"),
    ("Lparen", "("),
    ("Rparen", ")"),
    ("Lbrace", "{"),
    ("Rbrace", "}"),
    ("Eof", ""),
];

fn written(token: &str) -> String {
    let inner = || {
        let (_, inner) = token.split_once('(')?;
        Some(inner.strip_suffix(')').unwrap_or(inner).trim_matches('"'))
    };
    match TOKENS.iter().find(|(name, _)| *name == token) {
        Some((_, "")) => "the expression ends".to_owned(),
        Some((_, text)) => format!("`{text}` stands"),
        None if token.starts_with("Literal") => "a literal stands".to_owned(),
        None => format!("`{}` stands", inner().unwrap_or(token)),
    }
}

/// What the parser says, in words that tell what would be right.
pub(super) fn of(said: &str) -> String {
    let said = said.trim();
    let Some((what, found)) = said.split_once(" -- found ") else {
        return said.to_owned();
    };
    let found = written(found.trim());
    match what {
        "Unexpected nud token" => {
            format!(
                "{found} where a value must be, such as `key`, `value.name`, `'text'` or `` `1` ``"
            )
        }
        "Unexpected led token" | "Did not parse the complete expression" => {
            format!("{found} where an operator must be, such as `==`, `&&` or `||`, or the end")
        }
        _ => format!("{found} where something else must be: {}", what),
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::Filter;

    #[test]
    fn mistakes_are_told_with_what_would_be_right() {
        let table = [
            (
                "value.country ==",
                "line 1, column 17: the expression ends where a value must be, such as",
            ),
            ("&& key", "`&&` stands where a value must be"),
            (
                "key 'x'",
                "a literal stands where an operator must be, such as `==`",
            ),
            ("key value", "`value` stands where an operator must be"),
            ("value.[", "the expression ends where a value must be"),
            (
                "(key",
                "the expression ends where something else must be: Expected ')'",
            ),
        ];
        for (text, expected) in table {
            let error = Filter::compile(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("nud") && !error.contains("Eof"), "{error}");
        }
    }
}
