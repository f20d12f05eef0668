//! The component's exports: each hands over to the function of the same name.

use tollgate_sdk::contract::bill_io::{BillSink, BillSource};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse, Inbound, Payment};
use tollgate_sdk::contract::{bills, notices, provider, requests};

struct PayPal;

impl provider::Guest for PayPal {
    fn describe() -> provider::Manifest {
        crate::describe()
    }
}

impl requests::Guest for PayPal {
    fn build(
        context: Context,
        keys: &Keyring,
        operation: requests::Operation,
        state: Vec<u8>,
    ) -> Result<requests::Step, Fault> {
        crate::build(&context, keys, &operation, &state)
    }

    fn interpret(
        context: Context,
        keys: &Keyring,
        operation: requests::Operation,
        state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<requests::Progress, Fault> {
        crate::interpret(&context, keys, &operation, &state, &response)
    }
}

impl notices::Guest for PayPal {
    fn read(
        context: Context,
        _keys: &Keyring,
        message: Inbound,
        about: Option<Payment>,
        answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<notices::Reading, Fault> {
        crate::read(&context, &message, about.as_ref(), answer)
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

impl bills::Guest for PayPal {
    fn parse(
        _context: Context,
        _bill: BillRequest,
        file_name: String,
        source: &BillSource,
        sink: &BillSink,
    ) -> Result<bills::Summary, Fault> {
        crate::parse(&file_name, source, sink)
    }
}

tollgate_sdk::export!(PayPal);
