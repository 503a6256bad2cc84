use super::*;
use axum::http::Method;

#[derive(Deserialize, JsonSchema)]
struct Page {
    limit: u32,
    #[serde(default)]
    after: Option<String>,
}

/// As `#[citizenk::route]` expands it.
fn typed(path: &'static str) -> RouteDef {
    async fn handler(
        Path(id): Path<u32>,
        Query(page): Query<Page>,
        Json(video): Json<Video>,
    ) -> Result<Json<Video>, Problem> {
        if id == 0 {
            return Err(Problem::conflict("there is no camera 0").field("id"));
        }
        Ok(Json(Video {
            camera_id: id,
            path: format!("{}{:?}{:?}", video.path, page.limit, page.after),
            tags: Vec::new(),
        }))
    }
    route(
        "replace",
        Origin::new("src/main.rs", 3, "Replaces a video.\n\nAll of it."),
        Method::PUT,
        path,
        Some("Videos"),
        |request| async move {
            let (mut parts, body) = request.into_parts();
            let first = match part::<Path<u32>>(&mut parts).await {
                Ok(value) => value,
                Err(response) => return response,
            };
            let second = match part::<Query<Page>>(&mut parts).await {
                Ok(value) => value,
                Err(response) => return response,
            };
            let third = match last::<Json<Video>, _>(parts, body).await {
                Ok(value) => value,
                Err(response) => return response,
            };
            respond(handler(first, second, third).await)
        },
        |operation| {
            Probe::<Path<u32>>::new().input(operation);
            Probe::<Query<Page>>::new().input(operation);
            Probe::<Json<Video>>::new().input(operation);
            Probe::<Result<Json<Video>, Problem>>::new().output(operation);
        },
    )
}

fn put(path: &str, body: &str) -> Request<Body> {
    Request::put(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn a_typed_route_answers_and_names_what_is_wrong() {
    let router = Parts {
        routes: vec![typed("/cameras/{id}")],
        ..Parts::default()
    }
    .router();
    let good = ask(&router, put("/cameras/3?limit=2", VIDEO)).await.ok();
    assert_eq!(good["camera_id"], 3);
    assert_eq!(good["path"], "/a2None");
    for (path, body, status, field) in [
        ("/cameras/0?limit=2", VIDEO, 409, "id"),
        ("/cameras/x?limit=2", VIDEO, 400, "id"),
        ("/cameras/3", VIDEO, 400, "limit"),
        ("/cameras/3?limit=many", VIDEO, 400, "limit"),
        (
            "/cameras/3?limit=2",
            r#"{"camera_id": 1, "path": 5}"#,
            422,
            "path",
        ),
        ("/cameras/3?limit=2", r#"{"camera_id": 1}"#, 422, "path"),
    ] {
        let problem = ask(&router, put(path, body)).await.problem(status);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let broken = ask(&router, put("/cameras/3?limit=2", "{\n\"camera_id\" 1}"))
        .await
        .problem(400);
    assert!(
        broken["detail"].as_str().unwrap().contains("line 2"),
        "{broken}"
    );
    ask(&router, put("/cameras/3?limit=2", ""))
        .await
        .problem(400);
    let untyped = Request::put("/cameras/3?limit=2")
        .body(Body::from(VIDEO))
        .unwrap();
    ask(&router, untyped).await.problem(415);
    let large = put("/cameras/3?limit=2", &" ".repeat(1_100_000));
    ask(&router, large).await.problem(413);
    let wrong_method = get(&router, "/cameras/3").await;
    wrong_method.problem(405);
    assert_eq!(wrong_method.header("allow"), "PUT");
}

#[test]
fn a_route_of_a_module_moves_behind_its_prefix() {
    let route = plain_route("a", Method::GET, "/x").prefixed("/billing");
    assert_eq!(route.path, "/billing/x");
    let root = plain_route("a", Method::GET, "/").prefixed("/billing");
    assert_eq!(root.path, "/billing");
}

#[tokio::test]
async fn the_root_below_a_prefix_may_have_a_slash() {
    let root = |axum::extract::RawQuery(query): axum::extract::RawQuery,
                path: axum::extract::NestedPath| async move {
        format!("{} {}", path.as_str(), query.unwrap_or_default())
    };
    let router = Parts {
        config: WebConfig {
            prefix: "/a/b".into(),
            ..WebConfig::default()
        },
        routers: vec![Router::new().route("/", axum::routing::get(root)).into()],
        ..Parts::default()
    }
    .router();
    for path in ["/a/b", "/a/b/"] {
        let answer = get(&router, &format!("{path}?x=1")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (200, "/a/b x=1"),
            "{path}"
        );
        let refused = post(&router, path, "").await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), "GET,HEAD");
    }
    for path in ["/a/b/c/", "/a", "/"] {
        get(&router, path).await.problem(404);
    }
}

#[tokio::test]
async fn routers_and_layers_of_the_service_are_served() {
    let plain = Router::new()
        .route(
            "/plain/{id}",
            axum::routing::get(|Path(id): Path<u32>| async move { id.to_string() }),
        )
        .route(
            "/bare",
            axum::routing::get(|| async { StatusCode::IM_A_TEAPOT }),
        )
        .route(
            "/attached",
            axum::routing::get(
                |axum::Extension(text): axum::Extension<&'static str>| async move { text },
            ),
        )
        .route(
            "/upload",
            axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() })
                .layer(axum::extract::DefaultBodyLimit::max(3_000_000)),
        );
    let spa = Router::new().fallback(|| async { axum::response::Html("<p>app</p>") });
    let layer = axum::middleware::map_response(|mut response: Response| async move {
        response
            .headers_mut()
            .insert("x-layer", header::HeaderValue::from_static("1"));
        response
    });
    let router = Parts {
        config: WebConfig {
            prefix: "/api".into(),
            ..WebConfig::default()
        },
        routes: vec![typed("/cameras/{id}")],
        routers: vec![plain.into(), spa.into()],
        layers: vec![WebLayer::new(layer)],
    }
    .router();
    let plain = get(&router, "/api/plain/5").await;
    assert_eq!((plain.text.as_str(), plain.header("x-layer")), ("5", "1"));
    get(&router, "/api/bare").await.problem(418);
    assert_eq!(get(&router, "/api/attached").await.text, "attached");
    assert_eq!(get(&router, "/api/anything").await.text, "<p>app</p>");
    assert_eq!(get(&router, "/api/info").await.header("x-layer"), "1");
    assert_eq!(get(&router, "/api/health/live").await.header("x-layer"), "");
    assert_eq!(
        post(&router, "/api/upload", &" ".repeat(2_000_000))
            .await
            .text,
        "2000000"
    );
    ask(&router, put("/api/cameras/1?limit=1", VIDEO))
        .await
        .ok();
}

