async fn report(State(counts): State<Counts>) {}
/**Registration handle of timer `report`: `.register::<report>()`.

| setting | value |
|---|---|
|  | `"5s"` |
| wait_first | `true` |
| max_repetitions | `10` |
| on_error | `stop` |
| on | `owner(ORDERS)` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct report {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for report {
        fn describe() -> __citizenk::ComponentDef {
            type __Mode = __citizenk::Tick;
            let __b = __citizenk::timer(
                    "report",
                    __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
                    __citizenk::Schedule::every(__citizenk::millis(5000u64)),
                )
                .wait_first(true)
                .max_repetitions(10u64)
                .stop_on_error()
                .on_owner(&ORDERS);
            type __T0 = State<Counts>;
            let __b = __b.requires::<__T0>();
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::timer_handle(
                    __b,
                    |__cx: &__citizenk::PrepareContext<'_>| ::core::result::Result::Ok((
                        <__T0 as __citizenk::Extract<__Mode>>::prepare(__cx)?,
                    )),
                    |__p, __call: &__citizenk::Call<'_, __Mode>| {
                        let __a0 = <__T0 as __citizenk::Extract<
                            __Mode,
                        >>::extract(&__p.0, __call)?;
                        ::core::result::Result::Ok(async move {
                            __citizenk::task_outcome(
                                __citizenk::agent_future_must_be_send(report(__a0)).await,
                            )
                        })
                    },
                ),
            )
        }
    }
};
