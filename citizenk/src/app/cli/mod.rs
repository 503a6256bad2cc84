//! The command line of every citizenk binary.
//!
//! In: arguments. Out: the app run, or something about it printed, and an exit code. [`Command`] can be
//! flattened into a program's own commands.

mod list;
mod records;
mod redrive;
mod schemas;
mod tail;

use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::schemas::SchemasArgs;
use self::schemas::What;
use super::registries::Writes;
use super::service::{block_on, signalled};
use super::{App, topics};
use crate::config::{Broker, CheckTopics, DEFAULT_CLUSTER, Flags, Settings};
use crate::error::{ConfigError, Exit, RunError, UnknownCluster};
use crate::extract::ReadError;
use crate::runtime::clusters::Cluster;
use crate::telemetry::logs;
use crate::telemetry::trace::export::Exporting;
use crate::topic::describe::TopicInfo;
use crate::transport::BrokerKind;

/// What a citizenk program can be asked to do.
///
/// ```no_run
/// use citizenk::prelude::*;
/// use clap::Parser;
///
/// #[derive(Parser)]
/// enum Mine {
///     /// Something of the program's own.
///     Migrate,
///     #[command(flatten)]
///     Service(citizenk::cli::Command),
/// }
///
/// fn main() -> citizenk::Exit {
///     match Mine::parse() {
///         Mine::Migrate => { println!("migrated"); citizenk::Exit::OK }
///         Mine::Service(command) => command.execute(App::new("orders")),
///     }
/// }
/// ```
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (the default)
    Run(RunArgs),
    /// List agents, timers and hooks
    Agents(RunArgs),
    /// List topics
    Topics(RunArgs),
    /// Print the OpenAPI document
    #[cfg(feature = "web")]
    Openapi(RunArgs),
    /// Print the AsyncAPI document
    #[cfg(feature = "web")]
    Asyncapi(RunArgs),
    /// Print the schemas of topics, compare them with the registries, or register them
    Schemas(SchemasArgs),
    /// Send a record to a topic and print where it went
    Send(SendArgs),
    /// Print the records of a topic: those it has, or as they come
    Tail(TailArgs),
    /// Send dead letters back to the retry topics of their agents
    Redrive(RedriveArgs),
    /// Check the app and its settings, and reach the cluster
    Check(RunArgs),
}

/// Settings alone.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    flags: Flags,
}

/// What clap calls the argument that names a topic; `topic` is the setting `--topic NAME=REAL`.
const NAME: &str = "topic-name";

/// What `send` takes.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The topic, by its name in the program
    #[arg(id = NAME, value_name = "TOPIC")]
    topic: String,
    /// The value as JSON, or as text on raw topics; `-` reads standard input, one value per line
    value: String,
    /// The key, in its text form
    #[arg(long)]
    key: Option<String>,
    /// A header; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// The partition, instead of the partitioner's choice
    #[arg(long)]
    partition: Option<i32>,
    #[command(flatten)]
    flags: Flags,
}

/// What `tail` takes.
#[derive(Debug, Default, Args)]
pub struct TailArgs {
    /// The topic, by its name in the program
    #[arg(id = NAME, value_name = "TOPIC")]
    topic: String,
    /// Where to begin: earliest, latest, an offset, a time such as 2025-01-31T06:00:00Z, how long ago such as
    /// -1h, or -N for the last N records
    #[arg(
        long,
        value_name = "POSITION",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    from: String,
    /// Where to end, before the record at this position: latest is the end as it is now; without it, records are
    /// printed as they come
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only this partition; repeatable
    #[arg(long, value_name = "NUMBER")]
    partition: Vec<i32>,
    /// Only records with key=TEXT, header.NAME=TEXT, value=JSON or value.PATH.TO.FIELD=JSON; repeatable, all must
    /// hold
    #[arg(long, value_name = "WHAT=IS")]
    filter: Vec<String>,
    /// How records are printed
    #[arg(long, value_enum, default_value_t)]
    format: tail::Format,
    /// End after this many records
    #[arg(long, value_name = "COUNT")]
    max: Option<u64>,
    #[command(flatten)]
    flags: Flags,
}

/// What `redrive` takes.
///
/// The letters stay on their topic: another redrive sends them again.
#[derive(Debug, Default, Args)]
pub struct RedriveArgs {
    /// The dead-letter topic, by its name in the program
    #[arg(id = NAME, value_name = "TOPIC")]
    topic: String,
    /// Only letters of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only letters whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only letters with this key, in its text form
    #[arg(long)]
    key: Option<String>,
    /// Only letters written since: a time such as 2025-01-31T06:00:00Z, or how long ago, e.g. 2h
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only letters written before: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Send at most this many
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Send to the topics the records came from, where every reader sees them again
    #[arg(long)]
    to_source: bool,
    #[command(flatten)]
    flags: Flags,
}

