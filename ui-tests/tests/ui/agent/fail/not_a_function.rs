// Only a function can be called with records.
#[citizenk::agent(topics = [ORDERS])]
struct Orders;

fn main() {}
