// A failed tick is logged, or stops the service.
#[citizenk::repeat_every("5s", on_error = skip)]
async fn report() {}

fn main() {}
