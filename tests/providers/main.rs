//! What is one provider's own, over HTTP and through its compiled component: a folder for each, and what all have in common.
#![allow(clippy::unwrap_used)]

mod bench;
mod every;
mod paypal;
mod stage;
mod stripe;
mod unionpay;
mod wechatpay;
