//! What stands between the gateway's program and libc: `shim.c`, made once, and the board by which a test tells it where
//! to kill or fail.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::place;

/// Where the program is killed, as `shim.c` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A commit is about to be made durable (SQLite).
    BeforeCommit = 1,
    /// A commit is durable, and nobody has been told (SQLite).
    AfterCommit = 2,
    /// A provider is about to be asked.
    BeforeAsking = 3,
    /// A provider was asked, and has not answered.
    AfterAsking = 4,
    /// A provider has answered, and nothing of that is written.
    AfterHearing = 5,
    /// A client, or a provider that notified us, is about to be answered.
    BeforeAnswering = 6,
    /// It was answered.
    AfterAnswering = 7,
    /// A statement is about to be sent to the database (Postgres).
    BeforeStatement = 8,
    /// A statement was sent and not answered (Postgres).
    AfterStatement = 9,
    /// The database has answered, and nobody has read it (Postgres).
    AfterRows = 10,
}

/// The words of the board, in the order of `shim.c`.
#[derive(Clone, Copy)]
enum Word {
    Point = 0,
    Countdown = 1,
    Fired = 2,
    FailFsyncs = 3,
    DiskFull = 4,
    ProviderPort = 5,
    OwnPort = 6,
    Fsyncs = 7,
}

const WORDS: u64 = 8;

/// The board of one program.
pub struct Board {
    path: PathBuf,
    file: File,
}

impl Board {
    /// A board on which nothing is asked for.
    pub fn new(folder: &Path, provider_port: u16) -> Board {
        let path = folder.join("shim-board");
        let file =
            File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        file.set_len(WORDS * 8).unwrap();
        let board = Board { path, file };
        board.write(Word::ProviderPort, u64::from(provider_port));
        board
    }

    fn write(&self, word: Word, value: u64) {
        self.file.write_all_at(&value.to_ne_bytes(), word as u64 * 8).unwrap();
    }

    fn read(&self, word: Word) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, word as u64 * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// A board that everybody may write: for a program that runs as somebody else.
    pub fn for_all(folder: &Path) -> Board {
        let board = Board::new(folder, 0);
        std::fs::set_permissions(&board.path, Permissions::from_mode(0o666)).unwrap();
        board
    }

    /// Has a program run under the shim, told by this board.
    pub fn over(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("TOLLGATE_SHIM", &self.path);
    }

    /// The port at which the program listens, by which it knows its clients.
    pub fn listens_at(&self, port: u16) {
        self.write(Word::OwnPort, u64::from(port));
    }

    /// Kills the program when it passes this point for the `nth` time from now on.
    pub fn kill_at(&self, point: Point, nth: u64) {
        self.write(Word::Fired, 0);
        self.write(Word::Countdown, nth);
        self.write(Word::Point, point as u64);
    }

    /// Whether the program was killed where it was to be.
    pub fn fired(&self) -> bool {
        self.read(Word::Fired) == 1
    }

    /// How often the program, and what it started, has made a file durable.
    pub fn fsyncs(&self) -> u64 {
        self.read(Word::Fsyncs)
    }

    /// Nothing is asked for any more.
    pub fn clear(&self) {
        self.write(Word::Point, 0);
        self.write(Word::FailFsyncs, 0);
        self.write(Word::DiskFull, 0);
    }

    /// The next so many attempts to make the database durable fail.
    pub fn fail_fsyncs(&self, count: u64) {
        self.write(Word::FailFsyncs, count);
    }

    /// Nothing more can be written to the database's files.
    pub fn fill_disk(&self) {
        self.write(Word::DiskFull, 1);
    }
}

/// The shim as a library, made by the C compiler that the build needs anyway.
fn library() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = place::shared("shim");
        std::fs::create_dir_all(&folder).unwrap();
        let source = folder.join("shim.c");
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        let (new, library) =
            (folder.join(format!("{}.so", std::process::id())), folder.join("shim.so"));
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&new, &source])
            .arg("-ldl")
            .status();
        assert!(made.is_ok_and(|status| status.success()), "cc could not make shim.c");
        // Programs that run under the one before keep it.
        std::fs::rename(new, &library).unwrap();
        library
    })
}
