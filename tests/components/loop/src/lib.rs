//! Never comes back from `build`: only the deadline ends it.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

use tollgate_sdk::contract::requests::{Operation, Step};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{Context, Fault};
use tollgate_test_base::{Behaviour, Component};

struct Loop;

impl Behaviour for Loop {
    const ID: &'static str = "loop";

    fn build(_: &Context, _: &Keyring, _: &Operation) -> Result<Step, Fault> {
        loop {
            std::hint::black_box(());
        }
    }
}

type Plugin = Component<Loop>;
tollgate_sdk::export!(Plugin);
