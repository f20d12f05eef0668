//! A gateway in this process, over its router: what every face promises whatever is behind it.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::config::{Given, GivenLimits};

/// The largest body that is taken where nothing else is said.
const BODY_BYTES: usize = 1 << 20;

struct Gate {
    running: Running,
    router: Router,
    _folder: tempfile::TempDir,
}

/// A gateway without plugins, on a free port, in a folder of its own.
async fn gate() -> Gate {
    gate_with(GivenLimits::default()).await
}

async fn gate_with(limits: GivenLimits) -> Gate {
    let folder = tempfile::tempdir().unwrap();
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(folder.path().join("data")),
        limits: Some(limits),
        ..Given::default()
    };
    let config = Config::check(given).unwrap();
    let limits = config.limits;
    let running = start(config).await.unwrap();
    Gate { router: router(running.gateway().clone(), limits), running, _folder: folder }
}

impl Gate {
    /// Stops the gateway, which waits for whoever still holds it.
    async fn stop(self) {
        drop(self.router);
        self.running.stop().await;
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (Response<Body>, Value) {
        let key = self.running.api_key.as_deref().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        let response = self.ask(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (Response::from_parts(parts, Body::from(bytes)), json)
    }
}

#[tokio::test]
async fn every_documented_route_is_there_and_says_so_itself() {
    let gate = gate().await;
    let document: Value = serde_json::from_str(api::document::text()).unwrap();
    let wanted = [
        "POST /v1/orders",
        "GET /v1/orders",
        "GET /v1/orders/{id}",
        "POST /v1/orders/{id}/payments",
        "POST /v1/orders/{id}/close",
        "GET /v1/payments/{id}",
        "POST /v1/payments/{id}/sync",
        "POST /v1/payments/{id}/client-result",
        "POST /v1/refunds",
        "GET /v1/refunds",
        "GET /v1/refunds/{id}",
        "GET /v1/disputes",
        "GET /v1/disputes/{id}",
        "GET /v1/cases",
        "GET /v1/cases/{id}",
        "POST /v1/cases/{id}/close",
        "POST /v1/accounts",
        "GET /v1/accounts",
        "GET /v1/accounts/{id}",
        "POST /v1/accounts/{id}/grant",
        "GET /v1/plugins",
        "POST /v1/bills",
        "GET /v1/bills",
        "GET /v1/bills/{id}",
        "POST /v1/reconciliations",
        "GET /v1/reconciliations",
        "GET /v1/reconciliations/{id}",
        "GET /v1/reconciliations/{id}/discrepancies",
        "GET /v1/events",
        "POST /v1/webhook-endpoints",
        "GET /v1/webhook-endpoints",
        "GET /v1/webhook-endpoints/{id}",
        "PATCH /v1/webhook-endpoints/{id}",
        "POST /v1/webhook-endpoints/{id}/enable",
        "POST /v1/webhook-endpoints/{id}/disable",
        "POST /v1/webhook-endpoints/{id}/rotate-secret",
        "POST /v1/webhook-endpoints/{id}/replay",
        "GET /v1/deliveries",
        "GET /v1/deliveries/{id}",
        "POST /v1/deliveries/{id}/replay",
        "POST /v1/keys",
        "GET /v1/keys",
        "GET /v1/keys/{id}",
        "POST /v1/keys/{id}/rotate",
        "POST /v1/keys/{id}/revoke",
        "GET /v1/jobs",
        "POST /v1/jobs/{id}/replay",
        "POST /notify/{account_id}",
        "GET /notify/{account_id}",
        "POST /return/{payment_id}",
        "GET /return/{payment_id}",
        "GET /pay/{token}",
        "POST /pay/{token}",
        "GET /pay/{token}/status",
        "GET /openapi.json",
        "GET /healthz",
        "GET /readyz",
        "GET /problems/{code}",
    ];
    let mut listed = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let filled = path.replace(['{', '}'], "");
            let (response, json) = gate.send(&method, &filled, "{}").await;
            let status = response.status();
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_ne!(json["detail"], "no such address", "{method} {path}");
            assert!(!status.is_server_error() || path == "/readyz", "{method} {path}: {json}");
            listed.push(format!("{method} {path}"));
        }
    }
    for route in wanted {
        assert!(listed.iter().any(|listed| listed == route), "{route} is not in the document");
    }
    assert_eq!(listed.len(), wanted.len(), "{listed:?}");
    gate.stop().await;
}

