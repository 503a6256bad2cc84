//! Kafka's rule for topic names.

/// Says what is wrong with a topic name, if anything: 1 to 249 characters of `a-z A-Z 0-9 . _ -`, not
/// `.` or `..` (org.apache.kafka.common.internals.Topic).
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a topic name must not be empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("`{name}` cannot be a topic name"));
    }
    if name.len() > 249 {
        return Err(format!(
            "a topic name has at most 249 characters, this one {}",
            name.len()
        ));
    }
    match name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        Some(c) => Err(format!(
            "topic name `{}` contains {c:?}; letters, digits, `.`, `_` and `-` are allowed",
            name.escape_debug()
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn kafkas_rule_holds() {
        for good in ["a", "orders.v1", "A_b-9", &"x".repeat(249)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "ü",
            "; rm",
            "a\r\nb",
            &"x".repeat(250),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
