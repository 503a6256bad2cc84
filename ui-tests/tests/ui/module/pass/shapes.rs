// Modules nest, also in functions; conditions of their items hold; policies name what is outside.
use ui_tests::{App, RawBytes, Topic};

mod topics {
    pub(super) use ui_tests::DLQ as LETTERS;
}
use topics::LETTERS;

mod outside {
    use citizenk::middleware::{CallInfo, Handled, Next};

    pub(super) async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
        drop(call);
        next.run().await
    }
}

#[citizenk::module(prefix = "/billing", name = "bills", on_error = retry(3, then = dead_letter(LETTERS)), on_decode_error = skip, on_produce_error = stop, wrap = outside::timing)]
mod billing {
    //! Bills.

    use ui_tests::*;

    const LIMITS: [u32; 2] = if cfg!(test) { [1, 2] } else { [3, 4] };

    #[citizenk::agent(topics = [ORDERS])]
    async fn bill(order: Event<Order>) {
        assert!(order.value.id < LIMITS[0]);
    }

    #[cfg(any())]
    #[citizenk::agent(topics = [ORDERS])]
    async fn never(order: Event<Nothing>) {}

    #[citizenk::repeat_every("5s", handle = Report)]
    async fn report() {}

    #[citizenk::route(get = "/")]
    async fn index() {}

    #[citizenk::module(prefix = "/inner")]
    pub(super) mod inner {
        #[citizenk::on_event(startup)]
        async fn starting() {}
    }
}

#[test]
fn they_are_included() {
    let _ = App::new("test").include(billing::module());
    let _ = billing::inner::module();

    #[citizenk::module(on_error = dead_letter(LOCAL))]
    mod local {
        #[citizenk::on_event(shutdown)]
        async fn stopping() {}
    }
    const LOCAL: Topic<RawBytes> = Topic::raw("local");
    let _ = App::new("test").include(local::module());
}
