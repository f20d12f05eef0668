//! The p99 of payments through Alipay at half of what the gateway can take, alone and beside a component that hangs, one
//! that takes all memory and one that traps. Each pair has a gateway of its own, so that the hanging one is not yet in
//! quarantine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until};

use tollgate_tests::figures::{Milli, fact, goal, median, p99};
use tollgate_tests::place;
use tollgate_tests::process::{Api, Process, runtime};

const PAIRS: usize = 15;
const WINDOW: Duration = Duration::from_secs(3);
const CLIENTS: usize = 8;
/// Between two payments through the same hostile component.
const PROVOCATION: Duration = Duration::from_millis(250);
const HOSTILE: [&str; 3] = ["loop", "memory", "trap"];

pub fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, id: &str| {
        let file = format!("{id}.wasm");
        std::fs::copy(from.join(&file), folder.path().join(file)).unwrap();
    };
    copy(place::plugins(), "alipay");
    for id in HOSTILE {
        copy(place::test_plugins(), id);
    }
    let plugins = folder.path().to_str().unwrap();
    runtime().block_on(async {
        let provider = Process::start(&["simulator"]);
        let capacity = Stage::start(plugins, &provider).await.capacity().await;
        let rate = (capacity / 2).max(1);
        let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let one = p99(Stage::start(plugins, &provider).await.window(rate, false).await);
            let other = p99(Stage::start(plugins, &provider).await.window(rate, true).await);
            alone.push(one);
            beside.push(other);
            ratios.push(Milli::ratio(other, one));
        }
        goal(
            "p99 of payments beside hostile components / alone",
            median(ratios),
            "ratio",
            Milli(1300),
        );
        fact("p99 of payments alone", Milli::micros(median(alone)), "us");
        fact("p99 of payments beside hostile components", Milli::micros(median(beside)), "us");
        fact("payments at full capacity", Milli::whole(capacity), "1/s");
    });
}

/// A gateway with accounts.
struct Stage {
    api: Api,
    alipay: Value,
    hostile: Vec<Value>,
    _gateway: Process,
    _data: tempfile::TempDir,
}

impl Stage {
    async fn start(plugins: &str, provider: &Process) -> Stage {
        let data = tempfile::tempdir().unwrap();
        let gateway = Process::start(&["gateway", data.path().to_str().unwrap(), plugins]);
        let api = Api::new(gateway.said("url"), gateway.said("key"));
        let alipay = api.post("/v1/accounts", &provider.ready["account"]).await["id"].clone();
        let mut hostile = Vec::new();
        for id in HOSTILE {
            let body = json!({
                "plugin": id, "name": id, "live": false, "simulator": true,
                "origins": { "gateway": "http://127.0.0.1:9" },
            });
            hostile.push(api.post("/v1/accounts", &body).await["id"].clone());
        }
        Stage { api, alipay, hostile, _gateway: gateway, _data: data }
    }

    /// Orders that wait to be paid: making them is not what is measured.
    async fn orders(&self, prefix: &str, count: u64) -> Vec<String> {
        let mut orders = Vec::new();
        let mut making = JoinSet::new();
        for number in 0..count {
            let (api, number) = (self.api.clone(), format!("{prefix}{number}"));
            making.spawn(async move { api.order(&number).await });
            if making.len() >= CLIENTS {
                orders.extend(making.join_next().await.unwrap());
            }
        }
        while let Some(order) = making.join_next().await {
            orders.push(order.unwrap());
        }
        orders
    }

    /// Payments a second with as many clients as keep it busy.
    async fn capacity(&self) -> u64 {
        let orders = self.orders("C", 1500).await;
        let mut paying = JoinSet::new();
        let started = Instant::now();
        for part in orders.chunks(orders.len() / CLIENTS) {
            let (api, account, part) = (self.api.clone(), self.alipay.clone(), part.to_vec());
            paying.spawn(async move {
                for order in part {
                    assert_eq!(pay(&api, &order, &account).await["state"], "pending");
                }
            });
        }
        while let Some(ended) = paying.join_next().await {
            ended.unwrap();
        }
        u64::try_from(orders.len() as u128 * 1000 / started.elapsed().as_millis()).unwrap()
    }

    /// Payments through Alipay at this rate, whatever became of those before; each one's time from when it was due.
    async fn window(&self, rate: u64, provoked: bool) -> Vec<Duration> {
        let count = rate * WINDOW.as_secs();
        let orders = self.orders(if provoked { "B" } else { "A" }, count).await;
        let mut provoking = JoinSet::new();
        if provoked {
            for (at, account) in self.hostile.iter().enumerate() {
                let orders = self.orders(&format!("H{at}-"), 20).await;
                provoking.spawn(provoke(self.api.clone(), account.clone(), orders));
            }
            // Until the loop runs.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let gap = Duration::from_nanos(1_000_000_000 / rate);
        let start = tokio::time::Instant::now();
        let mut paying = JoinSet::new();
        for (number, order) in orders.into_iter().enumerate() {
            let due = start + gap * u32::try_from(number).unwrap();
            sleep_until(due).await;
            let (api, account) = (self.api.clone(), self.alipay.clone());
            paying.spawn(async move {
                assert_eq!(pay(&api, &order, &account).await["state"], "pending");
                due.elapsed()
            });
        }
        let took = paying.join_all().await;
        provoking.abort_all();
        took
    }
}

async fn pay(api: &Api, order: &str, account: &Value) -> Value {
    api.post(
        &format!("/v1/orders/{order}/payments"),
        &json!({ "account_id": account, "method": "page" }),
    )
    .await
}

/// Payments that hang, burst or trap, one after the other without waiting for any.
async fn provoke(api: Api, account: Value, orders: Vec<String>) {
    let mut ticks = interval(PROVOCATION);
    let mut paying = JoinSet::new();
    for order in orders {
        ticks.tick().await;
        let (api, account) = (api.clone(), account.clone());
        paying.spawn(async move { pay(&api, &order, &account).await });
    }
    paying.join_all().await;
}
