// A number says nothing about success.
#[citizenk::repeat_every("5s")]
async fn report() -> u32 {
    7
}

fn main() {}