#[test]
fn clashes_and_impossible_paths_are_issues_and_not_panics() {
    let get = |name: &str, path: &str| plain_route(name, Method::GET, path);
    let ok = Parts {
        routes: vec![
            get("a", "/a"),
            plain_route("b", Method::POST, "/a"),
            get("c", "/a/{x}"),
            get("d", "/{*rest}"),
        ],
        ..Parts::default()
    };
    assert!(ok.issues().is_empty());

    let issues = Parts {
        routes: vec![
            get("first", "/a"),
            get("again", "/a"),
            get("named", "/b/{x}"),
            get("other", "/b/{y}"),
            get("taken", "/info"),
            plain_route("shadowed", Method::PUT, "/topics/special"),
            get("docs", "/docs/guide"),
            get("relative", "x"),
            get("old", "/c/:id"),
            get("twice", "/d/{x}/{x}"),
            get("unclosed", "/e/{x"),
            plain_route("connect", Method::CONNECT, "/f"),
            plain_route("purge", Method::from_bytes(b"PURGE").unwrap(), "/f"),
        ],
        ..Parts::default()
    }
    .issues();
    for (issue, expected) in issues.iter().zip([
        "route `again`: GET /a is already served by route `first` (src/main.rs:12)",
        "route `other`: path `/b/{y}` cannot be told from `/b/{x}` of route `named`",
        "route `taken`: path `/info` belongs to the automatic endpoint `/info`; choose another path",
        "route `shadowed`: path `/topics/special` belongs to the automatic endpoint `/topics/{topic}`",
        "route `docs`: path `/docs/guide` belongs to the automatic endpoint `/docs/{*file}`",
        "route `relative`: path `x` does not begin with `/`",
        "route `old`: path `/c/:id`: write the parameter `:id` as `{id}`",
        "route `twice`: path `/d/{x}/{x}` has the parameter `x` twice",
        "route `unclosed`: path `/e/{x`: ",
        "route `connect`: method CONNECT cannot be routed",
        "route `purge`: method PURGE cannot be routed",
    ]) {
        assert!(issue.starts_with(expected), "{issue}\n{expected}");
    }
    assert_eq!(issues.len(), 11, "{issues:#?}");
}

