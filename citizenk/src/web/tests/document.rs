use super::*;
use std::collections::BTreeSet;

/// Another `Video`, as utoipa documents it.
mod theirs {
    use super::*;

    #[derive(Serialize, utoipa::ToSchema)]
    pub(super) struct Video {
        length: f64,
    }

    /// Lists videos.
    #[utoipa::path(get, path = "/theirs", tag = "Theirs", responses((status = 200, body = Video)))]
    pub(super) async fn get_info() -> axum::Json<Video> {
        axum::Json(Video { length: 1.0 })
    }
}

mod twin {
    use super::*;

    // Equal to the other one in all but the type; a doc comment would be part of its schema.
    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Video {
        camera_id: u32,
        path: String,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Holder {
        pub(super) video: Video,
        pub(super) parent: Option<Box<Holder>>,
    }
}

mod different {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub(super) struct Video {
        pub(super) title: String,
    }
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Place {
    /// Which camera.
    id: u32,
    shelf: String,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only described")]
struct Page {
    /// How many.
    limit: u32,
    after: Option<String>,
}

/// Documents nothing.
struct Silent;

fn parts() -> Parts {
    let described = |name, method, path, describe| {
        route(
            name,
            Origin::new(
                "src/main.rs",
                3,
                "Says what it does\nin two lines.\n\nAnd more.",
            ),
            method,
            path,
            Some("Mine"),
            |_| async { ().into_response() },
            describe,
        )
    };
    use axum::http::Method;
    Parts {
        routes: vec![
            described(
                "place",
                Method::PUT,
                "/cameras/{id}/{shelf}/{*rest}",
                |op| {
                    Probe::<Path<Place>>::new().input(op);
                    Probe::<Option<Query<Page>>>::new().input(op);
                    (&Probe::<Silent>::new()).input(op);
                    Probe::<Json<twin::Holder>>::new().input(op);
                    Probe::<Result<(StatusCode, Json<different::Video>), Problem>>::new()
                        .output(op);
                },
            ),
            described("send_to_topic", Method::GET, "/mine", |op| {
                (&Probe::<Silent>::new()).output(op);
            }),
            described("pair", Method::GET, "/pair/{a}/{b}", |op| {
                Probe::<Path<(u32, String)>>::new().input(op);
                Probe::<String>::new().output(op);
            }),
        ],
        routers: vec![
            utoipa_axum::router::OpenApiRouter::new()
                .routes(utoipa_axum::routes!(theirs::get_info))
                .into(),
        ],
        config: WebConfig {
            prefix: "/api".into(),
            token: Some(Token::new("t")),
            ..WebConfig::default()
        },
        ..Parts::default()
    }
}

fn each<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str, &'a Value)) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                visit(key, value);
                each(value, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
        _ => {}
    }
}

#[test]
fn the_document_keeps_openapis_rules() {
    let plan = parts().plan();
    let document = plan.openapi();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["license"]["name"], "Apache-2.0");
    assert_eq!(document["info"]["version"], "1.2.3");
    assert_eq!(document["servers"], json!([{ "url": "/api" }]));

    each(document, &mut |key, value| {
        if key == "$ref" {
            let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(
                document.pointer(pointer).is_some(),
                "{pointer} leads nowhere"
            );
        }
    });

    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        let names: BTreeSet<&str> = path
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            let parameters = operation.get("parameters").and_then(Value::as_array);
            let declared: Vec<&str> = parameters
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| {
                    assert_eq!(parameter["required"], true);
                    parameter["name"].as_str().unwrap()
                })
                .collect();
            assert_eq!(declared.len(), names.len(), "{method} {path}");
            assert_eq!(
                declared.into_iter().collect::<BTreeSet<_>>(),
                names,
                "{path}"
            );
            assert!(!operation["responses"].as_object().unwrap().is_empty());
            for (_, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path}");
            }
        }
    }
    for section in document["components"].as_object().unwrap().values() {
        for name in section.as_object().unwrap().keys() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            assert!(name.chars().all(allowed), "{name}");
        }
    }
    assert_eq!(
        document.to_string(),
        parts().plan().openapi().to_string(),
        "the same app gives the same document"
    );
}

