//! The provider of the test component `clerk`: gives tokens, wants them, and says what a test has it say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use crate::World;
use crate::reply::text;

/// What the provider and the account know each other by.
pub const WORD: &str = "the-word-that-a-clerk-gives-tokens-for";

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Where to.
    pub path: String,
    /// With what.
    pub authorization: String,
    /// The body.
    pub body: String,
}

#[derive(Default)]
struct Desk {
    tokens: usize,
    refuses: bool,
    words: BTreeMap<String, VecDeque<String>>,
    heard: Vec<Heard>,
}

/// The provider.
pub struct Clerk {
    /// Where it is.
    pub url: String,
    desk: Arc<Mutex<Desk>>,
    server: tokio::task::JoinHandle<()>,
}

impl Clerk {
    /// Opens on a free port. Until it is told otherwise it says `pending`.
    pub async fn open() -> Clerk {
        let desk = Arc::<Mutex<Desk>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(desk.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Clerk { url, desk, server }
    }

    /// Says these words at a path, one after another, and the last one again and again.
    pub fn says(&self, path: &str, words: &[&str]) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.desk().words.insert(path.to_owned(), words);
    }

    /// The tokens that it gave so far are worth nothing any more; or none ever is.
    pub fn revokes(&self, all: bool) {
        let mut desk = self.desk();
        desk.tokens += usize::from(!all);
        desk.refuses = all;
    }

    /// What came to a path so far.
    pub fn heard(&self, path: &str) -> Vec<Heard> {
        self.desk().heard.iter().filter(|heard| heard.path == path).cloned().collect()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A token, by its number. Long enough to be nothing else.
fn token(number: usize) -> String {
    format!("token-of-the-clerk-number-{number:04}")
}

async fn answer(
    State(desk): State<Arc<Mutex<Desk>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let mut desk = desk.lock().unwrap();
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_owned();
    let (path, body) = (uri.path().to_owned(), String::from_utf8_lossy(&body).into_owned());
    desk.heard.push(Heard { path: path.clone(), authorization: authorization.clone(), body });
    if path == "/token" {
        if authorization != format!("Bearer {WORD}") {
            return (StatusCode::UNAUTHORIZED, "a stranger".to_owned());
        }
        desk.tokens += 1;
        return (StatusCode::OK, json!({ "token": token(desk.tokens), "life": 3600 }).to_string());
    }
    if desk.refuses || authorization != format!("Bearer {}", token(desk.tokens)) {
        return (StatusCode::UNAUTHORIZED, format!("not with {authorization}"));
    }
    let words = desk.words.entry(path).or_default();
    let word = if words.len() > 1 { words.pop_front() } else { words.front().cloned() };
    (StatusCode::OK, word.unwrap_or_else(|| "pending".to_owned()))
}

impl World {
    /// Signs the merchant up at the clerk's.
    pub async fn account_at(&self, clerk: &Clerk) -> Value {
        let body = json!({
            "plugin": "clerk", "name": "clerk", "live": false, "simulator": true,
            "secrets": { "word": WORD }, "origins": { "gateway": clerk.url },
        });
        self.post("/v1/accounts", body).await.ok()
    }

    /// Starts to pay a new order at the clerk's.
    pub async fn pay_at(&self, account: &Value) -> Value {
        let order = self.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        self.post(&path, json!({ "account_id": account["id"], "method": "page" })).await.ok()
    }
}
