//! Sending notifications: a schedule of repeats, a log of every attempt, and a valve.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock::{Clock, later};
use crate::faults::{Hit, Verb};
use crate::ledger::EventKind;

/// How long a merchant may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What of an answer is kept, in characters.
const ANSWER_KEPT: usize = 1_000;
/// The longest sleep: a look around costs nothing.
const LOOK_AROUND: Duration = Duration::from_secs(60);

/// When a provider repeats a notification, and what it takes for an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Gaps between attempts, in seconds.
    pub gaps_s: &'static [i64],
    /// Whether this HTTP status and body say that the message has arrived.
    pub acknowledged: fn(u16, &str) -> bool,
}

/// What is posted: the same at every attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Headers, the content type among them, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(rename = "message")]
    pub body: String,
}

impl Message {
    /// The content type that it is sent with.
    pub fn content_type(&self) -> Option<&str> {
        let is = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
        self.headers.iter().find(is).map(|(_, value)| value.as_str())
    }
}

/// What happens to notifications that become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are sent.
    Send,
    /// They wait until the mode changes.
    Hold,
    /// New ones are never sent.
    Lose,
}

/// One attempt and the merchant's answer.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When it was sent.
    pub at: Timestamp,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Body of the answer, cut.
    pub body: String,
    /// Why there was no answer.
    pub error: Option<String>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Waiting for its time.
    Due,
    /// Being sent.
    Sending,
    /// Answered as the provider wants it.
    Acknowledged,
    /// All attempts failed.
    GaveUp,
    /// Never sent, as asked.
    Lost,
}

/// One notification on its way to the merchant.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    id: u64,
    event_id: String,
    reference: String,
    kind: String,
    url: String,
    #[serde(flatten)]
    message: Message,
    state: Progress,
    due: Option<Timestamp>,
    attempts: Vec<Attempt>,
    #[serde(skip)]
    first_is_lost: bool,
    #[serde(skip)]
    first_answer_is_lost: bool,
}

impl Delivery {
    /// A delivery that was not queued yet: the provider's number of it, the trade, what happened.
    pub fn new(
        event_id: &str,
        reference: &str,
        kind: &EventKind,
        url: String,
        message: Message,
    ) -> Delivery {
        let kind = match kind {
            EventKind::Paid => "paid",
            EventKind::Finished => "finished",
            EventKind::Refunded(_) => "refunded",
            EventKind::Closed => "closed",
        };
        Delivery {
            id: 0,
            event_id: event_id.to_owned(),
            reference: reference.to_owned(),
            kind: kind.to_owned(),
            url,
            message,
            state: Progress::Due,
            due: None,
            attempts: Vec::new(),
            first_is_lost: false,
            first_answer_is_lost: false,
        }
    }

    /// Gives what happened a name of the provider's own.
    #[must_use]
    pub fn named(mut self, kind: &str) -> Delivery {
        kind.clone_into(&mut self.kind);
        self
    }

    /// What is sent.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

#[derive(Debug)]
struct Desk {
    deliveries: Vec<Delivery>,
    mode: Mode,
    time_scale: i64,
    schedule: Schedule,
}

/// The sender of notifications.
#[derive(Debug)]
pub struct Notifier {
    desk: Arc<Mutex<Desk>>,
    wake: Arc<Notify>,
    client: reqwest::Client,
}

impl Notifier {
    /// A sender whose gaps are `time_scale` times shorter than the provider's.
    pub fn new(schedule: Schedule, time_scale: u64) -> anyhow::Result<Notifier> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("HTTP client")?;
        let time_scale = i64::try_from(time_scale.max(1)).unwrap_or(i64::MAX);
        let desk = Desk { deliveries: Vec::new(), mode: Mode::Send, time_scale, schedule };
        Ok(Notifier { desk: Arc::new(Mutex::new(desk)), wake: Arc::new(Notify::new()), client })
    }

    /// Puts a notification, and its duplicates, on the schedule.
    pub fn queue(&self, delivery: Delivery, hit: &Hit, now: Timestamp) {
        let duplicates = hit.get(Verb::Duplicate).map_or(0, |rule| {
            rule.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(1)
        });
        let wait = SignedDuration::try_from(hit.delay()).unwrap_or(SignedDuration::ZERO);
        let mut desk = lock(&self.desk);
        for _ in 0..=duplicates {
            let mut copy = delivery.clone();
            copy.id = u64::try_from(desk.deliveries.len()).unwrap_or(u64::MAX) + 1;
            copy.first_is_lost = hit.has(Verb::Drop);
            copy.first_answer_is_lost = hit.has(Verb::LoseReply);
            if desk.mode == Mode::Lose {
                copy.state = Progress::Lost;
            } else {
                copy.due = Some(later(now, wait));
            }
            desk.deliveries.push(copy);
        }
        drop(desk);
        self.wake.notify_one();
    }

    /// Changes what happens to due notifications.
    pub fn set_mode(&self, mode: Mode) {
        lock(&self.desk).mode = mode;
        self.wake.notify_one();
    }

