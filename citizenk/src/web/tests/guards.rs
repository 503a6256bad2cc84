use super::*;

fn router(exposure: Exposure, token: Option<&str>, open: bool) -> Router {
    let config = WebConfig {
        token: token.map(Token::new),
        open,
        hosts: vec!["api.example".into()],
        ..WebConfig::default()
    };
    router_of(&Arc::new(Fake::new()), config, exposure)
}

fn send(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::post("/topics/videos");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(VIDEO)).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HOST: (&str, &str) = ("host", "localhost:8000");

#[tokio::test]
async fn hosts_that_are_not_ours_are_refused_on_loopback() {
    let router = router(Exposure::Loopback, None, false);
    let with = |host: &str| {
        Request::get("/info")
            .header("host", host)
            .body(Body::empty())
            .unwrap()
    };
    for good in [
        "localhost",
        "127.0.0.1:8000",
        "[::1]:8000",
        "API.example:80",
    ] {
        ask(&router, with(good)).await.ok();
    }
    for bad in [
        "evil.example",
        "localhost.evil.example:8000",
        "192.168.0.4",
        "",
    ] {
        let problem = ask(&router, with(bad)).await.problem(421);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("App::http_host")
        );
    }
    // Probes come by address.
    let probe = Request::get("/health/ready")
        .header("host", "10.1.2.3:8000")
        .body(Body::empty())
        .unwrap();
    ask(&router, probe).await.ok();
    let absolute = Request::get("http://evil.example/info")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    ask(&router, absolute).await.problem(421);
}

#[tokio::test]
async fn a_network_address_needs_the_token_or_leave() {
    let closed = router(Exposure::Network, None, false);
    let problem = ask(&closed, send(&[JSON, HOST])).await.problem(403);
    assert!(problem["detail"].as_str().unwrap().contains("--http-token"));
    get(&closed, "/info").await.ok();

    let open = router(Exposure::Network, None, true);
    ask(&open, send(&[JSON, HOST])).await.ok();

    for exposure in [Exposure::Network, Exposure::Loopback] {
        let guarded = router(exposure, Some("s3cret"), false);
        let missing = ask(&guarded, send(&[JSON, HOST])).await;
        missing.problem(401);
        assert_eq!(missing.header("www-authenticate"), "Bearer");
        for wrong in ["Bearer s3cre", "Basic s3cret", "s3cret", "Bearer "] {
            let headers = [JSON, HOST, ("authorization", wrong)];
            let answer = ask(&guarded, send(&headers)).await;
            assert!(!answer.problem(401).to_string().contains("s3cret"));
        }
        let headers = [JSON, HOST, ("authorization", "bearer s3cret")];
        ask(&guarded, send(&headers)).await.ok();
    }
}

#[tokio::test]
async fn pages_of_other_sites_cannot_send() {
    let router = router(Exposure::Loopback, None, false);
    for good in [
        vec![JSON, HOST],
        vec![JSON, HOST, ("sec-fetch-site", "same-origin")],
        vec![JSON, HOST, ("sec-fetch-site", "none")],
        vec![JSON, HOST, ("origin", "http://localhost:8000")],
    ] {
        ask(&router, send(&good)).await.ok();
    }
    for bad in [
        vec![JSON, HOST, ("sec-fetch-site", "cross-site")],
        vec![JSON, HOST, ("sec-fetch-site", "same-site")],
        vec![JSON, HOST, ("origin", "http://evil.example")],
        vec![JSON, HOST, ("origin", "http://localhost:9000")],
        vec![JSON, HOST, ("origin", "null")],
    ] {
        ask(&router, send(&bad)).await.problem(403);
    }
    for simple in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
    ] {
        let answer = ask(&router, send(&[HOST, ("content-type", simple)])).await;
        let problem = answer.problem(415);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("application/json")
        );
    }
    ask(&router, send(&[HOST])).await.problem(415);
    let charset = ("content-type", "application/json; charset=utf-8");
    ask(&router, send(&[HOST, charset])).await.ok();
}

#[tokio::test]
async fn above_the_limit_requests_are_told_to_come_again_but_health_is_not() {
    let fake = Arc::new(Fake {
        silent: true,
        ..Fake::new()
    });
    let config = WebConfig {
        concurrency: 1,
        ..WebConfig::default()
    };
    let router = router_of(&fake, config, Exposure::Test);
    let mut first = Box::pin(post(&router, "/topics/videos", VIDEO));
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = get(&router, "/info").await;
    second.problem(503);
    assert_eq!(second.header("retry-after"), "1");
    get(&router, "/health/live").await.ok();
    get(&router, "/health/ready").await.ok();
    assert_eq!(get(&router, "/metrics").await.status, 200);
    drop(first);
    get(&router, "/info").await.ok();
}

/// Nothing of these needs a body, so a form of any page could send them.
#[tokio::test]
async fn pages_of_other_sites_cannot_call_functions_that_change_something() {
    use axum::http::Method;
    let methods = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let plain = methods.clone().map(|method| {
        let path = "/things";
        plain_route(&format!("{method}_thing"), method, path)
    });
    let get = plain_route("look", Method::GET, "/things");
    let mut routes = owners::routed();
    routes.extend(plain);
    routes.push(get);
    let own = (0..4).map(|number| crate::TopicPartition::new("videos", number));
    let fake = Arc::new(Fake {
        owned: Mutex::new(Some(own.collect())),
        ..Fake::new()
    });
    let config = WebConfig {
        origins: vec!["https://app.example".into()],
        ..WebConfig::default()
    };
    let parts = Parts {
        config,
        routes,
        ..Parts::default()
    };
    let router = parts
        .plan()
        .router(fake, surroundings(Exposure::Loopback, None));
    let all = methods.map(|method| (method, "/things")).into_iter();
    let all: Vec<_> = all
        .chain([(Method::POST, "/notes/7"), (Method::POST, "/all")])
        .collect();
    let request = |method: &Method, path: &str, headers: &[(&str, &str)]| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(HOST.0, HOST.1);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(Body::empty()).unwrap()
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (method, path) in &all {
        for good in [
            &[][..],
            &[form],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:8000")],
            &[
                ("origin", "https://app.example"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            let answer = ask(&router, request(method, path, good)).await;
            assert_eq!(answer.status, 200, "{method} {path} {good:?}");
        }
        for bad in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), form],
            &[("origin", "http://evil.example"), form],
            &[("origin", "null")],
            &[("origin", "http://localhost:9000")],
        ] {
            let problem = ask(&router, request(method, path, bad)).await.problem(403);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("App::http_origin"), "{detail}");
        }
    }
    // Looking changes nothing; a link from another page is welcome.
    let look = request(&Method::GET, "/things", &[("sec-fetch-site", "cross-site")]);
    assert_eq!(ask(&router, look).await.status, 200);
}
