pub fn orders(order: Event<Order>) {}
/**Registration handle of agent `orders`: `.register::<orders>()`.

| setting | value |
|---|---|
| topic | `[ORDERS]` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
pub struct orders {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for orders {
        fn describe() -> __citizenk::ComponentDef {
            __citizenk::ComponentDef::broken()
        }
    }
    #[automatically_derived]
    impl __citizenk::AgentHandle for orders {
        const NAME: &'static str = "orders";
    }
};
::core::compile_error! {
    "unknown argument `topic` for `#[agent]`\nhelp: did you mean `topics`?\nsupported: topics, batch_size, batch_timeout, output, sends, on_decode_error, on_error, on_produce_error, guarantee, timeout, concurrency, blocking, group, start, after, wrap, websocket, events, filter, slow_client, name, handle, crate"
}
::core::compile_error! {
    "agent `orders` must be an `async fn`"
}
