// Every argument of timers and hooks.
use citizenk::middleware::{CallInfo, Handled, Next};
use ui_tests::*;

async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    drop(call);
    next.run().await
}

#[citizenk::repeat_every("5s", wait_first = true, max_repetitions = 10, on_error = log)]
async fn often(State(counter): State<u32>) {
    let _ = counter;
}

#[citizenk::repeat_every("1h", on = owner(ORDERS), on_error = stop)]
async fn hourly(producer: Producer) -> citizenk::Result<()> {
    drop(producer);
    Ok(())
}

#[citizenk::repeat_at("0 6 * * *", tz = "Europe/Rome", on = one, name = "daily-report", sends = [ALERTS], wrap = timing)]
async fn daily(out: Outbox) {
    drop(out);
}

#[citizenk::on_event(startup, sends = [ALERTS, ORDERS], wrap = [timing, timing])]
async fn starting(background: Background) -> std::io::Result<()> {
    drop(background);
    Ok(())
}

#[citizenk::on_event(shutdown, name = "bye")]
async fn stopping() {}

#[citizenk::on_event(assigned)]
async fn joined(partitions: Partitions) {
    drop(partitions);
}

#[citizenk::on_event(revoked, handle = Left)]
async fn left(partitions: Partitions, State(counter): State<u32>) {
    drop((partitions, counter));
}

#[test]
fn they_register() {
    let _ = App::new("test")
        .register::<often>()
        .register::<hourly>()
        .register::<daily>()
        .register::<starting>()
        .register::<stopping>()
        .register::<joined>()
        .register::<Left>();
}
