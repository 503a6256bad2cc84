//! `docs/security.md`.

use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{AgentError, OauthToken};

// [token]
/// The token lies in a file that somebody else renews; `APP_TOKEN_FILE` says where.
#[derive(Clone, serde::Deserialize)]
pub struct Access {
    token_file: std::path::PathBuf,
}

/// One token for all clients of the cluster; asked for again when four fifths of its life are over.
pub fn billing() -> App {
    App::new("billing").oauth_token(async |cx| {
        let access: Access = cx.settings()?;
        let token = std::fs::read_to_string(access.token_file)?;
        let token = OauthToken::expires_in(token.trim(), Duration::from_secs(600));
        Ok::<_, AgentError>(token)
    })
}
// [/token]

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_has_no_mistakes() {
        billing().check().unwrap();
    }
}
