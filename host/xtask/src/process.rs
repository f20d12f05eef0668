//! Child processes: those that end by themselves, and servers that are stopped when nobody needs them any more.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

/// How long a server may take until it says that it is ready. The gateway compiles its plugins at its first start.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How much of a server's log is shown when it ends unasked.
const LOG_LINES_SHOWN: usize = 20;

/// The error of a program that ended badly.
pub fn program_failed(what: &str, status: ExitStatus) -> anyhow::Error {
    match status.code() {
        Some(code) => anyhow!("{what} failed with exit code {code}"),
        None => anyhow!("{what} was stopped by a signal"),
    }
}

/// Runs a program to its end, with its output shown.
pub fn run(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{what} could not be started"))?;
    if status.success() { Ok(()) } else { Err(program_failed(what, status)) }
}

/// Runs a program to its end and hands each line of its standard output over as it comes. Standard error is shown.
pub fn lines(
    what: &str,
    command: &mut Command,
    mut each: impl FnMut(&str),
) -> anyhow::Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{what} could not be started"))?;
    let output = child.stdout.take().context("a piped output")?;
    for line in BufReader::new(output).split(b'\n') {
        each(&String::from_utf8_lossy(&line?));
    }
    Ok(child.wait()?)
}

/// A server that runs until this value is dropped.
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server whose first line on standard output is a JSON object that says it is ready, and gives that object.
    /// Its standard error goes to a file.
    pub fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> anyhow::Result<(Self, Value)> {
        let errors = File::create(log).with_context(|| format!("{}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        let output = child.stdout.take().context("a piped output")?;
        let mut server = Self { name, child, log: log.to_owned() };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // The pipe is read to its end: a server that writes to a closed one would stop.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let Ok(line) = receiver.recv_timeout(READY_WITHIN) else {
            bail!("{name} did not get ready: {}", server.last_words());
        };
        let ready: Value = serde_json::from_str(&line)
            .with_context(|| format!("what {name} said when it got ready"))?;
        if ready["ready"] != true {
            bail!("{name} did not get ready: {line}");
        }
        Ok((server, ready))
    }

    /// Waits until the server ends by itself, which it should not.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        Err(program_failed(self.name, status).context(self.log_end()))
    }

    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log_end()
    }

    /// The end of what the server wrote to its log.
    pub fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let start = lines.len().saturating_sub(LOG_LINES_SHOWN);
        format!("end of the log of {}:\n{}", self.name, lines[start..].join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
