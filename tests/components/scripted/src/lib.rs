//! A provider that a simulation scripts: it closes, and can be asked about everything.

#![cfg(target_family = "wasm")]

use tollgate_test_script::{Rules, Script};

struct Scripted;

impl Rules for Scripted {
    const ID: &'static str = "scripted";
    const CLOSES: bool = true;
    const TAKES: bool = false;
    const KNOWS_REFUNDS: bool = true;
}

type Plugin = Script<Scripted>;
tollgate_sdk::export!(Plugin);
