//! Says what its test has it say: each call goes to the test's own provider, whose answer, a form, becomes the fact. So a
//! test tells of what the real providers of this checkout never do: reversals, disputes, lies.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

mod manifest;
mod words;

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::requests::{
    BillContent, BillFile, BillReport, NextAction, Operation, Outcome, Progress, Step,
};
use tollgate_sdk::contract::signing::{Keyring, Part, Piece};
use tollgate_sdk::contract::types::{
    BillRequest, Body, Context, Fault, Fields, HttpResponse, Inbound, Payment, Subject, Value,
};
use tollgate_sdk::contract::{bills, notices, provider, requests};
use tollgate_sdk::fault;
use tollgate_sdk::form::Form;
use tollgate_sdk::keys::{Keyring as KeyringTrait, RSA_OAEP_SHA1};
use tollgate_sdk::lines::{Line, Lines};
use tollgate_test_base::{report, request};

struct Puppet;

impl provider::Guest for Puppet {
    fn describe() -> provider::Manifest {
        manifest::describe()
    }
}

impl requests::Guest for Puppet {
    fn build(
        context: Context,
        keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
    ) -> Result<Step, Fault> {
        let (path, mut fields) = asked(&operation)?;
        let mut request = request(&context, path)?;
        if let Operation::Pay(asked) = &operation
            && !asked.private_fields.is_empty()
        {
            fields.push(("card", sealed(keys, &asked.private_fields)?));
            let serial = keys.attribute(manifest::SEALING, "id").into_iter().next();
            let serial = Value::Text(serial.unwrap_or_default());
            request.headers.push(("x-key-serial".to_owned(), serial));
        }
        let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text)));
        request.body = Body::Form(fields.collect());
        Ok(Step::Send((request, vec![1])))
    }

    fn interpret(
        _context: Context,
        _keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<Progress, Fault> {
        if response.status != 200 {
            return Err(fault::unavailable("the provider does not answer").outcome_unknown());
        }
        if let Operation::Bill(request) = &operation {
            return Ok(Progress::Done(bill(request, response.body)));
        }
        let said = form(&response.body)?;
        let fact = words::fact(&said)?;
        let action = match &operation {
            Operation::Pay(_) => {
                NextAction::QrCode(said.filled("code").unwrap_or("pay me").to_owned())
            }
            _ => NextAction::None,
        };
        Ok(Progress::Done(report(fact, action)))
    }
}

/// A payer's private fields, sealed in a row to the provider's key.
fn sealed(keys: &Keyring, names: &[String]) -> Result<String, Fault> {
    let parts: Vec<Part> = names.iter().map(|name| Part::Private(name.clone())).collect();
    let sealed = KeyringTrait::seal(keys, manifest::SEALING, RSA_OAEP_SHA1, &parts)?;
    Ok(sealed.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where an operation goes, and what it says.
fn asked(operation: &Operation) -> Result<(&'static str, Vec<(&'static str, String)>), Fault> {
    let payment = |payment: &Payment| {
        vec![
            ("payment_ref", payment.payment_ref.clone()),
            ("amount", payment.amount.minor.to_string()),
        ]
    };
    let refund = |refund: &tollgate_sdk::contract::types::Refund| {
        vec![
            ("payment_ref", refund.payment.payment_ref.clone()),
            ("refund_ref", refund.refund_ref.clone()),
            ("amount", refund.amount.minor.to_string()),
        ]
    };
    Ok(match operation {
        Operation::Pay(request) => ("/pay", payment(&request.payment)),
        Operation::QueryPayment(about) => ("/query-payment", payment(about)),
        Operation::Close(about) => ("/close", payment(about)),
        Operation::Refund(request) => ("/refund", refund(&request.refund)),
        Operation::QueryRefund(about) => ("/query-refund", refund(about)),
        Operation::Bill(request) => ("/bill", vec![("period", request.period.clone())]),
        _ => return Err(fault::unsupported("this provider does not do that")),
    })
}

fn bill(request: &BillRequest, content: Vec<u8>) -> Outcome {
    Outcome::Bill(BillReport {
        files: vec![BillFile {
            name: request.period.clone(),
            content: BillContent::Bytes(content),
            unpack: Vec::new(),
            digest: None,
        }],
        more: None,
        complete: true,
        extra: Fields::new(),
    })
}

fn form(text: &[u8]) -> Result<Form, Fault> {
    Form::parse(text).map_err(|error| fault::protocol(error.to_string()))
}

impl notices::Guest for Puppet {
    /// A form in the body, signed with the account's word: the signature, in hexadecimal, is the query.
    fn read(
        _context: Context,
        keys: &Keyring,
        message: Inbound,
        _about: Option<Payment>,
        _answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<Reading, Fault> {
        let key = keys.slot(manifest::SECRET).map_err(|error| fault::config(error.message))?;
        let piece = Piece::Text(message.body.clone());
        let signature = bytes(&message.query).ok_or_else(|| fault::signature("no signature"))?;
        let holds = key.verify("hmac-sha256", &[piece], &signature);
        if !holds.map_err(|error| fault::config(error.message))? {
            return Err(fault::signature("the signature does not hold"));
        }
        let fact = words::fact(&form(&message.body)?)?;
        let dedupe_key = match &fact.about {
            Subject::Dispute(news) => format!("dispute:{}:{}", news.dispute_ref, news.status),
            _ => format!("{:?}:{}", fact.payment_ref, fact.raw_status),
        };
        let event = Event { fact, authority: Authority::Authoritative, dedupe_key };
        Ok(Reading::Events((message.channel, vec![event])))
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

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(digit).collect()
}

impl bills::Guest for Puppet {
    fn parse(
        _context: Context,
        _bill: BillRequest,
        _file_name: String,
        source: &BillSource,
        sink: &BillSink,
    ) -> Result<bills::Summary, Fault> {
        let unreadable = |reason: String| fault::unavailable(reason);
        let mut lines = Lines::new(source);
        while let Some((number, line)) = lines.next_line().map_err(unreadable)? {
            let Line::Text(text) = line else { continue };
            let row = words::row(number, &form(text.as_bytes())?)?;
            sink.rows(&[row]).map_err(unreadable)?;
        }
        Ok(bills::Summary { totals: Vec::new(), extra: Fields::new() })
    }
}

tollgate_sdk::export!(Puppet);
