//! The threads that calls run on. A brisk call ends within the task that asked for it: changing threads would cost more
//! than most calls do. One that is not brisk, or is not expected to be, gets a thread of its own, and one that hangs takes
//! that thread behind all others.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use crate::call::CallError;

/// A call that may go on on another thread.
pub(crate) type Moving<T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;

thread_local! {
    static IS_A_CALLS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call here until it ends or yields, which it does when it is not brisk any more; then on a thread of its own.
pub(crate) async fn briskly<T: Send + 'static>(mut call: Moving<T>) -> Result<T, CallError> {
    match begin(&mut call) {
        Poll::Ready(answer) => answer,
        Poll::Pending => aside(call).await,
    }
}

fn begin<T>(call: &mut Moving<T>) -> Poll<Result<T, CallError>> {
    let mut context = Context::from_waker(Waker::noop());
    // A panic of ours is the end of this call, and not of the task: it may know what was sent before.
    catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)))
        .unwrap_or_else(|_| Poll::Ready(Err(CallError::Host("the call panicked".into()))))
}

/// Runs a call to its end on a thread of its own. It goes on when this future is dropped: a guest is never cut off half way.
pub(crate) async fn aside<T: Send + 'static>(call: Moving<T>) -> Result<T, CallError> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("slow-plugin".into())
        .spawn(move || {
            IS_A_CALLS_OWN.set(true);
            // Nobody may be there any more to be told.
            let _ = tell.send(to_its_end(call));
        })
        .map_err(|error| CallError::Host(error.to_string()))?;
    told.await.map_err(|_| CallError::Host("the call panicked".into()))?
}

/// Runs a call on this thread to its end.
pub(crate) fn to_its_end<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // Nothing in a call waits for anybody, so what yields can go on at once.
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

/// From now on this thread, if it is a call's own, runs only when no other wants the processor, and leaves it at once to one
/// that wakes. Between threads of one rank the kernel lets the running one end its slice first, which takes longer than a
/// payment. There is no way back.
pub(crate) fn step_back() {
    if IS_A_CALLS_OWN.get() {
        // Where it is not allowed, the call's pace alone protects its neighbours.
        let _ = become_idle();
    }
}

/// `SCHED_IDLE` of `sched(7)`.
#[cfg(target_os = "linux")]
fn become_idle() -> Result<(), thread_priority::Error> {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
}

#[cfg(not(target_os = "linux"))]
fn become_idle() -> Result<(), std::convert::Infallible> {
    Ok(())
}
