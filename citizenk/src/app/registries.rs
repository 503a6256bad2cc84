//! The registries of an app: which there are, and the ids of its own schemas, settled before anything is consumed.
//!
//! In: topics whose bytes name schemas, settings, registries the program brings. Out: [`Schemas`] whose sources are
//! registries, with the ids of everything the app writes. What it only reads is looked up by id when it comes.

use crate::app::{App, Assembled, Overrides};
use crate::config::Settings;
use crate::error::RunError;
use crate::schema::Schemas;
use crate::topic::describe::TopicInfo;

/// Whose schemas need an id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writes<'a> {
    /// Of all topics the app says that it writes.
    App,
    /// The same; and of what a test pushes, as far as the registry takes it.
    #[cfg(any(test, feature = "testing"))]
    Test,
    /// Of this topic.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "of commands"))]
    Topic(&'a str),
    /// None.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "of commands"))]
    Nothing,
}

impl Writes<'_> {
    #[cfg(feature = "registry")]
    fn pushes(self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        return matches!(self, Self::Test);
        #[cfg(not(any(test, feature = "testing")))]
        false
    }
}

/// Topics whose bytes name a schema of a registry.
fn framed(assembled: &Assembled) -> Vec<&TopicInfo> {
    let topics = assembled.topics.values();
    topics.filter(|topic| topic.needs_registry()).collect()
}

impl App {
    /// Connects to the registries the app needs and settles the ids of its own schemas: everything that is wrong at
    /// once. `embedded`: where nobody says another one, it is inside the process, as the broker is.
    pub(crate) async fn schemas(
        &self,
        settings: &Settings,
        overrides: &Overrides,
        embedded: bool,
        writes: Writes<'_>,
    ) -> Result<Schemas, RunError> {
        let assembled = self.assembled(overrides)?;
        let topics = framed(&assembled);
        if topics.is_empty() {
            return Ok(Schemas::none());
        }
        #[cfg(feature = "registry")]
        {
            let sources = with::sources(self, settings, &topics, embedded)?;
            with::settle(self, settings, overrides, &assembled, &sources, writes).await?;
            Ok(with::joined(sources, overrides.names.clone()))
        }
        #[cfg(not(feature = "registry"))]
        {
            let _ = (settings, embedded, writes);
            match without(&topics) {
                Some(error) => Err(error.into()),
                None => Ok(Schemas::none()),
            }
        }
    }

    /// Whether a test's app brings registries or its settings name one.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn has_registries(&self, settings: &Settings) -> bool {
        #[cfg(feature = "registry")]
        let own = !self.registries.is_empty();
        #[cfg(not(feature = "registry"))]
        let own = false;
        own || settings.registries.names().next().is_some()
    }
}

/// What a program that runs no app reads with: the registries the settings name.
pub(crate) fn of_settings(settings: &Settings) -> Result<Schemas, RunError> {
    #[cfg(feature = "registry")]
    {
        let mut sources = with::Sources::new();
        for name in settings.registries.names() {
            let registry = crate::registry::Registry::of_settings(settings, name)?;
            let source = crate::registry::RegistrySource::new(registry);
            sources.insert(crate::topic::interned(name), std::sync::Arc::new(source));
        }
        let names = settings.names();
        Ok(with::joined(sources, names))
    }
    #[cfg(not(feature = "registry"))]
    {
        let _ = settings;
        Ok(Schemas::none())
    }
}

#[cfg(not(feature = "registry"))]
fn without(topics: &[&TopicInfo]) -> Option<crate::error::BuildError> {
    use crate::error::{BuildError, BuildIssue};
    let issues = topics.iter().map(|topic| {
        let message =
            "names schemas of a registry; build the program with citizenk's feature `registry`";
        BuildIssue::new(format!("topic `{}`", topic.name), message)
    });
    BuildError::from_issues(issues.collect())
}

#[cfg(all(test, feature = "registry"))]
#[path = "registries_tests.rs"]
mod tests;

#[cfg(feature = "registry")]
pub(crate) mod with {
    //! With a client of registries.

    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::future::join_all;
    use serde_json::Value;

