/// Takes events.
async fn submit(
    Path(id): Path<u32>,
    producer: Producer,
    Json(videos): Json<Vec<Video>>,
) -> Result<Json<Accepted>, Problem> {
    answer()
}
/**Registration handle of route `submit`: `.register::<submit>()`.

| setting | value |
|---|---|
| post | `"/events/{id}"` |
| tag | `"events"` |*/
#[allow(
    non_camel_case_types,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub
)]
struct submit {}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Component for submit {
        fn describe() -> __citizenk::ComponentDef {
            <__citizenk::ComponentDef as ::core::convert::From<
                _,
            >>::from(
                __citizenk::web::route(
                    "submit",
                    __citizenk::Origin::new(
                        ::core::file!(),
                        ::core::line!(),
                        "Takes events.",
                    ),
                    __citizenk::web::Method::POST,
                    "/events/{id}",
                    ::core::option::Option::Some("events"),
                    |__request: __citizenk::web::Request| async move {
                        let (mut __parts, __body) = __request.into_parts();
                        let __a0 = match __citizenk::web::part::<Path<u32>>(&mut __parts)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__answer) => return __answer,
                        };
                        let __a1 = match __citizenk::web::part::<Producer>(&mut __parts)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__answer) => return __answer,
                        };
                        let __a2 = match __citizenk::web::last::<
                            Json<Vec<Video>>,
                            _,
                        >(__parts, __body)
                            .await
                        {
                            ::core::result::Result::Ok(__value) => __value,
                            ::core::result::Result::Err(__answer) => return __answer,
                        };
                        let __value = submit(__a0, __a1, __a2).await;
                        __citizenk::web::respond(__value)
                    },
                    |__operation: &mut __citizenk::web::Operation| {
                        #[allow(unused_imports)]
                        {
                            use __citizenk::web::{InputProbe as _, NoInputProbe as _};
                            use __citizenk::web::{NoOutputProbe as _, OutputProbe as _};
                            (&__citizenk::web::Probe::<Path<u32>>::new())
                                .input(__operation);
                            (&__citizenk::web::Probe::<Producer>::new())
                                .input(__operation);
                            (&__citizenk::web::Probe::<Json<Vec<Video>>>::new())
                                .input(__operation);
                            (&__citizenk::web::Probe::<
                                Result<Json<Accepted>, Problem>,
                            >::new())
                                .output(__operation);
                        }
                    },
                ),
            )
        }
    }
};
