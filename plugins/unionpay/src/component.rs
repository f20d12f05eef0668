//! The component's exports: each hands over to the function of the same name.

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse, Inbound, Payment};
use tollgate_sdk::contract::{bills, notices, provider, requests};

struct UnionPay;

impl provider::Guest for UnionPay {
    fn describe() -> provider::Manifest {
        crate::describe()
    }
}

impl requests::Guest for UnionPay {
    fn build(
        context: Context,
        keys: &Keyring,
        operation: requests::Operation,
        _state: Vec<u8>,
    ) -> Result<requests::Step, Fault> {
        crate::build(&context, keys, &operation)
    }

    fn interpret(
        context: Context,
        keys: &Keyring,
        operation: requests::Operation,
        _state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<requests::Progress, Fault> {
        crate::interpret(&context, keys, &operation, &response)
    }
}

impl notices::Guest for UnionPay {
    fn read(
        _context: Context,
        keys: &Keyring,
        message: Inbound,
        about: Option<Payment>,
        _answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<notices::Reading, Fault> {
        crate::read(keys, &message, about.as_ref())
    }

    fn acknowledge(
        _context: Context,
        _keys: &Keyring,
        _message: Inbound,
        verdict: notices::Verdict,
    ) -> notices::Reply {
        crate::acknowledge(verdict)
    }
}

impl bills::Guest for UnionPay {
    fn parse(
        _context: Context,
        bill: BillRequest,
        file_name: String,
        source: &BillSource,
        sink: &BillSink,
    ) -> Result<bills::Summary, Fault> {
        crate::parse(&bill.period, &file_name, source, sink)
    }
}

tollgate_sdk::export!(UnionPay);
