//! Problems: every refusal is an RFC 9457 document. What is ours to mend says nothing of the inside.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem_pages::{self, Page};
use crate::flows::{FieldError, FlowError};

/// After how many seconds it is worth asking again, when a provider or a plugin cannot be had.
const RETRY_AFTER_S: u64 = 5;
/// The same of what is over in a moment.
const RETRY_SOON_S: u64 = 1;

/// A refusal, on its way out.
#[derive(Debug)]
pub struct Problem {
    page: &'static Page,
    detail: String,
    errors: Vec<FieldError>,
    cause: Option<String>,
    retry_after_s: Option<u64>,
}

/// Why the gateway could not answer, for its own log: travels beside the response, never in it.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The page that explains the code, relative to the gateway's address.
    r#type: String,
    /// The code in a few words; the same for every problem with it.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// For programs.
    code: String,
    /// Each field that breaks a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// A field that breaks a rule.
#[derive(Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where: `amount`, `items[2].price`, `settings.app_id`.
    field: String,
    /// What it must be.
    rule: String,
}

impl Problem {
    /// A problem by its code. One without a page is ours to mend: the code is a word of this program.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Problem {
        match problem_pages::find(code) {
            Some(page) => Problem {
                page,
                detail: detail.into(),
                errors: Vec::new(),
                cause: None,
                retry_after_s: retry_after_s(page),
            },
            None => Problem::internal(format!("problem {code} has no page: {}", detail.into())),
        }
    }

    /// Fields that break rules.
    pub fn invalid(errors: Vec<FieldError>) -> Problem {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}", one.field, one.rule),
            several => format!("{} fields break a rule", several.len()),
        };
        Problem { errors, ..Problem::new("invalid-request", detail) }
    }

    /// One field that breaks a rule.
    pub fn field(field: impl Into<String>, rule: impl Into<String>) -> Problem {
        Problem::invalid(vec![FieldError::new(field, rule)])
    }

    /// Nothing is there, or it is not the caller's to see: which of the two is not told.
    pub fn not_found(what: &str) -> Problem {
        Problem::new("not-found", format!("no such {what}"))
    }

    /// Ours to mend. The cause goes to the log alone.
    pub fn internal(cause: impl Into<String>) -> Problem {
        Problem {
            page: &problem_pages::INTERNAL,
            detail: "the gateway failed; what it had promised before still holds".to_owned(),
            errors: Vec::new(),
            cause: Some(cause.into()),
            retry_after_s: None,
        }
    }

    /// The same, with the fields that break rules.
    pub fn with(self, errors: Vec<FieldError>) -> Problem {
        Problem { errors, ..self }
    }

    /// The same, worth asking again after so many seconds.
    pub fn retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after_s: Some(seconds), ..self }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// For programs.
    pub fn code(&self) -> &'static str {
        self.page.code
    }

    /// What is wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Each field that breaks a rule.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Why, for the log; taken out of the problem.
    pub fn take_cause(&mut self) -> Option<Cause> {
        self.cause.take().map(Cause)
    }

    fn body(&self) -> ProblemBody {
        let field = |error: &FieldError| FieldProblem {
            field: error.field.clone(),
            rule: error.rule.clone(),
        };
        ProblemBody {
            r#type: format!("/problems/{}", self.page.code),
            title: self.page.title().to_owned(),
            status: self.page.status,
            detail: self.detail.clone(),
            code: self.page.code.to_owned(),
            errors: self.errors.iter().map(field).collect(),
        }
    }
}

/// When it is worth asking again, if that is all it takes.
fn retry_after_s(page: &Page) -> Option<u64> {
    match (page.status, page.code) {
        (503, "overloaded") | (409, "request-running") => Some(RETRY_SOON_S),
        (503, _) => Some(RETRY_AFTER_S),
        _ => None,
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Problem {
        match error {
            FlowError::NotFound(what) => Problem::not_found(what),
            FlowError::Invalid(errors) => Problem::invalid(errors),
            FlowError::Conflict { code, detail } => Problem::new(code, detail),
            FlowError::Unavailable(detail) => Problem::new("unavailable", detail),
            FlowError::Store(error) if error.is_unavailable() => {
                let detail = "the database takes nothing now: what was promised before still holds";
                Problem { cause: Some(error.to_string()), ..Problem::new("unavailable", detail) }
            }
            error @ (FlowError::Store(_) | FlowError::Seal(_) | FlowError::Internal(_)) => {
                Problem::internal(error.to_string())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if self.page.status == 401 {
            let challenge = HeaderValue::from_static("Bearer realm=\"tollgate\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(cause) = self.take_cause() {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    fn rendered(error: FlowError) -> (Response, String) {
        let problem = Problem::from(error);
        let text = serde_json::to_string_pretty(&problem.body()).unwrap();
        (problem.into_response(), text)
    }

    #[test]
    fn each_refusal_of_a_flow_has_its_status() {
        let conflict = FlowError::Conflict { code: "order-paid", detail: "paid".into() };
        let stale = StoreError::Stale { table: "orders", row: "ord_1".into() };
        let down = StoreError::Sql(sqlx::Error::PoolTimedOut);
        let undone = StoreError::Commit("disk I/O error".into());
        let rows = [
            (FlowError::Store(down), 503, "unavailable"),
            (FlowError::Store(undone), 503, "unavailable"),
            (FlowError::NotFound("order"), 404, "not-found"),
            (FlowError::invalid("amount", "must be positive"), 422, "invalid-request"),
            (conflict, 409, "order-paid"),
            (FlowError::Unavailable("busy".into()), 503, "unavailable"),
            (FlowError::Store(stale), 500, "internal"),
            (FlowError::Internal("disk".into()), 500, "internal"),
            (FlowError::Conflict { code: "no-page", detail: String::new() }, 500, "internal"),
        ];
        for (error, status, code) in rows {
            let problem = Problem::from(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn a_problem_is_written_as_the_standard_says() {
        let (response, text) =
            rendered(FlowError::invalid("items[2].price", "must be zero or more"));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let wanted = r#"{
  "type": "/problems/invalid-request",
  "title": "The request breaks a rule",
  "status": 422,
  "detail": "items[2].price must be zero or more",
  "code": "invalid-request",
  "errors": [
    {
      "field": "items[2].price",
      "rule": "must be zero or more"
    }
  ]
}"#;
        assert_eq!(text, wanted);
    }

    #[test]
    fn the_inside_stays_inside() {
        let (response, text) = rendered(FlowError::Internal("/secret/path is full".into()));
        assert!(!text.contains("secret"), "{text}");
        assert!(!text.contains("errors"), "{text}");
        let cause = response.extensions().get::<Cause>().unwrap();
        assert_eq!(cause.0, "/secret/path is full");
    }

    #[test]
    fn who_asked_wrongly_is_told_how_to_ask() {
        let refused = Problem::new("unauthorized", "no key").into_response();
        assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"tollgate\"");
        let busy = Problem::new("unavailable", "later").into_response();
        assert_eq!(busy.headers()[header::RETRY_AFTER], "5");
        let often = Problem::new("rate-limited", "wait").retry_after(17).into_response();
        assert_eq!(
            (often.status().as_u16(), &often.headers()[header::RETRY_AFTER]),
            (429, &"17".parse().unwrap())
        );
        let paid = Problem::new("order-paid", "paid").into_response();
        assert!(!paid.headers().contains_key(header::RETRY_AFTER));
    }
}
