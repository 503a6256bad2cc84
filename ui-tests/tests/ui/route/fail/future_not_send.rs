// Handlers move between threads; an `Rc` does not.
#[citizenk::route(get = "/orders")]
async fn orders() {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
