#[derive(
    ck::__private::serde::Serialize,
    ck::__private::serde::Deserialize,
    ck::__private::schemars::JsonSchema
)]
#[serde(crate = "ck::__private::serde")]
#[schemars(crate = "ck::__private::schemars")]
#[derive(Debug)]
struct Envelope<T: Clone>(
    T,
)
where
    T: Debug;
const _: () = {
    use ck::__private as __citizenk;
    #[automatically_derived]
    impl<T: Clone> __citizenk::Message for Envelope<T>
    where
        T: Debug,
        Envelope<T>: ::core::marker::Send + 'static,
    {}
};
