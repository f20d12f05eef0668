//! The scripted ledger: what a provider would know of trades, refunds and what happened when.
//!
//! No wire format, clock or chance lives here: times and references are arguments.
use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::money::{Amount, Currency};

/// How long after its creation a trade can be cancelled.
const CANCEL_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Where a trade stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The merchant asked for it, no payer has opened it: the provider denies that it exists.
    Prepared,
    /// A payer has opened it and has not paid.
    Waiting,
    /// Paid; refunds are possible.
    Paid,
    /// Paid; the time for refunds is over.
    Finished,
    /// Closed unpaid, or refunded in full.
    Closed,
}

/// One refund that moved money.
#[derive(Clone, Debug)]
pub struct Refund {
    /// The merchant's number of the refund request.
    pub request_no: String,
    /// What was given back.
    pub amount: Amount,
    /// The merchant's reason.
    pub reason: Option<String>,
    /// When the money moved.
    pub at: Timestamp,
}

/// What the merchant asks a payer to pay.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The merchant's number.
    pub reference: String,
    /// What is owed.
    pub amount: Amount,
    /// In what.
    pub currency: Currency,
    /// What the payer reads.
    pub subject: String,
    /// The method that asked.
    pub product: String,
    /// What else the merchant said and the provider echoes, by its wire's names.
    pub echoed: BTreeMap<String, String>,
    /// Where to tell of what happens.
    pub notify_url: Option<String>,
    /// Where the payer goes after paying.
    pub return_url: Option<String>,
    /// Where the payer goes after giving up.
    pub quit_url: Option<String>,
    /// When it can no longer be paid.
    pub expires_at: Timestamp,
}

/// One trade of the merchant.
#[derive(Clone, Debug)]
pub struct Trade {
    /// What was asked.
    pub opening: Opening,
    /// The provider's number.
    pub provider_reference: String,
    /// Where it stands.
    pub standing: Standing,
    /// When the merchant asked.
    pub prepared_at: Timestamp,
    /// When a payer first saw it.
    pub opened_at: Option<Timestamp>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was closed, unpaid or refunded in full.
    pub closed_at: Option<Timestamp>,
    /// Refunds in order.
    pub refunds: Vec<Refund>,
}

impl Opening {
    /// What the merchant said under one of the wire's names.
    pub fn echo(&self, name: &str) -> Option<&str> {
        self.echoed.get(name).map(String::as_str)
    }
}

impl Trade {
    /// Sum of all refunds.
    pub fn refunded(&self) -> Amount {
        Amount(self.refunds.iter().map(|refund| refund.amount.0).sum())
    }

    /// The refund with the merchant's number.
    pub fn refund(&self, request_no: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.request_no == request_no)
    }
}

/// What happened to a trade, in order; the wire format tells the merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The merchant's number of the trade.
    pub reference: String,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of things that happen to a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The payer paid.
    Paid,
    /// The time for refunds is over.
    Finished,
    /// Money went back under this request number.
    Refunded(String),
    /// Closed without payment.
    Closed,
}

/// Why the ledger does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody opened such a trade.
    #[error("no such trade")]
    UnknownTrade,
    /// It is paid already.
    #[error("the trade is paid")]
    AlreadyPaid,
    /// It is closed.
    #[error("the trade is closed")]
    Closed,
    /// Its time for refunds is over.
    #[error("the trade is finished")]
    Finished,
    /// Its standing does not allow this.
    #[error("the trade's standing does not allow this")]
    WrongStanding,
    /// The number was used with another amount or subject.
    #[error("the number was used with other content")]
    OtherContent,
    /// More than what is left.
    #[error("more than what is left of the trade")]
    RefundTooMuch,
    /// Zero or less.
    #[error("the refund amount is not positive")]
    RefundNotPositive,
    /// A part needs a request number.
    #[error("a partial refund needs a request number")]
    RefundNumberMissing,
    /// The request number was used with another amount.
    #[error("the request number was used with another amount")]
    RefundRepeatDiffers,
    /// The day for cancelling is over.
    #[error("too late to cancel")]
    CancelTooLate,
}

/// What a cancel did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Nothing was there to close.
    Nothing,
    /// An unpaid trade was closed.
    Closed,
    /// A paid trade was refunded.
    Refunded,
}

