//! Starting a payment: the intent is durable before the provider is called, and what the payer does next is
//! kept before he sees it.

mod outcome;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{AccountId, MerchantId, OrderId, PaymentId};
use tollgate_domain::order::OrderState;
use tollgate_domain::payment::{PaymentCommand, PaymentState};
use tollgate_plugin::PrivateFields;
use tollgate_plugin::contract::{self, Item, Operation, PayRequest};

pub use self::outcome::Action;
use self::outcome::conclude;
pub(super) use self::outcome::next;
use super::account::{self, Account};
use super::idempotency::Turn;
use super::learn::{self, Particulars};
use super::operation::{self, Ran, Task};
use super::orders::{Details, refused};
use super::{Flow, FlowError, offers, private_fields};
use crate::gateway::Gateway;
use crate::store::orders::{self, OrderRow};
use crate::store::pauses;
use crate::store::payments::{self, PaymentRow};

/// A payment as the shop or the cashier asks for it.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// Through which account; may be left out where only one offers the method.
    pub account_id: Option<AccountId>,
    /// The method, in the plugin's words.
    pub method: String,
    /// Where the payer is: desktop, phone, app or in-app-browser.
    pub surface: Option<String>,
    /// The payer's address.
    pub payer_ip: Option<String>,
    /// Who the payer is at the provider.
    pub payer_id: Option<String>,
    /// What the method declares it needs.
    pub inputs: BTreeMap<String, String>,
    /// What of that is private.
    pub private_fields: PrivateFields,
}

/// What a payment was started with, kept so that a step that was cut off can be built again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// Where the payer is.
    pub surface: String,
    /// The payer's address.
    pub payer_ip: Option<String>,
    /// Who the payer is at the provider.
    pub payer_id: Option<String>,
    /// What the method declares it needs.
    pub inputs: BTreeMap<String, String>,
    /// The names of what came with it that is private, and is not kept.
    #[serde(default)]
    pub private_fields: Vec<String>,
}

impl Choice {
    fn of(new: NewPayment) -> Choice {
        Choice {
            surface: new.surface.unwrap_or_else(|| "desktop".to_owned()),
            payer_ip: new.payer_ip,
            payer_id: new.payer_id,
            inputs: new.inputs,
            private_fields: new.private_fields.names().map(str::to_owned).collect(),
        }
    }
}

/// Whether something came with a payment's start that is kept nowhere, and may be sealed in what its payer does next.
pub(super) fn brought_private_fields(row: &PaymentRow) -> Flow<bool> {
    let choice: Choice = serde_json::from_str(&row.request)?;
    Ok(!choice.private_fields.is_empty())
}

/// Starts a payment of an order and hands back what the payer does next. A request that was cut off after it made its
/// payment goes on with that one.
pub async fn start(
    gateway: &Gateway,
    merchant: MerchantId,
    order: OrderId,
    new: NewPayment,
    turn: Option<&Turn>,
) -> Flow<PaymentRow> {
    private_fields::switched_on(gateway, &new.private_fields)?;
    if let Some(made) = turn.and_then(|turn| turn.made.as_deref()) {
        return go_on(gateway, merchant, made, &new.private_fields).await;
    }
    let mut sql = gateway.store.read().await?;
    let order =
        orders::get(&mut sql, merchant, order).await?.ok_or(FlowError::NotFound("order"))?;
    drop(sql);
    let account = offers::choose(gateway, &order, &new).await?;
    let private = new.private_fields.clone();
    let row = intend(gateway, &account, &order, new, turn).await?;
    let ran = offer(gateway, &account, &order, &row, &private).await?;
    conclude(gateway, &account, &row, &ran).await
}

/// Goes on with what a request made before it was cut off.
async fn go_on(
    gateway: &Gateway,
    merchant: MerchantId,
    made: &str,
    private: &PrivateFields,
) -> Flow<PaymentRow> {
    let id = made.parse().map_err(|_| FlowError::NotFound("payment"))?;
    resume(gateway, &get(gateway, merchant, id).await?, private).await?;
    get(gateway, merchant, id).await
}

