//! The life of a dispute: a payer contests a payment at his bank or at the provider.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::time::Moment;

/// Where a dispute stands, in the provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DisputeState {
    /// A question or a warning, before any money is asked for.
    Warned,
    /// The payer wants his money back, and the merchant may object.
    Opened,
    /// It ended without a decision.
    Closed,
    /// The merchant keeps the money.
    Won,
    /// The payer's bank took the money back: a chargeback.
    Lost,
}

impl DisputeState {
    /// Every state, in the order in which they may follow each other.
    pub const ALL: [DisputeState; 5] = [
        DisputeState::Warned,
        DisputeState::Opened,
        DisputeState::Closed,
        DisputeState::Won,
        DisputeState::Lost,
    ];

    /// The word in rows, in the API and in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            DisputeState::Warned => "warned",
            DisputeState::Opened => "opened",
            DisputeState::Closed => "closed",
            DisputeState::Won => "won",
            DisputeState::Lost => "lost",
        }
    }

    /// Whether nobody has decided yet.
    pub fn is_open(self) -> bool {
        match self {
            DisputeState::Warned | DisputeState::Opened => true,
            DisputeState::Closed | DisputeState::Won | DisputeState::Lost => false,
        }
    }

    fn event(self) -> &'static str {
        match self {
            DisputeState::Warned => "dispute.warned",
            DisputeState::Opened => "dispute.opened",
            DisputeState::Closed => "dispute.closed",
            DisputeState::Won => "dispute.won",
            DisputeState::Lost => "dispute.lost",
        }
    }
}

impl fmt::Display for DisputeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DisputeState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<DisputeState, UnknownState> {
        DisputeState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for DisputeState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<DisputeState, UnknownState> {
        text.parse()
    }
}

/// What the rules need to know of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Where it stands.
    pub state: DisputeState,
    /// What it is about, in minor units of the payment's currency.
    pub minor: i64,
    /// Whether a bill tells that the money was taken from the merchant: often before anybody has decided.
    pub withdrawn: bool,
    /// When it last changed.
    pub changed: Moment,
}

/// What is to be done after a dispute changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeEffect {
    /// Sum up anew what of the payment is in dispute and what is lost, in the same transaction.
    CountPayment,
    /// Tell the merchant.
    Announce(&'static str),
}

/// What was told of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeTold {
    /// The provider says that it stands so.
    Stands(DisputeState),
    /// A bill has a chargeback in it.
    Withdrawn,
}

impl Dispute {
    /// One that we first hear of, and what follows.
    pub fn new(told: DisputeTold, minor: i64, now: Moment) -> (Dispute, Vec<DisputeEffect>) {
        let state = match told {
            DisputeTold::Stands(state) => state,
            DisputeTold::Withdrawn => DisputeState::Opened,
        };
        let first = Dispute { state, minor, withdrawn: false, changed: now };
        let effects = vec![DisputeEffect::CountPayment, DisputeEffect::Announce(state.event())];
        match told {
            DisputeTold::Stands(_) => (first, effects),
            DisputeTold::Withdrawn => {
                let (dispute, more) = first.learn(told, now);
                (dispute, effects.into_iter().chain(more).collect())
            }
        }
    }

    /// The dispute after what was told. Less than is known, or a repeat, changes nothing; of two endings the one stays
    /// in which money was lost, whichever was told first.
    pub fn learn(self, told: DisputeTold, now: Moment) -> (Dispute, Vec<DisputeEffect>) {
        let count = DisputeEffect::CountPayment;
        match told {
            DisputeTold::Stands(state) if state > self.state => {
                let after = Dispute { state, changed: now, ..self };
                (after, vec![count, DisputeEffect::Announce(state.event())])
            }
            DisputeTold::Withdrawn if !self.withdrawn => {
                let state = self.state.max(DisputeState::Opened);
                let after = Dispute { state, withdrawn: true, changed: now, ..self };
                (after, vec![count, DisputeEffect::Announce("dispute.charged_back")])
            }
            DisputeTold::Stands(_) | DisputeTold::Withdrawn => (self, vec![]),
        }
    }

