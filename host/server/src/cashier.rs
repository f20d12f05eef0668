//! The cashier: pages on which a payer chooses how to pay, pays, waits, and reads how it ended.
//!
//! A page is made from what stands in the store, whoever asks: the payer who came back, reloaded, or opened the
//! address on another device sees the same. Who has the address can pay, and nothing more.

pub mod assets;
pub mod form;
pub mod pages;
pub mod policy;
pub mod stand;
pub mod surface;

use std::net::SocketAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tollgate_plugin::PrivateFields;
use tollgate_plugin::manifest::PRIVATE;
use utoipa::ToSchema;

use crate::api::body::unread;
use crate::api::problem::Problem;
use crate::api::{Shared, finish};
use crate::flows::offers::{self, Offer};
use crate::flows::orders::{self, OrderView};
use crate::flows::payments::{self, Action, NewPayment};
use crate::flows::query::{self, Asked};
use crate::flows::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::payments::PaymentRow;
use form::Choice;
use pages::{Attempt, Choose, Forward, Notice, Outcome};
use stand::Stand;

/// How an order stands, in a word that changes when the page would.
#[derive(Serialize, ToSchema)]
pub struct Status {
    /// Compare it, read nothing into it.
    state: String,
}

/// The page of an order, for its payer.
#[utoipa::path(get, path = "/pay/{token}", tag = "cashier", operation_id = "showCashier", security(()),
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = 404, body = String, content_type = "text/html")))]
pub async fn show(
    State(gateway): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let surface = surface::guess(&headers);
    let shown = finish(async move {
        let view = orders::by_token(&gateway, &token).await?;
        page(&gateway, &view, surface, None).await
    });
    shown.await.unwrap_or_else(|problem| pages::apology(problem, None))
}

/// How an order stands: what its page asks every few seconds.
#[utoipa::path(get, path = "/pay/{token}/status", tag = "cashier", operation_id = "cashierStatus", security(()),
    params(("token" = String, Path)), responses((status = 200, body = Status)))]
pub async fn status(
    State(gateway): State<Shared>,
    Path(token): Path<String>,
) -> Result<Json<Status>, Problem> {
    finish(async move {
        let view = orders::by_token(&gateway, &token).await?;
        Ok(Json(Status { state: stand::word(&view, gateway.store.now()) }))
    })
    .await
}

/// The payer's choice: starts a payment, or ends the one that was started to choose anew.
#[utoipa::path(post, path = "/pay/{token}", tag = "cashier", operation_id = "choose", security(()),
    params(("token" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = 303, description = "To the provider, or back to the order's page")))]
pub async fn choose(
    State(gateway): State<Shared>,
    Path(token): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    // The payer's own address, or that of a proxy before us: some providers want one with a page for a phone.
    let payer_ip = peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_string());
    let back = format!("/pay/{token}");
    let chosen = match form::read(&gateway.settings.public_url, &headers, body.map_err(unread)) {
        Ok(chosen) => chosen,
        Err(problem) => return pages::apology(problem, Some(&back)),
    };
    let surface = surface::guess(&headers);
    let done = finish(async move {
        let view = orders::by_token(&gateway, &token).await?;
        match chosen {
            Choice::Leave(payment) => leave(&gateway, &view, payment).await,
            Choice::Pay { account_id, method, inputs } => {
                let new = NewPayment {
                    account_id: Some(account_id),
                    method,
                    surface: Some(surface.to_owned()),
                    payer_ip,
                    payer_id: None,
                    inputs,
                    private_fields: PrivateFields::default(),
                };
                pay(&gateway, &view, new, surface).await
            }
        }
    });
    done.await.unwrap_or_else(|problem| pages::apology(problem, Some(&back)))
}

async fn pay(
    gateway: &Gateway,
    view: &OrderView,
    new: NewPayment,
    surface: &str,
) -> Flow<Response> {
    let (merchant, order) = (view.order.merchant_id, view.order.id);
    match payments::start(gateway, merchant, order, new, None).await {
        Ok(row) => forward(gateway, view, &row).await,
        // The page as it stands now says what is in the way: paid meanwhile, over, or a payment that is open.
        Err(FlowError::Conflict { .. }) => Ok(back_to(view)),
        Err(FlowError::Invalid(errors)) => {
            page(gateway, view, surface, Some(Notice::Fields(errors))).await
        }
        Err(other) => Err(other),
    }
}

