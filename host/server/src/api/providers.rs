//! The addresses that providers call, and that they send a payer's browser back to.
//!
//! What comes is handed on as it came: raw body, raw query, headers in order. What goes back is what the provider's
//! plugin wants it to hear, to the byte.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tollgate_domain::ids::kind;
use tollgate_plugin::contract::Reply;

use super::body::unread;
use super::caller::Named;
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::notices::{self, Address, Message};

type Raw = Result<Bytes, BytesRejection>;

/// Headers that the server sets itself, whatever a plugin says: they frame the answer.
const FRAMING: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
];

/// A provider's notification. The answer is in the provider's own words.
#[utoipa::path(post, path = "/notify/{account_id}", tag = "providers", operation_id = "notify", security(()),
    params(("account_id" = String, Path)),
    responses((status = 200, description = "What the provider wants to hear"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub async fn notified(
    state: State<Shared>,
    Named(account): Named<kind::Account>,
    method: Method,
    query: RawQuery,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Problem> {
    receive(state, Address::Account(account), (method, query, headers, body)).await
}

/// A provider's notification, of one that sends it as a query.
#[utoipa::path(get, path = "/notify/{account_id}", tag = "providers", operation_id = "notifyByGet", security(()),
    params(("account_id" = String, Path)),
    responses((status = 200, description = "What the provider wants to hear"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub async fn notified_by_get(
    state: State<Shared>,
    Named(account): Named<kind::Account>,
    method: Method,
    query: RawQuery,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Problem> {
    receive(state, Address::Account(account), (method, query, headers, body)).await
}

/// A payer's browser coming back. It proves nothing; it leads to the cashier's page.
#[utoipa::path(get, path = "/return/{payment_id}", tag = "providers", operation_id = "return", security(()),
    params(("payment_id" = String, Path)),
    responses((status = 303, description = "To the cashier's page"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub async fn returned(
    state: State<Shared>,
    Named(payment): Named<kind::Payment>,
    method: Method,
    query: RawQuery,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Problem> {
    receive(state, Address::Payment(payment), (method, query, headers, body)).await
}

/// A payer's browser coming back with a form.
#[utoipa::path(post, path = "/return/{payment_id}", tag = "providers", operation_id = "returnByPost", security(()),
    params(("payment_id" = String, Path)),
    responses((status = 303, description = "To the cashier's page"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub async fn posted_back(
    state: State<Shared>,
    Named(payment): Named<kind::Payment>,
    method: Method,
    query: RawQuery,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Problem> {
    receive(state, Address::Payment(payment), (method, query, headers, body)).await
}

async fn receive(
    State(gateway): State<Shared>,
    address: Address,
    (method, RawQuery(query), headers, body): (Method, RawQuery, HeaderMap, Raw),
) -> Result<Response, Problem> {
    let public_url = &gateway.settings.public_url;
    let url = match &address {
        Address::Account(account) => format!("{public_url}/notify/{account}"),
        Address::Payment(payment) => format!("{public_url}/return/{payment}"),
    };
    let message = Message {
        method: method.to_string(),
        url,
        query: query.unwrap_or_default(),
        headers: in_order(&headers),
        body: body.map_err(unread)?.to_vec(),
    };
    finish(async move {
        let answer = notices::receive(&gateway, address, message).await?;
        Ok(match answer.browser {
            Some(token) => {
                let place = format!("{}/pay/{token}", gateway.settings.public_url);
                (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
            }
            None => as_it_is(answer.reply),
        })
    })
    .await
}

/// Names in lower case and values, in the order in which they came. A value that is no text is read as Latin-1.
fn in_order(headers: &HeaderMap) -> Vec<(String, String)> {
    let text =
        |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn as_it_is(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    for (name, value) in reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) else {
            tracing::warn!("a plugin's reply has a header that is none");
            continue;
        };
        if !FRAMING.contains(&name) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_goes_out_to_the_byte() {
        let headers = [("Content-Type", "text/plain"), ("Content-Length", "99"), ("bad name", "x")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let reply = Reply { status: 200, headers, body: b"success".to_vec() };
        let response = as_it_is(reply);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
        assert_eq!(response.headers().len(), 1);
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(&body[..], b"success");
    }

    #[test]
    fn headers_keep_their_bytes() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_bytes(&[0xe9]).unwrap());
        headers.append("x-b", HeaderValue::from_static("1"));
        let wanted = [("x-a", "é"), ("x-b", "1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(in_order(&headers), wanted);
    }
}
