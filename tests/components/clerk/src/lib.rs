//! A provider that takes its time: it wants a token with each call, waits within its operations, asks before it believes
//! a notice, logs what it is told, and has a bill of a few columns.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

mod bill;
mod manifest;

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::logging::{Level, log};
use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::requests::{
    BillContent, BillFile, BillReport, NextAction, Operation, Outcome, Progress, Report, Step,
};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{
    BillRequest, Body, Context, Fact, Fault, Fields, HttpRequest, HttpResponse, Inbound, Payment,
    PaymentStatus, RefundNews, RefundStatus, SecretRef, Subject, Value,
};
use tollgate_sdk::contract::{bills, notices, provider, requests};
use tollgate_sdk::fault;
use tollgate_test_base::{fact, report};

struct Clerk;

impl provider::Guest for Clerk {
    fn describe() -> provider::Manifest {
        manifest::describe()
    }
}

impl requests::Guest for Clerk {
    fn build(
        context: Context,
        _keys: &Keyring,
        operation: Operation,
        state: Vec<u8>,
    ) -> Result<Step, Fault> {
        let step = String::from_utf8_lossy(&state).into_owned();
        let path = match &operation {
            Operation::FetchKeys(_) => {
                let request = post(&context, "/token", Some(secret("word", "bearer")))?;
                return Ok(Step::Send((request, state)));
            }
            Operation::Pay(_) => "/pay",
            Operation::QueryPayment(_) => "/query",
            Operation::Refund(_) => "/refund",
            Operation::QueryRefund(_) => "/query-refund",
            Operation::Bill(_) => return link(&context),
            _ => return Err(fault::unsupported("the clerk does not do that")),
        };
        let mut request = post(&context, path, Some(secret("token", "bearer")))?;
        request.body = Body::Form(vec![("step".to_owned(), Value::Text(step))]);
        Ok(Step::Send((request, state)))
    }

    /// `wait MS STATE` is waited for; any other word is a status, of a payment with its time behind an `@`.
    fn interpret(
        _context: Context,
        _keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<Progress, Fault> {
        if response.status != 200 {
            return Err(fault::auth(format!("status {}", response.status)).outcome_unknown());
        }
        let answer = String::from_utf8_lossy(&response.body).into_owned();
        log(Level::Info, &format!("the provider says {answer}"));
        if let Some((ms, state)) = answer.strip_prefix("wait ").and_then(|it| it.split_once(' ')) {
            let ms = ms.parse().map_err(|_| fault::protocol("wait for how long?"))?;
            return Ok(Progress::Wait((ms, state.into())));
        }
        Ok(Progress::Done(match operation {
            Operation::Pay(request) => {
                let action = NextAction::Instructions(answer);
                report(fact(request.payment, PaymentStatus::Pending, None), action)
            }
            Operation::QueryPayment(payment) => {
                let (word, at) = answer.split_once('@').unwrap_or((&answer, ""));
                let (status, amount) = (payment_status(word), payment.amount.clone());
                let at = Some(at.to_owned()).filter(|at| !at.is_empty());
                report(Fact { at, ..fact(payment, status, Some(amount)) }, NextAction::None)
            }
            Operation::Refund(request) => refund(request.refund, &answer),
            Operation::QueryRefund(about) => refund(about, &answer),
            _ => return Err(fault::unsupported("the clerk does not do that")),
        }))
    }
}

fn secret(slot: &str, form: &str) -> Value {
    Value::Secret(SecretRef { slot: slot.to_owned(), form: form.to_owned(), user: None })
}

fn post(context: &Context, path: &str, secret: Option<Value>) -> Result<HttpRequest, Fault> {
    let mut request = tollgate_test_base::request(context, path)?;
    request.headers.extend(secret.map(|value| ("authorization".to_owned(), value)));
    Ok(request)
}

/// The bill is behind a link, and the link wants the token too.
fn link(context: &Context) -> Result<Step, Fault> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        body: Body::Empty,
        ..post(context, "/bill.csv", Some(secret("token", "bearer")))?
    };
    let file = BillFile {
        name: "bill.csv".to_owned(),
        content: BillContent::Fetch(request),
        unpack: Vec::new(),
        digest: None,
    };
    let report = BillReport { files: vec![file], more: None, complete: true, extra: Fields::new() };
    Ok(Step::Done(Outcome::Bill(report)))
}

fn payment_status(word: &str) -> PaymentStatus {
    match word {
        "succeeded" => PaymentStatus::Succeeded,
        "failed" => PaymentStatus::Failed,
        _ => PaymentStatus::Pending,
    }
}

fn refund(about: tollgate_sdk::contract::types::Refund, word: &str) -> Outcome {
    let status = match word {
        "succeeded" => RefundStatus::Succeeded,
        "failed" => RefundStatus::Failed,
        _ => RefundStatus::Pending,
    };
    let refund_ref = Some(about.refund_ref);
    let news = RefundNews { status, refund_ref, provider_refund_ref: None };
    let fact = Fact {
        about: Subject::Refund(news),
        amount: Some(about.amount),
        ..fact(about.payment, PaymentStatus::Unknown, None)
    };
    Outcome::Report(Report { fact, action: NextAction::None, action_expires_ms: None, keep: None })
}

impl notices::Guest for Clerk {
    /// The body is the reference of a payment. The provider is asked whether it sent it.
    fn read(
        context: Context,
        _keys: &Keyring,
        message: Inbound,
        _about: Option<Payment>,
        answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<Reading, Fault> {
        let text = String::from_utf8_lossy(&message.body).into_owned();
        log(Level::Warn, &format!("a notice: {text}"));
        let Some((_, answer)) = answer else {
            let request = post(&context, "/verify", Some(secret("token", "bearer")))?;
            return Ok(Reading::Ask((request, Vec::new())));
        };
        if answer.body != b"ours" {
            return Err(fault::signature("the provider did not send it"));
        }
        let fact = Fact {
            about: Subject::Payment(PaymentStatus::Unknown),
            payment_ref: Some(text.clone()),
            provider_ref: None,
            aliases: Vec::new(),
            raw_status: "told".to_owned(),
            reason: None,
            amount: None,
            refunded: None,
            at: None,
            live: None,
            seen: Fields::new(),
            extra: Fields::new(),
        };
        let event = Event { fact, authority: Authority::Hint, dedupe_key: text };
        Ok(Reading::Events((message.channel, vec![event])))
    }

    fn acknowledge(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        verdict: notices::Verdict,
    ) -> notices::Reply {
        let taken = matches!(verdict, notices::Verdict::Accepted | notices::Verdict::Duplicate);
        let status = if taken { 200 } else { 400 };
        notices::Reply { status, headers: Fields::new(), body: Vec::new() }
    }
}

impl bills::Guest for Clerk {
    fn parse(
        _context: Context,
        _bill: BillRequest,
        _file_name: String,
        source: &BillSource,
        sink: &BillSink,
    ) -> Result<bills::Summary, Fault> {
        bill::parse(source, sink)
    }
}

tollgate_sdk::export!(Clerk);
