//! Building the request of a payment, the component beside native code; what a fresh instance takes, and how large the
//! component is.

use tollgate_tests::World;
use tollgate_tests::call_times::{Round, Sides};
use tollgate_tests::figures::{Milli, fact, goal};

use crate::fixture::Fixture;
use crate::providers::Provider;

const PAIRS: usize = 15;
const CALLS: usize = 120;

/// Measures one provider.
pub fn measure(provider: &Provider, world: &World) {
    let fixture = Fixture::new(provider, world);
    let Fixture { plugin, keys, native, given, .. } = &fixture;
    let sides = Sides { plugin, keys, native, given, build: provider.build };
    sides.make_the_same();
    let rounds = sides.rounds(PAIRS, CALLS);
    let name = |what: &str| format!("provider.{}.{what}", provider.id);
    let built = rounds.ratio(|round| (round.building(), round.native.rest));
    goal(&name("build_ratio"), built, "ratio", Milli::whole(3));
    if provider.rsa.is_some() {
        let with_rsa = rounds.ratio(|round| (round.component.whole, round.native.whole));
        goal(&name("build_ratio_rsa"), with_rsa, "ratio", Milli(1100));
    }
    let crossing = rounds.time(|round| round.refused.rest);
    goal(&name("crossing"), crossing, "us", Milli::whole(25));
    fact(&name("instance"), rounds.time(|round| round.component.starting), "us");
    fact(&name("build"), rounds.time(Round::building), "us");
    fact(&name("build_native"), rounds.time(|round| round.native.rest), "us");
    let size = std::fs::metadata(&fixture.file).unwrap().len();
    fact(&name("component_size"), Milli::whole(size), "bytes");
}