/// The command line of programs that have no commands of their own.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the app as a program, with the command line every citizenk binary has.
///
/// Call it from `main` and return what it returns.
///
/// ```no_run
/// # use citizenk::prelude::*;
/// fn main() -> citizenk::Exit {
///     citizenk::run(App::new("printer"))
/// }
/// ```
pub fn run(app: App) -> Exit {
    let about = app
        .api
        .description
        .clone()
        .unwrap_or_else(|| format!("The service `{}`.", app.name));
    let version = app
        .api
        .version
        .clone()
        .unwrap_or_else(|| super::DEFAULT_VERSION.to_owned());
    let command = Program::command()
        .name(app.name.clone())
        .about(about)
        .version(version);
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Program::from_arg_matches(&matches));
    match parsed {
        Ok(Program {
            command: Some(command),
            ..
        }) => command.execute(app),
        Ok(Program { command: None, run }) => Command::Run(run).execute(app),
        Err(error) => {
            // Help and version end with 0.
            let failed = error.use_stderr();
            // Nothing can be done when the terminal is gone.
            let _ = error.print();
            if failed { Exit::USAGE } else { Exit::OK }
        }
    }
}

fn loaded(app: &App, mut flags: Flags, offline: bool) -> Result<Settings, RunError> {
    flags.offline = offline;
    app.load(app.flags_over(flags))
}

fn settings(app: &App, flags: Flags, offline: bool) -> Result<Settings, RunError> {
    let settings = loaded(app, flags, offline)?;
    logs::init(&settings.log_filter, settings.log_format.value, None)?;
    Ok(settings)
}

async fn run_service(app: App, flags: Flags) -> Result<(), RunError> {
    let settings = loaded(&app, flags, false)?;
    let exporting = Exporting::start(&app.name)?;
    #[cfg(feature = "otel")]
    let traces = exporting
        .layer()
        .map(|layer| Box::new(layer) as logs::Traces);
    #[cfg(not(feature = "otel"))]
    let traces = None;
    let installed = logs::init(&settings.log_filter, settings.log_format.value, traces)?;
    exporting.announce(installed);
    let service = app.build_with(settings).await?;
    let ended = service.run_until(signalled()).await;
    exporting.end().await;
    ended
}

impl Command {
    /// Carries the command out.
    pub fn execute(self, app: App) -> Exit {
        block_on(self.perform(app))
    }

    async fn perform(self, app: App) -> Result<(), RunError> {
        match self {
            Self::Run(args) => run_service(app, args.flags).await,
            Self::Agents(args) => list::agents(&app, &settings(&app, args.flags, true)?),
            Self::Topics(args) => list::topics(&app, &settings(&app, args.flags, true)?),
            #[cfg(feature = "web")]
            Self::Openapi(args) => list::document(
                &app,
                &settings(&app, args.flags, true)?,
                crate::web::WebPlan::openapi,
            ),
            #[cfg(feature = "web")]
            Self::Asyncapi(args) => list::document(
                &app,
                &settings(&app, args.flags, true)?,
                crate::web::WebPlan::asyncapi,
            ),
            Self::Schemas(SchemasArgs { what }) => match what {
                What::Print(args) => schemas::print(&app, &settings(&app, args.flags, true)?),
                What::Check(args) => {
                    let settings = settings(&app, args.flags, true)?;
                    schemas::compare(&app, &settings, false).await
                }
                What::Register(args) => {
                    let settings = settings(&app, args.flags, true)?;
                    schemas::compare(&app, &settings, true).await
                }
                What::Codegen(args) => schemas::codegen(&args),
            },
            Self::Send(mut args) => {
                let flags = std::mem::take(&mut args.flags);
                let settings = settings(&app, flags, false)?;
                records::send(&app, &settings, args).await
            }
            Self::Tail(mut args) => {
                let flags = std::mem::take(&mut args.flags);
                let settings = settings(&app, flags, false)?;
                let clusters = app.clusters(&settings, None)?;
                tail::tail(&app, &settings, &args, clusters, signalled()).await
            }
            Self::Redrive(mut args) => {
                let flags = std::mem::take(&mut args.flags);
                let settings = settings(&app, flags, false)?;
                let clusters = app.clusters(&settings, None)?;
                redrive::redrive(&app, &settings, &args, clusters, signalled()).await
            }
            Self::Check(args) => check(app, args.flags).await,
        }
    }
}

/// How long `check` waits for the cluster's answer.
const REACH: Duration = Duration::from_secs(10);

async fn check(app: App, flags: Flags) -> Result<(), RunError> {
    let settings = settings(&app, flags, false)?;
    app.check_settings(&settings)?;
    app.assembled(&super::overrides(&settings))?;
    #[cfg(feature = "web")]
    super::front::plan(
        &app,
        &settings,
        &super::overrides(&settings),
        BrokerKind::Kafka,
    )?;
    println!("app `{}`: no mistakes found", app.name);
    let clusters = app.clusters(&settings, None)?;
    let mut ended = Ok(());
    for cluster in clusters.all() {
        let reached = check_cluster(&app, &settings, cluster).await;
        // The others are looked at all the same; the first error is what the command ends with.
        if let (Err(_), Err(error)) = (&ended, &reached) {
            println!("cluster `{}`: {error}", cluster.name);
        }
        ended = ended.and(reached);
    }
    ended
}

