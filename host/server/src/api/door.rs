//! The door of `/v1`: lets in whoever holds a key that lives, may do what the route needs, and does not ask too often.
//!
//! Which scope a route needs stands in the route table, as its security requirement in the OpenAPI document; the door
//! reads it there, so that what is published is what holds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tollgate_domain::scope::Scope;

use super::limits::Limits;
use super::problem::Problem;
use super::{Shared, document, finish};
use crate::flows::keys;
use crate::store::keys::Holder;

/// Longer ones are no keys of ours, and are not hashed.
const LONGEST_KEY: usize = 256;

/// What the door goes by.
pub struct Door {
    gateway: Shared,
    needed: HashMap<(Method, String), Option<Scope>>,
    limits: Limits,
}

impl Door {
    /// Before the routes of the document.
    pub fn new(gateway: Shared, limits: Limits) -> Door {
        Door { gateway, needed: needed(document::text()), limits }
    }

    async fn holder(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Holder, Problem> {
        let refused = |detail: &str| Problem::new("unauthorized", detail);
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(refused("the request needs one header Authorization: Bearer KEY"));
        };
        let key = value.to_str().ok().and_then(bearer).filter(|key| key.len() <= LONGEST_KEY);
        let key = key.ok_or_else(|| refused("the header Authorization must be Bearer KEY"))?;
        let hash = keys::hash(key);
        let (gateway, key) = (self.gateway.clone(), key.to_owned());
        let found = finish(async move { keys::authenticate(&gateway.store, &key).await }).await?;
        let Some(holder) = found else {
            self.limits.may_guess(peer, &hash)?;
            return Err(refused("the key is not one of this gateway's, or its time is over"));
        };
        self.limits.may_ask(&hash, holder.per_second)?;
        Ok(holder)
    }
}

/// The scope of each route under `/v1`; none: the document does not say, and nobody is let in.
fn needed(document: &str) -> HashMap<(Method, String), Option<Scope>> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut needed = HashMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            if path.starts_with("/v1/") {
                needed.insert((method, path.clone()), scope_of(operation));
            }
        }
    }
    needed
}

/// The one scope of an operation.
fn scope_of(operation: &Value) -> Option<Scope> {
    match operation["security"][0]["key"].as_array()?.as_slice() {
        [Value::String(word)] => word.parse().ok(),
        _ => None,
    }
}

/// Lets a request in, with who sent it; others than those of the table go on to find that nothing is there.
pub async fn open(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let Some(needed) = place_of(&request).and_then(|place| door.needed.get(&place)) else {
        return next.run(request).await;
    };
    let peer = peer_of(&request);
    let holder = match door.holder(request.headers(), peer).await {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    match needed {
        Some(scope) if holder.scopes.allow(*scope) => {}
        Some(scope) => {
            let detail = format!("the key lacks the scope {scope}");
            return Problem::new("scope-missing", detail).into_response();
        }
        None => return Problem::internal("the route names no scope").into_response(),
    }
    request.extensions_mut().insert(holder);
    next.run(request).await
}

fn place_of(request: &Request) -> Option<(Method, String)> {
    let path = request.extensions().get::<MatchedPath>()?.as_str().to_owned();
    // Whoever may read a thing may ask whether it is there.
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    Some((method, path))
}

/// Whoever is at the other end of the connection; a proxy, where there is one.
fn peer_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(address)| address.ip())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
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

    #[test]
    fn every_route_names_the_one_scope_that_it_needs() {
        let needed = needed(document::text());
        assert!(needed.len() > 20, "the table was not found");
        for ((method, path), scope) in &needed {
            let scope = scope.unwrap_or_else(|| panic!("{method} {path} names no scope"));
            assert_ne!(scope, Scope::Full, "{method} {path}");
            let reads = scope == Scope::Read;
            assert_eq!(reads, *method == Method::GET, "{method} {path} needs {scope}");
        }
        for scope in [Scope::Orders, Scope::Payments, Scope::Refunds, Scope::Keys] {
            assert!(needed.values().any(|needed| *needed == Some(scope)), "{scope} opens nothing");
        }
    }

    #[test]
    fn a_route_that_names_no_scope_or_several_opens_to_nobody() {
        let document = serde_json::json!({ "paths": { "/v1/a": {
            "get": { "security": [{ "key": [] }] },
            "put": { "security": [{ "key": ["read", "full"] }] },
            "post": { "security": [{ "key": ["write"] }] },
            "delete": {},
            "patch": { "security": [{ "key": ["read"] }] },
        }, "/pay": { "get": { "security": [{}] } } } });
        let needed = needed(&document.to_string());
        let open: Vec<_> = needed.iter().filter(|(_, scope)| scope.is_some()).collect();
        assert_eq!((needed.len(), open.len()), (5, 1), "{needed:?}");
    }
}
