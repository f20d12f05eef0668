//! A PostgreSQL server of the tests' own: on a socket in a folder of its own, gone with the process that started it,
//! however that ends.

pub mod wire;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

/// The server refuses to run as root, so root starts it as one of these.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// Whom the server knows.
const OWNER: &str = "tollgate";

/// Reads until the test's process is gone, then ends the server and takes its folder away.
const WATCHDOG: &str = r#"trap "" INT TERM HUP; cat >/dev/null; kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" 2>/dev/null
    sleep 0.2; rm -rf "$1""#;

/// A server. Dropped, it ends.
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    variables: Vec<(OsString, OsString)>,
    process: Mutex<Option<Child>>,
    watchdog: Child,
}

impl Server {
    /// Makes and starts a server; `settings` are words such as `fsync=off`.
    ///
    /// # Panics
    /// If there are no programs of PostgreSQL, or the server does not start.
    pub fn start(settings: &[&str]) -> Server {
        let server = Server::make(settings);
        server.go_on();
        server
    }

    /// Makes a server that is yet to be started by [`Server::go_on`].
    ///
    /// # Panics
    /// If there are no programs of PostgreSQL.
    pub fn make(settings: &[&str]) -> Server {
        let programs = programs().expect("missing: PostgreSQL's programs initdb and postgres");
        let folder = tempfile::tempdir().unwrap().keep();
        let user = is_root().then(other_user);
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "watchdog"]).arg(&folder).current_dir("/");
        let watchdog = quiet(&mut watchdog).stdin(Stdio::piped()).spawn().unwrap();
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = Mutex::new(None);
        let variables = Vec::new();
        let server = Server { folder, programs, user, settings, variables, process, watchdog };
        let mut initdb = server.program("initdb");
        initdb.args([
            "--no-sync",
            "--locale=C",
            "--encoding=UTF8",
            "--auth=trust",
            "-U",
            OWNER,
            "-D",
        ]);
        let made = initdb.arg(server.folder.join("data")).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server
    }

    /// Variables of the server's environment, from its next start on.
    pub fn set(&mut self, command: &Command) {
        let given = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        self.variables = given.map(|(name, value)| (name.into(), value.into())).collect();
    }

    /// A program of PostgreSQL as the server's user.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server again where it is stopped.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn go_on(&self) {
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        postgres.args(["-c", "listen_addresses=", "-c", "max_connections=300"]);
        postgres.envs(self.variables.iter().map(|(name, value)| (name, value)));
        for setting in &self.settings {
            postgres.args(["-c", setting]);
        }
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let process = postgres.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        let mut ready = self.program("pg_isready");
        ready.arg("-h").arg(&self.folder).args(["-t", "1"]);
        let up = (0..300).any(|_| {
            let up = quiet(&mut ready).status().is_ok_and(|status| status.success());
            if !up {
                std::thread::sleep(Duration::from_millis(50));
            }
            up
        });
        assert!(up, "{}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    /// Ends the server at once, as a crash would: what was committed is there when it goes on.
    pub fn crash(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            let mut kill = Command::new("kill");
            quiet(kill.arg("-QUIT").arg(process.id().to_string())).status().unwrap();
            process.wait().unwrap();
        }
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@localhost/{database}?host={}", self.folder.display())
    }

    /// The folder with its socket, `.s.PGSQL.5432`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a statement that belongs to no database.
    pub async fn run(&self, statement: &str) {
        crate::database::install_drivers();
        let mut sql = AnyConnection::connect(&self.url("postgres")).await.unwrap();
        sql.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        sql.close().await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The server that the tests of this process share. What it says is committed would not survive a power cut.
pub fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::start(&[
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=64MB",
            "wal_level=minimal",
            "max_wal_senders=0",
        ])
    })
}

/// Databases that nobody uses any more.
static LEFT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A database of the shared server, empty. Dropped, it is taken away when the next one is made.
#[derive(Debug)]
pub struct Database(String);

impl Database {
    /// Makes one.
    pub async fn new() -> Database {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let left = std::mem::take(&mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner));
        for name in left {
            shared().run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
        let name = format!("gate_{count}");
        shared().run(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        Database(name)
    }

    /// Its address.
    pub fn url(&self) -> String {
        shared().url(&self.0)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(self.0.clone());
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Where PostgreSQL's programs are: in the search path, or where Debian puts them; then the newest.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = match std::fs::read_dir("/usr/lib/postgresql") {
        Ok(versions) => versions.map(|version| version.unwrap().path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("/usr/lib/postgresql: {error}"),
    };
    let number = |version: &PathBuf| -> u32 {
        version.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok()).unwrap_or(0)
    };
    folders.extend(versions.into_iter().max_by_key(number).map(|version| version.join("bin")));
    folders.into_iter().find(|folder| {
        ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).is_file())
    })
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Somebody who is not root.
fn other_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let number = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    USERS.iter().find_map(|name| number(name)).expect("missing: a user postgres or nobody")
}
