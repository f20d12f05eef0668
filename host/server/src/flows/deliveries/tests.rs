//! Deliveries over days in milliseconds: real rows, a clock that is set, and merchants who answer by a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tokio::sync::Notify;

use super::*;
use crate::flows::due::{self, Claimed, Running, Wanted};
use crate::flows::reconcile::tests::{Bench, NOW};
use crate::net::merchant::Courier;
use crate::store::jobs::{JobRow, Lane};

const DAY_MS: i64 = 86_400_000;
const LEASE_MS: i64 = 120_000;

/// A letter as a merchant got it.
#[derive(Clone, Debug)]
struct Got {
    url: String,
    id: String,
    seconds: i64,
    signatures: usize,
    body: Value,
}

type Answering = dyn FnMut(&Got) -> Result<Reply, NoReply> + Send;

/// Merchants who answer by a script and keep what they get.
#[derive(Clone)]
struct Merchants {
    answer: Arc<Mutex<Box<Answering>>>,
    got: Arc<Mutex<Vec<Got>>>,
    /// Set: a letter arrives and its answer never does.
    hangs: Arc<Mutex<Option<Arc<Notify>>>>,
}

impl Courier for Merchants {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, (Result<Reply, NoReply>, Duration)> {
        Box::pin(async move {
            let [(_, id), (_, seconds), (_, signatures)] = letter.headers.clone();
            let got = Got {
                url: letter.url.clone(),
                id,
                seconds: seconds.parse().unwrap(),
                signatures: signatures.split(' ').count(),
                body: serde_json::from_str(&letter.body).unwrap(),
            };
            self.got.lock().unwrap().push(got.clone());
            let hangs = self.hangs.lock().unwrap().clone();
            if let Some(arrived) = hangs {
                arrived.notify_one();
                std::future::pending::<()>().await;
            }
            (self.answer.lock().unwrap()(&got), Duration::from_millis(7))
        })
    }
}

impl Merchants {
    fn answers(&self, answer: impl FnMut(&Got) -> Result<Reply, NoReply> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn got_at(&self, url: &str) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.url == url).collect()
    }
}

fn status(status: u16) -> Result<Reply, NoReply> {
    Ok(Reply { status, ..Reply::default() })
}

fn silence() -> Result<Reply, NoReply> {
    Err(NoReply("no answer in time".to_owned()))
}

async fn bench() -> (Bench, Merchants) {
    let mut bench = Bench::new().await;
    let merchants = Merchants {
        answer: Arc::new(Mutex::new(Box::new(|_| status(200)))),
        got: Arc::default(),
        hangs: Arc::default(),
    };
    bench.gateway.courier = Box::new(merchants.clone());
    (bench, merchants)
}

impl Bench {
    async fn endpoint(&self, url: &str, kinds: &[&str]) -> EndpointId {
        let wanted = endpoints::Wanted {
            url: url.to_owned(),
            description: String::new(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        endpoints::create(&self.gateway, self.merchant, wanted, None).await.unwrap().0.id
    }

    async fn endpoint_row(&self, id: EndpointId) -> EndpointRow {
        endpoints::get(&self.gateway, self.merchant, id).await.unwrap()
    }

    /// Something happened to the order, and the transaction that says so ends well or not.
    async fn announce(&self, kind: &str, ends_well: bool) {
        let Bench { gateway, merchant, order, .. } = self;
        let write = gateway.store.write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let data = json!({ "kind": kind });
                learn::announce(tx, gateway, *merchant, Some(*order), kind, data).await?;
                let undone = FlowError::Internal("undone".to_owned());
                if ends_well { Ok(()) } else { Err(undone) }
            })
        });
        assert_eq!(write.await.is_ok(), ends_well);
    }

    async fn due(&self) -> Claimed {
        let until = self.gateway.store.now().plus_millis(LEASE_MS);
        let running = &Running::new();
        let wanted = [Wanted { lane: Lane::Webhooks, most: 10, each: 10, running, until }];
        due::claim(&self.gateway, &wanted).await.unwrap()
    }

    async fn claim(&self) -> Vec<JobRow> {
        self.due().await.jobs
    }

    /// The worker for so long: what is due is done, and then time goes on to what is due next.
    async fn work(&self, for_ms: i64) {
        let end = self.gateway.store.now().plus_millis(for_ms);
        loop {
            let Claimed { jobs, next } = self.due().await;
            for job in &jobs {
                due::run(&self.gateway, job).await.unwrap();
            }
            if jobs.is_empty() {
                let Some(next) = next.filter(|next| *next <= end) else { break };
                self.clock.set(next.max(self.gateway.store.now()));
            }
        }
        self.clock.set(end);
    }

    async fn deliveries(&self, endpoint: EndpointId) -> Vec<DeliveryRow> {
        let filter = Filter { endpoint: endpoint.to_string(), ..Filter::default() };
        list(&self.gateway, self.merchant, "~", &filter, 1_000).await.unwrap()
    }

    async fn states(&self, endpoint: EndpointId) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for row in self.deliveries(endpoint).await {
            *states.entry(row.state.as_str()).or_default() += 1;
        }
        states
    }
}

