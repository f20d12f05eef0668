//! Building the request of a payment: the component against the same Rust code in this process. How a call's time is
//! taken apart, `tollgate_tests::call_times` tells.

use std::time::Instant;

use tollgate_tests::arguments::host;
use tollgate_tests::call_times::{BuildsHere, Round, Sides};
use tollgate_tests::figures::{Milli, fact, goal, median};

use crate::fixture::Fixture;

const PAIRS: usize = 21;
const CALLS: usize = 120;

pub fn measure() {
    let fixture = Fixture::new();
    let Fixture { plugin, keys, native, given, .. } = &fixture;
    let build: BuildsHere = |context, keys, pay| tollgate_alipay::build(context, keys, pay);
    let sides = Sides { plugin, keys, native, given, build };
    sides.make_the_same();
    let rounds = sides.rounds(PAIRS, CALLS);
    goal(
        "payment request, component / native, no RSA",
        rounds.ratio(|round| (round.building(), round.native.rest)),
        "ratio",
        Milli::whole(3),
    );
    goal(
        "fresh instance and crossing",
        rounds.time(|round| round.refused.rest),
        "us",
        Milli::whole(25),
    );
    goal(
        "payment request, component / native, with RSA",
        rounds.ratio(|round| (round.component.whole, round.native.whole)),
        "ratio",
        Milli(1100),
    );
    fact(
        "component with its instance / native, no RSA",
        rounds.ratio(|round| (round.component.rest, round.native.rest)),
        "ratio",
    );
    fact("payment request, component, no RSA", rounds.time(|round| round.component.rest), "us");
    fact("  of it a fresh store and instance", rounds.time(|round| round.component.starting), "us");
    fact(
        "  of it arguments in, answer out, wiping",
        rounds.time(|round| round.refused.rest.saturating_sub(round.refused.starting)),
        "us",
    );
    fact("  of it building", rounds.time(Round::building), "us");
    fact("payment request, native, no RSA", rounds.time(|round| round.native.rest), "us");
    fact("payment request, component, with RSA", rounds.time(|round| round.component.whole), "us");
    fact("payment request, native, with RSA", rounds.time(|round| round.native.whole), "us");
    fact("RSA-2048 signature in the host", rounds.time(|round| round.component.signing), "us");
    fact("RSA-2048 signature in native code", rounds.time(|round| round.native.signing), "us");
    fact("payment request, with its turn", with_its_turn(&fixture), "us");
}

/// The whole call as flows make it, from its turn on.
fn with_its_turn(fixture: &Fixture) -> Milli {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let calls = runtime.block_on(async {
        let mut calls = Vec::new();
        for _ in 0..CALLS * 4 {
            let (context, operation) = (host::context(&fixture.given), host::pay(&fixture.given));
            let started = Instant::now();
            let called = fixture.plugin.build(context, &fixture.keys, &operation, Vec::new()).await;
            calls.push(started.elapsed());
            assert!(called.unwrap().answer.is_ok());
        }
        calls
    });
    Milli::micros(median(calls))
}
