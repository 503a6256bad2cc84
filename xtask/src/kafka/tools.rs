//! Kafka's own command line tools, run from the jars: no scripts, no second download.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::kafka::dist::Dist;
use crate::kafka::state::{Life, State};
use crate::kafka::{BOOTSTRAP_VARIABLE, commands};
use crate::workspace::Workspace;

const OPTIONS: [&str; 2] = ["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];
const ADDRESS: &str = "--bootstrap-server";

/// The names of Kafka's scripts (`kafka-topics.sh` and so on) and the classes behind them.
const TOOLS: [(&str, &str); 14] = [
    ("acls", "org.apache.kafka.tools.AclCommand"),
    (
        "broker-api-versions",
        "org.apache.kafka.tools.BrokerApiVersionsCommand",
    ),
    ("configs", "kafka.admin.ConfigCommand"),
    (
        "console-consumer",
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
    ),
    ("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    (
        "consumer-groups",
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    ),
    (
        "delete-records",
        "org.apache.kafka.tools.DeleteRecordsCommand",
    ),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("groups", "org.apache.kafka.tools.GroupsCommand"),
    (
        "leader-election",
        "org.apache.kafka.tools.LeaderElectionCommand",
    ),
    (
        "metadata-quorum",
        "org.apache.kafka.tools.MetadataQuorumCommand",
    ),
    (
        "reassign-partitions",
        "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    ),
    ("topics", "org.apache.kafka.tools.TopicCommand"),
    ("transactions", "org.apache.kafka.tools.TransactionsCommand"),
];

/// A tool to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tool<'a> {
    class: &'a str,
    /// A class that was named in full gets exactly the arguments that were given.
    takes_address: bool,
}

/// `topics`, `kafka-topics`, `kafka-topics.sh` or a class in full.
fn find(name: &str) -> Result<Tool<'_>> {
    let short = name.strip_suffix(".sh").unwrap_or(name);
    let short = short.strip_prefix("kafka-").unwrap_or(short);
    if let Some((_, class)) = TOOLS.iter().find(|(known, _)| *known == short) {
        return Ok(Tool {
            class,
            takes_address: true,
        });
    }
    if short.contains('.') {
        return Ok(Tool {
            class: name,
            takes_address: false,
        });
    }
    let known: Vec<&str> = TOOLS.iter().map(|(known, _)| *known).collect();
    Err(Failure::new(format!(
        "no tool of Kafka is called `{name}`; there are: {}",
        known.join(", ")
    )))
}

/// The arguments with the address in front, where subcommands of a tool expect it.
fn arguments(
    tool: Tool<'_>,
    given: &[String],
    address: impl FnOnce() -> Result<String>,
) -> Result<Vec<String>> {
    let has_address = given
        .iter()
        .any(|word| word == ADDRESS || word.starts_with("--bootstrap-server="));
    let asks_for_help = given
        .iter()
        .any(|word| matches!(word.as_str(), "--help" | "--version"));
    let mut list = Vec::with_capacity(given.len() + 2);
    if tool.takes_address && !has_address && !asks_for_help {
        list.extend([ADDRESS.to_owned(), address()?]);
    }
    list.extend_from_slice(given);
    Ok(list)
}

/// The cluster of `kafka up`; else the one of the environment, which may name one that is gone.
fn running_address(workspace: &Workspace) -> Result<String> {
    if let Some(state) = State::read(&commands::folder(workspace))?
        && state.life() != Life::None
    {
        return Ok(state.bootstrap());
    }
    env::var(BOOTSTRAP_VARIABLE).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        Failure::new(format!("no Kafka is up and {BOOTSTRAP_VARIABLE} is not set; start one: cargo xtask kafka up"))
    })
}

/// The tool with the address of a cluster, for its arguments to follow.
pub(super) fn command(dist: &Dist, name: &str, address: &str) -> Result<Command> {
    let tool = find(name)?;
    let mut command = dist.java(&OPTIONS, tool.class);
    command.args([ADDRESS, address]);
    Ok(command)
}

/// Becomes the tool: its input, output, signals and exit code are those of this command.
pub(crate) fn exec(workspace: &Workspace, name: &str, given: &[String]) -> Result<()> {
    let tool = find(name)?;
    let list = arguments(tool, given, || running_address(workspace))?;
    let dist = Dist::ready(workspace)?;
    let error = dist.java(&OPTIONS, tool.class).args(list).exec();
    Err(Failure::new(format!("cannot start `java`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn address() -> Result<String> {
        Ok("here:1".into())
    }

    #[test]
    fn every_spelling_of_a_script_finds_its_class() {
        for name in ["topics", "kafka-topics", "kafka-topics.sh", "topics.sh"] {
            let tool = find(name).expect("it is in the table");
            assert_eq!(
                tool,
                Tool {
                    class: "org.apache.kafka.tools.TopicCommand",
                    takes_address: true
                }
            );
        }
        let consumer = find("kafka-console-consumer.sh").expect("it is in the table");
        assert_eq!(
            consumer.class,
            "org.apache.kafka.tools.consumer.ConsoleConsumer"
        );
    }

    #[test]
    fn a_class_in_full_is_taken_as_it_is() {
        let tool = find("kafka.tools.DumpLogSegments").expect("any class is allowed");
        assert_eq!(
            tool,
            Tool {
                class: "kafka.tools.DumpLogSegments",
                takes_address: false
            }
        );
        assert_eq!(
            arguments(tool, &words(&["--files", "x"]), address).expect("no address asked"),
            ["--files", "x"]
        );
    }

    #[test]
    fn an_unknown_tool_is_named_with_the_known_ones() {
        let failure = find("topic").expect_err("it is called topics");
        assert!(
            failure.to_string().contains("`topic`")
                && failure.to_string().contains("console-consumer")
        );
    }

    #[test]
    fn the_address_is_added_unless_given() {
        let tool = find("topics").expect("it is in the table");
        let added = arguments(tool, &words(&["--list"]), address).expect("there is an address");
        assert_eq!(added, ["--bootstrap-server", "here:1", "--list"]);
        for own in [
            words(&["--bootstrap-server", "there:2"]),
            words(&["--bootstrap-server=there:2"]),
            words(&["--help"]),
        ] {
            assert_eq!(arguments(tool, &own, address).expect("nothing to add"), own);
        }
    }

    #[test]
    fn the_table_is_sorted_and_unique() {
        assert!(TOOLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
