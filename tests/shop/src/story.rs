//! The story at each provider: two orders, a refund, a lost notification, and a bill with a difference in it.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use url::Url;

use crate::api::Gateway;
use crate::browser::{Browser, Page};
use crate::html::Form;
use crate::provider::Provider;
use crate::telling::Teller;

/// How long the gateway may take to hear of a payment, be it by asking on its schedule.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a payer pays on.
enum Till {
    /// A page of the provider's in his browser.
    Page(Browser, Page),
    /// A code that he scans with his phone.
    Code,
}

/// The payment that the payer's choice at the cashier leads to, and where it leads.
struct Chosen {
    payment: Value,
    till: Till,
}

/// One provider's part: the shop's account there.
struct Stage<'a> {
    gateway: &'a Gateway,
    provider: &'a Provider,
    account: Value,
}

/// Tells all of it, and sums it up from what the API says at the end.
pub async fn tell(
    gateway: &Gateway,
    providers: &[Provider],
    teller: &mut Teller,
) -> anyhow::Result<Value> {
    let mut reconciliations = Vec::new();
    for provider in providers {
        teller.chapter(&format!("An account at a provider: {}", provider.plugin));
        let account = gateway.post("v1/accounts", &provider.account).await?;
        provider.register(&account).await?;
        teller.step(&format!("{}: {}", text(&account, "id")?, word(&account["name"])));
        let stage = Stage { gateway, provider, account };
        let first = stage.paid_and_notified(teller).await?;
        stage.refunded_in_part(&first, teller).await?;
        let second = stage.paid_and_found(teller).await?;
        let done = stage.reconciled(&second, teller).await?;
        reconciliations.push(json!({
            "plugin": provider.plugin,
            "matched": done["matched"], "discrepancies": done["discrepancies"],
        }));
    }
    summary(gateway, &reconciliations, teller).await
}