/// Sends the payer where the payment that was just started leads.
async fn forward(gateway: &Gateway, view: &OrderView, row: &PaymentRow) -> Flow<Response> {
    let action = action_of(row)?;
    if !row.state.is_alive() {
        return Ok(back_to(view));
    }
    Ok(match action {
        Action::Redirect { url, .. } => see_other(url),
        Action::PostForm { url, charset, fields, .. } => {
            let mut targets =
                policy::payer_origins(gateway, row.merchant_id, [row.account_id]).await;
            targets.extend(policy::origin(&url));
            pages::render(StatusCode::OK, &Forward::new(view, url, charset, fields)?, &targets)
        }
        _ => back_to(view),
    })
}

/// Ends the payment that is open, so that another way can be chosen. The page then shows how it stands: it may have
/// been paid in the same moment.
async fn leave(
    gateway: &Gateway,
    view: &OrderView,
    payment: tollgate_domain::ids::PaymentId,
) -> Flow<Response> {
    let Some(row) = view.payments.iter().find(|row| row.id == payment && row.state.is_alive())
    else {
        return Ok(back_to(view));
    };
    match query::close_payment(gateway, row.merchant_id, row.id).await? {
        // Where the provider ends nothing, only its time does.
        Asked::Answered(row) if row.state.is_alive() => {
            let detail =
                "the payment that you started cannot be ended: finish it, or wait until its time is over"
                    .to_owned();
            Err(FlowError::Conflict { code: "payment-open", detail })
        }
        Asked::Answered(_) => Ok(back_to(view)),
        Asked::NoAnswer(_) => {
            let text = "The payment that you started cannot be ended right now: finish it, or try again in a moment.";
            Ok(pages::not_now(text, &format!("/pay/{}", view.order.token)))
        }
    }
}

/// The page of an order as it stands.
async fn page(
    gateway: &Gateway,
    view: &OrderView,
    surface: &str,
    notice: Option<Notice>,
) -> Flow<Response> {
    let now = gateway.store.now();
    match stand::of(view, now) {
        Stand::Choose { earlier_failed } => {
            let mut offers = offers::offers(gateway, &view.order, surface).await?;
            offers.retain(may_be_offered);
            // A payer is asked for what the method cannot do without; the rest is the shop's to choose.
            offers.iter_mut().for_each(|offer| offer.inputs.retain(|input| input.required));
            let accounts = offers.iter().map(|offer| offer.account_id);
            let targets = policy::payer_origins(gateway, view.order.merchant_id, accounts).await;
            let status =
                if notice.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            let notice = notice.or(earlier_failed.then_some(Notice::EarlierFailed));
            Ok(pages::render(status, &Choose::new(view, &offers, notice)?, &targets))
        }
        Stand::Underway(row) => {
            let action = action_of(row)?;
            let mut targets = Vec::new();
            if let Action::PostForm { url, .. } = &action {
                targets = policy::payer_origins(gateway, row.merchant_id, [row.account_id]).await;
                targets.extend(policy::origin(url));
            }
            let name =
                gateway.plugins.get(&row.plugin).map(|plugin| plugin.manifest().name.clone());
            let attempt = Attempt::new(view, row, name.unwrap_or_default(), action, now)?;
            Ok(pages::render(StatusCode::OK, &attempt, &targets))
        }
        Stand::Over(ending) => {
            Ok(pages::render(StatusCode::OK, &Outcome::new(view, ending, now)?, &[]))
        }
    }
}

/// Private fields (a card's number) are for pages that this gateway does not have.
fn may_be_offered(offer: &Offer) -> bool {
    offer.inputs.iter().all(|input| input.kind != PRIVATE || !input.required)
}

fn action_of(row: &PaymentRow) -> Flow<Action> {
    Ok(row.action.as_deref().map(serde_json::from_str).transpose()?.unwrap_or(Action::None))
}

fn back_to(view: &OrderView) -> Response {
    see_other(format!("/pay/{}", view.order.token))
}

fn see_other(place: String) -> Response {
    (StatusCode::SEE_OTHER, policy::headers(&[]), [(header::LOCATION, place)]).into_response()
}
