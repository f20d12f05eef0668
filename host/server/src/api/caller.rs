//! Who calls, and about what: the merchant behind a key, and ids in addresses.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use tollgate_domain::ids::{Id, Kind, MerchantId};

use super::finish;
use super::problem::Problem;
use crate::flows::merchants;
use crate::gateway::Gateway;

/// Longer ones are no keys of ours, and are not hashed.
const LONGEST_KEY: usize = 256;

/// The merchant whose key came with the request.
pub struct Caller(pub MerchantId);

impl FromRequestParts<Arc<Gateway>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Caller, Problem> {
        let refused = |detail: &str| Problem::new("unauthorized", detail);
        let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (headers.next(), headers.next()) else {
            return Err(refused("the request needs one header Authorization: Bearer KEY"));
        };
        let key = value.to_str().ok().and_then(bearer).filter(|key| key.len() <= LONGEST_KEY);
        let key = key.ok_or_else(|| refused("the header Authorization must be Bearer KEY"))?;
        let (gateway, key) = (gateway.clone(), key.to_owned());
        let merchant = finish(async move { merchants::authenticate(&gateway, &key).await }).await?;
        merchant.map(Caller).ok_or_else(|| refused("the key is not one of this gateway's"))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The id in an address. What is no id of that kind is not there, like one that nobody made.
pub struct Named<K>(pub Id<K>);

impl<S: Send + Sync, K: Kind> FromRequestParts<S> for Named<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<K>, Problem> {
        let nothing = || Problem::not_found(noun(K::PREFIX));
        let names = RawPathParams::from_request_parts(parts, state).await.map_err(|_| nothing())?;
        let (_, text) = names.iter().next().ok_or_else(nothing)?;
        text.parse().map(Named).map_err(|_| nothing())
    }
}

fn noun(prefix: &str) -> &'static str {
    match prefix {
        "ord" => "order",
        "pay" => "payment",
        "ref" => "refund",
        "acc" => "account",
        "bil" => "bill",
        "rec" => "reconciliation",
        "whe" => "webhook endpoint",
        "dlv" => "delivery",
        _ => "thing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_the_one_scheme() {
        let rows = [
            ("Bearer tgk_1", Some("tgk_1")),
            ("bearer  tgk_1", Some("tgk_1")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic tgk_1", None),
            ("tgk_1", None),
        ];
        for (value, key) in rows {
            assert_eq!(bearer(value), key, "{value:?}");
        }
    }
}
