//! The bill's link and the zip behind it, honest or hostile.
use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::Alipay;
use super::bill::{Bill, Period, Totals};
use super::reply::{Members, members};
use super::request::{GatewayError, Request};
use crate::clock::later;
use crate::faults::{Hit, Verb};
use crate::zip_stream::ZipStream;

/// How long a link is good.
const LINK_LIFE: SignedDuration = SignedDuration::from_secs(30);
/// A day's bill is ready at nine on the next morning.
const READY_AFTER: SignedDuration = SignedDuration::from_hours(9);
const CHUNK: usize = 64 * 1024;
/// Chunks that wait for a slow reader.
const CHUNKS_AHEAD: usize = 8;
const BOMB_MIB: u64 = 1_024;

/// A link that was given out.
#[derive(Clone, Debug)]
pub struct Link {
    period: Period,
    good_until: Timestamp,
}

/// `alipay.data.dataservice.bill.downloadurl.query`
pub fn link(alipay: &Alipay, request: &Request, hit: &Hit) -> Result<Members, GatewayError> {
    let kind = request.required("bill_type")?;
    let wrong = || GatewayError::business("INVALID_ARGUMENTS", "入参不合法");
    if kind != "trade" {
        return Err(wrong());
    }
    let period = Period::parse(&request.required("bill_date")?).ok_or_else(wrong)?;
    let now = alipay.now();
    let ready = match alipay.book().bill_ready_at_once {
        true => period.from <= now,
        false => later(period.to, READY_AFTER) <= now,
    };
    if !ready {
        return Err(GatewayError::business("BILL_NOT_EXIST", "账单不存在"));
    }
    let token = alipay.chance.token();
    let link = Link { period, good_until: later(now, LINK_LIFE) };
    let mut desk = alipay.desk();
    desk.links.retain(|_, link| link.good_until > now);
    desk.links.insert(token.clone(), link);
    let address = match hit.get(Verb::ForeignHost) {
        Some(rule) => {
            let host = rule.value.as_deref().unwrap_or("http://bill.example.net");
            format!("{host}/download/{token}")
        }
        None => format!("{}/download/{token}", alipay.base),
    };
    Ok(members(vec![("bill_download_url", Some(address))]))
}

/// `GET /alipay/download/{token}`: the zip, unsigned, while the link is good.
pub async fn file(State(alipay): State<Arc<Alipay>>, Path(token): Path<String>) -> Response {
    alipay.book().calls.count("download", None);
    let hit = alipay.fault("download", None);
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    if let Some(rule) = hit.get(Verb::Redirect) {
        let to = rule.value.as_deref().unwrap_or("http://bill.example.net/elsewhere");
        return Redirect::temporary(to).into_response();
    }
    let now = alipay.now();
    let bill = {
        let book = alipay.book();
        let desk = alipay.desk();
        let link = desk.links.get(&token).filter(|link| link.good_until > now).cloned();
        link.map(|link| {
            let seller = &alipay.credentials.seller_id;
            Bill::of(seller, link.period, now, &book.ledger, &desk.blocks, &book.edits)
        })
    };
    let Some(bill) = bill else {
        return (StatusCode::FORBIDDEN, "The link has expired.").into_response();
    };
    let name = format!("attachment; filename={}.csv.zip", bill.period.label);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, stream(bill, hit)).into_response()
}

/// Writes the archive on a thread of its own; the reader's pace slows it down.
fn stream(bill: Bill, hit: Hit) -> Body {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let failures = sender.clone();
    let truncate = hit.has(Verb::Truncate);
    tokio::task::spawn_blocking(move || {
        let pipe = Pipe { sender, buffer: Vec::with_capacity(CHUNK), truncate };
        if let Err(error) = write(&bill, &hit, pipe) {
            // A reader that went away needs no error.
            let _ = failures.blocking_send(Err(error));
        }
    });
    Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }))
}

fn write(bill: &Bill, hit: &Hit, pipe: Pipe) -> io::Result<()> {
    let mut archive = ZipStream::new(pipe);
    if let Some(rule) = hit.get(Verb::ZipBomb) {
        let mib = rule.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(BOMB_MIB);
        archive.entry(&bill.name(false), |out| {
            let zeros = vec![b'0'; 1024 * 1024];
            (0..mib).try_for_each(|_| out.write_all(&zeros))
        })?;
        return archive.finish()?.close();
    }
    let climb = |name: Vec<u8>| match hit.has(Verb::ZipSlip) {
        true => [b"../../../../tmp/".as_slice(), &name].concat(),
        false => name,
    };
    let has = |entry: &str| {
        let left_out = hit.get(Verb::LeaveOut).map(|rule| rule.value.as_deref());
        left_out.is_none_or(|value| value.is_some_and(|value| value != entry))
    };
    let totals = match hit.get(Verb::CutLines).and_then(|rule| rule.value.as_deref()) {
        Some(lines) => cut_lines(bill, lines, |text| {
            archive.entry(&bill.name(false), |out| out.write_all(text))
        })?,
        None if has("detail") => {
            let mut totals = Totals::default();
            archive.entry(&climb(bill.name(false)), |out| {
                totals = bill.write_detail(&mut io::BufWriter::new(out))?;
                Ok(())
            })?;
            totals
        }
        None => bill.write_detail(&mut io::sink())?,
    };
    if has("summary") {
        archive.entry(&climb(bill.name(true)), |out| bill.write_summary(out, &totals))?;
    }
    archive.finish()?.close()
}

/// Writes the first lines of the detail file alone, and gives the totals of all of it.
fn cut_lines(
    bill: &Bill,
    lines: &str,
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<Totals> {
    let lines: usize = lines.parse().map_err(io::Error::other)?;
    let mut whole = Vec::new();
    let totals = bill.write_detail(&mut whole)?;
    let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = ends.map(|(at, _)| at + 1).nth(lines.saturating_sub(1)).unwrap_or(whole.len());
    write(&whole[..end])?;
    Ok(totals)
}

/// The writing end of a response body.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    truncate: bool,
}

impl Pipe {
    fn pass(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(Bytes::from(bytes))).map_err(gone)
    }

    /// Sends what is left; a truncated file ends in the middle with a broken connection.
    fn close(mut self) -> io::Result<()> {
        let mut rest = std::mem::take(&mut self.buffer);
        if self.truncate {
            rest.truncate(rest.len() / 2);
            self.pass(rest)?;
            return Err(io::Error::other("cut on purpose"));
        }
        self.pass(rest)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
            self.pass(full)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
