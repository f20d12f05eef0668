//! Notifications on demand: honest, repeated, bent or forged, and the merchant's answers.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ledger::{EventKind, Trade};
use crate::notifier::{Attempt, Message};
use crate::provider::{Denied, Provider};

/// The most that one call sends.
const MOST: usize = 10_000;

/// The body of the call. Each provider understands the kinds `truth`, `success`, `forge`, `unsigned`, `wrong_amount` and, where it
/// tells of refunds, `refund_notice`; `duplicate` is the trade's newest notification, byte for byte. It may know others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The merchant's number of the trade.
    pub reference: String,
    /// What to send.
    pub kind: String,
    /// Detail of the kind.
    #[serde(default)]
    pub value: Option<String>,
    /// Fields to replace before signing, by name or as a JSON pointer.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Fields to leave out before signing.
    #[serde(default)]
    pub remove: Vec<String>,
    /// How often the same bytes are sent.
    #[serde(default = "one")]
    times: usize,
    /// All at once rather than one after another.
    #[serde(default)]
    parallel: bool,
    /// Another address than the trade's.
    #[serde(default)]
    notify_url: Option<String>,
}

fn one() -> usize {
    1
}

impl Order {
    /// What is told of: the newest refund where there is one and it is asked for, else the payment.
    ///
    /// # Errors
    /// If a refund is asked for and there is none.
    pub fn event(&self, trade: &Trade) -> Result<EventKind, Denied> {
        let newest = trade.refunds.last().map(|it| EventKind::Refunded(it.request_no.clone()));
        match (self.kind.as_str(), newest) {
            ("refund_notice", None) => Err(Denied::Conflict("nothing refunded".to_owned())),
            ("refund_notice" | "truth", Some(refund)) => Ok(refund),
            _ => Ok(EventKind::Paid),
        }
    }

    /// The refusal of a kind that a provider does not know.
    pub fn unknown(&self) -> Denied {
        Denied::Unfit(format!("kind: {:?} is none of this provider's", self.kind))
    }
}

/// `?dry_run` builds and shows without sending.
#[derive(Debug, Deserialize)]
pub struct How {
    dry_run: Option<String>,
}

/// `POST /control/ID/notifications`
pub async fn send<P: Provider>(
    State(provider): State<Arc<P>>,
    Query(how): Query<How>,
    Json(order): Json<Order>,
) -> Result<Response, Denied> {
    if order.times == 0 || order.times > MOST {
        return Err(Denied::Unfit(format!("times: 1 to {MOST}")));
    }
    let trade = provider.till().book().ledger.get(&order.reference).cloned();
    let trade = trade.ok_or_else(|| Denied::Unknown("no such trade".to_owned()))?;
    let message = message(&*provider, &trade, &order)?;
    let url = order.notify_url.clone().or_else(|| provider.notify_url(&trade));
    let mut answer = json!({
        "url": url, "content_type": message.content_type(), "headers": message.headers,
        "message": message.body,
    });
    if how.dry_run.is_some_and(|value| value != "false") {
        return Ok(Json(answer).into_response());
    }
    let url = url.ok_or_else(|| Denied::Conflict("the trade has no notify_url".to_owned()))?;
    let answers = post(&*provider, &url, &message, &order).await;
    let first = answers.first().cloned();
    answer["status"] = json!(first.as_ref().and_then(|answer| answer.status));
    answer["body"] = json!(first.as_ref().map(|answer| answer.body.clone()));
    answer["error"] = json!(first.and_then(|answer| answer.error));
    answer["answers"] = json!(answers);
    Ok(Json::<Value>(answer).into_response())
}

async fn post<P: Provider>(
    provider: &P,
    url: &str,
    message: &Message,
    order: &Order,
) -> Vec<Attempt> {
    let till = provider.till();
    let mut answers = Vec::new();
    if !order.parallel {
        for _ in 0..order.times {
            answers.push(till.notifier.post_once(url, message, till.now()).await);
        }
        return answers;
    }
    let now = till.now();
    let all = (0..order.times).map(|_| till.notifier.post_once(url, message, now));
    futures::future::join_all(all).await
}

fn message<P: Provider>(provider: &P, trade: &Trade, order: &Order) -> Result<Message, Denied> {
    if order.kind != "duplicate" {
        return provider.draft(trade, order);
    }
    let log = provider.till().notifier.log(Some(&order.reference));
    let newest = log.last().ok_or_else(|| Denied::Conflict("nothing was sent yet".to_owned()))?;
    Ok(newest.message().clone())
}
