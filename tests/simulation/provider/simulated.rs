//! A provider's simulator as the provider: its routes are called as functions, and its clock follows the world's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures::FutureExt;
use serde_json::{Value, json};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::HttpResponse;
use tollgate_simulator::alipay::Alipay;
use tollgate_simulator::clock::{Clock, ClockSource};
use tollgate_simulator::paypal::PayPal;
use tollgate_simulator::provider::{Provider, Setup};
use tollgate_simulator::stripe::Stripe;
use tollgate_simulator::unionpay::UnionPay;
use tollgate_simulator::wechatpay::WechatPay;
use tollgate_tests::place;
use tower::ServiceExt;

use super::Call;
use super::trade::{Back, BackState, Trade, TradeState};
use crate::time::{START, Time};

/// Where it says that it is: nothing listens there.
pub const BASE: &str = "http://127.0.0.1:9";

/// The simulator, without its sockets.
pub struct Simulated {
    /// How a shop signs up with it: the body of `POST /v1/accounts`.
    pub account: Value,
    plugin: &'static str,
    /// Whether it tells one address of everything, whatever each call says.
    tells_one: bool,
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
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Makes one: what it says of itself, and its routes.
type Make = fn(&Setup, &Path) -> (Value, Router);

fn make<P: Provider>(made: anyhow::Result<P>) -> (Value, Router) {
    let made = Arc::new(made.unwrap());
    (made.accounts(), tollgate_simulator::routes(&made))
}

/// The one that a plugin speaks with.
fn maker(plugin: &str) -> Make {
    match plugin {
        "alipay" => |setup, keys| make(Alipay::new(setup, Some(keys))),
        "wechatpay" => |setup, keys| make(WechatPay::new(setup, Some(keys))),
        "unionpay" => |setup, keys| make(UnionPay::new(setup, Some(keys))),
        "stripe" => |setup, keys| make(Stripe::new(setup, Some(keys))),
        "paypal" => |setup, keys| make(PayPal::new(setup, Some(keys))),
        other => panic!("{other} has no simulator"),
    }
}

impl Simulated {
    /// An empty one.
    pub fn new(plugin: &'static str, seed: u64, time: Time) -> Simulated {
        let start = jiff::Timestamp::from_microsecond(START.0).unwrap();
        let clock = Arc::new(Clock::new(ClockSource::Fixed(start)));
        let setup = Setup {
            base: format!("{BASE}/{plugin}"),
            seed,
            time_scale: 1,
            bill_ready_at_once: true,
            clock: clock.clone(),
        };
        let keys = place::shared("simulator-keys");
        let (says, routes) = maker(plugin)(&setup, &keys);
        let account = says["account"].clone();
        let tells_one = says["register_notify_url"] == true;
        Simulated { account, plugin, tells_one, routes, clock, told: 0, time, moved_to: START }
    }

    /// Has it tell this account of everything, if it tells but one.
    pub fn register(&mut self, account: &str) {
        if self.tells_one {
            let body = json!({ "url": format!("https://gateway.invalid/notify/{account}") });
            let request = Request::post(self.control("special/endpoint"))
                .header("content-type", "application/json");
            let answer = self.call(request.body(Body::from(body.to_string())).unwrap());
            assert_eq!(answer.status, 200);
        }
    }

    /// Whether repeats are told by idempotency keys there, and not by our references alone.
    pub fn has_keys(&self) -> bool {
        matches!(self.plugin, "stripe" | "paypal")
    }

    fn control(&self, path: &str) -> String {
        format!("/control/{}/{path}", self.plugin)
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

    /// What the gateway sends. `error`: it answers with an error of its own, having done what it was asked or not.
    pub fn serve(&mut self, call: &Call, error: Option<bool>) -> HttpResponse {
        if let Some(done) = error {
            let value = if done { "done" } else { "not done" };
            let rule = json!({ "on": "any", "verb": "system_error", "value": value });
            let request = Request::post(self.control("faults"))
                .header("content-type", "application/json")
                .body(Body::from(rule.to_string()));
            self.call(request.unwrap());
        }
        let path = call.url.strip_prefix(BASE).unwrap_or("/");
        let mut request = Request::builder().method(call.method.as_str()).uri(path);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        self.call(request.body(Body::from(call.body.clone())).unwrap())
    }

    /// What the payer's browser posts, as the gateway told it to.
    pub fn browse(&mut self, action: &Value) {
        let url = if action["kind"] == "qr_code" { &action["content"] } else { &action["url"] };
        // Some codes are for the provider's app, which asks it by ways of its own.
        let Some(path) = url.as_str().and_then(|url| url.strip_prefix(BASE)) else { return };
        if action["kind"] == "post_form" {
            let fields: Vec<(String, String)> =
                serde_json::from_value(action["fields"].clone()).unwrap();
            let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let form = tollgate_sdk::form::encode(pairs);
            let request =
                Request::post(path).header("content-type", "application/x-www-form-urlencoded");
            self.call(request.body(Body::from(form)).unwrap());
        } else {
            self.call(Request::get(path).body(Body::empty()).unwrap());
        }
    }

    /// The payer or the provider acts on a trade.
    pub fn act(&mut self, reference: &str, act: &str) -> bool {
        let path = self.control(&format!("trades/{reference}/{act}"));
        let request = Request::post(path).body(Body::empty()).unwrap();
        self.call(request).status == 200
    }

    /// What it pushed since the last call.
    pub fn pushed(&mut self) -> Vec<Pushed> {
        let all = self.get(&self.control("notifications"));
        let list = all["notifications"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let new = list.iter().skip(self.told).map(|delivery| Pushed {
            url: text(&delivery["url"]),
            reference: text(&delivery["reference"]),
            of_payment: delivery["kind"] == "paid",
            headers: serde_json::from_value(delivery["headers"].clone()).unwrap(),
            body: text(&delivery["message"]),
        });
        let new = new.collect();
        self.told = list.len();
        new
    }

    /// What it knows of each trade, by reference.
    pub fn trades(&mut self) -> Vec<(String, Trade)> {
        let all = self.get(&self.control("trades"));
        let list = all["trades"].as_array().cloned().unwrap_or_default();
        let named =
            |shown: &Value| Some((shown["reference"].as_str()?.to_owned(), self.known(shown)?));
        list.iter().filter_map(named).collect()
    }

    fn known(&self, shown: &Value) -> Option<Trade> {
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
                done_at: None,
                made_there: false,
            };
            // Some put a word before our reference.
            let name = refund["reference"].as_str().unwrap_or_default();
            let ours = name.rsplit('-').next().unwrap_or_default();
            backs.insert(ours.to_owned(), back);
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
            reversed_at: None,
            contest: None,
        })
    }
}

fn fen(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("0");
    tollgate_sdk::decimal::to_minor(text, 2).unwrap_or(0)
}
