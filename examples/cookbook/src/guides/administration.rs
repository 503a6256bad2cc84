//! `docs/administration.md`.

use citizenk::admin::{AdminError, AdminErrorKind, ConfigChange, NewTopic, OffsetPlan, ResetTo};
use citizenk::prelude::*;

/// A parcel.
#[citizenk::message]
pub struct Parcel {
    /// Its number.
    pub id: u32,
}

// [declared]
/// The last state of every parcel.
pub const PARCELS: Topic<Parcel, u32> = Topic::json("parcels")
    .partitions(12)
    .replication(3)
    .configs(&[("cleanup.policy", "compact"), ("min.insync.replicas", "2")]);
// [/declared]

/// Looks at parcels.
#[citizenk::agent(topics = [PARCELS])]
pub async fn track(_parcel: Event<Parcel>) {}

// [lag]
/// How far the service is behind, in records.
#[citizenk::route(get = "/lag")]
pub async fn lag(admin: Admin) -> Result<Json<i64>, Problem> {
    let offsets = admin.group_offsets("parcels-app").await;
    let offsets = offsets.map_err(Problem::internal)?;
    Ok(Json(offsets.iter().map(|offset| offset.lag()).sum()))
}
// [/lag]

// [topics]
/// A topic for each customer, made when it is first needed.
pub async fn ensure(admin: &Admin, customer: &str) -> Result<String, AdminError> {
    let name = format!("parcels.{customer}");
    let topic = NewTopic::new(&name)
        .partitions(3)
        .config("retention.ms", "86400000");
    match admin.create_topic(topic).await {
        // Another worker was quicker: its topic gets the same retention.
        Err(error) if error.kind == AdminErrorKind::AlreadyExists => {
            let change = ConfigChange::set("retention.ms", "86400000");
            admin.alter_configs(&name, &[change]).await?;
        }
        made => made?,
    }
    Ok(name)
}
// [/topics]

// [reset]
/// Lets a stopped group read everything since `time` again, after somebody has agreed to the plan.
pub async fn replay(
    admin: &Admin,
    group: &str,
    time: DateTime<Utc>,
    agreed: impl Fn(&OffsetPlan) -> bool,
) -> Result<usize, AdminError> {
    let topic = admin.name_of(&PARCELS);
    let to = ResetTo::Timestamp(time);
    let plan = admin.plan_reset(group, &[topic], to).await?;
    println!("{plan}");
    if agreed(&plan) {
        admin.apply(&plan).await
    } else {
        Ok(0)
    }
}
// [/reset]

/// The service.
pub fn app() -> App {
    App::new("parcels-app")
        .register::<track>()
        .register::<lag>()
}

#[cfg(test)]
mod tests {
    use citizenk::testing::{TestApp, block_on};

    use super::*;

    #[test]
    fn a_group_reads_again_what_the_plan_says() -> Result<(), AgentError> {
        block_on(async {
            let app = TestApp::new(app).partitions(&PARCELS, 1).start().await?;
            for id in 0..3 {
                app.topic(&PARCELS).push(&id, Parcel { id });
            }
            app.settle().await;
            assert_eq!(app.get("/lag").await.json::<i64>(), 0);
            let admin = app.admin();
            let name = ensure(&admin, "ada").await?;
            assert_eq!(ensure(&admin, "ada").await?, name);
            app.stop().await?;
            let start = DateTime::UNIX_EPOCH;
            assert_eq!(replay(&admin, "parcels-app", start, |_| false).await?, 0);
            let shown = |plan: &OffsetPlan| {
                plan.to_string()
                    == "group `parcels-app`: 1 of 1 offsets move\nparcels/0  3 -> 0  (3 again)\n"
            };
            assert_eq!(replay(&admin, "parcels-app", start, shown).await?, 1);
            Ok(())
        })
    }
}
