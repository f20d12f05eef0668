//! A component that tries what its manifest does not allow: signatures, addresses, secrets, and sending the payer away.
//! Nothing is sent, to nobody.

use serde_json::json;
use tollgate_tests::reply::text;

use crate::needles::{Needles, of_private_key};
use crate::{canary, stage};

/// Each theft, and the word for why it came to nothing.
const THEFTS: [(&str, &str); 10] = [
    ("algorithm", "config"),
    ("foreign-slot", "config"),
    ("bare-secret", "config"),
    ("origin", "refused"),
    ("look-alike", "refused"),
    ("path", "refused"),
    ("verb", "refused"),
    ("secret-header", "refused"),
    ("redirect", "refused"),
    ("form", "refused"),
];

#[tokio::test]
async fn every_theft_is_refused_and_nothing_is_sent() {
    let (world, _plugins) = stage::world(&["steal"]).await;
    // Whoever connects here was sent something.
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let key = canary::private_key();
    let needles = Needles::of(&of_private_key(&key));
    let account = stage::account(&world, "steal", &url, json!({ "key": key })).await;
    for (method, code) in THEFTS {
        let payment = stage::pay(&world, &account, method).await;
        let state = text(&payment, "state");
        assert!(matches!(state, "failed" | "unknown"), "{method}: {payment}");
        assert_eq!(payment["failure"]["code"], code, "{method}: {payment}");
        assert_eq!(payment["action"]["kind"], "none", "{method}: {payment}");
        assert_eq!(payment["taken"], 0, "{method}: {payment}");
        needles.absent(method, payment.to_string());
        let order = world.order_of(&payment).await;
        let page = world.get(text(&order, "cashier_url").strip_prefix(&world.url).unwrap()).await;
        assert!(!page.text.contains("thief"), "{method}: {}", page.text);
        let policy = page.header("content-security-policy");
        assert!(!policy.contains("thief"), "{method}: {policy}");
    }
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(300), trap.accept()).await;
    assert!(nobody.is_err(), "somebody was sent something: {nobody:?}");
    assert_eq!(world.select("SELECT operation FROM exchanges").await, Vec::<String>::new());
    for (name, bytes) in canary::files(&world) {
        needles.absent(&name, bytes);
    }
}
