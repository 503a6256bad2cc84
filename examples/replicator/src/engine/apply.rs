//! From the configuration to what runs: starts, stops, and changes without a stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use citizenk::admin::GroupOffset;
use citizenk::prelude::*;
use citizenk::{Agent, AgentDef, Policy, RawRecords, ReadFrom};
use replicator_domain::replay::Speed;
use replicator_domain::sample::Sample;
use replicator_domain::values::ValueMap;
use replicator_domain::{Mapping, Pair, Transform, config::Epoch};

use super::replay::{FileText, Replay};
use super::run::{Phase, RAW, Rules, Run, lock};
use super::sink::FileSink;
use super::{ASK, Config, Engine, Live, RunKey};

/// Topics of a cluster and their partitions; `Err`: why they are not known.
type Topics = Result<BTreeMap<String, i32>, String>;

fn transform(mapping: &Mapping, config: &Config, source: &str) -> Transform {
    let inline = mapping.value_mappings.as_ref().map(ToString::to_string);
    // Both were checked when the configuration was read.
    let inline = inline
        .and_then(|text| ValueMap::parse("value_mappings", &text).ok())
        .map(|(map, _)| Arc::new(map));
    Transform {
        filter: mapping
            .expression()
            .and_then(|text| replicator_domain::filter::Filter::compile(text).ok()),
        sample: mapping.sample_percent.map(|percent| Sample {
            percent,
            by: mapping.sample_by,
        }),
        values: inline.or_else(|| config.values.get(source).cloned()),
        on_decode_error: mapping.on_decode_error,
    }
}

fn rules(config: &Arc<Config>, mapping: &Mapping, pair: &Pair, counts: (i32, i32)) -> Rules {
    Rules {
        config: config.clone(),
        mapping: mapping.clone(),
        transform: transform(mapping, config, &pair.source),
        source_count: counts.0,
        target_count: counts.1,
        from: format!("source/{}", pair.source),
        to: format!("target/{}", pair.target),
    }
}

/// Whether the new mapping is done by the run there is, with other rules.
fn goes_on(before: &Mapping, after: &Mapping) -> bool {
    before.source_is_file == after.source_is_file
        && before.target_is_file == after.target_is_file
        && (!after.source_is_file || before.replay == after.replay)
}

impl Engine {
    async fn topics(&self, cluster: &str, given: bool) -> Topics {
        if !given {
            let variable = format!("KAFKA_{}_SERVER_URL", cluster.to_uppercase());
            return Err(format!("there is no {cluster} cluster: set {variable}"));
        }
        let ask = async {
            let admin = self.tools()?.admin.on(cluster)?.timeout(ASK);
            admin.topics().await.map_err(AgentError::from)
        };
        let listed = ask.await.map_err(|error: AgentError| error.to_string())?;
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Ok(listed
            .into_iter()
            .map(|topic| (topic.name, count(topic.partitions)))
            .collect())
    }

    /// Lets run what the configuration says, and nothing else.
    pub(super) async fn reconcile(&self) {
        let config = self.config();
        let mut wanted: BTreeMap<RunKey, &Mapping> = BTreeMap::new();
        for effective in config
            .loaded
            .mappings
            .iter()
            .filter(|effective| effective.mapping.enabled)
        {
            let mapping = &effective.mapping;
            for pair in mapping.pairs() {
                let pair = Pair {
                    source: pair.source.to_owned(),
                    target: pair.target.to_owned(),
                };
                wanted.insert(
                    RunKey {
                        mapping: mapping.name.clone(),
                        pair,
                    },
                    mapping,
                );
            }
        }
        let gone: Vec<(RunKey, Live)> = self
            .live()
            .into_iter()
            .filter(|(key, live)| {
                !wanted
                    .get(key)
                    .is_some_and(|after| goes_on(&live.run.rules().mapping, after))
            })
            .collect();
        let mut stops = tokio::task::JoinSet::new();
        for (key, live) in gone {
            lock(&self.runs).remove(&key);
            let engine = self.clone();
            stops.spawn(async move { engine.stop(&key, &live).await });
        }
        stops.join_all().await;
        if wanted.is_empty() {
            self.remember_active();
            return;
        }
        // A cluster that does not answer holds up no rule: what runs goes on copying.
        for (key, live) in self.live().into_iter().filter(|(_, live)| live.started) {
            let before = live.run.rules();
            if let Some(mapping) = wanted.get(&key)
                && !Arc::ptr_eq(&before.config, &config)
            {
                let counts = (before.source_count, before.target_count);
                live.run
                    .set_rules(rules(&config, mapping, &key.pair, counts));
            }
        }
        let sources = self.topics("source", self.options.has_source);
        let targets = self.topics("target", self.options.has_target);
        let (sources, targets) = tokio::join!(sources, targets);
        let active = self.store.active();
        let mut fresh = Vec::new();
        for (key, mapping) in wanted {
            let ready = counts(mapping, &key.pair, &sources, &targets);
            let known = lock(&self.runs).get(&key).cloned();
            let (source_count, target_count) = *ready.as_ref().unwrap_or(&(0, 0));
            if let (Some(live), Ok(_)) = (&known, &ready)
                && live.started
                && lock(&live.run.troubles).waits().is_none()
                && live.run.rules().is_of(&config, source_count, target_count)
            {
                continue;
            }
            let rules = rules(&config, mapping, &key.pair, (source_count, target_count));
            match known {
                Some(live) if live.started => {
                    if ready.is_ok() {
                        live.run.set_rules(rules);
                    }
                    let why = ready.as_ref().err();
                    if lock(&live.run.troubles).missing(why.cloned()) {
                        tracing::warn!(mapping = key.mapping, why, "what it needs is missing");
                    }
                }
                known => {
                    let live = known.unwrap_or_else(|| self.new_live(&key, rules.clone()));
                    live.run.set_rules(rules);
                    lock(&self.runs).insert(key.clone(), live.clone());
                    match ready {
                        Ok(_) => fresh.push((key, live)),
                        Err(why) => live.run.enter(Phase::Waiting(why)),
                    }
                }
            }
        }
        self.begin(fresh, &active).await;
        self.remember_active();
    }

