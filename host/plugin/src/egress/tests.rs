//! Tables of what may leave and what may not.

use secrecy::SecretString;

use super::*;
use crate::contract::{Egress, NextAction, PageForm, SecretRef};
use crate::manifest::tests::{ability, call, manifest, origin, slot};

/// One address for all, a REST interface, a page for payers and a bill link.
fn sample() -> Manifest {
    let mut sample = manifest();
    sample.origins = vec![
        origin("gateway", "call", "https://gate.example.com"),
        origin("api", "call", "https://{shop}.example.com/v1"),
        origin("page", "browser", "https://pay.example.com"),
        origin("file", "call", "http://*.files.example.com"),
    ];
    let mut pay = call("gateway", "POST", "/gateway.do");
    pay.field = Some(("method".into(), "trade.pay".into()));
    let mut pay_get = pay.clone();
    pay_get.method = "GET".into();
    sample.operations = vec![
        ability("pay", vec![pay, pay_get, call("api", "POST", "/orders/*/pay")]),
        ability("bill", vec![call("file", "GET", "*")]),
        ability("fetch-keys", vec![call("api", "POST", "/token")]),
    ];
    let mut word = slot("word", "secret", &[]);
    for (place, filling) in
        [("header authorization", None), ("form client_secret", Some("session")), ("body", None)]
    {
        word.egress.push(Egress {
            origin: "api".into(),
            place: place.into(),
            filling: filling.map(str::to_owned),
        });
    }
    sample.slots = vec![word, slot("session", "token", &[])];
    sample
}

fn live() -> Grant {
    Grant { live: true, settings: vec![("shop".into(), "shop-1".into())], ..Grant::default() }
}

fn keys() -> Keys {
    let secrets =
        BTreeMap::from([("word".to_owned(), vec![SecretString::from("the word of the shop")])]);
    Keys::parse(&sample(), &secrets, false).unwrap()
}

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: url.into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Empty,
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn secret(form: &str) -> Value {
    Value::Secret(SecretRef { slot: "word".into(), form: form.into(), user: None })
}

const PAY: Running<'static> = Running { name: "pay", filling: None };
const GATE: &str = "https://gate.example.com/gateway.do";
const REST: &str = "https://shop-1.example.com/v1/orders/o1/pay";

fn sent(request: &HttpRequest) -> Result<Outgoing, Refusal> {
    admit(&sample(), &live(), PAY, request, &keys())
}

#[test]
fn what_the_operation_names_is_sent() {
    let mut form = request("POST", &format!("{GATE}?charset=utf-8"));
    form.query.push(("method".into(), text("trade.pay")));
    form.body = Body::Form(vec![("biz".into(), text("{\"a\": \"1+1&é\"}"))]);
    let out = sent(&form).unwrap();
    assert_eq!(out.url, format!("{GATE}?charset=utf-8&method=trade.pay"));
    assert_eq!(String::from_utf8(out.body).unwrap(), "biz=%7B%22a%22%3A%20%221%2B1%26%C3%A9%22%7D");
    assert_eq!(out.headers[0].0, "content-type");
    assert_eq!((out.origin.as_str(), out.loopback), ("gateway", false));

    let mut bytes = request("POST", GATE);
    bytes.body = Body::Bytes(b"method=trade.pay&x=1".to_vec());
    assert!(sent(&bytes).is_ok());
    assert!(sent(&request("POST", REST)).is_ok());
}

#[test]
fn the_pinned_field_cannot_be_talked_around() {
    let rows: [(&str, &[u8], &str); 9] = [
        ("", b"", "none at all"),
        ("?method=trade.transfer", b"", "another"),
        ("?method=trade.pay", b"method=trade.transfer", "two places"),
        ("?method=trade.pay&method=trade.transfer", b"", "twice"),
        ("?method=trade.pay&method=trade.pay", b"", "twice the same"),
        ("?method=trade.pay", b"m%65thod=trade.transfer", "encoded name"),
        ("?METHOD=trade.transfer&method=trade.pay", b"", "another case"),
        ("?method=trade.pay%20", b"", "longer"),
        ("", b"x=1;method=trade.pay", "another separator"),
    ];
    for (query, body, why) in rows {
        let mut request = request("POST", &format!("{GATE}{query}"));
        request.body = Body::Bytes(body.to_vec());
        assert!(sent(&request).is_err(), "{why}");
    }
    let mut hidden = request("POST", &format!("{GATE}?method=trade.pay"));
    hidden.headers = vec![("Content-Type".into(), text("multipart/form-data; boundary=b"))];
    assert!(sent(&hidden).is_err(), "a content type that hides it");
    for (kind, held) in [
        ("application/x-www-form-urlencoded", true),
        ("application/x-www-form-urlencoded; charset=GBK", true),
        ("application/json;charset=utf-8", true),
        ("application/x-www-form-urlencoded;charset=utf-16", false),
        ("application/x-www-form-urlencoded;charset=utf-7", false),
        ("application/x-www-form-urlencoded;charset=ibm037", false),
        ("application/json;charset=utf-8;charset=utf-16", false),
        ("application/json;a=b", false),
    ] {
        let mut typed = request("POST", &format!("{GATE}?method=trade.pay"));
        typed.headers = vec![("content-type".into(), text(kind))];
        assert_eq!(sent(&typed).is_ok(), held, "{kind}");
    }
    let mut pieces = request("POST", &format!("{GATE}?method=trade.pay"));
    pieces.body = Body::Pieces(vec![text("meth"), text("od=trade.transfer")]);
    assert!(sent(&pieces).is_err(), "put together from pieces");
}

