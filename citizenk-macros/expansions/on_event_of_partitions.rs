async fn joined(partitions: Partitions) {}
/**Registration handle of hook `joined`: `.register::<joined>()`.

| setting | value |
|---|---|
|  | `assigned` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct joined {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for joined {
        fn describe() -> __citizenk::ComponentDef {
            type __Mode = __citizenk::PartitionHook;
            let __b = __citizenk::hook::<
                __Mode,
            >(
                "joined",
                __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
                __citizenk::HookEvent::Assigned,
            );
            type __T0 = Partitions;
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
                                __citizenk::agent_future_must_be_send(joined(__a0)).await,
                            )
                        })
                    },
                ),
            )
        }
    }
};
