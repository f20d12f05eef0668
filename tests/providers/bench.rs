//! One component by itself, with keys of a test's own and the host's verifying and parsing around it: for published messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tollgate_plugin::contract::{
    BillRequest, BillRow, Channel, Context, Fault, HttpResponse, Inbound, Reading, Summary,
};
use tollgate_plugin::{BillSink, BillSource, Called, Keys, Plugin, Registry};
use tollgate_tests::place;

/// A component and an account's keys.
pub struct Bench {
    pub plugin: Arc<Plugin>,
    pub keys: Arc<Keys>,
    settings: Vec<(String, String)>,
    origins: Vec<(String, String)>,
    // The plugin runs on its registry's engine.
    _registry: Registry,
}

/// Names and values, owned.
pub fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Bench {
    /// A provider's component, with the secrets, settings and addresses of an account that is not live.
    pub fn of(
        provider: &str,
        secrets: &[(&str, &str)],
        settings: &[(&str, &str)],
        origins: &[(&str, &str)],
    ) -> Bench {
        Bench::in_mode(false, provider, secrets, settings, origins)
    }

    /// The same, live or not.
    pub fn in_mode(
        live: bool,
        provider: &str,
        secrets: &[(&str, &str)],
        settings: &[(&str, &str)],
        origins: &[(&str, &str)],
    ) -> Bench {
        let registry = place::registry();
        let plugin = registry.get(provider).unwrap();
        let secrets = secrets
            .iter()
            .map(|(slot, text)| ((*slot).to_owned(), vec![SecretString::from(*text)]))
            .collect::<BTreeMap<_, _>>();
        let keys = Arc::new(Keys::parse(plugin.manifest(), &secrets, live).unwrap());
        let (settings, origins) = (pairs(settings), pairs(origins));
        Bench { plugin, keys, settings, origins, _registry: registry }
    }

    /// What every call is told.
    pub fn context(&self, now_ms: i64) -> Context {
        Context {
            now_ms,
            nonce: "0123456789abcdefghijklmnopqrstuv".to_owned(),
            idempotency_key: "vector".to_owned(),
            trace_id: "vector".to_owned(),
            live: false,
            settings: self.settings.clone(),
            origins: self.origins.clone(),
            extra: Vec::new(),
        }
    }

    /// Has a notification read that came at that time; the second time with the answer that the first asked for.
    pub async fn read(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        received_ms: i64,
        answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Called<Result<Reading, Fault>> {
        let message = Inbound {
            channel: Channel::Notification,
            method: "POST".to_owned(),
            url: "https://gateway.example/notify".to_owned(),
            query: String::new(),
            headers: headers.to_vec(),
            body: body.to_vec(),
            received_ms,
        };
        let context = self.context(received_ms);
        self.plugin.read(context, &self.keys, message, None, answer).await.unwrap()
    }

    /// Has a file of a bill parsed.
    pub async fn parse(&self, kind: &str, file: &'static [u8]) -> Parsed {
        let bill = BillRequest {
            kind: kind.to_owned(),
            period: "2023-03-05".to_owned(),
            ticket: Vec::new(),
        };
        let found = Found::default();
        let (source, sink) = (Box::new(File(file)), Box::new(found.clone()));
        let called = self
            .plugin
            .parse_bill(self.context(0), bill, "page.json".to_owned(), source, sink)
            .await
            .unwrap();
        let summary = called.answer.unwrap();
        let (rows, bad) = std::mem::take(&mut *found.0.lock().unwrap());
        Parsed { rows, bad, summary }
    }
}

/// What was in a file of a bill.
pub struct Parsed {
    pub rows: Vec<BillRow>,
    /// The numbers of lines that could not be read.
    pub bad: Vec<u64>,
    pub summary: Summary,
}

struct File(&'static [u8]);

impl BillSource for File {
    fn read(&mut self, max: u32) -> Result<Vec<u8>, String> {
        let (piece, rest) = self.0.split_at(self.0.len().min(max as usize));
        self.0 = rest;
        Ok(piece.to_vec())
    }
}

#[derive(Clone, Default)]
struct Found(Arc<Mutex<(Vec<BillRow>, Vec<u64>)>>);

impl BillSink for Found {
    fn rows(&mut self, mut rows: Vec<BillRow>) -> Result<(), String> {
        self.0.lock().unwrap().0.append(&mut rows);
        Ok(())
    }

    fn bad_line(&mut self, line: u64, _reason: String) {
        self.0.lock().unwrap().1.push(line);
    }
}
