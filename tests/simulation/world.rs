//! One seed's world: two replicas over one database, a provider, and a scheduler that does one thing at a time.

mod acts;
mod bills;
mod calm;
mod elsewhere;
mod keys;
mod record;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tollgate::gateway::Gateway;
use tollgate::store::{Sql, Store};
use tollgate_domain::ids::OrderId;
use tollgate_domain::time::Moment;

use crate::gate::{Database, Gate, Gates, Stand, Verdict, lock};
use crate::ground::{Ground, Ways};
use crate::picture::{Broken, Picture};
use crate::plan::Plan;
use crate::provider::Provider;
use crate::provider::trade::TradeState;
use crate::task::{Ended, Task, What};
use crate::time::{ReplicaClock, START, Time};
use crate::trace::Trace;

/// How many replicas there are.
const REPLICAS: usize = 2;
/// More tasks than this are not begun at a time.
const MOST_TASKS: usize = 16;
/// The whole database is checked every so many steps.
const WHOLE_EVERY: u64 = 50;

/// An order and which merchant's it is.
pub type Key = (usize, OrderId);

/// A process of the gateway.
struct Replica {
    gateway: Arc<Gateway>,
    clock: Arc<ReplicaClock>,
    starts: u64,
}

/// Everything that a seed plays with.
pub struct World<'g> {
    ground: &'g Ground,
    seed: u64,
    plan: Plan,
    chance: StdRng,
    time: Time,
    provider: Arc<Mutex<Provider>>,
    database: Arc<Database>,
    inbox: Arc<Mutex<HashSet<String>>>,
    store: Store,
    /// A connection of the checks' own.
    sql: Sql,
    replicas: Vec<Replica>,
    tasks: Vec<Task>,
    begun: u64,
    /// What was last seen of each order.
    pictures: HashMap<Key, Picture>,
    /// The orders in the order in which they were seen.
    orders: Vec<Key>,
    /// What settled each request under an idempotency key, by merchant and key.
    settled: HashMap<(usize, String), keys::Settled>,
    /// Whose a payment, a refund or a reference is.
    index: HashMap<String, Key>,
    /// Up to when days' bills are waited for at the end.
    bills_until: Moment,
    steps: u64,
    trace: Arc<Mutex<Trace>>,
    file: std::path::PathBuf,
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.file.clone().into_os_string();
            name.push(suffix);
            // The folder goes with the ground; this keeps it small meanwhile.
            let _ = std::fs::remove_file(name);
        }
        for place in 0..REPLICAS {
            let _ = std::fs::remove_dir_all(self.bills_folder(place));
        }
    }
}

