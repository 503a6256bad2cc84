//! Workers that forward requests to each other through real sockets; what the broker says of them is made up.

use super::*;
use crate::TopicPartition;
use crate::web::config::ServerLimits;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const GROUP: &str = "demo";

fn partitions(numbers: &[i32]) -> Vec<TopicPartition> {
    let all = numbers.iter();
    all.map(|number| TopicPartition::new("videos", *number))
        .collect()
}

/// Nothing here takes longer, however busy the machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Holds calls up, and tells of them.
struct Gate {
    started: Semaphore,
    release: Semaphore,
    left: Semaphore,
}

impl Gate {
    fn new() -> Arc<Self> {
        let closed = || Semaphore::new(0);
        Arc::new(Self {
            started: closed(),
            release: closed(),
            left: closed(),
        })
    }

    async fn wait(event: &Semaphore) {
        let happened = tokio::time::timeout(LIMIT, event.acquire()).await;
        happened.expect("it happens").unwrap().forget();
    }
}

/// A call that is running; dropped when it ends, or is given up.
struct Running(Arc<Gate>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.left.add_permits(1);
    }
}

/// Answers with its worker's name and what it was sent.
fn note(name: &'static str, calls: &Arc<Mutex<u32>>, gate: Option<Arc<Gate>>) -> RouteDef {
    let calls = calls.clone();
    let handler = move |request: axum::extract::Request| {
        *calls.lock().unwrap() += 1;
        let gate = gate.clone();
        async move {
            let running = gate.map(Running);
            if let Some(Running(gate)) = &running {
                gate.started.add_permits(1);
                Gate::wait(&gate.release).await;
            }
            let path = request.uri().path().to_owned();
            let body = axum::body::to_bytes(request.into_body(), 1000)
                .await
                .unwrap();
            let mut answer =
                format!("{name} {path} {}", String::from_utf8_lossy(&body)).into_response();
            for name in GUARDS.into_iter().chain(["set-cookie", "x-other"]) {
                let value = axum::http::HeaderValue::from_static("as-said");
                answer.headers_mut().insert(name, value);
            }
            answer
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
    fake: Arc<Fake>,
}

impl Worker {
    fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }

    async fn stop(self) {
        self.server.shutdown(Duration::from_secs(5)).await;
    }
}

/// A worker with these partitions, which believes that the others have those.
fn serve(name: &'static str, owned: &[i32], members: Vec<GroupMember>) -> Worker {
    serve_with(name, owned, members, &[], None)
}

/// The same, with a list of peers to ask instead of the broker, and calls that are held up.
fn serve_with(
    name: &'static str,
    owned: &[i32],
    members: Vec<GroupMember>,
    peers: &[&str],
    gate: Option<Arc<Gate>>,
) -> Worker {
    let fake = Arc::new(Fake {
        owned: Mutex::new(Some(partitions(owned))),
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
        routes: vec![note(name, &calls, gate)],
        ..Parts::default()
    };
    let bound = Bound::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", bound.address());
    let neighbourhood = Neighbourhood {
        own: url.clone(),
        key: Key::new("secret"),
        peers: peers.iter().map(|&url| url.to_owned()).collect(),
        ..Neighbourhood::default()
    };
    let surroundings = Surroundings {
        neighbourhood,
        ..surroundings(Exposure::Loopback, None)
    };
    let router = parts.plan().router(fake.clone(), surroundings);
    Worker {
        server: bound.serve(router, ServerLimits::default()).unwrap(),
        url,
        calls,
        fake,
    }
}

fn member(url: &str, owned: &[i32]) -> GroupMember {
    (Key::new("secret").tag(url), partitions(owned))
}

/// What an answer says a page may do.
const GUARDS: [&str; 9] = [
    "content-security-policy",
    "content-security-policy-report-only",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
];

/// Status and body of an answer.
async fn ask(url: &str, id: u32) -> (u16, String) {
    let answer = ask_whole(url, id).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn ask_whole(url: &str, id: u32) -> String {
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
    tokio::time::timeout(LIMIT, asked)
        .await
        .expect("it answers")
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
async fn a_page_of_another_worker_may_do_no_more_than_there() {
    let owner = serve("owner", &[2], Vec::new());
    let asked = serve("asked", &[0], vec![member(&owner.url, &[2])]);
    let answer = ask_whole(&asked.url, id_on(2)).await;
    assert!(answer.contains("owner /notes/"), "{answer}");
    for name in GUARDS {
        let line = format!("\r\n{name}: as-said\r\n");
        assert_eq!(answer.matches(&line).count(), 1, "{name}: {answer}");
    }
    assert!(!answer.contains("set-cookie") && !answer.contains("x-other"));
    for worker in [owner, asked] {
        worker.stop().await;
    }
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

#[tokio::test]
async fn an_owner_killed_during_a_request_is_502_and_nobody_runs_it_again() {
    let gate = Gate::new();
    let owner = serve_with("owner", &[2], Vec::new(), &[], Some(gate.clone()));
    let members = vec![member(&owner.url, &[2])];
    let asked = serve("asked", &[0], members);
    let url = asked.url.clone();
    let asking = tokio::spawn(async move { ask(&url, id_on(2)).await });
    Gate::wait(&gate.started).await;
    // Its connections break, as those of a process that is killed.
    let (killed, calls) = (owner.server, owner.calls);
    killed.shutdown(Duration::ZERO).await;
    let (status, body) = asking.await.unwrap();
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("may have been carried out"), "{body}");
    assert_eq!((*calls.lock().unwrap(), asked.calls()), (1, 0));
    // By now nobody listens there: nothing is sent, and the client is told to come again.
    assert_eq!(ask(&asked.url, id_on(2)).await.0, 503);
    asked.stop().await;
}

#[tokio::test]
async fn a_partition_that_moves_during_a_request_lets_it_end_and_the_next_one_follows_it() {
    let gate = Gate::new();
    let old = serve_with("old", &[2], Vec::new(), &[], Some(gate.clone()));
    let new = serve("new", &[], Vec::new());
    let asked = serve("asked", &[0], vec![member(&old.url, &[2])]);
    let url = asked.url.clone();
    let asking = tokio::spawn(async move { ask(&url, id_on(2)).await });
    Gate::wait(&gate.started).await;
    *old.fake.owned.lock().unwrap() = Some(Vec::new());
    *new.fake.owned.lock().unwrap() = Some(partitions(&[2]));
    *asked.fake.members.lock().unwrap() = vec![member(&new.url, &[2])];
    gate.release.add_permits(1);
    // It began while the partition was there.
    let (status, body) = asking.await.unwrap();
    assert!(status == 200 && body.starts_with("old"), "{status} {body}");
    // What is remembered is wrong now; the old owner says so, and the new one is asked.
    let (status, body) = ask(&asked.url, id_on(2)).await;
    assert!(status == 200 && body.starts_with("new"), "{status} {body}");
    assert_eq!((old.calls(), new.calls(), asked.calls()), (1, 1, 0));
    for worker in [old, new, asked] {
        worker.stop().await;
    }
}

#[tokio::test]
async fn while_a_group_rebalances_partitions_are_asked_for_where_they_were() {
    let owner = serve("owner", &[2], Vec::new());
    let asked = serve("asked", &[0], vec![member(&owner.url, &[2])]);
    assert_eq!(ask(&asked.url, id_on(2)).await.0, 200);
    // So a broker describes a group that is not stable.
    *asked.fake.members.lock().unwrap() = vec![member(&owner.url, &[])];
    *asked.fake.rebalances.lock().unwrap() += 1;
    assert_eq!(ask(&asked.url, id_on(2)).await.0, 200);
    // It has given the partition up, and nobody has it yet.
    *owner.fake.owned.lock().unwrap() = Some(Vec::new());
    assert_eq!(ask(&asked.url, id_on(2)).await.0, 503);
    assert_eq!((owner.calls(), asked.calls()), (2, 0));
    for worker in [owner, asked] {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_two_workers_claim_is_sent_to_neither() {
    let first = serve("first", &[2], Vec::new());
    let second = serve("second", &[2], Vec::new());
    let members = vec![member(&first.url, &[2]), member(&second.url, &[2])];
    let asked = serve("asked", &[0], members);
    let begun = Instant::now();
    let (status, body) = ask(&asked.url, id_on(2)).await;
    assert_eq!(status, 503, "{body}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((first.calls(), second.calls(), asked.calls()), (0, 0, 0));
    for worker in [first, second, asked] {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_stale_list_of_peers_leads_to_the_workers_that_are_there() {
    let owner = serve("owner", &[2], Vec::new());
    let gone = Bound::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}/api", gone.address());
    drop(gone);
    // Somebody else listens where a worker was.
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = format!("http://{}/api", other.local_addr().unwrap());
    let strange = tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let garbage = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
            let _ = stream.write_all(garbage).await;
        }
    });
    let peers = [
        dead.as_str(),
        &stranger,
        &owner.url,
        "http://169.254.169.254",
    ];
    let asked = serve_with("asked", &[0], Vec::new(), &peers, None);
    let begun = Instant::now();
    let (status, body) = ask(&asked.url, id_on(2)).await;
    assert!(
        status == 200 && body.starts_with("owner"),
        "{status} {body}"
    );
    assert_eq!(ask(&asked.url, id_on(1)).await.0, 503);
    assert!(begun.elapsed() < LIMIT);
    strange.abort();
    for worker in [owner, asked] {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_half_way_is_carried_out_once_at_most() {
    let gate = Gate::new();
    let owner = serve_with("owner", &[2], Vec::new(), &[], Some(gate.clone()));
    let asked = serve("asked", &[0], vec![member(&owner.url, &[2])]);
    let address = asked.url.trim_start_matches("http://");
    let address = address.trim_end_matches("/api").to_owned();
    let id = id_on(2);
    let head =
        format!("POST /api/notes/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
    // In the middle of its body: nobody has heard of it.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream
        .write_all(format!("{head}h").as_bytes())
        .await
        .unwrap();
    drop(stream);
    // While it waits: the owner gives it up too.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream
        .write_all(format!("{head}hi").as_bytes())
        .await
        .unwrap();
    Gate::wait(&gate.started).await;
    drop(stream);
    Gate::wait(&gate.left).await;
    assert_eq!((owner.calls(), asked.calls()), (1, 0));
    gate.release.add_permits(1);
    assert_eq!(ask(&asked.url, id).await.0, 200);
    assert_eq!(
        owner.calls(),
        2,
        "the one that was given up is not run again"
    );
    for worker in [owner, asked] {
        worker.stop().await;
    }
}
