//! Who calls, and about what: the merchant behind a key, and ids in addresses.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use tollgate_domain::ids::{Id, Kind, MerchantId};

use super::problem::Problem;
use crate::flows::idempotency::Turn;
use crate::store::keys::Holder;

/// The merchant whose key came with the request. The door ([`super::door`]) let it in.
pub struct Caller(pub MerchantId);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Caller, Problem> {
        Held::from_request_parts(parts, state).await.map(|Held(holder)| Caller(holder.merchant_id))
    }
}

/// The key that came with the request, for who hands on a part of what it may do.
pub struct Held(pub Holder);

impl<S: Send + Sync> FromRequestParts<S> for Held {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Held, Problem> {
        let holder = parts.extensions.get::<Holder>().cloned();
        holder.map(Held).ok_or_else(|| Problem::internal("a route is not behind the door"))
    }
}

/// The right to run a request under its idempotency key; none: it came without one.
pub struct Once(pub Option<Turn>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Once, Problem> {
        Ok(Once(parts.extensions.get::<Turn>().cloned()))
    }
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
        "key" => "key",
        _ => "thing",
    }
}
