//! The page of each problem code, embedded: what its problems' `type` points to.

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;

use super::problem::Problem;

/// What a problem code means.
#[derive(Debug)]
pub struct Page {
    /// For programs.
    pub code: &'static str,
    /// The HTTP status of its problems.
    pub status: u16,
    text: &'static str,
}

impl Page {
    /// The first line, without the mark of a heading.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}

macro_rules! page {
    ($status:literal, $code:literal) => {
        Page {
            code: $code,
            status: $status,
            text: include_str!(concat!("../../problems/", $code, ".md")),
        }
    };
}

/// What is ours to mend.
pub const INTERNAL: Page = page!(500, "internal");

/// Every code that leaves the gateway.
pub const PAGES: &[Page] = &[
    page!(400, "idempotency-key-malformed"),
    page!(400, "idempotency-key-missing"),
    page!(400, "malformed-json"),
    page!(401, "unauthorized"),
    page!(403, "foreign-form"),
    page!(403, "scope-missing"),
    page!(404, "not-found"),
    page!(405, "method-not-allowed"),
    page!(409, "account-name-used"),
    page!(409, "job-not-parked"),
    page!(409, "key-beyond-yours"),
    page!(409, "key-rotated"),
    page!(409, "order-closed"),
    page!(409, "order-expired"),
    page!(409, "order-not-expired"),
    page!(409, "order-number-used"),
    page!(409, "order-paid"),
    page!(409, "payment-disputed"),
    page!(409, "payment-not-succeeded"),
    page!(409, "payment-open"),
    page!(409, "payment-state"),
    page!(409, "refund-exceeds-payment"),
    page!(409, "refund-number-used"),
    page!(409, "refund-unsupported"),
    page!(409, "too-many-webhook-endpoints"),
    page!(409, "webhook-endpoint-disabled"),
    page!(409, "request-running"),
    page!(413, "body-too-large"),
    page!(415, "unsupported-media-type"),
    page!(422, "idempotency-key-reused"),
    page!(422, "invalid-request"),
    page!(429, "rate-limited"),
    INTERNAL,
    page!(503, "overloaded"),
    page!(503, "unavailable"),
];

/// The page of a code.
pub fn find(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

/// What a problem code means, and what to do about it.
#[utoipa::path(get, path = "/problems/{code}", tag = "operations", operation_id = "showProblem", security(()),
    params(("code" = String, Path, description = "The problem's code")),
    responses((status = 200, description = "Markdown", body = String, content_type = "text/plain"),
        (status = 404, body = super::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn show(Path(code): Path<String>) -> Result<impl IntoResponse, Problem> {
    let page = find(&code).ok_or_else(|| Problem::not_found("problem"))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], page.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn source(folder: &str) -> Vec<std::path::PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
    }

    #[test]
    fn every_page_is_served_and_says_what_to_do() {
        for file in source("problems") {
            let code = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let page = find(&code).unwrap_or_else(|| panic!("{code} is not in the table"));
            assert!(page.text.starts_with("# "), "{code}");
            assert!(page.text.lines().count() >= 3, "{code} says nothing");
        }
    }

    #[test]
    fn every_refusal_of_a_flow_has_a_page() {
        let mut seen = 0;
        for file in source("src/flows") {
            let text = std::fs::read_to_string(&file).unwrap();
            for rest in text.split("Conflict").skip(1) {
                let Some((_, rest)) =
                    rest.split_once("code: \"").filter(|(before, _)| before.len() < 40)
                else {
                    continue;
                };
                let code = rest.split('"').next().unwrap();
                assert!(find(code).is_some(), "{}: {code} has no page", file.display());
                seen += 1;
            }
        }
        assert!(seen > 3, "the codes of flows were not found");
    }
}
