//! Settings of the web, as the app's settings fill them.

use std::fmt;
use std::time::Duration;

use crate::error::BuildIssue;

/// What is served, where, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct WebConfig {
    /// Before every path: empty, or `/a/b`.
    pub(crate) prefix: String,
    /// Whether the automatic endpoints exist; health and metrics always do.
    pub(crate) auto: bool,
    /// Swagger UI, behind the prefix.
    pub(crate) docs_path: String,
    /// Who may use the mutating automatic endpoints. When set it is asked for on every address.
    pub(crate) token: Option<Token>,
    /// Lets everybody use them on a non-loopback address.
    pub(crate) open: bool,
    /// Names this service is reached by, beside those of the loopback interface.
    pub(crate) hosts: Vec<String>,
    /// Sites whose pages may use this service, as `https://app.example`.
    pub(crate) origins: Vec<String>,
    /// How long an automatic endpoint waits for the broker or an agent.
    pub(crate) answer_timeout: Duration,
    /// The largest request body, in bytes; routes override it with axum's `DefaultBodyLimit`.
    pub(crate) body_limit: usize,
    /// How many requests run at once; more get a 503.
    pub(crate) concurrency: usize,
    pub(crate) server: ServerLimits,
}

/// What one client may take from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerLimits {
    pub(crate) connections: usize,
    /// For the whole head of a request; also how long an idle connection is kept.
    pub(crate) header_timeout: Duration,
    /// How long the server waits for body bytes altogether, plus a second per `body_rate` bytes received.
    pub(crate) body_grace: Duration,
    pub(crate) body_rate: u64,
    /// How long a client may take no bytes of an answer.
    pub(crate) write_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_timeout: Duration::from_secs(10),
            body_grace: Duration::from_secs(20),
            body_rate: 1000,
            write_timeout: Duration::from_secs(60),
        }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            auto: true,
            docs_path: "/docs".to_owned(),
            token: None,
            open: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            answer_timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            concurrency: 512,
            server: ServerLimits::default(),
        }
    }
}

impl WebConfig {
    pub(crate) fn check(&self, issues: &mut Vec<BuildIssue>) {
        if !self.prefix.is_empty()
            && let Err(reason) = check_literal_path(&self.prefix)
        {
            issues.push(BuildIssue::new(
                format!("prefix `{}`", self.prefix),
                format!("{reason}; write it as `/billing`"),
            ));
        }
        if let Err(reason) = check_literal_path(&self.docs_path) {
            issues.push(BuildIssue::new(
                format!("docs path `{}`", self.docs_path),
                format!("{reason}; write it as `/docs`"),
            ));
        }
        for origin in self.origins.iter().filter(|origin| !is_origin(origin)) {
            issues.push(BuildIssue::new(
                format!("origin `{origin}`"),
                "is not a scheme and a host; write it as `https://app.example`",
            ));
        }
    }
}

/// Scheme, host and perhaps port, as browsers send it.
fn is_origin(text: &str) -> bool {
    let parsed = text.parse::<axum::http::Uri>();
    let plain = text
        .split_once("://")
        .is_some_and(|(_, host)| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']));
    plain && parsed.is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some())
}

/// A path of literal segments, without a slash at its end.
fn check_literal_path(path: &str) -> Result<(), &'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("it does not begin with `/`");
    };
    if rest.split('/').any(str::is_empty) {
        return Err("it has an empty segment or ends with `/`");
    }
    let literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !rest.chars().all(literal) {
        return Err("only letters, digits, `-`, `_`, `.` and `~` are allowed in it");
    }
    if rest
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("clients resolve `.` and `..` away");
    }
    Ok(())
}

/// The bearer token of the mutating endpoints; never printed.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Compares in a time that depends on the given text's length alone.
    pub(crate) fn matches(&self, given: &str) -> bool {
        let (ours, given) = (self.0.as_bytes(), given.as_bytes());
        let mut differences = ours.len() ^ given.len();
        for (index, byte) in given.iter().enumerate() {
            // An empty token matches nothing, so 0 is never a right answer by accident.
            let own = ours.get(index % ours.len().max(1)).copied().unwrap_or(0);
            differences |= usize::from(std::hint::black_box(own ^ byte));
        }
        !ours.is_empty() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_match_only_themselves_and_are_not_printed() {
        let token = Token::new("s3cret");
        assert!(token.matches("s3cret"));
        for wrong in ["", "s", "s3cre", "s3crets", "s3crets3cret", "S3cret"] {
            assert!(!token.matches(wrong), "{wrong}");
        }
        assert!(!Token::new("").matches(""));
        assert_eq!(format!("{token:?}"), "Token(hidden)");
    }

    #[test]
    fn a_wrong_prefix_or_docs_path_is_a_build_issue() {
        let paths = ["/", "x", "/x/", "/a//b", "/{x}", "/*", "/..", "/a b"];
        for path in paths {
            let mut issues = Vec::new();
            let config = WebConfig {
                prefix: path.to_owned(),
                docs_path: path.to_owned(),
                ..WebConfig::default()
            };
            config.check(&mut issues);
            assert_eq!(issues.len(), 2, "{path}: {issues:?}");
        }
        let mut issues = Vec::new();
        WebConfig {
            prefix: "/api/v1".to_owned(),
            ..WebConfig::default()
        }
        .check(&mut issues);
        assert!(issues.is_empty());
    }
}
