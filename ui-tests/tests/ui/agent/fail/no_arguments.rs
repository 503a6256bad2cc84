// The records have to go somewhere.
#[citizenk::agent(topics = [ORDERS])]
async fn orders() {}

fn main() {}
