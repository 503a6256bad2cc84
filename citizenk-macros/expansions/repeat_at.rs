async fn daily() -> citizenk::Result<()> {
    Ok(())
}
/**Registration handle of timer `daily`: `.register::<daily>()`.

| setting | value |
|---|---|
|  | `"0 6 * * *"` |
| tz | `"Europe/Rome"` |
| on | `one` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct daily {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for daily {
        fn describe() -> __citizenk::ComponentDef {
            type __Mode = __citizenk::Tick;
            let __b = __citizenk::timer(
                    "daily",
                    __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
                    __citizenk::Schedule::cron(
                        "0 6 * * *",
                        ::core::option::Option::Some("Europe/Rome"),
                    ),
                )
                .on_one();
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::timer_handle(
                    __b,
                    |__cx: &__citizenk::PrepareContext<'_>| ::core::result::Result::Ok(()),
                    |__p, __call: &__citizenk::Call<'_, __Mode>| {
                        ::core::result::Result::Ok(async move {
                            __citizenk::task_outcome(
                                __citizenk::agent_future_must_be_send(daily()).await,
                            )
                        })
                    },
                ),
            )
        }
    }
};
