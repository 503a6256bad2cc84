// A number says nothing about success.
#[citizenk::on_event(startup)]
async fn warm_up() -> u32 {
    7
}

fn main() {}
