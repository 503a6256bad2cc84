//! Services against a real Kafka; left out where `cargo xtask real` has not started one.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use citizenk::prelude::*;
use citizenk::{Flags, Partitioner, RunError, Settings};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Receipt {
    id: u32,
    partition: i32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const RECEIPTS: Topic<Receipt, u32> = Topic::json("receipts");

/// What handlers saw.
#[derive(Clone)]
struct Seen(mpsc::Sender<Receipt>);

/// How many orders the start-up hook writes.
#[derive(Clone)]
struct Fill(Arc<AtomicU32>);

#[citizenk::on_event(startup)]
async fn fill(State(fill): State<Fill>, producer: Producer) -> citizenk::Result<()> {
    let orders = fill.0.swap(0, Ordering::SeqCst);
    // All at once: awaiting each would cost the linger time each.
    let sends: Vec<_> = (0..orders)
        .map(|id| producer.send(&ORDERS, &id, Order { id }))
        .collect();
    for sent in sends {
        sent.await?;
    }
    Ok(())
}

#[citizenk::agent(topics = [ORDERS], output = RECEIPTS)]
async fn receive(order: Event<Order>, State(seen): State<Seen>) -> citizenk::Result<Receipt> {
    let receipt = Receipt {
        id: order.value.id,
        partition: order.partition(),
    };
    seen.0.send(receipt.clone()).await?;
    Ok(receipt)
}

#[citizenk::agent(topics = [RECEIPTS], group = none)]
async fn collect(
    receipt: Event<Receipt>,
    State(receipts): State<Receipts>,
) -> citizenk::Result<()> {
    let key = receipt.key::<u32>()?;
    receipts.0.lock().await.insert(
        receipt.value.id,
        (key, receipt.partition(), receipt.value.partition),
    );
    receipts.1.notify_one();
    Ok(())
}

/// What was read back: the record's key, its partition, and the partition of its order.
type Found = BTreeMap<u32, (Option<u32>, i32, i32)>;

#[derive(Clone, Default)]
struct Receipts(Arc<Mutex<Found>>, Arc<Notify>);

/// The address of the broker, and names no earlier run has used.
struct Place {
    servers: String,
    run: u128,
}

fn place() -> Option<Place> {
    std::env::var_os("CITIZENK_REAL_KAFKA")?;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address");
    let run = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    Some(Place { servers, run })
}

impl Place {
    fn settings(&self) -> Settings {
        let flags = Flags {
            bootstrap_servers: Some(self.servers.clone()),
            http: Some("127.0.0.1:0".to_owned()),
            group: Some(format!("group-{}", self.run)),
            topic: vec![
                format!("orders=orders-{}", self.run),
                format!("receipts=receipts-{}", self.run),
            ],
            ..Flags::default()
        };
        Settings::resolve(flags, &BTreeMap::new(), None).expect("the settings are right")
    }

    /// Runs the app until the returned switch is used.
    fn run(&self, app: App) -> Running {
        let (settings, stop) = (self.settings(), Arc::new(Notify::new()));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let service = app.build_with(settings).await?;
            service
                .run_until(async move { stopped.notified().await })
                .await
        });
        Running { stop, task }
    }
}

struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn stop(self) {
        self.stop.notify_one();
        within(self.task)
            .await
            .expect("the service does not panic")
            .expect("the service stops cleanly");
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

fn app(seen: &mpsc::Sender<Receipt>, orders: u32) -> App {
    App::new("real")
        .state(Seen(seen.clone()))
        .state(Fill(Arc::new(AtomicU32::new(orders))))
        .register::<fill>()
        .register::<receive>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_restarts_under_load_lose_and_repeat_nothing() {
    let Some(place) = place() else { return };
    const ORDERS: usize = 20_000;
    let (seen, mut receipts) = mpsc::channel(100);
    let mut ids = Vec::new();
    let mut service = place.run(app(&seen, ORDERS as u32));
    for until in [ORDERS / 4, ORDERS / 2, ORDERS * 3 / 4] {
        while ids.len() < until {
            ids.push(within(receipts.recv()).await.expect("the service runs").id);
        }
        // Started calls may wait for room in the channel, so it is emptied while the service drains.
        let stopping = tokio::spawn(service.stop());
        while !stopping.is_finished() {
            if let Ok(Some(receipt)) =
                tokio::time::timeout(Duration::from_millis(50), receipts.recv()).await
            {
                ids.push(receipt.id);
            }
        }
        stopping.await.expect("stopped");
        service = place.run(app(&seen, 0));
    }
    while ids.len() < ORDERS {
        ids.push(within(receipts.recv()).await.expect("the service runs").id);
    }
    service.stop().await;
    while let Ok(receipt) = receipts.try_recv() {
        ids.push(receipt.id);
    }
    let distinct: BTreeSet<u32> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ORDERS, "lost");
    assert_eq!(ids.len(), ORDERS, "processed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_are_keyed_and_placed_as_a_java_client_would() {
    let Some(place) = place() else { return };
    let (seen, mut receipts) = mpsc::channel(1000);
    let found = Receipts::default();
    let service = place.run(app(&seen, 200).state(found.clone()).register::<collect>());
    for _ in 0..200 {
        within(receipts.recv()).await.expect("the service runs");
    }
    while found.0.lock().await.len() < 200 {
        within(found.1.notified()).await;
    }
    for (id, (key, partition, of_order)) in found.0.lock().await.iter() {
        let expected = Partitioner::Murmur2.partition(id.to_string().as_bytes(), 4) as i32;
        assert_eq!(
            (*key, *partition, *of_order),
            (Some(*id), expected, expected)
        );
    }
    service.stop().await;
}
