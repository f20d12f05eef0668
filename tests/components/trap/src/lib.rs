//! Panics in `build`.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

use tollgate_sdk::contract::requests::{Operation, Step};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{Context, Fault};
use tollgate_test_base::{Behaviour, Component};

struct Trap;

impl Behaviour for Trap {
    const ID: &'static str = "trap";

    fn build(_: &Context, _: &Keyring, _: &Operation) -> Result<Step, Fault> {
        panic!("this component traps on purpose")
    }
}

type Plugin = Component<Trap>;
tollgate_sdk::export!(Plugin);
