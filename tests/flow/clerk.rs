//! A provider that wants tokens, needs time, is asked whether a notice is true, and has a bill with unfinished rows.

use serde_json::{Value, json};
use tollgate_tests::clerk::{Clerk, WORD};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World, place, until};

async fn start() -> (World, Clerk, Value) {
    let setup = Setup { plugins: Some(place::test_plugins()), ..Setup::default() };
    let (world, clerk) = (World::with(setup).await, Clerk::open().await);
    let account = world.account_at(&clerk).await;
    (world, clerk, account)
}

fn steps(clerk: &Clerk, path: &str) -> Vec<String> {
    clerk.heard(path).into_iter().map(|heard| heard.body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_fetched_once_and_shared_and_outlives_a_restart() {
    let (mut world, clerk, account) = start().await;
    let both = futures::join!(world.pay_at(&account), world.pay_at(&account));
    assert_eq!((&both.0["state"], &both.1["state"]), (&json!("pending"), &json!("pending")));
    world.restart().await;
    world.pay_at(&account).await;
    assert_eq!((clerk.heard("/token").len(), clerk.heard("/pay").len()), (1, 3));
    assert_eq!(world.select("SELECT slot FROM fetched_keys").await, ["token"]);
    let rows = world.dump().await.rows("fetched_keys").concat().to_lowercase();
    assert!(!rows.contains("token-of") && !rows.contains(&hex::encode("token-of")), "{rows}");
    let records = world.select("SELECT record FROM exchanges").await.concat();
    assert!(records.contains("/token") && records.contains("[redacted]"), "{records}");
    for secret in ["token-of-the-clerk", WORD] {
        assert!(!records.contains(secret), "{records}");
    }
    // Once it has expired, another one is fetched.
    world.stop_gateway().await;
    world.write("UPDATE fetched_keys SET expires_at = 1").await;
    world.write("UPDATE key_fetches SET next_at = 0").await;
    world.restart().await;
    world.pay_at(&account).await;
    assert_eq!(clerk.heard("/token").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_is_replaced_once() {
    let (world, clerk, account) = start().await;
    world.pay_at(&account).await;
    world.stop_the_clock().await;
    clerk.revokes(false);
    // Nobody asks for tokens faster than the gaps allow: this one is let off.
    world.write("UPDATE key_fetches SET next_at = 0").await;
    let payment = world.pay_at(&account).await;
    assert_eq!(payment["state"], "pending", "{payment}");
    let tokens: Vec<_> = clerk.heard("/pay").into_iter().map(|heard| heard.authorization).collect();
    assert_eq!(tokens.len(), 3);
    assert_ne!(tokens[1], tokens[2], "the same request went out again, with another token");
    let statuses = "SELECT record FROM exchanges WHERE operation = 'pay' ORDER BY id";
    let records = world.select(statuses).await;
    assert!(records[1].contains("\"status\":401") && records[2].contains("\"status\":200"));
    // What the provider reflects of a token reaches neither the plugin nor the record.
    assert!(records[1].contains("not with [redacted]"), "{}", records[1]);
    // One that takes no token at all is not asked for more and more of them.
    clerk.revokes(true);
    world.write("UPDATE key_fetches SET next_at = 0").await;
    world.stop_the_clock().await;
    let before = (clerk.heard("/pay").len(), clerk.heard("/token").len());
    let payment = world.pay_at(&account).await;
    let after = (clerk.heard("/pay").len(), clerk.heard("/token").len());
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1), "{payment}");
    assert_eq!(payment["state"], "unknown", "{payment}");
    world.write("UPDATE key_fetches SET next_at = 4000000000000000").await;
    world.pay_at(&account).await;
    assert_eq!(clerk.heard("/token").len(), after.1, "not again so soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_waits_goes_on_from_there() {
    let (mut world, clerk, account) = start().await;
    clerk.says("/pay", &["wait 3600000 second", "pay here"]);
    let payment = world.pay_at(&account).await;
    let stands = (&payment["state"], &payment["action"]["kind"]);
    assert_eq!(stands, (&json!("pending"), &json!("none")));
    let waiting = "SELECT operation FROM pauses";
    assert_eq!(world.select(waiting).await, ["pay"]);
    world.restart().await;
    assert_eq!(steps(&clerk, "/pay"), ["step="], "its time has not come");
    world.write("UPDATE pauses SET due_at = 1").await;
    world.make_due("go_on").await;
    let payment = until("an action", async || {
        Some(world.payment(&payment).await).filter(|now| now["action"]["kind"] != "none")
    })
    .await;
    assert_eq!(payment["action"]["content"], "pay here");
    assert_eq!(steps(&clerk, "/pay"), ["step=", "step=second"]);
    world.idle().await;
    assert_eq!(world.select(waiting).await, [""; 0]);
    assert_eq!(world.select("SELECT id FROM jobs WHERE kind = 'go_on'").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_and_a_refund_that_wait_are_not_begun_anew() {
    let (world, clerk, account) = start().await;
    let payment = world.pay_at(&account).await;
    world.stop_the_clock().await;
    clerk.says("/query", &["wait 3600000 later", "succeeded"]);
    world.sync(&payment).await.refused(503, "unavailable");
    world.sync(&payment).await.refused(503, "unavailable");
    assert_eq!(steps(&clerk, "/query").iter().filter(|step| *step == "step=").count(), 1);
    world.write("UPDATE pauses SET due_at = 1").await;
    world.make_due("go_on").await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(steps(&clerk, "/query").last().unwrap(), "step=later");
    world.stop_the_clock().await;

    clerk.says("/refund", &["wait 3600000 half", "succeeded"]);
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    assert_eq!(refund["state"], "pending", "{refund}");
    world.write("UPDATE pauses SET due_at = 1").await;
    world.make_due("go_on").await;
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(steps(&clerk, "/refund"), ["step=", "step=half"]);
    assert_eq!(world.payment(&payment).await["refunded"], 250);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_notice_asks_and_what_a_plugin_logs_is_on_record() {
    let (world, clerk, account) = start().await;
    let payment = world.pay_at(&account).await;
    clerk.says("/verify", &["ours"]);
    clerk.says("/query", &["succeeded"]);
    let url = text(&account, "notify_url");
    let told = world.post_form(url, "text/plain", text(&payment, "reference")).await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
    let of_notices = "SELECT record FROM exchanges JOIN notifications n ON n.id = subject_id ORDER BY exchanges.id";
    let records = world.select(of_notices).await;
    let record: Value = serde_json::from_str(&records[0]).unwrap();
    let digest = world.get("/v1/plugins").await.ok()["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|plugin| plugin["id"] == "clerk")
        .unwrap()["digest"]
        .clone();
    assert_eq!((&record["operation"], &record["digest"]), (&json!("notice"), &digest));
    assert!(text(&record["request"], "url").ends_with("/verify"), "{record}");
    assert_eq!(record["response"]["body"]["content"], "ours");
    let line = format!("a notice: {}", text(&payment, "reference"));
    assert_eq!((&record["logs"][0]["message"], &record["logged"]), (&json!(line), &json!(1)));
    // One that holds a secret is kept without it.
    clerk.says("/verify", &["no"]);
    let told = world.post_form(url, "text/plain", &format!("mine: {WORD}")).await;
    assert_eq!(told.status, 400);
    let records = world.select(of_notices).await;
    assert!(records[1].contains("a notice: mine: [redacted]"), "{}", records[1]);
    assert!(!records[1].contains(WORD));
}

/// Where a provider ends nothing, the payer who wants another way is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_is_told_that_his_payment_cannot_be_left() {
    let (world, _clerk, account) = start().await;
    let payment = world.pay_at(&account).await;
    let order = world.order_of(&payment).await;
    let leave = [("leave", text(&payment, "id"))];
    let told = world.client.post(text(&order, "cashier_url")).form(&leave).send().await.unwrap();
    assert_eq!(told.status(), 409);
    let page = told.text().await.unwrap();
    assert!(page.contains("cannot be ended"), "{page}");
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

/// What the provider checks itself is its own, as what it signed is: only what strangers send is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_provider_vouches_for_takes_no_place_of_strangers() {
    let (world, clerk, account) = start().await;
    let payment = world.pay_at(&account).await;
    clerk.says("/verify", &["ours"]);
    clerk.says("/query", &["succeeded"]);
    world.stop_the_clock().await;
    let (url, reference) = (text(&account, "notify_url"), text(&payment, "reference"));
    for number in 0..110 {
        let told = world.post_form(url, "text/plain", reference).await;
        assert_eq!(told.status, 200, "{number}: {}", told.text);
    }
    clerk.says("/verify", &["no"]);
    let mut told = Vec::new();
    for _ in 0..110 {
        told.push(world.post_form(url, "text/plain", reference).await.status);
    }
    assert_eq!((told[0], told[109]), (400, 429), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_not_done_are_differences_of_status() {
    let (world, clerk, account) = start().await;
    let day = world.days_ago(3).await;
    let mut payments = Vec::new();
    clerk.says("/query", &[&format!("succeeded@{day}T04:00:00Z")]);
    for _ in 0..3 {
        let payment = world.pay_at(&account).await;
        world.sync(&payment).await.ok();
        payments.push(payment);
    }
    let row = |at: usize, status: &str| {
        format!("{},{status},1250,{day}T04:00:00Z\n", text(&payments[at], "reference"))
    };
    let bill = [row(0, "succeeded"), row(1, "pending"), row(2, "failed")].concat();
    clerk.says("/bill.csv", &[&bill]);
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["state"], &done["rows"]), (&json!("done"), &json!(3)), "{done}");
    let mut found: Vec<_> = world.discrepancies(&done).await;
    found.sort_by_key(|one| one["line"].as_i64());
    let told: Vec<_> = found.iter().map(|one| (&one["kind"], &one["payment_id"])).collect();
    let status = json!("status");
    assert_eq!(told, [(&status, &payments[1]["id"]), (&status, &payments[2]["id"])], "{found:?}");
    assert!(world.payment(&payments[0]).await["reconciled"].is_object());
    // The download is on record, by status and length: the file itself lies beside the database.
    let records = "SELECT record FROM exchanges WHERE operation = 'bill'";
    let record: Value = serde_json::from_str(&world.select(records).await[0]).unwrap();
    let length = &record["response"]["body"]["length"];
    assert_eq!((&record["response"]["status"], length), (&json!(200), &json!(bill.len())));
    assert_eq!(clerk.heard("/bill.csv").len(), 1);
}
