/// Counts orders.
pub(crate) async fn orders(order: Event<Order>) {
    count(order);
}
/**Registration handle of agent `orders`: `.register::<orders>()`.

| setting | value |
|---|---|
| topics | `[ORDERS]` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
pub(crate) struct orders {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for orders {
        fn describe() -> __citizenk::ComponentDef {
            type __In = Event<Order>;
            type __Mode = <__In as __citizenk::AgentInput>::Mode;
            let __b = __citizenk::agent::<
                __In,
            >(
                "orders",
                __citizenk::Origin::new(
                    ::core::file!(),
                    ::core::line!(),
                    "Counts orders.",
                ),
            );
            let __b = __b.topic(&ORDERS);
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::handle::<
                    __In,
                    _,
                    _,
                    _,
                    _,
                >(
                    __b,
                    |__cx: &__citizenk::PrepareContext<'_>| ::core::result::Result::Ok(()),
                    |__p, __call: &__citizenk::Call<'_, __Mode>, __in: __In| {
                        ::core::result::Result::Ok(async move {
                            __citizenk::outcome::<
                                __Mode,
                                _,
                            >(__citizenk::agent_future_must_be_send(orders(__in)).await)
                        })
                    },
                ),
            )
        }
    }
    #[automatically_derived]
    impl __citizenk::AgentHandle for orders {
        const NAME: &'static str = "orders";
    }
};