    /// Whether its money is gone: by a decision, or taken before one and not given back by one.
    fn is_charged_back(&self) -> bool {
        match self.state {
            DisputeState::Lost => true,
            DisputeState::Won => false,
            DisputeState::Warned | DisputeState::Opened | DisputeState::Closed => self.withdrawn,
        }
    }
}

/// What of a payment is in dispute and still with the merchant, and what of it was charged back, in minor units.
pub fn sums(disputes: &[Dispute]) -> (i64, i64) {
    let sum = |wanted: fn(&Dispute) -> bool| {
        let counted = disputes.iter().filter(|dispute| wanted(dispute));
        counted.fold(0i64, |sum, dispute| sum.saturating_add(dispute.minor))
    };
    (sum(|dispute| dispute.state.is_open() && !dispute.withdrawn), sum(Dispute::is_charged_back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new(state: DisputeState) -> Dispute {
        Dispute::new(DisputeTold::Stands(state), 100, Moment(1)).0
    }

    #[test]
    fn each_state_and_what_is_told_in_it() {
        for from in DisputeState::ALL {
            for state in DisputeState::ALL {
                let told = DisputeTold::Stands(state);
                let (after, effects) = new(from).learn(told, Moment(2));
                assert_eq!(after.state, from.max(state), "{from} told {state}");
                let announced = effects.contains(&DisputeEffect::Announce(state.event()));
                assert_eq!(announced, state > from, "{from} told {state}");
                assert_eq!(
                    after.learn(told, Moment(3)),
                    (after, vec![]),
                    "{from} told {state} twice"
                );
            }
            let (after, effects) = new(from).learn(DisputeTold::Withdrawn, Moment(2));
            assert_eq!((after.state, after.withdrawn), (from.max(DisputeState::Opened), true));
            assert!(effects.contains(&DisputeEffect::Announce("dispute.charged_back")), "{from}");
            assert_eq!(after.learn(DisputeTold::Withdrawn, Moment(3)), (after, vec![]), "{from}");
        }
    }

    #[test]
    fn what_is_open_and_what_is_gone_are_two_sums() {
        use DisputeState::{Closed, Lost, Opened, Warned, Won};
        let rows = [
            // state, sums while the merchant has the money, sums once it was withdrawn
            (Warned, (100, 0), (0, 100)),
            (Opened, (100, 0), (0, 100)),
            (Closed, (0, 0), (0, 100)),
            (Won, (0, 0), (0, 0)),
            (Lost, (0, 100), (0, 100)),
        ];
        for (state, held, withdrawn) in rows {
            assert_eq!(sums(&[new(state)]), held, "{state}");
            let (after, _) = new(state).learn(DisputeTold::Withdrawn, Moment(2));
            assert_eq!(sums(&[after]), withdrawn, "{state}");
        }
        assert_eq!(sums(&DisputeState::ALL.map(new)), (200, 100));
        let huge = Dispute { minor: i64::MAX, ..new(Lost) };
        assert_eq!(sums(&[huge, huge]), (0, i64::MAX));
    }

    fn any_told() -> impl Strategy<Value = DisputeTold> {
        prop_oneof![
            prop::sample::select(DisputeState::ALL.to_vec()).prop_map(DisputeTold::Stands),
            Just(DisputeTold::Withdrawn),
        ]
    }

    proptest! {
        /// By a message first or by a bill, once or often: one dispute, in one state.
        #[test]
        fn the_order_of_what_is_told_does_not_matter(
            (told, shuffled) in proptest::collection::vec(any_told(), 1..9)
                .prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle()))
        ) {
            let end = |told: &[DisputeTold]| {
                let (first, _) = Dispute::new(told[0], 500, Moment(1));
                told.iter().fold(first, |dispute, told| dispute.learn(*told, Moment(1)).0)
            };
            prop_assert_eq!(end(&told), end(&shuffled));
        }
    }
}
