//! Where spans go: OTLP over HTTP, as the standard `OTEL_*` variables say.

use std::env;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::error::ConfigError;

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const TIMEOUTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
/// What the specification says an export may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What the last spans may take when the program ends.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// A variable that is set and not empty.
fn variable(name: &'static str) -> Option<(&'static str, String)> {
    let value = env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| (name, value.to_owned()))
}

fn first(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(variable)
}

/// Whether the environment asks for an exporter that there is.
fn wanted(variable: impl Fn(&'static str) -> Option<String>) -> Result<bool, ConfigError> {
    let first = |names: [&'static str; 2]| {
        names
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)))
    };
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let endpoint = first(ENDPOINTS);
    match variable("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => return Ok(false),
        Some("otlp") => {}
        Some(other) => {
            return Err(ConfigError::new(
                "OTEL_TRACES_EXPORTER",
                format!("`{other}` is not built in; use `otlp` or `none`"),
            ));
        }
        None if endpoint.is_none() => return Ok(false),
        None => {}
    }
    if let Some((name, protocol)) = first(PROTOCOLS)
        && protocol != "http/protobuf"
    {
        return Err(ConfigError::new(
            name,
            format!("`{protocol}` is not built in; use `http/protobuf` (port 4318 of a collector)"),
        ));
    }
    if let Some((name, url)) = endpoint
        && !url.starts_with("http://")
    {
        return Err(ConfigError::new(
            name,
            "must begin with `http://`: TLS is not built in; send to a collector beside the service, or add a \
             layer of your own (`citizenk::otel`)",
        ));
    }
    Ok(true)
}

/// A provider that exports as the standard variables say: `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin,
/// `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`. `service` is the service's name unless
/// `OTEL_SERVICE_NAME` or the resource attributes have one. `None`: no exporter is configured.
///
/// Call it inside a multi-thread tokio runtime, and `shutdown` before that ends.
///
/// # Errors
/// Names the variable that asks for what is not built in: gRPC, TLS, another exporter.
pub fn tracer_provider(service: &str) -> Result<Option<SdkTracerProvider>, ConfigError> {
    if !wanted(|name| variable(name).map(|(_, value)| value))? {
        return Ok(None);
    }
    let timeout = first(TIMEOUTS)
        .and_then(|(_, text)| text.parse().ok())
        .map_or(TIMEOUT, Duration::from_millis);
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES")
            .is_some_and(|(_, text)| text.contains("service.name="));
    provider((!named).then_some(service), timeout, None).map(Some)
}

/// `endpoint`: the whole URL, instead of what the variables say.
fn provider(
    service: Option<&str>,
    timeout: Duration,
    endpoint: Option<&str>,
) -> Result<SdkTracerProvider, ConfigError> {
    let client = OnRuntime {
        client: Client::builder(TokioExecutor::new()).build_http(),
        timeout,
        runtime: Handle::current(),
    };
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary);
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = exporter
        .build()
        .map_err(|error| ConfigError::new("OTEL_EXPORTER_OTLP_*", error.to_string()))?;
    let mut resource = Resource::builder();
    if let Some(service) = service {
        resource = resource.with_service_name(service.to_owned());
    }
    Ok(SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build())
}

/// The layer that records spans of level `info` and above with a provider, for a subscriber of one's own.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let tracer: SdkTracer = provider.tracer("citizenk");
    let spans: OpenTelemetryLayer<S, SdkTracer> = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_threads(false);
    // What the exporter itself does would be exported in turn.
    let exporter = |target: &str| {
        ["opentelemetry", "hyper"]
            .iter()
            .any(|name| target.starts_with(name))
    };
    spans.with_filter(
        LevelFilter::INFO.and(filter_fn(move |metadata: &Metadata<'_>| {
            !exporter(metadata.target())
        })),
    )
}

