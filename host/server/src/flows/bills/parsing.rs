//! From kept pieces to a spool of rows: unpacked and decoded by the host, read by the plugin, checked by the host.
//!
//! The spool lies on the disk, so that a plugin never waits for the database, memory stays flat however long the bill
//! is, and no row is written of a bill that turns out to be cut.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use tollgate_domain::matching::{StatedTotal, Tally};
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::time::Moment;
use tollgate_plugin::BillSink;
use tollgate_plugin::contract::{self, BillRow as PluginRow, RowKind, RowStatus, Summary};

use super::fetching::{Piece, request};
use super::{Chosen, Setback, folder};
use crate::files::text::TextSource;
use crate::files::unpack::{Member, Packed, Unpacker};
use crate::files::{FileError, FileLimits};
use crate::flows::{FlowError, exchange};
use crate::gateway::Gateway;
use crate::store::bills::BillRow;
use crate::store::bills::rows::{BadLine, RowRow};

/// Bad lines that are kept; the rest is counted.
const MOST_BAD_LINES: usize = 1_000;

/// What a plugin says, among a summary's `extra`, of a file that lies beside the bill's own and has no rows.
const SIDE_FILE: &str = "side-file";

/// Characters of a reference, and of a plugin's other words about a row.
const LONGEST_WORD: usize = 256;

/// A bill that could be read, its rows one a line of JSON.
pub(super) struct Parsed {
    pub rows: File,
    pub count: i64,
    pub bad_lines: Vec<BadLine>,
    pub bad_count: i64,
    pub files: Vec<String>,
}

/// Parses every file of every piece.
pub(super) async fn parse(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    pieces: &[Piece],
) -> Result<Parsed, Setback> {
    let scratch = folder(gateway, bill);
    let spool = tempfile::tempfile_in(&scratch)?;
    let writer = BufWriter::with_capacity(256 << 10, spool);
    let shared = Arc::new(Mutex::new(Spool::new(writer)));
    let mut unpacker = Unpacker::new(FileLimits::USUAL, &scratch);
    let (mut files, mut beside) = (Vec::new(), 0);
    for piece in pieces {
        let (members, used) = unpack(unpacker, piece.clone(), chosen.kind.charset.clone()).await?;
        unpacker = used;
        for member in members {
            let number = u32::try_from(files.len()).unwrap_or(u32::MAX);
            files.push(member.name.clone());
            let summary = parse_member(gateway, chosen, bill, member, number, &shared).await?;
            beside += usize::from(summary.extra.iter().any(|(name, _)| name == SIDE_FILE));
        }
    }
    if beside > 0 && beside == files.len() {
        let reason = format!("the file with its rows is missing: it has {}", files.join(", "));
        return Err(Setback::Rejected(reason));
    }
    let mut spool = shared.lock().unwrap_or_else(PoisonError::into_inner);
    spool.rows.flush()?;
    let mut rows = spool.rows.get_ref().try_clone()?;
    rows.seek(SeekFrom::Start(0))?;
    let bad_lines = std::mem::take(&mut spool.bad_lines);
    // A form or a currency that the plugin does not know makes every line a bad one: there is nothing to compare.
    if let (0, Some(bad)) = (spool.count, bad_lines.first()) {
        let reason = format!("no line of it can be read; line {}: {}", bad.line, bad.reason);
        return Err(Setback::Rejected(reason));
    }
    Ok(Parsed { rows, count: spool.count, bad_lines, bad_count: spool.bad_count, files })
}

async fn unpack(
    mut unpacker: Unpacker,
    piece: Piece,
    charset: String,
) -> Result<(Vec<Member>, Unpacker), Setback> {
    let unpacked = spawn_blocking(move || {
        let digest = piece.digest.as_ref();
        let packed = Packed {
            path: &piece.path,
            name: &piece.name,
            unpack: &piece.unpack,
            digest: digest.map(|(algorithm, hex)| (algorithm.as_str(), hex.as_str())),
            charset: &charset,
        };
        let members = unpacker.open(&packed);
        members.map(|members| (members, unpacker))
    });
    let unpacked =
        unpacked.await.map_err(|error| FlowError::Internal(format!("unpacking: {error}")))?;
    unpacked.map_err(of_file)
}

