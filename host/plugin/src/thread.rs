//! The threads that calls run on. A brisk call ends within the task that asked for it: changing threads would cost more
//! than most calls do. One that is not brisk, or is not expected to be, gets a thread of its own, and one that hangs takes
//! that thread behind all others.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::call::{CallError, Finished};

/// A call that may go on on another thread.
pub(crate) type Moving<T> = Pin<Box<dyn Future<Output = Finished<T>> + Send>>;

thread_local! {
    static IS_A_CALLS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call here until it ends or yields, which it does when it is not brisk any more; then on a thread of its own.
pub(crate) async fn briskly<T>(
    mut call: Moving<T>,
    most: Duration,
) -> Result<Finished<T>, CallError>
where
    T: Send + 'static,
{
    match begin(&mut call)? {
        Poll::Ready(finished) => Ok(finished),
        Poll::Pending => aside(call, most).await,
    }
}

fn begin<T>(call: &mut Moving<T>) -> Result<Poll<Finished<T>>, CallError> {
    let mut context = Context::from_waker(Waker::noop());
    // A panic of ours is the end of this call, and not of the task: it may know what was sent before.
    catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context))).map_err(|_| panicked())
}

/// Runs a call to its end on a thread of its own, and waits so long at most: a thread that has stepped back may need long
/// to come to its call's deadline. The call goes on when nobody waits: a guest is never cut off half way. It is settled by
/// who waits for it, and not by its thread, since clearing up takes locks that are everybody's.
pub(crate) async fn aside<T>(call: Moving<T>, most: Duration) -> Result<Finished<T>, CallError>
where
    T: Send + 'static,
{
    let (tell, mut told) = oneshot::channel();
    let place = Arc::new(Mutex::new(Some(call)));
    let take =
        |place: &Mutex<Option<_>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
    let its = Arc::clone(&place);
    let thread = Builder::new().name("slow-plugin".into()).spawn(move || {
        IS_A_CALLS_OWN.set(true);
        if let Some(call) = take(&its) {
            drop(tell.send(to_its_end(call)));
        }
    });
    if thread.is_err()
        && let Some(call) = take(&place)
    {
        // No thread is to be had. Then it ends here, whoever waits for that.
        return Ok(to_its_end(call));
    }
    match tokio::time::timeout(most, &mut told).await {
        Ok(finished) => finished.map_err(|_| panicked()),
        Err(_) => {
            tokio::spawn(async { told.await.map(Finished::too_late) });
            Err(CallError::Deadline)
        }
    }
}

fn panicked() -> CallError {
    CallError::Host("the call panicked".into())
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

/// Whether this thread is a call's own.
pub(crate) fn is_a_calls_own() -> bool {
    IS_A_CALLS_OWN.get()
}

/// From now on this thread, if it is a call's own, runs only when no other wants the processor, and leaves it at once to one
/// that wakes. Between threads of one rank the kernel lets the running one end its slice first, which takes longer than a
/// payment. There is no way back. False: it may not.
pub(crate) fn step_back() -> bool {
    IS_A_CALLS_OWN.get() && become_idle()
}

/// `SCHED_IDLE` of `sched(7)`.
#[cfg(target_os = "linux")]
fn become_idle() -> bool {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).is_ok()
        // In a process with a nice value only the second half of that is refused.
        || thread_schedule_policy().is_ok_and(|policy| policy == idle)
}

#[cfg(not(target_os = "linux"))]
fn become_idle() -> bool {
    false
}