#[test]
fn all_else_is_refused() {
    let rows = [
        ("GET", "https://gate.example.com/other?method=trade.pay"),
        ("PUT", "https://gate.example.com/gateway.do?method=trade.pay"),
        ("POST", "http://gate.example.com/gateway.do?method=trade.pay"),
        ("POST", "https://gate.example.com.evil.com/gateway.do?method=trade.pay"),
        ("POST", "https://gate.example.com:8443/gateway.do?method=trade.pay"),
        ("POST", "https://u@gate.example.com/gateway.do?method=trade.pay"),
        ("POST", "https://gate.example.com/x/../gateway.do?method=trade.pay"),
        ("POST", "https://127.0.0.1/gateway.do?method=trade.pay"),
        ("POST", "https://shop-2.example.com/v1/orders/o1/pay"),
        ("POST", "https://shop-1.example.com/v1/orders/o1/refund"),
        ("POST", "https://shop-1.example.com/v1/orders/o%2f1/pay"),
        ("POST", "https://shop-1.example.com/v2/orders/o1/pay"),
        ("GET", "https://pay.example.com/"),
        ("GET", "http://a.files.example.com/bill.zip"),
    ];
    for (method, url) in rows {
        assert!(sent(&request(method, url)).is_err(), "{method} {url}");
    }
    let bill = Running { name: "bill", filling: None };
    let link = request("GET", "http://a.files.example.com/bill.zip?t=1");
    assert!(admit(&sample(), &live(), bill, &link, &keys()).is_ok());
    let none = Running { name: "close", filling: None };
    assert!(admit(&sample(), &live(), none, &link, &keys()).is_err());
}

#[test]
fn secrets_go_to_their_place_only() {
    let mut good = request("POST", REST);
    good.headers = vec![("Authorization".into(), secret("bearer"))];
    let out = sent(&good).unwrap();
    assert_eq!(out.headers[0], ("authorization".into(), "Bearer the word of the shop".into()));
    assert!(out.carries_secret());
    assert!(!format!("{out:?}").contains("the word"));
    assert!(out.redactor(&keys()).finds(b"so: Bearer the word of the shop."));

    let mut body = request("POST", REST);
    body.body = Body::Pieces(vec![text("{\"k\":\""), secret("json"), text("\"}")]);
    assert_eq!(sent(&body).unwrap().body, b"{\"k\":\"the word of the shop\"}");

    let mut other_header = request("POST", REST);
    other_header.headers = vec![("x-debug".into(), secret("raw"))];
    let mut query = request("POST", REST);
    query.query = vec![("k".into(), secret("raw"))];
    let mut gate = request("POST", &format!("{GATE}?method=trade.pay"));
    gate.headers = vec![("authorization".into(), secret("raw"))];
    for refused in [&other_header, &query, &gate] {
        let error = sent(refused).unwrap_err().to_string();
        assert!(error.contains("slot word may not go"), "{error}");
        assert!(!error.contains("the word of"), "{error}");
    }
}

#[test]
fn a_secret_that_fills_a_slot_goes_in_no_other_request() {
    let mut token = request("POST", "https://shop-1.example.com/v1/token");
    token.body = Body::Form(vec![("client_secret".into(), secret("raw"))]);
    let filling = |filling| Running { name: "fetch-keys", filling };
    let send = |running| admit(&sample(), &live(), running, &token, &keys());
    let out = send(filling(Some("session"))).unwrap();
    assert_eq!(out.fills.as_deref(), Some("session"));
    assert!(send(filling(Some("other"))).is_err());
    assert!(send(filling(None)).is_err());
}

#[test]
fn a_bill_link_may_come_with_tls() {
    let bill = Running { name: "bill", filling: None };
    let fetch = |url: &str| admit(&sample(), &live(), bill, &request("GET", url), &keys());
    for scheme in ["http", "https"] {
        let link = format!("{scheme}://dl.files.example.com/bill.zip?token=a");
        assert_eq!(fetch(&link).unwrap().url, link);
    }
    assert!(fetch("https://dl.files.example.net/bill.zip").is_err());
    assert!(fetch("https://dl.files.example.com:8443/bill.zip").is_err());
}

