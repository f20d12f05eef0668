//! Comparisons over a real database: marks, events, differences, and that a rerun writes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Executor, Row};
use tempfile::TempDir;
use tollgate_domain::ids::{
    AccountId, BillId, MerchantId, OrderId, PaymentId, ReconciliationId, RefundId,
};
use tollgate_domain::matching::{Period, PeriodKind};
use tollgate_domain::time::Moment;
use tollgate_plugin::{Limits, Registry, RegistryConfig};

use super::{compare, new_row};
use crate::chance::Chance;
use crate::flows::FlowError;
use crate::gateway::{Gateway, Settings};
use crate::net::Net;
use crate::net::merchant::Http;
use crate::sealing::{Marks, Sealer};
use crate::store::bills::rows::{self, RowRow};
use crate::store::bills::{self, BillRow, BillState};
use crate::store::reconciliations::{self, DiscrepancyRow, ReconciliationRow};
use crate::store::{Clock, Sql, Store};

/// Ten in the morning of the 22nd in China: the bill of the 21st is out.
pub(crate) const NOW: Moment = Moment(1_795_312_800_000_000);
/// Noon of the 21st.
pub(crate) const NOON: i64 = NOW.0 - 22 * 3_600_000_000;

/// A clock that stands still until somebody sets it.
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub fn set(&self, now: Moment) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    pub fn forward(&self, millis: i64) {
        self.0.fetch_add(millis * 1_000, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Bench {
    pub gateway: Gateway,
    pub clock: Arc<Hands>,
    pub merchant: MerchantId,
    pub account: AccountId,
    pub order: OrderId,
    _folder: TempDir,
}

impl Bench {
    pub async fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(NOW.0)));
        let store = Store::open_sqlite(&folder.path().join("db"), clock.clone()).await.unwrap();
        let chance = Chance::seeded(7);
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        let registry = RegistryConfig {
            folder: plugins,
            cache: folder.path().join("cache"),
            limits: Limits::default(),
            compiler: None,
            concurrency: 2,
        };
        let gateway = Gateway {
            store,
            plugins: Arc::new(Registry::open(registry).unwrap()),
            net: Box::new(Net::new().unwrap()),
            sealer: Sealer::new(&[7; 32]).unwrap(),
            marks: Marks::new(&[7; 32]),
            settings: Settings {
                public_url: "http://127.0.0.1".to_owned(),
                bills: folder.path().join("bills"),
                call_limit: Duration::from_secs(1),
                confirm_limit: Duration::from_secs(1),
                answers_kept: Duration::from_secs(86_400),
                simulators: false,
                bills_at_once: false,
                private_webhooks: false,
                private_fields: false,
                jobs: Default::default(),
            },
            courier: Box::new(Http::new(false, Duration::from_secs(1)).unwrap()),
            accounts: Default::default(),
            asking: Default::default(),
            turns: Default::default(),
            strangers: Default::default(),
            breakers: Default::default(),
            bell: Default::default(),
            chance,
        };
        let (merchant, account, order) =
            (gateway.chance.id(NOW), gateway.chance.id(NOW), gateway.chance.id(NOW));
        let bench = Bench { gateway, clock, merchant, account, order, _folder: folder };
        bench
            .run(format!(
                "INSERT INTO merchants (id, name, created_at) VALUES ('{merchant}', 'shop', 0);
                 INSERT INTO accounts VALUES ('{merchant}', '{account}', 'p', 'a', 0, 0, '{{}}', '{{}}', x'', '{{}}', '[]', 0);
                 INSERT INTO orders (merchant_id, id, number, state, amount, currency, subject, details, fingerprint,
                   token, event_seq, expires_at, created_at, updated_at) VALUES
                   ('{merchant}', '{order}', 'A-1', 'paid', 100, 'CNY', 's', '{{}}', 'f', 't', 0, 0, 0, 0)"
            ))
            .await;
        bench
    }

    pub async fn run(&self, statements: String) {
        let statements = &statements;
        let write = self.gateway.store.write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let sql: &mut Sql = tx.sql();
                let sql_text = sqlx::AssertSqlSafe(statements.clone());
                sql.execute(sqlx::raw_sql(sql_text)).await.unwrap();
                Ok(())
            })
        });
        write.await.unwrap();
    }

    pub async fn payment(&self, reference: &str, minor: i64, state: &str, at: i64) -> PaymentId {
        let id: PaymentId = self.gateway.chance.id(NOW);
        let Bench { merchant, account, order, .. } = self;
        let taken = if state == "succeeded" { minor } else { 0 };
        let at = if state == "succeeded" { at.to_string() } else { "NULL".to_owned() };
        self.run(format!(
            "INSERT INTO payments (merchant_id, id, order_id, account_id, plugin, method, state, amount, currency,
               taken, reserved, refunded, reference, provider_ref, request, kept, asked, version, succeeded_at,
               expires_at, created_at, updated_at) VALUES ('{merchant}', '{id}', '{order}', '{account}', 'p', 'm',
               '{state}', {minor}, 'CNY', {taken}, 0, 0, '{reference}', 'there-{reference}', '{{}}', x'', 0, 1, {at},
               0, 0, 0)"
        ))
        .await;
        id
    }

    pub async fn refund(&self, reference: &str, of: PaymentId, minor: i64) -> RefundId {
        let id: RefundId = self.gateway.chance.id(NOW);
        let Bench { merchant, account, order, .. } = self;
        self.run(format!(
            "INSERT INTO refunds (merchant_id, id, payment_id, order_id, account_id, number, state, amount, currency,
               fingerprint, reference, kept, asked, version, succeeded_at, created_at, updated_at) VALUES
               ('{merchant}', '{id}', '{of}', '{order}', '{account}', '{reference}', 'succeeded', {minor}, 'CNY', 'f',
               '{reference}', x'', 0, 1, {NOON}, 0, 0)"
        ))
        .await;
        id
    }

    /// A ready bill of these rows: its first edition, or the next one.
    pub async fn bill(&self, period: &str, rows: &[RowRow]) -> BillRow {
        let Bench { merchant, account, gateway, .. } = self;
        let mut sql = gateway.store.read().await.unwrap();
        let there = bills::find(&mut sql, *merchant, *account, "trade", period).await.unwrap();
        drop(sql);
        let mut bill = match there {
            Some(bill) => bill,
            None => {
                let id: BillId = gateway.chance.id(NOW);
                self.run(format!(
                    "INSERT INTO bills (merchant_id, id, account_id, kind, period, state, rows, bad_lines, files,
                       complete, attempt, edition, resume, retry_at, created_at, updated_at) VALUES ('{merchant}',
                       '{id}', '{account}', 'trade', '{period}', 'fetching', 0, 0, '[]', 0, 0, 0, x'', 0, 0, 0)"
                ))
                .await;
                let mut sql = gateway.store.read().await.unwrap();
                bills::get(&mut sql, *merchant, id).await.unwrap().unwrap()
            }
        };
        let before = bill.clone();
        bill.attempt += 1;
        bill.edition = bill.attempt;
        bill.state = BillState::Ready;
        bill.rows = i64::try_from(rows.len()).unwrap();
        let (before, bill) = (&before, &bill);
        gateway
            .store
            .write::<(), FlowError, _>(move |tx| {
                Box::pin(async move {
                    bills::begin(tx.sql(), before, NOW).await?;
                    for row in rows {
                        assert!(rows::insert(tx.sql(), bill, row).await?);
                    }
                    Ok(bills::update(tx.sql(), bill).await?)
                })
            })
            .await
            .unwrap();
        bill.clone()
    }

    pub async fn compare(
        &self,
        period: &str,
        bill: &BillRow,
    ) -> (ReconciliationRow, Vec<DiscrepancyRow>) {
        let (merchant, account, gateway) = (self.merchant, self.account, &self.gateway);
        let mut sql = gateway.store.read().await.unwrap();
        let there =
            reconciliations::find(&mut sql, merchant, account, "trade", period).await.unwrap();
        drop(sql);
        let row = match there {
            Some(row) => row,
            None => {
                let row = &new_row(gateway, merchant, account, "trade", period);
                gateway
                    .store
                    .write::<(), FlowError, _>(move |tx| {
                        Box::pin(async move { Ok(reconciliations::insert(tx.sql(), row).await?) })
                    })
                    .await
                    .unwrap();
                row.clone()
            }
        };
        let day = Period::parse(PeriodKind::Day, &"+08:00".parse().unwrap(), period).unwrap();
        let row = compare::compare(gateway, &day, bill, row).await.unwrap();
        (row.clone(), self.differences(row.id).await)
    }

    async fn differences(&self, id: ReconciliationId) -> Vec<DiscrepancyRow> {
        let mut sql = self.gateway.store.read().await.unwrap();
        reconciliations::discrepancies(&mut sql, self.merchant, id, "", 1_000).await.unwrap()
    }

    /// The rows of a query, each as texts.
    pub async fn read(&self, query: &'static str) -> Vec<String> {
        let mut sql = self.gateway.store.read().await.unwrap();
        let rows = sqlx::query(query).fetch_all(&mut sql).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    /// Everything that a comparison could have written.
    async fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for query in [
            "SELECT id || ' ' || coalesce(bill_id, '') || ' ' || coalesce(bill_line, '') || ' ' || updated_at FROM payments ORDER BY id",
            "SELECT id || ' ' || coalesce(bill_id, '') || ' ' || coalesce(bill_line, '') || ' ' || updated_at FROM refunds ORDER BY id",
            "SELECT id || ' ' || kind || ' ' || data FROM events ORDER BY id",
            "SELECT id || ' ' || state || ' ' || matched || ' ' || discrepancies || ' ' || updated_at FROM reconciliations ORDER BY id",
            "SELECT id || ' ' || key || ' ' || state || ' ' || updated_at FROM discrepancies ORDER BY id",
            "SELECT bill_id || edition || file || line || coalesce(subject_id, '') FROM statement_rows ORDER BY edition, file, line",
            "SELECT id || kind || due_at FROM jobs ORDER BY id",
        ] {
            all.extend(self.read(query).await);
        }
        all
    }
}

