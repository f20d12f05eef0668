//! Messages that nobody signed: so many are kept, so many are taken, and those of the provider are heard all the same.

use serde_json::json;
use tollgate_tests::reply::text;
use tollgate_tests::{World, until};

const FORM: &str = "application/x-www-form-urlencoded; text/html; charset=utf-8";

async fn count(world: &World, of: &str) -> usize {
    let sql = format!("SELECT CAST(count(*) AS TEXT) FROM notifications WHERE {of}");
    world.select(&sql).await[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_nobody_signed_ends_in_nothing() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    let paid = world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let url = text(&account, "notify_url");
    let mut told = Vec::new();
    for number in 0..200 {
        told.push(world.post_form(url, FORM, &format!("sign=AAAA&n={number}")).await);
    }
    let refused = told.iter().filter(|reply| reply.status == 400).count();
    let crowded: Vec<_> = told.iter().filter(|reply| reply.status == 429).collect();
    assert!(refused >= 100 && refused + crowded.len() == 200 && crowded.len() > 50, "{refused}");
    assert_eq!((crowded[0].header("retry-after"), crowded[0].text.as_str()), ("60", ""));
    assert_eq!(
        count(&world, "state = 'rejected'").await,
        refused,
        "one that is too many is not kept"
    );
    // A browser goes where it always goes. Returns are a crowd of their own, and those that are too many leave nothing either.
    let (return_to, _) = text(&paid, "return_to").split_once('?').unwrap();
    for _ in 0..110 {
        let back = world.client.get(format!("{return_to}?sign=AAAA")).send().await.unwrap();
        assert_eq!(back.status(), 303);
    }
    until("100 returns, written down", async || {
        (count(&world, "state = 'rejected'").await == refused + 100).then_some(())
    })
    .await;
    // What the provider signed is heard in the middle of all that.
    assert_eq!(world.notify(&payment, "truth").await["body"], "success");
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
    // A question of the schedule may have been quicker than it.
    assert_eq!(count(&world, "state IN ('applied', 'duplicate') AND signed = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_is_written_beside_the_requests_and_before_a_stop() {
    let mut world = World::start().await;
    world.account().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let url = text(&account, "notify_url");
    for number in 0..5 {
        let reply = world.post_form(url, FORM, &format!("sign=AAAA&n={number}")).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, "fail"));
    }
    world.stop_gateway().await;
    let kept = "state = 'rejected' AND signed = 0 AND reason LIKE 'signature%'";
    assert_eq!(count(&world, kept).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_names_a_nul_is_kept_as_any_other() {
    let mut world = World::start().await;
    world.account().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let url = text(&account, "notify_url");
    for body in ["a%00=1&a%00=2", "sign=AAAA&n=1"] {
        assert_eq!(world.post_form(url, FORM, body).await.status, 400, "{body}");
    }
    world.stop_gateway().await;
    let reasons = "SELECT reason FROM notifications WHERE state = 'rejected' ORDER BY received_at";
    let reasons = world.select(reasons).await;
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(!reasons.concat().contains(char::is_control), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_thousand_are_kept_and_no_more() {
    let world = World::start().await;
    let payment = world.started(1250, "page").await;
    world.lose_notifications().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let url = text(&account, "notify_url");
    assert_eq!(world.post_form(url, FORM, "sign=AAAA").await.status, 400);
    // Older than anything that comes now: ids go by time.
    let id = |prefix: &str, number: u64| {
        format!("ntf_{prefix}{:028}", 1_000_000_000_000_000_000 + number)
    };
    let old = |prefix: &str, state: &str, signed: u8| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
             INSERT INTO notifications (merchant_id, id, account_id, message, body, state, received_at, updated_at, signed) \
             SELECT merchant_id, 'ntf_{prefix}000000000' || CAST(1000000000000000000 + i AS TEXT), account_id, message, \
             body, '{state}', i, i, {signed} FROM n CROSS JOIN (SELECT * FROM notifications LIMIT 1) one"
        )
    };
    for (prefix, state, signed) in [
        ("0000", "rejected", 0),
        ("0001", "rejected", 1),
        ("0002", "applied", 1),
        ("0003", "duplicate", 1),
    ] {
        world.write(&old(prefix, state, signed)).await;
    }
    let long = format!("sign=AAAA&long={}", "x".repeat(100 << 10));
    assert_eq!(world.post_form(url, FORM, &long).await.status, 400);
    assert_eq!(count(&world, "state = 'rejected' AND signed = 0").await, 1_000);
    let cut = "length(body) = 65536 AND reason LIKE 'signature%'";
    assert_eq!(count(&world, cut).await, 1, "the newest is there, its beginning and why");
    // Two came now, and make room for themselves.
    for (number, kept) in [(1_500, 1), (503, 1), (502, 0), (1, 0)] {
        let of = format!("id = '{}'", id("0000", number));
        assert_eq!(count(&world, &of).await, kept, "{number}");
    }
    // Neither what somebody with the keys said nor what was acted on makes room for it; the same said again does.
    assert_eq!(count(&world, "state = 'rejected' AND signed = 1").await, 1_500);
    assert_eq!(count(&world, "state = 'applied'").await, 1_500);
    world.payer_pays(&payment).await;
    for kind in ["truth", "duplicate"] {
        assert_eq!(world.notify_with(&payment, kind, json!({})).await["body"], "success");
    }
    assert_eq!(count(&world, "state = 'duplicate' AND signed = 1").await, 1_000);
}