#[test]
fn headers_are_the_hosts_where_they_must_be() {
    let names = [
        "Host",
        "cookie",
        "X-Forwarded-For",
        "forwarded",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "proxy-authorization",
        "accept-encoding",
        "X-HTTP-Method-Override",
        "x-method-override",
        "x-http-method",
        "x-original-url",
        "x-rewrite-url",
        "bad name",
        "bad\r\nname",
        "",
    ];
    for name in names {
        let mut request = request("POST", REST);
        request.headers = vec![(name.into(), text("x"))];
        assert!(sent(&request).is_err(), "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\0b", "é", "a\tb"] {
        let mut request = request("POST", REST);
        request.headers = vec![("x-note".into(), text(value))];
        assert!(sent(&request).is_err(), "{value:?}");
    }
    let mut twice = request("POST", REST);
    twice.headers = vec![("x-a".into(), text("1")), ("X-A".into(), text("2"))];
    assert!(sent(&twice).is_err());
}

fn simulator() -> Grant {
    Grant {
        simulator: true,
        origins: BTreeMap::from([("api".to_owned(), "http://127.0.0.1:4000/api".to_owned())]),
        ..Grant::default()
    }
}

#[test]
fn a_simulators_account_reaches_this_machine_and_nothing_else() {
    let grant = simulator();
    let mut local = request("POST", "http://127.0.0.1:4000/api/orders/o1/pay");
    local.headers = vec![("authorization".into(), secret("bearer"))];
    let out = admit(&sample(), &grant, PAY, &local, &keys()).unwrap();
    assert!(out.loopback);
    let abroad = request("POST", REST);
    assert!(admit(&sample(), &grant, PAY, &abroad, &keys()).is_err());
    assert_eq!(
        origins_of(&sample(), &grant).unwrap(),
        [("api".to_owned(), "http://127.0.0.1:4000/api".to_owned())]
    );
}

#[test]
fn addresses_of_its_own_are_a_simulators_and_local() {
    for address in ["http://10.0.0.1/", "https://evil.example.com", "127.0.0.1", ""] {
        let mut grant = simulator();
        grant.origins.insert("api".into(), address.into());
        assert!(origins_of(&sample(), &grant).is_err(), "{address}");
    }
    let mut unknown = simulator();
    unknown.origins.insert("odd".into(), "http://127.0.0.1:1".into());
    assert!(origins_of(&sample(), &unknown).is_err());
    let mut no_simulator = simulator();
    no_simulator.simulator = false;
    assert!(origins_of(&sample(), &no_simulator).is_err());
    let mut odd_setting = live();
    odd_setting.settings[0].1 = "evil.com/".into();
    assert!(origins_of(&sample(), &odd_setting).is_err());
    let sandbox = Grant { settings: live().settings, ..Grant::default() };
    assert!(origins_of(&sample(), &sandbox).is_err(), "no sandbox");
}

#[test]
fn payers_are_sent_where_the_operation_goes() {
    let admit = |action: &NextAction| admit_action(&sample(), &live(), PAY, action);
    let form = |url: &str, fields: &[(&str, &str)]| {
        NextAction::PostForm(PageForm {
            url: url.into(),
            charset: "utf-8".into(),
            fields: fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        })
    };
    let good = [
        NextAction::None,
        NextAction::Redirect(format!("{GATE}?method=trade.pay&a=%7B%7D")),
        form(&format!("{GATE}?method=trade.pay"), &[("biz", "{}")]),
        form(GATE, &[("method", "trade.pay")]),
        NextAction::Redirect("https://pay.example.com/any/where?x=1".into()),
        NextAction::QrCode("https://qr.example.net/abc".into()),
        NextAction::DeepLink("wallet://pay?x=1".into()),
        NextAction::Instructions("Pay\nat the counter".into()),
        NextAction::ClientParameters("a=1&b=2".into()),
    ];
    for action in good {
        assert_eq!(admit(&action), Ok(()), "{action:?}");
    }
    let bad = [
        NextAction::Redirect(format!("{GATE}?method=trade.transfer")),
        NextAction::Redirect("https://evil.example.net/".into()),
        NextAction::Redirect("http://pay.example.com/".into()),
        NextAction::Redirect("javascript:alert(1)".into()),
        form(&format!("{GATE}?method=trade.pay"), &[("method", "trade.transfer")]),
        form("https://evil.example.net/", &[]),
        NextAction::QrCode("a".repeat(3000)),
        NextAction::QrCode("a\nb".into()),
        NextAction::DeepLink("javascript:alert(1)".into()),
        NextAction::DeepLink("no scheme".into()),
        NextAction::Instructions("a\u{7}b".into()),
        NextAction::ClientParameters(String::new()),
    ];
    for action in bad {
        assert!(admit(&action).is_err(), "{action:?}");
    }
}
