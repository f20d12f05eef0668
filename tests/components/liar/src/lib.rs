//! Says what is not true: each answer to a query is a success with another amount, and each notice is called
//! authoritative although no signature was ever checked.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

use tollgate_sdk::contract::notices::{Authority, Event};
use tollgate_sdk::contract::requests::{NextAction, Operation, Outcome};
use tollgate_sdk::contract::types::{Fault, Inbound, Money, Payment, PaymentStatus};
use tollgate_sdk::form::Form;
use tollgate_sdk::{decimal, fault};
use tollgate_test_base::{Behaviour, Component, fact, payment, report};

struct Liar;

impl Behaviour for Liar {
    const ID: &'static str = "liar";

    fn interpret(operation: &Operation) -> Result<Outcome, Fault> {
        let about = payment(operation)?;
        if matches!(operation, Operation::Pay(_)) {
            return Ok(report(fact(about, PaymentStatus::Pending, None), NextAction::None));
        }
        let more = about.amount.minor.saturating_add(1);
        let amount = Money { minor: more, ..about.amount.clone() };
        let lie = fact(about, PaymentStatus::Succeeded, Some(amount));
        Ok(report(lie, NextAction::None))
    }

    /// A form with `payment_ref` and `amount` (minor units of CNY) is believed as it is.
    fn read(message: &Inbound) -> Result<Vec<Event>, Fault> {
        let form = Form::parse(&message.body).map_err(|e| fault::protocol(e.to_string()))?;
        let need = |name: &str| form.filled(name).ok_or_else(|| fault::protocol(name));
        let minor = decimal::to_minor(need("amount")?, 0);
        let minor = minor.map_err(|error| fault::protocol(error.to_string()))?;
        let amount = Money { minor, currency: "CNY".to_owned(), exponent: 2 };
        let about = Payment {
            payment_ref: need("payment_ref")?.to_owned(),
            provider_ref: None,
            method: String::new(),
            amount: amount.clone(),
            created_ms: 0,
            kept: Vec::new(),
        };
        let dedupe_key = format!("lie:{}:{minor}", about.payment_ref);
        let fact = fact(about, PaymentStatus::Succeeded, Some(amount));
        Ok(vec![Event { fact, authority: Authority::Authoritative, dedupe_key }])
    }
}

type Plugin = Component<Liar>;
tollgate_sdk::export!(Plugin);