#[test]
fn routers_are_checked_as_far_as_they_can_be_seen() {
    let router = |path: &str| Router::new().route(path, axum::routing::get(|| async {}));
    let issues = Parts {
        routes: vec![plain_route("mine", Method::GET, "/mine")],
        routers: vec![
            router("/stats").into(),
            router("/x/{a}").into(),
            router("/x/{b}").into(),
        ],
        ..Parts::default()
    }
    .issues();
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert!(issues[0].starts_with("router 1 of `.routes(..)`: path `/stats` belongs to"));
    assert!(issues[1].starts_with("router 3 of `.routes(..)`: path `/x/{b}` cannot be told"));
    // Methods of a plain router cannot be seen; axum's own words then.
    let issues = Parts {
        routes: vec![plain_route("mine", Method::GET, "/mine")],
        routers: vec![router("/mine").into()],
        ..Parts::default()
    }
    .issues();
    assert!(issues[0].contains("/mine"), "{issues:?}");
    let free = Parts {
        config: WebConfig {
            auto: false,
            ..WebConfig::default()
        },
        routers: vec![router("/stats").into()],
        ..Parts::default()
    };
    assert!(free.issues().is_empty());
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_without_its_text() {
    async fn handler() -> &'static str {
        panic!("s3cret")
    }
    let panics = Router::new().route("/panics", axum::routing::get(handler));
    let parts = Parts {
        routers: vec![panics.into()],
        ..Parts::default()
    };
    let plan = parts.plan();
    let here = tokio::runtime::Handle::current();
    for executor in [None, Some(here)] {
        let router = plan.router(
            Arc::new(Fake::new()),
            surroundings(Exposure::Test, executor),
        );
        let answer = get(&router, "/panics").await;
        answer.problem(500);
        assert!(!answer.text.contains("s3cret"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_handler() {
    let (started, mut starts) = tokio::sync::mpsc::channel(1);
    let (ended, mut ends) = tokio::sync::mpsc::channel::<()>(1);
    let held = std::sync::Mutex::new(Some(ended));
    let held = Arc::new(held);
    let slow = Router::new().route(
        "/slow",
        axum::routing::get(move || {
            let (started, held) = (started.clone(), held.clone());
            async move {
                let _held = held.lock().unwrap().take();
                started.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }
        }),
    );
    let parts = Parts {
        routers: vec![slow.into()],
        ..Parts::default()
    };
    let here = tokio::runtime::Handle::current();
    let router = parts.plan().router(
        Arc::new(Fake::new()),
        surroundings(Exposure::Test, Some(here)),
    );
    let client = tokio::spawn(async move { get(&router, "/slow").await.status });
    starts.recv().await.unwrap();
    client.abort();
    // The handler's sender is dropped with it.
    assert_eq!(ends.recv().await, None);
}

#[tokio::test]
async fn a_streamed_answer_is_relayed_whole() {
    let streams = Router::new().route(
        "/stream",
        axum::routing::get(|| async {
            let parts = ["a", "b", "c"].map(Ok::<_, std::io::Error>);
            Body::from_stream(futures_util::stream::iter(parts))
        }),
    );
    let parts = Parts {
        routers: vec![streams.into()],
        ..Parts::default()
    };
    let here = tokio::runtime::Handle::current();
    let router = parts.plan().router(
        Arc::new(Fake::new()),
        surroundings(Exposure::Test, Some(here)),
    );
    assert_eq!(get(&router, "/stream").await.text, "abc");
}

#[test]
fn problems_are_documents() {
    let problem = Problem::unprocessable("two values are wrong")
        .kind("https://example.com/problems/values")
        .title("Wrong values")
        .instance("/orders/7")
        .error("a", "too small")
        .error("b[0]", "too large")
        .with("status", 999)
        .with("hint", "see the docs");
    assert_eq!(
        problem.to_string(),
        "422 Wrong values: two values are wrong"
    );
    assert_eq!(problem.member("field").unwrap(), "a");
    assert_eq!(problem.member("errors").unwrap()[1]["field"], "b[0]");
    assert_eq!(problem.member("status"), None);
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
    is_error::<Problem>();
}
