//! Which part may name which: dependencies point one way, and what must stay in one place does.

use crate::text::hits;
use crate::{SourceFile, assert_none, files, is_this_test};

/// The running gateway without its plugins.
const GATEWAY: [&str; 3] = ["host/domain/", "host/plugin/", "host/server/"];

/// What the domain may stand on: nothing that does I/O, waits, or knows what time it is.
const DOMAIN_DEPENDENCIES: [&str; 6] =
    ["iso_currency", "jiff", "serde", "serde_json", "thiserror", "uuid"];

/// The only sources that may switch the lint `unsafe_code` off: the loader of precompiled code, calls of functions whose types
/// were checked before, the memory that tests of secrecy look into, the generated bindings, a component's heap, and
/// components for tests, which reach for what they must not have.
const UNSAFE_PLACES: [&str; 7] = [
    "host/plugin/src/cache",
    "host/plugin/src/exports.rs",
    "host/plugin/src/witness.rs",
    "host/plugin/tests/freed.rs",
    "plugins/sdk/src/heap.rs",
    "plugins/sdk/src/lib.rs",
    "tests/components/",
];

#[test]
fn the_gateway_names_no_provider() {
    let providers = ["alipay", "wechat", "unionpay", "stripe", "paypal"];
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_in(&GATEWAY) && !file.path.contains("/tests/"))
    {
        let lower = SourceFile { path: file.path.clone(), text: file.text.to_lowercase() };
        for provider in providers {
            broken.extend(hits(&lower, provider).map(|hit| format!("{hit}: {provider}")));
        }
    }
    assert_none(&broken, "what a provider needs belongs into its plugin:");
}

#[test]
fn one_crate_names_the_engine() {
    let mut broken = Vec::new();
    let elsewhere = |file: &&SourceFile| !file.is_in(&["host/plugin/"]) && !is_this_test(file);
    for file in files().iter().filter(elsewhere) {
        if file.is_rust() {
            broken
                .extend(["wasmtime::", "wasmtime_wasi::"].iter().flat_map(|word| hits(file, word)));
        } else if file.path.ends_with("/Cargo.toml") {
            broken.extend(
                dependencies(file, "").into_iter().filter(|name| name.contains("wasmtime")),
            );
        }
    }
    assert_none(&broken, "only host/plugin knows what runs plugins:");
}

#[test]
fn the_domain_is_pure() {
    let files = files();
    let manifest = files.iter().find(|file| file.path == "host/domain/Cargo.toml").unwrap();
    let mut broken = dependencies(manifest, "[dependencies]");
    assert!(!broken.is_empty(), "the dependencies of the domain were not found");
    broken.retain(|name| !DOMAIN_DEPENDENCIES.contains(&name.as_str()));
    let impure =
        ["std::time::", "::now()", "now_v7", "std::fs", "std::net", "std::thread", "async fn"];
    for file in files.iter().filter(|file| file.is_in(&["host/domain/src/"])) {
        broken.extend(impure.iter().flat_map(|word| hits(file, word)));
    }
    assert_none(&broken, "the domain has no I/O, clock or chance; they are arguments:");
}

/// The names in a section of a manifest, or in all of its dependency sections.
fn dependencies(manifest: &SourceFile, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.text.lines() {
        if line.starts_with('[') {
            inside =
                if section.is_empty() { line.contains("dependencies") } else { line == section };
        } else if inside && let Some((name, _)) = line.split_once(['=', '.', ' ']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}

#[test]
fn unsafe_code_stays_in_its_places() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && !is_this_test(file)) {
        if !file.is_in(&UNSAFE_PLACES) {
            broken.extend(hits(file, "allow(unsafe_code"));
        }
    }
    assert_none(&broken, "unsafe code needs a reason that holds, and one of the known places:");
}

#[test]
fn rows_are_written_by_flows_through_the_store_alone() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_in(&["host/server/src/"])) {
        // A test may set up rows that no flow would write.
        let is_test = file.path.ends_with("tests.rs");
        if !is_test && !file.is_in(&["host/server/src/store"]) {
            for statement in ["INSERT INTO", "DELETE FROM", "UPDATE "] {
                broken.extend(
                    hits(file, statement).map(|hit| format!("{hit}: {statement} is for store/")),
                );
            }
        }
        let face = ["host/server/src/api", "host/server/src/cashier", "host/server/src/jobs"];
        if !is_test && file.is_in(&face) {
            broken.extend(hits(file, "store.write").map(|hit| format!("{hit}: call a flow")));
            // Who holds a connection can write through it. One asks whether there is any.
            if !file.path.ends_with("api/health.rs") {
                broken.extend(hits(file, ".read().await").map(|hit| format!("{hit}: call a flow")));
            }
        }
    }
    assert_none(&broken, "who else writes can break what flows guarantee:");
}

#[test]
fn flows_get_time_and_chance_as_arguments() {
    let impure = [
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now",
        "now_v7",
        "rand::rng",
        "tokio::spawn",
        "sleep(",
    ];
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_in(&["host/server/src/flows"])) {
        for word in impure {
            broken.extend(hits(file, word).map(|hit| format!("{hit}: {word}")));
        }
    }
    assert_none(&broken, "a simulation must be able to set these:");
}

#[test]
fn a_simulator_shares_no_code_with_a_plugin() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_in(&["host/simulator/"])) {
        for word in ["tollgate-sdk", "tollgate_sdk", "tollgate-alipay", "tollgate_alipay"] {
            broken.extend(hits(file, word));
        }
    }
    assert_none(&broken, "a mistake that both sides share is never seen:");
}

#[test]
fn tags_are_compared_in_constant_time() {
    let mut broken = Vec::new();
    let words =
        ["== signature", "signature ==", "== tag", "tag ==", "== mac", "mac ==", "signature.eq("];
    for file in files().iter().filter(|file| file.is_in(&["host/plugin/src/", "host/server/src/"]))
    {
        let is_test = file.path.ends_with("tests.rs");
        for word in words.iter().filter(|_| file.is_rust() && !is_test) {
            broken.extend(hits(file, word));
        }
    }
    assert_none(&broken, "the time that a comparison takes tells a forger how far he is:");
}
