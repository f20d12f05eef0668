//! Getting the pieces of a bill from the provider, each kept on the disk as it came.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{
    BillContent, BillFile, BillReport, BillRequest, HttpRequest, Operation, Outcome,
};
use tollgate_plugin::egress::Running;
use tollgate_plugin::{Exchange, Keys};

use super::{Chosen, LONGEST_WAIT_MS, SHORTEST_WAIT_MS, Setback, backoff, folder, reading};
use crate::files::FileLimits;
use crate::flows::exchange::{self, Records, UNAUTHORIZED};
use crate::flows::operation::{self, Ending, Task};
use crate::flows::{Failure, FlowError, keyring};
use crate::gateway::Gateway;
use crate::net::SendError;
use crate::store::bills::{self, BillRow, NewFile};

/// Questions that one bill takes at most: ten million rows, a hundred a page.
const MOST_QUESTIONS: usize = 100_000;

/// How long one download may take.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// Everything that the provider sent.
pub(super) struct Fetched {
    pub pieces: Vec<Piece>,
    pub complete: bool,
    /// SHA-256 over the pieces' own, hex.
    pub digest: String,
}

/// A piece on the disk.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub path: PathBuf,
    pub name: String,
    pub unpack: Vec<String>,
    pub digest: Option<(String, String)>,
}

/// Asks until the plugin has named every piece, and fetches each as soon as it is named: links do not live long.
pub(super) async fn fetch(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
) -> Result<Fetched, Setback> {
    fs::create_dir_all(folder(gateway, bill)).await?;
    let (mut pieces, mut digests) = (Vec::new(), String::new());
    let mut left = FileLimits::USUAL.unpacked_bytes;
    let mut state = bill.resume.clone();
    for _ in 0..MOST_QUESTIONS {
        let report = ask(gateway, chosen, bill, state).await?;
        for file in report.files {
            let (piece, sha256, bytes) = keep(gateway, chosen, bill, pieces.len(), file).await?;
            // What is as long as this when it comes would be too long unpacked.
            left = left.checked_sub(bytes).ok_or_else(|| {
                let most = FileLimits::USUAL.unpacked_bytes;
                Setback::Rejected(format!("it has more than {most} bytes"))
            })?;
            pieces.push(piece);
            digests.push_str(&sha256);
        }
        match report.more {
            Some(more) if !more.is_empty() => state = more,
            Some(_) => {
                return Err(Setback::Rejected("the plugin begins again without end".to_owned()));
            }
            None => {
                let digest = reading::sha256_of(digests.as_bytes());
                return Ok(Fetched { pieces, complete: report.complete, digest });
            }
        }
    }
    Err(Setback::Rejected(format!("it takes more than {MOST_QUESTIONS} questions")))
}

/// One run of the plugin's operation.
async fn ask(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    state: Vec<u8>,
) -> Result<BillReport, Setback> {
    let account = &*chosen.account;
    let (subject, key) = (bill.id.to_string(), bill.id.reference());
    let operation = Operation::Bill(request(bill));
    let limit = gateway.settings.call_limit;
    let operation = &operation;
    let (subject, key, private) = (&subject, &key, None);
    let task = Task { account, subject, key, operation, state, limit, private };
    let ran = operation::run(gateway, &task).await?;
    let (records, subject) = (&ran.records, &subject);
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { records.write(tx, gateway, account, subject).await })
    });
    write.await?;
    match ran.ending {
        Ending::Done(Outcome::Bill(report)) => Ok(report),
        Ending::Done(_) => {
            Err(Setback::Rejected("the plugin gave another operation's outcome".to_owned()))
        }
        Ending::Wait { after_ms, state } => Err(Setback::NotReady {
            reason: "the provider is still at it".to_owned(),
            retry_at: later(gateway, i64::from(after_ms)),
            resume: state,
        }),
        Ending::Failed { failure, .. } => Err(setback(gateway, bill, failure)),
    }
}

/// What the plugin is asked for and told.
pub(super) fn request(bill: &BillRow) -> BillRequest {
    BillRequest { kind: bill.kind.clone(), period: bill.period.clone(), ticket: Vec::new() }
}

