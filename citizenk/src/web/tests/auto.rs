use super::*;
use crate::record::Timestamp;

fn service() -> (Arc<Fake>, Router) {
    let fake = Arc::new(Fake::new());
    let router = router_of(&fake, WebConfig::default(), Exposure::Test);
    (fake, router)
}

#[tokio::test]
async fn the_service_describes_itself() {
    let (_, router) = service();
    let info = get(&router, "/info").await;
    let body = info.ok();
    assert_eq!(body["name"], "demo");
    assert_eq!(body["broker"], "memory");
    assert_eq!(body["agents"][0]["location"], "src/main.rs:7");
    assert_eq!(body["topics"][0]["broker_name"], "staging.videos");
    assert_eq!(body["topics"][0]["partitioner"], "murmur2");
    assert_eq!(info.header("x-content-type-options"), "nosniff");
    assert!(
        info.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(
        get(&router, "/stats").await.ok()["producer"]["in_flight"],
        0
    );
    assert_eq!(get(&router, "/topics").await.ok()[1]["name"], "frames");
    assert_eq!(get(&router, "/agents").await.ok()[0]["name"], "process");
    assert_eq!(get(&router, "/openapi.json").await.ok()["openapi"], "3.1.0");
    let metrics = get(&router, "/metrics").await;
    assert_eq!(metrics.text, "# EOF\n");
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
}

#[tokio::test]
async fn health_lists_every_condition() {
    let (fake, router) = service();
    assert_eq!(get(&router, "/health/live").await.ok()["live"], true);
    assert_eq!(get(&router, "/health/ready").await.ok()["ready"], true);
    *fake.conditions.lock().unwrap() = vec![
        Condition {
            name: "broker".into(),
            ok: true,
            detail: "3 s ago".into(),
        },
        Condition {
            name: "assignment".into(),
            ok: false,
            detail: "consumer `demo` waits".into(),
        },
    ];
    let ready = get(&router, "/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json()["conditions"][1]["detail"],
        "consumer `demo` waits"
    );
    assert_eq!(get(&router, "/health/live").await.status, 200);
}

#[tokio::test]
async fn a_record_is_sent_with_all_its_parts() {
    let (fake, router) = service();
    let path = "/topics/videos?key=7&partition=3&timestamp=99&header=Trace:x";
    let sent = post(&router, path, VIDEO).await.ok();
    assert_eq!(
        sent,
        json!({ "topic": "videos", "partition": 3, "offset": 42 })
    );
    let produced = fake.produced.lock().unwrap().remove(0);
    assert_eq!(produced.topic, "videos");
    assert_eq!(produced.key.as_deref(), Some(b"7".as_slice()));
    assert_eq!(produced.headers.text("Trace"), Some("x"));
    assert_eq!(
        (produced.partition, produced.timestamp),
        (Some(3), Some(99))
    );
    let value: Value = serde_json::from_slice(&produced.value.unwrap()).unwrap();
    // As the topic's own type writes it.
    assert_eq!(value, json!({ "camera_id": 7, "path": "/a", "tags": [] }));

    let deleted = post(&router, "/topics/videos?key=7&tombstone=true", "").await;
    deleted.ok();
    assert_eq!(fake.produced.lock().unwrap().remove(0).value, None);
}

#[tokio::test]
async fn raw_topics_take_their_own_media_type() {
    let (fake, router) = service();
    post(&router, "/topics/frames", "x").await.problem(415);
    let request = Request::post("/topics/frames")
        .header("content-type", "application/octet-stream")
        .body(Body::from(vec![0, 159, 146]))
        .unwrap();
    ask(&router, request).await.ok();
    let produced = fake.produced.lock().unwrap().remove(0);
    assert_eq!(produced.value.unwrap(), [0, 159, 146]);
}

#[tokio::test]
async fn a_wrong_record_is_refused_by_name() {
    let (fake, router) = service();
    for (path, body, status, field) in [
        (
            "/topics/videos",
            r#"{"camera_id": "x", "path": "/a"}"#,
            422,
            "camera_id",
        ),
        ("/topics/videos", r#"{"camera_id": 1}"#, 422, "path"),
        (
            "/topics/videos",
            r#"{"camera_id": 1, "path": "", "tags": ["a", 2]}"#,
            422,
            "tags[1]",
        ),
        (
            "/agents/process/videos",
            r#"{"camera_id": -1, "path": ""}"#,
            422,
            "camera_id",
        ),
        ("/topics/videos?key=abc", VIDEO, 422, "key"),
        ("/topics/videos?partition=-1", VIDEO, 400, "partition"),
        ("/topics/videos?colour=red", VIDEO, 400, "colour"),
        (
            "/topics/videos?key=1&tombstone=true",
            VIDEO,
            400,
            "tombstone",
        ),
    ] {
        let problem = post(&router, path, body).await.problem(status);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(field),
            "{problem}"
        );
    }
    let broken = post(&router, "/topics/videos", "{\"camera_id\":\n 1,")
        .await
        .problem(400);
    assert!(
        broken["detail"].as_str().unwrap().contains("line 2"),
        "{broken}"
    );
    post(&router, "/topics/videos", "").await.problem(400);
    assert!(fake.produced.lock().unwrap().is_empty());
    assert!(fake.called.lock().unwrap().is_empty());
}

#[tokio::test]
async fn unknown_names_are_answered_with_the_known_ones() {
    let (fake, router) = service();
    let problem = post(&router, "/topics/vidoes", VIDEO).await.problem(404);
    assert_eq!(problem["topics"], json!(["videos", "frames", "__secret"]));
    assert!(problem["detail"].as_str().unwrap().contains("`vidoes`"));
    let problem = post(&router, "/agents/proces/videos", VIDEO)
        .await
        .problem(404);
    assert_eq!(problem["agents"], json!(["process"]));
    let problem = post(&router, "/agents/process/frames", VIDEO)
        .await
        .problem(404);
    assert_eq!(problem["topics"], json!(["videos"]));
    for internal in ["__secret", "__consumer_offsets"] {
        post(&router, &format!("/topics/{internal}"), VIDEO)
            .await
            .problem(403);
    }
    assert!(fake.produced.lock().unwrap().is_empty());
    get(&router, "/nothing").await.problem(404);
    let wrong_method = get(&router, "/topics/videos").await;
    wrong_method.problem(405);
    assert_eq!(wrong_method.header("allow"), "POST");
}

#[tokio::test]
async fn an_agent_is_called_without_its_topic() {
    let (fake, router) = service();
    let path = "/agents/process/videos?key=7&timestamp=5";
    let report = post(&router, path, VIDEO).await.ok();
    assert_eq!(report, json!({ "outcome": "processed", "outputs": 2 }));
    let call = fake.called.lock().unwrap().remove(0);
    assert_eq!(
        (call.agent.as_str(), &*call.record.topic),
        ("process", "videos")
    );
    assert_eq!(call.record.key.as_deref(), Some(b"7".as_slice()));
    assert_eq!(call.record.timestamp, Timestamp::Create(5));
}

#[tokio::test]
async fn large_bodies_are_refused_before_and_while_reading() {
    let (fake, router) = service();
    let declared = Request::post("/topics/videos")
        .header("content-type", "application/json")
        .header("content-length", 2_000_000)
        .body(Body::from_stream(futures_util::stream::pending::<
            Result<Vec<u8>, std::io::Error>,
        >()))
        .unwrap();
    let problem = ask(&router, declared).await.problem(413);
    assert!(
        problem["detail"].as_str().unwrap().contains("1048576"),
        "{problem}"
    );
    let endless = futures_util::stream::repeat(vec![b' '; 65536]);
    let endless = futures_util::StreamExt::map(endless, Ok::<_, std::io::Error>);
    let undeclared = Request::post("/topics/videos")
        .header("content-type", "application/json")
        .body(Body::from_stream(endless))
        .unwrap();
    ask(&router, undeclared).await.problem(413);
    assert!(fake.produced.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_broker_says_becomes_a_status() {
    let (fake, router) = service();
    for (error, status) in [
        (delivery("_MSG_TIMED_OUT", true), 504),
        (delivery("MSG_SIZE_TOO_LARGE", false), 413),
        (delivery("_UNKNOWN_PARTITION", false), 422),
        (delivery("_TRANSPORT", true), 503),
        (delivery("TOPIC_AUTHORIZATION_FAILED", false), 502),
        (
            ProduceError::NotRunning {
                topic: "videos".into(),
            },
            503,
        ),
    ] {
        *fake.failure.lock().unwrap() = Some(error);
        let answer = post(&router, "/topics/videos", VIDEO).await;
        assert_eq!(answer.problem(status)["topic"], "videos");
        if status == 503 {
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_answers_does_not_hold_the_client() {
    let fake = Arc::new(Fake {
        silent: true,
        ..Fake::new()
    });
    let router = router_of(&fake, WebConfig::default(), Exposure::Test);
    post(&router, "/topics/videos", VIDEO).await.problem(504);
}

#[tokio::test]
async fn the_documentation_comes_from_the_binary() {
    let config = WebConfig {
        prefix: "/api".into(),
        docs_path: "/help/api".into(),
        ..WebConfig::default()
    };
    let router = router_of(&Arc::new(Fake::new()), config, Exposure::Test);
    let redirect = get(&router, "/api/help/api").await;
    assert_eq!(
        (redirect.status.as_u16(), redirect.header("location")),
        (308, "api/")
    );
    let page = get(&router, "/api/help/api/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"));
    // The policy forbids inline scripts, so there must be none.
    assert!(!page.text.contains("<script>"), "{}", page.text);
    let script = get(&router, "/api/help/api/swagger-initializer.js").await;
    assert!(script.header("content-type").contains("javascript"));
    assert!(
        script.text.contains("\"/api/openapi.json\""),
        "{}",
        script.text
    );
    let bundle = get(&router, "/api/help/api/swagger-ui-bundle.js").await;
    assert_eq!(bundle.status, 200);
    assert_eq!(bundle.header("content-encoding"), "gzip");
    assert!(bundle.text.contains("SwaggerUIBundle"));
    for path in [
        "..%2f..%2fetc%2fpasswd",
        "../Cargo.toml",
        "nothing.js",
        "%00",
    ] {
        get(&router, &format!("/api/help/api/{path}"))
            .await
            .problem(404);
    }
    let outside = get(&router, "/info").await.problem(404);
    assert!(outside["detail"].as_str().unwrap().contains("`/api`"));
    get(&router, "/api/info").await.ok();
    get(&router, "/api/health/live").await.ok();
}

#[tokio::test]
async fn switched_off_only_health_and_metrics_are_left() {
    let config = WebConfig {
        auto: false,
        ..WebConfig::default()
    };
    let router = router_of(&Arc::new(Fake::new()), config, Exposure::Test);
    for path in [
        "/info",
        "/stats",
        "/topics",
        "/agents",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/",
    ] {
        get(&router, path).await.problem(404);
    }
    post(&router, "/topics/videos", VIDEO).await.problem(404);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(get(&router, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn no_automatic_path_is_missing_in_the_reserved_list() {
    use crate::web::auto::reserved_paths;
    let (_, router) = service();
    for path in reserved_paths(true, "/docs") {
        let example = path.replace("{*file}", "index.css").replace(['{', '}'], "");
        let answer = get(&router, &example).await;
        assert_ne!(answer.status, 404, "{path}");
    }
}
