use citizenk::testing::TestApp;

use super::*;

#[tokio::test]
async fn a_greeting_is_answered() -> citizenk::Result<()> {
    let mut app = TestApp::new(app()).start().await?;
    let ada = Greeting { name: "Ada".into() };
    app.topic(&GREETINGS).push(&"1".into(), ada);
    app.settle().await?;
    assert_eq!(app.topic(&REPLIES).sent().values(), ["Hello, Ada!"]);
    Ok(())
}

/// The README's first program is this one, to the letter.
#[test]
fn the_readme_shows_this_program() {
    let program = include_str!("main.rs");
    let (program, _) = program.split_once("\n#[cfg(test)]").unwrap();
    let readme = include_str!("../../../README.md");
    let (_, block) = readme.split_once("```rust\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    assert_eq!(block, program);
}
