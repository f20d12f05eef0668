//! Reading what UnionPay posts, by the payer's browser or by itself: the same signed fields either way.

use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::types::{
    Channel, Fact, Fault, Inbound, Payment, PaymentStatus, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::{Keyring, facts, fault};

use crate::fields::Fields;
use crate::status::{Verdict, traced_at, verdict};
use crate::{gateway, money, reply, times};

/// Reads one message. Its signature is checked before anything in it is used.
///
/// # Errors
/// `protocol` or `signature` reject the message; `config` is ours, and UnionPay may send again.
pub fn read<K: Keyring>(
    keys: &K,
    message: &Inbound,
    about: Option<&Payment>,
) -> Result<Reading, Fault> {
    if message.channel == Channel::ClientResult {
        return client_result(about);
    }
    if message.method != "POST" {
        return Err(fault::protocol("UnionPay posts its messages"));
    }
    let fields = Fields::of_form(&message.body)?;
    reply::verify(keys, &fields)?;
    // A notification's address names no payment: its time is compared by the query that confirms it.
    let time = about.map(|payment| times::compact(payment.created_ms));
    if time.is_some() && fields.get("txnTime") != time.as_deref() {
        return Err(fault::protocol("`txnTime` is not the payment's"));
    }
    // Verified, a return tells as much as a notification; it is asked about all the same.
    let authority = match message.channel {
        Channel::Notification => Authority::Authoritative,
        _ => Authority::Hint,
    };
    let event = Event { fact: fact(&fields)?, authority, dedupe_key: key(&fields)? };
    Ok(Reading::Events((message.channel, vec![event])))
}

/// What the app's library says is signed for the app, by another scheme, and proves nothing: it is worth a question.
fn client_result(about: Option<&Payment>) -> Result<Reading, Fault> {
    let about = about.ok_or_else(|| fault::protocol("client result: it names no payment"))?;
    let fact = facts::payment(PaymentStatus::Unknown, &about.payment_ref, "client result");
    let dedupe_key = format!("app:{}", about.payment_ref);
    let event = Event { fact, authority: Authority::Hint, dedupe_key };
    Ok(Reading::Events((Channel::ClientResult, vec![event])))
}

/// A message has neither time nor number of its own: it is about one transaction.
fn key(fields: &Fields) -> Result<String, Fault> {
    let parts = ["orderId", "txnTime", "txnType", "queryId"].map(|name| fields.need(name));
    let [order, time, kind, query] = parts;
    Ok(format!("{}:{}:{}:{}", order?, time?, kind?, query?))
}

fn fact(fields: &Fields) -> Result<Fact, Fault> {
    let code = fields.need("respCode")?;
    let (order_id, query_id) = (fields.need("orderId")?, fields.need("queryId")?);
    let mut fact = match fields.need("txnType")? {
        "01" => {
            gateway::check_kind(fields, "01")?;
            let state = match verdict(code) {
                Verdict::Done => PaymentStatus::Succeeded,
                // A refused card is no end: the payer may try another.
                _ => PaymentStatus::Pending,
            };
            let mut fact = facts::payment(state, order_id, code);
            fact.provider_ref = Some(query_id.to_owned());
            fact
        }
        // 31, a void, is a refund of all of it on the same day.
        "04" | "31" => {
            gateway::check_kind(fields, "00")?;
            let status = match verdict(code) {
                Verdict::Done => RefundStatus::Succeeded,
                Verdict::Refused => RefundStatus::Failed,
                _ => RefundStatus::Pending,
            };
            let news = RefundNews {
                status,
                refund_ref: Some(order_id.to_owned()),
                provider_refund_ref: Some(query_id.to_owned()),
            };
            let mut fact = facts::fact(Subject::Refund(news), None, code);
            fact.provider_ref = Some(fields.need("origQryId")?.to_owned());
            fact
        }
        // Taken and not used: UnionPay sends until it hears that it was.
        other => return Ok(facts::fact(Subject::Other("ignored".to_owned()), None, other)),
    };
    fact.reason = fields.filled("respMsg").map(str::to_owned);
    fact.amount = Some(money::read(fields.need("txnAmt")?, fields.need("currencyCode")?)?);
    fact.at = traced_at(fields);
    fact.seen.push(("mer_id".to_owned(), fields.need("merId")?.to_owned()));
    Ok(fact)
}