/// All trades of one merchant.
#[derive(Debug, Default)]
pub struct Ledger {
    trades: BTreeMap<String, Trade>,
    by_provider_reference: HashMap<String, String>,
    events: Vec<Event>,
}

impl Ledger {
    /// Notes what the merchant wants to be paid; a repeat gives the stored trade.
    pub fn prepare(
        &mut self,
        opening: Opening,
        provider_reference: String,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.expire(&opening.reference, now);
        if let Some(trade) = self.trades.get_mut(&opening.reference) {
            match trade.standing {
                Standing::Paid | Standing::Finished => return Err(Refusal::AlreadyPaid),
                Standing::Closed if trade.paid_at.is_some() => return Err(Refusal::AlreadyPaid),
                Standing::Closed => return Err(Refusal::Closed),
                Standing::Prepared | Standing::Waiting => {}
            }
            let same = (trade.opening.amount, &trade.opening.currency, &trade.opening.subject)
                == (opening.amount, &opening.currency, &opening.subject);
            if !same {
                return Err(Refusal::OtherContent);
            }
            trade.opening = opening;
            return Ok(());
        }
        let reference = opening.reference.clone();
        self.by_provider_reference.insert(provider_reference.clone(), reference.clone());
        self.trades.insert(
            reference,
            Trade {
                opening,
                provider_reference,
                standing: Standing::Prepared,
                prepared_at: now,
                opened_at: None,
                paid_at: None,
                closed_at: None,
                refunds: Vec::new(),
            },
        );
        Ok(())
    }

    /// A payer scanned the code or opened the page.
    pub fn open(&mut self, reference: &str, now: Timestamp) -> Result<&Trade, Refusal> {
        self.expire(reference, now);
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        if trade.standing == Standing::Prepared {
            trade.standing = Standing::Waiting;
            trade.opened_at = Some(now);
        }
        // A code that nobody scanned in time closes with the scan that came too late.
        self.expire(reference, now);
        self.trades.get(reference).ok_or(Refusal::UnknownTrade)
    }

    /// The payer pays in full.
    pub fn pay(&mut self, reference: &str, now: Timestamp) -> Result<&Trade, Refusal> {
        match self.open(reference, now)?.standing {
            Standing::Prepared | Standing::Waiting => {}
            Standing::Paid | Standing::Finished => return Err(Refusal::AlreadyPaid),
            Standing::Closed => return Err(Refusal::Closed),
        }
        self.happened(reference, EventKind::Paid);
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        trade.standing = Standing::Paid;
        trade.paid_at = Some(now);
        Ok(trade)
    }

    /// The payer has done his part by a method that takes days: until then the trade does not expire.
    pub fn wait(
        &mut self,
        reference: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match self.open(reference, now)?.standing {
            Standing::Prepared | Standing::Waiting => {}
            Standing::Paid | Standing::Finished => return Err(Refusal::AlreadyPaid),
            Standing::Closed => return Err(Refusal::Closed),
        }
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        trade.opening.expires_at = until;
        Ok(())
    }

    /// The time for refunds is over.
    pub fn finish(&mut self, reference: &str) -> Result<&Trade, Refusal> {
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        if trade.standing != Standing::Paid {
            return Err(Refusal::WrongStanding);
        }
        trade.standing = Standing::Finished;
        self.happened(reference, EventKind::Finished);
        self.trades.get(reference).ok_or(Refusal::UnknownTrade)
    }

    /// Closes a trade that a payer opened and did not pay.
    pub fn close(&mut self, reference: &str, now: Timestamp) -> Result<&Trade, Refusal> {
        self.expire(reference, now);
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        match trade.standing {
            Standing::Prepared => return Err(Refusal::UnknownTrade),
            Standing::Waiting => {}
            Standing::Paid => return Err(Refusal::WrongStanding),
            Standing::Finished => return Err(Refusal::Finished),
            Standing::Closed => return Err(Refusal::Closed),
        }
        trade.standing = Standing::Closed;
        trade.closed_at = Some(now);
        self.happened(reference, EventKind::Closed);
        self.trades.get(reference).ok_or(Refusal::UnknownTrade)
    }

