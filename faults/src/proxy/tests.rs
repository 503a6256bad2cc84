use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use tokio::runtime::Runtime;

use super::frame::{END_TXN, FETCH};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy before a broker that hands over every frame it gets and answers with the same number.
struct Bench {
    proxy: Proxy,
    requests: mpsc::Receiver<Vec<u8>>,
    _runtime: Runtime,
}

fn frame(key: i16, number: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (8 + body.len() as u32).to_be_bytes().to_vec();
    bytes.extend(key.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn answer(number: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + body.len() as u32).to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn take(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    bytes.resize(4 + length, 0);
    stream.read_exact(&mut bytes[4..])?;
    Ok(bytes)
}

fn bench() -> Bench {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let proxy = Proxy::start(runtime.handle()).expect("a free port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    proxy.lead_to(listener.local_addr().expect("it is bound").port());
    let (seen, requests) = mpsc::sync_channel(100);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut stream, seen) = (stream, seen.clone());
            thread::spawn(move || {
                while let Ok(request) = take(&mut stream) {
                    let number = i32::from_be_bytes(request[8..12].try_into().expect("four bytes"));
                    let body = request[12..].to_vec();
                    if seen.send(request).is_err()
                        || stream.write_all(&answer(number, &body)).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Bench {
        proxy,
        requests,
        _runtime: runtime,
    }
}

impl Bench {
    fn client(&self) -> TcpStream {
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.proxy.port())).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream
    }

    fn hit(&self) {
        let begun = std::time::Instant::now();
        while self.proxy.hits() == 0 {
            assert!(begun.elapsed() < PATIENCE, "nothing was hit");
            thread::yield_now();
        }
    }
}

#[test]
fn frames_pass_both_ways_and_so_does_the_end() {
    let bench = bench();
    let mut client = bench.client();
    for number in 0..3 {
        client
            .write_all(&frame(3, number, b"body"))
            .expect("it is open");
        assert_eq!(
            take(&mut client).expect("an answer"),
            answer(number, b"body")
        );
    }
    client.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(client.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn a_black_hole_keeps_everything_and_gives_it_back_in_order() {
    let bench = bench();
    let mut client = bench.client();
    for (requests, responses) in [(true, false), (false, true), (true, true)] {
        bench.proxy.switch(Mode::Hold {
            requests,
            responses,
        });
        for number in 0..3 {
            client
                .write_all(&frame(3, number, b""))
                .expect("it is open");
        }
        bench.hit();
        let arrived = bench.requests.try_iter().count();
        assert!(
            !requests || arrived == 0,
            "nothing arrives behind a black hole"
        );
        bench.proxy.switch(Mode::Pass);
        for number in 0..3 {
            assert_eq!(take(&mut client).expect("an answer"), answer(number, b""));
        }
        let _ = bench.requests.try_iter().count();
    }
}

#[test]
fn a_held_call_arrives_although_its_sender_has_gone() {
    let bench = bench();
    let fault = CallFault::HoldRequest;
    bench.proxy.switch(Mode::Call {
        key: END_TXN,
        fault,
    });
    let mut first = bench.client();
    first
        .write_all(&frame(3, 1, b"passes"))
        .expect("it is open");
    take(&mut first).expect("other calls pass");
    bench.requests.recv_timeout(PATIENCE).expect("it arrived");
    first
        .write_all(&frame(END_TXN, 2, b"late"))
        .expect("it is open");
    bench.hit();
    drop(first);
    let mut second = bench.client();
    second.write_all(&frame(3, 1, b"next")).expect("it is open");
    assert_eq!(
        &bench.requests.recv_timeout(PATIENCE).expect("it arrived")[12..],
        b"next"
    );
    bench.proxy.switch(Mode::Pass);
    assert_eq!(
        &bench.requests.recv_timeout(PATIENCE).expect("it arrived")[12..],
        b"late"
    );
}

#[test]
fn only_the_first_call_is_held_and_its_retry_passes() {
    let bench = bench();
    let fault = CallFault::HoldFirstRequest;
    bench.proxy.switch(Mode::Call {
        key: END_TXN,
        fault,
    });
    let mut first = bench.client();
    first
        .write_all(&frame(END_TXN, 1, b"late"))
        .expect("it is open");
    bench.hit();
    drop(first);
    let mut second = bench.client();
    second
        .write_all(&frame(END_TXN, 1, b"retry"))
        .expect("it is open");
    assert_eq!(
        &bench.requests.recv_timeout(PATIENCE).expect("it arrived")[12..],
        b"retry"
    );
    bench.proxy.switch(Mode::Pass);
    assert_eq!(
        &bench.requests.recv_timeout(PATIENCE).expect("it arrived")[12..],
        b"late"
    );
}

#[test]
fn only_the_first_answer_is_lost() {
    let bench = bench();
    let fault = CallFault::DropFirstResponse;
    bench.proxy.switch(Mode::Call {
        key: END_TXN,
        fault,
    });
    for lost in [true, false] {
        let mut client = bench.client();
        client
            .write_all(&frame(END_TXN, 1, b""))
            .expect("it is open");
        assert_eq!(take(&mut client).is_err(), lost);
    }
}

#[test]
fn an_answer_is_lost_with_its_connection() {
    let bench = bench();
    let fault = CallFault::DropResponse;
    bench.proxy.switch(Mode::Call {
        key: END_TXN,
        fault,
    });
    let mut client = bench.client();
    client
        .write_all(&frame(END_TXN, 1, b""))
        .expect("it is open");
    bench
        .requests
        .recv_timeout(PATIENCE)
        .expect("the broker acts");
    assert!(take(&mut client).is_err());
}

#[test]
fn refused_and_reset() {
    let bench = bench();
    let mut open = bench.client();
    open.write_all(&frame(3, 1, b"")).expect("it is open");
    take(&mut open).expect("an answer");
    bench.proxy.switch(Mode::Refuse);
    assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    let begun = std::time::Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, bench.proxy.port())).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it still listens");
    }
    bench.proxy.switch(Mode::Pass);
    let mut again = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, bench.proxy.port())) {
            Ok(stream) => break stream,
            Err(_) => assert!(begun.elapsed() < PATIENCE, "it does not listen again"),
        }
    };
    again.set_read_timeout(Some(PATIENCE)).expect("a time");
    again.write_all(&frame(3, 2, b"")).expect("it is open");
    take(&mut again).expect("an answer");
    bench.proxy.switch(Mode::Reset);
    assert_eq!(again.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn frames_are_cut_flipped_and_delayed() {
    let bench = bench();
    let mut client = bench.client();
    let body = [crate::load::FILLER; 64];
    bench.proxy.switch(Mode::Flip { every: 1 });
    client
        .write_all(&frame(FETCH, 1, &body))
        .expect("it is open");
    let flipped = take(&mut client).expect("an answer");
    let differing = flipped[8..]
        .iter()
        .zip(&body)
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(differing, 1);

    let delay = Duration::from_millis(50);
    bench.proxy.switch(Mode::Slow {
        delay,
        jitter: Duration::ZERO,
        rate: Some(1_000_000),
    });
    let begun = std::time::Instant::now();
    client.write_all(&frame(3, 2, b"")).expect("it is open");
    take(&mut client).expect("an answer");
    assert!(begun.elapsed() >= 2 * delay, "there and back");

    bench.proxy.switch(Mode::Cut { after: 20 });
    client.write_all(&frame(3, 3, &body)).expect("it is open");
    assert!(take(&mut client).is_err(), "half a request is none");
}