/// A payment's row, or with a refund's reference that refund's.
fn row(line: i64, payment: &str, refund: Option<&str>, gross: i64) -> RowRow {
    let kind = if refund.is_some() { "refund" } else { "payment" };
    RowRow {
        file: 0,
        line,
        kind: kind.to_owned(),
        status: "succeeded".to_owned(),
        raw: String::new(),
        payment_ref: Some(payment.to_owned()),
        provider_ref: Some(format!("there-{payment}")),
        refund_ref: refund.map(str::to_owned),
        provider_refund_ref: None,
        gross,
        currency: "CNY".to_owned(),
        fee: None,
        fee_currency: None,
        net: None,
        net_currency: None,
        at: Some(NOON),
        batch: None,
        extra: "[]".to_owned(),
    }
}

fn kinds(found: &[DiscrepancyRow]) -> Vec<String> {
    let mut kinds: Vec<String> =
        found.iter().map(|row| format!("{} {}", row.kind, row.state)).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn what_matches_is_marked_and_told_once() {
    let bench = Bench::new().await;
    let paid = bench.payment("P1", 100, "succeeded", NOON).await;
    let back = bench.refund("R1", paid, 30).await;
    let bill =
        bench.bill("2026-11-21", &[row(7, "P1", None, 100), row(9, "P1", Some("R1"), -30)]).await;
    let (done, found) = bench.compare("2026-11-21", &bill).await;
    assert_eq!((done.rows, done.matched, done.discrepancies, found.len()), (2, 2, 0, 0));
    let events =
        bench.read("SELECT kind || ' ' || sequence || ' ' || data FROM events ORDER BY id").await;
    let id = bill.id;
    let told = |kind: &str, sequence: i64, data: Value| format!("{kind} {sequence} {data}");
    let order = bench.order;
    assert_eq!(
        events[..2],
        [
            told(
                "payment.reconciled",
                1,
                json!({
                    "payment_id": paid, "order_id": order, "bill_id": id, "line": 7, "day": "2026-11-21",
                })
            ),
            told(
                "refund.reconciled",
                2,
                json!({
                    "refund_id": back, "payment_id": paid, "order_id": order, "bill_id": id, "line": 9,
                    "day": "2026-11-21",
                })
            ),
        ]
    );
    assert!(events[2].starts_with("reconciliation.done 0 "), "{events:?}");
    assert_eq!(events.len(), 3);
    let marks = bench
        .read("SELECT bill_id || ' ' || bill_line || ' ' || bill_day FROM payments WHERE bill_id IS NOT NULL")
        .await;
    assert_eq!(marks, [format!("{id} 7 2026-11-21")]);
    let before = bench.everything().await;
    for _ in 0..2 {
        let (again, _) = bench.compare("2026-11-21", &bill).await;
        assert_eq!(again, done);
        assert_eq!(bench.everything().await, before);
    }
}

#[tokio::test]
async fn each_difference_is_listed_once_and_stays_as_it_is() {
    let bench = Bench::new().await;
    for (reference, state) in [
        ("amount", "succeeded"),
        ("status", "succeeded"),
        ("time", "succeeded"),
        ("fee", "succeeded"),
        ("twice", "succeeded"),
        ("lost", "succeeded"),
        ("open", "pending"),
    ] {
        bench.payment(reference, 10_000, state, NOON).await;
    }
    let old = bench.payment("old", 10_000, "succeeded", NOON - 5 * 86_400_000_000).await;
    let terms = tollgate_domain::matching::FeeTerms { rate_ppm: 6_000, fixed: 0 };
    let Bench { merchant, account, .. } = &bench;
    bench
        .run(format!(
            "INSERT INTO fee_terms VALUES ('{merchant}', '{account}', {}, 0, 0)",
            terms.rate_ppm
        ))
        .await;
    let with_fee =
        |fee: i64, row: RowRow| RowRow { fee: Some(fee), fee_currency: Some("CNY".into()), ..row };
    let rows = [
        row(1, "amount", None, 10_001),
        RowRow { status: "pending".to_owned(), ..row(2, "status", None, 10_000) },
        RowRow { at: Some(NOON + 600_000_000), ..row(3, "time", None, 10_000) },
        with_fee(70, row(4, "fee", None, 10_000)),
        with_fee(60, row(5, "twice", None, 10_000)),
        row(6, "twice", None, 10_000),
        row(7, "open", None, 10_000),
        row(8, "stranger", None, 10_000),
        // Of another day, so that only a look into the database finds it.
        row(9, "old", None, 10_000),
    ];
    let bill = bench.bill("2026-11-21", &rows).await;
    let (done, found) = bench.compare("2026-11-21", &bill).await;
    let wanted = [
        "amount open",
        "duplicate open",
        "fee open",
        "missing_here open",
        "missing_here open",
        "missing_there open",
        "status open",
        "time open",
        "time open",
    ];
    assert_eq!(kinds(&found), wanted);
    // Time and fee do not keep a payment from being settled: `time`, `fee`, `twice` and `old`.
    assert_eq!((done.matched, done.discrepancies), (4, 9));
    let amount = found.iter().find(|row| row.kind.as_str() == "amount").unwrap();
    assert_eq!(amount.ours.as_deref(), Some(r#"{"amount":10000,"currency":"CNY"}"#));
    assert_eq!(amount.theirs.as_deref(), Some(r#"{"amount":10001,"currency":"CNY"}"#));
    assert!(found.iter().any(|row| row.payment_id == Some(old.to_string())));
    // Money that moved there and not here: the provider is asked.
    assert_eq!(bench.read("SELECT kind FROM jobs").await, ["query_payment"]);
    let before = bench.everything().await;
    let (again, _) = bench.compare("2026-11-21", &bill).await;
    assert_eq!((again, bench.everything().await), (done, before));
}

#[tokio::test]
async fn a_renewed_bill_takes_back_what_it_no_longer_says() {
    let bench = Bench::new().await;
    bench.payment("P1", 100, "succeeded", NOON).await;
    bench.payment("P2", 200, "succeeded", NOON).await;
    let first = bench.bill("2026-11-21", &[row(1, "P1", None, 100)]).await;
    let (done, found) = bench.compare("2026-11-21", &first).await;
    assert_eq!((done.matched, kinds(&found)), (1, vec!["missing_there open".to_owned()]));
    let second =
        bench.bill("2026-11-21", &[row(1, "P2", None, 200), row(2, "P1", None, 101)]).await;
    assert_eq!((second.id, second.edition), (first.id, 2));
    let (done, found) = bench.compare("2026-11-21", &second).await;
    assert_eq!((done.matched, done.discrepancies), (1, 1));
    assert_eq!(kinds(&found), ["amount open", "missing_there gone"]);
    let marked = bench.read("SELECT reference FROM payments WHERE bill_id IS NOT NULL").await;
    assert_eq!(marked, ["P2"]);
}

#[tokio::test]
async fn what_is_near_midnight_is_left_to_the_next_bill() {
    let bench = Bench::new().await;
    let midnight = NOON + 12 * 3_600_000_000;
    bench.payment("told", 100, "succeeded", midnight - 1_000_000).await;
    bench.payment("lost", 100, "succeeded", midnight - 2_000_000).await;
    let today = bench.bill("2026-11-21", &[]).await;
    let (done, found) = bench.compare("2026-11-21", &today).await;
    assert_eq!((done.carried, found.len()), (2, 0));
    let told = RowRow { at: Some(midnight), ..row(1, "told", None, 100) };
    let tomorrow = bench.bill("2026-11-22", &[told]).await;
    let (done, found) = bench.compare("2026-11-22", &tomorrow).await;
    assert_eq!((done.matched, kinds(&found)), (1, vec!["missing_there open".to_owned()]));
    // The day before is looked at again: nothing is missing, the other bill has settled one of them.
    let (done, found) = bench.compare("2026-11-21", &today).await;
    assert_eq!((done.carried, found.len()), (1, 0));
}

#[tokio::test]
async fn the_same_money_in_another_bill_is_a_duplicate() {
    let bench = Bench::new().await;
    bench.payment("P1", 100, "succeeded", NOON).await;
    let first = bench.bill("2026-11-21", &[row(1, "P1", None, 100)]).await;
    bench.compare("2026-11-21", &first).await;
    let second = bench.bill("2026-11-22", &[row(1, "P1", None, 100)]).await;
    let (done, found) = bench.compare("2026-11-22", &second).await;
    assert_eq!((done.matched, kinds(&found)), (0, vec!["duplicate open".to_owned()]));
}

#[tokio::test]
async fn a_day_that_comes_late_has_the_next_one_looked_at_again() {
    let bench = Bench::new().await;
    let later = bench.bill("2026-11-22", &[]).await;
    bench.compare("2026-11-22", &later).await;
    assert!(bench.read("SELECT kind FROM jobs").await.is_empty());
    let earlier = bench.bill("2026-11-21", &[]).await;
    bench.compare("2026-11-21", &earlier).await;
    assert_eq!(bench.read("SELECT kind FROM jobs").await, ["reconcile"]);
}
