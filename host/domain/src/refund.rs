//! The life of a refund: a request to give money back, until the provider says that it is done.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::time::Moment;

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// Its amount is reserved; nobody has been asked yet.
    Requested,
    /// The provider took it and is at it.
    Pending,
    /// It was sent and the answer is not known: money may have gone back.
    Unknown,
    /// Stuck until somebody acts at the provider.
    NeedsAction,
    /// The money went back.
    Succeeded,
    /// It did not, and will not under this reference.
    Failed,
}

impl RefundState {
    /// Every state.
    pub const ALL: [RefundState; 6] = [
        RefundState::Requested,
        RefundState::Pending,
        RefundState::Unknown,
        RefundState::NeedsAction,
        RefundState::Succeeded,
        RefundState::Failed,
    ];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            RefundState::Requested => "requested",
            RefundState::Pending => "pending",
            RefundState::Unknown => "unknown",
            RefundState::NeedsAction => "needs_action",
            RefundState::Succeeded => "succeeded",
            RefundState::Failed => "failed",
        }
    }

    /// Whether its outcome is still open, so that its amount stays reserved.
    pub fn is_open(self) -> bool {
        match self {
            RefundState::Requested
            | RefundState::Pending
            | RefundState::Unknown
            | RefundState::NeedsAction => true,
            RefundState::Succeeded | RefundState::Failed => false,
        }
    }
}

impl fmt::Display for RefundState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RefundState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<RefundState, UnknownState> {
        RefundState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for RefundState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<RefundState, UnknownState> {
        text.parse()
    }
}

/// What the rules need to know of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Where it stands.
    pub state: RefundState,
    /// What it gives back, in minor units.
    pub minor: i64,
    /// When it last changed.
    pub changed: Moment,
}

/// What happened to a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundCommand {
    /// It was sent, and no answer that says anything came.
    LoseSight,
    /// It came to nothing before anything was sent. Once it may have been sent, this proves nothing.
    Refuse,
    /// The provider said so, and the host checked what it said.
    Learn(RefundTold),
}

/// What a provider said of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundTold {
    /// Taken, not done.
    Pending,
    /// Stuck until somebody acts.
    NeedsAction,
    /// Done.
    Succeeded,
    /// Refused for good.
    Failed,
    /// Nobody can say.
    Unknown,
    /// No such refund there, which proves nothing yet.
    NotFound,
}

/// What is to be done after a refund changed. What it held is settled once: each of the two comes at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundEffect {
    /// The reserve became money given back.
    SettleReserve(i64),
    /// The reserve is free again.
    ReleaseReserve(i64),
    /// It was called failed, its reserve is gone, and the money went back after all.
    SettleUnreserved(i64),
    /// Tell the merchant.
    Announce(&'static str),
    /// Ask the provider again by its schedule.
    KeepAsking,
}

impl Refund {
    /// A new one, its amount reserved.
    pub fn new(minor: i64, now: Moment) -> Refund {
        Refund { state: RefundState::Requested, minor, changed: now }
    }

    /// The refund after `command`, and what follows. A repeat, or less than is known, changes nothing.
    pub fn apply(self, command: RefundCommand, now: Moment) -> (Refund, Vec<RefundEffect>) {
        if !self.state.is_open() {
            return self.apply_settled(command, now);
        }
        let state = match command {
            RefundCommand::LoseSight => match self.state {
                RefundState::Requested => RefundState::Unknown,
                known => known,
            },
            RefundCommand::Refuse => match self.state {
                RefundState::Requested => RefundState::Failed,
                known => known,
            },
            RefundCommand::Learn(told) => match told {
                RefundTold::Pending => match self.state {
                    RefundState::NeedsAction => RefundState::NeedsAction,
                    _ => RefundState::Pending,
                },
                RefundTold::NeedsAction => RefundState::NeedsAction,
                RefundTold::Succeeded => RefundState::Succeeded,
                RefundTold::Failed => RefundState::Failed,
                RefundTold::Unknown | RefundTold::NotFound => match self.state {
                    RefundState::Requested => RefundState::Unknown,
                    known => known,
                },
            },
        };
        if state == self.state {
            return (self, vec![]);
        }
        let effects = match state {
            RefundState::Requested => vec![],
            RefundState::Pending | RefundState::Unknown => vec![RefundEffect::KeepAsking],
            RefundState::NeedsAction => {
                vec![RefundEffect::Announce("refund.needs_action"), RefundEffect::KeepAsking]
            }
            RefundState::Succeeded => {
                vec![
                    RefundEffect::SettleReserve(self.minor),
                    RefundEffect::Announce("refund.succeeded"),
                ]
            }
            RefundState::Failed => {
                vec![
                    RefundEffect::ReleaseReserve(self.minor),
                    RefundEffect::Announce("refund.failed"),
                ]
            }
        };
        (Refund { state, changed: now, ..self }, effects)
    }

