#[derive(
    ::citizenk::__private::serde::Serialize,
    ::citizenk::__private::serde::Deserialize,
    ::citizenk::__private::schemars::JsonSchema
)]
#[serde(crate = "::citizenk::__private::serde")]
#[schemars(crate = "::citizenk::__private::schemars")]
#[serde(tag = "kind")]
pub enum Change {
    Ordered { id: u32 },
    Refunded { id: u32 },
}
const _: () = {
    use ::citizenk::__private as __citizenk;
    #[automatically_derived]
    impl __citizenk::Message for Change {}
};