impl<'g> World<'g> {
    /// The world of a seed, before anything happens.
    pub async fn new(
        ground: &'g Ground,
        seed: u64,
        trace: Arc<Mutex<Trace>>,
    ) -> Result<World<'g>, Broken> {
        let (time, plan) = (Time::default(), Plan::of(seed));
        let plan = if ground.which.is_scripted() { plan } else { plan.without_bills() };
        let file = ground.database(seed);
        let clock = Arc::new(ReplicaClock::new(time.clone()));
        let opened = Store::open_sqlite(&file, clock).await;
        let store = opened.map_err(|error| format!("the database: {error}"))?;
        let sql = store.read().await.map_err(|error| format!("the database: {error}"))?;
        let mut provider = ground.provider(seed ^ 0x0f0f, plan.whims, time.clone());
        provider.flaws = plan.flaws;
        let mut world = World {
            ground,
            seed,
            plan,
            chance: StdRng::seed_from_u64(seed),
            time,
            provider: Arc::new(Mutex::new(provider)),
            database: Arc::default(),
            inbox: Arc::default(),
            store,
            sql,
            replicas: Vec::new(),
            tasks: Vec::new(),
            begun: 0,
            pictures: HashMap::new(),
            orders: Vec::new(),
            settled: HashMap::new(),
            index: HashMap::new(),
            bills_until: Moment(0),
            steps: 0,
            trace,
            file,
        };
        for place in 0..REPLICAS {
            let replica = world.boot(place, 0);
            world.replicas.push(replica);
        }
        Ok(world)
    }

    /// Lives through so many steps with faults, then without until nothing is left to do. Gives how many payments took
    /// money.
    pub async fn run(mut self, steps: u64) -> Result<usize, Broken> {
        while self.steps < steps {
            self.step().await?;
        }
        self.come_to_rest().await?;
        let provider = lock(&self.provider);
        Ok(provider.trades.values().filter(|trade| trade.state == TradeState::Paid).count())
    }

    /// A replica that starts, for the so manieth time.
    fn boot(&self, place: usize, starts: u64) -> Replica {
        let clock = Arc::new(ReplicaClock::new(self.time.clone()));
        let gates = || Gates {
            database: self.database.clone(),
            provider: self.provider.clone(),
            inbox: self.inbox.clone(),
            clock: clock.clone(),
        };
        let store = self.store.paced(clock.clone(), Arc::new(gates()));
        let chance = self.seed.wrapping_mul(1_000_003) ^ (starts * 2 + place as u64 + 1);
        let ways: Ways = (Box::new(gates()), Box::new(gates()));
        let bills = self.bills_folder(place);
        let gateway = Arc::new(self.ground.gateway(store, ways, chance, &bills));
        Replica { gateway, clock, starts }
    }

    /// The disk of a replica: bills are kept as they came.
    fn bills_folder(&self, place: usize) -> std::path::PathBuf {
        self.file.with_extension(format!("bills-{place}"))
    }

    fn happens(&mut self, rate: u32) -> bool {
        self.chance.random_range(0..1_000) < rate
    }

    fn note(&self, line: impl FnOnce() -> String) {
        let since = self.time.now().millis_since(START);
        lock(&self.trace).add(self.steps, since, line);
    }

    /// Does one thing: lets a task go on, or has something happen.
    async fn step(&mut self) -> Result<(), Broken> {
        self.steps += 1;
        self.time.advance_ms(self.chance.random_range(0..20));
        let held = self.held();
        let goes_on = !held.is_empty()
            && (self.tasks.len() >= MOST_TASKS || self.chance.random_range(0..100) < 72);
        if goes_on {
            let at = held[self.chance.random_range(0..held.len())];
            self.let_go(at).await?;
        } else {
            self.act().await?;
        }
        self.wake_waiting().await?;
        if self.steps.is_multiple_of(WHOLE_EVERY) {
            self.check_whole().await?;
        }
        Ok(())
    }

    /// The tasks that wait at a gate.
    fn held(&self) -> Vec<usize> {
        let waits = |task: &Task| matches!(task.seat.stand(), Stand::Held(_));
        (0..self.tasks.len()).filter(|at| waits(&self.tasks[*at])).collect()
    }

    /// Opens a task's gate and runs it to the next.
    async fn let_go(&mut self, at: usize) -> Result<(), Broken> {
        let task = &self.tasks[at];
        let Stand::Held(gate) = task.seat.stand() else { return Ok(()) };
        let verdict = self.plan.verdict(&gate, &mut self.chance);
        self.note(|| format!("task {} {gate:?}: {verdict:?}", task.number));
        task.seat.open(verdict);
        let writes = gate == Gate::Begin && verdict == Verdict::Go;
        if writes {
            self.look_before(at).await?;
        }
        let lost = if writes { self.lost_lease(at).await? } else { None };
        self.advance(at, writes).await?;
        match lost {
            Some(lost) => self.check_lease(&lost).await,
            None => Ok(()),
        }
    }

    /// Tasks that wait for another may go on by what that one did, or because their time is over.
    async fn wake_waiting(&mut self) -> Result<(), Broken> {
        let mut at = 0;
        while at < self.tasks.len() {
            let task = &self.tasks[at];
            let (number, stand) = (task.number, task.seat.stand());
            if let Stand::Waits(until) = stand {
                if self.time.now() >= until {
                    task.seat.open(Verdict::Go);
                }
                self.advance(at, false).await?;
            }
            // One that ended made room for the next.
            if self.tasks.get(at).is_some_and(|task| task.number == number) {
                at += 1;
            }
        }
        Ok(())
    }

    /// Begins a task and runs it to its first gate.
    async fn begin(&mut self, replica: usize, owner: usize, what: What) -> Result<(), Broken> {
        self.begun += 1;
        let number = self.begun;
        self.note(|| format!("task {number} begins on {replica} for {owner}: {what:?}"));
        let gateway = self.replicas[replica].gateway.clone();
        let of = self.ground.owners[owner];
        self.tasks.push(Task::new((number, replica, owner), of, gateway, what));
        self.advance(self.tasks.len() - 1, false).await
    }

    async fn advance(&mut self, at: usize, writes: bool) -> Result<(), Broken> {
        let ended = self.tasks[at].advance().await;
        if writes || ended.is_some() {
            self.look_after(at, writes).await?;
        }
        self.check_heard()?;
        if let Some(ended) = ended {
            let task = self.tasks.remove(at);
            self.note(|| format!("task {} ended: {ended:?}", task.number));
            self.conclude(task, ended).await?;
        }
        Ok(())
    }

    /// What follows from how a task ended.
    async fn conclude(&mut self, task: Task, ended: Ended) -> Result<(), Broken> {
        match ended {
            Ended::Broken(reason) => Err(format!("a task broke: {:?}: {reason}", task.what)),
            Ended::Claimed(jobs) => {
                for job in jobs {
                    let owner = self.owner_of(job.merchant_id)?;
                    self.begin_later(task.replica, owner, What::Job(job));
                }
                Ok(())
            }
            Ended::Done(Some(told)) => self.check_told(task.owner, told).await,
            Ended::Answered(keyed, answer, told) => {
                self.check_keyed(&task, &keyed, &answer)?;
                self.check_told(task.owner, told).await
            }
            Ended::Status(status) => self.heard_back(task, status),
            Ended::Done(None) | Ended::Refused(_) | Ended::Troubled => Ok(()),
        }
    }

    /// A task that is begun, and stands before its first line.
    fn begin_later(&mut self, replica: usize, owner: usize, what: What) {
        self.begun += 1;
        let (number, of) = (self.begun, self.ground.owners[owner]);
        self.note(|| format!("task {number} begins on {replica} for {owner}: {what:?}"));
        let task =
            Task::new((number, replica, owner), of, self.replicas[replica].gateway.clone(), what);
        task.seat.hold_back();
        self.tasks.push(task);
    }

    /// A process dies: what it was at is gone, and another one starts.
    fn crash(&mut self, place: usize) {
        let starts = self.replicas[place].starts + 1;
        self.note(|| format!("replica {place} dies and starts again"));
        self.tasks.retain(|task| task.replica != place);
        self.replicas[place] = self.boot(place, starts);
    }
}
