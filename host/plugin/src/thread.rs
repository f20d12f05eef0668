//! The threads that calls run on. A brisk call ends within the task that asked for it: changing threads would cost more
//! than most calls do. One that is not brisk, or is not expected to be, goes on in stretches behind everybody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout, timeout_at};

use crate::call::{CallError, Finished};
use crate::pace::{Pace, Where};

/// A call that may go on on another thread.
pub(crate) type Moving<T> = Pin<Box<dyn Future<Output = Finished<T>> + Send>>;

/// So often a thread that has stepped back gets a processor before it takes the call.
const GAPS: u32 = 5;

/// What came of a stretch.
enum Came<T> {
    Ended(Finished<T>),
    GoesOn(Moving<T>),
}

/// Runs a call to its end, and waits so long at most: on a busy machine one that hangs may need long to come to its
/// deadline. It goes on when nobody waits: a guest is not cut off half way as long as the runtime lives.
pub(crate) async fn run<T>(
    call: Moving<T>,
    pace: Arc<Pace>,
    most: Duration,
) -> Result<Finished<T>, CallError>
where
    T: Send + 'static,
{
    let call = match pace.next() {
        (_, Where::Here) => match stretch(&pace, call)? {
            Came::Ended(finished) => return Ok(finished),
            Came::GoesOn(call) => call,
        },
        _ => call,
    };
    let mut driven = tokio::spawn(drive(call, pace));
    match timeout(most, &mut driven).await {
        Ok(ended) => ended.map_err(|_| panicked())?,
        Err(_) => {
            tokio::spawn(async { driven.await.map(|ended| ended.map(Finished::too_late)) });
            Err(CallError::Deadline)
        }
    }
}

/// One stretch after the other, with what the call must rest between them. It is settled here, and not where it ran, since
/// clearing up takes locks that are everybody's.
async fn drive<T>(mut call: Moving<T>, pace: Arc<Pace>) -> Result<Finished<T>, CallError>
where
    T: Send + 'static,
{
    loop {
        let (rest, place) = pace.next();
        if !rest.is_zero() {
            sleep(rest).await;
        }
        let came = match place {
            Where::Here => stretch(&pace, call)?,
            Where::Aside => aside(call, &pace).await?,
            Where::Behind(until) => behind(call, &pace, until).await?,
        };
        call = match came {
            Came::Ended(finished) => return Ok(finished),
            Came::GoesOn(call) => call,
        };
    }
}

fn stretch<T>(pace: &Pace, mut call: Moving<T>) -> Result<Came<T>, CallError> {
    let mut context = Context::from_waker(Waker::noop());
    // A panic of ours is the end of this call, and not of the task: it may know what was sent before.
    let polled =
        catch_unwind(AssertUnwindSafe(|| pace.stretch(|| call.as_mut().poll(&mut context))));
    Ok(match polled.map_err(|_| panicked())? {
        Poll::Ready(finished) => Came::Ended(finished),
        Poll::Pending => Came::GoesOn(call),
    })
}

async fn aside<T>(call: Moving<T>, pace: &Arc<Pace>) -> Result<Came<T>, CallError>
where
    T: Send + 'static,
{
    let pace = Arc::clone(pace);
    tokio::task::spawn_blocking(move || stretch(&pace, call)).await.map_err(|_| panicked())?
}

/// Runs a stretch when nobody else wants the processor; among all if it has not begun by then. It has a thread of its own,
/// since there is no way back from there.
async fn behind<T>(call: Moving<T>, pace: &Arc<Pace>, until: Instant) -> Result<Came<T>, CallError>
where
    T: Send + 'static,
{
    let (tell, mut told) = oneshot::channel();
    let waiting = Arc::new(Mutex::new(Some((call, Arc::clone(pace)))));
    let its = Arc::clone(&waiting);
    let thread = Builder::new().name("slow-plugin".into()).spawn(move || {
        step_back();
        // The processor that it began on is not yet one that nobody wants: that it gets again and again. A call that stopped
        // in the middle of a stretch could not be helped.
        for _ in 0..GAPS {
            if lock(&its).is_none() {
                return;
            }
            std::thread::yield_now();
        }
        let taken = lock(&its).take();
        if let Some((call, pace)) = taken {
            drop(tell.send(stretch(&pace, call)));
        }
    });
    if thread.is_ok()
        && let Ok(came) = timeout_at(until.into(), &mut told).await
    {
        return came.map_err(|_| panicked())?;
    }
    let left = lock(&waiting).take();
    match left {
        Some((call, pace)) => {
            pace.waited_in_vain();
            aside(call, &pace).await
        }
        None => told.await.map_err(|_| panicked())?,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked() -> CallError {
    CallError::Host("the call panicked".into())
}

/// Runs a call on this thread to its end.
pub(crate) fn to_its_end<T>(pace: &Pace, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // Nothing in a call waits for anybody, so what yields can go on when it has rested.
        if let Poll::Ready(answer) = pace.stretch(|| call.as_mut().poll(&mut context)) {
            return answer;
        }
        std::thread::sleep(pace.next().0);
    }
}

/// From now on this thread runs only when no other wants the processor, and leaves it at once to one that wakes: `SCHED_IDLE`
/// of `sched(7)`. Between threads of one rank the kernel lets the running one end its slice first, which takes longer than a
/// payment. Where it may not, it goes on among its neighbours.
#[cfg(target_os = "linux")]
fn step_back() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // In a process with a nice value the second half of this is refused, and does not matter.
    drop(set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle));
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}
