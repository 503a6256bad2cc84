//! Traces across agents: what is exported, and what stands in headers, with and without an exporter.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::middleware::{CallInfo, Handled, Next};
use citizenk::otel::opentelemetry::Value;
use citizenk::otel::opentelemetry::trace::{SpanId, SpanKind, Status};
use citizenk::otel::opentelemetry_sdk::error::OTelSdkResult;
use citizenk::otel::opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use tracing_subscriber::prelude::*;

const IN: Topic<u32, u32> = Topic::json("in");
const MIDDLE: Topic<u32, u32> = Topic::json("middle");
const OUT: Topic<u32, u32> = Topic::json("out");

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

fn traceparent() -> Headers {
    let mut headers = Headers::new();
    headers.push("traceparent", Some(format!("00-{TRACE}-{SENDER}-01")));
    headers.push("tracestate", Some("vendor=1"));
    headers
}

/// Keeps what has ended.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Spans {
    fn named(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap();
        let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(found.len(), 1, "`{name}` once among {names:?}");
        found[0].clone()
    }
}

impl Spans {
    fn children(&self, parent: &SpanData) -> Vec<String> {
        let spans = self.0.lock().unwrap();
        let found = spans
            .iter()
            .filter(|span| span.parent_span_id == id(parent));
        found.map(|span| span.name.to_string()).collect()
    }
}

fn id(span: &SpanData) -> SpanId {
    span.span_context.span_id()
}

fn trace(span: &SpanData) -> String {
    span.span_context.trace_id().to_string()
}

fn attributes(span: &SpanData) -> BTreeMap<&str, Value> {
    let pairs = span.attributes.iter();
    pairs
        .map(|pair| (pair.key.as_str(), pair.value.clone()))
        .collect()
}

/// Runs a test with spans that are kept.
fn traced<F: Future>(test: impl FnOnce(Spans) -> F) -> F::Output {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    let subscriber = tracing_subscriber::registry().with(citizenk::otel::layer(&provider));
    let _guard = tracing::subscriber::set_default(subscriber);
    block_on(test(spans))
}

#[citizenk::agent(topics = [IN], sends = [MIDDLE])]
async fn first(number: Event<u32>, out: Outbox) -> citizenk::Result<()> {
    tokio::task::yield_now().await;
    out.send(&MIDDLE, &1, number.value)?;
    Ok(())
}

#[citizenk::agent(topics = [MIDDLE], output = OUT, group = "second")]
async fn second(number: Event<u32>) -> citizenk::Result<u32> {
    inner(number.value).await
}

#[tracing::instrument]
async fn inner(number: u32) -> citizenk::Result<u32> {
    Ok(number)
}

fn sent_header<V, K>(app: &TestApp, topic: &Topic<V, K>, name: &str) -> Option<String> {
    let sent = app.topic(topic).sent();
    let [record] = &sent[..] else {
        panic!("{} records", sent.len())
    };
    record.headers.text(name).map(str::to_owned)
}