async fn check_cluster(app: &App, settings: &Settings, cluster: &Cluster) -> Result<(), RunError> {
    let transport = &cluster.transport;
    let what = match cluster.name {
        DEFAULT_CLUSTER => "cluster".to_owned(),
        name => format!("cluster `{name}`"),
    };
    println!("reaching the {what}, at most {} s ..", REACH.as_secs());
    let asked = transport.clone();
    let listed = tokio::task::spawn_blocking(move || asked.topics(None, REACH)).await;
    let listed = listed.map_err(|error| RunError::Startup {
        component: "check".to_owned(),
        reason: error.to_string(),
    })??;
    println!(
        "{what} reached: {} topics ({})",
        listed.len(),
        transport.kind()
    );
    let overrides = super::overrides(settings);
    let assembled = app.assembled(&overrides)?;
    for (name, topic) in &assembled.topics {
        if topic.cluster != cluster.name {
            continue;
        }
        let real = settings.real_topic(name);
        match listed.iter().find(|topic| topic.name == real) {
            Some(topic) => println!("  {real}: {} partitions", topic.partitions),
            None => println!("  {real}: does not exist"),
        }
    }
    if transport.kind() == BrokerKind::Kafka && settings.check_topics.value != CheckTopics::Off {
        let wanted = topics::wanted(&assembled, &overrides.names, cluster.name);
        let admin = topics::admin_of(cluster, &overrides.names).timeout(REACH);
        let found = admin.compare(&wanted).await;
        let found = found.map_err(|error| RunError::Startup {
            component: "the check of topics".to_owned(),
            reason: error.to_string(),
        })?;
        if settings.check_topics.value == CheckTopics::Error {
            return topics::refused(&found);
        }
        for difference in &found {
            println!("warning: {difference}");
        }
    }
    Ok(())
}

/// Why a command that reads could not.
fn unread(error: ReadError) -> RunError {
    match error {
        ReadError::NoSuchTopic { topic } => ConfigError {
            key: format!("topic `{topic}`"),
            message: "does not exist on the cluster".to_owned(),
        }
        .into(),
        ReadError::NoSuchPartition { ref topic, .. } | ReadError::Unsupported { ref topic, .. } => {
            ConfigError {
                key: format!("topic `{topic}`"),
                message: error.to_string(),
            }
            .into()
        }
        ReadError::Transport { source, .. } => source.into(),
        error => RunError::Startup {
            component: "reading".to_owned(),
            reason: error.to_string(),
        },
    }
}

/// A cluster that this run does not have.
fn unknown(error: UnknownCluster) -> RunError {
    ConfigError::new(format!("cluster `{}`", error.name), error.to_string()).into()
}

/// The topic of this name, or an error that lists those there are.
fn known_topic(app: &App, settings: &Settings, name: &str) -> Result<TopicInfo, RunError> {
    let assembled = app.assembled(&super::overrides(settings))?;
    assembled.topics.get(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = assembled.topics.keys().copied().collect();
        let hint = crate::suggest::did_you_mean(name, names.iter().copied());
        let message = format!(
            "the app has no such topic{hint} (it has: {})",
            names.join(", ")
        );
        ConfigError {
            key: format!("topic `{name}`"),
            message,
        }
        .into()
    })
}

/// The topic with the ids of its schemas; `writes`: registered first, where its mode says so.
async fn with_ids(
    app: &App,
    settings: &Settings,
    topic: &TopicInfo,
    writes: bool,
) -> Result<TopicInfo, RunError> {
    if !topic.needs_registry() {
        return Ok(topic.clone());
    }
    let writes = match writes {
        true => Writes::Topic(topic.name),
        false => Writes::Nothing,
    };
    let embedded = settings.broker.value == Broker::Embedded;
    let overrides = super::overrides(settings);
    let schemas = app.schemas(settings, &overrides, embedded, writes).await?;
    Ok(topic.with_schemas(&schemas))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_beside_the_setting_that_renames_it() {
        Program::command().debug_assert();
        let line = [
            "shop",
            "redrive",
            "letters",
            "--topic",
            "letters=l2",
            "--from",
            "2h",
        ];
        let parsed = Program::parse_from(line);
        let Some(Command::Redrive(args)) = parsed.command else {
            panic!("not redrive");
        };
        assert_eq!(args.topic, "letters");
        assert_eq!(args.flags.topic, ["letters=l2"]);
        assert_eq!(args.from.as_deref(), Some("2h"));
        Program::parse_from(["shop", "send", "orders", "1", "--key", "k"]);
        Program::parse_from(["shop", "tail", "orders", "--max", "1", "--from", "-10"]);
        Program::parse_from(["shop", "tail", "orders", "--from", "-1h", "--to", "-30m"]);
    }
}
