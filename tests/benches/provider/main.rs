//! `bench-provider`: what each provider's component costs. Prints one JSON object a line, named `provider.ID.WHAT`.
//!
//! | What | Of which |
//! |---|---|
//! | `build_ratio`, `build_ratio_rsa`, `crossing` | building a payment's request, the component beside the same Rust code in this process |
//! | `payment_ratio` | processor time of a payment, order to paid, for the RSA operations in it |
//! | `notice_ratio`, `forged_ratio` | processor time of a notification that is applied, of one that is forged, for one RSA verification |
//! | `component_size`, `instance` | the file, and a fresh store and instance |
//!
//! How it measures:
//! - What is compared is interleaved in one run and the median of at least seven ratios is told, so that a noisy neighbour
//!   meets both sides.
//! - Processor time is that of a gateway on SQLite in a process of its own, this program started again, with sixteen payments
//!   or messages under way at once. Load and simulator are here.
//! - RSA operations are timed here, in the same windows, with a key of 2048 bits that was read before.
//!
//! Stripe and PayPal sign nothing with RSA: what is counted in RSA operations is not told of them.
#![allow(clippy::result_large_err, reason = "the contract's fault is as large as it is")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops where it stands")]

mod building;
mod fixture;
mod load;
mod notices;
mod providers;
mod rsa;

use tollgate_tests::process;

use crate::load::Load;
use crate::providers::PROVIDERS;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["gateway", data, plugins] => {
            let runtime = process::counted_runtime();
            process::gateway(&runtime, data.as_ref(), plugins.as_ref(), None);
        }
        [] => measure(&PROVIDERS.map(|provider| provider.id)),
        _ => measure(&words),
    }
}

fn measure(ids: &[&str]) {
    let runtime = process::runtime();
    for id in ids {
        let Some(provider) = PROVIDERS.iter().find(|provider| provider.id == *id) else {
            eprintln!("there is no {id}: {}", PROVIDERS.map(|provider| provider.id).join(", "));
            std::process::exit(2);
        };
        let mut load = runtime.block_on(Load::start(provider));
        building::measure(provider, &load.world);
        runtime.block_on(notices::measure(&mut load));
    }
}
