//! The way to merchants: calls addresses that they chose, and so trusts none of them. The address that a name resolves
//! to is checked where it is dialled, and what comes back is read to its first few kilobytes.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;

use super::addresses::{self, Reach};

/// So much of an answer is read, in bytes.
const MOST_OF_A_REPLY: usize = 4 << 10;

/// A message to an endpoint.
#[derive(Debug)]
pub struct Letter {
    /// What is called.
    pub url: String,
    /// Id, time and signatures.
    pub headers: [(&'static str, String); 3],
    /// JSON.
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// When to come back, in the endpoint's words.
    pub retry_after: Option<String>,
    /// How the body begins.
    pub start: Vec<u8>,
}

/// Why nothing came back. For the merchant to read: it says nothing of the network around the gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(pub String);

/// Whoever carries letters to merchants: the network, or a simulation's script.
pub trait Courier: Send + Sync {
    /// Sends a letter once; tells how long that took.
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, (Result<Reply, NoReply>, Duration)>;
}

/// Whoever knows the addresses of a name.
pub trait Lookup: Send + Sync {
    /// Every address that the name has now.
    fn addresses(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The machine's resolver.
pub struct System;

impl Lookup for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The network. Nothing of the answer is followed, decompressed or believed.
pub struct Http {
    /// Whether the network around the gateway may be called too.
    private: bool,
    secure: Client,
    clear: Client,
}

impl Http {
    /// `private` lets merchants have the network around the gateway called, in the clear too; `limit` is how long one
    /// call may take.
    pub fn new(private: bool, limit: Duration) -> Result<Http, reqwest::Error> {
        Http::with(private, limit, Arc::new(System))
    }

    fn with(
        private: bool,
        limit: Duration,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Http, reqwest::Error> {
        let secure = if private { Reach::Anywhere } else { Reach::Public };
        Ok(Http {
            private,
            secure: client(secure, limit, lookup.clone())?,
            clear: client(Reach::Private, limit, lookup)?,
        })
    }

    async fn exchange(&self, letter: &Letter) -> Result<Reply, NoReply> {
        // A literal address is dialled without a lookup, so this is where it is checked.
        let url = addresses::endpoint_url(&letter.url, self.private)
            .map_err(|rule| NoReply(format!("not sent: the address {rule}")))?;
        let client = if url.scheme() == "https" { &self.secure } else { &self.clear };
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        let sent = request.body(letter.body.clone()).send().await;
        let response = sent.map_err(|error| NoReply(describe(&error)))?;
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let mut start = Vec::new();
        let mut pieces = response.bytes_stream();
        // The status is the answer. A body that breaks off takes nothing from it.
        while let Some(Ok(piece)) = pieces.next().await {
            let room = MOST_OF_A_REPLY - start.len();
            start.extend_from_slice(&piece[..piece.len().min(room)]);
            if start.len() == MOST_OF_A_REPLY {
                break;
            }
        }
        Ok(Reply { status, retry_after, start })
    }
}

impl Courier for Http {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, (Result<Reply, NoReply>, Duration)> {
        Box::pin(async move {
            let start = Instant::now();
            let reply = self.exchange(letter).await;
            (reply, start.elapsed())
        })
    }
}

fn client(
    reach: Reach,
    limit: Duration,
    lookup: Arc<dyn Lookup>,
) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .http1_only()
        .dns_resolver(Arc::new(Checked { reach, lookup }))
        .connect_timeout(Duration::from_secs(5).min(limit))
        .timeout(limit)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(4)
        .user_agent(concat!("Tollgate/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Gives the connector those addresses of a name that may be called. It dials these and asks no second time, so a name
/// cannot change between check and use.
struct Checked {
    reach: Reach,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (self.reach, self.lookup.addresses(name.as_str().to_owned()));
        Box::pin(async move {
            let mut allowed = found.await?;
            allowed.retain(|address| reach.allows(*address));
            if allowed.is_empty() {
                return Err(Forbidden.into());
            }
            // Port 0 stands for the one in the address.
            let addresses = allowed.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// A name has no address that may be called.
#[derive(Debug)]
struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address of the name may be called")
    }
}

impl Error for Forbidden {}

/// The error's kind alone: what lies deeper may tell of the network.
fn describe(error: &reqwest::Error) -> String {
    let mut causes = std::iter::successors(error.source(), |error| (*error).source());
    if causes.any(|cause| cause.is::<Forbidden>()) {
        "not sent: the name has no address that may be called".to_owned()
    } else if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "no connection".to_owned()
    } else {
        "the exchange broke off".to_owned()
    }
}

#[cfg(test)]
#[path = "merchant_tests.rs"]
mod tests;
