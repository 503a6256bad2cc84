//! What looks wrong but is right: `tests/ui/<attribute>/pass/*.rs`, compiled as modules of one program,
//! which is one link instead of twenty, and run.

// The library under another name, for `renamed_crate`.
extern crate citizenk as ck;

macro_rules! cases {
    ($($name:ident: $path:literal;)*) => {
        $(
            #[path = $path]
            mod $name;
        )*

        /// A file that nobody lists would never be compiled.
        #[test]
        fn every_case_is_listed() {
            let listed = [$($path),*];
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
            for attribute in std::fs::read_dir(root.join("ui")).unwrap() {
                let Ok(cases) = std::fs::read_dir(attribute.unwrap().path().join("pass")) else {
                    continue;
                };
                for case in cases {
                    let path = case.unwrap().path();
                    let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                    assert!(listed.contains(&path.as_str()), "{path} is not in tests/pass.rs");
                }
            }
        }
    };
}

cases! {
    agent_alias_of_batch: "ui/agent/pass/alias_of_batch.rs";
    agent_argument_patterns: "ui/agent/pass/argument_patterns.rs";
    agent_called_directly: "ui/agent/pass/called_directly.rs";
    agent_conditional: "ui/agent/pass/conditional.rs";
    agent_every_argument: "ui/agent/pass/every_argument.rs";
    agent_in_a_function_body: "ui/agent/pass/in_a_function_body.rs";
    agent_in_two_apps: "ui/agent/pass/in_two_apps.rs";
    agent_live_clients: "ui/agent/pass/live_clients.rs";
    agent_made_by_macro_rules: "ui/agent/pass/made_by_macro_rules.rs";
    agent_names_that_collide: "ui/agent/pass/names_that_collide.rs";
    agent_outcomes: "ui/agent/pass/outcomes.rs";
    agent_outputs: "ui/agent/pass/outputs.rs";
    agent_raw_identifier: "ui/agent/pass/raw_identifier.rs";
    agent_renamed_crate: "ui/agent/pass/renamed_crate.rs";
    agent_strict_lints: "ui/agent/pass/strict_lints.rs";
    agent_tombstones: "ui/agent/pass/tombstones.rs";
    agent_topics_of_two_types: "ui/agent/pass/topics_of_two_types.rs";
    agent_without_prelude: "ui/agent/pass/without_prelude.rs";
    message_shapes: "ui/message/pass/shapes.rs";
    module_shapes: "ui/module/pass/shapes.rs";
    repeat_every_shapes: "ui/repeat_every/pass/shapes.rs";
    route_shapes: "ui/route/pass/shapes.rs";
    topic_router_shapes: "ui/topic_router/pass/shapes.rs";
    websocket_in_shapes: "ui/websocket_in/pass/shapes.rs";
}
