//! Durable orders beside the bare writer, and what is made durable for each.

use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tollgate::chance::Chance;
use tollgate::flows::orders::{NewOrder, create};
use tollgate_tests::figures::{Milli, at_least, fact, goal, median};
use tollgate_tests::shim::Board;

use crate::bare;
use crate::ground::{Ground, Seat, Server, disk};

/// How many orders are under way at once.
const IN_FLIGHT: u64 = 64;
/// How many are made for one time.
pub const COUNT: u64 = 2_048;
/// How many are made while it is counted what is made durable.
const COUNTED: u64 = 8_192;
/// How often both sides are timed.
pub const PAIRS: usize = 7;

/// Both engines.
pub async fn measure(server: &Server) {
    let folder = disk();
    let sqlite = Ground::on_sqlite(folder.path());
    beside_bare(&sqlite, Milli(500)).await;
    let board = Board::new(folder.path(), 0);
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.arg("orders-on").arg(folder.path());
    board.over(&mut program);
    assert!(program.status().unwrap().success(), "orders on SQLite");
    syncs(&sqlite, board.fsyncs(), Milli(100));

    let postgres = Ground::on_postgres(server, "orders").await;
    beside_bare(&postgres, Milli(600)).await;
    let before = server.board.fsyncs();
    make_some(&postgres).await;
    syncs(&postgres, server.board.fsyncs() - before, Milli(300));
}

/// Makes the orders for which is counted what is made durable.
pub async fn make_some(ground: &Ground) {
    make(&[ground.gateway().await], COUNTED).await;
}

fn syncs(ground: &Ground, count: u64, most: Milli) {
    let name = format!("fsyncs for an order, 64 in flight, {}", ground.engine);
    goal(&name, Milli(u128::from(count) * 1000 / u128::from(COUNTED)), "fsyncs", most);
}

async fn beside_bare(ground: &Ground, least: Milli) {
    let seat = [ground.gateway().await];
    let [Seat { gateway, merchant, .. }] = &seat;
    let mut sql = ground.connect().await;
    let chance = Chance::of_the_machine();
    let (mut gates, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first pair warms both sides up.
    for pair in 0..=PAIRS {
        let now = gateway.store.now();
        let bare = bare::write(ground, &mut sql, *merchant, (&chance, now), COUNT).await;
        let gate = make(&seat, COUNT).await;
        if pair > 0 {
            ratios.push(Milli::ratio(bare, gate));
            gates.push(gate);
            bares.push(bare);
        }
    }
    let engine = ground.engine;
    let rate = |times| Milli::per_second(COUNT, median(times));
    fact(&format!("durable orders, 64 in flight, {engine}"), rate(gates), "orders/s");
    fact(&format!("bare writer, 64 rows a commit, {engine}"), rate(bares), "orders/s");
    let name = format!("durable orders / bare writer, {engine}");
    at_least(&name, median(ratios), "ratio", least);
}

/// Makes so many orders, the same number in flight however many gateways there are.
pub async fn make(seats: &[Seat], count: u64) -> Duration {
    let started = Instant::now();
    let shops = seats.iter().cycle().take(usize::try_from(IN_FLIGHT).unwrap()).map(|seat| {
        let (gateway, merchant) = (seat.gateway.clone(), seat.merchant);
        tokio::spawn(async move {
            for _ in 0..count / IN_FLIGHT {
                let made = create(&gateway, merchant, order(gateway.chance.text(20))).await;
                assert!(made.unwrap().fresh, "the order was there");
            }
        })
    });
    for shop in join_all(shops).await {
        shop.unwrap();
    }
    started.elapsed()
}

/// An order as a shop asks for it.
pub fn order(number: String) -> NewOrder {
    NewOrder {
        number,
        amount: 1_250,
        currency: "CNY".to_owned(),
        subject: "Green tea".to_owned(),
        description: None,
        items: Vec::new(),
        deliver_to: None,
        metadata: Default::default(),
        return_url: None,
        locale: None,
        expires_in_s: 7_200,
        late_success: None,
    }
}
