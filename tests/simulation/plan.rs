//! Which faults a seed has, and how often: a random subset at random rates, so that rare ones are not drowned by the
//! others (swarm testing). Rates are out of a thousand.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::gate::{Gate, Spoiling, Verdict};
use crate::provider::Whims;
use crate::provider::bills::BillWhims;

/// The faults of a seed, by the rows of the catalogue that they stand for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the provider behaves (20 to 23, 28, 29).
    pub whims: Whims,
    /// A connection that cannot be made (20).
    pub unreached: u32,
    /// A request that is lost (3, 20).
    pub lost: u32,
    /// A request that arrives when nobody waits for it any more (20, 22).
    pub late: u32,
    /// An answer that is lost (3, 20).
    pub unheard: u32,
    /// An answer that is cut, unsigned, forged, or somebody else's (21).
    pub spoilt: u32,
    /// A transaction that cannot be begun (39, 43).
    pub refused: u32,
    /// A commit that held, and whose writer heard otherwise (40).
    pub ambiguous: u32,
    /// The database goes away for a while (39).
    pub outages: u32,
    /// A replica dies and starts again (1 to 5, 24).
    pub crashes: u32,
    /// A replica's clock jumps (37).
    pub jumps: u32,
    /// A message is sent once more, though it was acknowledged (13).
    pub repeats: u32,
    /// A message that lies, signed (18, 61), or is forged (19).
    pub lies: u32,
    /// A payer comes back by browser, or a shop asks, while others ask too (13, 14).
    pub crowds: u32,
    /// The payer pays, or fails, out of a hundred occasions.
    pub pays: u32,
    /// Orders are closed while they are paid (23, 24).
    pub closes: u32,
    /// Refunds, several at once (27 to 30).
    pub refunds: u32,
    /// Time leaps by minutes or hours (12, 16, 33).
    pub leaps: u32,
    /// Payments are started under idempotency keys, again and on both replicas (9, 10, 12).
    pub keys: u32,
    /// A night passes, and bills come due; none: this seed has no bills.
    pub nights: u32,
    /// Bills are compared by hand, again and on both replicas (6).
    pub bills: u32,
    /// Rows of bills that are wrong, out of a hundred.
    pub flaws: u32,
    /// Refunds, reversals and disputes that are made at the provider (31, 61).
    pub elsewhere: u32,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x0007_0113_a7e5);
        let mut rate = |most: u32| {
            if chance.random_range(0..2) == 0 { 0 } else { chance.random_range(1..=most) }
        };
        // Of their own, as keys are.
        let mut other = StdRng::seed_from_u64(seed ^ 0x000b_1115);
        let has_bills = seed % 5 == 4;
        let mut share = |least: u32, most: u32| {
            if has_bills { other.random_range(least..=most) } else { 0 }
        };
        // Of their own too.
        let mut errors = StdRng::seed_from_u64(seed ^ 0x0e44_0500);
        Plan {
            whims: Whims {
                errs: errors.random_range(0..12_u32).saturating_sub(4),
                declines: rate(30),
                refuses: rate(40),
                ponders: rate(60),
                lags: rate(50),
                silent: rate(80),
                misstates: rate(60),
                bills: BillWhims { late: share(0, 60), broken: share(0, 40), twice: share(0, 50) },
            },
            unreached: rate(120),
            lost: rate(120),
            late: rate(120),
            unheard: rate(150),
            spoilt: rate(150),
            refused: rate(60),
            ambiguous: rate(60),
            outages: rate(15),
            crashes: rate(25),
            jumps: rate(15),
            repeats: rate(300),
            lies: rate(80),
            crowds: rate(120),
            pays: 100 + rate(200),
            closes: rate(40),
            refunds: 30 + rate(200),
            leaps: rate(60),
            // Of its own, in some seeds: the stories of the others stay what they were.
            keys: if seed.is_multiple_of(5) { 500 } else { 0 },
            nights: share(20, 60),
            bills: share(0, 80),
            flaws: share(0, 30),
            elsewhere: share(0, 100),
        }
    }

    /// Without bills, and what only bills tell for certain.
    pub fn without_bills(self) -> Plan {
        let whims = Whims { bills: BillWhims::default(), ..self.whims };
        Plan { whims, nights: 0, bills: 0, flaws: 0, elsewhere: 0, ..self }
    }

    /// No faults: what was promised must now come true.
    pub fn calm(&self) -> Plan {
        Plan {
            whims: Whims::default(),
            unreached: 0,
            lost: 0,
            late: 0,
            unheard: 0,
            spoilt: 0,
            refused: 0,
            ambiguous: 0,
            outages: 0,
            crashes: 0,
            jumps: 0,
            repeats: 0,
            lies: 0,
            ..self.clone()
        }
    }

    /// What becomes of a task at its gate.
    pub fn verdict(&self, gate: &Gate, chance: &mut StdRng) -> Verdict {
        let mut happens = |rate: u32| chance.random_range(0..1_000) < rate;
        match gate {
            Gate::Begin if happens(self.refused) => Verdict::Refused,
            Gate::Committed if happens(self.ambiguous) => Verdict::Unheard,
            Gate::Send(_) if happens(self.unreached) => Verdict::Refused,
            Gate::Send(_) if happens(self.lost) => Verdict::Unheard,
            Gate::Send(_) if happens(self.late) => Verdict::Late,
            Gate::Answer if happens(self.unheard) => Verdict::Unheard,
            Gate::Answer if happens(self.spoilt) => {
                let kinds = [
                    Spoiling::Broken,
                    Spoiling::Page,
                    Spoiling::Unsigned,
                    Spoiling::Forged,
                    Spoiling::Cut,
                ];
                Verdict::Spoilt(kinds[chance.random_range(0..kinds.len())])
            }
            _ => Verdict::Go,
        }
    }
}
