//! The engine: one configuration for every plugin, and the thread whose ticks end calls that run too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::limits::Limits;
use crate::pace::Calls;
use crate::witness::Witness;

/// Time between two ticks of the epoch: a guest is looked at so often. A host function ends before it is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// The same while a call is not brisk, so that its stretches are short: a neighbour may have to wait for the end of one.
const FINE_TICK: Duration = Duration::from_millis(1);

/// Changes whenever code made by an older engine must not be loaded. Wasmtime by itself compares its major version
/// only, and a patch release may mend the code generator.
pub(crate) const CODE_VERSION: &str = "tollgate-1/wasmtime-48.0.8";

/// Instances that may be alive at once, over all plugins.
pub(crate) const INSTANCES: u32 = 64;

/// An engine and the thread that ticks it. The thread ends when the engine is dropped.
pub(crate) struct Clockwork {
    pub engine: Engine,
    /// What is known of the calls that run.
    pub calls: Arc<Calls>,
    pooled: bool,
    stop: Arc<AtomicBool>,
}

impl Clockwork {
    /// Makes the engine, pooling where the machine has the address space, and starts its clock.
    pub fn start(limits: &Limits) -> wasmtime::Result<Self> {
        match pooled_engine(limits) {
            Ok(engine) => Self::around(engine, true),
            // Containers with a limit on address space, and kernels with 39 bits of it, end up here.
            Err(_) => Self::around(on_demand_engine()?, false),
        }
    }

    /// The same with an engine whose memories a witness sees.
    pub fn watched(witness: &Witness) -> wasmtime::Result<Self> {
        let mut config = config()?;
        config
            .allocation_strategy(InstanceAllocationStrategy::OnDemand)
            .memory_init_cow(false)
            .memory_reservation(0)
            .memory_reservation_for_growth(0)
            .memory_guard_size(0)
            .with_host_memory(Arc::new(witness.clone()));
        Self::around(Engine::new(&config)?, false)
    }

    fn around(engine: Engine, pooled: bool) -> wasmtime::Result<Self> {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::<Calls>::default());
        let weak = engine.weak();
        let (stopped, running) = (Arc::clone(&stop), Arc::clone(&calls));
        // A thread of its own: a worker of an executor may be the one that is stuck.
        std::thread::Builder::new().name("plugin-epoch".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(if running.some_are_slow() { FINE_TICK } else { TICK });
                match weak.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
        Ok(Self { engine, calls, pooled, stop })
    }

    /// Whether instances come from the pool.
    pub fn pooled(&self) -> bool {
        self.pooled
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Ticks after which a budget is used up: never fewer than the budget holds.
pub(crate) fn ticks(budget: Duration) -> u64 {
    let ticks = budget.as_millis() / TICK.as_millis();
    u64::try_from(ticks).unwrap_or(u64::MAX - 1) + 1
}

fn config() -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(false)
        .concurrency_support(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .memory_init_cow(true)
        .signals_based_traps(true)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .native_unwind_info(false)
        .generate_address_map(true)
        .module_version(ModuleVersionStrategy::Custom(CODE_VERSION.into()))?;
    Ok(config)
}

/// An engine that compiles and takes address space as it is needed.
pub(crate) fn on_demand_engine() -> wasmtime::Result<Engine> {
    let mut config = config()?;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

fn pooled_engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 16)
        .total_memories(INSTANCES * 2)
        .total_tables(INSTANCES * 8)
        .total_stacks(INSTANCES)
        .max_memory_size(limits.memory_bytes.max(1 << 16))
        .table_elements(limits.table_elements)
        .max_tables_per_module(4)
        .max_memories_per_module(1)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(64)
        .max_unused_warm_slots(32)
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10)
        // Not `pagemap_scan`: it misses a written page that was swapped out, which the next instance would then read.
        // What is kept resident is wiped by hand and free at once; waiting for others would leave it cold.
        .decommit_batch_size(1);
    let mut config = config()?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_cut_short() {
        assert_eq!(ticks(Duration::ZERO), 1);
        assert_eq!(ticks(Duration::from_millis(5)), 2);
        assert_eq!(ticks(Duration::from_secs(1)), 201);
    }

    #[test]
    fn code_of_one_strategy_loads_in_the_other() {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let hash = |engine: &Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let clockwork = Clockwork::start(&Limits::default()).unwrap();
        assert_eq!(hash(&clockwork.engine), hash(&on_demand_engine().unwrap()));
    }
}
