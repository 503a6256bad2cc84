//! Values that have a form of their own.

use std::fmt;
use std::net::IpAddr;

use super::printable::mask_userinfo;

/// Where HTTP listens: a host name or address, and a port (0 = a free one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAddress {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Default for HttpAddress {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
        }
    }
}

impl HttpAddress {
    /// Reads `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong, with an example.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let shown = text.escape_debug();
        if text.contains("://") {
            return Err(format!(
                "`{shown}` is a URL; write host and port only, e.g. `127.0.0.1:8000`"
            ));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            let hint = match text.parse::<u16>() {
                Ok(port) => format!("127.0.0.1:{port}"),
                Err(_) if check_host(text).is_ok() => format!("{text}:8000"),
                Err(_) => "127.0.0.1:8000".to_owned(),
            };
            return Err(format!("`{shown}` needs a host and a port, e.g. `{hint}`"));
        };
        let port = port.parse::<u16>().map_err(|_| {
            format!(
                "`{}` is no port; use 0 (any free one) to 65535",
                port.escape_debug()
            )
        })?;
        if host.is_empty() {
            return Err(format!(
                "`{shown}` has no host; write `0.0.0.0:{port}` for all interfaces or `127.0.0.1:{port}` for this machine"
            ));
        }
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(inner) => {
                let address = inner.parse::<std::net::Ipv6Addr>();
                address.map_err(|_| format!("`{}` is no IPv6 address", inner.escape_debug()))?;
                inner
            }
            None if host.contains(':') => {
                return Err(format!(
                    "`{shown}`: an IPv6 address goes in brackets, e.g. `[::1]:8000`"
                ));
            }
            None => {
                check_host(host)?;
                host
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // Only digits and dots: it means to be an IPv4 address and must be one.
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let valid = if numeric {
        host.parse::<std::net::Ipv4Addr>().is_ok()
    } else {
        host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
    };
    if valid {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no host name or address",
            host.escape_debug()
        ))
    }
}

/// Reads a comma-separated list of brokers: `host:port`, `host` (port 9092), optionally behind a
/// security protocol and `://`.
///
/// # Errors
/// Names the entry that is wrong.
pub(crate) fn parse_servers(text: &str) -> Result<String, String> {
    let mut servers = Vec::new();
    for entry in text.split(',').map(str::trim) {
        if entry.is_empty() {
            return Err(format!(
                "`{}` has an empty entry; write `host:port`, several joined by commas",
                mask_userinfo(text).escape_debug()
            ));
        }
        // Never print userinfo that someone pasted with a URL.
        if entry.contains('@') {
            return Err(
                "an entry contains `@`; credentials go into `sasl.username` and `sasl.password`"
                    .to_owned(),
            );
        }
        let address = match entry.split_once("://") {
            Some((protocol, address)) => {
                let known = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
                if !known.contains(&protocol.to_ascii_lowercase().as_str()) {
                    return Err(format!(
                        "`{}` is no address of a broker; write `host:port`",
                        entry.escape_debug()
                    ));
                }
                address
            }
            None => entry,
        };
        // A bare host has port 9092, and an IPv6 address its own colons in brackets.
        let bare = !address.contains(':') || address.ends_with(']');
        let parsed = if bare {
            HttpAddress::parse(&format!("{address}:9092"))
        } else {
            HttpAddress::parse(address)
        }?;
        if parsed.port == 0 {
            return Err(format!(
                "`{}`: a broker cannot have port 0",
                entry.escape_debug()
            ));
        }
        servers.push(entry);
    }
    Ok(servers.join(","))
}

/// Checks the path below which HTTP is served: empty, or `/` and segments, without a `/` at the end.
///
/// # Errors
/// What is wrong.
pub(crate) fn parse_prefix(text: &str) -> Result<String, String> {
    let text = text.trim();
    let shown = text.escape_debug();
    if text.is_empty() {
        return Ok(String::new());
    }
    if text == "/" {
        return Err("`/` alone is no prefix; leave it out to serve at the root".to_owned());
    }
    let Some(path) = text.strip_prefix('/') else {
        return Err(format!("`{shown}` must start with `/`, e.g. `/{shown}`"));
    };
    if let Some(short) = text.strip_suffix('/') {
        return Err(format!(
            "`{shown}` must not end with `/`; write `{}`",
            short.escape_debug()
        ));
    }
    for segment in path.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return Err(format!("`{shown}` has an empty, `.` or `..` segment"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        if let Some(c) = segment.chars().find(|c| !allowed(*c)) {
            return Err(format!(
                "`{shown}` contains {c:?}; letters, digits, `-`, `_`, `.` and `~` are allowed"
            ));
        }
    }
    Ok(text.to_owned())
}

/// Checks the token of mutating HTTP endpoints: visible ASCII, as a header can carry it.
///
/// # Errors
/// What is wrong, without the token.
pub(crate) fn parse_token(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(
            "the token is empty; leave it out or give one, e.g. from `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the token may contain visible ASCII characters only".to_owned());
    }
    Ok(text.to_owned())
}