const DEAD: &str = "https://dead.example/";
const WELL: &str = "https://well.example/";

#[tokio::test]
async fn an_endpoint_that_is_dead_for_days_is_tried_ten_times_and_holds_nobody_up() {
    let (bench, merchants) = bench().await;
    merchants.answers(|got| if got.url == DEAD { silence() } else { status(204) });
    let (dead, well) = (bench.endpoint(DEAD, &[]).await, bench.endpoint(WELL, &[]).await);
    for _ in 0..3 {
        bench.announce("order.paid", true).await;
    }
    bench.work(1_000).await;
    assert_eq!(bench.states(well).await, BTreeMap::from([("delivered", 3)]));
    assert_eq!(bench.states(dead).await, BTreeMap::from([("pending", 3)]));
    bench.work(4 * DAY_MS).await;
    let parked = bench.deliveries(dead).await;
    for row in &parked {
        let (row, tries) = get(&bench.gateway, bench.merchant, row.id).await.unwrap();
        assert_eq!((row.state, row.tries, tries.len()), (DeliveryState::Parked, 10, 10));
        let over_ms = tries[9].at.millis_since(tries[0].at);
        assert!(over_ms >= 3 * DAY_MS, "{over_ms}");
        assert_eq!(row.reason.as_deref(), Some("no answer in time; try 10 was the last"));
        assert_eq!(tries[9].failure.as_deref(), Some("no answer in time"));
    }
    // Chance keeps what failed together from coming back together.
    let last: std::collections::BTreeSet<i64> = parked.iter().map(|row| row.updated_at.0).collect();
    assert_eq!(last.len(), 3);
    assert_eq!((merchants.got_at(DEAD).len(), merchants.got_at(WELL).len()), (30, 3));
    assert!(bench.claim().await.is_empty());
    // Back from the dead, it gets what it missed under the ids that it would have had.
    merchants.answers(|_| status(200));
    let replayed = replay_since(&bench.gateway, bench.merchant, dead, NOW).await.unwrap();
    bench.work(1_000).await;
    assert_eq!((replayed, bench.states(dead).await), (3, BTreeMap::from([("delivered", 3)])));
    let ids = |got: Vec<Got>| {
        got.into_iter().map(|got| got.id).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(merchants.got_at(DEAD)), ids(merchants.got_at(WELL)));
}

#[tokio::test]
async fn a_receiver_that_keeps_ids_sees_each_event_once_and_in_order() {
    let (bench, merchants) = bench().await;
    let endpoint = bench.endpoint(WELL, &[]).await;
    let mut count = 0u32;
    // Two of three tries fail, half of them after the merchant took the message.
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = kept.clone();
    merchants.answers(move |got| {
        count += 1;
        if count % 3 != 1 {
            into.lock().unwrap().push((got.id.clone(), got.body["sequence"].as_i64().unwrap()));
        }
        if count.is_multiple_of(3) { status(200) } else { silence() }
    });
    for number in 0..25 {
        bench
            .announce(if number % 2 == 0 { "payment.succeeded" } else { "refund.succeeded" }, true)
            .await;
        bench.work(60_000).await;
    }
    bench.work(4 * DAY_MS).await;
    assert_eq!(bench.states(endpoint).await, BTreeMap::from([("delivered", 25)]));
    let seen: BTreeMap<String, i64> = kept.lock().unwrap().iter().cloned().collect();
    let mut order: Vec<i64> = seen.values().copied().collect();
    order.sort_unstable();
    assert_eq!((seen.len(), order), (25, (1..=25).collect::<Vec<_>>()));
    assert!(kept.lock().unwrap().len() > 25, "nothing came twice");
}

