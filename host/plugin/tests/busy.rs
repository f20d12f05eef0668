//! Calls on a machine that has no processor to spare. A program of its own, since it sees to that.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{Sample, context, operation};
use tollgate_plugin::{CallError, Keys, Limits};

/// Some milliseconds of work, and then a trap.
const WORK: &str = "(local $turn i32)
    (loop $again
        (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $turn) (i32.const 8000000))))
    unreachable";

/// Three threads for each processor that never wait.
struct Crowd(Arc<AtomicBool>);

impl Crowd {
    fn gather() -> Self {
        let leaves = Arc::new(AtomicBool::new(false));
        for _ in 0..3 * std::thread::available_parallelism().unwrap().get() {
            let leaves = Arc::clone(&leaves);
            std::thread::spawn(move || {
                while !leaves.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(leaves)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// It runs among the others then, in time to end before its deadline.
#[tokio::test]
async fn what_is_only_slow_comes_to_its_end_on_a_busy_machine() {
    let (_folder, plugin) = Sample { build: WORK, ..Sample::default() }.alone(Limits::default());
    let (keys, operation) = (Arc::new(Keys::none()), operation());
    let _crowd = Crowd::gather();
    // All but the first begin as calls of a plugin that failed.
    for _ in 0..4 {
        let error = plugin.build(context(), &keys, &operation, Vec::new()).await.unwrap_err();
        assert!(matches!(error, CallError::Trap { .. }), "{error}");
    }
}
