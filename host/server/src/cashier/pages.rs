//! The pages: each a template and what it shows. Templates escape everything.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fast_qr::QRBuilder;
use fast_qr::convert::svg::SvgBuilder;
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::time::Moment;

use super::form::INPUT;
use super::policy;
use super::stand::{self, Ending, Stage};
use crate::api::problem::{Cause, Problem};
use crate::flows::offers::Offer;
use crate::flows::orders::{Details, OrderView};
use crate::flows::payments::Action;
use crate::flows::{FieldError, Flow, FlowError};
use crate::store::payments::PaymentRow;
use crate::store::refunds::RefundRow;

/// A page as an answer.
pub fn render(status: StatusCode, page: &impl Template, targets: &[String]) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, policy::headers(targets), [(header::CONTENT_TYPE, kind)], html).into_response()
        }
        Err(error) => Problem::internal(format!("a page: {error}")).into_response(),
    }
}

/// What a payer is told where there is no page to show, with a way back if there is one. What a flow says of a provider or a
/// plugin that cannot be had is for the merchant.
pub fn apology(mut problem: Problem, back: Option<&str>) -> Response {
    let status = problem.status();
    let (heading, text) = match status.as_u16() {
        404 => (
            "There is no such payment",
            "The address may be incomplete. Go back to the shop and try again.",
        ),
        503 => (NOT_NOW, "This cannot be done at the moment. Try again in a minute."),
        500.. => (
            "Something went wrong on our side",
            "Nothing that you have paid is lost. Try again in a moment.",
        ),
        _ => ("That did not work", problem.detail()),
    };
    let back = back.filter(|_| status != StatusCode::NOT_FOUND);
    let mut response = render(status, &Apology { heading, text, back }, &[]);
    if let Some(Cause(cause)) = problem.take_cause() {
        response.extensions_mut().insert(Cause(cause));
    }
    response
}

/// What a payer is told who has to try again.
pub fn not_now(text: &str, back: &str) -> Response {
    let page = Apology { heading: NOT_NOW, text, back: Some(back) };
    render(StatusCode::SERVICE_UNAVAILABLE, &page, &[])
}

const NOT_NOW: &str = "Not right now";

/// What a payer owes, at the top of a page.
pub struct Bill {
    amount: String,
    subject: String,
    description: Option<String>,
    number: String,
    items: Vec<Line>,
    return_url: Option<String>,
    expires: String,
}

/// A thing and its price.
pub struct Line {
    label: String,
    amount: String,
}

impl Bill {
    fn of(view: &OrderView) -> Flow<Bill> {
        let details: Details = serde_json::from_str(&view.order.details)?;
        let currency = view.order.currency;
        let lines = details.items.into_iter().map(|item| {
            let total = item.price.checked_mul(i64::from(item.quantity));
            let total = total.ok_or_else(|| FlowError::Internal("a price overflows".to_owned()))?;
            let label = if item.quantity == 1 {
                item.name
            } else {
                format!("{} × {}", item.quantity, item.name)
            };
            Ok(Line { label, amount: money(total, currency) })
        });
        Ok(Bill {
            amount: money(view.order.amount, currency),
            subject: view.order.subject.clone(),
            description: details.description,
            number: view.order.number.clone(),
            items: lines.collect::<Flow<_>>()?,
            // Checked when the order was made, and again where it becomes a link.
            return_url: details.return_url.filter(|url| policy::origin(url).is_some()),
            expires: seconds(view.order.expires_at),
        })
    }
}

fn money(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).to_string()
}

/// Without the fraction of a second, which no payer reads.
fn seconds(moment: Moment) -> String {
    let text = moment.to_string();
    text.split_once('.').map_or(text.clone(), |(before, _)| format!("{before}Z"))
}

/// The page on which a method is chosen.
#[derive(Template)]
#[template(path = "choose.html")]
pub struct Choose<'p> {
    bill: Bill,
    token: &'p str,
    buttons: Vec<Button<'p>>,
    notices: Vec<String>,
}

/// A method to choose.
struct Button<'p> {
    offer: &'p Offer,
    /// Tells it from others that read the same.
    account: Option<&'p str>,
}

impl<'p> Button<'p> {
    fn of(offers: &'p [Offer]) -> Vec<Button<'p>> {
        let button = |offer: &'p Offer| {
            let reads = |other: &&Offer| {
                (&other.plugin_name, &other.method_name) == (&offer.plugin_name, &offer.method_name)
            };
            let alike = offers.iter().filter(reads).count();
            Button { offer, account: (alike > 1).then_some(offer.account_name.as_str()) }
        };
        offers.iter().map(button).collect()
    }
}

/// What is said above the methods.
pub enum Notice {
    /// The last attempt came to nothing.
    EarlierFailed,
    /// What was filled in breaks rules.
    Fields(Vec<FieldError>),
}

