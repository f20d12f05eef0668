//! The port: how many connections are open at once, how long a request may take to arrive, and how much of one is
//! looked at before anybody knows what it is. Whoever is slow on purpose keeps a place for so long and no longer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{AddExtension, Next, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use futures::StreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tower::Layer;

/// The longest head of a request, in bytes, and the most headers in it.
const HEAD_BYTES: usize = 32 << 10;
const MOST_HEADERS: usize = 64;
/// Requests at once on one connection of HTTP/2, and how often it is asked whether anybody is still there.
const STREAMS: u32 = 64;
const HTTP2_PING: Duration = Duration::from_secs(20);
/// How long to wait where the machine has no more room for connections.
const BREATH: Duration = Duration::from_millis(100);

/// What those who connect may use.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections at once. Who comes later waits, unanswered, until one ends.
    pub connections: usize,
    /// How long the head of a request may take, from the end of the one before.
    pub head: Duration,
    /// How long its body may take.
    pub body: Duration,
}

impl Caps {
    /// So many connections, with times that no honest client needs.
    pub fn usual(connections: usize) -> Caps {
        Caps { connections, head: Duration::from_secs(15), body: Duration::from_secs(30) }
    }
}

/// Serves until told to stop, and then until every connection has come to its end.
///
/// # Errors
/// None: what goes wrong with one connection is that connection's.
pub async fn serve(
    listener: TcpListener,
    faces: Router,
    caps: Caps,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let faces = faces.layer(from_fn_with_state(caps.body, take_whole_in_time));
    let builder = builder(caps.head);
    let places = Arc::new(Semaphore::new(caps.connections));
    let mut open = JoinSet::new();
    loop {
        let next = async { (places.clone().acquire_owned().await, listener.accept().await) };
        let (place, stream, peer) = tokio::select! {
            () = told(&mut stop) => break,
            (place, accepted) = next => match (place, accepted) {
                (Ok(place), Ok((stream, peer))) => (place, stream, peer),
                (Err(_), _) => break,
                (Ok(_), Err(error)) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(BREATH).await;
                    continue;
                }
            },
        };
        while open.try_join_next().is_some() {}
        // Who it is goes with each request: see `api::door`.
        let faces = Extension(ConnectInfo(peer)).layer(faces.clone());
        open.spawn(connection(stream, place, builder.clone(), faces, stop.clone()));
    }
    drop(listener);
    while open.join_next().await.is_some() {}
    Ok(())
}

fn builder(head: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(MOST_HEADERS)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(head);
    builder
}

/// Waits until it is time to stop. A sender that is gone says so too.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    builder: Builder<TokioExecutor>,
    faces: AddExtension<Router, ConnectInfo<SocketAddr>>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(faces);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How it ended is the client's business.
        _ = serving.as_mut() => return,
        () = told(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// Gives a body up that has not come in whole by its time.
async fn take_whole_in_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let end = Instant::now() + limit;
    let request = request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let pieces =
            futures::stream::unfold(body.into_data_stream(), move |mut pieces| async move {
                let piece = match timeout_at(end, pieces.next()).await {
                    Ok(piece) => piece?.map_err(std::io::Error::other),
                    Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                };
                Some((piece, pieces))
            });
        Body::from_stream(pieces)
    });
    next.run(request).await
}

#[cfg(test)]
#[path = "listening_tests.rs"]
mod tests;
