//! The cashier's own style and script: there are no others.

use axum::http::header;
use axum::response::IntoResponse;

const STYLE: &str = include_str!("../../assets/cashier.css");
const SCRIPT: &str = include_str!("../../assets/cashier.js");

/// The style of every page.
pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// What pages do by themselves where scripts run; each page works without it.
pub async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}
