//! The bridge without a broker.

use bridge::{BridgeStatus, COPIES, ClusterTopics, ORDERS, Order};
use citizenk::testing::TestApp;
use serde_json::{Value, json};

fn push(app: &TestApp, id: u64, country: &str) {
    let country = country.to_owned();
    let order = Order {
        id,
        country,
        amount: 10 * id,
    };
    app.topic(&ORDERS).push(&id, order);
}

fn italy() -> Value {
    json!({
        "name": "italy",
        "source": "left/orders",
        "target": "right/orders",
        "filter": " country=\"IT\" ",
    })
}

fn copied(app: &TestApp) -> Vec<u64> {
    let sent = app.topic(&COPIES).sent();
    let mut ids: Vec<u64> = sent.into_iter().filter_map(|order| order.key).collect();
    ids.sort_unstable();
    ids
}

async fn bridges(app: &TestApp) -> Vec<BridgeStatus> {
    app.get("/bridges").await.json()
}

#[tokio::test]
async fn a_bridge_comes_pauses_goes_on_and_goes() -> citizenk::Result<()> {
    let app = TestApp::new(bridge::app)
        .partitions(&COPIES, 3)
        .start()
        .await?;
    let clusters: Vec<ClusterTopics> = app.get("/clusters").await.json();
    let expected = ["left", "right"].map(|name| ClusterTopics {
        name: name.to_owned(),
        topics: vec!["orders".to_owned()],
        error: None,
    });
    assert_eq!(clusters, expected);
    push(&app, 1, "IT");
    push(&app, 2, "DE");

    let started = app.post("/bridges", &italy()).await;
    assert_eq!(started.status, 200, "{}", started.body);
    let started: BridgeStatus = started.json();
    assert_eq!(started.bridge.filter.as_deref(), Some("country = \"IT\""));
    app.settle().await;
    assert_eq!(copied(&app), [1]);

    let paused: BridgeStatus = app.post("/bridges/italy/pause", &()).await.json();
    assert_eq!(paused.state, "paused");
    push(&app, 3, "IT");
    app.settle().await;
    assert_eq!(copied(&app), [1]);
    let resumed: BridgeStatus = app.post("/bridges/italy/resume", &()).await.json();
    assert_eq!(resumed.state, "running");
    app.settle().await;
    assert_eq!(copied(&app), [1, 3]);
    let status = bridges(&app).await;
    assert_eq!((status[0].read, status[0].copied), (3, 2));

    assert_eq!(
        app.request("DELETE", "/bridges/italy", None).await.status,
        200
    );
    assert!(bridges(&app).await.is_empty());
    push(&app, 4, "IT");
    app.settle().await;
    assert_eq!(copied(&app), [1, 3]);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn bad_input_is_answered_with_a_problem_that_names_the_field() -> citizenk::Result<()> {
    let app = TestApp::new(bridge::app).start().await?;
    let with = |changes: Value| {
        let mut form = italy();
        for (key, value) in changes.as_object().into_iter().flatten() {
            form[key] = value.clone();
        }
        form
    };
    for (changes, field, part) in [
        (
            json!({ "source": "left/oders" }),
            "source",
            "no topic `oders`",
        ),
        (
            json!({ "source": "orders" }),
            "source",
            "is not CLUSTER/TOPIC",
        ),
        (
            json!({ "target": "up/orders" }),
            "target",
            "no cluster `up`; there are left, right",
        ),
        (
            json!({ "target": "left/orders" }),
            "target",
            "come back to it",
        ),
        (
            json!({ "filter": "country = IT" }),
            "filter",
            "texts need quotes",
        ),
        (json!({ "name": "a b" }), "name", "letters, digits"),
        (json!({ "start": "soon" }), "start", "soon"),
    ] {
        let answer = app.post("/bridges", &with(changes)).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(
            answer.content_type.as_deref(),
            Some("application/problem+json")
        );
        let problem: Value = answer.json();
        assert_eq!(problem["field"], field, "{problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(part), "{part}: {problem}");
    }
    assert_eq!(app.post("/bridges", &italy()).await.status, 200);
    assert_eq!(app.post("/bridges", &italy()).await.status, 409);
    let back = json!({ "name": "back", "source": "right/orders", "target": "left/orders" });
    assert_eq!(app.post("/bridges", &back).await.status, 422, "a circle");
    assert_eq!(app.post("/bridges/rome/pause", &()).await.status, 404);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn a_cluster_that_is_down_is_said_and_its_bridges_wait() -> citizenk::Result<()> {
    let app = TestApp::new(bridge::app).start().await?;
    assert_eq!(app.post("/bridges", &italy()).await.status, 200);
    app.cluster_available("right", false);
    push(&app, 1, "IT");
    app.settle().await;
    let clusters: Vec<ClusterTopics> = app.get("/clusters").await.json();
    assert!(clusters[0].error.is_none() && clusters[1].error.is_some());
    let other = json!({ "name": "other", "source": "left/orders", "target": "right/orders" });
    assert_eq!(app.post("/bridges", &other).await.status, 503);
    app.cluster_available("right", true);
    app.advance("10s").await;
    assert_eq!(copied(&app), [1]);
    Ok(app.stop().await?)
}

#[tokio::test]
async fn bridges_are_kept_in_the_file() -> citizenk::Result<()> {
    let file = std::env::temp_dir().join(format!("bridges-{}.json", std::process::id()));
    let path = file.to_string_lossy().into_owned();
    let mut app = TestApp::new(bridge::app)
        .env("APP_FILE", &path)
        .start()
        .await?;
    assert_eq!(app.post("/bridges", &italy()).await.status, 200);
    app.restart().await?;
    let kept = bridges(&app).await;
    assert_eq!((kept.len(), kept[0].state.as_str()), (1, "running"));
    push(&app, 1, "IT");
    app.settle().await;
    assert_eq!(copied(&app), [1]);
    app.stop().await?;
    std::fs::remove_file(file)?;
    Ok(())
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_the_api_is_documented() -> citizenk::Result<()> {
    let app = TestApp::new(bridge::app).start().await?;
    for (path, media_type) in [
        ("/", "text/html"),
        ("/bridge.js", "text/javascript"),
        ("/bridge.css", "text/css"),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer
                .content_type
                .is_some_and(|is| is.starts_with(media_type)),
            "{path}"
        );
        for part in ["http:", "https:", "style=", "onclick", "innerHTML"] {
            assert!(!answer.body.contains(part), "{path} has {part}");
        }
    }
    let document: Value = app.get("/openapi.json").await.json();
    let paths = &document["paths"];
    for (path, method) in [
        ("/clusters", "get"),
        ("/bridges", "get"),
        ("/bridges", "post"),
        ("/bridges/{name}", "delete"),
        ("/bridges/{name}/pause", "post"),
        ("/bridges/{name}/resume", "post"),
    ] {
        assert!(
            paths[path][method]["responses"]["200"].is_object(),
            "{method} {path}"
        );
    }
    Ok(app.stop().await?)
}