impl<'p> Choose<'p> {
    /// For these methods.
    pub fn new(
        view: &'p OrderView,
        offers: &'p [Offer],
        notice: Option<Notice>,
    ) -> Flow<Choose<'p>> {
        let notices = match notice {
            None => Vec::new(),
            Some(Notice::EarlierFailed) => {
                vec![
                    "That payment did not go through, and no money was taken. Choose again."
                        .to_owned(),
                ]
            }
            Some(Notice::Fields(errors)) => {
                let name = |field: &str| field.rsplit('.').next().unwrap_or_default().to_owned();
                errors
                    .iter()
                    .map(|error| format!("{}: {}", name(&error.field), error.rule))
                    .collect()
            }
        };
        let (bill, buttons) = (Bill::of(view)?, Button::of(offers));
        Ok(Choose { bill, token: &view.order.token, buttons, notices })
    }
}

/// The page that posts a form to the provider by itself.
#[derive(Template)]
#[template(path = "forward.html")]
pub struct Forward {
    bill: Bill,
    url: String,
    charset: String,
    fields: Vec<(String, String)>,
}

impl Forward {
    /// With the provider's form.
    pub fn new(
        view: &OrderView,
        url: String,
        charset: String,
        fields: Vec<(String, String)>,
    ) -> Flow<Forward> {
        Ok(Forward { bill: Bill::of(view)?, url, charset, fields })
    }
}

/// The page of a payment that was started and may still succeed.
#[derive(Template)]
#[template(path = "attempt.html")]
pub struct Attempt<'p> {
    bill: Bill,
    token: &'p str,
    payment_id: String,
    provider: String,
    action: Action,
    qr: Option<String>,
    until: Option<String>,
    word: String,
}

impl<'p> Attempt<'p> {
    /// With what is to be done next.
    pub fn new(
        view: &'p OrderView,
        row: &PaymentRow,
        provider: String,
        action: Action,
        now: Moment,
    ) -> Flow<Attempt<'p>> {
        let qr = match &action {
            Action::QrCode { content, .. } => Some(picture(content)?),
            _ => None,
        };
        let until = match &action {
            Action::None => None,
            Action::Redirect { expires_at, .. }
            | Action::PostForm { expires_at, .. }
            | Action::QrCode { expires_at, .. }
            | Action::DeepLink { expires_at, .. }
            | Action::Instructions { expires_at, .. }
            | Action::ClientParameters { expires_at, .. } => expires_at.map(seconds),
        };
        Ok(Attempt {
            bill: Bill::of(view)?,
            token: &view.order.token,
            payment_id: row.id.to_string(),
            provider,
            action,
            qr,
            until,
            word: stand::word(view, now),
        })
    }
}

/// A QR code (ISO/IEC 18004) as the address of a picture.
fn picture(content: &str) -> Flow<String> {
    let code = QRBuilder::new(content).build();
    let code = code.map_err(|error| FlowError::Internal(format!("a QR code: {error:?}")))?;
    let svg = SvgBuilder::default().to_str(&code);
    Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
}

/// The page of an order that is over.
#[derive(Template)]
#[template(path = "outcome.html")]
pub struct Outcome<'p> {
    bill: Bill,
    token: &'p str,
    tone: &'static str,
    heading: &'static str,
    text: &'static str,
    refunds: Vec<RefundLine>,
    word: String,
    changing: bool,
}

/// A refund as its payer sees it.
pub struct RefundLine {
    label: &'static str,
    help: &'static str,
    amount: String,
    reason: Option<String>,
    since: String,
}

impl RefundLine {
    fn of(row: &RefundRow) -> RefundLine {
        let (label, help) = match Stage::of(row.state) {
            Stage::OnItsWay => ("Refund on its way", "It goes back the way you paid."),
            Stage::WithTheShop => ("Refund with the shop", "The shop has to do something first."),
            Stage::Done => ("Refunded", "It may take some days to show in your account."),
            Stage::Failed => ("Refund not possible", "The shop will contact you."),
        };
        RefundLine {
            label,
            help,
            amount: money(row.amount, row.currency),
            reason: row.reason.clone(),
            since: seconds(row.updated_at),
        }
    }
}

impl<'p> Outcome<'p> {
    /// How it ended, and where refunds stand.
    pub fn new(view: &'p OrderView, ending: Ending, now: Moment) -> Flow<Outcome<'p>> {
        let (tone, heading, text) = match ending {
            Ending::Paid => ("good", "Paid", "Thank you. You can go back to the shop."),
            Ending::Refunded => ("good", "Paid, with a refund", "What goes back is listed below."),
            Ending::Closed => {
                ("calm", "This order was closed", "The shop ended it. Nothing is owed.")
            }
            Ending::Expired => (
                "calm",
                "The time to pay is over",
                "Nothing is owed. Go back to the shop to order again.",
            ),
        };
        Ok(Outcome {
            bill: Bill::of(view)?,
            token: &view.order.token,
            tone,
            heading,
            text,
            refunds: view.refunds.iter().map(RefundLine::of).collect(),
            word: stand::word(view, now),
            changing: view.refunds.iter().any(|refund| Stage::of(refund.state).may_change()),
        })
    }
}

/// What a payer is told where there is no page to show.
#[derive(Template)]
#[template(path = "apology.html")]
struct Apology<'p> {
    heading: &'p str,
    text: &'p str,
    back: Option<&'p str>,
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
