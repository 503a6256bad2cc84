//! One request over HTTP/1.1 or HTTPS, on a connection of its own: for tokens and schemas, which are asked for
//! rarely.
//!
//! In: where to, whom to trust, a request and how much may come back. Out: status and body, or what went wrong by
//! kind. Redirects are answers like any other, no connection is kept, and no more is read than asked for. How
//! long all of it may take is the caller's to say. The TLS is the OpenSSL that librdkafka is linked with: no second
//! library of it in the program, and the same rules for certificates as on the connections to brokers.

#[cfg(test)]
pub(crate) mod server;
mod tls;

use std::fmt;
use std::pin::{Pin, pin};

use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use openssl::ssl::SslConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

pub(crate) use self::tls::{Identity, Trust};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) https: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    authority: String,
    /// Path and query; at least `/`.
    pub(crate) path: String,
}

impl Target {
    /// Reads `http://HOST[:PORT][/PATH]` or the same with `https`.
    ///
    /// # Errors
    /// What is wrong. The text is not repeated: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let url: Uri = url
            .trim()
            .parse()
            .map_err(|error| format!("is no URL: {error}"))?;
        let (https, default_port) = match url.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => return Err("must begin with `http://` or `https://`".to_owned()),
        };
        let authority = url.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not contain a user or a password".to_owned());
        }
        let host = authority.host();
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Ok(Self {
            https,
            host: bare.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.as_str().to_owned(),
            path: url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Bytes,
    /// How many bytes the body of the answer may have.
    pub(crate) largest: usize,
}

/// What was answered, whatever the status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nobody is there, or the name is unknown.
    Connect(String),
    /// The other side's certificate is refused, for this reason.
    Certificate(String),
    /// The handshake failed otherwise.
    Tls(String),
    /// The connection ended before the answer did, or what came was no HTTP.
    Broken(String),
    /// The answer is larger than allowed; so many bytes are.
    TooLarge(usize),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "connecting: {error}"),
            Self::Certificate(reason) => write!(f, "its certificate is refused: {reason}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Broken(error) => f.write_str(error),
            Self::TooLarge(largest) => write!(f, "the answer has more than {largest} bytes"),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// Connects, asks, reads the answer. Dropped on the way it leaves nothing behind.
pub(crate) async fn send(
    target: &Target,
    tls: Option<&SslConnector>,
    ask: Ask<'_>,
) -> Result<Answer, Failed> {
    let largest = ask.largest;
    let request = request(target, ask)?;
    let stream = connect(target, tls).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = pin!(async move {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), largest).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failed::TooLarge(largest)
            } else {
                Failed::Broken(format!("reading the answer: {error}"))
            }
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    });
    // Both in this task, so that a caller who has waited long enough ends the connection too.
    match select(exchange, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}

fn broken(error: hyper::Error) -> Failed {
    use std::error::Error as _;
    Failed::Broken(match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

fn request(target: &Target, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, Failed> {
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header("host", &target.authority)
        .header("connection", "close");
    for (name, value) in ask.headers {
        request = request.header(*name, *value);
    }
    request
        .body(Full::new(ask.body))
        .map_err(|error| Failed::Broken(error.to_string()))
}

async fn connect(
    target: &Target,
    tls: Option<&SslConnector>,
) -> Result<Pin<Box<dyn Stream>>, Failed> {
    let tcp = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .map_err(|error| Failed::Connect(error.to_string()))?;
    if !target.https {
        return Ok(Box::pin(tcp));
    }
    let connector = tls.ok_or_else(|| Failed::Tls("is not set up".to_owned()))?;
    let tls = connector
        .configure()
        .and_then(|configured| configured.into_ssl(&target.host))
        .map_err(|error| Failed::Tls(error.to_string()))?;
    let mut stream = SslStream::new(tls, tcp).map_err(|error| Failed::Tls(error.to_string()))?;
    if let Err(error) = Pin::new(&mut stream).connect().await {
        let verified = stream.ssl().verify_result();
        return Err(match verified.error_string() {
            "ok" => Failed::Tls(error.to_string()),
            reason => Failed::Certificate(reason.to_owned()),
        });
    }
    Ok(Box::pin(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to() {
        let target = Target::parse("https://registry.example/apis/x?y=1").unwrap();
        assert_eq!(
            (target.host.as_str(), target.port),
            ("registry.example", 443)
        );
        assert_eq!(target.path, "/apis/x?y=1");
        assert_eq!(target.to_string(), "https://registry.example/apis/x?y=1");
        let target = Target::parse(" http://[::1]:8081 ").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8081));
        assert_eq!((target.path.as_str(), target.https), ("/", false));
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for (url, expected) in [
            ("", "is no URL"),
            ("a:8081", "must begin with `http://`"),
            ("ftp://a", "must begin with `http://`"),
            ("http://", "is no URL"),
            ("http://ada:hunter2@a:1/x", "must not contain a user"),
            ("http://a b", "is no URL"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.starts_with(expected), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