fn of_file(error: FileError) -> Setback {
    match error {
        FileError::Bad(reason) => Setback::Rejected(reason),
        FileError::Disk(error) => Setback::Flow(error.into()),
    }
}

/// Has the plugin read one file, and compares what it says of itself with the rows that came.
async fn parse_member(
    gateway: &Gateway,
    chosen: &Chosen,
    bill: &BillRow,
    member: Member,
    number: u32,
    shared: &Arc<Mutex<Spool>>,
) -> Result<Summary, Setback> {
    let name = member.name.clone();
    let source =
        TextSource::new(member, &chosen.kind.charset, &FileLimits::USUAL).map_err(of_file)?;
    let damage = source.damage();
    let sink = Sink { spool: shared.clone() };
    shared.lock().unwrap_or_else(PoisonError::into_inner).turn_to(number);
    let account = &chosen.account;
    let context = account.context(gateway, &bill.id.reference());
    let called = account
        .plugin
        .parse_bill(context, request(bill), name.clone(), Box::new(source), Box::new(sink))
        .await;
    if let Ok(called) = &called {
        exchange::tell(account, "parse", &called.logs);
    }
    let mut spool = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = spool.broken.take() {
        return Err(Setback::Flow(error.into()));
    }
    let rejected = |reason: String| match spool.first_bad() {
        Some(bad) => {
            Setback::Rejected(format!("{name}: {reason}; line {}: {}", bad.line, bad.reason))
        }
        None => Setback::Rejected(format!("{name}: {reason}")),
    };
    let summary = match called {
        Ok(called) => called.answer.map_err(|fault| rejected(fault.message))?,
        Err(error) if error.is_the_plugins() => return Err(rejected(error.to_string())),
        Err(error) => return Err(Setback::Flow(FlowError::Unavailable(error.to_string()))),
    };
    let totals = totals(&summary).map_err(&rejected)?;
    spool.tally.check(&totals).map_err(|off| rejected(off.to_string()))?;
    let charset = &chosen.kind.charset;
    for line in damage.lines() {
        spool.note(line, format!("has bytes that are not {charset}"));
    }
    Ok(summary)
}

fn totals(summary: &Summary) -> Result<Vec<StatedTotal>, String> {
    let total = |total: &contract::Total| {
        Ok(StatedTotal {
            kind: total.kind.map(kind),
            count: total.count,
            gross: total.gross.as_ref().map(money).transpose()?,
            fee: total.fee.as_ref().map(money).transpose()?,
        })
    };
    summary.totals.iter().map(total).collect()
}

/// Where the rows of all files of a bill gather.
struct Spool {
    rows: BufWriter<File>,
    count: i64,
    bad_lines: Vec<BadLine>,
    bad_count: i64,
    file: u32,
    tally: Tally,
    /// Our own disk failed.
    broken: Option<std::io::Error>,
}

impl Spool {
    fn new(rows: BufWriter<File>) -> Spool {
        let tally = Tally::default();
        Spool { rows, count: 0, bad_lines: Vec::new(), bad_count: 0, file: 0, tally, broken: None }
    }

    fn turn_to(&mut self, file: u32) {
        self.file = file;
        self.tally = Tally::default();
    }

    fn first_bad(&self) -> Option<&BadLine> {
        self.bad_lines.iter().find(|bad| bad.file == i64::from(self.file))
    }

    fn note(&mut self, line: u64, reason: String) {
        self.bad_count += 1;
        if self.bad_lines.len() < MOST_BAD_LINES {
            let line = i64::try_from(line).unwrap_or(i64::MAX);
            self.bad_lines.push(BadLine { file: i64::from(self.file), line, reason });
        }
    }

