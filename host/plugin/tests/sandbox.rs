//! Components that behave and components that do not: what is loaded, what is refused, and what a call may cost.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Folder, Sample, context, operation};
use tollgate_plugin::contract::{Channel, Fault, Inbound, Step, Verdict};
use tollgate_plugin::{CallError, Called, Exchange, Keys, Lane, Limits, Plugin};

const LOOP: &str = "(loop $again (br $again)) unreachable";

fn limits() -> Limits {
    Limits {
        call_deadline: Duration::from_millis(150),
        describe_deadline: Duration::from_millis(150),
        memory_bytes: 8 << 20,
        queue_wait: Duration::from_secs(20),
        ..Limits::default()
    }
}

fn message() -> Inbound {
    Inbound {
        channel: Channel::Notification,
        method: "POST".into(),
        url: "https://shop.example.com/notify/1".into(),
        query: String::new(),
        headers: Vec::new(),
        body: b"a=1".to_vec(),
        received_ms: 0,
    }
}

type Built = Result<Called<Result<Step, Fault>>, CallError>;

async fn build(plugin: &Plugin) -> Built {
    let keys = Arc::new(Keys::none());
    plugin.build(context(), &keys, &operation(), Vec::new()).await
}

fn one(build: &'static str) -> (Folder, Arc<Plugin>) {
    Sample { build, ..Sample::default() }.alone(limits())
}

#[tokio::test]
async fn a_component_is_described_and_called() {
    let (_folder, plugin) = one("");
    assert_eq!(plugin.manifest().version, "1.0.0");
    let ours = |name: &String| name.starts_with("tollgate:provider/");
    assert!(plugin.imports().iter().all(ours));
    assert_eq!(plugin.digest().len(), 64);
    let called = build(&plugin).await.unwrap();
    assert_eq!(called.answer.unwrap_err().code, "unsupported");
    assert!(called.memory >= 65536);
    let keys = Arc::new(Keys::none());
    let reply = plugin.acknowledge(context(), &keys, message(), Verdict::Accepted).await.unwrap();
    assert_eq!(reply.answer.status, 200);
    assert_eq!(plugin.health()[0].calls, 1);
}

#[test]
fn what_the_host_does_not_send_is_recorded_without_a_request() {
    let (_folder, plugin) = one("");
    let exchange = Exchange::unsent(&plugin, "pay", &context());
    assert_eq!((exchange.plugin.as_str(), exchange.operation.as_str()), ("sample", "pay"));
    assert_eq!(exchange.digest, plugin.digest());
    let kept = serde_json::to_string(&exchange).unwrap();
    assert!(kept.contains("\"request\":null"), "{kept}");
    assert_eq!(serde_json::from_str::<Exchange>(&kept).unwrap(), exchange);
}

