async fn alert(order: Event<Order>, Key(key): Key<u32>) -> Option<Alert> {
    None
}
/**Registration handle of agent `alert`: `.register::<alert>()`.

| setting | value |
|---|---|
| topics | `[ORDERS]` |
| output | `alerts::ALERTS` |
| group | `none` |
| start | `earliest` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct alert {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for alert {
        fn describe() -> __citizenk::ComponentDef {
            type __In = Event<Order>;
            type __Mode = <__In as __citizenk::AgentInput>::Mode;
            let __b = __citizenk::agent::<
                __In,
            >("alert", __citizenk::Origin::new(::core::file!(), ::core::line!(), ""));
            let __b = __b.topic(&ORDERS);
            let __b = __b.output(&alerts::ALERTS);
            let __b = __b.groupless();
            let __b = __b.start_earliest();
            type __T0 = Key<u32>;
            let __b = __b.requires::<__T0>();
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
                    |__cx: &__citizenk::PrepareContext<'_>| ::core::result::Result::Ok((
                        <__T0 as __citizenk::Extract<__Mode>>::prepare(__cx)?,
                    )),
                    |__p, __call: &__citizenk::Call<'_, __Mode>, __in: __In| {
                        let __a0 = <__T0 as __citizenk::Extract<
                            __Mode,
                        >>::extract(&__p.0, __call)?;
                        let __reply = __citizenk::reply(__call);
                        ::core::result::Result::Ok(async move {
                            let __value = __citizenk::agent_future_must_be_send(
                                    alert(__in, __a0),
                                )
                                .await;
                            __reply.send(&alerts::ALERTS, __value)
                        })
                    },
                ),
            )
        }
    }
    #[automatically_derived]
    impl __citizenk::AgentHandle for alert {
        const NAME: &'static str = "alert";
    }
};