#[tokio::test]
async fn a_crash_before_the_answer_is_written_sends_the_same_message_again() {
    let (bench, merchants) = bench().await;
    let endpoint = bench.endpoint(WELL, &[]).await;
    bench.announce("order.paid", true).await;
    let job = bench.claim().await.remove(0);
    let arrived = Arc::new(Notify::new());
    *merchants.hangs.lock().unwrap() = Some(arrived.clone());
    tokio::select! {
        _ = due::run(&bench.gateway, &job) => panic!("no answer came"),
        () = arrived.notified() => {}
    }
    *merchants.hangs.lock().unwrap() = None;
    assert!(bench.claim().await.is_empty(), "the lease holds");
    bench.clock.set(NOW.plus_millis(LEASE_MS + 5_000));
    let again = bench.claim().await.remove(0);
    due::run(&bench.gateway, &again).await.unwrap();
    // Whoever held the first lease comes back to life, and does no harm.
    due::run(&bench.gateway, &job).await.unwrap();
    let [first, second] = <[Got; 2]>::try_from(merchants.got()).unwrap();
    assert_eq!((&first.id, &first.body), (&second.id, &second.body));
    assert_eq!(second.seconds - first.seconds, LEASE_MS / 1_000 + 5);
    let (row, tries) =
        get(&bench.gateway, bench.merchant, bench.deliveries(endpoint).await[0].id).await.unwrap();
    assert_eq!((row.state, row.attempts, tries.len()), (DeliveryState::Delivered, 1, 1));
}

#[tokio::test]
async fn the_outbox_is_written_with_the_event_or_not_at_all() {
    let (bench, merchants) = bench().await;
    let orders = bench.endpoint(WELL, &["order.*"]).await;
    let refunds = bench.endpoint(DEAD, &["refund.failed"]).await;
    bench.announce("order.paid", false).await;
    assert!(bench.deliveries(orders).await.is_empty());
    bench.announce("order.paid", true).await;
    bench.announce("refund.failed", true).await;
    bench.announce("payment.failed", true).await;
    bench.work(1_000).await;
    let kinds =
        |url| merchants.got_at(url).iter().map(|got| got.body["type"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (kinds(WELL), kinds(DEAD)),
        (vec![json!("order.paid")], vec![json!("refund.failed")])
    );
    assert_eq!(bench.deliveries(refunds).await.len(), 1);
    let body = &merchants.got_at(WELL)[0].body;
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "type", "timestamp", "order_id", "sequence", "data"]);
    assert_eq!((&body["id"], &body["sequence"]), (&json!(merchants.got_at(WELL)[0].id), &json!(1)));
    assert_eq!(body["timestamp"], json!(NOW));
}

