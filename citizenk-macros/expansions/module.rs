pub mod billing {
    //! Bills.
    use super::*;
    const LIMITS: [u32; 2] = [1, 2];
    #[citizenk::agent(topics = [ORDERS])]
    async fn bill(order: Event<Order>) {}
    #[cfg(feature = "reports")]
    #[citizenk::repeat_every("5s", handle = Report)]
    async fn report() {}
    fn helper() {}
    #[citizenk::module]
    mod inner {}
    pub(super) enum __CitizenkDefaults {}
    ///Registers what is annotated in module `billing`.
    #[must_use]
    #[allow(unreachable_pub)]
    pub fn module() -> ::citizenk::__private::Module {
        use ::citizenk::__private as __citizenk;
        let __module = __citizenk::Module::new("bills").prefix("/billing");
        let __module = __CitizenkDefaults::apply(__module);
        let __module = __module.register::<bill>();
        #[cfg(feature = "reports")]
        let __module = __module.register::<Report>();
        let __module = __module.include(inner::module());
        __module
    }
}
const _: () = {
    use ::citizenk::__private as __citizenk;
    impl billing::__CitizenkDefaults {
        fn apply(__module: __citizenk::Module) -> __citizenk::Module {
            __module.on_error(__citizenk::Policy::retry(3u32).then_dead_letter(&DLQ))
        }
    }
};
