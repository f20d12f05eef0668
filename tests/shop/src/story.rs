//! The story: two orders, a refund, a lost notification, and a bill with a difference in it.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use crate::api::Gateway;
use crate::browser::{Browser, Page};
use crate::provider::Provider;
use crate::telling::Teller;

/// How long the gateway may take to hear of a payment, be it by asking on its schedule.
const PATIENCE: Duration = Duration::from_secs(90);

/// The payment that the cashier's first choice leads to, and where it leads.
struct Chosen {
    payment: Value,
    payer_page: Page,
}

/// Tells all of it, and sums it up from what the API says at the end.
pub async fn tell(
    gateway: &Gateway,
    provider: &Provider,
    account: &Value,
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    teller.chapter("An account at a provider");
    let account = gateway.post("v1/accounts", account).await?;
    let account_id = text(&account, "id")?;
    teller.step(&format!(
        "{account_id}: plugin {}, {}",
        word(&account["plugin"]),
        word(&account["name"])
    ));

    let first = paid_and_notified(gateway, provider, teller).await?;
    refunded_in_part(gateway, &first, teller).await?;
    let second = paid_and_found(gateway, provider, teller).await?;
    let reconciliation = reconciled(gateway, provider, account_id, &second, teller).await?;
    summary(gateway, &reconciliation, teller).await
}

/// An order that goes well: the provider's notification comes, and is confirmed by asking the provider.
async fn paid_and_notified(
    gateway: &Gateway,
    provider: &Provider,
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    teller.chapter("An order is paid");
    let order = json!({
        "number": "SHOP-1001", "amount": 12_900, "currency": "CNY", "subject": "Tea set for two",
        "items": [
            { "name": "Tea pot", "price": 8_900, "quantity": 1 },
            { "name": "Tea cup", "price": 2_000, "quantity": 2 },
        ],
        "deliver_to": {
            "name": "Li Lei", "phone": "+8613800000000", "lines": ["88 Nanjing Road"],
            "city": "Shanghai", "postal_code": "200001", "country": "CN",
        },
        "metadata": { "basket": "7f3a" },
    });
    let (browser, chosen) = checkout(gateway, provider, &order, teller).await?;
    let (form, button) = chosen.payer_page.button("pay")?;
    let result = browser.submit(&chosen.payer_page, &form, button).await?;
    teller.step(&format!("the payer paid and came back to {}", result.url.path()));
    let order = wait_until_paid(gateway, &chosen).await?;
    teller.step(&format!(
        "the order is {}, {} taken",
        word(&order["state"]),
        money(&order, "paid")?
    ));
    tell_events(gateway, &order, teller).await?;
    Ok(order)
}

/// An order whose notification never arrives and whose payer never comes back: the gateway asks by itself.
async fn paid_and_found(
    gateway: &Gateway,
    provider: &Provider,
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    teller.chapter("Another is paid, and its notification is lost");
    let order = json!({
        "number": "SHOP-1002", "amount": 4_550, "currency": "CNY", "subject": "Green tea 250 g",
        "items": [{ "name": "Green tea 250 g", "price": 4_550, "quantity": 1 }],
    });
    let (browser, chosen) = checkout(gateway, provider, &order, teller).await?;
    provider.lose_notifications(true).await?;
    let (form, button) = chosen.payer_page.button("pay")?;
    browser.submit_and_leave(&chosen.payer_page, &form, button).await?;
    teller.step("the payer paid and closed the window; the notification of it is lost");
    let order = wait_until_paid(gateway, &chosen).await?;
    provider.lose_notifications(false).await?;
    teller.step(&format!(
        "the query schedule found it: the order is {}, {} taken",
        word(&order["state"]),
        money(&order, "paid")?
    ));
    tell_events(gateway, &order, teller).await?;
    Ok(order)
}

