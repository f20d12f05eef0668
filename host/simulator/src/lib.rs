//! Payment providers in a box: real sockets, real signatures, a scripted ledger behind them.
//!
//! Written from the providers' protocols alone. It shares no code with the gateway or its plugins,
//! so that a mistake on one side is not repeated on the other.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub mod alipay;
pub mod bill_edit;
pub mod chance;
pub mod clock;
mod control;
pub mod faults;
pub mod ledger;
pub mod money;
pub mod notifier;
pub mod order;
pub mod pages;
pub mod paypal;
pub mod provider;
pub mod rsa;
pub mod stripe;
pub mod unionpay;
pub mod wechatpay;
pub mod zip_stream;

use alipay::Alipay;
use clock::{Clock, ClockSource};
use paypal::PayPal;
use provider::{Provider, Setup};
use stripe::Stripe;
use unionpay::UnionPay;
use wechatpay::WechatPay;

/// How long a stop waits for requests that are being served.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How a simulator is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many times faster than real the notification schedules run; 1 is real time.
    pub time_scale: u64,
    /// Where time comes from.
    pub clock: ClockSource,
    /// Seed of numbers and tokens; `None` draws one.
    pub seed: Option<u64>,
    /// Folder that keeps the keys over restarts; `None` makes new ones at each start.
    pub data: Option<PathBuf>,
    /// Whether the bill of any day, today included, is ready when asked for.
    pub bill_ready_at_once: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            time_scale: 1,
            clock: ClockSource::Real,
            seed: None,
            data: None,
            bill_ready_at_once: false,
        }
    }
}

/// A running simulator; dropping it stops it at once.
#[derive(Debug)]
pub struct Simulator {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    accounts: Vec<Value>,
    clock: Arc<Clock>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
    notifiers: Vec<JoinHandle<()>>,
}

/// The boxes as they are put together.
#[derive(Debug, Default)]
struct Shelf {
    accounts: Vec<Value>,
    routes: Router,
    notifiers: Vec<JoinHandle<()>>,
}

impl Shelf {
    /// Puts a box on the shelf: its protocol, its control API and its notifications.
    fn put<P: Provider>(&mut self, provider: P) {
        let provider = Arc::new(provider);
        let mut accounts = provider.accounts();
        accounts["currency"] = json!(P::CURRENCY.0);
        accounts["exponent"] = json!(P::CURRENCY.1);
        accounts["zone_hours"] = json!(P::ZONE_HOURS);
        self.accounts.push(accounts);
        self.routes = std::mem::take(&mut self.routes).merge(routes(&provider));
        self.notifiers.push(tokio::spawn(async move {
            let till = provider.till();
            till.notifier.run(&till.clock).await;
        }));
    }
}

impl Simulator {
    /// Makes or loads the keys, listens, and serves until it is stopped.
    pub async fn start(config: Config) -> anyhow::Result<Simulator> {
        let listener = TcpListener::bind(config.listen).await.context("listen")?;
        let url = format!("http://{}", listener.local_addr().context("listen")?);
        let clock = Arc::new(Clock::new(config.clock));
        let mut shelf = Shelf::default();
        shelf.put(open(&config, &url, &clock, Alipay::new).await?);
        shelf.put(open(&config, &url, &clock, WechatPay::new).await?);
        shelf.put(open(&config, &url, &clock, UnionPay::new).await?);
        shelf.put(open(&config, &url, &clock, Stripe::new).await?);
        shelf.put(open(&config, &url, &clock, PayPal::new).await?);
        let routes = shelf.routes.merge(general(shelf.accounts.clone(), Arc::clone(&clock)));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            // A dropped sender stops the server as well.
            let wait = async { stopped.await.unwrap_or(()) };
            axum::serve(listener, routes).with_graceful_shutdown(wait).await
        });
        let (accounts, notifiers) = (shelf.accounts, shelf.notifiers);
        Ok(Simulator { url, accounts, clock, stop: Some(stop), server, notifiers })
    }

    /// What the ready line lists: for each provider, the bodies of `POST /v1/accounts`.
    pub fn providers(&self) -> Vec<Value> {
        self.accounts.clone()
    }

    /// The line that says where everything is.
    pub fn ready_line(&self) -> String {
        json!({ "ready": true, "url": self.url, "providers": self.providers() }).to_string()
    }

    /// The simulator's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Stops listening, lets running requests end for a moment, and drops what is scheduled.
    pub async fn stop(mut self) {
        self.notifiers.iter().for_each(JoinHandle::abort);
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself.
            let _ = stop.send(());
        }
        let ended = tokio::time::timeout(STOP_PATIENCE, &mut self.server).await;
        if ended.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.notifiers.iter().for_each(JoinHandle::abort);
        self.server.abort();
    }
}

/// How far to move the clock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: i64,
}

/// All routes of one box, its own protocol and its control API: a test calls them as functions.
pub fn routes<P: Provider>(provider: &Arc<P>) -> Router {
    control::routes(Arc::clone(provider)).merge(Arc::clone(provider).wire())
}

/// Opens a box on a thread on which making keys may take its time.
async fn open<P: Provider>(
    config: &Config,
    url: &str,
    clock: &Arc<Clock>,
    new: fn(&Setup, Option<&Path>) -> anyhow::Result<P>,
) -> anyhow::Result<P> {
    let setup = Setup {
        base: format!("{url}/{}", P::ID),
        seed: config.seed.unwrap_or_else(rand::random),
        time_scale: config.time_scale,
        bill_ready_at_once: config.bill_ready_at_once,
        clock: Arc::clone(clock),
    };
    let data = config.data.clone();
    let opened = tokio::task::spawn_blocking(move || new(&setup, data.as_deref()));
    opened.await.context(P::ID)?.context(P::ID)
}

/// What belongs to no box: the accounts of all, and the clock.
fn general(accounts: Vec<Value>, clock: Arc<Clock>) -> Router {
    let providers = get(move || async move { Json(json!({ "providers": accounts })) });
    let clock_routes =
        get(|State(clock): State<Arc<Clock>>| async move { Json(json!({ "now": clock.now() })) })
            .merge(post(|State(clock): State<Arc<Clock>>, Json(by): Json<Advance>| async move {
                clock.advance(by.advance_ms);
                Json(json!({ "now": clock.now() }))
            }));
    Router::new()
        .route("/control/providers", providers)
        .route("/control/clock", clock_routes)
        .with_state(clock)
}
