//! The pages that a payer sees at a provider: what is owed, and what came of it.
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// Nothing but the page's own style: the page works without scripts.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// What is owed, and the buttons to pay or to give up.
#[derive(Template)]
#[template(path = "cashier.html")]
pub struct Cashier<'a> {
    /// Whose page it is.
    pub provider: &'a str,
    /// With its currency.
    pub amount: String,
    /// What is bought.
    pub subject: &'a str,
    /// The merchant's number.
    pub reference: &'a str,
    /// Who sells.
    pub seller: &'a str,
    /// Until when it can be paid.
    pub pay_until: String,
    /// Where the buttons post to: `action` is `pay` or `cancel`.
    pub action: String,
}

impl Cashier<'_> {
    /// The page.
    pub fn page(&self) -> Response {
        safe(Html(self.render().unwrap_or_default()).into_response())
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    lines: &'a [&'a str],
}

/// The HTML of a page that tells something and asks nothing.
pub fn message(title: &str, lines: &[&str]) -> String {
    Message { title, lines }.render().unwrap_or_default()
}

/// A page that tells something and asks nothing.
pub fn say(title: &str, lines: &[&str]) -> Response {
    safe(Html(message(title, lines)).into_response())
}

/// Why the payment cannot be made.
pub fn refuse(status: StatusCode, text: &str) -> Response {
    safe((status, Html(message("The payment cannot be made", &[text]))).into_response())
}

fn safe(mut response: Response) -> Response {
    let policy = header::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
