//! `docs/dynamic.md`.

use citizenk::prelude::*;
use citizenk::{Agent, AgentDef, AgentHandle, Agents, AgentsError, Policy, RawRecords, ReadFrom};

/// A form that asks for a copy of a topic.
#[citizenk::message]
pub struct Form {
    /// The topic to read.
    pub source: String,
    /// The topic to write.
    pub target: String,
    /// What a record must contain.
    pub filter: String,
}

// [build]
/// Bytes as they are, under any name.
const RAW: Topic<RawBytes> = Topic::raw("any");

/// Copies the records of one topic that contain a text to another.
pub fn copy(form: &Form) -> AgentDef {
    let (target, filter) = (RAW.named(&form.target), form.filter.clone());
    Agent::builder::<Event<RawBytes>>(&format!("copy-{}", form.source))
        .topics(&RAW, [&form.source])
        .sends(&target)
        .on_error(Policy::retry(3))
        .handle(move |event: Event<RawBytes>, out: Outbox| {
            let wanted = String::from_utf8_lossy(&event.value.0).contains(&filter);
            let staged = wanted.then(|| out.record(&target).send(event.value.clone()));
            async move { staged.transpose().map(drop) }
        })
}
// [/build]

// [start]
/// Starts a copy; it runs until it is stopped or the service ends.
#[citizenk::route(post = "/copies")]
pub async fn start(agents: Agents, Json(form): Json<Form>) -> Result<Json<String>, Problem> {
    let started = agents.start(copy(&form)).await;
    let agent = started.map_err(|error| Problem::unprocessable(error.to_string()))?;
    Ok(Json(agent.name().to_owned()))
}

/// Stops a copy.
#[citizenk::route(delete = "/copies/{name}")]
pub async fn stop(agents: Agents, Path(name): Path<String>) -> Result<(), Problem> {
    let agent = agents.get(&name);
    let agent = agent.ok_or_else(|| Problem::not_found(format!("there is no agent `{name}`")))?;
    let stopped = agent.stop().await;
    stopped.map_err(|error| Problem::internal(error.to_string()))
}
// [/start]

// [verbs]
/// Leaves out what came while it was paused.
pub async fn skip_what_came(agent: &AgentHandle) -> Result<(), AgentsError> {
    agent.pause().await?;
    println!("{:?}", agent.status().partitions);
    agent.resume(ReadFrom::Latest).await
}

/// Reads everything again from a moment on, in milliseconds since the Unix epoch.
pub async fn replay(agent: &AgentHandle, since: i64) -> Result<(), AgentsError> {
    agent.resume(ReadFrom::Timestamp(since)).await
}
// [/verbs]

// [pattern]
/// Reads every topic of a region, without a group, from now on.
pub fn watch(region: &str) -> AgentDef {
    Agent::builder::<Event<RawBytes>>(&format!("watch-{region}"))
        .topics(&RAW, [format!("^{region}-.*")])
        .groupless()
        .start_latest()
        .handle(async |event: Event<RawBytes>, _| println!("{}", event.topic()))
}
// [/pattern]

// [raw]
/// Copies topics byte for byte, to the same partitions.
pub fn mirror(sources: &[String], target: &str) -> AgentDef {
    let target = RAW.named(target);
    Agent::builder::<RawRecords>(&format!("mirror-{}", target.name()))
        .raw(sources)
        .sends(&target)
        .handle(move |records: RawRecords, out: Outbox| {
            let staged = out.forward(&target, records.iter().filter(|r| r.value().is_some()));
            async move { staged }
        })
}
// [/raw]

/// The app of the guide.
pub fn app() -> App {
    App::new("copies").register::<start>().register::<stop>()
}

#[cfg(test)]
mod tests {
    use citizenk::testing::{TestApp, block_on};

    use super::*;

    #[test]
    fn a_form_starts_and_stops_a_copy() {
        block_on(async {
            let app = TestApp::new(app()).start().await.unwrap();
            let form = Form {
                source: "orders".to_owned(),
                target: "large".to_owned(),
                filter: "9".to_owned(),
            };
            let started = app.post("/copies", &form).await;
            assert_eq!(started.body, "\"copy-orders\"");
            let (orders, large) = (RAW.named("orders"), RAW.named("large"));
            for value in ["1", "19", "2"] {
                app.topic(&orders).push_raw(Some(b"k"), value.as_bytes());
            }
            app.settle().await;
            assert_eq!(app.topic(&large).sent().len(), 1);
            let agent = app.agents().get("copy-orders").unwrap();
            skip_what_came(&agent).await.unwrap();
            replay(&agent, 0).await.unwrap();
            app.settle().await;
            assert_eq!(app.topic(&large).sent().len(), 2);
            app.agents().start(watch("eu")).await.unwrap();
            let mirror = mirror(&["large".to_owned()], "mirrored");
            app.agents().start(mirror).await.unwrap();
            app.settle().await;
            assert_eq!(app.topic(&RAW.named("mirrored")).sent().len(), 2);
            let stopped = app.request("DELETE", "/copies/copy-orders", None).await;
            assert_eq!(stopped.status, 200, "{}", stopped.body);
            app.stop().await.unwrap();
        });
    }
}
