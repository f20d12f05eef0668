//! The routes of a merchant as the gateway publishes them, with everything that a test needs to call each: made from the
//! document, so that a route that is added later is in every test of this kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_tests::World;

/// One route under `/v1`.
pub struct Route {
    /// In upper case.
    pub method: String,
    /// With its names in braces.
    pub path: String,
    /// The scope that it needs.
    pub scope: String,
    /// The schema of its body; null: it has none.
    pub schema: Value,
}

/// The document of a gateway.
pub struct Document(Value);

impl Document {
    /// As the gateway publishes it.
    pub async fn of(world: &World) -> Document {
        Document(world.get("/openapi.json").await.ok())
    }

    /// Every route of a merchant.
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if !path.starts_with("/v1/") {
                    continue;
                }
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                routes.push(Route {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    scope: operation["security"][0]["key"][0].as_str().unwrap().to_owned(),
                    schema: schema.clone(),
                });
            }
        }
        assert!(routes.len() > 20, "the routes were not found");
        routes
    }

    /// A schema with its reference followed.
    pub fn resolve<'d>(&'d self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let place = reference.strip_prefix('#').unwrap();
                self.resolve(self.0.pointer(place).unwrap())
            }
            None => schema,
        }
    }

    /// The least body that a schema takes: what is required, each with a value of its type.
    pub fn least(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[0].as_str().unwrap_or_default(),
            kind => kind.as_str().unwrap_or_default(),
        };
        match kind {
            "object" => {
                let mut body = Map::new();
                for name in schema["required"].as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap();
                    body.insert(name.to_owned(), self.least(&schema["properties"][name]));
                }
                Value::Object(body)
            }
            "array" => json!([self.least(&schema["items"])]),
            "integer" => schema["minimum"].as_i64().unwrap_or(1).into(),
            "boolean" => json!(false),
            _ if schema["format"] == "date-time" => json!("2026-11-22T10:00:00Z"),
            _ => json!("x"),
        }
    }

    /// Every object in a body that this schema takes: the pointer to it, and its schema. A list stands for its first
    /// thing.
    pub fn objects<'d>(&'d self, schema: &'d Value, place: &str) -> Vec<(String, &'d Value)> {
        let schema = self.resolve(schema);
        let mut found = Vec::new();
        if schema["properties"].is_object() {
            found.push((place.to_owned(), schema));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            found.extend(self.objects(property, &format!("{place}/{name}")));
        }
        if schema["items"].is_object() {
            found.extend(self.objects(&schema["items"], &format!("{place}/0")));
        }
        for choice in ["oneOf", "anyOf"] {
            for schema in schema[choice].as_array().into_iter().flatten() {
                found.extend(self.objects(schema, place));
            }
        }
        found
    }
}

impl Route {
    /// The address with these ids, by the collection that they are of: `orders`, `payments`… None: the route names no
    /// single thing.
    ///
    /// # Panics
    /// If there is no id for the collection: whoever adds one to the API adds it to the tests.
    pub fn address(&self, ids: &BTreeMap<&str, String>) -> Option<String> {
        let (before, after) = self.path.split_once("{id}")?;
        let collection = before.trim_start_matches("/v1/").trim_end_matches('/');
        let id = ids.get(collection).unwrap_or_else(|| panic!("no test has a {collection}"));
        assert!(!after.contains('{'), "{} has two names", self.path);
        Some(format!("{before}{id}{after}"))
    }
}
