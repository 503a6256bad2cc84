async fn warm_up(State(counts): State<Counts>) -> citizenk::Result<()> {
    Ok(())
}
/**Registration handle of hook `warm_up`: `.register::<warm_up>()`.

| setting | value |
|---|---|
|  | `startup` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct warm_up {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for warm_up {
        fn describe() -> __citizenk::ComponentDef {
            type __Mode = __citizenk::Hook;
            let __b = __citizenk::hook::<
                __Mode,
            >(
                "warm_up",
                __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
                __citizenk::HookEvent::Startup,
            );
            type __T0 = State<Counts>;
            let __b = __b.requires::<__T0>();
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::hook_handle(
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
                                __citizenk::agent_future_must_be_send(warm_up(__a0)).await,
                            )
                        })
                    },
                ),
            )
        }
    }
};