/// Splits `NAME=VALUE` at the first `=`.
///
/// # Errors
/// There is no `=`, or nothing before it. The text is not repeated: it may hold a secret.
pub(crate) fn parse_pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value.trim())),
        _ => Err(format!("must have the form {form}")),
    }
}

/// Reads a switch.
///
/// # Errors
/// It is neither on nor off.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be `true` or `false`".to_owned()),
    }
}

/// Checks the name of a consumer group.
///
/// # Errors
/// It is empty or has control characters.
pub(crate) fn parse_group(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a group's name must not be empty or contain control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn http_addresses() {
        for (text, printed, loopback) in [
            ("127.0.0.1:8000", "127.0.0.1:8000", true),
            ("localhost:0", "localhost:0", true),
            ("[::1]:80", "[::1]:80", true),
            ("0.0.0.0:8000", "0.0.0.0:8000", false),
            ("[::]:8000", "[::]:8000", false),
            ("my-host.example:65535", "my-host.example:65535", false),
        ] {
            let address = HttpAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), printed);
            assert_eq!(address.is_loopback(), loopback, "{text}");
        }
        for (text, expected) in [
            ("8000", "e.g. `127.0.0.1:8000`"),
            ("example", "e.g. `example:8000`"),
            (":8000", "write `0.0.0.0:8000`"),
            ("http://x:80", "is a URL"),
            ("x:65536", "`65536` is no port"),
            ("x:", "`` is no port"),
            ("::1:80", "goes in brackets"),
            ("[zz]:80", "no IPv6 address"),
            ("a b:80", "`a b` is no host name"),
            ("300.1.1.1:80", "no host name or address"),
            ("", "needs a host and a port"),
        ] {
            let message = HttpAddress::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn servers() {
        for (text, expected) in [
            ("a:9092", "a:9092"),
            (" a:1 , b:2,c", "a:1,b:2,c"),
            (
                "SASL_SSL://a:9092,[::1]:9092,[::1]",
                "SASL_SSL://a:9092,[::1]:9092,[::1]",
            ),
        ] {
            assert_eq!(parse_servers(text).as_deref(), Ok(expected));
        }
        for (text, expected) in [
            ("a:1,,b:2", "empty entry"),
            ("http://a:9092", "no address of a broker"),
            ("u:hunter2@a:9092", "contains `@`"),
            ("SASL_SSL://u:hunter2@a:9092,,", "contains `@`"),
            ("a:0", "port 0"),
            ("a:x", "no port"),
            ("", "empty entry"),
        ] {
            let message = parse_servers(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hunter2"));
        }
    }

    #[test]
    fn prefixes() {
        assert_eq!(parse_prefix("").as_deref(), Ok(""));
        assert_eq!(parse_prefix("/api/v1").as_deref(), Ok("/api/v1"));
        for (text, expected) in [
            ("api", "must start with `/`, e.g. `/api`"),
            ("/api/", "write `/api`"),
            ("/", "leave it out"),
            ("/a//b", "empty"),
            ("/a/../b", "`..`"),
            ("/{x}", "contains '{'"),
            ("/a?b", "contains '?'"),
        ] {
            let message = parse_prefix(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn pairs_switches_tokens_and_groups() {
        assert_eq!(parse_pair("a=b=c", "K=V"), Ok(("a", "b=c")));
        assert_eq!(
            parse_pair("hunter2", "K=V"),
            Err("must have the form K=V".to_owned())
        );
        assert!(parse_pair("=x", "K=V").is_err());
        assert_eq!(parse_bool("On"), Ok(true));
        assert_eq!(parse_bool("0"), Ok(false));
        assert!(parse_bool("2").is_err());
        assert!(!parse_token("hunter 2").unwrap_err().contains("hunter"));
        assert!(parse_token(" ").is_err());
        assert!(parse_group("a\nb").is_err());
        assert_eq!(parse_group(" g ").as_deref(), Ok("g"));
    }

    proptest! {
        #[test]
        fn an_accepted_address_prints_as_it_is_read(text in "[a-z0-9.:\\[\\]-]{0,24}") {
            if let Ok(address) = HttpAddress::parse(&text) {
                prop_assert_eq!(HttpAddress::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (HttpAddress::parse(&text), parse_servers(&text), parse_prefix(&text), parse_token(&text));
        }
    }
}
