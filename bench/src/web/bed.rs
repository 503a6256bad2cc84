//! What every row stands on: a broker, services on it, and somebody who writes at a pace.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::Result;
use super::process::{Process, ask, free_port, rest};
use super::service::Tick;
use crate::cluster::{BOOTSTRAP, Cluster};
use crate::rounds::{fill_readings, mock_partitions};
use crate::settings::{self, LINGER};
use crate::usage;

const STARTS: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// That the workers of a router share.
const VISITED: i32 = 8;
/// Of a reading, about.
const BYTES: usize = 180;
/// On a Kafka.
const PARTITIONS: i32 = 4;

pub(super) struct Bed {
    pub(super) cluster: Cluster,
    turns: usize,
    readings: Option<String>,
}

/// What differs between the services of two rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Connections it takes; `None`: as many as it takes by itself.
    pub(super) connections: Option<usize>,
    /// What its consumer reads, and how much.
    pub(super) readings: Option<(String, u64)>,
}

impl Bed {
    pub(super) fn new(real: bool) -> Result<Self> {
        Ok(Self {
            cluster: if real {
                Cluster::real()?
            } else {
                Cluster::mock()?
            },
            turns: 0,
            readings: None,
        })
    }

    /// One service, ready.
    pub(super) fn service(&mut self, plan: &Plan) -> Result<Service> {
        let mut services = self.services(plan, 1)?;
        services.pop().ok_or_else(|| "no service".into())
    }

    /// So many workers of one service, ready; each has the list of all.
    pub(super) fn services(&mut self, plan: &Plan, count: usize) -> Result<Vec<Service>> {
        self.turns += 1;
        let group = format!("bench-web-{}-{}", std::process::id(), self.turns);
        let (ticks, visits) = (format!("{group}-ticks"), format!("{group}-visits"));
        self.cluster.create(&ticks, 1)?;
        self.cluster.create(&visits, VISITED)?;
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect::<Result<_>>()?;
        let urls = ports.iter().map(|port| format!("http://127.0.0.1:{port}"));
        let peers = urls.collect::<Vec<_>>().join(",");
        let mut services = Vec::new();
        for port in ports {
            let mut variables = vec![
                (BOOTSTRAP.to_owned(), self.cluster.servers().to_owned()),
                ("CITIZENK_HTTP".to_owned(), format!("127.0.0.1:{port}")),
                (
                    "CITIZENK_TOPICS".to_owned(),
                    format!("ticks={ticks},visits={visits}"),
                ),
            ];
            if count > 1 {
                variables.push(("CITIZENK_PEERS".to_owned(), peers.clone()));
                // The mock broker deals partitions anew only when a session less a second has passed.
                let session = "KAFKA_CONSUMER_SESSION_TIMEOUT_MS".to_owned();
                variables.push((session, "6000".to_owned()));
            }
            if let Some(connections) = plan.connections {
                let name = "CITIZENK_HTTP_CONNECTIONS".to_owned();
                variables.push((name, connections.to_string()));
            }
            let shared = settings::variables(self.cluster.is_mock()).into_iter();
            variables.extend(shared.map(|(name, value)| (name, value.to_owned())));
            let mut arguments = vec![("--group", group.clone())];
            if let Some((readings, records)) = &plan.readings {
                arguments.push(("--readings", readings.clone()));
                arguments.push(("--records", records.to_string()));
            }
            services.push(Service {
                process: Process::start("service", &arguments, &variables)?,
                port,
                ticks: ticks.clone(),
            });
        }
        for service in &services {
            service.until_ready()?;
        }
        Ok(services)
    }

    /// A topic with so many readings, filled once.
    pub(super) fn readings(&mut self, records: u64) -> Result<String> {
        if let Some(name) = &self.readings {
            return Ok(name.clone());
        }
        let name = format!("bench-web-{}-readings", std::process::id());
        let partitions = if self.cluster.is_mock() {
            mock_partitions(records, BYTES)
        } else {
            PARTITIONS
        };
        self.cluster.create(&name, partitions)?;
        fill_readings(self.cluster.servers(), &name, partitions, records, BYTES)?;
        self.readings = Some(name.clone());
        Ok(name)
    }
}

pub(super) struct Service {
    pub(super) process: Process,
    pub(super) port: u16,
    ticks: String,
}

impl Service {
    fn until_ready(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = ask(self.port, "GET", "/health/ready", STARTS);
            if matches!(answer, Ok((200, _))) {
                return Ok(());
            }
            if begun.elapsed() > STARTS {
                return Err(format!("the service is not ready: {answer:?}").into());
            }
            rest(LOOK);
        }
    }

    /// CPU seconds it has had.
    pub(super) fn cpu(&self) -> Result<f64> {
        usage::cpu_of(self.process.id())
    }

    /// Its memory now, in KiB.
    pub(super) fn resident_kib(&self) -> Result<u64> {
        usage::memory_of(self.process.id(), "VmRSS:")
    }
}

type Client = ThreadedProducer<DefaultProducerContext>;

/// Writes ticks for a service.
pub(super) struct Writer {
    producer: Client,
    topic: String,
}

impl Writer {
    pub(super) fn new(bed: &Bed, service: &Service) -> Result<Self> {
        Ok(Self {
            producer: ClientConfig::new()
                .set("bootstrap.servers", bed.cluster.servers())
                .set(LINGER, "0")
                .create()?,
            topic: service.ticks.clone(),
        })
    }

    pub(super) fn write(&self, tick: &Tick) -> Result<()> {
        let key = tick.sequence.to_string();
        let value = serde_json::to_vec(tick)?;
        let record = BaseRecord::to(&self.topic).key(&key).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Writes those that count, whether anybody gets them or not.
    pub(super) fn write_all(&self, rate: u32, count: u64) -> Result<()> {
        let (begin, pace) = (Instant::now(), Duration::from_secs(1) / rate.max(1));
        for sequence in 1..=count {
            let due = pace * u32::try_from(sequence - 1)?;
            rest(due.saturating_sub(begin.elapsed()));
            self.write(&Tick::new(sequence, sequence == count, 0))?;
        }
        self.producer.flush(STARTS)?;
        Ok(())
    }
}
