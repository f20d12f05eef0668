//! A day's transactions, a page a piece. What PayPal lists lags some hours behind, and it says how far it has come. It lists no
//! stretch of too many transactions, and does not say beforehand how many are too many: such a stretch is asked for by halves.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse};
use tollgate_sdk::{fault, utc_time};

use crate::{gateway, reply};

/// Where they are listed.
pub const PATH: &str = "/v1/reporting/transactions";
/// The bill kind of this plugin.
pub const TRANSACTIONS: &str = "transactions";

const DAY_MS: i64 = 86_400_000;
/// What is not complete yet is asked for again after an hour.
const NOT_READY_MS: u32 = 3_600_000;

/// What PayPal calls a stretch of too many transactions.
const TOO_LARGE: &str = "RESULTSET_TOO_LARGE";
/// The last second of a day.
const LAST_S: i64 = DAY_MS / 1_000 - 1;

/// Where the reading stands.
#[derive(Clone, Copy)]
struct Place {
    /// A stretch of the day: its first and last second, counted from the day's begin.
    from_s: i64,
    to_s: i64,
    /// The number of the next page in it.
    page: i64,
    /// Of how many rows its first page spoke.
    rows: Option<i64>,
}

impl Place {
    /// The whole day, where nothing has been read yet.
    fn read(state: &[u8]) -> Place {
        let mut numbers = std::str::from_utf8(state).unwrap_or_default().split('/');
        let mut number = || numbers.next()?.parse::<i64>().ok();
        match (number(), number(), number(), number()) {
            (Some(from_s), Some(to_s), Some(page), rows) => Place { from_s, to_s, page, rows },
            _ => Place { from_s: 0, to_s: LAST_S, page: 1, rows: None },
        }
    }

    /// The first second, RFC 3339.
    fn starts(self, request: &BillRequest) -> Result<String, Fault> {
        Ok(utc_time::rfc3339(start(request)? + self.from_s * 1_000))
    }

    /// The last.
    fn ends(self, request: &BillRequest) -> Result<String, Fault> {
        Ok(utc_time::rfc3339(start(request)? + self.to_s * 1_000))
    }

    fn write(self) -> Vec<u8> {
        let Place { from_s, to_s, page, rows } = self;
        let rows = rows.map(|rows| rows.to_string()).unwrap_or_default();
        format!("{from_s}/{to_s}/{page}/{rows}").into_bytes()
    }

    /// The first half of a stretch no page of which was read; none of a second.
    fn halved(self) -> Option<Place> {
        let to_s = self.from_s + (self.to_s - self.from_s) / 2;
        (to_s < self.to_s && self.page == 1).then_some(Place { to_s, ..self })
    }

    /// What comes after this page: the next one, or a stretch as long as this.
    fn next(self, listed: &Listed) -> Option<Place> {
        if self.page < listed.total_pages {
            let rows = Some(listed.total_items);
            return Some(Place { page: self.page + 1, rows, ..self });
        }
        let (from_s, to_s) = (self.to_s + 1, 2 * self.to_s + 1 - self.from_s);
        let next = Place { from_s, to_s: to_s.min(LAST_S), page: 1, rows: None };
        (from_s <= LAST_S).then_some(next)
    }
}

/// When the day begins, in milliseconds since 1970.
fn start(request: &BillRequest) -> Result<i64, Fault> {
    if request.kind != TRANSACTIONS {
        return Err(fault::invalid_request(format!("PayPal has no bill `{}`", request.kind)));
    }
    utc_time::start_of_day(&request.period)
        .ok_or_else(|| fault::invalid_request("`period` is a day, yyyy-MM-dd"))
}

/// Asks for the next page; the state is where the reading stands.
///
/// # Errors
/// `invalid-request` for another kind of bill, or a period that is no day.
pub fn build(context: &Context, request: &BillRequest, state: &[u8]) -> Result<Step, Fault> {
    let place = Place::read(state);
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let query = vec![
        pair("start_date", place.starts(request)?),
        pair("end_date", place.ends(request)?),
        pair("fields", "all".to_owned()),
        pair("page_size", "500".to_owned()),
        pair("page", place.page.to_string()),
    ];
    Ok(Step::Send((gateway::get(context, PATH, query)?, state.to_vec())))
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    transaction_details: Vec<serde::de::IgnoredAny>,
    total_pages: i64,
    total_items: i64,
    last_refreshed_datetime: Option<String>,
}

/// Hands the page on as it came.
///
/// # Errors
/// `protocol` for a page without its rows; `not-found`, to be tried again, where rows of that day may still come; `unavailable` where some came while pages were read:
/// pages are counted off, so that rows may be on two of them, or on none. `invalid-request` for a second of too many rows.
pub fn interpret(
    request: &BillRequest,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let place = Place::read(state);
    let listed: Listed = match reply::read(response)? {
        Ok(listed) => listed,
        Err(refusal) if refusal.is(TOO_LARGE) => return by_halves(place),
        Err(refusal) => return Err(refusal.fault()),
    };
    let to = place.ends(request)?;
    // Both are UTC, written alike up to the seconds.
    let behind = |at: &String| at.get(..19).is_none_or(|at| at < &to[..19]);
    if listed.last_refreshed_datetime.as_ref().is_some_and(behind) {
        let fault = fault::not_found("PayPal has not listed all of that day yet");
        return Err(fault.retry_after(NOT_READY_MS));
    }
    if place.rows.is_some_and(|rows| rows != listed.total_items) {
        return Err(changed());
    }
    if listed.transaction_details.is_empty() && listed.total_items > 0 {
        return Err(fault::protocol("a page without the transactions that it counts"));
    }
    let file = BillFile {
        name: format!("{}_{TRANSACTIONS}_{}_{}.json", request.period, place.from_s, place.page),
        content: BillContent::Bytes(response.body.clone()),
        unpack: Vec::new(),
        digest: None,
    };
    let files = if listed.transaction_details.is_empty() { Vec::new() } else { vec![file] };
    Ok(bill(files, place.next(&listed)))
}

fn changed() -> Fault {
    fault::unavailable("PayPal's list changed while it was read")
}

/// What to ask for instead of a stretch that PayPal does not list.
fn by_halves(place: Place) -> Result<Outcome, Fault> {
    match place.halved() {
        Some(half) => Ok(bill(Vec::new(), Some(half))),
        None if place.page > 1 => Err(changed()),
        None => Err(fault::invalid_request("PayPal lists no second of so many transactions")),
    }
}

fn bill(files: Vec<BillFile>, more: Option<Place>) -> Outcome {
    let more = more.map(Place::write);
    Outcome::Bill(BillReport { files, more, complete: true, extra: Vec::new() })
}