/// Takes a start up again that was cut off, by a crash or a lost answer: with the same reference, where the provider
/// says that a repeat does no harm. The row is as the provider's answer to a question has just left it. What needs
/// private fields is taken up by who brings them again, and by nobody else.
pub async fn resume(gateway: &Gateway, row: &PaymentRow, private: &PrivateFields) -> Flow<()> {
    // One that the provider has and that nobody was told how to pay: the answer that said so was lost.
    let cut_off =
        matches!(row.state, PaymentState::Created | PaymentState::Unknown | PaymentState::Pending)
            && row.action.is_none();
    let now = gateway.store.now();
    let choice: Choice = serde_json::from_str(&row.request)?;
    let whole = private.names().eq(choice.private_fields.iter().map(String::as_str));
    if !cut_off || !whole || now >= row.expires_at {
        return Ok(());
    }
    let account = account::open(gateway, row.merchant_id, row.account_id).await?;
    let repeatable = account.ability("pay").and_then(|ability| ability.repeat_ms);
    let age_ms = u64::try_from(now.millis_since(row.created_at)).unwrap_or(u64::MAX);
    if repeatable.is_none_or(|within| age_ms >= within) {
        return Ok(());
    }
    let mut sql = gateway.store.read().await?;
    let order = orders::must(&mut sql, row.merchant_id, row.order_id).await?;
    drop(sql);
    if order.state != OrderState::Open {
        return Ok(());
    }
    // The first sending may have arrived, whatever becomes of this one; and it may have come to its end meanwhile.
    if !doubt(gateway, &account, row).await? {
        return Ok(());
    }
    let ran = offer(gateway, &account, &order, row, private).await?;
    conclude(gateway, &account, row, &ran).await?;
    Ok(())
}

/// Goes on with a start that the provider needed time for.
pub(super) async fn after_wait(gateway: &Gateway, merchant: MerchantId, id: PaymentId) -> Flow<()> {
    let row = get(gateway, merchant, id).await?;
    if !row.state.is_alive() {
        return Ok(());
    }
    let mut sql = gateway.store.read().await?;
    let order = orders::must(&mut sql, merchant, row.order_id).await?;
    drop(sql);
    let account = account::open(gateway, merchant, row.account_id).await?;
    let ran = offer(gateway, &account, &order, &row, &PrivateFields::default()).await?;
    conclude(gateway, &account, &row, &ran).await?;
    Ok(())
}

/// Notes that a payment may have been sent, so that no later sending can call it failed. Whether it still waits to be
/// offered.
async fn doubt(gateway: &Gateway, account: &Account, row: &PaymentRow) -> Flow<bool> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, row).await?;
                let (lost, none) = (PaymentCommand::LoseSight, Particulars::default());
                let after = learn::payment(tx, gateway, account, now, lost, &none).await?;
                // A start that waits for the provider goes on by itself.
                let waits = pauses::of(tx.sql(), row.merchant_id, &row.id.to_string()).await?;
                Ok(matches!(after.state, PaymentState::Unknown | PaymentState::Pending)
                    && after.action.is_none()
                    && waits.is_empty())
            })
        })
        .await
}

/// Has the plugin make what the payer does next.
async fn offer(
    gateway: &Gateway,
    account: &Account,
    order: &OrderRow,
    row: &PaymentRow,
    private: &PrivateFields,
) -> Flow<Ran> {
    let operation = Operation::Pay(request(gateway, account, order, row, private)?);
    let (subject, key) = (row.id.to_string(), row.reference.clone());
    let task = Task {
        account,
        subject: &subject,
        key: &key,
        operation: &operation,
        state: Vec::new(),
        limit: gateway.settings.call_limit,
        private: Some(private).filter(|private| !private.is_empty()),
    };
    operation::run(gateway, &task).await
}

