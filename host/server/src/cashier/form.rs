//! What a payer's form says, read strictly, and whether it was one of our pages that sent it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use tollgate_domain::ids::{AccountId, PaymentId};

use crate::api::problem::Problem;

/// What a payer wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// To pay in this way.
    Pay {
        /// Through this account.
        account_id: AccountId,
        /// By this method.
        method: String,
        /// What the method wants to know.
        inputs: BTreeMap<String, String>,
    },
    /// To end this payment and choose anew.
    Leave(PaymentId),
}

/// What fields for a method's inputs start with.
pub const INPUT: &str = "input.";

/// Reads a form.
pub fn read(
    public_url: &str,
    headers: &HeaderMap,
    body: Result<Bytes, Problem>,
) -> Result<Choice, Problem> {
    if !is_ours(public_url, headers) {
        return Err(Problem::new("foreign-form", "this form was sent by another site"));
    }
    let kind =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
        let detail = "the content type must be application/x-www-form-urlencoded";
        return Err(Problem::new("unsupported-media-type", detail));
    }
    choice(&body?)
}

fn choice(body: &[u8]) -> Result<Choice, Problem> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if fields.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(Problem::field(name, "stands there twice"));
        }
    }
    let leave = fields.remove("leave");
    if let Some(payment) = leave.filter(|_| fields.is_empty()) {
        let payment = payment.parse().map_err(|_| Problem::not_found("payment"))?;
        return Ok(Choice::Leave(payment));
    }
    let mut take =
        |name: &str| fields.remove(name).ok_or_else(|| Problem::field(name, "is required"));
    let account_id = take("account_id")?.parse().map_err(|_| Problem::not_found("account"))?;
    let method = take("method")?;
    let mut inputs = BTreeMap::new();
    for (name, value) in fields {
        let Some(input) = name.strip_prefix(INPUT) else {
            return Err(Problem::field(name, "is not a field of this form"));
        };
        // A field that was left empty was not filled in.
        if !value.is_empty() {
            inputs.insert(input.to_owned(), value);
        }
    }
    Ok(Choice::Pay { account_id, method, inputs })
}

/// Whether a browser says that the form was on another site. One that says nothing is believed: the address itself is
/// the payer's only right, and a form elsewhere cannot know it.
fn is_ours(public_url: &str, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text("sec-fetch-site") {
        Some(site) => matches!(site, "same-origin" | "none"),
        // Pages that tell no referrer send the origin "null" even to themselves.
        None => text("origin").is_none_or(|origin| origin == public_url || origin == "null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    const URL: &str = "https://pay.example.com";

    fn sent(
        headers: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> Result<Choice, Problem> {
        let mut map = HeaderMap::new();
        map.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        read(URL, &map, Ok(Bytes::from_static(body.as_bytes())))
    }

    #[test]
    fn a_choice_is_read_with_its_inputs() {
        let body = "account_id=acc_00000000000000000000000000000001&method=page&input.phone=12&input.bank=";
        let Ok(Choice::Pay { method, inputs, .. }) = sent(&[], body) else { panic!("refused") };
        assert_eq!(method, "page");
        assert_eq!(inputs, BTreeMap::from([("phone".to_owned(), "12".to_owned())]));
        let body = "leave=pay_00000000000000000000000000000001";
        assert!(matches!(sent(&[], body), Ok(Choice::Leave(_))));
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        let rows = [
            ("", "invalid-request"),
            ("account_id=acc_1&method=page", "not-found"),
            ("account_id=acc_00000000000000000000000000000001", "invalid-request"),
            (
                "account_id=acc_00000000000000000000000000000001&method=a&amount=1",
                "invalid-request",
            ),
            (
                "account_id=acc_00000000000000000000000000000001&method=a&method=b",
                "invalid-request",
            ),
            ("leave=ord_00000000000000000000000000000001", "not-found"),
        ];
        for (body, code) in rows {
            assert_eq!(sent(&[], body).err().unwrap().code(), code, "{body}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let leave = "leave=pay_00000000000000000000000000000001";
        let taken = [
            vec![],
            vec![("origin", URL)],
            vec![("origin", "null")],
            vec![("sec-fetch-site", "same-origin"), ("origin", "null")],
        ];
        for headers in taken {
            assert!(sent(&headers, leave).is_ok(), "{headers:?}");
        }
        let refused = [
            vec![("origin", "https://evil.example.com")],
            vec![("sec-fetch-site", "cross-site"), ("origin", URL)],
            vec![("sec-fetch-site", "same-site"), ("origin", "null")],
        ];
        for headers in refused {
            assert_eq!(sent(&headers, leave).err().unwrap().code(), "foreign-form", "{headers:?}");
        }
    }
}
