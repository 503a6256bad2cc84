//! `kcat` reads what we write. Left out where `cargo xtask python-schemas` has found none that is built with Avro.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use citizenk::prelude::*;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{AVRO_OUT, Kind, PATIENCE, Ride, RideKey, place};

#[citizenk::on_event(startup, sends = [AVRO_OUT])]
async fn write(producer: Producer, State(done): State<mpsc::Sender<()>>) -> citizenk::Result<()> {
    for (id, note) in [(0, None), (1, Some("late".to_owned()))] {
        let key = RideKey {
            city: "CDMX".to_owned(),
            id,
        };
        let ride = Ride {
            id: i64::from(id),
            area: "Zócalo".to_owned(),
            at: "2025-01-31T06:00:00.123Z".parse()?,
            tags: vec!["a".to_owned(), "b".to_owned()],
            price: rust_decimal::Decimal::new(1230, 2),
            kind: Kind::Airport,
            note,
        };
        producer.send(&AVRO_OUT, &key, ride).await?;
    }
    done.send(()).await?;
    Ok(())
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kcat_reads_keys_and_values() {
    let (Some(place), Some(kcat)) = (place(), std::env::var_os("CITIZENK_KCAT")) else {
        return;
    };
    let (done, mut written) = mpsc::channel::<()>(1);
    let app = App::new("rides").state(done).register::<write>();
    let service = app.build_with(place.settings("ours")).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(service.run_until(async {
        let _ = stopped.await;
    }));
    let all = tokio::time::timeout(PATIENCE, written.recv()).await;
    all.expect("all is written in time")
        .expect("the service runs");
    let topic = format!("{}avro-out", place.prefix);
    let reader = Command::new(kcat)
        .args(["-C", "-q", "-u", "-b", &place.servers, "-t", &topic])
        .args(["-o", "beginning", "-s", "avro", "-r", &place.url])
        .args(["-f", "{\"key\": %k, \"value\": %s}\\n"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut reader = Running(reader.expect("kcat starts"));
    let (send, mut lines) = mpsc::channel(8);
    let output = reader.0.stdout.take().unwrap();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines
            .take_while(|line| send.blocking_send(line.clone()).is_ok())
            .count()
    });
    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < 2 {
        let line = tokio::time::timeout(PATIENCE, lines.recv()).await;
        let line = line.expect("kcat reads in time").expect("kcat runs");
        seen.push(serde_json::from_str(&line).expect("what kcat prints is JSON"));
    }
    let mut ids = Vec::new();
    for record in &seen {
        let (key, value) = (&record["key"], &record["value"]);
        assert_eq!(key["city"], "CDMX");
        assert_eq!(key["id"], value["id"]);
        let plain = ["area", "at", "kind", "tags"].map(|name| value[name].clone());
        assert_eq!(
            plain,
            [
                json!("Zócalo"),
                json!(1_738_303_200_123_i64),
                json!("Airport"),
                json!(["a", "b"])
            ]
        );
        ids.push(key["id"].as_i64());
    }
    ids.sort();
    assert_eq!(ids, [Some(0), Some(1)]);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}
