//! Everything that this process logs, at levels that no operator would bear, kept to be looked through.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

static LOGS: OnceLock<Logs> = OnceLock::new();

/// What was logged so far.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

/// Starts to keep logs; in each test that looks at them before anything else.
pub fn kept() -> &'static Logs {
    LOGS.get_or_init(|| {
        let logs = Logs::default();
        tracing_subscriber::fmt()
            .json()
            .with_writer(logs.clone())
            .with_env_filter(EnvFilter::new(
                "debug,tollgate=trace,tollgate_plugin=trace,sqlx=trace",
            ))
            .init();
        logs
    })
}

impl Logs {
    /// A copy.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Logs;

    fn make_writer(&self) -> Logs {
        self.clone()
    }
}
