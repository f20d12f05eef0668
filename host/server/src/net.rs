//! The way out to providers: sends what the sandbox's egress rules admitted, follows nothing, and caps time and size.

pub mod addresses;
pub mod merchant;

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tollgate_plugin::Outgoing;
use tollgate_plugin::contract::HttpResponse;

/// The largest answer to a call, in bytes. Bills are spooled instead.
const MOST_OF_AN_ANSWER: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing left: no connection came about. The provider knows nothing of it.
    #[error("could not reach the provider: {0}")]
    NotSent(String),
    /// Something left and no whole answer came. The provider may have acted.
    #[error("no answer from the provider: {0}")]
    NoAnswer(String),
}

/// How an exchange ended, and how long it took.
pub type Sent = (Result<HttpResponse, SendError>, Duration);

/// What providers are reached by: [`Net`], or a scripted provider in a simulation.
pub trait Way: Send + Sync {
    /// Sends and reads the whole answer within `limit`; tells how long that took.
    fn send(&self, outgoing: Outgoing, limit: Duration) -> BoxFuture<'_, Sent>;

    /// Sends and writes the answer's body to `spool`, at most `most` bytes of it. Gives the status and size.
    fn download<'a>(
        &'a self,
        outgoing: Outgoing,
        limit: Duration,
        most: u64,
        spool: &'a mut (dyn AsyncWrite + Send + Unpin),
    ) -> BoxFuture<'a, Result<(u16, u64), SendError>>;
}

impl Way for Net {
    fn send(&self, outgoing: Outgoing, limit: Duration) -> BoxFuture<'_, Sent> {
        Box::pin(async move {
            let start = Instant::now();
            let answer = self.exchange(outgoing, limit).await;
            (answer, start.elapsed())
        })
    }

    fn download<'a>(
        &'a self,
        outgoing: Outgoing,
        limit: Duration,
        most: u64,
        spool: &'a mut (dyn AsyncWrite + Send + Unpin),
    ) -> BoxFuture<'a, Result<(u16, u64), SendError>> {
        Box::pin(self.spool(outgoing, limit, most, spool))
    }
}

/// The client that all providers are called with.
pub struct Net(reqwest::Client);

impl Net {
    /// A client that follows no redirect, uses no proxy, keeps no cookie and decompresses nothing: signatures
    /// are over what was sent.
    pub fn new() -> Result<Net, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("Tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Net(client))
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
        limit: Duration,
    ) -> Result<HttpResponse, SendError> {
        let response = self.start(outgoing, limit).await?;
        let status = response.status().as_u16();
        let headers = text_headers(&response);
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| SendError::NoAnswer(describe(&error)))?;
            if body.len() + piece.len() > MOST_OF_AN_ANSWER {
                return Err(SendError::NoAnswer("the answer is too large".to_owned()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(HttpResponse { status, headers, body })
    }

    async fn spool(
        &self,
        outgoing: Outgoing,
        limit: Duration,
        most: u64,
        spool: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(u16, u64), SendError> {
        let response = self.start(outgoing, limit).await?;
        let status = response.status().as_u16();
        let mut size = 0u64;
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| SendError::NoAnswer(describe(&error)))?;
            size = size.saturating_add(piece.len() as u64);
            if size > most {
                return Err(SendError::NoAnswer(format!("the file is larger than {most} bytes")));
            }
            let written = spool.write_all(&piece).await;
            written.map_err(|error| SendError::NoAnswer(format!("the spool: {error}")))?;
        }
        spool.flush().await.map_err(|error| SendError::NoAnswer(format!("the spool: {error}")))?;
        Ok((status, size))
    }

    async fn start(
        &self,
        outgoing: Outgoing,
        limit: Duration,
    ) -> Result<reqwest::Response, SendError> {
        let method = reqwest::Method::from_bytes(outgoing.method.as_bytes())
            .map_err(|_| SendError::NotSent("the method is not one".to_owned()))?;
        let mut request = self.0.request(method, outgoing.url.as_str()).timeout(limit);
        for (name, value) in &outgoing.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_bytes(value.as_bytes()))
            else {
                return Err(SendError::NotSent("a header is not one".to_owned()));
            };
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let sent = request.body(outgoing.body).send().await;
        sent.map_err(|error| {
            // Only a failed connection proves that nothing left.
            if error.is_connect() || error.is_builder() {
                SendError::NotSent(describe(&error))
            } else {
                SendError::NoAnswer(describe(&error))
            }
        })
    }
}

fn text_headers(response: &reqwest::Response) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    response.headers().iter().filter_map(text).collect()
}

/// The error's kind without its address: that may hold a secret.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "timed out".to_owned()
    } else if error.is_connect() {
        "connection refused or cut".to_owned()
    } else if error.is_body() || error.is_decode() {
        "the answer broke off".to_owned()
    } else {
        "the exchange failed".to_owned()
    }
}
