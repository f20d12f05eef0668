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
    /// Whether its success was undone.
    pub reversed: bool,
    /// When it last changed.
    pub changed: Moment,
}

/// Who wanted a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The merchant, through us.
    Merchant,
    /// We did: another payment had paid the order before.
    Duplicate,
    /// We did: the order had ended, and it says that money that comes late goes back.
    Late,
    /// Somebody at the provider: we were told of it when it had happened.
    Provider,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Origin; 4] =
        [Origin::Merchant, Origin::Duplicate, Origin::Late, Origin::Provider];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Merchant => "merchant",
            Origin::Duplicate => "duplicate",
            Origin::Late => "late",
            Origin::Provider => "provider",
        }
    }

    /// Whether we made it by ourselves, so that nobody else will ask for it again.
    pub fn is_automatic(self) -> bool {
        match self {
            Origin::Duplicate | Origin::Late => true,
            Origin::Merchant | Origin::Provider => false,
        }
    }
}

impl FromStr for Origin {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Origin, UnknownState> {
        Origin::ALL.into_iter().find(|origin| origin.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for Origin {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<Origin, UnknownState> {
        text.parse()
    }
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
    /// Nothing more can be done about it from here: it may not be sent again, and the provider does not know it.
    Strand,
    /// The provider took its success back. Told first, it tells of the success as well.
    Reverse,
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

/// What is to be done after a refund changed. What it held is settled or released once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundEffect {
    /// The reserve became money given back.
    SettleReserve(i64),
    /// The reserve is free again.
    ReleaseReserve(i64),
    /// It was called failed, its reserve is gone, and the money went back after all.
    SettleUnreserved(i64),
    /// What it had given back is with the merchant again.
    TakeBack(i64),
    /// Tell the merchant.
    Announce(&'static str),
    /// Ask the provider again by its schedule.
    KeepAsking,
}

impl Refund {
    /// A new one, its amount reserved.
    pub fn new(minor: i64, now: Moment) -> Refund {
        Refund { state: RefundState::Requested, minor, reversed: false, changed: now }
    }

    /// The refund after `command`, and what follows. A repeat, or less than is known, changes nothing.
    pub fn apply(self, command: RefundCommand, now: Moment) -> (Refund, Vec<RefundEffect>) {
        if command == RefundCommand::Reverse {
            return self.reverse(now);
        }
        if !self.state.is_open() {
            return self.apply_settled(command, now);
        }
        let state = match command {
            RefundCommand::Strand | RefundCommand::Reverse => RefundState::NeedsAction,
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

    /// Adds a fact and takes none away: that it went back stands, and that this was undone stands beside it.
    fn reverse(self, now: Moment) -> (Refund, Vec<RefundEffect>) {
        let (done, mut effects) = self.apply(RefundCommand::Learn(RefundTold::Succeeded), now);
        if done.reversed {
            return (done, effects);
        }
        effects.push(RefundEffect::TakeBack(self.minor));
        effects.push(RefundEffect::Announce("refund.reversed"));
        (Refund { reversed: true, changed: now, ..done }, effects)
    }

    /// Money that moved is never forgotten: a failure gives way to a success.
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
#[path = "refund_tests.rs"]
mod tests;
