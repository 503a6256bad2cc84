//! Around timers and hooks, and what these may send.

use super::*;

#[citizenk::repeat_every("10s", wait_first = true, sends = [DONE], wrap = scoped)]
async fn tick(out: Outbox, clock: Clock, State(log): State<Log>) -> citizenk::Result<()> {
    log.say(format!("tick at {} in {}", clock.now(), scope()));
    out.send(&DONE, &1, 1)?;
    Ok(())
}

#[citizenk::on_event(startup, sends = [DONE], wrap = scoped)]
async fn begin(out: Outbox, app: AppInfo, State(log): State<Log>) -> citizenk::Result<()> {
    log.say(format!(
        "begin {} {} {:?} in {}",
        app.name(),
        app.version(),
        app.base_url(),
        scope()
    ));
    out.send(&DONE, &2, 2)?;
    Ok(())
}

#[test]
fn timers_and_hooks_are_calls_without_records_and_send_what_they_declare() {
    let log = Log::default();
    let app = App::new("p")
        .version("1.2.3")
        .state(log.clone())
        .wrap(log.wrap("app"))
        .register::<begin>()
        .register::<tick>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        app.settle().await;
        app.advance("10s").await;
        assert_eq!(
            log.take(),
            [
                "app > hook `begin` try 1",
                "begin p 1.2.3 None in own",
                "app < ok",
                "app > timer `tick` try 1",
                "tick at 2025-01-01 00:00:10 UTC in own",
                "app < ok",
            ]
        );
        let keys: Vec<_> = app
            .topic(&DONE)
            .sent()
            .iter()
            .map(|sent| sent.key)
            .collect();
        assert_eq!(keys, [Some(2), Some(1)]);
        app.stop().await.unwrap();
    });
}

async fn refuse(call: CallInfo, _next: Next) -> citizenk::Result<Handled> {
    Err(AgentError::new(format!("no {} today", call.kind())))
}

#[citizenk::on_event(startup, wrap = refuse)]
async fn refused() {
    unreachable!("the middleware refuses it");
}

#[test]
fn a_refused_start_up_hook_ends_the_start() {
    block_on(async {
        let error = TestApp::new(App::new("p").register::<refused>())
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "hook `refused` failed: no hook today");
    });
}

#[citizenk::repeat_every("10s", wait_first = true, sends = [DONE], on_error = stop)]
async fn astray(out: Outbox) -> citizenk::Result<()> {
    out.send(&ORDERS, &1, 1)?;
    Ok(())
}

#[citizenk::repeat_every("10s")]
async fn nowhere(_out: Outbox) {}

#[citizenk::on_event(startup)]
async fn nowhere_too(_out: Outbox) {}

#[citizenk::agent(topics = [ORDERS])]
async fn nowhere_either(_order: Event<u32>, _out: Outbox) {}

#[test]
fn an_outbox_sends_only_where_its_component_says() {
    let app = App::new("p")
        .register::<nowhere>()
        .register::<nowhere_too>()
        .register::<nowhere_either>();
    let text = app.check().unwrap_err().to_string();
    for component in [
        "timer `nowhere`",
        "hook `nowhere_too`",
        "agent `nowhere_either`",
    ] {
        let line = format!(
            "{component}: takes an `Outbox`, but names no topic it may send to; add `sends = [TOPIC]`"
        );
        assert!(text.contains(&line), "{text}");
    }
    block_on(async {
        let app = TestApp::new(App::new("p").register::<astray>())
            .start()
            .await
            .unwrap();
        app.advance("10s").await;
        let reason = app.stopped().unwrap();
        assert!(
            reason.contains(
                "topic `orders` is not declared; add it to `sends = [..]` (declared: done)"
            ),
            "{reason}"
        );
        app.stop().await.unwrap_err();
    });
}
