//! Calls that are not brisk: where they go on, and what of an executor they take. A program of its own, since it looks at
//! its threads.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Folder, Sample, context, operation};
use tollgate_plugin::contract::{Fault, Step};
use tollgate_plugin::{CallError, Called, Keys, Limits, Plugin};

const LOOP: &str = "(loop $again (br $again)) unreachable";
/// Writes the first four bytes of its memory's image to standard error and traps.
const LAST_WORDS: &str = "(local $stream i32)
    (local.set $stream (call $stderr))
    (call $write (local.get $stream) (i32.const 4096) (i32.const 4) (i32.const 60000))
    (call $close (local.get $stream))
    unreachable";

fn one(sample: Sample) -> (Folder, Arc<Plugin>) {
    sample.alone(Limits { call_deadline: Duration::from_millis(300), ..Limits::default() })
}

async fn build(plugin: &Plugin) -> Result<Called<Result<Step, Fault>>, CallError> {
    plugin.build(context(), &Arc::new(Keys::none()), &operation(), Vec::new()).await
}

/// The executor here has one thread, and it is not the loop's for long.
#[tokio::test]
async fn what_hangs_leaves_the_executor_to_others() {
    let (_folder, plugin) = one(Sample { build: LOOP, ..Sample::default() });
    let call = tokio::spawn(async move { build(&plugin).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!call.is_finished(), "it runs until its deadline");
    assert_eq!(call.await.unwrap().unwrap_err(), CallError::Deadline);
}

/// `SCHED_IDLE` of `sched(7)`: the thread gives way to whoever wakes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_hangs_runs_behind_everybody_else() {
    let (_folder, plugin) = one(Sample { build: LOOP, ..Sample::default() });
    // Once it hung, little is needed to be taken for one that hangs.
    assert_eq!(build(&plugin).await.unwrap_err(), CallError::Deadline);
    let call = tokio::spawn(async move { build(&plugin).await });
    let mut policies = Vec::new();
    while !call.is_finished() {
        policies.extend(policies_of("slow-plugin"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(policies.iter().any(|policy| policy == "5"), "{policies:?}");
}

/// How the kernel schedules the threads of that name: field 41 of `/proc/self/task/ID/stat`.
#[cfg(target_os = "linux")]
fn policies_of(name: &str) -> Vec<String> {
    let mut policies = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let (head, tail) = stat.rsplit_once(')').unwrap();
        if head.ends_with(&format!("({name}")) {
            policies.push(tail.split_whitespace().nth(41 - 3).unwrap().to_owned());
        }
    }
    policies
}

/// A plugin that only traps is brisk in that, and an honest call after it keeps its rank.
#[tokio::test]
async fn what_is_written_last_is_told_wherever_the_call_ran() {
    let (_folder, plugin) = one(Sample { build: LAST_WORDS, wasi: true, ..Sample::default() });
    let imports = plugin.imports();
    assert!(imports.iter().any(|name| name == "wasi:io/streams@0.2.6"), "{imports:?}");
    // The first within this task, the next on a thread of its own.
    for _ in 0..2 {
        let error = build(&plugin).await.unwrap_err();
        let CallError::Trap { reason } = &error else {
            panic!("{error}");
        };
        assert!(reason.contains("unreachable") && reason.ends_with("it wrote: samp"), "{reason}");
    }
    assert_eq!(plugin.health()[0].failures, 2);
}
