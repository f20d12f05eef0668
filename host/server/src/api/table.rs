//! What the OpenAPI document says of each route under `/v1`: who may call it and what it takes. So what is published is what
//! holds.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tollgate_domain::scope::Scope;

use super::body::{nothing, unread};
use super::document;
use super::page::Query;
use super::problem::Problem;

/// What the document says of one route.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The scope that it needs; none: the document does not say, and nobody is let in.
    pub scope: Option<Scope>,
    /// The names that its query may have.
    query: Vec<String>,
    /// Whether it takes a body.
    has_body: bool,
}

/// Every route under `/v1`.
pub struct Table(HashMap<(Method, String), Route>);

impl Table {
    /// As the document has them.
    pub fn published() -> Table {
        Table::read(document::text())
    }

    fn read(document: &str) -> Table {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let mut routes = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes());
                let Ok(method) = method else { continue };
                if path.starts_with("/v1/") {
                    routes.insert((method, path.clone()), Route::of(operation));
                }
            }
        }
        Table(routes)
    }

    /// The route of a request; none: no such route is published.
    pub fn find(&self, request: &Request) -> Option<&Route> {
        let path = request.extensions().get::<MatchedPath>()?.as_str().to_owned();
        // Whoever may read a thing may ask whether it is there.
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        self.0.get(&(method, path))
    }
}

impl Route {
    fn of(operation: &Value) -> Route {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query");
        Route {
            scope: scope_of(operation),
            query: query.filter_map(|it| it["name"].as_str().map(str::to_owned)).collect(),
            has_body: operation["requestBody"].is_object(),
        }
    }
}

/// The one scope of an operation.
fn scope_of(operation: &Value) -> Option<Scope> {
    match operation["security"][0]["key"].as_array()?.as_slice() {
        [Value::String(word)] => word.parse().ok(),
        _ => None,
    }
}

/// Refuses what a route does not have, by its name: a parameter of the query, and any field where it takes no body. A body
/// that it takes is for the handler to read.
pub async fn keep_to(State(table): State<Arc<Table>>, request: Request, next: Next) -> Response {
    let Some(route) = table.find(&request) else {
        return next.run(request).await;
    };
    match fitting(route, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn fitting(route: &Route, request: Request) -> Result<Request, Problem> {
    Query::read(request.uri().query().unwrap_or_default())?.only(&route.query)?;
    if route.has_body {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(whole, &()).await.map_err(unread)?;
    nothing(&parts.headers, &bytes)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_names_the_one_scope_that_it_needs() {
        let Table(routes) = Table::published();
        assert!(routes.len() > 20, "the table was not found");
        for ((method, path), route) in &routes {
            let scope = route.scope.unwrap_or_else(|| panic!("{method} {path} names no scope"));
            assert_ne!(scope, Scope::Full, "{method} {path}");
            let reads = scope == Scope::Read;
            assert_eq!(reads, *method == Method::GET, "{method} {path} needs {scope}");
        }
        for scope in [Scope::Orders, Scope::Payments, Scope::Refunds, Scope::Keys] {
            let opens = routes.values().any(|route| route.scope == Some(scope));
            assert!(opens, "{scope} opens nothing");
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
        let Table(routes) = Table::read(&document.to_string());
        let open: Vec<_> = routes.iter().filter(|(_, route)| route.scope.is_some()).collect();
        assert_eq!((routes.len(), open.len()), (5, 1), "{routes:?}");
    }

    #[test]
    fn what_a_route_takes_is_read_from_the_document() {
        let Table(routes) = Table::published();
        let route = |method: Method, path: &str| &routes[&(method, path.to_owned())];
        let orders = route(Method::GET, "/v1/orders");
        assert_eq!(orders.query, ["number", "state", "limit", "cursor"]);
        assert!(!orders.has_body);
        let order = route(Method::POST, "/v1/orders");
        assert!(order.query.is_empty() && order.has_body, "{order:?}");
    }
}
