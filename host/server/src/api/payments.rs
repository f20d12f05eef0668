//! Payments over HTTP: attempts to pay an order.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::time::Moment;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named, Once};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::payments::{self, Action};
use crate::flows::{self, Flow, FlowError, notices, query};
use crate::store::payments::PaymentRow;

/// How an order is to be paid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// Through which account; may be left out where only one offers the method.
    #[serde(default)]
    account_id: Option<String>,
    /// The method, in the plugin's words.
    method: String,
    /// Where the payer is: desktop (if you do not say), phone, app or in-app-browser.
    #[serde(default)]
    surface: Option<String>,
    /// The payer's IP address.
    #[serde(default)]
    payer_ip: Option<String>,
    /// Who the payer is at the provider.
    #[serde(default)]
    payer_id: Option<String>,
    /// What the method declares it needs, by name.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// What of that is private, by name: a card's number, say. It is sealed to the provider and kept nowhere. Switched off
    /// unless the operator's configuration says otherwise.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    private_fields: BTreeMap<String, Private>,
}

/// A text that is not to be read by anybody.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Private(SecretString);

impl From<String> for Private {
    fn from(text: String) -> Private {
        Private(SecretString::from(text))
    }
}

/// What an app's client library handed over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientResult {
    /// As it is, untouched.
    result: String,
}

/// One attempt to pay an order.
#[derive(Serialize, ToSchema)]
pub struct Payment {
    /// Starts with `pay_`.
    id: String,
    /// The order that it pays.
    order_id: String,
    /// The account that it goes through.
    account_id: String,
    /// That account's plugin.
    plugin: String,
    /// The method, in the plugin's words.
    method: String,
    /// created, pending, unknown, approved, authorized, succeeded, failed or closed.
    state: String,
    /// What it is to take, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: String,
    /// What it took, in minor units.
    taken: i64,
    /// What refunds in flight hold, in minor units.
    refund_reserved: i64,
    /// What refunds gave back and was not reversed, in minor units.
    refunded: i64,
    /// Whether it is the one that its order counts: a second success is not, and goes back by itself.
    allocated: bool,
    /// Whether its money came after its order had ended.
    late: bool,
    /// What the provider took back of its success, in minor units.
    reversed: i64,
    /// When it did.
    #[schema(format = DateTime)]
    reversed_at: Option<String>,
    /// What of it is in dispute and still with you, in minor units.
    disputed: i64,
    /// What of it was charged back, in minor units.
    charged_back: i64,
    /// Our reference at the provider, for life.
    reference: String,
    /// The provider's reference, once it told us.
    provider_reference: Option<String>,
    /// What the payer does next.
    action: NextAction,
    /// Why it does not go on.
    failure: Option<Failure>,
    /// Where it was found in a bill.
    reconciled: Option<Reconciled>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// What the payer does next. Which members are there depends on `kind`.
#[derive(Default, Serialize, ToSchema)]
pub struct NextAction {
    /// none, redirect, post_form, qr_code, deep_link, instructions or client_parameters.
    kind: &'static str,
    /// Where to: of redirect, post_form and deep_link.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Names and values, in order: of post_form.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<(String, String)>>,
    /// How the fields are encoded: of post_form.
    #[serde(skip_serializing_if = "Option::is_none")]
    charset: Option<String>,
    /// What is in the code, what to read, or what to hand to the client library.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Why a payment or refund does not go on.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    /// For programs.
    code: String,
    /// For people.
    message: String,
    /// The provider's code.
    provider_code: Option<String>,
    /// The provider's words.
    provider_message: Option<String>,
}

/// Where a payment or refund was found in a bill.
#[derive(Serialize, ToSchema)]
pub struct Reconciled {
    /// The bill.
    bill_id: String,
    /// Its line.
    line: Option<i64>,
    /// Its day.
    day: Option<String>,
}

impl Reconciled {
    /// None: it was not found yet.
    pub fn of(bill: Option<String>, line: Option<i64>, day: Option<String>) -> Option<Reconciled> {
        bill.map(|bill_id| Reconciled { bill_id, line, day })
    }
}

impl Failure {
    /// From what a row keeps.
    pub fn render(kept: Option<&str>) -> Flow<Option<Failure>> {
        let Some(kept) = kept else { return Ok(None) };
        let failure: flows::Failure = serde_json::from_str(kept)?;
        Ok(Some(Failure {
            code: failure.code,
            message: failure.message,
            provider_code: failure.provider_code,
            provider_message: failure.provider_message,
        }))
    }
}

impl NextAction {
    fn render(kept: Option<&str>) -> Flow<NextAction> {
        let Some(kept) = kept else {
            return Ok(NextAction { kind: "none", ..NextAction::default() });
        };
        let text = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
        let content = |kind, content, expires_at| NextAction {
            kind,
            content: Some(content),
            expires_at: text(expires_at),
            ..NextAction::default()
        };
        let place = |kind, url, expires_at| NextAction {
            kind,
            url: Some(url),
            expires_at: text(expires_at),
            ..NextAction::default()
        };
        Ok(match serde_json::from_str(kept)? {
            Action::None => NextAction { kind: "none", ..NextAction::default() },
            Action::Redirect { url, expires_at } => place("redirect", url, expires_at),
            Action::DeepLink { url, expires_at } => place("deep_link", url, expires_at),
            Action::QrCode { content: code, expires_at } => content("qr_code", code, expires_at),
            Action::Instructions { content: words, expires_at } => {
                content("instructions", words, expires_at)
            }
            Action::ClientParameters { content: parameters, expires_at } => {
                content("client_parameters", parameters, expires_at)
            }
            Action::PostForm { url, charset, fields, expires_at } => NextAction {
                fields: Some(fields),
                charset: Some(charset),
                ..place("post_form", url, expires_at)
            },
        })
    }
}

impl Payment {
    /// From a row.
    pub fn render(row: PaymentRow) -> Flow<Payment> {
        Ok(Payment {
            action: NextAction::render(row.action.as_deref())?,
            failure: Failure::render(row.failure.as_deref())?,
            reconciled: Reconciled::of(row.bill_id, row.bill_line, row.bill_day),
            id: row.id.to_string(),
            order_id: row.order_id.to_string(),
            account_id: row.account_id.to_string(),
            plugin: row.plugin,
            method: row.method,
            state: row.state.to_string(),
            amount: row.amount,
            currency: row.currency.to_string(),
            taken: row.taken,
            refund_reserved: row.reserved,
            refunded: row.refunded,
            allocated: row.allocated == 1,
            late: row.late == 1,
            reversed: row.reversed,
            reversed_at: row.reversed_at.map(|at| Moment(at).to_string()),
            disputed: row.disputed,
            charged_back: row.charged_back,
            reference: row.reference,
            provider_reference: row.provider_ref,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        })
    }

