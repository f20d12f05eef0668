//! The access token: the host sends for it with the merchant's secret, reads it out of the answer and shares it among calls.
//! No plugin sees either.

use tollgate_sdk::contract::requests::{KeyRequest, Step};
use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, SecretRef, Value};
use tollgate_sdk::fault;

/// The slot of the token.
pub const TOKEN: &str = "access-token";
/// The slot of the secret that it is fetched with.
pub const CLIENT_SECRET: &str = "client-secret";
/// Where it is fetched.
pub const PATH: &str = "/v1/oauth2/token";

/// Asks for a token.
///
/// # Errors
/// `unsupported` for another slot, `config` without a client id.
pub fn build(context: &Context, request: &KeyRequest) -> Result<Step, Fault> {
    if request.slot != TOKEN {
        return Err(fault::unsupported("only the access token is fetched"));
    }
    let secret = SecretRef {
        slot: CLIENT_SECRET.to_owned(),
        form: "basic".to_owned(),
        user: Some(context.required_setting("client_id")?.to_owned()),
    };
    let grant = Value::Text("client_credentials".to_owned());
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: format!("{}{PATH}", context.origin("api")?),
        query: Vec::new(),
        headers: vec![("authorization".to_owned(), Value::Secret(secret))],
        body: Body::Form(vec![("grant_type".to_owned(), grant)]),
    };
    Ok(Step::Send((request, Vec::new())))
}
