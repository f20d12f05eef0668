//! What happens at the provider without us: its own refunds, disputes, and successes that it takes back.

use rand::RngExt;
use tollgate_domain::dispute::DisputeState;
use tollgate_domain::time::Moment;

use super::notices::Worth;
use super::trade::{Back, BackState, Trade, TradeState};
use super::{Pairs, Provider};

/// A payment that its payer contests.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The provider's name for it.
    pub name: String,
    /// Of how much.
    pub amount: i64,
    /// Every state that it has been in.
    pub states: Vec<DisputeState>,
    /// When its money was taken.
    pub taken_at: Option<Moment>,
    /// Whether the bill calls it by its name.
    pub is_named: bool,
    /// What a shop has acknowledged of it.
    pub heard: Option<DisputeState>,
}

impl Contest {
    /// Where it stands.
    pub fn state(&self) -> DisputeState {
        self.states.last().copied().unwrap_or(DisputeState::Warned)
    }
}

impl Trade {
    /// The dispute whose money was taken, and when.
    pub fn charged_back(&self) -> Option<(&Contest, Moment)> {
        let contest = self.contest.as_ref()?;
        contest.taken_at.map(|at| (contest, at))
    }

    fn is_plain(&self) -> bool {
        self.state == TradeState::Paid && self.reversed_at.is_none() && self.left() > 0
    }
}

impl Provider {
    fn any_trade(&mut self, fits: impl Fn(&Trade) -> bool) -> Option<String> {
        let fitting: Vec<&String> =
            self.trades.iter().filter(|(_, trade)| fits(trade)).map(|(name, _)| name).collect();
        let at = (!fitting.is_empty()).then(|| self.chance.random_range(0..fitting.len()))?;
        Some(fitting[at].clone())
    }

    /// The merchant gives something back at the provider.
    pub fn refunds_there(&mut self) -> Option<String> {
        let reference = self.any_trade(Trade::is_plain)?;
        let (now, share) = (self.time.now(), self.chance.random_range(1..=3));
        let trade = self.trades.get_mut(&reference)?;
        let name = format!("{}-D{}", trade.there, trade.backs.len());
        let back = Back {
            amount: (trade.left() / share).max(1),
            state: BackState::Done,
            there: format!("{name}-there"),
            seen_from: now,
            settles_at: now,
            refused: false,
            done_at: Some(now),
            made_there: true,
        };
        trade.backs.insert(name.clone(), back);
        self.announce_back(&reference, &name);
        Some(reference)
    }

    /// A payment is taken back of which nothing else was.
    pub fn reverses(&mut self) -> Option<String> {
        let untouched = |trade: &Trade| {
            trade.is_plain() && trade.left() == trade.amount && trade.contest.is_none()
        };
        let reference = self.any_trade(untouched)?;
        let now = self.time.now();
        self.trades.get_mut(&reference)?.reversed_at = Some(now);
        self.announce_trade(&reference);
        Some(reference)
    }

    /// A payer contests a payment, or somebody decides about that.
    pub fn contests(&mut self) -> Option<String> {
        let is_open = |trade: &Trade| match &trade.contest {
            Some(contest) => contest.state().is_open(),
            None => trade.is_plain(),
        };
        let reference = self.any_trade(is_open)?;
        let (now, warns) = (self.time.now(), self.happens(30));
        let (ending, is_named) = (self.chance.random_range(0..4), self.happens(70));
        let trade = self.trades.get_mut(&reference)?;
        match &mut trade.contest {
            None => {
                let first = if warns { DisputeState::Warned } else { DisputeState::Opened };
                trade.contest = Some(Contest {
                    name: format!("{}-C", trade.there),
                    amount: trade.left(),
                    states: vec![first],
                    taken_at: None,
                    is_named,
                    heard: None,
                });
            }
            Some(contest) if contest.state() == DisputeState::Warned => {
                contest.states.push(DisputeState::Opened);
            }
            Some(contest) => {
                let end = [DisputeState::Closed, DisputeState::Won, DisputeState::Lost];
                let state = end[ending % end.len()];
                contest.states.push(state);
                contest.taken_at = (state == DisputeState::Lost).then_some(now);
            }
        }
        self.announce_contest(&reference);
        Some(reference)
    }

    fn announce_contest(&mut self, reference: &str) {
        let Some(contest) = self.trades.get(reference).and_then(|trade| trade.contest.as_ref())
        else {
            return;
        };
        let status = contest.state().as_str();
        let pairs: Pairs = vec![
            ("status", status.to_owned()),
            ("ref", reference.to_owned()),
            ("dispute", contest.name.clone()),
            ("amount", contest.amount.to_string()),
            ("currency", "CNY".to_owned()),
        ];
        self.post(reference, status, pairs, Worth::True);
    }

    /// A shop acknowledged what a message told of a dispute.
    pub fn contest_was_heard(&mut self, reference: &str, status: &str) {
        let contest = self.trades.get_mut(reference).and_then(|trade| trade.contest.as_mut());
        if let (Some(contest), Ok(state)) = (contest, status.parse::<DisputeState>()) {
            contest.heard = contest.heard.max(Some(state));
        }
    }
}
