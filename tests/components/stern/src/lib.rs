//! A provider that a simulation scripts, with other rules: nothing can be closed, what a payer approves is still to be taken, and
//! of refunds it tells by itself alone.

#![cfg(target_family = "wasm")]

use tollgate_test_script::{Rules, Script};

struct Stern;

impl Rules for Stern {
    const ID: &'static str = "stern";
    const CLOSES: bool = false;
    const TAKES: bool = true;
    const KNOWS_REFUNDS: bool = false;
}

type Plugin = Script<Stern>;
tollgate_sdk::export!(Plugin);
