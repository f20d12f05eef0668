//! Allocates in `build` until it is refused, and then dies of it.

#![cfg(target_family = "wasm")]
#![allow(clippy::result_large_err)]

use tollgate_sdk::contract::requests::{Operation, Step};
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{Context, Fault};
use tollgate_test_base::{Behaviour, Component};

struct Memory;

impl Behaviour for Memory {
    const ID: &'static str = "memory";

    fn build(_: &Context, _: &Keyring, _: &Operation) -> Result<Step, Fault> {
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            // Written to, so that every page is really there.
            held.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    }
}

type Plugin = Component<Memory>;
tollgate_sdk::export!(Plugin);
