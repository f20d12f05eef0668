//! The gateway's own program as a process that can be killed, and everything around it that outlives it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tollgate_tests::database::Storage;
use tollgate_tests::{Setup, World, place, shop, wait};

use tollgate_tests::shim::{Board, Point};

/// A shop, a provider and a gateway, of which the last is a process.
pub struct Scene {
    /// The first two, and the verbs to act with.
    pub world: World,
    /// The third.
    pub program: Program,
}

/// The gateway's process.
pub struct Program {
    /// Where it is told to fail.
    pub board: Board,
    child: Child,
}

impl Scene {
    /// Starts all three, with an account at the provider.
    pub async fn start() -> Scene {
        Scene::on(Storage::new().await).await
    }

    /// The same with another provider.
    pub async fn at(provider: &'static str) -> Scene {
        Scene::with(Storage::new().await, provider).await
    }

    /// The same on a database of the test's own.
    pub async fn on(storage: Storage) -> Scene {
        Scene::with(storage, Setup::default().provider).await
    }

    async fn with(storage: Storage, provider: &'static str) -> Scene {
        let setup = Setup {
            provider,
            call_ms: 2_000,
            confirm_ms: 1_000,
            time_scale: 1_000,
            ..Setup::default()
        };
        let mut world = World::without_gateway(storage, setup).await;
        let board = Board::new(world.folder.path(), port(&world.simulator.url));
        let (child, ready) = launch(&world, &world.data(), Some(&board), "127.0.0.1:0").await;
        world.url = ready["url"].as_str().unwrap().to_owned();
        world.key = ready["api_key"].as_str().unwrap().to_owned();
        board.listens_at(self::port(&world.url));
        world.account().await;
        Scene { world, program: Program { board, child } }
    }

    /// Asks the gateway, which may die over it: then there is no answer.
    pub async fn attempt(&self, path: &str, body: &Value) -> Option<Value> {
        let url = format!("{}{path}", self.world.url);
        let request = self.world.client.post(url).bearer_auth(&self.world.key).json(body);
        let response = request.send().await.ok()?;
        let status = response.status();
        let answer = response.json().await.ok()?;
        status.is_success().then_some(answer)
    }

    /// Has the process killed when it passes this point for the `nth` time from now on.
    pub fn kill_at(&self, (point, nth): (Point, u64)) {
        self.program.board.kill_at(point, nth);
    }

    /// Makes sure that the process is gone, killed at its point or, if it never came there, now. Then brings its jobs
    /// forward, so that nobody waits for leases, and starts it again on what it left behind. Tells whether it died at its point.
    pub async fn revive(&mut self) -> bool {
        let fired = self.program.board.fired();
        self.program.board.clear();
        self.program.kill().await;
        // Before it starts: its worker looks at once, and then once a second.
        self.hurry().await;
        self.program.relaunch(&self.world).await;
        fired
    }

    /// What waits for its time, or for somebody who is dead, is due now; no order's time is over.
    pub async fn hurry(&self) {
        self.world
            .write("UPDATE jobs SET due_at = 0, leased_until = 0 WHERE kind <> 'end_order'")
            .await;
    }
}

impl Program {
    /// Starts the process again, after it has ended, on what it left behind.
    pub async fn relaunch(&mut self, world: &World) {
        let listen = world.url.strip_prefix("http://").unwrap();
        (self.child, _) = launch(world, &world.data(), Some(&self.board), listen).await;
    }

    /// Kills the process.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks the process to end, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(told.unwrap().success());
        tokio::time::timeout(wait::PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }

    /// Waits a moment for the process to be killed at its point: what kills it may be the provider's message.
    pub async fn may_die(&mut self) {
        self.dies_within(Duration::from_millis(700)).await;
    }

    /// The same where what kills it is a job that a test made due: nobody rings for it, and a worker looks once a second.
    pub async fn may_die_at_work(&mut self) {
        self.dies_within(Duration::from_millis(1_700)).await;
    }

    async fn dies_within(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.child.wait()).await;
    }

    /// Whether the process lives.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

/// One more gateway on the same database, with the same keys. Dropped, it is killed.
pub struct Replica {
    /// Where it is.
    pub url: String,
    child: Child,
}

impl Replica {
    /// Starts one beside the scene's own.
    pub async fn start(world: &World) -> Replica {
        let data = world.folder.path().join(shop::number("replica"));
        let (child, ready) = launch(world, &data, None, "127.0.0.1:0").await;
        Replica { url: ready["url"].as_str().unwrap().to_owned(), child }
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Starts a gateway's process and waits until it is ready.
async fn launch(world: &World, data: &Path, board: Option<&Board>, listen: &str) -> (Child, Value) {
    let mut command = serving(world, data, listen);
    let log = data.with_extension("log");
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    command.stdout(Stdio::piped()).stderr(log);
    if let Some(board) = board {
        board.over(&mut command);
    }
    let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(wait::PATIENCE * 2, lines.next_line()).await.unwrap().unwrap();
    let ready: Value = serde_json::from_str(&line.expect("the gateway did not get ready")).unwrap();
    (child, ready)
}

/// The command of a gateway. Compiled components are the same for all, keys the world's.
pub fn serving(world: &World, data: &Path, listen: &str) -> std::process::Command {
    std::fs::create_dir_all(place::shared("compiled")).unwrap();
    std::fs::create_dir_all(data).unwrap();
    let compiled = data.join("compiled");
    if !compiled.exists() {
        std::os::unix::fs::symlink(place::shared("compiled"), compiled).unwrap();
    }
    let settings = world.folder.path().join("tollgate.toml");
    std::fs::write(&settings, "[limits]\ncall_ms = 2000\nconfirm_ms = 1000\n").unwrap();
    let mut command = std::process::Command::new(binary());
    command.arg("serve").args(["--listen", listen, "--simulators", "--bills-at-once"]);
    command.arg("--config").arg(settings).arg("--data").arg(data);
    command.arg("--plugins").arg(place::plugins());
    command.arg("--key-file").arg(world.data().join("sealing.key"));
    command.envs(world.storage.url().map(|url| ("TOLLGATE_DATABASE_URL", url)));
    command.stdin(Stdio::null());
    command
}

/// The program as `cargo xtask test` built it.
pub fn binary() -> PathBuf {
    std::env::var_os("TOLLGATE_BIN")
        .map_or_else(|| place::target().join("debug/tollgate"), PathBuf::from)
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}
