//! The OpenAPI 3.1 document: made from the routes and types of the API itself.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, Required};

/// What stands above the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tollgate",
        description = "A self-hosted payment gateway. Amounts are integers in minor units; times are RFC 3339 in \
            UTC; fields that a request does not have are refused; errors are RFC 9457 problems. Whatever changes \
            something takes the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): 1 to 255 visible \
            ASCII characters, kept for 24 hours or as long as the operator says, up to 7 days. The same key and request \
            again is answered byte for byte as the first time, with the header Idempotency-Replayed: true; another \
            request under the key is refused with 422, one that still runs with 409, and a missing key with 400 where \
            the merchant demands one. A request that was refused as it stood (400, 401, 403, 404, 413, 415, 422, 429) or \
            that broke down (5xx) is not kept: the same key may try again. Each route names the scope that a key needs.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    tags(
        (name = "orders", description = "What payers owe"),
        (name = "payments", description = "Attempts to pay an order"),
        (name = "refunds", description = "Requests to give money back"),
        (name = "disputes", description = "Payments that payers contest"),
        (name = "cases", description = "What only people can settle"),
        (name = "accounts", description = "Your standing with providers"),
        (name = "plugins", description = "The providers that this gateway speaks to"),
        (name = "reconciliation", description = "Providers' bills, and how they differ from our records"),
        (name = "events", description = "What happened"),
        (name = "webhooks", description = "Hearing of what happened"),
        (name = "keys", description = "API keys and what they may do"),
        (name = "cashier", description = "Pages for payers"),
        (name = "providers", description = "What providers call"),
        (name = "operations", description = "What operators look at"),
    ),
    security(("key" = [])),
    modifiers(&Key)
)]
pub struct Document;

struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A merchant's API key: `Authorization: Bearer tgk_…`".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// The whole document as JSON.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut document = super::routes().into_openapi();
        tell_of_keys(&mut document);
        serde_json::to_string_pretty(&document).unwrap_or_default()
    })
}

/// Every route that changes something takes the header, so the document says it of each in one place.
fn tell_of_keys(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let changing = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in changing.into_iter().flatten().filter(|_| path.starts_with("/v1/")) {
            let header = ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "1 to 255 visible ASCII characters: the same key and request again gets the same answer",
                ))
                .schema(Some(Object::with_type(Type::String)))
                .build();
            operation.parameters.get_or_insert_default().push(RefOr::T(header));
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "showDocument", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn document() -> Value {
        serde_json::from_str(super::text()).unwrap()
    }

    #[test]
    fn it_is_of_the_version_it_claims() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
        assert_eq!(document["security"][0]["key"], serde_json::json!([]));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut seen = 0;
        let mut left = vec![&document];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(reference)) = object.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                        seen += 1;
                    }
                    left.extend(object.values());
                }
                Value::Array(list) => left.extend(list),
                _ => {}
            }
        }
        assert!(seen > 20);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let document = document();
        let mut names = std::collections::HashSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{method} {path}: {name} is taken");
                assert!(operation["summary"].is_string(), "{method} {path} says nothing");
                assert!(operation["responses"].as_object().is_some_and(|it| !it.is_empty()));
                let open = operation["security"] == serde_json::json!([{}]);
                assert_eq!(open, !path.starts_with("/v1/"), "{method} {path}: who may call it");
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let once = parameters.filter(|it| it["name"] == "Idempotency-Key").count();
                assert_eq!(once == 1, !open && method != "get", "{method} {path}: {once}");
            }
        }
    }
}
