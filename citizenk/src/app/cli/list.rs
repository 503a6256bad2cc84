//! Commands that print what the app is, without starting anything.

use super::super::{App, overrides};
use crate::config::{DEFAULT_CLUSTER, Settings};
use crate::error::RunError;
use crate::policy::{Guarantee, Policy};
use crate::topic::describe::TopicInfo;

/// Prints; a reader that has seen enough (`| head`) is no error.
pub(super) fn write(text: &str) -> Result<(), RunError> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(RunError::Startup {
            component: "standard output".to_owned(),
            reason: error.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Rows with columns as wide as their widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let padding = width - cell.chars().count() + 2;
            text.push_str(cell);
            text.push_str(&" ".repeat(padding));
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

fn on(cluster: &str, topic: &str) -> String {
    match cluster {
        DEFAULT_CLUSTER => topic.to_owned(),
        name => format!("{name}/{topic}"),
    }
}

fn summary(doc: &str) -> String {
    doc.lines().next().unwrap_or_default().trim().to_owned()
}

fn names(topics: &[TopicInfo]) -> String {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    names.join(", ")
}

pub(super) fn agents(app: &App, settings: &Settings) -> Result<(), RunError> {
    let assembled = app.assembled(&overrides(settings))?;
    let mut rows = Vec::new();
    for agent in &assembled.agents {
        let plan = &agent.plan;
        let policies = [&plan.on_decode, &plan.on_error, &plan.on_produce];
        let letters = policies
            .into_iter()
            .filter_map(|policy| Policy::dead_letter_topic(policy));
        let mut outputs: Vec<&str> = plan
            .spec
            .output
            .iter()
            .chain(&plan.spec.sends)
            .chain(letters)
            .map(|topic| topic.name)
            .collect();
        outputs.dedup();
        rows.push(vec![
            plan.spec.name.clone(),
            "agent".to_owned(),
            plan.consumed()
                .map(|topic| on(plan.cluster, topic))
                .collect::<Vec<_>>()
                .join(", "),
            outputs.join(", "),
            match (&plan.group, plan.guarantee) {
                (None, _) => "(none)".to_owned(),
                (Some(group), Guarantee::AtLeastOnce) => group.clone(),
                (Some(group), Guarantee::ExactlyOnce) => format!("{group} (exactly once)"),
            },
            plan.module.clone(),
            summary(plan.spec.origin.doc),
        ]);
    }
    for timer in &assembled.timers {
        let when = timer.schedule.to_string();
        let none = String::new();
        rows.push(vec![
            timer.name.clone(),
            "timer".to_owned(),
            when,
            names(&timer.task.spec.sends),
            none.clone(),
            none,
            summary(timer.origin.doc),
        ]);
    }
    for hook in &assembled.hooks {
        let when = hook.event.to_string();
        let none = String::new();
        rows.push(vec![
            hook.name.clone(),
            "hook".to_owned(),
            when,
            names(&hook.task.spec.sends),
            none.clone(),
            none,
            summary(hook.origin.doc),
        ]);
    }
    write(&table(
        &[
            "name",
            "kind",
            "topics / when",
            "sends",
            "group",
            "module",
            "help",
        ],
        &rows,
    ))
}

pub(super) fn topics(app: &App, settings: &Settings) -> Result<(), RunError> {
    let assembled = app.assembled(&overrides(settings))?;
    let rows: Vec<Vec<String>> = assembled
        .topics
        .values()
        .map(|topic| {
            vec![
                topic.name.to_owned(),
                settings.real_topic(topic.name),
                topic.codec.to_owned(),
                topic.value_type.to_owned(),
                format!("{} ({})", topic.key_type, topic.key_codec),
                format!("{:?}", topic.partitioner),
                format!("{:?}", topic.direction).to_lowercase(),
                topic.declared.to_string(),
            ]
        })
        .collect();
    write(&table(
        &[
            "topic",
            "on the broker",
            "codec",
            "value",
            "key",
            "partitioner",
            "direction",
            "declared",
        ],
        &rows,
    ))
}

/// Prints one of the documents of a plan.
#[cfg(feature = "web")]
pub(super) fn document(
    app: &App,
    settings: &Settings,
    of: fn(&crate::web::WebPlan) -> &serde_json::Value,
) -> Result<(), RunError> {
    let (plan, _) = super::super::front::plan(
        app,
        settings,
        &overrides(settings),
        crate::transport::BrokerKind::Kafka,
    )?;
    write(&format!("{:#}\n", of(&plan)))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".to_owned(), "long cell".to_owned()],
            vec!["bbb".to_owned(), String::new()],
        ];
        assert_eq!(table(&["x", "y"], &rows), "x    y\na    long cell\nbbb\n");
    }
}