    /// Money that moved is never forgotten: a failure gives way to a success. A success that is reversed later is a
    /// new fact of its own, not an edit of this one.
    fn apply_settled(self, command: RefundCommand, now: Moment) -> (Refund, Vec<RefundEffect>) {
        match (self.state, command) {
            (RefundState::Failed, RefundCommand::Learn(RefundTold::Succeeded)) => {
                let effects = vec![
                    RefundEffect::SettleUnreserved(self.minor),
                    RefundEffect::Announce("refund.succeeded"),
                ];
                (Refund { state: RefundState::Succeeded, changed: now, ..self }, effects)
            }
            _ => (self, vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLD: [RefundCommand; 8] = [
        RefundCommand::LoseSight,
        RefundCommand::Refuse,
        RefundCommand::Learn(RefundTold::Pending),
        RefundCommand::Learn(RefundTold::NeedsAction),
        RefundCommand::Learn(RefundTold::Succeeded),
        RefundCommand::Learn(RefundTold::Failed),
        RefundCommand::Learn(RefundTold::Unknown),
        RefundCommand::Learn(RefundTold::NotFound),
    ];

    #[test]
    fn each_state_and_what_happens_in_it() {
        use RefundState::*;
        let rows = [
            // from: lost, refused, pending, needs action, succeeded, failed, unknown, not found
            (
                Requested,
                [Unknown, Failed, Pending, NeedsAction, Succeeded, Failed, Unknown, Unknown],
            ),
            (
                Pending,
                [Pending, Pending, Pending, NeedsAction, Succeeded, Failed, Pending, Pending],
            ),
            (
                Unknown,
                [Unknown, Unknown, Pending, NeedsAction, Succeeded, Failed, Unknown, Unknown],
            ),
            (
                NeedsAction,
                [
                    NeedsAction,
                    NeedsAction,
                    NeedsAction,
                    NeedsAction,
                    Succeeded,
                    Failed,
                    NeedsAction,
                    NeedsAction,
                ],
            ),
            (Succeeded, [Succeeded; 8]),
            (Failed, [Failed, Failed, Failed, Failed, Succeeded, Failed, Failed, Failed]),
        ];
        for (state, wanted) in rows {
            for (command, wanted) in TOLD.into_iter().zip(wanted) {
                let (refund, _) =
                    Refund { state, ..Refund::new(300, Moment(1)) }.apply(command, Moment(2));
                assert_eq!(refund.state, wanted, "{state} {command:?}");
            }
        }
    }

    proptest! {
        /// Whatever is told in whatever order, the reserve is settled or released once at most.
        #[test]
        fn the_reserve_goes_one_way_once(history in proptest::collection::vec(0usize..TOLD.len(), 0..30)) {
            let mut refund = Refund::new(300, Moment(0));
            let mut settled = 0;
            for step in history {
                let (next, effects) = refund.apply(TOLD[step], Moment(1));
                settled += effects
                    .iter()
                    .filter(|e| matches!(e, RefundEffect::SettleReserve(300) | RefundEffect::ReleaseReserve(300)))
                    .count();
                refund = next;
            }
            prop_assert_eq!(settled, usize::from(!refund.state.is_open()));
        }
    }
}