    use super::Writes;
    use crate::app::{App, Assembled, Overrides};
    use crate::config::Settings;
    use crate::error::{BuildError, BuildIssue, RunError};
    use crate::registry::{
        NewSchema, RegisteredSchema, Registry, RegistryError, RegistrySource, SettleError,
    };
    use crate::runtime::produce::TopicNames;
    use crate::schema::{
        OwnSchema, SchemaKind, SchemaMode, SchemaSource, Schemas, Side, SubjectStrategy,
    };
    use crate::topic::Direction;
    use crate::topic::describe::TopicInfo;

    /// How often a registry is asked at the start while it does not answer.
    const TRIES: u32 = 5;
    const FIRST_PAUSE: Duration = Duration::from_millis(200);

    /// By name, those that the app's topics need.
    pub(crate) type Sources = BTreeMap<&'static str, Arc<RegistrySource>>;

    impl App {
        /// Brings a registry that the program makes itself, for topics of this name ([`Topic::registry`]); `default`
        /// is the one of topics that name none. Where the settings have one of the name, that is used.
        ///
        /// ```
        /// use citizenk::prelude::*;
        /// use citizenk::registry::EmbeddedRegistry;
        ///
        /// let schemas = EmbeddedRegistry::new();
        /// let app = App::new("orders").registry("default", schemas.registry());
        /// # let _ = app;
        /// ```
        ///
        /// [`Topic::registry`]: crate::Topic::registry
        #[must_use]
        pub fn registry(mut self, name: &'static str, registry: Registry) -> Self {
            self.registries.insert(name, registry);
            self
        }
    }

    pub(crate) fn sources(
        app: &App,
        settings: &Settings,
        topics: &[&TopicInfo],
        embedded: bool,
    ) -> Result<Sources, RunError> {
        let mut sources = Sources::new();
        let mut issues = Vec::new();
        for topic in topics {
            let name = topic.wire.registry;
            if sources.contains_key(name) {
                continue;
            }
            let registry = if settings.registries.get(name).is_some() {
                Registry::of_settings(settings, name)?
            } else if let Some(own) = app.registries.get(name) {
                own.clone()
            } else if embedded {
                tracing::info!(
                    registry = name,
                    "schemas are kept in this process and end with it"
                );
                Registry::of_process()
            } else {
                let message = settings.registries.unknown(name);
                issues.push(BuildIssue::new(format!("topic `{}`", topic.name), message));
                continue;
            };
            sources.insert(name, Arc::new(RegistrySource::new(registry)));
        }
        match BuildError::from_issues(issues) {
            Some(error) => Err(error.into()),
            None => Ok(sources),
        }
    }

    pub(crate) fn joined(sources: Sources, names: TopicNames) -> Schemas {
        let list = sources
            .into_iter()
            .map(|(name, source)| (name, source as Arc<dyn SchemaSource>))
            .collect();
        Schemas::new(list, move |name| names.real(name))
    }

