//! Gateway and provider as processes of their own: this program, started again, which ends when its input does.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tollgate::config::{Config, Given};
use tollgate::server;
use tollgate_simulator::{Config as SimulatorConfig, Simulator};

/// Runs a gateway until the input ends.
pub fn gateway(data: &Path, plugins: &Path) {
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(data.to_owned()),
        plugins: Some(plugins.to_owned()),
        simulators: Some(true),
        bills_at_once: Some(true),
        ..Given::default()
    };
    runtime().block_on(async {
        let running = server::start(Config::check(given).unwrap()).await.unwrap();
        until_told(&json!({ "url": running.url, "key": running.api_key })).await;
        running.stop().await;
    });
}

/// Runs a simulator until the input ends.
pub fn simulator() {
    runtime().block_on(async {
        let config = SimulatorConfig { bill_ready_at_once: true, ..SimulatorConfig::default() };
        let simulator = Simulator::start(config).await.unwrap();
        until_told(
            &json!({ "url": simulator.url, "account": simulator.providers()[0]["account"] }),
        )
        .await;
        simulator.stop().await;
    });
}

/// A runtime as the gateway has it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

async fn until_told(ready: &Value) {
    println!("{ready}");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
}

/// One of them, running.
pub struct Process {
    child: Child,
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
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Process { ready: serde_json::from_str(&line).unwrap(), child }
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
        self.post("/v1/orders", &body).await["id"].as_str().unwrap().to_owned()
    }
}
