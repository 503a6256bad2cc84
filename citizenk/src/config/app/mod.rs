//! The program's own settings: `[app]` of the settings file and `APP_*` variables as one typed value.
//!
//! In: the file's table and the variables. Out: what the program's type says, or an error that names the
//! field and where it came from. Values are never quoted: nobody knows which are secret.

mod de;
mod error;
mod scalar;

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;

use self::de::{Place, Var};
use super::Settings;
use super::tree::Table;
use crate::error::ConfigError;

/// The untyped form.
#[derive(Clone, Default)]
pub(super) struct AppSettings {
    pub(super) table: Table,
    pub(super) env: Vec<AppVar>,
}

/// A variable `APP_<path>`.
#[derive(Clone)]
pub(super) struct AppVar {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) value: String,
}

impl Settings {
    /// The program's own settings, typed: the table `[app]`, with `APP_<FIELD>` variables over it; `__`
    /// goes one level down (`APP_DATABASE__POOL_SIZE` is `app.database.pool_size`).
    ///
    /// A variable is read as the field's type wants it: number, boolean, text, or a list with commas; an
    /// empty one counts as unset.
    /// (Inside `#[serde(flatten)]` and untagged enums the type is not known; there it is a text.) Keys
    /// of the file that the type does not have are errors.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use citizenk::{Flags, Settings};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Mine { cameras: u32, #[serde(default)] dry_run: bool }
    ///
    /// let env = BTreeMap::from([("APP_CAMERAS".to_owned(), "7".to_owned())]);
    /// let flags = Flags { embedded: true, ..Flags::default() };
    /// let mine: Mine = Settings::resolve(flags, &env, None).unwrap().app().unwrap();
    /// assert_eq!((mine.cameras, mine.dry_run), (7, false));
    /// ```
    ///
    /// # Errors
    /// Names the first field that is missing, unknown or of the wrong type, and its variable or line.
    pub fn app<S: DeserializeOwned>(&self) -> Result<S, ConfigError> {
        let vars = self.app.env.iter().map(|var| Var {
            rest: Some(&var.path),
            name: &var.name,
            value: &var.value,
        });
        let root = Place::root(&self.app.table, vars.collect());
        S::deserialize(root).map_err(error::AppError::into_config)
    }
}