    /// Changes how many times faster than real the schedule runs; later gaps follow it.
    pub fn set_time_scale(&self, time_scale: u64) {
        lock(&self.desk).time_scale = i64::try_from(time_scale.max(1)).unwrap_or(i64::MAX);
    }

    /// Mode and time scale.
    pub fn settings(&self) -> (Mode, i64) {
        let desk = lock(&self.desk);
        (desk.mode, desk.time_scale)
    }

    /// All deliveries, of one trade or of all.
    pub fn log(&self, reference: Option<&str>) -> Vec<Delivery> {
        let desk = lock(&self.desk);
        let fits = |delivery: &&Delivery| reference.is_none_or(|no| delivery.reference == no);
        desk.deliveries.iter().filter(fits).cloned().collect()
    }

    /// Sends what is due until the future is dropped, and what is being sent with it.
    pub async fn run(&self, clock: &Arc<Clock>) {
        let mut moved = clock.watch();
        let mut sending = JoinSet::new();
        loop {
            let now = clock.now();
            for delivery in self.take_due(now) {
                let (desk, client) = (Arc::clone(&self.desk), self.client.clone());
                let (clock, wake) = (Arc::clone(clock), Arc::clone(&self.wake));
                sending.spawn(async move {
                    let attempt = attempt(&client, &delivery, clock.now()).await;
                    note(&desk, delivery.id, attempt, clock.now());
                    wake.notify_one();
                });
            }
            while sending.try_join_next().is_some() {}
            let rest = self.next_due().map_or(LOOK_AROUND, |due| clock.until(due));
            tokio::select! {
                () = tokio::time::sleep(rest.min(LOOK_AROUND)) => {}
                () = self.wake.notified() => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Posts a message once, beside the schedule, and tells the answer.
    pub async fn post_once(&self, url: &str, message: &Message, now: Timestamp) -> Attempt {
        post(&self.client, url, message, now).await
    }

    fn take_due(&self, now: Timestamp) -> Vec<Delivery> {
        let mut desk = lock(&self.desk);
        if desk.mode == Mode::Hold {
            return Vec::new();
        }
        let due = desk.deliveries.iter_mut().filter(|delivery| {
            delivery.state == Progress::Due && delivery.due.is_some_and(|due| due <= now)
        });
        due.map(|delivery| {
            delivery.state = Progress::Sending;
            delivery.due = None;
            delivery.clone()
        })
        .collect()
    }

    fn next_due(&self) -> Option<Timestamp> {
        let desk = lock(&self.desk);
        if desk.mode == Mode::Hold {
            return None;
        }
        let waiting = desk.deliveries.iter().filter(|delivery| delivery.state == Progress::Due);
        waiting.filter_map(|delivery| delivery.due).min()
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn attempt(client: &reqwest::Client, delivery: &Delivery, now: Timestamp) -> Attempt {
    let first = delivery.attempts.is_empty();
    let silent = |error: &str| Attempt {
        at: now,
        status: None,
        body: String::new(),
        error: Some(error.to_owned()),
    };
    if first && delivery.first_is_lost {
        return silent("lost on purpose");
    }
    let attempt = post(client, &delivery.url, &delivery.message, now).await;
    if first && delivery.first_answer_is_lost {
        return silent("answer lost on purpose");
    }
    attempt
}

async fn post(client: &reqwest::Client, url: &str, message: &Message, now: Timestamp) -> Attempt {
    let mut request = client.post(url).body(message.body.clone());
    for (name, value) in &message.headers {
        request = request.header(name, value);
    }
    let failed = |error: reqwest::Error| Attempt {
        at: now,
        status: None,
        body: String::new(),
        error: Some(error.without_url().to_string()),
    };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return failed(error),
    };
    let status = response.status().as_u16();
    match response.text().await {
        Ok(body) => {
            let body = body.chars().take(ANSWER_KEPT).collect();
            Attempt { at: now, status: Some(status), body, error: None }
        }
        Err(error) => failed(error),
    }
}

fn note(desk: &Mutex<Desk>, id: u64, attempt: Attempt, now: Timestamp) {
    let mut desk = lock(desk);
    let (time_scale, schedule) = (desk.time_scale, desk.schedule);
    let Some(delivery) = desk.deliveries.iter_mut().find(|delivery| delivery.id == id) else {
        return;
    };
    let heard = |status| (schedule.acknowledged)(status, &attempt.body);
    let acknowledged = attempt.status.is_some_and(heard);
    delivery.attempts.push(attempt);
    if acknowledged {
        delivery.state = Progress::Acknowledged;
        return;
    }
    match schedule.gaps_s.get(delivery.attempts.len() - 1) {
        Some(gap_s) => {
            let gap = SignedDuration::from_millis(gap_s * 1_000 / time_scale);
            delivery.due = Some(later(now, gap));
            delivery.state = Progress::Due;
        }
        None => delivery.state = Progress::GaveUp,
    }
}
