//! Lists: every thing once, in order, page by page, whatever is made meanwhile.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// Every page of a list, and how many there were.
async fn pages(world: &World, path: &str) -> (Vec<Value>, usize) {
    let (mut all, mut count, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = world.get(&format!("{path}{cursor}")).await.ok();
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        count += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (all, count),
        }
    }
}

fn ids(list: &[Value]) -> Vec<&str> {
    list.iter().map(|one| text(one, "id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_come_newest_first_and_by_state_and_number() {
    let world = World::start().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(world.order(100).await);
    }
    for at in [1, 4] {
        world.close(&made[at]).await.ok();
    }
    made.reverse();
    for (limit, wanted) in [(1, 7), (2, 4), (3, 3), (7, 1), (100, 1)] {
        let (all, count) = pages(&world, &format!("/v1/orders?limit={limit}")).await;
        assert_eq!((ids(&all), count), (ids(&made), wanted), "limit {limit}");
    }
    let (open, _) = pages(&world, "/v1/orders?state=open&limit=2").await;
    let (closed, _) = pages(&world, "/v1/orders?state=closed&limit=2").await;
    assert_eq!((open.len(), ids(&closed)), (5, vec![text(&made[2], "id"), text(&made[5], "id")]));
    let number = text(&made[3], "number");
    let (one, _) = pages(&world, &format!("/v1/orders?number={number}")).await;
    assert_eq!(ids(&one), [text(&made[3], "id")]);
    let (none, _) = pages(&world, "/v1/orders?number=nothing").await;
    assert_eq!(none, Vec::<Value>::new());
    // What is made while somebody reads is no reason to see anything twice.
    let first = world.get("/v1/orders?limit=3").await.ok();
    world.order(100).await;
    let rest = world
        .get(&format!("/v1/orders?limit=100&cursor={}", text(&first, "next_cursor")))
        .await
        .ok();
    let mut read = first["data"].as_array().unwrap().clone();
    read.extend(rest["data"].as_array().unwrap().iter().cloned());
    assert_eq!(ids(&read), ids(&made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_oldest_first_and_after_the_last_one_seen() {
    let world = World::start().await;
    let payment = world.paid(1250).await;
    world.refund(&payment, "R-1", 250).await.ok();
    let other = world.order(100).await;
    world.close(&other).await.ok();
    let (all, count) = pages(&world, "/v1/events?limit=3").await;
    let order = world.events(&payment).await;
    assert_eq!((all.len(), count), (order.len() + 2, all.len().div_ceil(3)));
    let (every, _) = pages(&world, "/v1/events?limit=100").await;
    assert_eq!(every, all);
    for (at, event) in all.iter().enumerate() {
        let after =
            world.get(&format!("/v1/events?limit=100&after={}", text(event, "id"))).await.ok();
        assert_eq!(after["data"], json!(all[at + 1..]), "after {at}");
    }
    let own = format!("/v1/events?limit=100&order_id={}", text(&other, "id"));
    let (own, _) = pages(&world, &own).await;
    let kinds: Vec<_> = own.iter().map(|event| text(event, "kind")).collect();
    assert_eq!(kinds, ["order.created", "order.closed"]);
    // Enough to act on without asking: ids, amounts, states.
    let paid = all.iter().find(|event| event["kind"] == "order.paid").unwrap();
    assert_eq!((&paid["data"]["amount"], &paid["data"]["currency"]), (&json!(1250), &json!("CNY")));
    assert_eq!(paid["data"]["order_id"], payment["order_id"]);
    let succeeded = all.iter().find(|event| event["kind"] == "payment.succeeded").unwrap();
    assert_eq!(succeeded["data"]["payment_id"], payment["id"]);
}

/// PostgreSQL takes no NUL in a text: where one can be asked with, it is refused before any database hears of it.
#[tokio::test]
async fn control_characters_are_refused_and_found_nowhere() {
    let world = World::start().await;
    for path in ["/v1/orders?number=a%00b", "/v1/refunds?number=%07", "/v1/events?order_id=%00"] {
        world.get(path).await.refused(422, "invalid-request");
    }
    for path in ["/pay/a%00b", "/v1/orders/ord_%00", "/problems/%00", "/notify/%00"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}