/// An order, its cashier page, the payer's choice there, and the way to the provider's page.
async fn checkout(
    gateway: &Gateway,
    provider: &Provider,
    order: &Value,
    teller: &mut Teller,
) -> anyhow::Result<(Browser, Chosen)> {
    let order = gateway.post("v1/orders", order).await?;
    let id = text(&order, "id")?;
    teller.step(&format!("{id}: order {} of {}", word(&order["number"]), money(&order, "amount")?));

    let cashier_url = text(&order, "cashier_url")?.parse()?;
    let browser = Browser::new(&[&cashier_url, &provider.url])?;
    let cashier = browser.open(&cashier_url).await?;
    let forms = cashier.forms();
    let form = forms.iter().find(|form| form.post).context("the cashier offers no method")?;
    let button = (!form.buttons.is_empty()).then_some(0);
    let label = form.buttons.first().map_or("the only method", |button| &button.label);
    teller.step(&format!("the payer opened the cashier and chooses {label:?}"));

    let mut page = browser.submit(&cashier, form, button).await?;
    // A form that is posted to the provider is submitted by the page itself, where scripts run.
    if page.url.origin() != provider.url.origin() {
        let forms = page.forms();
        let form = forms.first().context("the cashier does not lead to the provider")?;
        page = browser.submit(&page, form, None).await?;
    }
    ensure!(page.url.origin() == provider.url.origin(), "{} is not the provider", page.url);
    let order = gateway.get(&format!("v1/orders/{id}")).await?;
    let payment = order["payments"].get(0).context("the order has no payment")?.clone();
    let (name, reference) = (text(&payment, "id")?, text(&payment, "reference")?);
    teller.step(&format!("{name}: the payer is at the provider, which knows it as {reference}"));
    Ok((browser, Chosen { payment, payer_page: page }))
}

async fn wait_until_paid(gateway: &Gateway, chosen: &Chosen) -> anyhow::Result<Value> {
    let path = format!("v1/orders/{}", text(&chosen.payment, "order_id")?);
    gateway.wait(&path, PATIENCE, |order| order["state"] == "paid").await
}

async fn tell_events(gateway: &Gateway, order: &Value, teller: &mut Teller) -> anyhow::Result<()> {
    let path = format!("v1/events?order_id={}", text(order, "id")?);
    let events = gateway.list(&path).await?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    teller.step(&format!("its events: {}", kinds.join(", ")));
    Ok(())
}

/// A part of the first payment goes back.
async fn refunded_in_part(
    gateway: &Gateway,
    order: &Value,
    teller: &mut Teller,
) -> anyhow::Result<()> {
    teller.chapter("A tea cup was broken");
    let payment = order["payments"].get(0).context("the order has no payment")?;
    let refund = json!({
        "payment_id": payment["id"], "number": "SHOP-1001-R1", "amount": 2_000, "reason": "one cup broken",
    });
    let refund = gateway.post("v1/refunds", &refund).await?;
    let id = text(&refund, "id")?;
    teller.step(&format!(
        "{id}: refund of {} is {}",
        money(&refund, "amount")?,
        word(&refund["state"])
    ));
    let path = format!("v1/refunds/{id}");
    let refund = gateway.wait(&path, PATIENCE, |refund| refund["state"] == "succeeded").await?;
    let order = gateway.get(&format!("v1/orders/{}", text(order, "id")?)).await?;
    teller.step(&format!(
        "the refund is {}, the order {}: {} of {} given back",
        word(&refund["state"]),
        word(&order["state"]),
        money(&order, "refunded")?,
        money(&order, "paid")?
    ));
    Ok(())
}

/// The day's bill, in which one amount differs from what the gateway knows.
async fn reconciled(
    gateway: &Gateway,
    provider: &Provider,
    account_id: &str,
    second: &Value,
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    teller.chapter("The day's bill");
    let payment = second["payments"].get(0).context("the order has no payment")?;
    provider.falsify_bill(text(payment, "reference")?, "45.00").await?;
    teller.step("one row of the provider's bill will be wrong: 45.00 for a payment of 45.50");

    let period = today_in_china();
    let wanted = json!({ "account_id": account_id, "period": period });
    let bill = gateway.post("v1/bills", &wanted).await?;
    let path = format!("v1/bills/{}", text(&bill, "id")?);
    let bill = gateway.wait(&path, PATIENCE, |bill| bill["state"] == "ready").await?;
    teller.step(&format!("{}: the bill of {period} has {} rows", word(&bill["id"]), bill["rows"]));

    let reconciliation = gateway.post("v1/reconciliations", &wanted).await?;
    let path = format!("v1/reconciliations/{}", text(&reconciliation, "id")?);
    let done = |found: &Value| found["state"] == "done";
    let reconciliation = gateway.wait(&path, PATIENCE, done).await?;
    teller.step(&format!(
        "{}: {} matched, {} discrepancies",
        word(&reconciliation["id"]),
        reconciliation["matched"],
        reconciliation["discrepancies"]
    ));
    let path = format!("{path}/discrepancies");
    for found in gateway.list(&path).await? {
        let (ours, theirs) = (money(&found["ours"], "amount")?, money(&found["theirs"], "amount")?);
        let (kind, line) = (text(&found, "kind")?, &found["line"]);
        teller.step(&format!("line {line}, {kind}: ours {ours}, theirs {theirs}"));
    }
    Ok(reconciliation)
}