#[tokio::test]
async fn nothing_is_left_of_one_call_in_the_next() {
    // It traps if memory was ever written before.
    let (_folder, plugin) = one("(if (i32.load (i32.const 60000)) (then unreachable))
         (i32.store (i32.const 60000) (i32.const 1))
         unreachable");
    let first = build(&plugin).await.unwrap_err();
    let second = build(&plugin).await.unwrap_err();
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_loop_ends_at_its_deadline_and_then_in_quarantine() {
    let (_folder, plugin) = one(LOOP);
    for _ in 0..5 {
        let started = Instant::now();
        assert_eq!(build(&plugin).await.unwrap_err(), CallError::Deadline);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    let refused = build(&plugin).await.unwrap_err();
    assert!(refused.to_string().contains("quarantine: the plugin ran out of time"), "{refused}");
    let health = plugin.health();
    assert_eq!((health[0].lane, health[0].failures), (Lane::Requests, 5));
    assert!(health[0].quarantine.is_some());
    // Its messages are still read.
    let keys = Arc::new(Keys::none());
    let verdict = Verdict::Busy;
    let reply = plugin.acknowledge(context(), &keys, message(), verdict).await;
    assert!(reply.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_plugin_leaves_its_neighbour_a_turn() {
    let folder = Folder::new();
    let hanging = Sample { id: "hanging", build: LOOP, ..Sample::default() };
    folder.put("hanging.wasm", &hanging.component());
    folder.put("sample.wasm", &Sample::default().component());
    let registry = folder.open(Limits { call_deadline: Duration::from_millis(800), ..limits() });
    let (bad, good) = (registry.get("hanging").unwrap(), registry.get("sample").unwrap());
    let stuck: Vec<_> = (0..8)
        .map(|_| {
            let bad = Arc::clone(&bad);
            tokio::spawn(async move { build(&bad).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // More calls than turns are stuck, and this one waits for none of them.
    let called = build(&good).await.unwrap();
    assert_eq!(called.answer.unwrap_err().code, "unsupported");
    assert!(!stuck.iter().any(tokio::task::JoinHandle::is_finished));
    for call in stuck {
        assert!(call.await.unwrap().is_err());
    }
}

/// Whoever waits for a turn when a quarantine begins is refused with all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_before_a_plugin_that_hangs_does_not_wait_its_quarantine_out() {
    let folder = Folder::new();
    folder.put(
        "hanging.wasm",
        &Sample { id: "hanging", build: LOOP, ..Sample::default() }.component(),
    );
    let registry = folder.open(Limits { call_deadline: Duration::from_millis(100), ..limits() });
    let bad = registry.get("hanging").unwrap();
    let crowd: Vec<_> = (0..40)
        .map(|_| {
            let bad = Arc::clone(&bad);
            tokio::spawn(async move { build(&bad).await.unwrap_err() })
        })
        .collect();
    let mut refused = 0;
    for call in crowd {
        refused += u64::from(matches!(call.await.unwrap(), CallError::Refused { .. }));
    }
    let health = bad.health()[0].clone();
    // Sixteen have turns at once, and before the fifth failure four more may get one.
    assert!(refused >= 20 && health.failures + refused == 40, "{refused} refused: {health:?}");
    assert!(health.quarantine.unwrap().remaining <= limits().quarantine);
}

/// More plugins hang than there are places: each gives its place to a neighbour once it has had its time of a processor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_that_hang_in_all_places_leave_them_to_a_neighbour() {
    let folder = Folder::new();
    let ids = ["hang-a", "hang-b", "hang-c", "hang-d", "hang-e"];
    for id in ids {
        let hanging = Sample { id, build: LOOP, ..Sample::default() };
        folder.put(&format!("{id}.wasm"), &hanging.component());
    }
    folder.put("sample.wasm", &Sample::default().component());
    let registry = folder.open(Limits { call_deadline: Duration::from_secs(3), ..limits() });
    let stuck: Vec<_> = ids
        .map(|id| registry.get(id).unwrap())
        .into_iter()
        .map(|bad| tokio::spawn(async move { build(&bad).await }))
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let good = registry.get("sample").unwrap();
    let called = build(&good).await.unwrap();
    assert_eq!(called.answer.unwrap_err().code, "unsupported");
    assert!(!stuck.iter().any(tokio::task::JoinHandle::is_finished));
    for call in stuck {
        assert_eq!(call.await.unwrap().unwrap_err(), CallError::Deadline);
    }
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_and_told_as_such() {
    let (_folder, plugin) = one("(loop $again
           (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
         unreachable");
    assert_eq!(build(&plugin).await.unwrap_err(), CallError::Memory);
}

#[tokio::test]
async fn a_trap_tells_where() {
    let (_folder, plugin) = one("unreachable");
    let error = build(&plugin).await.unwrap_err();
    let CallError::Trap { reason } = &error else {
        panic!("{error}");
    };
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(reason.contains("build"), "{reason}");
}

#[tokio::test]
async fn deep_recursion_and_odd_answers_are_traps() {
    let bodies = [
        "(call $build (local.get 0))",
        // Not UTF-8: a fault whose code points at bytes of the wrong kind.
        "(i32.store8 (i32.const 50000) (i32.const 1))
         (i32.store (i32.const 50008) (i32.const 50100))
         (i32.store (i32.const 50012) (i32.const 1))
         (i32.store8 (i32.const 50100) (i32.const 255))
         i32.const 50000",
        // No such case of the result.
        "(i32.store8 (i32.const 50000) (i32.const 9)) i32.const 50000",
        // An answer outside of memory.
        "i32.const -8",
    ];
    for body in bodies {
        let (_folder, plugin) = one(body);
        let error = build(&plugin).await.unwrap_err();
        assert!(matches!(error, CallError::Trap { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_off() {
    let (_folder, plugin) = one("(loop $again
           (call $log (i32.const 1) (i32.const 4096) (i32.const 4)) (br $again))
         unreachable");
    let error = build(&plugin).await.unwrap_err();
    assert!(error.to_string().contains("too many log"), "{error}");
}

#[tokio::test]
async fn a_huge_string_for_the_host_is_cut_off() {
    // 7 MiB a line are more than a call may hand over in log text, and are never kept.
    let (_folder, plugin) = one("(drop (memory.grow (i32.const 110)))
         (call $log (i32.const 1) (i32.const 65536) (i32.const 7000000))
         unreachable");
    let error = build(&plugin).await.unwrap_err();
    assert!(error.to_string().contains("too many log bytes"), "{error}");
}

#[test]
fn files_that_are_no_plugin_are_refused_with_a_reason() {
    let folder = Folder::new();
    let forbidden = r#"(component (import "wasi:sockets/tcp@0.2.6" (instance)))"#;
    folder.put("a-forbidden.wasm", &wat::parse_str(forbidden).unwrap());
    folder.put("b-text.wasm", b"hello");
    folder.put("c-nothing.wasm", &wat::parse_str("(component)").unwrap());
    folder.put("d-module.wasm", &wat::parse_str("(module)").unwrap());
    folder.put("e-large.wasm", &vec![0; 3 << 20]);
    let looping = Sample { describe: LOOP, ..Sample::default() };
    folder.put("f-loop.wasm", &looping.component());
    let starting = Sample {
        more: "(func $start (loop $again (br $again))) (start $start)",
        ..Sample::default()
    };
    folder.put("g-start.wasm", &starting.component());
    let odd = Sample { version: "one", ..Sample::default() };
    folder.put("h-odd.wasm", &odd.component());
    folder.put("sample.wasm", &Sample::default().component());
    let twin = Sample { version: "2.0.0", ..Sample::default() };
    folder.put("j-twin.wasm", &twin.component());
    folder.put("notes.txt", b"not looked at");
    let registry = folder.open(Limits { component_bytes: 2 << 20, ..limits() });
    let wanted = [
        ("a-forbidden.wasm", "imports wasi:sockets/tcp, which no plugin may use"),
        ("b-text.wasm", "does not compile"),
        ("c-nothing.wasm", "does not export tollgate:provider/provider"),
        ("d-module.wasm", "does not compile"),
        ("e-large.wasm", "larger than"),
        ("f-loop.wasm", "ran out of time"),
        ("g-start.wasm", "ran out of time"),
        ("h-odd.wasm", "version \"one\" is not like 1.2.3"),
        ("j-twin.wasm", "is the plugin sample, whose file is sample.wasm"),
    ];
    let refused = registry.refused();
    assert_eq!(refused.len(), wanted.len(), "{refused:?}");
    for (refused, (file, reason)) in refused.iter().zip(wanted) {
        assert_eq!(refused.file, file);
        assert!(refused.reason.contains(reason), "{refused:?}");
        assert!(!refused.reason.contains('\n'));
    }
    assert_eq!(registry.plugins().len(), 1);
}

#[tokio::test]
async fn a_new_version_takes_over_and_a_broken_one_does_not() {
    let folder = Folder::new();
    folder.put("sample.wasm", &Sample::default().component());
    let registry = folder.open(limits());
    let old = registry.get("sample").unwrap();
    assert_eq!(registry.reload().unwrap().unchanged, ["sample"]);

    let newer = Sample { version: "1.1.0", ..Sample::default() };
    folder.put("sample.wasm", &newer.component());
    assert_eq!(registry.reload().unwrap().loaded, ["sample"]);
    let new = registry.get("sample").unwrap();
    assert_eq!(new.manifest().version, "1.1.0");
    // Whoever holds the old one goes on with it.
    assert!(build(&old).await.is_ok());

    folder.put("sample.wasm", b"half a file");
    let told = registry.reload().unwrap();
    assert_eq!(told.refused.len(), 1);
    let still = registry.get("sample").unwrap();
    assert_eq!(still.digest(), new.digest());
    assert!(build(&still).await.is_ok());

    std::fs::remove_file(folder.path("sample.wasm")).unwrap();
    assert_eq!(registry.reload().unwrap().removed, ["sample"]);
    assert!(registry.get("sample").is_none());
}

#[tokio::test]
async fn a_dropped_future_does_not_stop_the_guest() {
    let (_folder, plugin) = one(LOOP);
    let call = tokio::time::timeout(Duration::from_millis(20), build(&plugin)).await;
    assert!(call.is_err(), "dropped before its deadline");
    // The guest goes on to its own end, and that is what is counted.
    let end = Instant::now() + Duration::from_secs(10);
    while plugin.health()[0].failures == 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(plugin.health()[0].failures, 1);
}
