//! The door of `/v1`: lets in whoever holds a key that lives, may do what the route needs, and does not ask too often.
//!
//! Which scope a route needs stands in the route table ([`super::table`]).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::limits::Limits;
use super::problem::Problem;
use super::table::Table;
use super::{Shared, finish};
use crate::flows::keys;
use crate::store::keys::Holder;

/// Longer ones are no keys of ours, and are not hashed.
const LONGEST_KEY: usize = 256;

/// What the door goes by.
pub struct Door {
    gateway: Shared,
    table: Arc<Table>,
    limits: Limits,
}

impl Door {
    /// Before the routes of the table.
    pub fn new(gateway: Shared, table: Arc<Table>, limits: Limits) -> Door {
        Door { gateway, table, limits }
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

/// Lets a request in, with who sent it; others than those of the table go on to find that nothing is there.
pub async fn open(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let Some(route) = door.table.find(&request) else {
        return next.run(request).await;
    };
    let peer = peer_of(&request);
    let holder = match door.holder(request.headers(), peer).await {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    match route.scope {
        Some(scope) if holder.scopes.allow(scope) => {}
        Some(scope) => {
            let detail = format!("the key lacks the scope {scope}");
            return Problem::new("scope-missing", detail).into_response();
        }
        None => return Problem::internal("the route names no scope").into_response(),
    }
    request.extensions_mut().insert(holder);
    next.run(request).await
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
}