#[tokio::test]
async fn gone_disables_an_endpoint_and_tells_the_others() {
    let (bench, merchants) = bench().await;
    merchants.answers(|got| status(if got.url == DEAD { 410 } else { 200 }));
    let (gone, well) = (bench.endpoint(DEAD, &[]).await, bench.endpoint(WELL, &[]).await);
    for _ in 0..9 {
        bench.announce("order.paid", true).await;
    }
    bench.work(4 * DAY_MS).await;
    let row = bench.endpoint_row(gone).await;
    assert_eq!((row.state, row.reason.as_deref()), (EndpointState::Disabled, Some(GONE)));
    assert_eq!(bench.states(gone).await, BTreeMap::from([("parked", 9)]));
    assert!(merchants.got_at(DEAD).len() <= IN_FLIGHT);
    let told = merchants.got_at(WELL).last().unwrap().body.clone();
    assert_eq!(
        (&told["type"], &told["data"]["reason"]),
        (&json!("webhook_endpoint.disabled"), &json!(GONE))
    );
    assert_eq!(bench.states(well).await, BTreeMap::from([("delivered", 10)]));
    // It hears of nothing, and nothing is replayed to it, until it is enabled.
    bench.announce("order.paid", true).await;
    assert_eq!(bench.deliveries(gone).await.len(), 9);
    let refused = replay_since(&bench.gateway, bench.merchant, gone, NOW).await;
    assert!(matches!(refused, Err(FlowError::Conflict { code: "webhook-endpoint-disabled", .. })));
    endpoints::enable(&bench.gateway, bench.merchant, gone).await.unwrap();
    merchants.answers(|_| status(200));
    assert_eq!(replay_since(&bench.gateway, bench.merchant, gone, NOW).await.unwrap(), 9);
    bench.work(60_000).await;
    assert_eq!(bench.states(gone).await, BTreeMap::from([("delivered", 9)]));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_gets_it() {
    let (bench, merchants) = bench().await;
    let endpoint = bench.endpoint(WELL, &[]).await;
    merchants.answers(|_| {
        Ok(Reply { status: 429, retry_after: Some("3600".into()), start: b"later\0".to_vec() })
    });
    bench.announce("order.paid", true).await;
    bench.work(1_000).await;
    bench.announce("order.paid", true).await;
    merchants.answers(|_| status(200));
    bench.work(3_598_000).await;
    assert_eq!(merchants.got().len(), 1, "it was called in its pause");
    bench.work(2_000).await;
    assert_eq!(bench.states(endpoint).await, BTreeMap::from([("delivered", 2)]));
    let oldest = bench.deliveries(endpoint).await.pop().unwrap();
    let (_, tries) = get(&bench.gateway, bench.merchant, oldest.id).await.unwrap();
    let told: Vec<_> =
        tries.iter().map(|one| (one.status, one.reply.as_str(), one.took_ms)).collect();
    assert_eq!(told, [(Some(429), "later ", 7), (Some(200), "", 7)]);
}

#[tokio::test]
async fn two_secrets_sign_while_both_live() {
    let (bench, merchants) = bench().await;
    let endpoint = bench.endpoint(WELL, &[]).await;
    let rotate = |overlap_s| {
        endpoints::rotate_secret(&bench.gateway, bench.merchant, endpoint, overlap_s, None)
    };
    let signatures = async || {
        bench.announce("order.paid", true).await;
        bench.work(1_000).await;
        merchants.got().last().unwrap().signatures
    };
    assert_eq!(signatures().await, 1);
    let (_, first) = rotate(3_600).await.unwrap();
    assert_eq!(signatures().await, 2);
    bench.clock.set(NOW.plus_millis(3_700_000));
    assert_eq!(signatures().await, 1);
    let (_, second) = rotate(0).await.unwrap();
    assert_eq!(signatures().await, 1);
    assert_ne!(first, second);
    assert!(matches!(rotate(-1).await, Err(FlowError::Invalid(_))));
    let row = bench.endpoint_row(endpoint).await;
    let kept = [row.secret, row.old_secret.unwrap_or_default()].concat();
    let live =
        endpoints::live_secrets(&bench.gateway, &bench.endpoint_row(endpoint).await, NOW).unwrap();
    assert_eq!(live[0].text(), second);
    assert!(!kept.windows(32).any(|bytes| bytes == live[0].bytes()), "kept in the clear");
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_for_a_week_is_given_up() {
    let (bench, merchants) = bench().await;
    merchants.answers(|_| status(500));
    let endpoint = bench.endpoint(DEAD, &[]).await;
    for state in [EndpointState::Enabled, EndpointState::Disabled] {
        bench.announce("order.paid", true).await;
        bench.work(4 * DAY_MS).await;
        assert_eq!(bench.endpoint_row(endpoint).await.state, state);
    }
    assert_eq!(bench.endpoint_row(endpoint).await.reason.as_deref(), Some(SILENT));
    bench.announce("order.paid", true).await;
    assert_eq!(bench.states(endpoint).await, BTreeMap::from([("parked", 2)]));
}

#[tokio::test]
async fn a_lane_that_was_set_aside_runs_again_once_somebody_wants_it_to() {
    let (bench, merchants) = bench().await;
    let endpoint = bench.endpoint(WELL, &[]).await;
    for way in ["replay", "since", "enable"] {
        let before = merchants.got().len();
        bench.announce("order.paid", true).await;
        bench.run("UPDATE jobs SET parked_at = 1, failures = 8".to_owned()).await;
        bench.announce("order.refunded", true).await;
        bench.work(1_000).await;
        assert_eq!(merchants.got().len(), before, "an event alone does not mend what is broken");
        let (gateway, merchant) = (&bench.gateway, bench.merchant);
        let waiting = bench.deliveries(endpoint).await.remove(0).id;
        match way {
            "replay" => drop(replay(gateway, merchant, waiting).await.unwrap()),
            "since" => drop(replay_since(gateway, merchant, endpoint, NOW).await.unwrap()),
            _ => drop(endpoints::enable(gateway, merchant, endpoint).await.unwrap()),
        }
        bench.work(1_000).await;
        let states = bench.states(endpoint).await;
        assert_eq!(states.keys().collect::<Vec<_>>(), [&"delivered"], "{way}");
    }
}
