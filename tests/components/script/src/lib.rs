//! What the providers that a simulation scripts have in common. Forms go both ways, each with a keyed hash over its bytes: what
//! is signed and what is forged is for the host's keys to tell, as with any real provider.

#![allow(clippy::result_large_err)]

mod bill;
mod manifest;
mod wire;

use std::marker::PhantomData;

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::notices::{Authority, Event, Reading, Reply, Verdict};
use tollgate_sdk::contract::requests::{
    NextAction, Operation, Outcome, PayRequest, Progress, Report, Step,
};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{
    BillRequest, Channel, Context, Fact, Fault, Fields, HttpResponse, Inbound, Payment,
    PaymentStatus, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::contract::{bills, notices, provider, requests};
use tollgate_sdk::fault;

/// What tells one of them from another.
pub trait Rules: 'static {
    /// The manifest's id, which is also the file's name.
    const ID: &'static str;
    /// Whether a payment that nobody paid can be closed.
    const CLOSES: bool;
    /// Whether what a payer approves is to be taken by a call of its own.
    const TAKES: bool;
    /// Whether it can be asked about a refund.
    const KNOWS_REFUNDS: bool;
}

/// The component by such rules, as `tollgate_sdk::export!` takes it.
pub struct Script<R>(PhantomData<R>);

impl<R: Rules> provider::Guest for Script<R> {
    fn describe() -> provider::Manifest {
        manifest::describe::<R>()
    }
}

impl<R: Rules> requests::Guest for Script<R> {
    fn build(
        context: Context,
        keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
    ) -> Result<Step, Fault> {
        let send = |path: &str, pairs: &[(&str, &str)]| wire::call(&context, keys, path, pairs);
        match &operation {
            Operation::Pay(request) => pay(&send, request),
            Operation::QueryPayment(payment) => send("query", &[("ref", &payment.payment_ref)]),
            Operation::Complete(request) => send("take", &[("ref", &request.payment.payment_ref)]),
            Operation::Close(payment) => send("close", &[("ref", &payment.payment_ref)]),
            Operation::Refund(request) => {
                let refund = &request.refund;
                let pairs = [
                    ("ref", refund.payment.payment_ref.as_str()),
                    ("refund", &refund.refund_ref),
                    ("amount", &refund.amount.minor.to_string()),
                    ("currency", &refund.amount.currency),
                ];
                send("refund", &pairs)
            }
            Operation::QueryRefund(refund) => {
                let about = &refund.payment.payment_ref;
                send("refund-query", &[("ref", about), ("refund", &refund.refund_ref)])
            }
            Operation::Bill(request) => send("bill", &[("day", &request.period)]),
            _ => Err(fault::unsupported("this provider has no such operation")),
        }
    }

    fn interpret(
        _context: Context,
        keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<Progress, Fault> {
        wire::check_answer(keys, &response)?;
        if let Operation::Bill(request) = &operation {
            return Ok(Progress::Done(bill::report(request, &response)?));
        }
        let body = wire::form(&response.body).map_err(Fault::outcome_unknown)?;
        let page = body.filled("page").map(|page| NextAction::Redirect(page.to_owned()));
        let report = Report {
            fact: wire::fact(&body)?,
            action: page.unwrap_or(NextAction::None),
            action_expires_ms: None,
            keep: None,
        };
        Ok(Progress::Done(Outcome::Report(report)))
    }
}

type Send<'a> = dyn Fn(&str, &[(&str, &str)]) -> Result<Step, Fault> + 'a;

fn pay(send: &Send<'_>, request: &PayRequest) -> Result<Step, Fault> {
    let payment = &request.payment;
    let pairs = [
        ("ref", payment.payment_ref.as_str()),
        ("amount", &payment.amount.minor.to_string()),
        ("currency", &payment.amount.currency),
        ("expires", &request.expires_ms.to_string()),
    ];
    send("pay", &pairs)
}

impl<R: Rules> notices::Guest for Script<R> {
    fn read(
        _context: Context,
        keys: &Keyring,
        message: Inbound,
        about: Option<Payment>,
        _answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<Reading, Fault> {
        if let (Channel::BrowserReturn | Channel::ClientResult, Some(payment)) =
            (message.channel, about)
        {
            return Ok(Reading::Events((message.channel, vec![came_back(payment)])));
        }
        wire::check_notice(keys, &message)?;
        let body = wire::form(&message.body)?;
        let id = body.filled("id").ok_or_else(|| fault::protocol("no id"))?;
        let dedupe_key = id.to_owned();
        let fact = wire::fact(&body)?;
        let event = Event { fact, authority: Authority::Authoritative, dedupe_key };
        Ok(Reading::Events((message.channel, vec![event])))
    }

    fn acknowledge(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        verdict: Verdict,
    ) -> Reply {
        let status = match verdict {
            Verdict::Accepted | Verdict::Duplicate => 200,
            Verdict::Rejected => 400,
            Verdict::Busy => 503,
        };
        Reply { status, headers: Fields::new(), body: Vec::new() }
    }
}

/// A browser proves nothing: it is a reason to ask.
fn came_back(payment: Payment) -> Event {
    let dedupe_key = format!("return:{}", payment.payment_ref);
    let fact = Fact {
        payment_ref: Some(payment.payment_ref),
        ..wire::bare(Subject::Payment(PaymentStatus::Unknown))
    };
    Event { fact, authority: Authority::Hint, dedupe_key }
}

impl<R: Rules> bills::Guest for Script<R> {
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

/// A refund's news.
fn refund_news(status: RefundStatus, ours: Option<&str>, theirs: Option<&str>) -> Subject {
    Subject::Refund(RefundNews {
        status,
        refund_ref: ours.map(str::to_owned),
        provider_refund_ref: theirs.map(str::to_owned),
    })
}
