//! What a verified notification says of a trade. A refund is told as another notice of the same paid trade, with the
//! sum given back so far: never a second payment.

use tollgate_sdk::contract::notices::{Authority, Event};
use tollgate_sdk::contract::types::{Fact, Fault, Subject};
use tollgate_sdk::form::Form;
use tollgate_sdk::{china_time, facts, fault};

use crate::money;
use crate::status::{self, Trade};

/// The one kind of notice that is about a trade.
const TRADE_NOTICE: &str = "trade_status_sync";
/// Fields that go along as they are, because a person may want to see them.
const KEPT: [&str; 3] = ["receipt_amount", "buyer_pay_amount", "out_biz_no"];

/// The event of a form whose signature held.
///
/// # Errors
/// `protocol` if a field is missing or unreadable.
pub fn event(form: &Form) -> Result<Event, Fault> {
    let need = |name: &str| {
        form.filled(name).ok_or_else(|| fault::protocol(format!("notice: `{name}` is missing")))
    };
    let mut fact = match need("notify_type")? {
        TRADE_NOTICE => trade(form, need("out_trade_no")?, need("trade_status")?)?,
        // Taken and not used: Alipay sends until it hears `success`.
        other => {
            let about = Subject::Other("ignored".to_owned());
            let mut fact = facts::fact(about, None, other);
            fact.payment_ref = None;
            fact
        }
    };
    fact.seen.push(("app_id".to_owned(), need("app_id")?.to_owned()));
    if matches!(fact.about, Subject::Payment(_)) {
        fact.seen.push(("seller_id".to_owned(), need("seller_id")?.to_owned()));
    }
    let dedupe_key = need("notify_id")?.to_owned();
    Ok(Event { fact, authority: Authority::Authoritative, dedupe_key })
}

fn trade(form: &Form, payment_ref: &str, trade_status: &str) -> Result<Fact, Fault> {
    let refund_fee = form.filled("refund_fee");
    let given_back = money::read_optional("refund_fee", refund_fee)?;
    let paid_at = form.filled("gmt_payment");
    let was_paid = paid_at.is_some() || status::is_positive(given_back.as_ref());
    let trade = Trade::of(trade_status, was_paid);
    let mut fact = facts::payment(trade.status(), payment_ref, trade_status);
    fact.provider_ref = form.filled("trade_no").map(str::to_owned);
    let when = match trade {
        Trade::Paid | Trade::Returned => paid_at,
        Trade::Closed => form.filled("gmt_close"),
        Trade::Waiting | Trade::Unknown => form.filled("gmt_create"),
    };
    fact.at = when.and_then(china_time::rfc3339);
    status::put_amounts(&mut fact, &trade, form.get("total_amount"), refund_fee)?;
    for name in KEPT {
        if let Some(value) = form.filled(name) {
            fact.extra.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(fact)
}