#[tokio::test]
async fn a_webhook_leads_to_the_internet_unless_the_operator_says_otherwise() {
    let gate = gate().await;
    let urls =
        ["http://shop.example/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/"];
    for url in urls {
        let body = format!("{{\"url\": \"{url}\"}}");
        let (response, json) = gate.send("POST", "/v1/webhook-endpoints", &body).await;
        assert_eq!((response.status().as_u16(), &json["errors"][0]["field"]), (422, &"url".into()));
    }
    gate.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_by_what_became_of_them() {
    let gate = gate().await;
    let body = r#"{"number":"A1","amount":1250,"currency":"CNY","subject":"Tea"}"#;
    let (_, order) = gate.send("POST", "/v1/orders", body).await;
    let (_, jobs) = gate.send("GET", "/v1/jobs", "").await;
    let job = &jobs["data"][0];
    assert_eq!((&job["kind"], &job["state"]), (&"end_order".into(), &"scheduled".into()), "{jobs}");
    assert_eq!(job["subject_id"], order["id"]);
    assert!(
        job["due_at"].as_str() > order["expires_at"].as_str(),
        "the payer has a moment's grace"
    );
    let replay = format!("/v1/jobs/{}/replay", job["id"].as_str().unwrap());
    let (_, refused) = gate.send("POST", &replay, "").await;
    assert_eq!((&refused["status"], &refused["code"]), (&409.into(), &"job-not-parked".into()));
    let (_, none) = gate.send("GET", "/v1/jobs?state=parked", "").await;
    assert_eq!(none["data"], Value::Array(Vec::new()));
    let (_, wrong) = gate.send("GET", "/v1/jobs?state=lost", "").await;
    assert_eq!(wrong["errors"][0]["field"], "state");

    let close = format!("/v1/orders/{}/close", order["id"].as_str().unwrap());
    gate.send("POST", &close, "{}").await;
    let (_, ended) = gate.send("GET", "/v1/jobs?state=ended", "").await;
    let ended = &ended["data"][0];
    assert_eq!((&ended["id"], &ended["state"]), (&job["id"], &"ended".into()));
    assert!(ended["ended_at"].is_string() && ended["due_at"].is_null(), "{ended}");
    let (_, gone) = gate.send("POST", &replay, "").await;
    assert_eq!(gone["status"], 404);
    gate.running.stop().await;
}

#[tokio::test]
async fn no_key_and_wrong_keys_are_refused_alike() {
    let gate = gate().await;
    for value in [None, Some("Bearer tgk_wrong"), Some("Basic dGdrXw=="), Some("Bearer "), Some("")]
    {
        let mut request = Request::builder().uri("/v1/orders");
        if let Some(value) = value {
            request = request.header(header::AUTHORIZATION, value);
        }
        let response = gate.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{value:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"tollgate\"");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
    }
    gate.stop().await;
}

#[tokio::test]
async fn an_order_is_made_once_and_shown_to_its_payer() {
    let gate = gate().await;
    let body = r#"{"number":"A1","amount":1250,"currency":"CNY","subject":"<Tea>",
        "return_url":"https://shop.example/"}"#;
    let (first, order) = gate.send("POST", "/v1/orders", body).await;
    assert_eq!(
        (first.status(), &order["state"]),
        (StatusCode::CREATED, &Value::from("open")),
        "{order}"
    );
    let (second, same) = gate.send("POST", "/v1/orders", body).await;
    assert_eq!((second.status(), &same["id"]), (StatusCode::OK, &order["id"]));
    let (other, problem) = gate.send("POST", "/v1/orders", &body.replace("1250", "1251")).await;
    assert_eq!(
        (other.status().as_u16(), &problem["code"]),
        (409, &Value::from("order-number-used"))
    );
    let (_, list) = gate.send("GET", "/v1/orders?limit=1", "").await;
    assert_eq!((&list["data"][0], &list["next_cursor"]), (&order, &Value::Null));

    let place =
        order["cashier_url"].as_str().unwrap().strip_prefix(&gate.running.url).unwrap().to_owned();
    let (page, _) = gate.send("GET", &place, "").await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("form-action 'self';"),
        "{policy}"
    );
    let html =
        String::from_utf8(to_bytes(page.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(
        html.contains("12.50 CNY") && html.contains("no way to pay") && !html.contains("<Tea>"),
        "{html}"
    );
    let (status, word) = gate.send("GET", &format!("{place}/status"), "").await;
    assert_eq!((status.status(), &word["state"]), (StatusCode::OK, &Value::from("choose-0-")));

    gate.stop().await;
}

#[tokio::test]
async fn an_order_that_ends_says_so() {
    let gate = gate().await;
    let body = r#"{"number":"A1","amount":1250,"currency":"CNY","subject":"Tea"}"#;
    let (_, order) = gate.send("POST", "/v1/orders", body).await;
    let id = order["id"].as_str().unwrap();
    let (closed, order) = gate.send("POST", &format!("/v1/orders/{id}/close"), "").await;
    assert_eq!(
        (closed.status(), &order["state"]),
        (StatusCode::OK, &Value::from("closed")),
        "{order}"
    );
    let (_, events) = gate.send("GET", &format!("/v1/events?order_id={id}"), "").await;
    let kinds: Vec<_> =
        events["data"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["order.created", "order.closed"]);
    gate.stop().await;
}

/// Method, path, body, and the status and code that they get.
type Refused = (&'static str, String, String, u16, &'static str);

fn refused_requests() -> Vec<Refused> {
    let nobody = format!("ord_{}", "0".repeat(32));
    let large = format!(r#"{{"number":"{}"}}"#, "x".repeat(BODY_BYTES));
    vec![
        ("GET", "/nowhere".to_owned(), "".to_owned(), 404, "not-found"),
        ("DELETE", "/v1/orders".to_owned(), "".to_owned(), 405, "method-not-allowed"),
        ("GET", "/v1/orders/17".to_owned(), "".to_owned(), 404, "not-found"),
        ("GET", format!("/v1/orders/{nobody}"), "".to_owned(), 404, "not-found"),
        ("GET", format!("/v1/payments/{nobody}"), "".to_owned(), 404, "not-found"),
        ("GET", "/v1/orders?limit=0".to_owned(), "".to_owned(), 422, "invalid-request"),
        ("GET", "/v1/orders?colour=red".to_owned(), "".to_owned(), 422, "invalid-request"),
        ("POST", "/v1/orders".to_owned(), "{".to_owned(), 400, "malformed-json"),
        ("POST", "/v1/orders".to_owned(), "{}".to_owned(), 422, "invalid-request"),
        ("POST", "/v1/orders".to_owned(), large, 413, "body-too-large"),
        ("POST", format!("/notify/acc_{}", "0".repeat(32)), "a=b".to_owned(), 404, "not-found"),
        ("GET", "/return/pay_1?a=b".to_owned(), "".to_owned(), 404, "not-found"),
        ("GET", "/pay/nothing/status".to_owned(), "".to_owned(), 404, "not-found"),
        ("GET", "/problems/nothing".to_owned(), "".to_owned(), 404, "not-found"),
        ("GET", "/readyz".to_owned(), "".to_owned(), 503, "unavailable"),
    ]
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_its_code() {
    let gate = gate().await;
    for (method, path, body, status, code) in refused_requests() {
        let (response, problem) = gate.send(method, &path, &body).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}: {problem}");
        assert_eq!(problem["code"], code, "{method} {path}");
        assert_eq!(problem["type"], format!("/problems/{code}"));
        let (page, _) = gate.send("GET", problem["type"].as_str().unwrap(), "").await;
        assert_eq!(page.status(), StatusCode::OK, "{code} has no page");
        if status == 405 {
            let allowed = response.headers()[header::ALLOW].to_str().unwrap();
            assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
        }
    }
    let plain = Request::builder()
        .method(Method::POST)
        .uri("/v1/orders")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", gate.running.api_key.as_deref().unwrap()),
        )
        .body(Body::from("{}"));
    assert_eq!(gate.ask(plain.unwrap()).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    gate.stop().await;
}

/// Fault 59, invariant 26: what is too much is refused before it has done anything, and what is being done goes on.
#[tokio::test]
async fn more_than_can_be_worked_on_is_refused_at_once() {
    let gate = gate_with(GivenLimits { in_flight: Some(1), ..GivenLimits::default() }).await;
    let (here, is_here) = tokio::sync::oneshot::channel();
    let (end, ends) = tokio::sync::oneshot::channel::<&str>();
    let body = r#"{"number":"A1","amount":1250,"currency":"CNY","subject":"Tea"}"#;
    let slow_body = futures::stream::once(async move {
        here.send(()).unwrap();
        Ok::<_, std::convert::Infallible>(ends.await.unwrap())
    });
    let key = gate.running.api_key.as_deref().unwrap();
    let slow = Request::post("/v1/orders")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from_stream(slow_body))
        .unwrap();
    let slow = tokio::spawn(gate.router.clone().oneshot(slow));
    is_here.await.unwrap();
    let (refused, problem) = gate.send("POST", "/v1/orders", &body.replace("A1", "A2")).await;
    assert_eq!((refused.status().as_u16(), &problem["code"]), (503, &Value::from("overloaded")));
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(gate.send("GET", "/healthz", "").await.0.status(), StatusCode::OK);
    end.send(body).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::CREATED);
    let (_, list) = gate.send("GET", "/v1/orders", "").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    gate.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for() {
    let gate = gate().await;
    let gateway = gate.running.gateway().clone();
    async fn broken() -> &'static str {
        panic!("canary")
    }
    let router: Router = Router::new()
        .route("/", get(broken))
        .layer(from_fn_with_state(gateway.clone(), boundary::guard))
        .with_state(gateway);
    let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("canary"));
    gate.stop().await;
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_wrote_and_tells_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let given = || Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(folder.path().join("data")),
        ..Given::default()
    };
    let first = start(Config::check(given()).unwrap()).await.unwrap();
    let (merchant, key) = (first.merchant_id, first.api_key.clone());
    assert!(key.is_some());
    first.stop().await;
    let second = start(Config::check(given()).unwrap()).await.unwrap();
    assert_eq!((second.merchant_id, second.api_key.as_deref()), (merchant, None));
    second.stop().await;
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.path().join("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
