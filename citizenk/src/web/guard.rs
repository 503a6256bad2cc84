//! Who may ask for what: host names, the token, pages of other sites.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;
use super::config::{Token, WebConfig};

/// Who can reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Programs of this machine, and through them pages of its browsers.
    Loopback,
    /// The network.
    Network,
    /// Nobody: requests come from a test in this process, without a socket or host name.
    Test,
}

impl From<SocketAddr> for Exposure {
    fn from(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Network
        }
    }
}

/// The rules that follow from settings and address.
#[derive(Clone, Debug)]
pub(super) struct Access {
    exposure: Exposure,
    token: Option<Token>,
    open: bool,
    hosts: Arc<[String]>,
    origins: Arc<[String]>,
}

impl Access {
    pub(super) fn new(config: &WebConfig, exposure: Exposure) -> Self {
        Self {
            exposure,
            token: config.token.clone(),
            open: config.open,
            hosts: config
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            origins: config.origins.clone().into(),
        }
    }

    /// Whether a mutating request may go on: the token where one is needed, and no page of another
    /// site.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match &self.token {
            Some(token) => {
                let given = headers
                    .get(header::AUTHORIZATION)
                    .and_then(|value| value.to_str().ok())
                    .and_then(|value| {
                        let (scheme, given) = value.split_once(' ')?;
                        scheme
                            .eq_ignore_ascii_case("bearer")
                            .then_some(given.trim())
                    });
                match given {
                    // A page of another site cannot know the token.
                    Some(given) if token.matches(given) => return Ok(()),
                    Some(_) => return Err(Problem::unauthorized("the bearer token is wrong")),
                    None => {
                        return Err(Problem::unauthorized(
                            "this endpoint needs `Authorization: Bearer TOKEN` with the service's HTTP token",
                        ));
                    }
                }
            }
            None if self.exposure == Exposure::Network && !self.open => {
                return Err(Problem::forbidden(
                    "this endpoint is closed on an address other machines can reach; start the service with `--http-token TOKEN`, or with `--http-open` to let everybody use it",
                ));
            }
            None => {}
        }
        self.own_page(headers)
    }

    /// Refuses what a browser sends for a page of a site that is neither this one nor listed.
    pub(super) fn own_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        same_site(headers, &self.origins)
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let header = request.headers().get(header::HOST);
        let header = match header.map(|host| host.to_str()) {
            Some(Ok(host)) => Some(host),
            Some(Err(_)) => return Err(Problem::bad_request("the Host header is not text")),
            None => None,
        };
        // In the absolute form the target names a host too.
        let target = request.uri().authority().map(|target| target.as_str());
        for host in [header, target].into_iter().flatten() {
            let name = host_name(host);
            if !self.knows(&name) {
                return Err(Problem::new(
                    axum::http::StatusCode::MISDIRECTED_REQUEST,
                    format!(
                        "this service is not known as `{name}`; if it is, name it with `App::http_host` or CITIZENK_HTTP_HOSTS"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// On loopback a page whose name was made to point here (DNS rebinding) must not get through; on
    /// the network names are only checked where they are configured.
    fn knows(&self, name: &str) -> bool {
        let local = || {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.to_canonical().is_loopback())
        };
        match self.exposure {
            Exposure::Test => true,
            Exposure::Loopback => local() || self.lists(name),
            Exposure::Network => self.hosts.is_empty() || local() || self.lists(name),
        }
    }

    fn lists(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host == name)
    }
}

/// A host without its port, in lower case.
fn host_name(host: &str) -> String {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Refuses what a browser sends for a page of another origin. Other programs send neither header.
fn same_site(headers: &HeaderMap, origins: &[String]) -> Result<(), Problem> {
    let refuse = || {
        Err(Problem::forbidden(
            "a page of another site may not ask for this; if it may, name its origin with `App::http_origin` or \
             CITIZENK_HTTP_ORIGINS",
        ))
    };
    let listed = headers.get(header::ORIGIN).is_some_and(|origin| {
        let known = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        origins.iter().any(known)
    });
    if listed {
        return Ok(());
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return match site.as_bytes() {
            b"same-origin" | b"none" => Ok(()),
            _ => refuse(),
        };
    }
    // Older browsers. The origin of a page of this service has the host asked for.
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let Some((scheme, site)) = origin.to_str().ok().and_then(|o| o.split_once("://")) else {
        return refuse();
    };
    let site = without_default_port(site, scheme);
    // Behind a proxy the browser asked for another name; no page of another site can send that header unasked.
    let asked = [header::HOST, HeaderName::from_static("x-forwarded-host")];
    let own = asked
        .iter()
        .filter_map(|name| headers.get(name)?.to_str().ok());
    let mut own = own.map(|host| without_default_port(host, scheme));
    if own.any(|own| own == site) {
        Ok(())
    } else {
        refuse()
    }
}

/// A host as browsers name it in an origin: in lower case, with its port only where the scheme has another.
fn without_default_port(host: &str, scheme: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    match host.strip_suffix(port) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => host,
    }
}

/// Middleware: the host names.
pub(super) async fn check_host(
    State(access): State<Access>,
    request: Request<Body>,
    next: Next,
) -> Response {
    match access.check_host(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_this_service_are_known_behind_proxies() {
        let pass = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            });
            let known = ["https://app.example".to_owned()];
            same_site(&headers.collect(), &known).is_ok()
        };
        let origin = |origin, host| [("origin", origin), ("host", host)];
        assert!(pass(&[("host", "a.example")]));
        assert!(pass(&origin("http://a.example:8000", "A.example:8000")));
        assert!(pass(&origin("http://a.example", "a.example:80")));
        assert!(pass(&origin("https://a.example", "a.example:443")));
        assert!(pass(&origin("https://app.example", "a.example")));
        assert!(!pass(&origin("http://a.example", "a.example:443")));
        assert!(!pass(&origin("http://evil.example", "a.example")));
        assert!(!pass(&origin("null", "a.example")));
        let behind = |outer| {
            let [origin, host] = origin("http://a.example", "127.0.0.1:8000");
            [origin, host, ("x-forwarded-host", outer)]
        };
        assert!(pass(&behind("a.example")));
        assert!(!pass(&behind("b.example")));
        let site = |site| {
            [
                ("origin", "http://a.example"),
                ("host", "a.example"),
                ("sec-fetch-site", site),
            ]
        };
        assert!(pass(&site("same-origin")));
        assert!(!pass(&site("same-site")) && !pass(&site("cross-site")));
    }

    #[test]
    fn host_names_lose_port_case_and_dot() {
        for (host, name) in [
            ("LocalHost:8000", "localhost"),
            ("localhost.", "localhost"),
            ("[::1]:8000", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
            ("evil.example:80", "evil.example"),
            ("localhost@evil.example", "evil.example"),
            ("", ""),
        ] {
            assert_eq!(host_name(host), name, "{host}");
        }
    }

    #[test]
    fn loopback_knows_its_own_names_only() {
        let config = WebConfig {
            hosts: vec!["Api.Example".to_owned()],
            ..WebConfig::default()
        };
        let access = Access::new(&config, Exposure::Loopback);
        for good in [
            "localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "api.example",
        ] {
            assert!(access.knows(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "", "10.0.0.1"] {
            assert!(!access.knows(bad), "{bad}");
        }
        let everywhere = Access::new(&WebConfig::default(), Exposure::Network);
        assert!(everywhere.knows("evil.example"));
    }
}