/// The provider of a program that was started with `citizenk::run`.
#[derive(Debug)]
pub(crate) struct Exporting(Option<SdkTracerProvider>);

impl Exporting {
    /// As the environment says.
    pub(crate) fn start(service: &str) -> Result<Self, ConfigError> {
        Ok(Self(tracer_provider(service)?))
    }

    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.0.as_ref().map(layer)
    }

    /// Says where spans go; `installed`: the program has no subscriber of its own.
    pub(crate) fn announce(&self, installed: bool) {
        let Some(provider) = &self.0 else { return };
        if installed {
            opentelemetry::global::set_tracer_provider(provider.clone());
            tracing::info!("traces are exported");
        } else {
            tracing::warn!(
                "OTEL_* variables ask for traces, but the program has a subscriber of its own; add `citizenk::otel::layer` to it"
            );
        }
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_SPANS)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans may not have been exported");
        }
    }
}

/// Sends from the program's runtime: the exporter has a thread of its own, without one.
#[derive(Debug)]
struct OnRuntime {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
    runtime: Handle,
}

/// A collector answers with a few bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

impl HttpClient for OnRuntime {
    fn send_bytes<'a, 'async_trait>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        let sending = self.client.request(request.map(Full::new));
        let answer = async move {
            let (parts, body) = sending.await?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let timeout = self.timeout;
        let task = self
            .runtime
            .spawn(async move { tokio::time::timeout(timeout, answer).await });
        Box::pin(async move { task.await?? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&'static str, &str)]) -> Result<bool, String> {
        wanted(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_or_a_name_asks_for_the_exporter() {
        let local = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert_eq!(asked(&[]), Ok(false));
        assert_eq!(asked(&[local]), Ok(true));
        assert_eq!(asked(&[("OTEL_TRACES_EXPORTER", "otlp")]), Ok(true));
        assert_eq!(asked(&[local, ("OTEL_TRACES_EXPORTER", "none")]), Ok(false));
        assert_eq!(asked(&[local, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(false));
    }

    #[test]
    fn what_is_not_built_in_is_named() {
        let local = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");
        let cases = [
            (
                ("OTEL_TRACES_EXPORTER", "zipkin"),
                "`zipkin` is not built in",
            ),
            (
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                "`grpc` is not built in",
            ),
            (
                (
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                    "https://collector:4318",
                ),
                "TLS is not built in",
            ),
        ];
        for (variable, text) in cases {
            let error = asked(&[local, variable]).unwrap_err();
            assert!(
                error.starts_with(variable.0) && error.contains(text),
                "{error}"
            );
        }
    }

    /// A collector that takes one request and answers it.
    fn collector() -> (String, std::thread::JoinHandle<String>) {
        use std::io::{Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let taken = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
            // The name stands in the body, behind the head.
            while !String::from_utf8_lossy(&bytes).contains("a span") {
                let read = stream.read(&mut part).unwrap();
                assert!(read > 0, "the exporter left before it had sent the span");
                bytes.extend_from_slice(&part[..read]);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        (url, taken)
    }

    #[test]
    fn spans_reach_a_collector_before_the_program_ends() {
        use tracing_subscriber::prelude::*;

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (url, taken) = collector();
        runtime.block_on(async {
            let provider = provider(Some("orders"), TIMEOUT, Some(&url)).unwrap();
            let exporting = Exporting(Some(provider));
            let subscriber = tracing_subscriber::registry().with(exporting.layer());
            tracing::subscriber::with_default(subscriber, || {
                tracing::info_span!("a span").in_scope(|| {});
                tracing::debug_span!("too fine").in_scope(|| {});
            });
            exporting.end().await;
        });
        let request = taken.join().unwrap();
        assert!(request.starts_with("POST /v1/traces HTTP/1.1"), "{request}");
        assert!(request.contains("application/x-protobuf"), "{request}");
        assert!(
            request.contains("orders") && !request.contains("too fine"),
            "{request}"
        );
    }
}
