//! `docs/clusters.md`.

use citizenk::prelude::*;
use citizenk::{Agent, AgentDef, RawRecords, ReadError, Reader};

/// An order.
#[citizenk::message]
#[derive(Clone)]
pub struct Order {
    /// Its number.
    pub id: u64,
}

// [topics]
/// Orders of this region.
pub const ORDERS: Topic<Order, u64> = Topic::json("orders");
/// The same topic in Europe: another topic.
pub const ORDERS_EU: Topic<Order, u64> = ORDERS.cluster("eu");
/// Orders of all regions.
pub const ALL: Topic<Order, u64> = Topic::json("all-orders");

/// Runs on its own; the other goes on when one of the clusters is down.
#[citizenk::agent(topics = [ORDERS], output = ALL)]
pub async fn local(order: Event<Order>) -> Order {
    order.value
}

/// Reads Europe, writes here.
#[citizenk::agent(topics = [ORDERS_EU], output = ALL)]
pub async fn european(order: Event<Order>) -> Order {
    order.value
}

/// The service.
pub fn app() -> App {
    App::new("all-orders")
        .cluster("eu")
        .register::<local>()
        .register::<european>()
}
// [/topics]

// [tools]
/// Answers with the newest orders of Europe.
#[citizenk::route(get = "/newest")]
pub async fn newest(reader: Reader) -> Result<Json<Vec<Order>>, Problem> {
    let orders = reader.topic(&ORDERS_EU).last(10).stream().all().await;
    let orders = orders.map_err(Problem::internal)?;
    Ok(Json(orders.into_iter().map(|order| order.value).collect()))
}

/// The names of the topics there.
#[citizenk::route(get = "/topics-in-europe")]
pub async fn topics_in_europe(admin: Admin) -> Result<Json<Vec<String>>, Problem> {
    let admin = admin.on("eu").map_err(Problem::internal)?;
    let topics = admin.topics().await.map_err(Problem::internal)?;
    Ok(Json(topics.into_iter().map(|topic| topic.name).collect()))
}

/// How many records a topic that the program does not name has there.
pub async fn count(reader: &Reader, topic: &str) -> citizenk::Result<usize> {
    let there = reader.on("eu")?;
    let read: Result<_, ReadError> = there.raw(topic).stream().all().await;
    Ok(read?.len())
}
// [/tools]

// [dynamic]
/// Copies a topic to another cluster, byte for byte: `mirror("eu/orders", "us/orders")`. In a group of its own
/// it begins with the first record, whatever other agents have read.
pub fn mirror(source: &str, target: &str) -> AgentDef {
    const RAW: Topic<RawBytes> = Topic::raw("any");
    let (name, target) = (
        format!("mirror-{}", source.replace('/', "-")),
        RAW.named(target),
    );
    Agent::builder::<RawRecords>(&name)
        .raw([source])
        .group(&name)
        .sends(&target)
        .handle(move |records: RawRecords, out: Outbox| {
            let staged = out.forward(&target, records.iter());
            async move { staged }
        })
}
// [/dynamic]

#[cfg(test)]
mod tests {
    // [test]
    use citizenk::testing::TestApp;

    use super::*;

    #[tokio::test]
    async fn orders_of_both_regions_arrive_while_one_is_gone() -> citizenk::Result<()> {
        let app = TestApp::new(app).start().await?;
        app.cluster_available("eu", false);
        app.topic(&ORDERS).push(&1, Order { id: 1 });
        app.topic(&ORDERS_EU).push(&2, Order { id: 2 });
        app.settle().await;
        assert_eq!(app.topic(&ALL).sent().len(), 1);

        app.cluster_available("eu", true);
        app.advance("10s").await;
        assert_eq!(app.topic(&ALL).sent().len(), 2);
        Ok(app.stop().await?)
    }
    // [/test]

    #[tokio::test]
    async fn tools_look_at_the_other_cluster() -> citizenk::Result<()> {
        let app = || {
            let app = app().cluster("us").register::<newest>();
            app.register::<topics_in_europe>()
        };
        let app = TestApp::new(app).start().await?;
        app.topic(&ORDERS_EU).push(&2, Order { id: 2 });
        let newest: Vec<Order> = app.get("/newest").await.json();
        assert_eq!(newest[0].id, 2);
        let topics: Vec<String> = app.get("/topics-in-europe").await.json();
        assert_eq!(topics, ["orders"]);
        assert_eq!(count(&app.reader(), "orders").await?, 1);

        let running = app.agents().start(mirror("eu/orders", "us/orders")).await?;
        app.settle().await;
        let copied = ORDERS.named("us/orders");
        assert_eq!(app.topic(&copied).sent().len(), 1);
        running.stop().await?;
        Ok(app.stop().await?)
    }
}
