#[cfg(feature = "orders")]
async fn orders(
    Batch(orders): Batch<Event<Order>>,
    State(db): State<Db>,
    mut out: Outbox,
) -> citizenk::Result<()> {
    Ok(())
}
#[cfg(feature = "orders")]
/**Registration handle of agent `orders`: `.register::<Orders>()`.

| setting | value |
|---|---|
| topics | `[ORDERS, REFUNDS.as_input::<Order>()]` |
| batch_size | `100` |
| batch_timeout | `"200ms"` |
| sends | `[ALERTS]` |
| on_decode_error | `dead_letter(DLQ)` |
| on_error | `retry(5, backoff = "100ms..10s", then = retry_topics(["30s", "10m"], then = dead_letter(DLQ)))` |
| on_produce_error | `stop` |
| timeout | `"20s"` |
| concurrency | `8` |
| blocking | `true` |
| name | `"all-orders"` |
| group | `"audit"` |
| start | `latest` |
| after | `[cache]` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct Orders {}
#[cfg(feature = "orders")]
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for Orders {
        fn describe() -> __citizenk::ComponentDef {
            type __In = Batch<Event<Order>>;
            type __Mode = <__In as __citizenk::AgentInput>::Mode;
            let __b = __citizenk::agent::<
                __In,
            >(
                "all-orders",
                __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
            );
            let __b = __b.topic(&ORDERS);
            let __b = __b.input(REFUNDS.as_input::<Order>());
            let __b = __b.batch_timeout(__citizenk::millis(200u64));
            let __b = __b.sends(&ALERTS);
            let __b = __b.on_decode_error(__citizenk::Policy::dead_letter(&DLQ));
            let __b = __b
                .on_error(
                    __citizenk::Policy::retry(5u32)
                        .backoff(
                            __citizenk::millis(100u64),
                            __citizenk::millis(10000u64),
                        )
                        .then_retry_topics([
                            __citizenk::millis(30000u64),
                            __citizenk::millis(600000u64),
                        ])
                        .then_dead_letter(&DLQ),
                );
            let __b = __b.on_produce_error(__citizenk::Policy::stop());
            let __b = __b.timeout(__citizenk::millis(20000u64));
            let __b = __b.concurrency(8);
            let __b = __b.blocking(true);
            let __b = __b.group("audit");
            let __b = __b.start_latest();
            let __b = __b.after::<cache>();
            let __b = __citizenk::batch_size::<__In>(__b, 100);
            type __T0 = State<Db>;
            let __b = __b.requires::<__T0>();
            type __T1 = Outbox;
            let __b = __b.requires::<__T1>();
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
                        <__T1 as __citizenk::Extract<__Mode>>::prepare(__cx)?,
                    )),
                    |__p, __call: &__citizenk::Call<'_, __Mode>, __in: __In| {
                        let __a0 = <__T0 as __citizenk::Extract<
                            __Mode,
                        >>::extract(&__p.0, __call)?;
                        let __a1 = <__T1 as __citizenk::Extract<
                            __Mode,
                        >>::extract(&__p.1, __call)?;
                        ::core::result::Result::Ok(async move {
                            __citizenk::outcome::<
                                __Mode,
                                _,
                            >(
                                __citizenk::agent_future_must_be_send(
                                        orders(__in, __a0, __a1),
                                    )
                                    .await,
                            )
                        })
                    },
                ),
            )
        }
    }
    #[automatically_derived]
    impl __citizenk::AgentHandle for Orders {
        const NAME: &'static str = "all-orders";
    }
};