    /// Names of the topics that components say they write to, and of those the app declares for output.
    fn written(app: &App, assembled: &Assembled) -> BTreeSet<&'static str> {
        let agents = assembled.agents.iter().flat_map(|agent| {
            let spec = &agent.plan.spec;
            spec.output.iter().chain(&spec.sends)
        });
        let timers = assembled.timers.iter().map(|timer| &timer.task);
        let tasks = timers.chain(assembled.hooks.iter().map(|hook| &hook.task));
        agents
            .chain(tasks.flat_map(|task| &task.spec.sends))
            .chain(&app.topics)
            .chain(
                assembled
                    .topics
                    .values()
                    .filter(|topic| topic.direction == Direction::Output),
            )
            .filter(|topic| topic.direction != Direction::Input)
            .map(|topic| topic.name)
            .collect()
    }

    fn names_of(app: &App, assembled: &Assembled, writes: Writes<'_>) -> BTreeSet<&'static str> {
        match writes {
            Writes::App => written(app, assembled),
            #[cfg(any(test, feature = "testing"))]
            Writes::Test => written(app, assembled),
            Writes::Topic(name) => assembled
                .topics
                .keys()
                .copied()
                .filter(|known| *known == name)
                .collect(),
            Writes::Nothing => BTreeSet::new(),
        }
    }

    /// One schema that is to have an id.
    pub(crate) struct Entry<'a> {
        pub(crate) topic: &'a TopicInfo,
        pub(crate) own: OwnSchema,
        pub(crate) subject: String,
        pub(crate) schema: NewSchema,
        pub(crate) mode: SchemaMode,
        pub(crate) registry: &'static str,
        /// The app says that it writes it.
        pub(crate) written: bool,
    }

    /// What the app's topics have in registries.
    pub(crate) fn entries<'a>(
        app: &App,
        settings: &Settings,
        overrides: &Overrides,
        assembled: &'a Assembled,
        writes: Writes<'_>,
    ) -> Result<Vec<Entry<'a>>, BuildError> {
        let written = names_of(app, assembled, writes);
        let mut entries = Vec::new();
        let mut issues = Vec::new();
        for topic in super::framed(assembled) {
            let title = format!("topic `{}`", topic.name);
            let registry = topic.wire.registry;
            let chosen = settings
                .registries
                .get(registry)
                .and_then(|found| found.mode);
            let mode = topic.wire.mode.or(chosen).unwrap_or_default();
            let schemas = match topic.registered_schemas(&overrides.names.real(topic.name)) {
                Ok(schemas) => schemas,
                Err(reason) => {
                    issues.push(BuildIssue::new(title, reason));
                    continue;
                }
            };
            for own in schemas {
                let record = record_name(own.schema.kind, &own.schema.text);
                let subject = topic
                    .wire
                    .strategy
                    .subject(&own.topic, record.as_deref(), own.side);
                let Some(subject) = subject else {
                    let message = format!(
                        "the schema of its {}s has no name, and the subject strategy {:?} needs one",
                        own.side.name(),
                        topic.wire.strategy
                    );
                    issues.push(BuildIssue::new(&title, message));
                    continue;
                };
                entries.push(Entry {
                    topic,
                    schema: NewSchema::from(&*own.schema),
                    own,
                    subject,
                    mode,
                    registry,
                    written: written.contains(topic.name),
                });
            }
        }
        match BuildError::from_issues(issues) {
            Some(error) => Err(error),
            None => Ok(entries),
        }
    }

    /// A schema's full name, for subjects that are named by it.
    fn record_name(kind: SchemaKind, text: &str) -> Option<String> {
        let schema: Value = serde_json::from_str(text).ok()?;
        if kind == SchemaKind::Json {
            return Some(schema["title"].as_str()?.to_owned());
        }
        let name = schema["name"].as_str()?;
        Some(match schema["namespace"].as_str() {
            Some(space) if !space.is_empty() && !name.contains('.') => format!("{space}.{name}"),
            _ => name.to_owned(),
        })
    }

    impl Entry<'_> {
        fn issue(&self, message: &str) -> BuildIssue {
            let message = format!(
                "the schema of its {}s does not go into the registry: {message}",
                self.own.side.name()
            );
            BuildIssue::new(format!("topic `{}`", self.topic.name), message)
        }

        /// Asks for the id as the mode says; again while the registry does not answer.
        async fn settle(&self, registry: &Registry) -> Result<u32, SettleError> {
            let mut patience = Patience::of(self.registry, &self.subject);
            loop {
                let settled = registry.settle(&self.subject, &self.schema, self.mode);
                match settled.await {
                    Err(SettleError::Registry(error)) if patience.lasts(&error).await => {}
                    settled => return settled,
                }
            }
        }
    }

    /// How often a registry that does not answer is asked again.
    struct Patience<'a> {
        registry: &'a str,
        subject: &'a str,
        tries: u32,
        pause: Duration,
    }

    impl<'a> Patience<'a> {
        fn of(registry: &'a str, subject: &'a str) -> Self {
            Self {
                registry,
                subject,
                tries: 1,
                pause: FIRST_PAUSE,
            }
        }

        /// Waits, unless another try is of no use.
        async fn lasts(&mut self, error: &RegistryError) -> bool {
            if !error.is_retriable() || self.tries == TRIES {
                return false;
            }
            tracing::warn!(
                registry = self.registry, subject = self.subject, %error, pause = ?self.pause,
                "the schema registry does not answer; it is asked again"
            );
            tokio::time::sleep(self.pause).await;
            self.pause *= 2;
            self.tries += 1;
            true
        }
    }

    async fn newest(
        registry: &Registry,
        subject: &str,
    ) -> Result<Option<Arc<RegisteredSchema>>, RegistryError> {
        match registry.latest(subject).await? {
            Some(latest) => registry.fetch(latest.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// The newest schema of a topic's values, where the program does not know it; `None`: it is not needed, or there
    /// is none and it need not be there.
    async fn latest(
        topic: &TopicInfo,
        real: &str,
        registry: &Registry,
        written: bool,
    ) -> Result<Option<(OwnSchema, u32)>, SettleError> {
        if topic.direction == Direction::Input {
            return Ok(None);
        }
        let side = Side::Value;
        if topic.wire.strategy != SubjectStrategy::TopicName {
            let message = "only a subject of the topic's name is known before the schema is; let `.subjects(..)` out";
            return Err(SettleError::Mistake(message.to_owned()));
        }
        let subject = format!("{real}-{}", side.name());
        let mut patience = Patience::of(topic.wire.registry, &subject);
        let found = loop {
            match newest(registry, &subject).await {
                Ok(found) => break found,
                // What is not said to be written is no reason to end a start.
                Err(_) if !written => break None,
                Err(error) if patience.lasts(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        };
        match found {
            Some(found) if found.kind() == SchemaKind::Avro => {
                let own = OwnSchema {
                    topic: real.to_owned(),
                    side,
                    schema: found.schema().clone(),
                };
                Ok(Some((own, found.id())))
            }
            Some(found) if written => Err(SettleError::Mistake(format!(
                "the newest version of subject `{subject}` is a schema of {}, not Avro",
                found.kind()
            ))),
            None if written => Err(SettleError::Mistake(format!(
                "subject `{subject}` has no version to write with; register one first"
            ))),
            _ => Ok(None),
        }
    }

    /// The ids of what is written, or everything that is wrong. What may be written beside (through the web, by a
    /// `Producer`) gets its id if the registry has it already.
    pub(crate) async fn settle(
        app: &App,
        settings: &Settings,
        overrides: &Overrides,
        assembled: &Assembled,
        sources: &Sources,
        writes: Writes<'_>,
    ) -> Result<(), RunError> {
        let entries = entries(app, settings, overrides, assembled, writes)?;
        let known = entries
            .iter()
            .filter_map(|entry| Some((entry, sources.get(entry.registry)?)));
        let asked = known.map(async |(entry, source)| {
            let settled = if entry.written {
                entry.settle(&source.registry).await.map(Some)
            } else if writes.pushes() {
                let settled = source
                    .registry
                    .register(&entry.subject, &entry.schema)
                    .await;
                Ok(settled.ok())
            } else if entry.topic.direction == Direction::Input {
                return None;
            } else {
                let found = source.registry.lookup(&entry.subject, &entry.schema).await;
                Ok(found.ok().flatten().map(|found| found.id))
            };
            match settled {
                Ok(Some(id)) => {
                    tracing::debug!(
                        topic = entry.own.topic,
                        side = entry.own.side.name(),
                        subject = entry.subject,
                        id,
                        "the schema has an id"
                    );
                    source.settled(&entry.own, id);
                    None
                }
                Ok(None) => None,
                Err(error) => Some((entry, error)),
            }
        });
        let mut issues = Vec::new();
        let mut failed = None;
        let mut fail = |registry: &str, error: RegistryError| {
            failed.get_or_insert(RunError::Startup {
                component: format!("schema registry `{registry}`"),
                reason: error.to_string(),
            });
        };
        for (entry, error) in join_all(asked).await.into_iter().flatten() {
            match error {
                SettleError::Mistake(message) => issues.push(entry.issue(&message)),
                SettleError::Registry(error) => fail(entry.registry, error),
            }
        }
        let written = names_of(app, assembled, writes);
        let newest = super::framed(assembled)
            .into_iter()
            .filter(|topic| topic.takes_latest());
        let newest = newest.map(async |topic| {
            let source = sources.get(topic.wire.registry)?;
            let real = overrides.names.real(topic.name);
            let written = written.contains(topic.name);
            match latest(topic, &real, &source.registry, written).await {
                Ok(Some((own, id))) => {
                    source.settled(&own, id);
                    None
                }
                Ok(None) => None,
                Err(error) => Some((topic, error)),
            }
        });
        for (topic, error) in join_all(newest).await.into_iter().flatten() {
            match error {
                SettleError::Mistake(message) => {
                    issues.push(BuildIssue::new(format!("topic `{}`", topic.name), message));
                }
                SettleError::Registry(error) => fail(topic.wire.registry, error),
            }
        }
        match (BuildError::from_issues(issues), failed) {
            (Some(error), _) => Err(error.into()),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        }
    }
}
