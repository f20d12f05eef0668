//! A small provider that behaves: the components beside it change one thing of it, and misbehave.

#![allow(clippy::result_large_err)]

mod describe;

use std::marker::PhantomData;

pub use describe::{METHOD, describe};
use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::requests::{NextAction, Operation, Outcome, Progress, Report, Step};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{
    BillRequest, Body, Context, Fact, Fault, Fields, HttpRequest, HttpResponse, Inbound, Money,
    Payment, PaymentStatus, Subject,
};
use tollgate_sdk::contract::{bills, notices, provider, requests};
use tollgate_sdk::fault;

/// What a component does; without a body of its own, it behaves.
pub trait Behaviour: 'static {
    /// The manifest's id, which is also the file's name.
    const ID: &'static str;
    /// The methods it offers.
    const METHODS: &'static [&'static str] = &[METHOD];

    /// `requests.build`.
    ///
    /// # Errors
    /// As the contract says.
    fn build(context: &Context, keys: &Keyring, operation: &Operation) -> Result<Step, Fault> {
        let _ = keys;
        Ok(Step::Send((request(context, "/pay")?, payment(operation)?.payment_ref.into())))
    }

    /// `requests.interpret`.
    ///
    /// # Errors
    /// As the contract says.
    fn interpret(operation: &Operation) -> Result<Outcome, Fault> {
        Ok(report(fact(payment(operation)?, PaymentStatus::Pending, None), NextAction::None))
    }

    /// The events of `notices.read`.
    ///
    /// # Errors
    /// As the contract says.
    fn read(message: &Inbound) -> Result<Vec<notices::Event>, Fault> {
        let _ = message;
        Err(fault::protocol("this provider sends no notices"))
    }
}

/// The payment that an operation is about.
///
/// # Errors
/// `unsupported` for the operations that the manifest does not list.
pub fn payment(operation: &Operation) -> Result<Payment, Fault> {
    match operation {
        Operation::Pay(request) => Ok(request.payment.clone()),
        Operation::QueryPayment(payment) | Operation::Close(payment) => Ok(payment.clone()),
        _ => Err(fault::unsupported("this provider takes payments only")),
    }
}

/// A request of the kind that the manifest allows.
///
/// # Errors
/// `config` if the account has no address.
pub fn request(context: &Context, path: &str) -> Result<HttpRequest, Fault> {
    Ok(HttpRequest {
        method: "POST".to_owned(),
        url: format!("{}{path}", context.origin("gateway")?),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Form(Vec::new()),
    })
}

/// A fact about a payment.
pub fn fact(payment: Payment, status: PaymentStatus, amount: Option<Money>) -> Fact {
    Fact {
        about: Subject::Payment(status),
        payment_ref: Some(payment.payment_ref),
        provider_ref: None,
        aliases: Vec::new(),
        raw_status: "test".to_owned(),
        reason: None,
        amount,
        refunded: None,
        at: None,
        live: None,
        seen: Fields::new(),
        extra: Fields::new(),
    }
}

/// A report of a fact.
pub fn report(fact: Fact, action: NextAction) -> Outcome {
    Outcome::Report(Report { fact, action, action_expires_ms: None, keep: None })
}

/// The component of a behaviour, as `tollgate_sdk::export!` takes it.
pub struct Component<B>(PhantomData<B>);

impl<B: Behaviour> provider::Guest for Component<B> {
    fn describe() -> provider::Manifest {
        describe(B::ID, B::METHODS)
    }
}

impl<B: Behaviour> requests::Guest for Component<B> {
    fn build(
        context: Context,
        keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
    ) -> Result<Step, Fault> {
        B::build(&context, keys, &operation)
    }

    fn interpret(
        _context: Context,
        _keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
        _response: HttpResponse,
    ) -> Result<Progress, Fault> {
        Ok(Progress::Done(B::interpret(&operation)?))
    }
}

impl<B: Behaviour> notices::Guest for Component<B> {
    fn read(
        _context: Context,
        _keys: &Keyring,
        message: Inbound,
        _about: Option<Payment>,
        _answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<notices::Reading, Fault> {
        Ok(notices::Reading::Events((message.channel, B::read(&message)?)))
    }

    fn acknowledge(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        verdict: notices::Verdict,
    ) -> notices::Reply {
        let is_taken = matches!(verdict, notices::Verdict::Accepted | notices::Verdict::Duplicate);
        let status = if is_taken { 200 } else { 400 };
        notices::Reply { status, headers: Fields::new(), body: Vec::new() }
    }
}

impl<B: Behaviour> bills::Guest for Component<B> {
    fn parse(
        _context: Context,
        _bill: BillRequest,
        _file_name: String,
        _source: &BillSource,
        _sink: &BillSink,
    ) -> Result<bills::Summary, Fault> {
        Err(fault::unsupported("this provider has no bills"))
    }
}
