//! Orders finished while three times as many shops ask as are worked on at once, beside just as many. Who is too much is
//! refused before anything is done, and asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tollgate::store::{Store, SystemClock};
use tollgate_tests::figures::{Milli, at_least, fact, goal, median};
use tollgate_tests::process::Process;

use crate::orders::PAIRS;

/// Requests that are worked on at once.
pub const ALLOWED: u64 = 64;
const WINDOW: Duration = Duration::from_secs(2);
/// How long a shop waits that was refused. It is told a second, and is less patient.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a crowd was answered.
#[derive(Clone, Copy, Default)]
struct Answers {
    made_in_time: u64,
    made_late: u64,
    refused: u64,
}

/// Times pairs of crowds, and counts what is in the file at the end.
pub async fn measure() {
    let (data, plugins) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folders = [data.path(), plugins.path()].map(|folder| folder.to_str().unwrap());
    let gateway = Process::start(&["gateway", folders[0], folders[1]]);
    let shop = Shop::new(gateway.said("url"), gateway.said("key"));
    let (mut ones, mut threes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut made, mut refused) = (0, 0);
    // The first pair warms both sides up.
    for pair in 0..=PAIRS {
        let (one, three) = (shop.crowd(ALLOWED).await, shop.crowd(3 * ALLOWED).await);
        for answers in [one, three] {
            made += answers.made_in_time + answers.made_late;
            refused += answers.refused;
        }
        if pair > 0 {
            let ratio = u128::from(three.made_in_time) * 1000 / u128::from(one.made_in_time);
            ratios.push(Milli(ratio));
            ones.push(one.made_in_time);
            threes.push(three.made_in_time);
        }
    }
    gateway.stop();
    let rate = |counts| Milli::per_second(median(counts), WINDOW);
    fact("orders over HTTP, as many shops as are worked on", rate(ones), "orders/s");
    fact("orders over HTTP, three times as many", rate(threes), "orders/s");
    fact("refused as too much", Milli::whole(refused), "requests");
    at_least(
        "orders finished under three times the load / under once",
        median(ratios),
        "ratio",
        Milli(900),
    );

    let file = data.path().join("tollgate.db");
    let store = Store::open_sqlite(&file, Arc::new(SystemClock)).await.unwrap();
    let mut sql = store.read().await.unwrap();
    let count = sqlx::query_as("SELECT count(*) FROM orders").fetch_one(&mut sql);
    let (count,): (i64,) = count.await.unwrap();
    let amiss = u64::try_from(count).unwrap().abs_diff(made);
    goal("orders made for whom was refused, or lost", Milli::whole(amiss), "orders", Milli(0));
}

#[derive(Clone)]
struct Shop {
    client: Client,
    url: String,
    key: String,
    number: Arc<AtomicU64>,
}

impl Shop {
    fn new(url: &str, key: &str) -> Shop {
        Shop {
            client: Client::builder().no_proxy().build().unwrap(),
            url: format!("{url}/v1/orders"),
            key: key.to_owned(),
            number: Arc::default(),
        }
    }

    /// So many of them ask for one order after another.
    async fn crowd(&self, shops: u64) -> Answers {
        let end = Instant::now() + WINDOW;
        let asking = (0..shops).map(|_| {
            let shop = self.clone();
            tokio::spawn(async move { shop.ask_until(end).await })
        });
        let mut sum = Answers::default();
        for answers in join_all(asking).await {
            let answers = answers.unwrap();
            sum.made_in_time += answers.made_in_time;
            sum.made_late += answers.made_late;
            sum.refused += answers.refused;
        }
        sum
    }

    async fn ask_until(&self, end: Instant) -> Answers {
        let mut answers = Answers::default();
        while Instant::now() < end {
            let number = format!("N{}", self.number.fetch_add(1, Ordering::Relaxed));
            let body =
                json!({ "number": number, "amount": 1250, "currency": "CNY", "subject": "Tea" });
            let asked = self.client.post(&self.url).bearer_auth(&self.key).json(&body).send();
            match asked.await.unwrap().status() {
                StatusCode::CREATED if Instant::now() < end => answers.made_in_time += 1,
                StatusCode::CREATED => answers.made_late += 1,
                StatusCode::SERVICE_UNAVAILABLE => {
                    answers.refused += 1;
                    tokio::time::sleep(PATIENCE).await;
                }
                other => panic!("answered {other}"),
            }
        }
        answers
    }
}
