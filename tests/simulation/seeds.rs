//! Playing seeds: spread over threads, each told by its number if it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::gate::lock;
use crate::ground::{Ground, Which};
use crate::picture::Broken;
use crate::trace::Trace;
use crate::world::World;

/// How many seeds a usual run plays.
const USUAL: u64 = 2_000;
/// How many steps a seed takes before it comes to rest.
const STEPS: u64 = 300;
/// How many threads play.
const THREADS: usize = 2;

/// The seeds that were asked for: `TOLLGATE_SEEDS` of them, `most` at most, from `TOLLGATE_FIRST_SEED` on.
pub fn wanted(most: u64) -> std::ops::Range<u64> {
    let number = |name: &str, usual: u64| {
        std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
    };
    let first = number("TOLLGATE_FIRST_SEED", 1);
    first..first + number("TOLLGATE_SEEDS", USUAL).min(most)
}

/// Plays seeds.
///
/// # Panics
/// If something that must hold does not.
pub fn hold(which: Which, seeds: impl IntoIterator<Item = u64, IntoIter: Send>) {
    let ground = Ground::make(which);
    let seeds = Mutex::new(seeds.into_iter());
    let failures: Mutex<Vec<String>> = Mutex::default();
    let figures: Mutex<Vec<usize>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let next = lock(&seeds).next();
                    let Some(seed) = next.filter(|_| lock(&failures).is_empty()) else { break };
                    let trace = Arc::new(Mutex::new(Trace::default()));
                    match play(&ground, seed, &trace) {
                        Ok(paid) => lock(&figures).extend([paid]),
                        Err(broken) => {
                            let story = lock(&trace).text();
                            lock(&failures).push(format!("{story}seed {seed}: {broken}"));
                        }
                    }
                }
            });
        }
    });
    let failures = lock(&failures);
    if let Some(failure) = failures.first() {
        let seed = failure.rsplit("seed ").next().unwrap_or_default();
        let seed = seed.split(':').next().unwrap_or_default();
        panic!("{failure}\nagain: cargo xtask test simulation --seeds 1 --from {seed}");
    }
    // Where nobody pays, everything holds.
    let figures = lock(&figures);
    let (seeds, paid) = (figures.len(), figures.iter().sum::<usize>());
    assert!(seeds < 20 || paid >= seeds, "{paid} payments took money in {seeds} seeds");
}

/// A digest of a seed's story.
pub fn digest(ground: &Ground, seed: u64) -> u64 {
    let trace = Arc::new(Mutex::new(Trace::default()));
    let played = play(ground, seed, &trace);
    assert_eq!(played.err(), None);
    lock(&trace).digest()
}

/// Plays a seed. Gives how many payments took money.
fn play(ground: &Ground, seed: u64, trace: &Arc<Mutex<Trace>>) -> Result<usize, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let story = async { World::new(ground, seed, trace.clone()).await?.run(STEPS).await };
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(story)))
        .unwrap_or_else(|_| Err("something panicked".to_owned()))
}