    /// Gives money back. `Ok(true)`: this call moved it; `Ok(false)`: a repeat of one that did.
    ///
    /// Without a request number the whole trade is meant, and its own number is the key.
    pub fn refund(
        &mut self,
        reference: &str,
        request_no: Option<&str>,
        amount: Amount,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let trade = self.trades.get_mut(reference).ok_or(Refusal::UnknownTrade)?;
        let key = request_no.unwrap_or(reference).to_owned();
        if amount.0 <= 0 {
            return Err(Refusal::RefundNotPositive);
        }
        if let Some(earlier) = trade.refund(&key) {
            let same = earlier.amount == amount;
            return if same { Ok(false) } else { Err(Refusal::RefundRepeatDiffers) };
        }
        match trade.standing {
            Standing::Prepared => return Err(Refusal::UnknownTrade),
            Standing::Waiting => return Err(Refusal::WrongStanding),
            Standing::Paid => {}
            Standing::Finished => return Err(Refusal::Finished),
            Standing::Closed => return Err(Refusal::Closed),
        }
        if request_no.is_none() && amount != trade.opening.amount {
            return Err(Refusal::RefundNumberMissing);
        }
        let total = trade.refunded().plus(amount).ok_or(Refusal::RefundTooMuch)?;
        if total > trade.opening.amount {
            return Err(Refusal::RefundTooMuch);
        }
        // From here on the refund happens.
        trade.refunds.push(Refund { request_no: key.clone(), amount, reason, at: now });
        if total == trade.opening.amount {
            trade.standing = Standing::Closed;
            trade.closed_at = Some(now);
        }
        self.happened(reference, EventKind::Refunded(key));
        Ok(true)
    }

    /// Undoes a trade whose outcome the merchant does not know: closes it or gives all back.
    pub fn cancel(&mut self, reference: &str, now: Timestamp) -> Result<Cancelled, Refusal> {
        self.expire(reference, now);
        let Some(trade) = self.trades.get_mut(reference) else {
            return Ok(Cancelled::Nothing);
        };
        if now.duration_since(trade.prepared_at) > CANCEL_WINDOW {
            return Err(Refusal::CancelTooLate);
        }
        match trade.standing {
            Standing::Prepared => {
                trade.standing = Standing::Closed;
                trade.closed_at = Some(now);
                Ok(Cancelled::Nothing)
            }
            Standing::Waiting => self.close(reference, now).map(|_| Cancelled::Closed),
            Standing::Closed => Ok(Cancelled::Nothing),
            Standing::Finished => Err(Refusal::Finished),
            Standing::Paid => {
                let left = Amount(trade.opening.amount.0 - trade.refunded().0);
                let key = format!("{reference}_cancel");
                self.refund(reference, Some(&key), left, None, now)?;
                Ok(Cancelled::Refunded)
            }
        }
    }

    /// The trade as the provider admits it: unknown before a payer opened it.
    pub fn seen(&mut self, reference: &str, now: Timestamp) -> Result<&Trade, Refusal> {
        self.expire(reference, now);
        match self.trades.get(reference) {
            Some(trade) if trade.opened_at.is_some() => Ok(trade),
            _ => Err(Refusal::UnknownTrade),
        }
    }

    /// The trade whether a payer opened it or not.
    pub fn get(&self, reference: &str) -> Option<&Trade> {
        self.trades.get(reference)
    }

    /// The merchant's number of the provider's.
    pub fn reference_of(&self, provider_reference: &str) -> Option<&str> {
        self.by_provider_reference.get(provider_reference).map(String::as_str)
    }

    /// All trades, by the merchant's number.
    pub fn trades(&self) -> impl Iterator<Item = &Trade> {
        self.trades.values()
    }

    /// Hands over what happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn expire(&mut self, reference: &str, now: Timestamp) {
        let due = self
            .trades
            .get_mut(reference)
            .filter(|trade| trade.standing == Standing::Waiting && trade.opening.expires_at <= now);
        if let Some(trade) = due {
            trade.standing = Standing::Closed;
            trade.closed_at = Some(trade.opening.expires_at);
            self.happened(reference, EventKind::Closed);
        }
    }

    fn happened(&mut self, reference: &str, kind: EventKind) {
        self.events.push(Event { reference: reference.to_owned(), kind });
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
