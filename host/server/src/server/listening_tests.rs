//! Clients that are slow on purpose, and more of them than there are places.

use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

struct Port {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Port {
    async fn open(faces: Router, caps: Caps) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        Port { address, stop, served: tokio::spawn(serve(listener, faces, caps, stopping)) }
    }

    async fn say(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// What comes until the other side hangs up.
async fn hear(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    // A connection that is reset has been hung up as well.
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8(heard).unwrap()
}

fn echo() -> Router {
    Router::new().route("/", post(async |body: String| body))
}

/// The same, which says that it has begun and then waits to be told to go on.
fn held() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (begun.clone(), go.clone());
    let slow = move |body: String| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            body
        }
    };
    (Router::new().route("/", post(slow)), begun, go)
}

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);
const WHOLE: &str =
    "POST / HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let port = Port::open(echo(), Caps { connections: 8, head: SHORT, body: LONG }).await;
    let slow = port.say("POST / HTTP/1.1\r\nhost: here\r\nx-slow: ").await;
    assert!(!hear(slow).await.contains("200 OK"));
    // One that says nothing after its answer keeps no place either.
    let idle = port.say(&WHOLE.replace("connection: close\r\n", "")).await;
    assert!(hear(idle).await.ends_with("\r\n\r\nhi"));
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let port = Port::open(echo(), Caps { connections: 8, head: LONG, body: SHORT }).await;
    let slow = port.say(&WHOLE.replace("content-length: 2", "content-length: 9")).await;
    let heard = hear(slow).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let port = Port::open(echo(), Caps { connections: 8, head: LONG, body: LONG }).await;
    let large = format!("x-large: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
    let many = "x-many: 1\r\n".repeat(MOST_HEADERS + 1);
    for more in [large, format!("{many}\r\n")] {
        let heard =
            hear(port.say(&WHOLE.replace("\r\n\r\nhi", &format!("\r\n{more}"))).await).await;
        assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    }
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one() {
    let (faces, begun, go) = held();
    let port = Port::open(faces, Caps { connections: 1, head: LONG, body: LONG }).await;
    let first = port.say(WHOLE).await;
    begun.notified().await;
    let second = port.say(WHOLE).await;
    assert!(timeout(SHORT, begun.notified()).await.is_err(), "there was one place for two");
    go.notify_one();
    assert!(hear(first).await.ends_with("hi"));
    begun.notified().await;
    go.notify_one();
    assert!(hear(second).await.ends_with("hi"));
}

#[tokio::test]
async fn what_has_begun_comes_to_its_end_when_it_is_to_stop() {
    let (faces, begun, go) = held();
    let port = Port::open(faces, Caps { connections: 8, head: LONG, body: LONG }).await;
    let first = port.say(&WHOLE.replace("connection: close\r\n", "")).await;
    begun.notified().await;
    port.stop.send(true).unwrap();
    go.notify_one();
    assert!(hear(first).await.ends_with("hi"), "it keeps no connection alive");
    port.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}
