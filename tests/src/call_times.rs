//! What one call of a component takes beside the same Rust code in this process.
//!
//! A call's time in the component has three parts, and each has its goal:
//! - what every call costs, whatever it does: a fresh store and instance, the payment's arguments in, an answer out, and
//!   the instance wiped. It is measured by a payment that the plugin refuses at once, with the same arguments;
//! - building: what the call takes beyond that, but for its signature. This is compared with native code, which needs
//!   none of the first part;
//! - the signature. The ratio with it compares all of the call, the first part included.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_plugin::contract::{Context, Operation};
use tollgate_plugin::{Keys, Plugin};
use tollgate_sdk::contract::{requests as native_requests, types as native_types};

use crate::arguments::{Given, host, native};
use crate::figures::{Milli, median};
use crate::timed_keys::TimedKeys;

/// A call's time, and two parts of it.
#[derive(Clone, Copy)]
pub struct Took {
    whole: Duration,
    signing: Duration,
    starting: Duration,
}

impl Took {
    /// One call of a component, on this thread.
    pub fn by_component(
        plugin: &Plugin,
        keys: &Arc<Keys>,
        context: &Context,
        operation: &Operation,
        is_built: bool,
    ) -> Took {
        let started = Instant::now();
        let called = plugin.build_here(context, keys, operation, &[]);
        let whole = started.elapsed();
        let called = called.unwrap();
        assert_eq!(called.answer.is_ok(), is_built);
        Took { whole, signing: called.in_keys, starting: called.starting }
    }

    /// One call of native code with these keys.
    pub fn by_native<T, E>(keys: &TimedKeys, build: impl FnOnce() -> Result<T, E>) -> Took {
        let started = Instant::now();
        let built = build();
        let whole = started.elapsed();
        assert!(built.is_ok());
        Took { whole, signing: keys.took(), starting: Duration::ZERO }
    }
}

/// Median calls of one kind.
pub struct Side {
    /// All of the call.
    pub whole: Duration,
    /// All but the signature.
    pub rest: Duration,
    /// The signature.
    pub signing: Duration,
    /// A fresh store and instance.
    pub starting: Duration,
}

impl Side {
    fn of(calls: &[Took]) -> Side {
        let middle = |of: &dyn Fn(&Took) -> Duration| median(calls.iter().map(of).collect());
        Side {
            whole: middle(&|took| took.whole),
            rest: middle(&|took| took.whole.saturating_sub(took.signing)),
            signing: middle(&|took| took.signing),
            starting: middle(&|took| took.starting),
        }
    }
}

/// The same number of calls of each kind, interleaved.
pub struct Round {
    /// Of the component.
    pub component: Side,
    /// Of the component, refused at once.
    pub refused: Side,
    /// Of native code.
    pub native: Side,
}

impl Round {
    /// What the component takes beyond a call that it refuses at once, and beyond the signature.
    pub fn building(&self) -> Duration {
        self.component.rest.saturating_sub(self.refused.rest)
    }
}

/// The kinds of calls.
pub struct Calls<'a> {
    /// Of the component.
    pub component: &'a dyn Fn() -> Took,
    /// Of the component, refused at once.
    pub refused: &'a dyn Fn() -> Took,
    /// Of native code.
    pub native: &'a dyn Fn() -> Took,
}

impl Calls<'_> {
    fn round(&self, calls: usize) -> Round {
        let (mut component, mut refused, mut native) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..calls {
            component.push((self.component)());
            refused.push((self.refused)());
            native.push((self.native)());
        }
        Round {
            component: Side::of(&component),
            refused: Side::of(&refused),
            native: Side::of(&native),
        }
    }
}

/// Rounds, of which the median is told.
pub struct Rounds(Vec<Round>);

impl Rounds {
    /// So many rounds, each of so many calls of each kind.
    pub fn run(rounds: usize, calls: usize, kinds: &Calls<'_>) -> Rounds {
        // The first round warms caches and the pool of instances.
        Rounds((0..=rounds).map(|_| kinds.round(calls)).skip(1).collect())
    }

    /// The median of a ratio.
    pub fn ratio(&self, of: impl Fn(&Round) -> (Duration, Duration)) -> Milli {
        let ratio = |round: &Round| {
            let (one, other) = of(round);
            Milli::ratio(one, other)
        };
        median(self.0.iter().map(ratio).collect())
    }

    /// The median of a time, in microseconds.
    pub fn time(&self, of: impl Fn(&Round) -> Duration) -> Milli {
        Milli::micros(median(self.0.iter().map(of).collect()))
    }
}

/// Builds the request of a payment in this process.
pub type BuildsHere = fn(
    &native_types::Context,
    &TimedKeys,
    &native_requests::Operation,
) -> Result<native_requests::Step, native_types::Fault>;

/// One plugin as a component and as native code, with the same keys, account and payment.
pub struct Sides<'a> {
    /// The component.
    pub plugin: &'a Plugin,
    /// Its keys, as the host holds them.
    pub keys: &'a Arc<Keys>,
    /// The same keys for native code.
    pub native: &'a TimedKeys,
    /// The account, and how its payers pay.
    pub given: &'a Given,
    /// The native code.
    pub build: BuildsHere,
}

impl Sides<'_> {
    /// So many rounds of building a payment's request, each of so many calls of each kind.
    #[expect(clippy::result_large_err, reason = "the contract's fault is a record")]
    pub fn rounds(&self, rounds: usize, calls: usize) -> Rounds {
        let component = |operation: &Operation, is_built| {
            Took::by_component(
                self.plugin,
                self.keys,
                &host::context(self.given),
                operation,
                is_built,
            )
        };
        let kinds = Calls {
            component: &|| component(&host::pay(self.given), true),
            refused: &|| component(&host::refused(self.given), false),
            native: &|| {
                let (context, pay) = (native::context(self.given), native::pay(self.given));
                Took::by_native(self.native, || (self.build)(&context, self.native, &pay))
            },
        };
        Rounds::run(rounds, calls, &kinds)
    }

    /// Both sides make the same request or form, or nothing else that is measured means anything. Their types have the same
    /// words.
    pub fn make_the_same(&self) {
        let (context, pay) = (host::context(self.given), host::pay(self.given));
        let called = self.plugin.build_here(&context, self.keys, &pay, &[]).unwrap();
        let (context, pay) = (native::context(self.given), native::pay(self.given));
        let built = (self.build)(&context, self.native, &pay).unwrap();
        assert_eq!(format!("{:?}", called.answer.unwrap()), format!("{built:?}"));
    }
}
