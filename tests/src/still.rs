//! A gateway without faces or worker, on the folder that another one left behind: time passes when a test says so, and
//! nothing happens but what is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use tollgate::chance::Chance;
use tollgate::flows::due::{self, Claimed, Running, Wanted};
use tollgate::gateway::{Gateway, Settings};
use tollgate::net::Net;
use tollgate::net::merchant::Http;
use tollgate::sealing::{Marks, Sealer};
use tollgate::store::jobs::Lane;
use tollgate::store::{Clock, Pace, Store, StoreError, SystemClock};
use tollgate_domain::time::Moment;
use tollgate_plugin::{Limits, Registry, RegistryConfig};

use crate::{World, place};

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

/// A database that lets everybody through, with another clock than its own.
struct Unhindered;

impl Pace for Unhindered {
    fn read(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn begin(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn committed(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The gateway, and the hand of its clock.
pub struct Still {
    /// For flows.
    pub gateway: Gateway,
    clock: Arc<Hand>,
}

impl Still {
    /// Takes over from a world's gateway, which is stopped.
    pub async fn after(world: &mut World) -> Still {
        world.stop_gateway().await;
        let data = world.data();
        let clock = Arc::new(Hand(AtomicI64::new(SystemClock.now().0)));
        let store = match world.storage.url() {
            None => Store::open_sqlite(&data.join("tollgate.db"), clock.clone()).await.unwrap(),
            Some(url) => {
                let store = Store::open_postgres(&SecretString::from(url)).await.unwrap();
                store.paced(clock.clone(), Arc::new(Unhindered))
            }
        };
        let chance = Chance::seeded(7);
        let registry = RegistryConfig {
            folder: place::plugins(),
            cache: place::shared("compiled"),
            limits: Limits::default(),
            compiler: None,
            concurrency: 2,
        };
        let gateway = Gateway {
            store,
            plugins: Arc::new(Registry::open(registry).unwrap()),
            net: Box::new(Net::new().unwrap()),
            courier: Box::new(Http::new(false, Duration::from_secs(1)).unwrap()),
            sealer: Sealer::from_file(&data.join("sealing.key"), &chance).unwrap(),
            marks: Marks::new(&[7; 32]),
            settings: Settings {
                public_url: world.url.clone(),
                bills: data.join("bills"),
                call_limit: Duration::from_secs(5),
                confirm_limit: Duration::from_secs(1),
                answers_kept: Duration::from_secs(86_400),
                simulators: true,
                bills_at_once: true,
                private_webhooks: false,
                private_fields: false,
                jobs: Default::default(),
            },
            chance,
            accounts: Default::default(),
            asking: Default::default(),
            turns: Default::default(),
            breakers: Default::default(),
            strangers: Default::default(),
            bell: Default::default(),
        };
        Still { gateway, clock }
    }

    /// Claims the short jobs that are due, for a minute.
    pub async fn claim(&self) -> Claimed {
        let until = self.gateway.store.now().plus_millis(60_000);
        let (lane, running) = (Lane::Short, &Running::new());
        let wanted = Wanted { lane, most: 8, each: 4, running, until };
        due::claim(&self.gateway, &[wanted]).await.unwrap()
    }

    /// Lets so much time pass, for the gateway and the provider alike.
    pub fn pass(&self, world: &World, millis: i64) {
        self.clock.0.fetch_add(millis * 1_000, Ordering::SeqCst);
        world.simulator.clock().advance(millis);
    }

    /// Lets so much time pass and does each short job when it is due.
    pub async fn live(&self, world: &World, millis: i64) {
        let end = self.gateway.store.now().plus_millis(millis);
        loop {
            let Claimed { jobs, next } = self.claim().await;
            for job in &jobs {
                due::run(&self.gateway, job).await.unwrap();
            }
            if !jobs.is_empty() {
                continue;
            }
            let next = next.map_or(end, |next| next.min(end));
            self.pass(world, next.millis_since(self.gateway.store.now()).max(1));
            if next == end {
                return;
            }
        }
    }
}
