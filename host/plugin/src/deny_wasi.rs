//! A WASI 0.2 that gives nothing: for components from languages whose runtimes import it whatever they do.
//!
//! No files, sockets, environment or arguments; standard input is at its end; what is written to standard output and
//! error is kept, up to 64 KiB, to be shown when the component traps. Clocks stand still at the call's `now`, random
//! numbers follow from the call's nonce, and no wait ever waits: so a call stays a function of its arguments.

use aws_lc_rs::digest;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::{cli, clocks, io, random, sync};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};

use crate::state::CallState;

/// Interfaces that are linked; anything else of WASI is refused at load time.
pub(crate) const INTERFACES: [&str; 13] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// Bytes of standard output and of standard error that are taken; writing more ends the call.
const OUTPUT: usize = 64 << 10;
/// The tail of standard error that goes with a trap.
const TAIL: usize = 8 << 10;
/// Random bytes of one request.
const RANDOM: u64 = 64 << 10;

/// What one call of such a component sees of the world.
pub(crate) struct DenyWasi {
    now_ms: u64,
    seed: Vec<u8>,
    drawn: u64,
    stdout: MemoryOutputPipe,
    stderr: MemoryOutputPipe,
}

impl DenyWasi {
    pub fn new(now_ms: i64, nonce: &str) -> Self {
        Self {
            now_ms: u64::try_from(now_ms).unwrap_or(0),
            seed: nonce.as_bytes().to_vec(),
            drawn: 0,
            stdout: MemoryOutputPipe::new(OUTPUT),
            stderr: MemoryOutputPipe::new(OUTPUT),
        }
    }

    /// The last of what was written to standard error.
    pub fn stderr(&self) -> String {
        let written = self.stderr.contents();
        let tail = &written[written.len().saturating_sub(TAIL)..];
        String::from_utf8_lossy(tail).into_owned()
    }

    /// The next bytes of a stream that the nonce determines: SHA-256 in counter mode.
    fn random(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM {
            return Err(wasmtime::Error::msg("too many random bytes at once"));
        }
        let length = usize::try_from(length)?;
        let mut bytes = Vec::with_capacity(length + digest::SHA256_OUTPUT_LEN);
        while bytes.len() < length {
            self.drawn += 1;
            let mut block = digest::Context::new(&digest::SHA256);
            block.update(&self.seed);
            block.update(&self.drawn.to_be_bytes());
            bytes.extend_from_slice(block.finish().as_ref());
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn number(&mut self) -> wasmtime::Result<u64> {
        let bytes = self.random(8)?;
        Ok(bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
    }
}

/// The table of handles beside the call's WASI.
pub(crate) struct WasiView<'a> {
    pub table: &'a mut ResourceTable,
    pub wasi: &'a mut DenyWasi,
}

struct HasWasi;

impl HasData for HasWasi {
    type Data<'a> = WasiView<'a>;
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links the interfaces one by one, so that a new one never comes along unseen.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    cli::exit::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    cli::stdin::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    cli::stdout::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    cli::stderr::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    clocks::wall_clock::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    clocks::monotonic_clock::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    random::random::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    random::insecure::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    random::insecure_seed::add_to_linker::<_, HasWasi>(linker, CallState::wasi)?;
    sync::io::error::add_to_linker::<_, HasTable>(linker, |state| &mut state.table)?;
    // Not those of `sync`, which enter an executor to wait: a call may run within one. These never wait, since what is
    // written and read lies in memory.
    io::streams::add_to_linker::<_, HasTable>(linker, |state| &mut state.table)?;
    sync::io::poll::add_to_linker::<_, HasWasi>(linker, CallState::wasi)
}

impl cli::environment::Host for WasiView<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl cli::exit::Host for WasiView<'_> {
    fn exit(&mut self, _status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg("the component called exit"))
    }

    fn exit_with_code(&mut self, _code: u8) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg("the component called exit"))
    }
}

impl cli::stdin::Host for WasiView<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(Vec::new()));
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for WasiView<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.wasi.stdout.clone());
        Ok(self.table.push(stream)?)
    }
}

impl cli::stderr::Host for WasiView<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.wasi.stderr.clone());
        Ok(self.table.push(stream)?)
    }
}

impl clocks::wall_clock::Host for WasiView<'_> {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime {
            seconds: self.wasi.now_ms / 1000,
            nanoseconds: u32::try_from(self.wasi.now_ms % 1000 * 1_000_000)?,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl clocks::monotonic_clock::Host for WasiView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.wasi.now_ms.saturating_mul(1_000_000))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.ready_at_once()
    }

    fn subscribe_duration(&mut self, _length: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.ready_at_once()
    }
}

impl WasiView<'_> {
    /// A wait that is over: a sleeping call would hold a thread that no deadline can reach.
    fn ready_at_once(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let ended = self.table.push(MemoryInputPipe::new(Vec::new()))?;
        subscribe(self.table, ended)
    }
}

impl random::random::Host for WasiView<'_> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.wasi.random(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.wasi.number()
    }
}

impl random::insecure::Host for WasiView<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.wasi.random(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.wasi.number()
    }
}

impl random::insecure_seed::Host for WasiView<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.wasi.number()?, self.wasi.number()?))
    }
}

impl sync::io::poll::Host for WasiView<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(wasmtime::Error::msg("poll of nothing"));
        }
        for pollable in &pollables {
            self.table.get(pollable)?;
        }
        (0..pollables.len()).map(|at| Ok(u32::try_from(at)?)).collect()
    }
}

impl sync::io::poll::HostPollable for WasiView<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.table.get(&pollable)?;
        Ok(true)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.table.get(&pollable)?;
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        sync::io::poll::HostPollable::drop(self.table, pollable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_follows_from_the_nonce() {
        let draw = |nonce| {
            let mut wasi = DenyWasi::new(0, nonce);
            (wasi.random(100).unwrap(), wasi.number().unwrap())
        };
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        assert!(DenyWasi::new(0, "a").random(RANDOM + 1).is_err());
    }

    #[test]
    fn clocks_stand_still() {
        let mut table = ResourceTable::new();
        let mut wasi = DenyWasi::new(1_700_000_000_123, "a");
        let mut view = WasiView { table: &mut table, wasi: &mut wasi };
        let first = clocks::wall_clock::Host::now(&mut view).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let second = clocks::wall_clock::Host::now(&mut view).unwrap();
        assert_eq!((first.seconds, first.nanoseconds), (1_700_000_000, 123_000_000));
        assert_eq!(first.nanoseconds, second.nanoseconds);
        assert!(clocks::monotonic_clock::Host::subscribe_duration(&mut view, u64::MAX).is_ok());
    }
}
