//! Gateway and provider as processes of their own: a measuring program, started again, which ends when its input does.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tollgate::config::{Config, Given, GivenLimits};
use tollgate::flows::query::{Asked, ask_payment};
use tollgate::server::{self, Running};
use tollgate_simulator::{Config as SimulatorConfig, Simulator};

/// So many payments are under way at once where processor time is counted.
pub const AT_ONCE: usize = 16;

/// Runs a gateway until the input ends. Each line of input is a list of payments, about which it asks the provider as flows
/// do, and says so when it is done. So many requests are worked on at once; none: as many as usual.
pub fn gateway(runtime: &Runtime, data: &Path, plugins: &Path, in_flight: Option<u64>) {
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(data.to_owned()),
        plugins: Some(plugins.to_owned()),
        simulators: Some(true),
        bills_at_once: Some(true),
        // One key carries all of the load.
        limits: Some(GivenLimits {
            per_second: Some(1_000_000),
            in_flight,
            ..GivenLimits::default()
        }),
        ..Given::default()
    };
    runtime.block_on(async {
        let running = server::start(Config::check(given).unwrap()).await.unwrap();
        println!("{}", json!({ "url": running.url, "key": running.api_key }));
        let mut lines = input();
        while let Some(line) = lines.recv().await {
            let payments: Vec<String> = serde_json::from_str(&line).unwrap();
            let asking =
                stream::iter(payments).for_each_concurrent(AT_ONCE, |id| ask(&running, id));
            asking.await;
            println!("{}", json!({ "asked": true }));
        }
        running.stop().await;
    });
}

async fn ask(running: &Running, id: String) {
    let (gateway, merchant) = (Arc::clone(running.gateway()), running.merchant_id);
    let asked = tokio::spawn(async move {
        let limit = gateway.settings.call_limit;
        ask_payment(&gateway, merchant, id.parse().unwrap(), limit, |_| false).await
    });
    assert!(matches!(asked.await.unwrap().unwrap(), Asked::Answered(_)), "no answer");
}

/// Runs a simulator until the input ends.
pub fn simulator() {
    runtime().block_on(async {
        let config = SimulatorConfig { bill_ready_at_once: true, ..SimulatorConfig::default() };
        let simulator = Simulator::start(config).await.unwrap();
        let account = &simulator.providers()[0]["account"];
        println!("{}", json!({ "url": simulator.url, "account": account }));
        let mut lines = input();
        while lines.recv().await.is_some() {}
        simulator.stop().await;
    });
}

/// A runtime as the gateway has it.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The same, but no thread of it ends before the process does: the processor time that it took would be lost with it.
pub fn counted_runtime() -> Runtime {
    let long = Duration::from_secs(86_400);
    Builder::new_multi_thread().enable_all().thread_keep_alive(long).build().unwrap()
}

/// The lines of the input as they come.
fn input() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    lines
}

/// One of them, running.
pub struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub ready: Value,
}

impl Process {
    /// Starts this program with these arguments and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let ready = line(&mut says);
        Process { child, says, ready }
    }

    /// Tells it something, and waits for what it says to that.
    pub fn tell(&mut self, told: &Value) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{told}").unwrap();
        line(&mut self.says)
    }

    /// The processor time that its threads have taken: exact while it is at rest, if it has a [`counted_runtime`].
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        Duration::from_nanos(threads.map(|thread| of(thread.unwrap().path())).sum())
    }

    /// A member of what it said.
    pub fn said(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// Memory now, and the most since [`Process::forget_peak`], in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Lets the peak begin anew: what a start took is not what a bill takes.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// Ends it in peace.
    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn line(says: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    says.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway as a shop sees it.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Api {
    /// Of a gateway that was just started for the first time, or whose key is known.
    pub fn new(url: &str, key: &str) -> Api {
        Api {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        request.json(body).send().await.unwrap().json().await.unwrap()
    }

    /// Gets JSON.
    pub async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// An order, by its id.
    pub async fn order(&self, number: &str) -> String {
        let body = json!({ "number": number, "amount": 1250, "currency": "CNY", "subject": "Tea" });
        let order = self.post("/v1/orders", &body).await;
        order["id"].as_str().unwrap_or_else(|| panic!("no order: {order}")).to_owned()
    }
}