/// The provider's day is that of China, which has had one zone without daylight saving since 1991.
fn today_in_china() -> String {
    let zone = TimeZone::fixed(Offset::constant(8));
    Timestamp::now().to_zoned(zone).strftime("%Y-%m-%d").to_string()
}

/// Counts what the API lists, and says whether the story ended as it should.
async fn summary(
    gateway: &Gateway,
    reconciliation: &Value,
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    teller.chapter("What the gateway knows at the end");
    let orders = gateway.list("v1/orders").await?;
    let refunds = gateway.list("v1/refunds").await?;
    let mut payments = 0;
    for order in &orders {
        let order = gateway.get(&format!("v1/orders/{}", text(order, "id")?)).await?;
        payments += order["payments"].as_array().map_or(0, Vec::len);
        let end = if order["reconciled"] == true { "reconciled" } else { "not reconciled" };
        teller.step(&format!("order {}: {}, {end}", word(&order["number"]), word(&order["state"])));
    }
    let plugins: Vec<Value> = gateway
        .list("v1/plugins")
        .await?
        .iter()
        .map(|plugin| {
            json!({ "id": plugin["id"], "digest": plugin["digest"], "imports": plugin["imports"] })
        })
        .collect();
    for plugin in &plugins {
        let imports = plugin["imports"].as_array().context("a plugin without imports")?;
        let imports: Vec<String> = imports.iter().map(word).collect();
        teller.step(&format!("plugin {} imports {}", word(&plugin["id"]), imports.join(", ")));
    }
    let (matched, discrepancies) = (&reconciliation["matched"], &reconciliation["discrepancies"]);
    // The first payment and its refund are as billed; the second payment is not.
    let as_expected = *matched == json!(2) && *discrepancies == json!(1);
    let ok = as_expected && orders.len() == 2 && payments == 2 && refunds.len() == 1;
    Ok(json!({
        "ok": ok,
        "orders": orders.len(),
        "payments": payments,
        "refunds": refunds.len(),
        "reconciliation": { "matched": matched, "discrepancies": discrepancies },
        "plugins": plugins,
        "elapsed_ms": teller.elapsed_ms(),
    }))
}

/// One more order, for whoever watched to pay it as the payer did. It is no part of the sums.
pub async fn leave_open(gateway: &Gateway, teller: &Teller) -> anyhow::Result<()> {
    let order = json!({
        "number": "SHOP-1003", "amount": 1_880, "currency": "CNY", "subject": "Biscuits",
        "expires_in_s": 86_400,
    });
    let order = gateway.post("v1/orders", &order).await?;
    teller.say("\nAn order is left for you to pay (no real money moves):");
    teller.say(&format!("  cashier    {}", text(&order, "cashier_url")?));
    Ok(())
}

/// A member as people read it: a text without its quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text<'a>(object: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    object[name].as_str().with_context(|| format!("the API gave no {name}: {object}"))
}

/// An amount as people write it. The yuan has two decimals.
fn money(object: &Value, name: &str) -> anyhow::Result<String> {
    let minor =
        object[name].as_i64().with_context(|| format!("the API gave no {name}: {object}"))?;
    let currency = text(object, "currency")?;
    Ok(format!("{currency} {}.{:02}", minor / 100, minor % 100))
}
