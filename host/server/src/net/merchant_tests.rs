//! Merchants that cheat with names, send too much, or never end: over real sockets on this machine.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each question with the next list of addresses, and the last one again.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(Vec<Vec<IpAddr>>, usize)>>);

impl Script {
    fn of(answers: &[&[[u8; 4]]]) -> Script {
        let list = |answer: &&[[u8; 4]]| answer.iter().copied().map(IpAddr::from).collect();
        Script(Arc::new(Mutex::new((answers.iter().map(list).collect(), 0))))
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Lookup for Script {
    fn addresses(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut script = self.0.lock().unwrap();
        let at = script.1.min(script.0.len() - 1);
        script.1 += 1;
        let answer = script.0[at].clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// A server that gives each connection these bytes and then holds it open, and counts connections.
async fn server(address: [u8; 4], answer: &'static [u8]) -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind((IpAddr::from(address), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(Mutex::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            *seen.lock().unwrap() += 1;
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            open.push(stream);
        }
    });
    (port, count)
}

fn letter(url: &str) -> Letter {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    Letter {
        url: url.to_owned(),
        headers: headers.map(|name| (name, "1".to_owned())),
        body: "{}".to_owned(),
    }
}

async fn send(http: &Http, url: &str) -> Result<Reply, NoReply> {
    http.send(&letter(url)).await.0
}

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let (port, here) = server(LOOPBACK, OK).await;
    let (_, there) = server([127, 0, 0, 2], OK).await;
    // A name that changes its mind between two questions is asked once.
    let names = Script::of(&[&[LOOPBACK], &[[127, 0, 0, 2]]]);
    let http = Http::with(true, LIMIT, Arc::new(names.clone())).unwrap();
    let reply = send(&http, &format!("http://rebinds.example:{port}/")).await.unwrap();
    assert_eq!((reply.status, reply.start.as_slice()), (200, &b"ok"[..]));
    assert_eq!((names.asked(), *here.lock().unwrap(), *there.lock().unwrap()), (1, 1, 0));
}

#[tokio::test]
async fn a_name_is_checked_by_each_answer_that_it_gives() {
    let names = Script::of(&[&[[8, 8, 8, 8]], &[LOOPBACK]]);
    let checked = Checked { reach: Reach::Public, lookup: Arc::new(names) };
    let ask = || checked.resolve("rebinds.example".parse().unwrap());
    let first: Vec<SocketAddr> = ask().await.unwrap().collect();
    assert_eq!(first, [SocketAddr::from(([8, 8, 8, 8], 0))]);
    assert!(ask().await.err().unwrap().is::<Forbidden>());
}

#[tokio::test]
async fn of_mixed_answers_only_what_may_be_called_is_left() {
    let names = Script::of(&[&[LOOPBACK, [8, 8, 8, 8], [169, 254, 169, 254], [10, 0, 0, 1]]]);
    let checked = Checked { reach: Reach::Public, lookup: Arc::new(names) };
    let left = checked.resolve("mixed.example".parse().unwrap()).await.unwrap();
    assert_eq!(left.collect::<Vec<_>>(), [SocketAddr::from(([8, 8, 8, 8], 0))]);
}

#[tokio::test]
async fn names_of_this_network_and_literal_addresses_are_not_called() {
    let (port, count) = server(LOOPBACK, OK).await;
    let forbidden = "not sent: the name has no address that may be called";
    for address in [LOOPBACK, [10, 0, 0, 1], [169, 254, 169, 254], [100, 64, 0, 1], [0, 0, 0, 0]] {
        let names = Arc::new(Script::of(&[&[address]]));
        let http = Http::with(false, LIMIT, names).unwrap();
        let refused = send(&http, "https://inside.example/").await.unwrap_err();
        assert_eq!(refused.0, forbidden, "{address:?}");
    }
    let http = Http::new(false, LIMIT).unwrap();
    let named = send(&http, "https://localhost:8443/").await.unwrap_err();
    assert_eq!(named.0, forbidden);
    for url in [format!("http://127.0.0.1:{port}/"), format!("https://127.0.0.1:{port}/")] {
        let refused = send(&http, &url).await.unwrap_err();
        assert!(refused.0.starts_with("not sent: the address must"), "{refused}");
    }
    assert_eq!(*count.lock().unwrap(), 0);
}

#[tokio::test]
async fn in_the_clear_no_name_leads_out_of_this_network() {
    let names = Arc::new(Script::of(&[&[[8, 8, 8, 8]]]));
    let http = Http::with(true, LIMIT, names).unwrap();
    let refused = send(&http, "http://outside.example:8080/").await.unwrap_err();
    assert_eq!(refused.0, "not sent: the name has no address that may be called");
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let (to, followed) = server(LOOPBACK, OK).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{to}/\r\ncontent-length: 0\r\n\r\n"
    );
    let (port, _) = server(LOOPBACK, answer.leak().as_bytes()).await;
    let http = Http::new(true, LIMIT).unwrap();
    let reply = send(&http, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!((reply.status, *followed.lock().unwrap()), (302, 0));
}

#[tokio::test]
async fn a_huge_answer_is_read_to_its_first_kilobytes() {
    const HEAD: &[u8] =
        b"HTTP/1.1 500 Oops\r\ncontent-length: 1000000000\r\ncontent-encoding: gzip\r\n\r\n";
    let answer = [HEAD, &[b'x'; 100_000]].concat();
    let (port, _) = server(LOOPBACK, answer.leak()).await;
    let http = Http::new(true, LIMIT).unwrap();
    let reply = send(&http, &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!((reply.status, reply.start), (500, vec![b'x'; MOST_OF_A_REPLY]));
}

#[tokio::test]
async fn who_never_ends_is_left_in_time() {
    let rows: [(&[u8], Result<u16, &str>); 4] = [
        (b"", Err("no answer in time")),
        (b"HTTP/1.1 200 OK\r\nx-slow:", Err("no answer in time")),
        // The status has come: the body was never needed.
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx", Ok(200)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n", Ok(503)),
    ];
    let http = Http::new(true, SHORT).unwrap();
    for (answer, wanted) in rows {
        let (port, _) = server(LOOPBACK, answer).await;
        let reply = send(&http, &format!("http://127.0.0.1:{port}/")).await;
        let got = reply.as_ref().map(|reply| reply.status).map_err(|error| error.0.as_str());
        assert_eq!(got, wanted);
        if wanted == Ok(503) {
            assert_eq!(reply.unwrap().retry_after.as_deref(), Some("7"));
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_in_plain_words() {
    let (port, _) = server(LOOPBACK, b"220 mail.example ESMTP\r\n").await;
    let http = Http::new(true, LIMIT).unwrap();
    let broken = send(&http, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(broken.0, "the exchange broke off");
    let gone = TcpListener::bind((IpAddr::from(LOOPBACK), 0)).await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let closed = send(&http, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(closed.0, "no connection");
}
