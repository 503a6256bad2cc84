//! Made-up ships, for who has nothing that moves.

use std::sync::{Arc, Mutex, PoisonError};

use citizenk::prelude::*;

use crate::{GEOSTREAM, Position};

/// Where the first ships begin: all on open sea.
const PORTS: [(f64, f64); 8] = [
    (40.0, -40.0),
    (10.0, -150.0),
    (-20.0, 80.0),
    (-15.0, -15.0),
    (30.0, 170.0),
    (-40.0, -110.0),
    (5.0, 60.0),
    (55.0, -25.0),
];

/// Something that moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Ship {
    /// `ship-1` and so on.
    pub name: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Where it heads: radians, 0 is north, clockwise.
    pub course: f64,
    moved: u64,
}

impl Ship {
    /// One of a fleet; the same number is the same ship.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let port = PORTS[number as usize % PORTS.len()];
        let round = f64::from(number / PORTS.len() as u32);
        Self {
            name: format!("ship-{}", number + 1),
            lat: (port.0 + round * 3.0).clamp(-70.0, 70.0),
            lon: wrapped(port.1 + round * 3.0),
            course: f64::from(number) * 2.4,
            moved: 0,
        }
    }

    /// Half a degree on, in a slow curve; it turns back before the ice.
    pub fn sail(&mut self) {
        self.moved += 1;
        let swing = (self.moved as f64 / 17.0 + self.course).sin();
        self.course += 0.06 * swing;
        self.lat += 0.5 * self.course.cos();
        self.lon = wrapped(self.lon + 0.5 * self.course.sin());
        if self.lat.abs() > 70.0 {
            self.lat = self.lat.clamp(-70.0, 70.0);
            self.course = std::f64::consts::PI - self.course;
        }
    }
}

/// From -180 to 180.
fn wrapped(lon: f64) -> f64 {
    (lon + 180.0).rem_euclid(360.0) - 180.0
}

/// All ships.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Mutex<Vec<Ship>>>);

impl Fleet {
    /// So many ships.
    #[must_use]
    pub fn new(ships: u32) -> Self {
        Self(Arc::new(Mutex::new((0..ships).map(Ship::new).collect())))
    }

    /// Moves all on, and says where they are.
    fn sail(&self, now: DateTime<Utc>) -> Vec<Position> {
        let mut ships = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sailed = ships.iter_mut().map(|ship| {
            ship.sail();
            Position {
                name: ship.name.clone(),
                message_id: format!("{}-{}", ship.name, ship.moved),
                timestamp: now.timestamp_millis(),
                lat: ship.lat,
                lon: ship.lon,
            }
        });
        sailed.collect()
    }
}

/// Moves the ships.
#[citizenk::repeat_every("500ms")]
pub(crate) async fn sail(
    State(fleet): State<Fleet>,
    producer: Producer,
    clock: Clock,
) -> citizenk::Result<()> {
    let positions = fleet.sail(clock.now()).into_iter();
    let sends: Vec<_> = positions
        .map(|position| producer.send(&GEOSTREAM, &position.name.clone(), position))
        .collect();
    for sent in sends {
        sent.await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ships_stay_on_the_map_and_move_a_little_at_a_time() {
        for number in 0..40 {
            let mut ship = Ship::new(number);
            for _ in 0..5_000 {
                let before = ship.clone();
                ship.sail();
                assert!(ship.lat.abs() <= 70.0 && (-180.0..=180.0).contains(&ship.lon));
                let east = wrapped(ship.lon - before.lon);
                assert!(
                    (ship.lat - before.lat).hypot(east) < 1.1,
                    "{before:?} {ship:?}"
                );
            }
        }
    }
}
