//! `docs/web.md`.

// [route]
use citizenk::prelude::*;

/// A greeting.
#[citizenk::message]
pub struct Greeting {
    /// Who is greeted.
    pub name: String,
}

/// All greetings.
pub const GREETINGS: Topic<Greeting, u32> = Topic::json("greetings");

/// Where a greeting stands.
#[citizenk::message]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Greets somebody. This text is the operation's description in the API document.
#[citizenk::route(post = "/greetings/{id}")]
pub async fn greet(
    Path(id): Path<u32>,
    producer: Producer,
    Json(greeting): Json<Greeting>,
) -> Result<Json<Place>, Problem> {
    if greeting.name.is_empty() {
        return Err(Problem::unprocessable("nobody to greet").field("name"));
    }
    let sent = producer.send(&GREETINGS, &id, greeting).await?;
    Ok(Json(Place {
        partition: sent.partition,
        offset: sent.offset,
    }))
}

/// The service.
pub fn app() -> App {
    App::new("greetings")
        .title("Greetings")
        .version("1.2.0")
        .license("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
        .register::<greet>()
}
// [/route]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;
    use serde_json::{Value, json};

    use super::*;

    // [test]
    #[tokio::test]
    async fn nobody_is_refused_by_field() -> citizenk::Result<()> {
        let app = TestApp::new(app).start().await?;
        let answer = app.post("/greetings/7", &json!({ "name": "" })).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json::<Value>()["field"], "name");

        let answer = app.post("/greetings/7", &json!({ "name": "Ada" })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(app.topic(&GREETINGS).sent().len(), 1);
        Ok(())
    }
    // [/test]
}