#[test]
fn a_trace_goes_from_record_to_record() {
    traced(async |spans| {
        let app = App::new("p").register::<first>().register::<second>();
        let app = TestApp::new(app).start().await.unwrap();
        app.topic(&IN).push_to(0, Some(b"1"), b"7", traceparent());
        app.settle().await;

        let (one, two) = (spans.named("process in"), spans.named("process middle"));
        assert_eq!((trace(&one), trace(&two)), (TRACE.into(), TRACE.into()));
        assert_eq!(one.parent_span_id.to_string(), SENDER);
        assert!(one.parent_span_is_remote);
        assert_eq!(
            two.parent_span_id,
            id(&one),
            "consumer, record, next consumer"
        );
        assert_eq!(spans.named("inner").parent_span_id, id(&two));
        assert_eq!(one.span_kind, SpanKind::Consumer);
        let about = attributes(&one);
        let expected: [(&str, Value); 9] = [
            ("messaging.system", "kafka".into()),
            ("messaging.operation.name", "process".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.destination.name", "in".into()),
            ("messaging.destination.partition.id", "0".into()),
            ("messaging.kafka.offset", 0.into()),
            ("messaging.consumer.group.name", "p".into()),
            ("citizenk.agent", "first".into()),
            ("citizenk.attempt", 1.into()),
        ];
        for (name, value) in &expected {
            assert_eq!(about.get(name), Some(value), "{name} in {about:?}");
        }
        assert!(!about.contains_key("messaging.batch.message_count"));
        assert_eq!(
            sent_header(&app, &MIDDLE, "traceparent").unwrap(),
            format!("00-{TRACE}-{}-01", id(&one))
        );
        assert_eq!(
            sent_header(&app, &OUT, "tracestate").as_deref(),
            Some("vendor=1")
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn without_an_exporter_the_trace_passes_through() {
    block_on(async {
        let app = App::new("p").register::<first>().register::<second>();
        let app = TestApp::new(app).start().await.unwrap();
        app.topic(&IN).push_to(0, Some(b"1"), b"7", traceparent());
        app.settle().await;
        for name in ["traceparent", "tracestate"] {
            assert_eq!(
                sent_header(&app, &OUT, name).as_deref(),
                traceparent().text(name)
            );
        }
        app.stop().await.unwrap();
    });
}

#[test]
fn what_came_without_a_trace_leaves_without_one_where_none_is_recorded() {
    block_on(async {
        let app = App::new("p").register::<first>();
        let app = TestApp::new(app).start().await.unwrap();
        app.topic(&IN).push(&1, 7);
        app.settle().await;
        assert_eq!(sent_header(&app, &MIDDLE, "traceparent"), None);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [IN], sends = [MIDDLE], batch_size = 3)]
async fn batched(numbers: Batch<u32>, out: Outbox) -> citizenk::Result<()> {
    out.send(&MIDDLE, &1, numbers.iter().sum())?;
    Ok(())
}

#[test]
fn a_batch_links_to_the_traces_of_its_records() {
    traced(async |spans| {
        let app = TestApp::new(App::new("p").register::<batched>())
            .start()
            .await
            .unwrap();
        app.topic(&IN).push_to(0, Some(b"1"), b"7", traceparent());
        app.topic(&IN).push_to(0, Some(b"1"), b"8", Headers::new());
        let mut other = Headers::new();
        let other_trace = "1".repeat(32);
        other.push("traceparent", Some(format!("00-{other_trace}-{SENDER}-01")));
        app.topic(&IN).push_to(0, Some(b"1"), b"9", other);
        app.settle().await;
        let span = spans.named("process in");
        let links: Vec<_> = span
            .links
            .iter()
            .map(|link| link.span_context.trace_id().to_string())
            .collect();
        assert_eq!(links, [TRACE.to_owned(), other_trace]);
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert!(!links.contains(&trace(&span)), "a trace of its own");
        assert_eq!(
            attributes(&span)["messaging.batch.message_count"],
            Value::I64(3)
        );
        let header = sent_header(&app, &MIDDLE, "traceparent").unwrap();
        assert!(header.contains(&trace(&span)), "{header}");
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [IN], on_error = skip)]
async fn failing(_number: Event<u32>) -> citizenk::Result<()> {
    Err(AgentError::new("out of order"))
}

#[test]
fn a_failed_call_is_an_error_in_its_span() {
    traced(async |spans| {
        let app = TestApp::new(App::new("p").register::<failing>())
            .start()
            .await
            .unwrap();
        app.topic(&IN).push(&1, 7);
        app.settle().await;
        let span = spans.named("process in");
        assert_eq!(span.status, Status::error("out of order"));
        assert_eq!(attributes(&span)["error.type"], Value::from("error"));
        app.stop().await.unwrap();
    });
}

async fn forwards(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    tracing::info_span!("middleware");
    next.run().await
}

#[citizenk::repeat_every("10s", wait_first = true, max_repetitions = 1, wrap = forwards)]
async fn tick(producer: Producer) -> citizenk::Result<()> {
    producer.send(&IN, &1, 7).await?;
    producer
        .record(&OUT)
        .key(&1)
        .header("traceparent", "mine")
        .send(7)
        .await?;
    Ok(())
}

#[test]
fn the_producer_sends_the_trace_of_the_call_it_is_used_in() {
    traced(async |spans| {
        let app = App::new("p").register::<tick>().register::<first>();
        let app = TestApp::new(app).start().await.unwrap();
        app.advance("10s").await;
        let timer = spans.named("timer tick");
        assert_eq!(timer.span_kind, SpanKind::Internal);
        let agent = spans.named("process in");
        assert_eq!(agent.parent_span_id, id(&timer));
        assert_eq!(trace(&agent), trace(&timer));
        assert_eq!(spans.named("middleware").parent_span_id, id(&timer));
        assert_eq!(
            sent_header(&app, &OUT, "traceparent").as_deref(),
            Some("mine"),
            "a header of the program's own stays"
        );
        app.stop().await.unwrap();
    });
}

#[citizenk::route(post = "/numbers/{number}")]
async fn submit(Path(number): Path<u32>, producer: Producer) -> Result<Json<u32>, Problem> {
    producer.send(&IN, &1, number).await?;
    Ok(Json(number))
}

#[test]
fn requests_continue_the_clients_trace_to_the_agents() {
    traced(async |spans| {
        let app = App::new("p").register::<submit>().register::<first>();
        let app = TestApp::new(app).start().await.unwrap();
        let headers = [("traceparent", format!("00-{TRACE}-{SENDER}-01"))];
        let answer = app
            .request_with_headers("POST", "/numbers/7", &headers, None)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        app.settle().await;
        let request = spans.named("POST /numbers/{number}");
        assert_eq!(request.parent_span_id.to_string(), SENDER);
        assert_eq!(request.span_kind, SpanKind::Server);
        assert_eq!(
            attributes(&request)["http.response.status_code"],
            Value::I64(200)
        );
        assert_eq!(spans.named("process in").parent_span_id, id(&request));

        let answer = app
            .request_with_headers("POST", "/agents/first/in", &headers, Some("8".into()))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let direct = spans.named("POST /agents/{agent}/{topic}");
        assert!(
            spans.children(&direct).contains(&"process in".to_owned()),
            "{:?}",
            spans.children(&direct)
        );
        app.stop().await.unwrap();
    });
}
