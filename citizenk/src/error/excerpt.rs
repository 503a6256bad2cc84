//! How much of what others wrote is shown in error texts.

use std::fmt;

/// Says how much of a hostile or private payload may stand in an error text.
pub(crate) struct Excerpt<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 40;
        let shown = &self.0[..self.0.len().min(LIMIT)];
        write!(f, "`{}`", shown.escape_ascii())?;
        if self.0.len() > LIMIT {
            write!(f, " and {} bytes more", self.0.len() - LIMIT)?;
        }
        Ok(())
    }
}

/// At most so many bytes of a text, on a boundary of its characters.
pub(crate) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push_str("..");
    }
    text
}
