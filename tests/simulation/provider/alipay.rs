//! Alipay's simulator as the provider: its routes are called as functions, and its clock follows the world's.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures::FutureExt;
use serde_json::Value;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::HttpResponse;
use tollgate_sdk::form::Form;
use tollgate_simulator::alipay::Alipay as Simulated;
use tollgate_simulator::clock::{Clock, ClockSource};
use tollgate_simulator::provider::{Provider, Setup};
use tollgate_tests::place;
use tower::ServiceExt;

use super::Call;
use super::trade::{Back, BackState, Trade, TradeState};
use crate::time::{START, Time};

/// Where it says that it is: nothing listens there.
pub const BASE: &str = "http://127.0.0.1:9";

/// The simulator, without its sockets.
pub struct Alipay {
    /// How a shop signs up with it: the body of `POST /v1/accounts`.
    pub account: Value,
    routes: Router,
    clock: Arc<Clock>,
    told: usize,
    time: Time,
    moved_to: Moment,
}

/// What it pushes: the address, the trade, and the form.
pub struct Pushed {
    /// Whom it is for.
    pub url: String,
    /// The trade that it is about.
    pub reference: String,
    /// Whether it tells that the trade was paid.
    pub of_payment: bool,
    /// The body.
    pub form: String,
}

impl Alipay {
    /// An empty one.
    pub fn new(seed: u64, time: Time) -> Alipay {
        let start = jiff::Timestamp::from_microsecond(START.0).unwrap();
        let clock = Arc::new(Clock::new(ClockSource::Fixed(start)));
        let setup = Setup {
            base: format!("{BASE}/alipay"),
            seed,
            time_scale: 1,
            bill_ready_at_once: true,
            clock: clock.clone(),
        };
        let keys = place::shared("simulator-keys");
        let simulated = Arc::new(Simulated::new(&setup, Some(&keys)).unwrap());
        let account = simulated.accounts()["account"].clone();
        let routes = tollgate_simulator::routes(&simulated);
        Alipay { account, routes, clock, told: 0, time, moved_to: START }
    }

    fn call(&mut self, request: Request<Body>) -> HttpResponse {
        let now = self.time.now();
        self.clock.advance(now.millis() - self.moved_to.millis());
        self.moved_to = now;
        // Nothing in it waits for anything: an answer is there at once.
        let answer = self.routes.clone().oneshot(request).now_or_never();
        let Some(Ok(response)) = answer else { panic!("the simulator waits") };
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).now_or_never();
        let Some(Ok(body)) = body else { panic!("the simulator's answer waits") };
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        HttpResponse { status: parts.status.as_u16(), headers, body: body.to_vec() }
    }

    fn get(&mut self, path: &str) -> Value {
        let request = Request::get(path).body(Body::empty()).unwrap();
        serde_json::from_slice(&self.call(request).body).unwrap_or(Value::Null)
    }

    /// What the gateway sends.
    pub fn serve(&mut self, call: &Call) -> HttpResponse {
        let path = call.url.strip_prefix(BASE).unwrap_or("/");
        let mut request = Request::builder().method(call.method.as_str()).uri(path);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        self.call(request.body(Body::from(call.body.clone())).unwrap())
    }

    /// What the payer's browser posts, as the gateway told it to.
    pub fn browse(&mut self, action: &Value) {
        let path = |url: &Value| url.as_str().unwrap_or("/").trim_start_matches(BASE).to_owned();
        if action["kind"] == "post_form" {
            let fields: Vec<(String, String)> =
                serde_json::from_value(action["fields"].clone()).unwrap();
            let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let form = tollgate_sdk::form::encode(pairs);
            let request = Request::post(path(&action["url"]))
                .header("content-type", "application/x-www-form-urlencoded");
            self.call(request.body(Body::from(form)).unwrap());
        } else {
            let url = if action["kind"] == "qr_code" { &action["content"] } else { &action["url"] };
            self.call(Request::get(path(url)).body(Body::empty()).unwrap());
        }
    }

    /// The payer or the provider acts on a trade.
    pub fn act(&mut self, reference: &str, act: &str) -> bool {
        let path = format!("/control/alipay/trades/{reference}/{act}");
        let request = Request::post(path).body(Body::empty()).unwrap();
        self.call(request).status == 200
    }

    /// What it pushed since the last call.
    pub fn pushed(&mut self) -> Vec<Pushed> {
        let all = self.get("/control/alipay/notifications");
        let list = all["notifications"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let new = list.iter().skip(self.told).map(|delivery| Pushed {
            url: text(&delivery["url"]),
            reference: text(&delivery["reference"]),
            of_payment: delivery["kind"] == "paid",
            form: text(&delivery["message"]),
        });
        let new = new.collect();
        self.told = list.len();
        new
    }

    /// What it knows of a trade.
    pub fn trade(&mut self, reference: &str) -> Option<Trade> {
        let shown = self.get(&format!("/control/alipay/trades/{reference}"));
        let standing = shown["standing"].as_str()?;
        let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<Moment>().ok());
        let expires = moment(&shown["expires_at"]).unwrap_or(START);
        let state = match standing {
            _ if shown["paid_at"].is_string() => TradeState::Paid,
            "closed" => TradeState::Closed,
            // Whoever opens it now finds it closed.
            _ if expires <= self.time.now() => TradeState::Closed,
            _ => TradeState::Waiting,
        };
        let mut backs = BTreeMap::new();
        for refund in shown["refunds"].as_array().into_iter().flatten() {
            let back = Back {
                amount: fen(&refund["amount"]),
                state: BackState::Done,
                there: String::new(),
                seen_from: START,
                settles_at: START,
                refused: false,
            };
            backs.insert(refund["reference"].as_str().unwrap_or_default().to_owned(), back);
        }
        Some(Trade {
            shop: String::new(),
            there: shown["provider_reference"].as_str().unwrap_or_default().to_owned(),
            amount: fen(&shown["amount"]),
            state,
            expires,
            seen_from: START,
            paid_at: moment(&shown["paid_at"]),
            paid_seen_from: START,
            said_over: state == TradeState::Closed,
            backs,
        })
    }
}

/// The trade that a call is about.
pub fn reference_of(call: &Call) -> Option<String> {
    let form = Form::parse(&call.body).ok()?;
    let content: Value = serde_json::from_str(form.filled("biz_content")?).ok()?;
    Some(content["out_trade_no"].as_str()?.to_owned())
}

fn fen(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("0");
    tollgate_sdk::decimal::to_minor(text, 2).unwrap_or(0)
}