    fn take(&mut self, row: PluginRow) -> std::io::Result<()> {
        let line = row.line;
        let row = match check(row, self.file) {
            Ok(row) => row,
            Err(reason) => {
                self.note(line, reason);
                return Ok(());
            }
        };
        serde_json::to_writer(&mut self.rows, &row)?;
        self.rows.write_all(b"\n")?;
        self.count += 1;
        match row.statement() {
            Ok(statement) => self.tally.add(&statement),
            Err(error) => self.note(line, error.to_string()),
        }
        Ok(())
    }
}

/// A plugin's hold on the spool.
struct Sink {
    spool: Arc<Mutex<Spool>>,
}

impl BillSink for Sink {
    fn rows(&mut self, rows: Vec<PluginRow>) -> Result<(), String> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if let Err(error) = spool.take(row) {
                spool.broken = Some(error);
                return Err("the gateway's disk failed".to_owned());
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, line: u64, reason: String) {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).note(line, reason);
    }
}

/// Checks what a plugin made of a line.
fn check(row: PluginRow, file: u32) -> Result<RowRow, String> {
    let line = i64::try_from(row.line).ok().filter(|line| *line > 0).ok_or("has no line")?;
    let gross = money(&row.gross)?;
    let fee = row.fee.as_ref().map(money).transpose()?;
    let net = row.net.as_ref().map(money).transpose()?;
    let at = match row.at {
        Some(text) => Some(text.parse::<Moment>().map_err(|_| format!("{text:?} is no time"))?.0),
        None => None,
    };
    let word = |text: Option<String>| match text {
        Some(text) if is_word(&text) => Ok(Some(text)),
        Some(_) => Err("has a reference that is none".to_owned()),
        None => Ok(None),
    };
    Ok(RowRow {
        file: i64::from(file),
        line,
        kind: kind(row.kind).as_str().to_owned(),
        status: status(row.status).as_str().to_owned(),
        raw: row.raw.chars().take(LONGEST_WORD).collect(),
        payment_ref: word(row.payment_ref)?,
        provider_ref: word(row.provider_ref)?,
        refund_ref: word(row.refund_ref)?,
        provider_refund_ref: word(row.provider_refund_ref)?,
        gross: gross.minor,
        currency: gross.currency.to_string(),
        fee: fee.map(|fee| fee.minor),
        fee_currency: fee.map(|fee| fee.currency.to_string()),
        net: net.map(|net| net.minor),
        net_currency: net.map(|net| net.currency.to_string()),
        at,
        batch: word(row.batch)?,
        extra: serde_json::to_string(&row.extra).map_err(|error| error.to_string())?,
    })
}

/// Whether a text can be a reference: damaged bytes cannot.
fn is_word(text: &str) -> bool {
    let is_fit = |character: char| !character.is_control() && character != '\u{fffd}';
    !text.is_empty() && text.chars().count() <= LONGEST_WORD && text.chars().all(is_fit)
}

/// A plugin's amount, if its exponent is the currency's: better a bad line than a hundredfold error.
fn money(money: &contract::Money) -> Result<Money, String> {
    let currency: Currency =
        money.currency.parse().map_err(|_| format!("{:?} is no currency", money.currency))?;
    if money.exponent != currency.exponent() {
        return Err(format!("has {currency} with {} decimals", money.exponent));
    }
    Ok(Money::new(money.minor, currency))
}

fn kind(kind: RowKind) -> tollgate_domain::matching::RowKind {
    use tollgate_domain::matching::RowKind as Ours;
    match kind {
        RowKind::Payment => Ours::Payment,
        RowKind::Refund => Ours::Refund,
        RowKind::Reversal => Ours::Reversal,
        RowKind::Chargeback => Ours::Chargeback,
        RowKind::Fee => Ours::Fee,
        RowKind::Payout => Ours::Payout,
        RowKind::Adjustment => Ours::Adjustment,
        RowKind::Other => Ours::Other,
    }
}

fn status(status: RowStatus) -> tollgate_domain::matching::RowStatus {
    use tollgate_domain::matching::RowStatus as Ours;
    match status {
        RowStatus::Succeeded => Ours::Succeeded,
        RowStatus::Pending => Ours::Pending,
        RowStatus::Failed => Ours::Failed,
    }
}
