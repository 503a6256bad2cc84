//! Greets everybody whose name comes on the topic `greetings`.

use citizenk::prelude::*;

#[citizenk::message]
struct Greeting {
    name: String,
}

const GREETINGS: Topic<Greeting> = Topic::json("greetings");
const REPLIES: Topic<String> = Topic::json("replies");

#[citizenk::agent(topics = [GREETINGS], output = REPLIES)]
async fn greet(greeting: Event<Greeting>) -> String {
    let reply = format!("Hello, {}!", greeting.value.name);
    println!("{reply}");
    reply
}

fn app() -> App {
    App::new("hello").register::<greet>().embedded_by_default()
}

fn main() -> citizenk::Exit {
    citizenk::run(app())
}

#[cfg(test)]
mod tests;
