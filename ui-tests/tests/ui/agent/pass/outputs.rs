// What may be returned for `output`.
use ui_tests::*;

macro_rules! returning {
    ($($name:ident: $input:ty => $output:ty;)*) => {
        $(
            #[citizenk::agent(topics = [ORDERS], output = ALERTS)]
            async fn $name(input: $input) -> $output {
                drop(input);
                unreachable!("never called")
            }
        )*

        #[test]
        fn they_register() {
            let _ = App::new("test")$(.register::<$name>())*;
        }
    };
}

returning! {
    value: Event<Order> => Alert;
    option: Event<Order> => Option<Alert>;
    many: Event<Order> => Vec<Alert>;
    pair: Event<Order> => (String, Alert);
    result: Event<Order> => citizenk::Result<Alert>;
    result_of_option: Event<Order> => Result<Option<Alert>, std::io::Error>;
    pairs_of_a_batch: Batch<Order> => Vec<(String, Alert)>;
    result_of_a_batch: Batch<Order> => citizenk::Result<Vec<(String, Alert)>>;
}
