//! `docs/streams.md`.

// [agent]
use citizenk::prelude::*;

/// Where something is.
#[citizenk::message]
pub struct Position {
    /// What is there.
    pub name: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

/// Where everything is.
pub const POSITIONS: Topic<Position> = Topic::json("positions");

/// What a client asks for: `/live?name=ann`.
#[derive(serde::Deserialize)]
pub struct Wanted {
    name: Option<String>,
}

/// Whether a position is for a client.
pub fn wanted(position: &Position, wanted: &Wanted) -> bool {
    wanted
        .name
        .as_ref()
        .is_none_or(|name| *name == position.name)
}

/// Every position, as it comes.
#[citizenk::agent(topics = [POSITIONS], websocket = "/live", events = "/live/events",
                  filter = wanted, slow_client = drop_oldest(100))]
pub async fn live(position: Event<Position>) -> Option<Position> {
    (-90.0..=90.0)
        .contains(&position.value.lat)
        .then_some(position.value)
}
// [/agent]

// [in]
/// Takes positions of clients.
#[citizenk::websocket_in(topic = POSITIONS, route = "/positions")]
pub async fn positions(Json(position): Json<Position>) -> Result<(String, Position), Problem> {
    if position.name.is_empty() {
        return Err(Problem::unprocessable("a position needs a name").field("name"));
    }
    Ok((position.name.clone(), position))
}
// [/in]

// [bridge]
use citizenk::http::Bridge;

/// Positions in and out, by the topic's name.
pub fn fleet() -> App {
    App::new("fleet").bridge(Bridge::new().topic(&POSITIONS))
}
// [/bridge]

#[cfg(test)]
mod tests {
    use super::*;
    use citizenk::testing::{TestApp, block_on};

    #[test]
    fn what_one_client_sends_another_one_sees() {
        // [test]
        block_on(async {
            let app = App::new("fleet").register::<live>().register::<positions>();
            let app = TestApp::new(app).start().await?;
            let mut map = app.ws("/live?name=ann").await;
            let ann = app.ws("/positions").await;
            ann.send(r#"{"name":"ann","lat":41.9,"lon":12.5}"#).await;
            app.settle().await;
            assert_eq!(map.json::<Position>().await.lat, 41.9);
            app.stop().await
        })
        .unwrap();
        // [/test]
    }
}
