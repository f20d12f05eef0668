//! What a plugin says becomes text in rows, logs and answers. Control characters are taken out as it comes in: no provider
//! means one, a sender may have put one there, and PostgreSQL keeps no text with a NUL.

use crate::contract::{
    Event, Fact, Fault, Fields, Money, Outcome, Progress, Reading, Report, Step, Subject, Summary,
};

/// An answer of a plugin that holds texts.
pub(crate) trait Plain {
    /// Puts a space in the place of each control character.
    fn make_plain(&mut self);

    /// The same answer without control characters.
    fn plain(mut self) -> Self
    where
        Self: Sized,
    {
        self.make_plain();
        self
    }
}

impl Plain for String {
    fn make_plain(&mut self) {
        if self.chars().any(char::is_control) {
            *self = self.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        }
    }
}

impl<T: Plain> Plain for Option<T> {
    fn make_plain(&mut self) {
        self.iter_mut().for_each(Plain::make_plain);
    }
}

impl<T: Plain> Plain for Result<T, Fault> {
    fn make_plain(&mut self) {
        match self {
            Ok(answer) => answer.make_plain(),
            Err(fault) => fault.make_plain(),
        }
    }
}

impl Plain for Fields {
    fn make_plain(&mut self) {
        for (name, value) in self {
            name.make_plain();
            value.make_plain();
        }
    }
}

impl Plain for Fault {
    fn make_plain(&mut self) {
        self.code.make_plain();
        self.message.make_plain();
        self.provider_code.make_plain();
        self.provider_message.make_plain();
        self.extra.make_plain();
    }
}

impl Plain for Money {
    fn make_plain(&mut self) {
        self.currency.make_plain();
    }
}

impl Plain for Fact {
    fn make_plain(&mut self) {
        self.about.make_plain();
        self.payment_ref.make_plain();
        self.provider_ref.make_plain();
        self.aliases.iter_mut().for_each(Plain::make_plain);
        self.raw_status.make_plain();
        self.reason.make_plain();
        self.amount.make_plain();
        self.refunded.make_plain();
        self.at.make_plain();
        self.seen.make_plain();
        self.extra.make_plain();
    }
}

impl Plain for Subject {
    fn make_plain(&mut self) {
        match self {
            Subject::Payment(_) => {}
            Subject::Refund(news) => {
                news.refund_ref.make_plain();
                news.provider_refund_ref.make_plain();
            }
            Subject::Dispute(news) => {
                news.dispute_ref.make_plain();
                news.status.make_plain();
                news.respond_by.make_plain();
            }
            Subject::Bill(bill) => {
                bill.kind.make_plain();
                bill.period.make_plain();
            }
            Subject::Other(word) => word.make_plain(),
        }
    }
}

impl Plain for Event {
    fn make_plain(&mut self) {
        self.fact.make_plain();
        self.dedupe_key.make_plain();
    }
}

impl Plain for Reading {
    fn make_plain(&mut self) {
        match self {
            Reading::Events((_, events)) => events.iter_mut().for_each(Plain::make_plain),
            // What is to be sent has rules of its own.
            Reading::Ask(_) => {}
        }
    }
}

impl Plain for Outcome {
    fn make_plain(&mut self) {
        match self {
            // What the payer is given has rules of its own.
            Outcome::Report(Report { fact, .. }) => fact.make_plain(),
            Outcome::Bill(bill) => {
                bill.files.iter_mut().for_each(|file| file.name.make_plain());
                bill.extra.make_plain();
            }
            Outcome::Keys(keys) => keys.iter_mut().for_each(|key| key.id.make_plain()),
        }
    }
}

impl Plain for Step {
    fn make_plain(&mut self) {
        match self {
            Step::Send(_) => {}
            Step::Done(outcome) => outcome.make_plain(),
        }
    }
}

impl Plain for Progress {
    fn make_plain(&mut self) {
        match self {
            Progress::Done(outcome) => outcome.make_plain(),
            Progress::Again(_) | Progress::Wait(_) => {}
        }
    }
}

impl Plain for Summary {
    fn make_plain(&mut self) {
        self.extra.make_plain();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Authority, Channel, DisputeNews};

    #[test]
    fn no_control_character_comes_in_with_an_answer() {
        let bad = || "a\0\u{1b}b".to_owned();
        let fault = Fault {
            code: bad(),
            message: bad(),
            provider_code: Some(bad()),
            provider_message: Some(bad()),
            outcome_known: true,
            retry_after_ms: None,
            extra: vec![(bad(), bad())],
        };
        let money = || Some(Money { minor: 1, currency: bad(), exponent: 2 });
        let news = DisputeNews { dispute_ref: bad(), status: bad(), respond_by: Some(bad()) };
        let fact = Fact {
            about: Subject::Dispute(news),
            payment_ref: Some(bad()),
            provider_ref: Some(bad()),
            aliases: vec![bad()],
            raw_status: bad(),
            reason: Some(bad()),
            amount: money(),
            refunded: money(),
            at: Some(bad()),
            live: None,
            seen: vec![(bad(), bad())],
            extra: vec![(bad(), bad())],
        };
        let event = Event { fact, authority: Authority::Hint, dedupe_key: bad() };
        let read: Result<Reading, Fault> =
            Ok(Reading::Events((Channel::Notification, vec![event])));
        for text in [
            serde_json::to_string(&read.plain().unwrap()).unwrap(),
            serde_json::to_string(&Err::<Reading, _>(fault).plain().unwrap_err()).unwrap(),
        ] {
            assert!(!text.contains("\\u00") && text.contains("a  b"), "{text}");
        }
    }

    #[test]
    fn what_is_plain_stays_as_it_is() {
        assert_eq!("Überweisung 支付 1".to_owned().plain(), "Überweisung 支付 1");
        assert_eq!("one\r\ntwo\u{85}".to_owned().plain(), "one  two ");
    }
}
