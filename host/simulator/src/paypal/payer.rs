//! What the payer does: he approves the order on PayPal's page, or gives up.
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::PayPal;
use crate::ledger::{Standing, Trade};
use crate::pages::{self, Cashier};
use crate::provider::Provider as _;

/// Where the payer's browser goes after approving: with the order's number, signed by nobody.
pub fn back(paypal: &PayPal, trade: &Trade) -> Option<String> {
    let url = trade.opening.return_url.as_deref()?;
    let desk = paypal.desk();
    let of_trade = |entry: &(&String, &String)| *entry.1 == trade.opening.reference;
    let id = desk.orders.iter().find(of_trade).map(|(id, _)| id.clone()).unwrap_or_default();
    let glue = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{glue}token={id}&PayerID=SIMULATEDPAYER"))
}

fn known(paypal: &PayPal, order: &str) -> Option<String> {
    paypal.desk().orders.get(order).cloned()
}

/// `GET /paypal/checkoutnow/{order}`: the payer looks at the page.
pub async fn show(State(paypal): State<Arc<PayPal>>, Path(order): Path<String>) -> Response {
    let Some(reference) = known(&paypal, &order) else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    let trade = match paypal.book().ledger.open(&reference, paypal.now()) {
        Ok(trade) => trade.clone(),
        Err(refusal) => return pages::refuse(StatusCode::NOT_FOUND, &refusal.to_string()),
    };
    let currency = &trade.opening.currency;
    match trade.standing {
        Standing::Prepared | Standing::Waiting => Cashier {
            provider: "PayPal",
            amount: format!(
                "{} {}",
                currency.code,
                trade.opening.amount.decimal_in(currency.exponent)
            ),
            subject: &trade.opening.subject,
            reference: &reference,
            seller: super::MERCHANT_ID,
            pay_until: trade.opening.expires_at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            action: format!("{}/checkoutnow/{order}", paypal.base),
        }
        .page(),
        Standing::Paid | Standing::Finished => pages::say("This payment is already made", &[]),
        Standing::Closed => pages::say("This payment is closed", &[]),
    }
}

/// The form of the page.
#[derive(Debug, Deserialize)]
pub struct Decision {
    action: String,
}

/// `POST /paypal/checkoutnow/{order}`: the payer pressed a button.
pub async fn decide(
    State(paypal): State<Arc<PayPal>>,
    Path(order): Path<String>,
    Form(decision): Form<Decision>,
) -> Response {
    let Some(reference) = known(&paypal, &order) else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    if decision.action != "pay" {
        let quit = paypal.book().ledger.get(&reference).and_then(|it| it.opening.quit_url.clone());
        return match quit {
            Some(url) => Redirect::to(&url).into_response(),
            None => pages::say("Cancelled", &["Nothing was paid."]),
        };
    }
    match paypal.pay(&reference) {
        Ok(way) => match way.url {
            Some(url) => Redirect::to(&url).into_response(),
            None => pages::say("Approved", &[]),
        },
        Err(denied) => denied.into_response(),
    }
}
