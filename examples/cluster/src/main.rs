//! `cargo run -p cluster -- 3`: three workers behind a load balancer; see the [library](cluster).
//!
//! The workers are processes of this same program, which a variable tells what to be.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::process::{ExitCode, Termination as _};

use cluster::balancer::{Targets, serve};
use cluster::fleet::Fleet;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::net::TcpListener;

const FRONT: &str = "127.0.0.1:8080";
/// Set for workers.
const WORKER: &str = "CLUSTER_WORKER";
const HELP: &str = "add | stop N | kill N | list | quit";

fn main() -> ExitCode {
    if std::env::var_os(WORKER).is_some() {
        return citizenk::run(cluster::app()).report();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let workers = match std::env::args().nth(1) {
        None => 3,
        Some(text) => text.parse().map_err(|_| {
            io::Error::other(format!(
                "`{text}` is no number of workers; write `cluster 3`"
            ))
        })?,
    };
    if std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_none() {
        return Err(io::Error::other(
            "processes share no embedded broker: set KAFKA_BOOTSTRAP_SERVERS (`cargo xtask kafka up` starts a Kafka)",
        ));
    }
    let program = std::env::current_exe()?;
    let mut env = vec![
        (WORKER.to_owned(), "true".to_owned()),
        ("CITIZENK_CREATE_TOPICS".to_owned(), "true".to_owned()),
    ];
    if std::env::var_os("CITIZENK_CLUSTER_SECRET").is_none() {
        env.push(("CITIZENK_CLUSTER_SECRET".to_owned(), secret()));
    }
    let front = std::env::var("CLUSTER_FRONT").unwrap_or_else(|_| FRONT.to_owned());
    let listener = TcpListener::bind(&front).await?;
    let targets = Targets::default();
    let mut fleet = Fleet::new(program, env, targets.clone());
    for _ in 0..workers {
        fleet.add().await?;
    }
    println!(
        "the balancer is at http://{}; {HELP}",
        listener.local_addr()?
    );
    let serving = tokio::spawn(serve(listener, targets));
    let done = orders(&mut fleet).await;
    fleet.end().await;
    serving.abort();
    done
}

/// A secret for this run alone.
fn secret() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// Does what is asked for until there is nothing more to do.
async fn orders(fleet: &mut Fleet) -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            interrupted = tokio::signal::ctrl_c() => return interrupted,
        };
        let Some(line) = line else {
            // Nobody can ask for anything any more, but a signal ends it.
            return tokio::signal::ctrl_c().await;
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |text: &str| text.parse::<usize>().map_err(io::Error::other);
        let done = match words[..] {
            [] => Ok(()),
            ["add"] => fleet.add().await.map(|_| ()),
            ["stop", which] => match number(which) {
                Ok(which) => fleet.stop(which).await,
                Err(error) => Err(error),
            },
            ["kill", which] => match number(which) {
                Ok(which) => fleet.kill(which).await,
                Err(error) => Err(error),
            },
            ["list"] => {
                for (number, address) in fleet.list() {
                    println!("worker {number} is at http://{address}");
                }
                Ok(())
            }
            ["quit"] => return Ok(()),
            _ => Err(io::Error::other(HELP)),
        };
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }
}
