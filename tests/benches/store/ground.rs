//! The databases that are measured on, and gateways on them that have neither faces nor workers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;
use tollgate::chance::Chance;
use tollgate::flows::merchants;
use tollgate::gateway::{Gateway, Settings};
use tollgate::net::Net;
use tollgate::net::merchant::Http;
use tollgate::sealing::{Marks, Sealer};
use tollgate::store::{self, Sql, Store, SystemClock};
use tollgate_domain::ids::MerchantId;
use tollgate_plugin::{Limits, Registry, RegistryConfig};
use tollgate_tests::shim::Board;
use tollgate_tests::{place, postgres};

/// A PostgreSQL server whose commits are durable, and the board that counts what it does for that.
pub struct Server {
    server: postgres::Server,
    /// Tells how often a file was made durable.
    pub board: Board,
}

impl Server {
    /// Starts one.
    pub fn start() -> Server {
        let mut server = postgres::Server::make(&[]);
        let board = Board::for_all(server.folder());
        let mut under_shim = Command::new("postgres");
        board.over(&mut under_shim);
        server.set(&under_shim);
        server.go_on();
        Server { server, board }
    }
}

/// A database.
pub struct Ground {
    /// What figures call its engine.
    pub engine: &'static str,
    /// Begins a transaction, as the gateway does.
    pub begin: &'static str,
    url: String,
    file: Option<PathBuf>,
}

impl Ground {
    /// A file in this folder.
    pub fn on_sqlite(folder: &Path) -> Ground {
        let file = folder.join("tollgate.db");
        Ground {
            engine: "SQLite",
            begin: "BEGIN IMMEDIATE",
            url: format!("sqlite://{}?mode=rwc", file.display()),
            file: Some(file),
        }
    }

    /// An empty database of the server.
    pub async fn on_postgres(server: &Server, name: &str) -> Ground {
        server.server.run(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        Ground { engine: "Postgres", begin: "BEGIN", url: server.server.url(name), file: None }
    }

    /// Opens the database and sets a gateway on it: a replica, where there is one already.
    pub async fn gateway(&self) -> Seat {
        let store = match &self.file {
            Some(file) => Store::open_sqlite(file, Arc::new(SystemClock)).await.unwrap(),
            None => Store::open_postgres(&SecretString::from(self.url.as_str())).await.unwrap(),
        };
        let folder = disk();
        let chance = Chance::of_the_machine();
        let registry = RegistryConfig {
            folder: folder.path().to_owned(),
            cache: folder.path().join("compiled"),
            limits: Limits::default(),
            compiler: None,
            concurrency: 2,
        };
        let gateway = Gateway {
            store,
            plugins: Arc::new(Registry::open(registry).unwrap()),
            net: Box::new(Net::new().unwrap()),
            courier: Box::new(Http::new(false, Duration::from_secs(1)).unwrap()),
            sealer: Sealer::from_file(&folder.path().join("sealing.key"), &chance).unwrap(),
            marks: Marks::new(&[7; 32]),
            settings: Settings {
                public_url: "https://gate.test".to_owned(),
                bills: folder.path().join("bills"),
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
        merchants::first_start(&gateway).await.unwrap();
        let mut sql = gateway.store.read().await.unwrap();
        let merchant = store::merchants::first(&mut sql).await.unwrap().unwrap();
        drop(sql);
        Seat { gateway: Arc::new(gateway), merchant, _folder: folder }
    }

    /// A connection of one's own, as durable as the gateway's.
    pub async fn connect(&self) -> Sql {
        if let Some(file) = &self.file {
            let store = Store::open_sqlite(file, Arc::new(SystemClock)).await.unwrap();
            return store.read().await.unwrap();
        }
        tollgate_tests::database::install_drivers();
        let mut sql = AnyConnection::connect(&self.url).await.unwrap();
        sql.execute("SET client_min_messages = error").await.unwrap();
        Sql::Single(sql)
    }

    /// Has the database do now what it puts off after much was written.
    pub async fn settle(&self) {
        let mut sql = self.connect().await;
        match self.file {
            Some(_) => sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap(),
            None => {
                sql.execute("VACUUM ANALYZE").await.unwrap();
                sql.execute("CHECKPOINT").await.unwrap()
            }
        };
    }

    /// How many rows a statement counts.
    pub async fn count(&self, statement: &'static str) -> u64 {
        let mut sql = self.connect().await;
        let (count,): (i64,) = sqlx::query_as(statement).fetch_one(&mut sql).await.unwrap();
        u64::try_from(count).unwrap()
    }
}

/// A gateway and its merchant.
pub struct Seat {
    /// For flows.
    pub gateway: Arc<Gateway>,
    /// The merchant.
    pub merchant: MerchantId,
    _folder: TempDir,
}

/// A folder on the disk that the build is on, gone when it is dropped.
pub fn disk() -> TempDir {
    tempfile::tempdir_in(place::target()).unwrap()
}
