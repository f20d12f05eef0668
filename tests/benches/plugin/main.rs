//! `bench-plugin`: what the sandbox costs and what it holds, on Alipay's plugin. Prints one JSON object a line.
//!
//! How it measures:
//! - What is compared is interleaved in one run and the median ratio of at least seven pairs is told, so that a noisy
//!   neighbour meets both sides.
//! - The native side is the plugin's own crate, linked into this program, with RSA keys in memory. The component side is
//!   `Plugin::build` and `Plugin::read` as flows call them, without the wait for a turn, which is told apart.
//! - "Without the signature" takes out of each single call the time that its own RSA operation took, measured around
//!   that operation on both sides, and takes the median call: a difference of two large means would drown in noise.
//! - A gateway whose memory or latency is measured is a process of its own, this program started again; so is the
//!   provider. Load comes from here.
#![allow(clippy::result_large_err, reason = "the contract's fault is as large as it is")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops where it stands")]

mod beside;
mod bill;
mod building;
mod fixture;
mod notices;

use tollgate_tests::process;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["gateway", data, plugins] => {
            process::gateway(&process::runtime(), data.as_ref(), plugins.as_ref(), None)
        }
        ["simulator"] => process::simulator(),
        [] => measure(&["building", "notices", "bill", "beside"]),
        _ => measure(&words),
    }
}

fn measure(names: &[&str]) {
    for name in names {
        match *name {
            "building" => building::measure(),
            "notices" => notices::measure(),
            "bill" => bill::measure(),
            "beside" => beside::measure(),
            other => {
                eprintln!("there is no {other}: building, notices, bill, beside");
                std::process::exit(2);
            }
        }
    }
}
