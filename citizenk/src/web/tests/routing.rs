//! Workers that forward requests to each other through real sockets; what the broker says of them is made up.

use super::*;
use crate::TopicPartition;
use crate::web::config::ServerLimits;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const GROUP: &str = "demo";

fn partitions(numbers: &[i32]) -> Vec<TopicPartition> {
    let all = numbers.iter();
    all.map(|number| TopicPartition::new("videos", *number))
        .collect()
}

/// Answers with its worker's name and what it was sent.
fn note(name: &'static str, calls: &Arc<Mutex<u32>>) -> RouteDef {
    let calls = calls.clone();
    let handler = move |request: axum::extract::Request| {
        *calls.lock().unwrap() += 1;
        async move {
            let path = request.uri().path().to_owned();
            let body = axum::body::to_bytes(request.into_body(), 1000)
                .await
                .unwrap();
            format!("{name} {path} {}", String::from_utf8_lossy(&body)).into_response()
        }
    };
    let path = "/notes/{id}";
    let route = route(
        "note",
        Origin::default(),
        axum::http::Method::POST,
        path,
        None,
        handler,
        |_| {},
    );
    let key = KeyPlace::Parameter("id".to_owned());
    let mut route = topic_router(route, &VIDEOS, key, None, &[]);
    if let Some(routing) = &mut route.routing {
        routing.group = Some(("default", GROUP.to_owned()));
    }
    route
}

struct Worker {
    server: Server,
    url: String,
    calls: Arc<Mutex<u32>>,
}

/// A worker with these partitions, which believes that the others have those.
fn serve(name: &'static str, owned: &[i32], members: Vec<GroupMember>) -> Worker {
    let fake = Arc::new(Fake {
        owned: Some(partitions(owned)),
        members: Mutex::new(members),
        ..Fake::new()
    });
    let calls = Arc::new(Mutex::new(0));
    let config = WebConfig {
        prefix: "/api".into(),
        ..WebConfig::default()
    };
    let parts = Parts {
        config,
        routes: vec![note(name, &calls)],
        ..Parts::default()
    };
    let bound = Bound::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", bound.address());
    let neighbourhood = Neighbourhood {
        own: url.clone(),
        key: Key::new("secret"),
        ..Neighbourhood::default()
    };
    let surroundings = Surroundings {
        neighbourhood,
        ..surroundings(Exposure::Loopback, None)
    };
    let router = parts.plan().router(fake, surroundings);
    Worker {
        server: bound.serve(router, ServerLimits::default()).unwrap(),
        url,
        calls,
    }
}

fn member(url: &str, owned: &[i32]) -> GroupMember {
    (Key::new("secret").tag(url), partitions(owned))
}

/// Status line and body of an answer.
async fn ask(url: &str, id: u32) -> (u16, String) {
    let address: SocketAddr = url
        .trim_start_matches("http://")
        .trim_end_matches("/api")
        .parse()
        .unwrap();
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/notes/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .expect("it answers");
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// An id whose record is on this partition of four.
fn id_on(partition: u32) -> u32 {
    let on =
        |id: &u32| crate::Partitioner::Murmur2.partition(id.to_string().as_bytes(), 4) == partition;
    (0..).find(on).unwrap()
}

#[tokio::test]
async fn a_request_goes_through_sockets_to_its_owner_and_back() {
    let owner = serve("owner", &[2, 3], Vec::new());
    let asked = serve("asked", &[0], vec![member(&owner.url, &[2, 3])]);
    let (here, there, nobody) = (id_on(0), id_on(2), id_on(1));
    assert_eq!(
        ask(&asked.url, here).await,
        (200, format!("asked /notes/{here} hi"))
    );
    assert_eq!(
        ask(&asked.url, there).await,
        (200, format!("owner /notes/{there} hi"))
    );
    let (status, body) = ask(&asked.url, nobody).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(
        (*asked.calls.lock().unwrap(), *owner.calls.lock().unwrap()),
        (1, 1)
    );
    // Gone: nothing was sent, so the client may try again.
    owner.server.shutdown(Duration::from_secs(5)).await;
    assert_eq!(ask(&asked.url, there).await.0, 503);
    asked.server.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_owner_that_lost_the_partition_says_so_and_the_request_goes_no_further() {
    // Each believes the other has partition 2: a loop, if a request could go on.
    let second = serve("second", &[3], Vec::new());
    let first = serve("first", &[0], vec![member(&second.url, &[2, 3])]);
    assert_eq!(ask(&first.url, id_on(2)).await.0, 503);
    assert_eq!(
        (*first.calls.lock().unwrap(), *second.calls.lock().unwrap()),
        (0, 0)
    );
    // Both believe they have partition 3: each answers what it is asked.
    let both = serve("both", &[3], vec![member(&second.url, &[3])]);
    assert!(ask(&both.url, id_on(3)).await.1.starts_with("both"));
    assert!(ask(&second.url, id_on(3)).await.1.starts_with("second"));
    for worker in [first, second, both] {
        worker.server.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn an_owner_that_breaks_off_is_502_and_is_asked_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let breaking = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            let mut head = [0; 64];
            stream.read_exact(&mut head).await.unwrap();
            drop(stream);
            if connections == 1 {
                return (listener, connections);
            }
        }
        unreachable!("a listener accepts")
    });
    let asked = serve("asked", &[0], vec![member(&url, &[1, 2, 3])]);
    let begun = Instant::now();
    let (status, body) = ask(&asked.url, id_on(2)).await;
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("may have been carried out"), "{body}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let (listener, connections) = breaking.await.unwrap();
    assert_eq!(connections, 1);
    let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(again.is_err(), "it is not asked again");
    asked.server.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn members_that_are_no_workers_get_no_request() {
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let all = partitions(&[0, 1, 2, 3]);
    for client_id in [
        url.clone(),
        format!("{url}#{}", "0".repeat(64)),
        Key::new("another secret").tag(&url),
        Key::new("secret").tag("http://169.254.169.254/latest"),
        "rdkafka".to_owned(),
    ] {
        let asked = serve("asked", &[], vec![(client_id.clone(), all.clone())]);
        assert_eq!(ask(&asked.url, 1).await.0, 503, "{client_id}");
        asked.server.shutdown(Duration::from_secs(5)).await;
    }
    let connected = tokio::time::timeout(Duration::from_millis(50), trap.accept()).await;
    assert!(connected.is_err(), "nobody connected");
}
