//! How bytes are shown in error texts.

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
