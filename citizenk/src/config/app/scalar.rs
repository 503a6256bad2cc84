//! Texts of variables, read as the field's type wants them.

use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};

use super::error::AppError;

/// Reads a number; the visitor says in the error what it expected.
pub(super) fn number<'de, T: FromStr, V: Visitor<'de>>(
    text: &str,
    visitor: &V,
) -> Result<T, AppError> {
    let text = text.trim();
    text.parse().map_err(|_| {
        // Digits that do not fit are of the right type, but too large or negative.
        let digits = text.trim_start_matches(['-', '+']);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            AppError::invalid_value(Unexpected::Signed(0), visitor)
        } else {
            AppError::invalid_type(Unexpected::Str(""), visitor)
        }
    })
}

/// Reads a switch.
pub(super) fn boolean(text: &str) -> Result<bool, AppError> {
    crate::config::values::parse_bool(text).map_err(AppError::new)
}

/// Reads a list: items between commas, none in an empty text.
pub(super) fn list(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(str::trim).collect()
}
