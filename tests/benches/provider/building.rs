//! Building the request of a payment, the component beside native code; what a fresh instance takes, and how large the
//! component is.

use tollgate_plugin::contract::Operation;
use tollgate_tests::World;
use tollgate_tests::arguments::{host, native};
use tollgate_tests::call_times::{Calls, Round, Rounds, Took};
use tollgate_tests::figures::{Milli, fact, goal};

use crate::fixture::Fixture;
use crate::providers::Provider;

const PAIRS: usize = 15;
const CALLS: usize = 120;

/// Measures one provider.
pub fn measure(provider: &Provider, world: &World) {
    let fixture = Fixture::new(provider, world);
    same_result(provider, &fixture);
    let rounds = rounds(provider, &fixture);
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

fn rounds(provider: &Provider, fixture: &Fixture) -> Rounds {
    let (given, plugin, keys) = (&fixture.given, &fixture.plugin, &fixture.keys);
    let component = |operation: &Operation, is_built| {
        Took::by_component(plugin, keys, &host::context(given), operation, is_built)
    };
    let kinds = Calls {
        component: &|| component(&host::pay(given), true),
        refused: &|| component(&host::refused(given), false),
        native: &|| {
            let (context, pay) = (native::context(given), native::pay(given));
            Took::by_native(&fixture.native, || (provider.build)(&context, &fixture.native, &pay))
        },
    };
    Rounds::run(PAIRS, CALLS, &kinds)
}

/// Both sides make the same request or form, or nothing else that is measured means anything. Their types have the same words.
fn same_result(provider: &Provider, fixture: &Fixture) {
    let given = &fixture.given;
    let (context, pay) = (host::context(given), host::pay(given));
    let called = fixture.plugin.build_here(&context, &fixture.keys, &pay, &[]).unwrap();
    let built = (provider.build)(&native::context(given), &fixture.native, &native::pay(given));
    assert_eq!(format!("{:?}", called.answer.unwrap()), format!("{:?}", built.unwrap()));
}
