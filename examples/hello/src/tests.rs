use citizenk::testing::{TestApp, block_on};

use super::*;

#[test]
fn a_greeting_is_answered() -> Result<(), citizenk::RunError> {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let ada = Greeting { name: "Ada".into() };
        app.topic(&GREETINGS).push(&"1".into(), ada);
        app.settle().await;
        let replies = app.topic(&REPLIES).sent();
        assert_eq!(replies[0].value.as_deref(), Some("Hello, Ada!"));
        app.stop().await
    })
}