    /// Whether it belongs into a bill.
    pub fn moved_money(&self) -> bool {
        self.state == PaymentState::Succeeded.as_str()
    }

    /// Whether it was found in one.
    pub fn is_reconciled(&self) -> bool {
        self.reconciled.is_some()
    }
}

/// Start to pay an order. The answer says what the payer does next.
#[utoipa::path(post, path = "/v1/orders/{id}/payments", tag = "payments",
    operation_id = "startPayment",
    security(("key" = ["payments:write"])), params(("id" = String, Path)), request_body = NewPayment,
    responses((status = 201, body = Payment),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn start(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Once(turn): Once,
    Named(order): Named<kind::Order>,
    Body(new): Body<NewPayment>,
) -> Result<(StatusCode, Json<Payment>), Problem> {
    let account_id = new.account_id.map(|id| id.parse()).transpose();
    let private = new.private_fields.into_iter().map(|(name, text)| (name, text.0));
    let new = payments::NewPayment {
        account_id: account_id
            .map_err(|_| Problem::field("account_id", "is no account of yours"))?,
        method: new.method,
        surface: new.surface,
        payer_ip: new.payer_ip,
        payer_id: new.payer_id,
        inputs: new.inputs,
        private_fields: private.collect::<BTreeMap<_, _>>().into(),
    };
    finish(async move {
        let row = payments::start(&gateway, merchant, order, new, turn.as_ref()).await?;
        Ok((StatusCode::CREATED, Json(Payment::render(row)?)))
    })
    .await
}

/// Read a payment.
#[utoipa::path(get, path = "/v1/payments/{id}", tag = "payments", operation_id = "getPayment",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Payment),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Payment>,
) -> Result<Json<Payment>, Problem> {
    finish(async move { Payment::render(payments::get(&gateway, merchant, id).await?).map(Json) })
        .await
}

/// Ask the provider how a payment stands, now.
#[utoipa::path(post, path = "/v1/payments/{id}/sync", tag = "payments", operation_id = "syncPayment",
    security(("key" = ["payments:write"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Payment),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn sync(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Payment>,
) -> Result<Json<Payment>, Problem> {
    finish(async move { Payment::render(query::sync(&gateway, merchant, id).await?).map(Json) })
        .await
}

/// Hand over what the provider's client library told your app. It proves nothing by itself: it is checked like a
/// notification.
#[utoipa::path(post, path = "/v1/payments/{id}/client-result", tag = "payments",
    operation_id = "giveClientResult",
    security(("key" = ["payments:write"])), params(("id" = String, Path)), request_body = ClientResult,
    responses((status = 200, body = Payment),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn client_result(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Payment>,
    Body(told): Body<ClientResult>,
) -> Result<Json<Payment>, Problem> {
    if told.result.is_empty() {
        return Err(Problem::from(FlowError::invalid("result", "must not be empty")));
    }
    finish(async move {
        let row = notices::client_result(&gateway, merchant, id, told.result).await?;
        Payment::render(row).map(Json)
    })
    .await
}
