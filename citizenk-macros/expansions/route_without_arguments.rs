async fn index() -> impl IntoResponse {
    "hello"
}
/**Registration handle of route `index`: `.register::<index>()`.

| setting | value |
|---|---|
| get | `"/"` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct index {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for index {
        fn describe() -> __citizenk::ComponentDef {
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::web::route(
                    "index",
                    __citizenk::Origin::new(::core::file!(), ::core::line!(), ""),
                    __citizenk::web::Method::GET,
                    "/",
                    ::core::option::Option::None,
                    |__request: __citizenk::web::Request| async move {
                        let __value = index().await;
                        __citizenk::web::respond(__value)
                    },
                    |__operation: &mut __citizenk::web::Operation| {
                        #[allow(unused_imports)] {}
                    },
                ),
            )
        }
    }
};