#[test]
fn topics_and_agents_have_paths_of_their_own() {
    let plan = parts().plan();
    let paths = &plan.openapi()["paths"];
    let send = &paths["/topics/videos"]["post"];
    assert_eq!(
        send["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Video"
    );
    assert_eq!(send["security"], json!([{ "bearer": [] }]));
    assert!(
        paths["/topics/frames"]["post"]["requestBody"]["content"]["application/octet-stream"]
            .is_object()
    );
    assert_eq!(
        paths["/agents/process/videos"]["post"]["requestBody"]["content"]["application/json"]["schema"]
            ["$ref"],
        "#/components/schemas/Video"
    );
    let general = &paths["/topics/{topic}"]["post"]["parameters"][0];
    assert_eq!(
        general["schema"]["enum"],
        json!(["videos", "frames", "__secret"])
    );
    for status in [
        "200", "400", "401", "403", "404", "413", "415", "422", "503", "504", "default",
    ] {
        assert!(send["responses"][status].is_object(), "{status}");
    }
}

#[test]
fn routes_are_described_by_their_types() {
    let plan = parts().plan();
    let document = plan.openapi();
    let place = &document["paths"]["/cameras/{id}/{shelf}/{rest}"]["put"];
    assert_eq!(place["summary"], "Says what it does in two lines.");
    assert_eq!(place["description"], "And more.");
    assert_eq!(place["tags"], json!(["Mine"]));
    let parameters = place["parameters"].as_array().unwrap();
    let find = |name: &str| parameters.iter().find(|p| p["name"] == name).unwrap();
    assert_eq!(find("id")["schema"]["type"], "integer");
    assert_eq!(find("id")["description"], "Which camera.");
    assert_eq!(find("rest")["schema"]["type"], "string");
    assert_eq!(find("limit")["in"], "query");
    assert_eq!(find("limit")["required"], false, "all of it is optional");
    assert!(place["responses"]["2XX"]["content"]["application/json"].is_object());
    assert!(place["responses"]["default"]["content"]["application/problem+json"].is_object());
    let pair = document["paths"]["/pair/{a}/{b}"]["get"]["parameters"]
        .as_array()
        .unwrap();
    assert_eq!(pair[0]["schema"]["type"], "integer");
    assert_eq!(pair[1]["name"], "b");
    // The user's name stays; the automatic endpoint of that name gives way.
    assert_eq!(
        document["paths"]["/mine"]["get"]["operationId"],
        "send_to_topic"
    );
    assert_eq!(
        document["paths"]["/topics/{topic}"]["post"]["operationId"],
        "send_to_topic_2"
    );
    assert_eq!(
        document["paths"]["/theirs"]["get"]["operationId"],
        "get_info"
    );
}

#[test]
fn schemas_of_one_name_are_joined_or_renamed() {
    let plan = parts().plan();
    let document = plan.openapi();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let videos: Vec<_> = schemas
        .keys()
        .filter(|name| name.starts_with("Video"))
        .collect();
    // The topic's with its twin, the different one, and utoipa's.
    assert_eq!(videos.len(), 3, "{videos:?}");
    assert_eq!(
        schemas["Holder"]["properties"]["video"]["$ref"],
        "#/components/schemas/Video"
    );
    assert!(schemas["Video"]["properties"]["camera_id"].is_object());
    let theirs = &document["paths"]["/theirs"]["get"]["responses"]["200"];
    let name = theirs["content"]["application/json"]["schema"]["$ref"]
        .as_str()
        .unwrap();
    let schema = document.pointer(name.strip_prefix('#').unwrap()).unwrap();
    assert!(schema["properties"]["length"].is_object(), "{name}");
    assert_ne!(name, "#/components/schemas/Video");
}

#[test]
fn switched_off_endpoints_are_not_described() {
    let mut parts = parts();
    parts.config.auto = false;
    let plan = parts.plan();
    let paths = plan.openapi()["paths"].as_object().unwrap();
    let names: Vec<_> = paths.keys().map(String::as_str).collect();
    assert!(names.contains(&"/mine") && names.contains(&"/health/live"));
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("/topics") || *name == "/info")
    );
}

/// For a validator that is not ours: `WRITE_OPENAPI=file cargo test -p citizenk --lib web`.
#[test]
fn the_document_can_be_written_for_a_validator() {
    if let Some(file) = std::env::var_os("WRITE_OPENAPI") {
        let text = serde_json::to_string_pretty(parts().plan().openapi()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}