    /// Whether something is looked for that nobody tells of when it is there: a cluster, a topic, a file.
    pub(super) fn is_waiting(&self) -> bool {
        self.live().into_iter().any(|(_, live)| match live.started {
            true => lock(&live.run.troubles).waits().is_some(),
            false => self.replays() || !live.run.rules().mapping.source_is_file,
        })
    }

    /// Whether files are replayed here.
    fn replays(&self) -> bool {
        let options = &self.options;
        options.run_files.unwrap_or(options.worker_index == 0)
    }

    /// The file that is written, which another mapping may write too.
    fn sink(&self, path: &Path) -> Arc<FileSink> {
        let mut sinks = lock(&self.sinks);
        sinks.retain(|_, sink| sink.strong_count() > 0);
        if let Some(sink) = sinks.get(path).and_then(Weak::upgrade) {
            return sink;
        }
        let sink = Arc::new(FileSink::new(path));
        sinks.insert(path.to_owned(), Arc::downgrade(&sink));
        sink
    }

    fn new_live(&self, key: &RunKey, rules: Rules) -> Live {
        let sink = rules
            .mapping
            .target_is_file
            .then(|| self.sink(&self.store.target(&key.pair.target)));
        Live {
            name: key.name().into(),
            run: Arc::new(Run::new(
                key.pair.clone(),
                self.options.share(),
                rules,
                sink,
            )),
            history: Arc::default(),
            replay: None,
            task: Arc::default(),
            agent: Arc::default(),
            started: false,
            placed: Arc::default(),
        }
    }

    async fn begin(&self, fresh: Vec<(RunKey, Live)>, active: &std::collections::BTreeSet<String>) {
        let (files, topics): (Vec<_>, Vec<_>) = fresh
            .into_iter()
            .partition(|(_, live)| live.run.rules().mapping.source_is_file);
        self.replay(files);
        // Whoever was active before a restart goes on where its group is; the others begin now.
        let resumes = |live: &Live| self.options.group.is_some() && active.contains(&*live.name);
        let offsets = match topics.iter().any(|(_, live)| resumes(live)) {
            true => self.source_offsets().await,
            false => Vec::new(),
        };
        for (key, live) in topics {
            let engine = self.clone();
            let resumes = resumes(&live);
            if resumes {
                let own = |at: &&GroupOffset| at.partition.topic == key.pair.source;
                let own = offsets.iter().filter(own);
                live.run
                    .resumes(own.map(|at| (at.partition.partition, at.committed)));
            }
            if let Some(live) = lock(&self.runs).get_mut(&key) {
                live.started = true;
            }
            let task = live.task.clone();
            // A worker without partitions is not waited for, and holds up no change of others.
            let starting = tokio::spawn(async move {
                let from = if resumes {
                    ReadFrom::Committed
                } else {
                    ReadFrom::Latest
                };
                match engine.copy(&key, &live, from).await {
                    Ok(()) => {
                        live.placed.store(true, Ordering::Relaxed);
                        live.run.enter(Phase::Running);
                        engine.remember_active();
                    }
                    Err(error) => {
                        if let Some(live) = lock(&engine.runs).get_mut(&key) {
                            live.started = false;
                        }
                        live.run.enter(Phase::Failed(error.to_string()));
                    }
                }
            });
            *lock(&task) = Some(starting);
        }
    }

