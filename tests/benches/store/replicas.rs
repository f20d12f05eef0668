//! Two gateways on one PostgreSQL beside one. Where gateways, server and load share a machine of two cores, as in CI, a
//! second gateway brings no core with it: what is told is that it costs nothing and makes nothing twice.

use futures::future::{join, join_all};
use tollgate::flows::orders::create;
use tollgate_tests::figures::{Milli, at_least, fact, goal, median};

use crate::ground::{Ground, Server};
use crate::orders::{COUNT, PAIRS, make, order};

/// How many orders are asked for at both gateways at once.
const RACED: u64 = 512;

/// Times pairs, and has both race for the same orders.
pub async fn measure(server: &Server) {
    let ground = Ground::on_postgres(server, "replicas").await;
    let two = [ground.gateway().await, ground.gateway().await];
    let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first pair warms both sides up.
    for pair in 0..=PAIRS {
        let (alone, both) = (make(&two[..1], COUNT).await, make(&two, COUNT).await);
        if pair > 0 {
            ratios.push(Milli::ratio(alone, both));
            ones.push(alone);
            twos.push(both);
        }
    }
    let rate = |times| Milli::per_second(COUNT, median(times));
    fact("durable orders, one gateway, Postgres", rate(ones), "orders/s");
    fact("durable orders, two gateways, Postgres", rate(twos), "orders/s");
    at_least("two gateways / one, Postgres", median(ratios), "ratio", Milli(950));

    let [one, other] = &two;
    let races = (0..RACED).map(|_| {
        let number = one.gateway.chance.text(20);
        let asked = (order(number.clone()), order(number));
        async move {
            let first = create(&one.gateway, one.merchant, asked.0);
            let second = create(&other.gateway, other.merchant, asked.1);
            let (first, second) = join(first, second).await;
            let (first, second) = (first.unwrap(), second.unwrap());
            assert_eq!(first.row.id, second.row.id, "one number, two orders");
            u64::from(first.fresh) + u64::from(second.fresh)
        }
    });
    let fresh: u64 = join_all(races).await.into_iter().sum();
    let timed = 2 * COUNT * u64::try_from(PAIRS + 1).unwrap();
    let tables =
        ["SELECT count(*) FROM orders", "SELECT count(*) FROM events", "SELECT count(*) FROM jobs"];
    let mut amiss = fresh.abs_diff(RACED);
    for rows in tables {
        amiss += ground.count(rows).await.abs_diff(timed + RACED);
    }
    goal("rows lost or made twice by two gateways", Milli::whole(amiss), "rows", Milli(0));
}