/// Writes the payment before anybody is asked, with its first question already due: whatever happens to this
/// process, somebody will ask.
async fn intend(
    gateway: &Gateway,
    account: &Account,
    order: &OrderRow,
    new: NewPayment,
    turn: Option<&Turn>,
) -> Flow<PaymentRow> {
    let now = gateway.store.now();
    let id: PaymentId = gateway.chance.id(now);
    let method = new.method.clone();
    let choice = Choice::of(new);
    let row = PaymentRow {
        merchant_id: order.merchant_id,
        id,
        order_id: order.id,
        account_id: account.row.id,
        plugin: account.row.plugin.clone(),
        method,
        state: PaymentState::Created,
        amount: order.amount,
        currency: order.currency,
        taken: 0,
        reserved: 0,
        refunded: 0,
        reversed: 0,
        reversed_at: None,
        disputed: 0,
        charged_back: 0,
        refunded_asked: None,
        refunded_told: None,
        allocated: 0,
        late: 0,
        reference: id.reference(),
        provider_ref: None,
        request: serde_json::to_string(&choice)?,
        kept: Vec::new(),
        action: None,
        failure: None,
        asked: 0,
        version: 1,
        bill_id: None,
        bill_line: None,
        bill_day: None,
        succeeded_at: None,
        expires_at: order.expires_at,
        created_at: now,
        updated_at: now,
    };
    let row = &row;
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                orders::lock(tx.sql(), row.merchant_id, row.order_id).await?;
                let order = orders::must(tx.sql(), row.merchant_id, row.order_id).await?;
                let earlier: Vec<_> = payments::of_order(tx.sql(), row.merchant_id, row.order_id)
                    .await?
                    .iter()
                    .map(PaymentRow::rules)
                    .collect();
                order.rules().may_start_payment(&earlier, now).map_err(refused)?;
                if let Some(turn) = turn {
                    turn.note(tx, row.id).await?;
                }
                payments::insert(tx.sql(), row).await?;
                learn::ask_again(tx, gateway, account, row).await?;
                Ok(row.clone())
            })
        })
        .await
}

fn request(
    gateway: &Gateway,
    account: &Account,
    order: &OrderRow,
    row: &PaymentRow,
    private: &PrivateFields,
) -> Flow<PayRequest> {
    let details: Details = serde_json::from_str(&order.details)?;
    let choice: Choice = serde_json::from_str(&row.request)?;
    let money = |minor| contract::Money {
        minor,
        currency: order.currency.code().to_owned(),
        exponent: order.currency.exponent(),
    };
    let items = details.items.into_iter().map(|item| Item {
        name: item.name,
        quantity: item.quantity,
        unit: money(item.price),
        extra: Vec::new(),
    });
    let public = &gateway.settings.public_url;
    Ok(PayRequest {
        payment: to_contract(row),
        order_ref: order.number.clone(),
        subject: order.subject.clone(),
        description: details.description,
        items: items.collect(),
        deliver_to: details.deliver_to.map(|address| contract::Address {
            name: address.name,
            phone: address.phone,
            lines: address.lines,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
            extra: Vec::new(),
        }),
        notify_url: format!("{public}/notify/{}", account.row.id),
        return_url: format!("{public}/return/{}", row.id),
        cancel_url: Some(format!("{public}/pay/{}", order.token)),
        payer_ip: choice.payer_ip,
        payer_id: choice.payer_id,
        locale: details.locale,
        expires_ms: row.expires_at.millis(),
        manual_capture: false,
        private_fields: private.names().map(str::to_owned).collect(),
        extra: choice.inputs.into_iter().collect(),
    })
}

/// A payment as plugins see it.
pub fn to_contract(row: &PaymentRow) -> contract::Payment {
    contract::Payment {
        payment_ref: row.reference.clone(),
        provider_ref: row.provider_ref.clone(),
        method: row.method.clone(),
        amount: contract::Money {
            minor: row.amount,
            currency: row.currency.code().to_owned(),
            exponent: row.currency.exponent(),
        },
        created_ms: row.created_at.millis(),
        kept: row.kept.clone(),
    }
}

/// A merchant's payment.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: PaymentId) -> Flow<PaymentRow> {
    let mut sql = gateway.store.read().await?;
    payments::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("payment"))
}
