use super::*;
use crate::web::config::ServerLimits;
use axum::body::Bytes;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn limits() -> ServerLimits {
    ServerLimits {
        connections: 8,
        header_timeout: Duration::from_millis(200),
        body_grace: Duration::from_millis(200),
        body_rate: 1000,
        write_timeout: Duration::from_millis(200),
    }
}

fn serve(router: Router, limits: ServerLimits) -> (Server, SocketAddr) {
    let bound = Bound::bind("127.0.0.1:0").unwrap();
    let address = bound.address();
    assert_ne!(address.port(), 0);
    (bound.serve(router, limits).unwrap(), address)
}

fn service() -> Router {
    router_of(
        &Arc::new(Fake::new()),
        WebConfig::default(),
        Exposure::Loopback,
    )
}

async fn open(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes.
async fn to_end(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

async fn talk(address: SocketAddr, text: &str) -> String {
    let read = to_end(open(address, text).await);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the server closes")
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn it_serves_and_stops() {
    let (server, address) = serve(service(), limits());
    let answer = talk(address, LIVE).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with(r#"{"live":true}"#));
    // An idle connection is closed by the shutdown and not waited for.
    let idle = open(address, "").await;
    let begin = Instant::now();
    assert_eq!(server.shutdown(Duration::from_secs(30)).await, 0);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(to_end(idle).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn a_taken_address_is_named() {
    let first = Bound::bind("127.0.0.1:0").unwrap();
    let address = first.address().to_string();
    let error = Bound::bind(&address).unwrap_err();
    assert!(matches!(error, crate::error::RunError::Listen { .. }));
    let text = error.to_string();
    assert!(text.contains(&address) && text.contains("--http"), "{text}");
    assert!(Bound::bind("nonsense").is_err());
    drop(first);
    Bound::bind(&address).unwrap();
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut_off() {
    let (server, address) = serve(service(), limits());
    // Nothing, half a head, and an idle connection after a request.
    assert_eq!(talk(address, "").await, "");
    let half = talk(address, "GET /info HTTP/1.1\r\nHost: loc").await;
    assert!(half.is_empty() || half.contains("408"), "{half}");
    let idle = talk(
        address,
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert!(idle.ends_with(r#"{"live":true}"#), "{idle}");
    let body = talk(
        address,
        "POST /topics/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{",
    )
    .await;
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(body.contains("too slowly"), "{body}");
    assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn connections_have_a_limit_and_come_free() {
    let limits = ServerLimits {
        connections: 2,
        header_timeout: Duration::from_secs(60),
        ..limits()
    };
    let (server, address) = serve(service(), limits);
    let keep = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = open(address, keep).await;
        // Answered, so it certainly has its place.
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut refused = String::new();
    third.read_to_string(&mut refused).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("retry-after: 1"));
    assert!(head.contains(&format!("content-length: {}", body.len())));
    serde_json::from_str::<Value>(body).unwrap();
    drop(held);
    // The places come free when the server has seen the ends.
    let begin = Instant::now();
    while !talk(address, LIVE).await.starts_with("HTTP/1.1 200") {
        assert!(begin.elapsed() < Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    server.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let (server, address) = serve(service(), limits());
    for request in [
        "GET /info HTTP/1.1\r\n\r\n",
        "GET /info HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "POST /topics/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /topics/videos HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET /info HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let answer = talk(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}\n{answer}");
    }
    let evil = "GET /info HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(talk(address, evil).await.starts_with("HTTP/1.1 421"));
    let absolute =
        "GET http://evil.example/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(talk(address, absolute).await.starts_with("HTTP/1.1 421"));
    server.shutdown(Duration::from_secs(5)).await;
}

/// A second request hidden behind a first one with two lengths must never be answered.
#[tokio::test]
async fn nothing_is_smuggled() {
    let (server, address) = serve(service(), limits());
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let request = format!(
            "POST /topics/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lengths}\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        let answer = talk(address, &request).await;
        assert!(!answer.contains("live"), "{answer}");
    }
    server.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_declared_gigabyte_is_refused_without_reading_it() {
    let (server, address) = serve(service(), limits());
    let answer = talk(
        address,
        "POST /topics/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    server.shutdown(Duration::from_secs(5)).await;
}

/// The limit of open files is the process's, so a child process has the experience.
#[cfg(unix)]
#[test]
fn accepting_survives_the_lack_of_file_descriptors() {
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" --exact \"$1\""])
        .env(FEW_FILES, "1")
        .arg(std::env::current_exe().unwrap())
        .arg("web::tests::sockets::without_file_descriptors")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Set by the test above for its child process.
const FEW_FILES: &str = "CITIZENK_TEST_FEW_FILES";

#[tokio::test]
async fn without_file_descriptors() {
    if std::env::var_os(FEW_FILES).is_none() {
        return;
    }
    let (server, address) = serve(service(), ServerLimits::default());
    let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(files.len() < 48);
    // The one that comes free is the client's: the server has none for its side.
    files.pop();
    let mut stream = open(address, LIVE).await;
    let served = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(
        served.is_err(),
        "not served without a descriptor: {served:?}"
    );
    drop(files);
    let answer = to_end(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.shutdown(Duration::from_secs(5)).await;
}

/// A handler that blocks every worker thread of the shared runtime.
#[test]
fn health_answers_while_handlers_block() {
    let shared = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (entered, enters) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let blocking = Router::new().route(
        "/block",
        axum::routing::get(move || {
            let (entered, released) = (entered.clone(), released.clone());
            async move {
                entered.send(()).unwrap();
                let _ = released.lock().unwrap().recv();
                "done"
            }
        }),
    );
    let plan = Parts {
        routers: vec![blocking.into()],
        ..Parts::default()
    }
    .plan();
    let router = plan.router(
        Arc::new(Fake::new()),
        surroundings(Exposure::Loopback, Some(shared.handle().clone())),
    );
    let (server, address) = serve(router, ServerLimits::default());
    let client = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    client.block_on(async {
        let blocked = tokio::spawn(talk(
            address,
            "GET /block HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        ));
        tokio::task::spawn_blocking(move || enters.recv().unwrap())
            .await
            .unwrap();
        assert!(talk(address, LIVE).await.starts_with("HTTP/1.1 200"));
        let info = LIVE.replace("/health/live", "/info");
        assert!(talk(address, &info).await.starts_with("HTTP/1.1 200"));
        release.send(()).unwrap();
        assert!(blocked.await.unwrap().ends_with("done"));
        assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
    });
}

#[tokio::test]
async fn started_requests_end_within_the_deadline_and_no_later() {
    let (started, mut starts) = tokio::sync::mpsc::channel(4);
    let (finish, finished) = tokio::sync::watch::channel(false);
    let slow = Router::new().route(
        "/slow",
        axum::routing::get(move || {
            let (started, mut finished) = (started.clone(), finished.clone());
            async move {
                started.send(()).await.unwrap();
                let _ = finished.wait_for(|finished| *finished).await;
                "done"
            }
        }),
    );
    let plan = Parts {
        routers: vec![slow.into()],
        ..Parts::default()
    }
    .plan();
    let here = tokio::runtime::Handle::current();
    let router = || {
        plan.router(
            Arc::new(Fake::new()),
            surroundings(Exposure::Loopback, Some(here.clone())),
        )
    };
    let request = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";

    let (server, address) = serve(router(), ServerLimits::default());
    let client = tokio::spawn(talk(address, request));
    starts.recv().await.unwrap();
    assert_eq!(server.shutdown(Duration::from_millis(50)).await, 1);
    assert_eq!(client.await.unwrap(), "");

    let (server, address) = serve(router(), ServerLimits::default());
    let client = tokio::spawn(talk(address, request));
    starts.recv().await.unwrap();
    let stopping = tokio::spawn(server.shutdown(Duration::from_secs(30)));
    finish.send(true).unwrap();
    assert!(client.await.unwrap().ends_with("done"));
    assert_eq!(stopping.await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_off() {
    let endless = Router::new().route(
        "/",
        axum::routing::get(|| async {
            let bytes = Bytes::from(vec![b'x'; 64 * 1024]);
            let bytes = std::iter::repeat(Ok::<_, std::convert::Infallible>(bytes));
            Body::from_stream(futures_util::stream::iter(bytes))
        }),
    );
    let limits = ServerLimits {
        connections: 1,
        header_timeout: Duration::from_secs(60),
        ..limits()
    };
    let (server, address) = serve(endless, limits);
    let ask = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stalled = open(address, ask).await;
    stalled.read_u8().await.unwrap();
    // Its place comes free although it neither reads nor leaves.
    let begin = Instant::now();
    loop {
        let mut next = open(address, ask).await;
        let mut head = [0; 12];
        let read = next.read_exact(&mut head).await;
        if read.is_ok() && &head == b"HTTP/1.1 200" {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
    drop(stalled);
    server.shutdown(Duration::from_secs(5)).await;
}