/// What may pass by itself is asked for again, an answer that proves nothing too: a broken line or the provider's
/// own trouble often looks like that. The rest says that the bill or the plugin is wrong.
fn setback(gateway: &Gateway, bill: &BillRow, failure: Failure) -> Setback {
    let reason = match &failure.provider_message {
        Some(words) => format!("{} ({words})", failure.message),
        None => failure.message,
    };
    match failure.code.as_str() {
        "not-found" | "unavailable" | "no-answer" | "rate-limited" | "auth" | "protocol"
        | "signature" => not_ready(gateway, bill, reason),
        _ => Setback::Rejected(reason),
    }
}

fn not_ready(gateway: &Gateway, bill: &BillRow, reason: String) -> Setback {
    let retry_at = backoff(gateway.store.now(), bill.attempt);
    Setback::NotReady { reason, retry_at, resume: Vec::new() }
}

fn later(gateway: &Gateway, millis: i64) -> Moment {
    gateway.store.now().plus_millis(millis.clamp(SHORTEST_WAIT_MS, LONGEST_WAIT_MS))
}

/// Puts a piece on the disk and notes it. Gives its SHA-256 and length too.
async fn keep(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    number: usize,
    file: BillFile,
) -> Result<(Piece, String, u64), Setback> {
    let name = format!("{}-{number}", bill.attempt);
    let path = folder(gateway, bill).join(&name);
    match &file.content {
        BillContent::Bytes(bytes) => fs::write(&path, bytes).await?,
        BillContent::Fetch(request) => download(gateway, chosen, bill, request, &path).await?,
    }
    let (sha256, bytes) = reading::sha256_of_file(path.clone()).await?;
    let row = &NewFile {
        piece: i64::try_from(number).unwrap_or(i64::MAX),
        name: file.name.chars().take(255).collect(),
        path: format!("{}/{name}", bill.id),
        sha256: sha256.clone(),
        bytes,
        unpack: serde_json::to_string(&(&file.unpack, &file.digest))?,
    };
    let now = gateway.store.now();
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(bills::keep_file(tx.sql(), bill, row, now).await?) })
    });
    write.await?;
    let piece = Piece { path, name: file.name, unpack: file.unpack, digest: file.digest };
    Ok((piece, sha256, u64::try_from(bytes).unwrap_or(u64::MAX)))
}

/// Fetches a link, within what the manifest's operation may reach, and records that. It follows nothing.
async fn download(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    request: &HttpRequest,
    path: &Path,
) -> Result<(), Setback> {
    let account = &*chosen.account;
    let mut records = Records::default();
    let keys = match keyring::tokens(gateway, account, request).await? {
        Ok(keys) => keys,
        Err(failure) => return Err(setback(gateway, bill, failure)),
    };
    let mut got = into_file(gateway, chosen, bill, request, path, &keys, &mut records).await?;
    if matches!(got, Ok((UNAUTHORIZED, _)))
        && keyring::renew(gateway, account, request, &keys).await?
    {
        let keys = account.keys();
        got = into_file(gateway, chosen, bill, request, path, &keys, &mut records).await?;
    }
    let (records, subject) = (&records, &bill.id.to_string());
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { records.write(tx, gateway, account, subject).await })
    });
    write.await?;
    match got {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => {
            let reason = format!("the provider's link answered with status {status}");
            Err(not_ready(gateway, bill, reason))
        }
        Err(error) => Err(setback(gateway, bill, exchange::of_silence(&error))),
    }
}

/// One try: what came, as status and length.
async fn into_file(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    request: &HttpRequest,
    path: &Path,
    keys: &Keys,
    records: &mut Records,
) -> Result<Result<(u16, u64), SendError>, Setback> {
    let account = &*chosen.account;
    let running = Running { name: "bill", filling: None };
    let outgoing = exchange::admitted(account, running, request, keys)
        .map_err(|failure| Setback::Rejected(failure.message))?;
    let redactor = outgoing.redactor(keys);
    let context = account.context(gateway, &bill.id.reference());
    let mut record = Exchange::begin(&account.plugin, "bill", &context, &outgoing, &redactor);
    let mut spool = File::create(path).await?;
    let most = FileLimits::USUAL.download_bytes;
    let began = gateway.store.now();
    let got = gateway.net.download(outgoing, DOWNLOAD_LIMIT, most, &mut spool).await;
    spool.sync_all().await?;
    spool.shutdown().await?;
    let took = u64::try_from(gateway.store.now().millis_since(began)).unwrap_or(0);
    let took = Duration::from_millis(took);
    match &got {
        Ok((status, length)) => record.downloaded(*status, *length, took),
        Err(error) => record.unanswered(&error.to_string(), took, &redactor),
    }
    records.add(&record)?;
    Ok(got)
}
