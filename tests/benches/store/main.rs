//! `bench-store`: what durable orders and claimed jobs cost beside the same statements by hand, on SQLite and on
//! PostgreSQL. Prints one JSON object a line.
//!
//! How it measures:
//! - What is compared is interleaved in one run on the same database, and the median ratio of seven pairs is told, so
//!   that a noisy neighbour meets both sides.
//! - Orders are made by the function that the API calls, [`tollgate::flows::orders::create`], and counted once they are
//!   durable; jobs are claimed by the function that the worker calls, [`tollgate::flows::due::claim`].
//! - Both databases make commits durable, on the disk that the build is on or that temporary files are on.
//! - Overload is a gateway in a process of its own, asked over HTTP by shops in this one.
//! - Calls that make a file durable are counted where they are made (`shim.c`): in a process of its own that makes orders
//!   on SQLite, this program started again, and in all processes of the PostgreSQL server, its checkpoints among them.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on stops where it stands")]

mod bare;
mod claims;
mod ground;
mod orders;
mod overload;
mod replicas;

use ground::{Ground, Server};
use tollgate_tests::process;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = process::runtime();
    if let ["gateway", data, plugins] = words[..] {
        return process::gateway(
            &runtime,
            data.as_ref(),
            plugins.as_ref(),
            Some(overload::ALLOWED),
        );
    }
    runtime.block_on(async {
        match words[..] {
            ["orders-on", folder] => orders::make_some(&Ground::on_sqlite(folder.as_ref())).await,
            [] => measure(&["orders", "replicas", "claims", "overload"]).await,
            _ => measure(&words).await,
        }
    });
}

async fn measure(names: &[&str]) {
    let server = Server::start();
    for name in names {
        match *name {
            "orders" => orders::measure(&server).await,
            "replicas" => replicas::measure(&server).await,
            "claims" => claims::measure(&server).await,
            "overload" => overload::measure().await,
            other => panic!("there is no {other}: orders, replicas, claims, overload"),
        }
    }
}
