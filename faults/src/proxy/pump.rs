//! Moves the frames of one connection.
//!
//! Each direction has a reader and a writer with a short queue between them: a delay delays every frame,
//! but not one after the other.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::frame::{Calls, FETCH, NAMELESS, client, padding};
use super::{CallFault, Mode, Shared};
use crate::load::FILLER;

/// Frames between a reader and its writer.
const QUEUE: usize = 64;
/// No frame of Kafka's is longer in these tests.
const LONGEST: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

impl Direction {
    /// Which call a frame belongs to.
    fn key(self, bytes: &[u8], calls: &Mutex<Calls>) -> Option<i16> {
        let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        match self {
            Self::Request => calls.request(bytes),
            Self::Response => calls.response(bytes),
        }
    }
}

struct Frame {
    bytes: Vec<u8>,
    key: Option<i16>,
    arrived: Instant,
}

/// Returns when both directions have ended, or the mode ends the connection.
pub(super) async fn run(client: TcpStream, broker: TcpStream, shared: Arc<Shared>) {
    // Kafka's frames are small questions: waiting for more to send with them would be a delay of its own.
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    let calls = Arc::new(Mutex::new(Calls::default()));
    let mut mode = shared.mode.subscribe();
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let both = async {
        tokio::join!(
            one_way(from_client, to_broker, Direction::Request, &calls, &shared),
            one_way(from_broker, to_client, Direction::Response, &calls, &shared),
        )
    };
    tokio::select! {
        _ = both => {}
        _ = mode.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Reset)) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    calls: &Mutex<Calls>,
    shared: &Shared,
) {
    let (sender, mut frames) = mpsc::channel::<Frame>(QUEUE);
    let reader = async move {
        while let Ok(bytes) = read(&mut from).await {
            let key = direction.key(&bytes, calls);
            let frame = Frame {
                bytes,
                key,
                arrived: Instant::now(),
            };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    };
    let writer = async move {
        let mut mode = shared.mode.subscribe();
        while let Some(frame) = frames.recv().await {
            if pass(frame, &mut to, direction, &mut mode, shared)
                .await
                .is_err()
            {
                // The other direction ends when its reader meets the closed connection.
                frames.close();
                return;
            }
        }
        // The end passes on as an end.
        let _ = to.shutdown().await;
    };
    tokio::join!(reader, writer);
}

async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    from.read_exact(&mut bytes).await?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    if length > LONGEST {
        return Err(io::Error::other("not a frame of Kafka's"));
    }
    bytes.resize(4 + length, 0);
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}

/// Writes a frame as the mode wants it; an error closes the connection.
async fn pass(
    mut frame: Frame,
    to: &mut OwnedWriteHalf,
    direction: Direction,
    mode: &mut watch::Receiver<Mode>,
    shared: &Shared,
) -> io::Result<()> {
    let ended = || io::Error::from(io::ErrorKind::ConnectionReset);
    let hit = || shared.hits.fetch_add(1, Ordering::Relaxed);
    let now = *mode.borrow_and_update();
    match now {
        Mode::Pass | Mode::Refuse | Mode::Reset => {}
        Mode::Hold {
            requests,
            responses,
        } => {
            let held = match direction {
                Direction::Request => requests,
                Direction::Response => responses,
            };
            if held {
                hit();
                mode.wait_for(|mode| *mode != now)
                    .await
                    .map_err(|_| ended())?;
            }
        }
        Mode::Slow {
            delay,
            jitter,
            rate,
        } => {
            let span = u32::try_from(jitter.as_millis()).unwrap_or(u32::MAX).max(1);
            // The order of frames stays; which one is late only has to vary.
            let more = shared
                .hits
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(2_654_435_761) as u32
                % span;
            sleep_until(frame.arrived + delay + Duration::from_millis(u64::from(more))).await;
            if let Some(rate) = rate {
                sleep(Duration::from_secs_f64(
                    frame.bytes.len() as f64 / f64::from(rate),
                ))
                .await;
            }
        }
        Mode::Cut { after } if frame.bytes.len() > after => {
            hit();
            to.write_all(&frame.bytes[..after]).await?;
            return Err(ended());
        }
        Mode::Flip { every } if direction == Direction::Response && frame.key == Some(FETCH) => {
            let turn = shared.hits.load(Ordering::Relaxed);
            if let Some(at) = padding(&frame.bytes, FILLER, turn) {
                // The first with records is one of them.
                if hit().is_multiple_of(every.max(1)) {
                    frame.bytes[at] ^= 1;
                }
            }
        }
        Mode::Call { key, fault } if frame.key == Some(key) => match (fault, direction) {
            (CallFault::HoldRequest, Direction::Request)
            | (CallFault::HoldResponse, Direction::Response) => {
                hit();
                mode.wait_for(|mode| *mode != now)
                    .await
                    .map_err(|_| ended())?;
            }
            (CallFault::LoseRequest, Direction::Request) if client(&frame.bytes) != NAMELESS => {
                hit();
                return Ok(());
            }
            (CallFault::DelayRequest(delay), Direction::Request) => {
                hit();
                sleep(delay).await;
            }
            (CallFault::DropResponse, Direction::Response) => {
                hit();
                return Err(ended());
            }
            (CallFault::HoldFirstRequest, Direction::Request) if hit() == 0 => {
                mode.wait_for(|mode| *mode != now)
                    .await
                    .map_err(|_| ended())?;
            }
            (CallFault::DropFirstResponse, Direction::Response) if hit() == 0 => {
                return Err(ended());
            }
            _ => {}
        },
        Mode::Cut { .. } | Mode::Flip { .. } | Mode::Call { .. } => {}
    }
    to.write_all(&frame.bytes).await
}
