//! Holds a mirror up to the host: asks for everything that a component can ask for, with keys of every kind, and hands
//! back its whole memory. Whatever ever crossed into the component in that call is in there.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

mod ask;
mod manifest;

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::requests::{NextAction, Operation, Progress, Step};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{
    BillRequest, Context, Fault, Fields, HttpResponse, Inbound, Payment, PaymentStatus, SecretRef,
    Value,
};
use tollgate_sdk::contract::{bills, notices, provider, requests};
use tollgate_sdk::fault;
use tollgate_test_base::{fact, payment, report, request};

struct Mirror;

impl provider::Guest for Mirror {
    fn describe() -> provider::Manifest {
        manifest::describe()
    }
}

impl requests::Guest for Mirror {
    /// The state that it asks to keep is its memory, all of it.
    fn build(
        context: Context,
        keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
    ) -> Result<Step, Fault> {
        let about = payment(&operation)?;
        let got = ask::everything(keys);
        let mut request = request(&context, "/pay")?;
        if about.method == "header" {
            let secret =
                SecretRef { slot: "word".to_owned(), form: "bearer".to_owned(), user: None };
            let header = ("authorization".to_owned(), Value::Secret(secret));
            request.headers.push(header);
        }
        let seen = memory();
        drop(got);
        Ok(Step::Send((request, seen)))
    }

    /// What came back is shown to the payer.
    fn interpret(
        _context: Context,
        _keys: &Keyring,
        operation: Operation,
        _state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<Progress, Fault> {
        let pending = fact(payment(&operation)?, PaymentStatus::Pending, None);
        let body = String::from_utf8_lossy(&response.body).into_owned();
        let seen = format!("{:?} {body}", response.headers);
        Ok(Progress::Done(report(pending, NextAction::Instructions(seen))))
    }
}

impl notices::Guest for Mirror {
    fn read(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        _about: Option<Payment>,
        _answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<notices::Reading, Fault> {
        Err(fault::protocol("this provider sends no notices"))
    }

    fn acknowledge(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        _verdict: notices::Verdict,
    ) -> notices::Reply {
        notices::Reply { status: 400, headers: Fields::new(), body: Vec::new() }
    }
}

impl bills::Guest for Mirror {
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

/// Every byte of the linear memory but the first few: what is used, and what was used and given back.
#[allow(unsafe_code)]
fn memory() -> Vec<u8> {
    const START: usize = 16;
    let length = core::arch::wasm32::memory_size::<0>() * 65_536 - START;
    // SAFETY: a linear memory is one piece, and all of it can be read. The copy is made by a host-sized read of plain
    // bytes, nothing writes meanwhile, and the address is hidden from the compiler.
    unsafe { std::slice::from_raw_parts(std::hint::black_box(START as *const u8), length) }.to_vec()
}

tollgate_sdk::export!(Mirror);
