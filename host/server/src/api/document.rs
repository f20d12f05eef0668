//! The OpenAPI 3.1 document: made from the routes and types of the API itself.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// What stands above the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tollgate",
        description = "A self-hosted payment gateway. Amounts are integers in minor units; times are RFC 3339 in \
            UTC; fields that a request does not have are refused; errors are RFC 9457 problems.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    tags(
        (name = "orders", description = "What payers owe"),
        (name = "payments", description = "Attempts to pay an order"),
        (name = "refunds", description = "Requests to give money back"),
        (name = "accounts", description = "Your standing with providers"),
        (name = "plugins", description = "The providers that this gateway speaks to"),
        (name = "reconciliation", description = "Providers' bills, and how they differ from our records"),
        (name = "events", description = "What happened"),
        (name = "webhooks", description = "Hearing of what happened"),
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
        let document = super::routes().into_openapi();
        serde_json::to_string_pretty(&document).unwrap_or_default()
    })
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
            }
        }
    }
}