    /// Where the source's group is; what cannot be asked is not known.
    async fn source_offsets(&self) -> Vec<GroupOffset> {
        let ask = async {
            let group = self.options.group.as_deref()?;
            let admin = self.tools().ok()?.admin.on("source").ok()?.timeout(ASK);
            admin.group_offsets(group).await.ok()
        };
        ask.await.unwrap_or_default()
    }

    async fn copy(&self, key: &RunKey, live: &Live, from: ReadFrom) -> citizenk::Result<()> {
        let tools = self.tools()?;
        let agent = self.agent(key, live.run.clone(), tools.clock.clone());
        let agent = tools.agents.start_from(agent, from).await?;
        // Each start has a run of its own.
        let _ = live.agent.set(agent);
        Ok(())
    }

    fn agent(&self, key: &RunKey, run: Arc<Run>, clock: Clock) -> AgentDef {
        let target = RAW.named(&format!("target/{}", key.pair.target));
        let to_file = run.sink.is_some();
        let forever = || Policy::retry(u32::MAX);
        let mut builder = Agent::builder::<RawRecords>(&key.name())
            .raw([format!("source/{}", key.pair.source)])
            .start_latest()
            .on_error(forever())
            .on_produce_error(forever());
        builder = match &self.options.group {
            Some(group) => builder.group(group),
            None => builder.groupless(),
        };
        if !to_file {
            builder = builder.sends(&target);
        }
        builder.handle(move |records: RawRecords, out: Outbox| {
            let now = clock.now().timestamp_millis();
            let handled = run.batch(&records, &out, &target, now);
            async move { handled }
        })
    }

    /// Files that start together share the time of the first record of all.
    fn replay(&self, files: Vec<(RunKey, Live)>) {
        let Ok(tools) = self.tools() else { return };
        let mine = self.replays();
        let origin = (
            tokio::time::Instant::now(),
            tools.clock.now().timestamp_millis(),
        );
        let mut read = Vec::new();
        for (key, live) in files {
            if !mine {
                live.run
                    .enter(Phase::Waiting("another worker replays files".to_owned()));
                continue;
            }
            let path = self.options.data.join(format!("{}.json", key.pair.source));
            match FileText::read(&path) {
                Ok(text) => read.push((key, live, text)),
                Err(why) => live.run.enter(Phase::Waiting(why)),
            }
        }
        let begin =
            |live: &Live, text: &FileText| live.run.rules().mapping.replay.from.or(text.first);
        let shared = |live: &Live| live.run.rules().mapping.replay.epoch == Epoch::Shared;
        let epoch = read
            .iter()
            .filter(|(_, live, _)| shared(live))
            .filter_map(|(_, live, text)| begin(live, text))
            .min();
        for (key, mut live, text) in read {
            let own = begin(&live, &text);
            let first = if shared(&live) { epoch } else { own };
            let speed = live
                .run
                .rules()
                .mapping
                .replay
                .speed
                .unwrap_or(Speed::RECORDED);
            let replay = Arc::new(Replay::new(text, first.unwrap_or(0), speed, origin));
            let playing = replay.clone().run(
                live.run.clone(),
                tools.producer.clone(),
                tools.clock.clone(),
            );
            live.task = Arc::new(Mutex::new(Some(tokio::spawn(playing))));
            live.replay = Some(replay);
            live.started = true;
            live.placed.store(true, Ordering::Relaxed);
            lock(&self.runs).insert(key, live);
        }
    }

    async fn stop(&self, key: &RunKey, live: &Live) {
        let task = lock(&live.task).take();
        if let Some(task) = task {
            task.abort();
            // What it had begun is seen below.
            let _ = task.await;
        }
        let agent = self
            .tools()
            .ok()
            .and_then(|tools| tools.agents.get(&key.name()));
        if let Some(agent) = agent
            && let Err(error) = agent.stop().await
        {
            tracing::warn!(mapping = key.mapping, %error, "stopping");
        }
        tracing::info!(
            mapping = key.mapping,
            source = key.pair.source,
            target = key.pair.target,
            "stopped"
        );
    }
}

/// Why a mapping waits for a topic.
pub(super) fn no_topic(side: &str, name: &str) -> String {
    format!("{side} topic missing: `{name}`; topics are never created")
}

/// How many partitions source and target have; files have none.
fn counts(
    mapping: &Mapping,
    pair: &Pair,
    sources: &Topics,
    targets: &Topics,
) -> Result<(i32, i32), String> {
    let count = |is_file: bool, topics: &Topics, side: &str, name: &str| match topics {
        _ if is_file => Ok(0),
        Err(why) => Err(why.clone()),
        Ok(topics) => topics
            .get(name)
            .copied()
            .ok_or_else(|| no_topic(side, name)),
    };
    Ok((
        count(mapping.source_is_file, sources, "source", &pair.source)?,
        count(mapping.target_is_file, targets, "target", &pair.target)?,
    ))
}