impl Stage<'_> {
    /// The shop's number of an order or refund.
    fn number(&self, number: &str) -> String {
        format!("{}-{number}", self.provider.plugin.to_uppercase())
    }

    /// So many hundredths in the provider's currency, in its minor units.
    fn minor(&self, hundredths: i64) -> i64 {
        hundredths * 10_i64.pow(self.provider.currency.1) / 100
    }

    /// An order that goes well: the provider's notification comes, and is confirmed by asking the provider.
    async fn paid_and_notified(&self, teller: &mut Teller) -> anyhow::Result<Value> {
        teller.chapter("An order is paid");
        let order = json!({
            "number": self.number("1001"), "amount": self.minor(12_900),
            "currency": self.provider.currency.0, "subject": "Tea set for two",
            "items": [
                { "name": "Tea pot", "price": self.minor(8_900), "quantity": 1 },
                { "name": "Tea cup", "price": self.minor(2_000), "quantity": 2 },
            ],
            "deliver_to": {
                "name": "Li Lei", "phone": "+8613800000000", "lines": ["88 Nanjing Road"],
                "city": "Shanghai", "postal_code": "200001", "country": "CN",
            },
            "metadata": { "basket": "7f3a" },
        });
        let chosen = self.checkout(&order, teller).await?;
        match &chosen.till {
            Till::Page(browser, page) => {
                let (form, button) = page.button("pay")?;
                let mut result = browser.submit(page, &form, button).await?;
                // Some providers have the browser post its way back: the page submits that form itself, where scripts run.
                if result.url.origin() == self.provider.url.origin() {
                    let forms = result.forms();
                    let form = forms.first().context("the provider does not lead back")?;
                    result = browser.submit(&result, form, None).await?;
                }
                teller.step(&format!("the payer paid and came back to {}", result.url.path()));
            }
            Till::Code => {
                self.provider.scanned_and_paid(text(&chosen.payment, "reference")?).await?;
                teller.step("the payer scanned the code and paid on his phone");
            }
        }
        self.paid(&chosen, "the order is", teller).await
    }

    /// An order whose notification never arrives and whose payer never comes back: the gateway asks by itself.
    async fn paid_and_found(&self, teller: &mut Teller) -> anyhow::Result<Value> {
        teller.chapter("Another is paid, and its notification is lost");
        let amount = self.minor(4_550);
        let order = json!({
            "number": self.number("1002"), "amount": amount,
            "currency": self.provider.currency.0, "subject": "Green tea 250 g",
            "items": [{ "name": "Green tea 250 g", "price": amount, "quantity": 1 }],
        });
        let chosen = self.checkout(&order, teller).await?;
        self.provider.lose_notifications(true).await?;
        match &chosen.till {
            Till::Page(browser, page) => {
                let (form, button) = page.button("pay")?;
                browser.submit_and_leave(page, &form, button).await?;
            }
            Till::Code => {
                self.provider.scanned_and_paid(text(&chosen.payment, "reference")?).await?;
            }
        }
        teller.step("the payer paid and closed the window; the notification of it is lost");
        let order = self.paid(&chosen, "the query schedule found it: the order is", teller).await?;
        self.provider.lose_notifications(false).await?;
        Ok(order)
    }

    /// An order, its cashier page, the payer's choice there, and the way to the provider.
    async fn checkout(&self, order: &Value, teller: &mut Teller) -> anyhow::Result<Chosen> {
        let order = self.gateway.post("v1/orders", order).await?;
        let id = text(&order, "id")?;
        teller.step(&format!(
            "{id}: order {} of {}",
            word(&order["number"]),
            self.money(&order, "amount")?
        ));
        let cashier_url: Url = text(&order, "cashier_url")?.parse()?;
        let browser = Browser::new(&[&cashier_url, &self.provider.url])?;
        let cashier = browser.open(&cashier_url).await?;
        let (form, button, label) = self.choice(&cashier)?;
        teller.step(&format!("the payer opened the cashier and chooses {label:?}"));
        let mut page = browser.submit(&cashier, &form, button).await?;

        let order = self.gateway.get(&format!("v1/orders/{id}")).await?;
        let payment = order["payments"].get(0).context("the order has no payment")?.clone();
        let (name, reference) = (text(&payment, "id")?, text(&payment, "reference")?);
        if payment["action"]["kind"] == "qr_code" {
            teller.step(&format!("{name}: the cashier shows a code, of {reference}"));
            return Ok(Chosen { payment, till: Till::Code });
        }
        // A form that is posted to the provider is submitted by the page itself, where scripts run.
        if page.url.origin() != self.provider.url.origin() {
            let forms = page.forms();
            let form = forms.first().context("the cashier does not lead to the provider")?;
            page = browser.submit(&page, form, None).await?;
        }
        let there = page.url.origin() == self.provider.url.origin();
        ensure!(there, "{} is not the provider", page.url);
        teller
            .step(&format!("{name}: the payer is at the provider, which knows it as {reference}"));
        Ok(Chosen { payment, till: Till::Page(browser, page) })
    }

    /// The button of the cashier that chooses this provider, by the name that its account shows.
    fn choice(&self, cashier: &Page) -> anyhow::Result<(Form, Option<usize>, String)> {
        let methods = self.account["methods"].as_array().context("an account without methods")?;
        let names: Vec<&str> =
            methods.iter().filter_map(|method| method["name"].as_str()).collect();
        for form in cashier.forms().into_iter().filter(|form| form.post) {
            let ours = |label: &str| names.iter().any(|name| label.contains(name));
            let at = form.buttons.iter().position(|button| ours(&button.label));
            if let Some(at) = at {
                let label = form.buttons[at].label.clone();
                return Ok((form, Some(at), label));
            }
        }
        anyhow::bail!("the cashier offers none of {names:?}: {}", cashier.html)
    }

    async fn paid(&self, chosen: &Chosen, how: &str, teller: &mut Teller) -> anyhow::Result<Value> {
        let id = text(&chosen.payment, "order_id")?;
        let path = format!("v1/orders/{id}");
        let order = self.gateway.wait(&path, PATIENCE, |order| order["state"] == "paid").await?;
        let taken = self.money(&order, "paid")?;
        teller.step(&format!("{how} {}, {taken} taken", word(&order["state"])));
        let events = self.gateway.list(&format!("v1/events?order_id={id}")).await?;
        let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
        teller.step(&format!("its events: {}", kinds.join(", ")));
        Ok(order)
    }

    /// A part of the first payment goes back.
    async fn refunded_in_part(&self, order: &Value, teller: &mut Teller) -> anyhow::Result<()> {
        teller.chapter("A tea cup was broken");
        let payment = order["payments"].get(0).context("the order has no payment")?;
        let refund = json!({
            "payment_id": payment["id"], "number": self.number("1001-R1"),
            "amount": self.minor(2_000), "reason": "one cup broken",
        });
        let refund = self.gateway.post("v1/refunds", &refund).await?;
        let id = text(&refund, "id")?;
        let amount = self.money(&refund, "amount")?;
        teller.step(&format!("{id}: refund of {amount} is {}", word(&refund["state"])));
        let path = format!("v1/refunds/{id}");
        let done = |refund: &Value| refund["state"] == "succeeded";
        let refund = self.gateway.wait(&path, PATIENCE, done).await?;
        let order = self.gateway.get(&format!("v1/orders/{}", text(order, "id")?)).await?;
        teller.step(&format!(
            "the refund is {}, the order {}: {} of {} given back",
            word(&refund["state"]),
            word(&order["state"]),
            self.money(&order, "refunded")?,
            self.money(&order, "paid")?
        ));
        Ok(())
    }

    /// The day's bill, in which one amount differs from what the gateway knows.
    async fn reconciled(&self, second: &Value, teller: &mut Teller) -> anyhow::Result<Value> {
        teller.chapter("The day's bill");
        let payment = second["payments"].get(0).context("the order has no payment")?;
        let (right, wrong) = (self.minor(4_550), self.minor(4_500));
        let wrong = self.decimal(wrong);
        self.provider.falsify_bill(text(payment, "reference")?, &wrong).await?;
        teller.step(&format!(
            "one row of the provider's bill will be wrong: {wrong} for a payment of {}",
            self.decimal(right)
        ));
        let period = self.provider.today();
        let wanted = json!({ "account_id": self.account["id"], "period": period });
        let bill = self.gateway.post("v1/bills", &wanted).await?;
        let path = format!("v1/bills/{}", text(&bill, "id")?);
        let bill = self.gateway.wait(&path, PATIENCE, |bill| bill["state"] == "ready").await?;
        let rows = &bill["rows"];
        teller.step(&format!("{}: the bill of {period} has {rows} rows", word(&bill["id"])));

        let found = self.gateway.post("v1/reconciliations", &wanted).await?;
        let path = format!("v1/reconciliations/{}", text(&found, "id")?);
        let done = |found: &Value| found["state"] == "done";
        let found = self.gateway.wait(&path, PATIENCE, done).await?;
        let (matched, differ) = (&found["matched"], &found["discrepancies"]);
        teller.step(&format!("{}: {matched} matched, {differ} discrepancies", word(&found["id"])));
        for one in self.gateway.list(&format!("{path}/discrepancies")).await? {
            let ours = self.money(&one["ours"], "amount")?;
            let theirs = self.money(&one["theirs"], "amount")?;
            let (kind, line) = (text(&one, "kind")?, &one["line"]);
            teller.step(&format!("line {line}, {kind}: ours {ours}, theirs {theirs}"));
        }
        Ok(found)
    }

    /// Minor units as people write them.
    fn decimal(&self, minor: i64) -> String {
        let places = usize::try_from(self.provider.currency.1).unwrap_or(0);
        let scale = 10_i64.pow(self.provider.currency.1);
        match places {
            0 => minor.to_string(),
            _ => format!("{}.{:0places$}", minor / scale, minor % scale),
        }
    }

    fn money(&self, object: &Value, name: &str) -> anyhow::Result<String> {
        let minor =
            object[name].as_i64().with_context(|| format!("the API gave no {name}: {object}"))?;
        Ok(format!("{} {}", text(object, "currency")?, self.decimal(minor)))
    }
}

/// Counts what the API lists, and says whether the story ended as it should.
async fn summary(
    gateway: &Gateway,
    reconciliations: &[Value],
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
    // At each provider the first payment and its refund are as billed; the second payment is not.
    let as_expected = reconciliations
        .iter()
        .all(|done| done["matched"] == json!(2) && done["discrepancies"] == json!(1));
    let count = reconciliations.len();
    let ok = as_expected
        && plugins.len() == count
        && (orders.len(), payments, refunds.len()) == (2 * count, 2 * count, count);
    let sum =
        |name: &str| reconciliations.iter().filter_map(|done| done[name].as_u64()).sum::<u64>();
    Ok(json!({
        "ok": ok,
        "orders": orders.len(),
        "payments": payments,
        "refunds": refunds.len(),
        "reconciliation": { "matched": sum("matched"), "discrepancies": sum("discrepancies") },
        "reconciliations": reconciliations,
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
