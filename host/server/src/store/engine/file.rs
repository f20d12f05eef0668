//! A connection to SQLite's file, without a thread of its own: a statement reads and writes a few rows in memory that is
//! mostly there, which takes less time than waking another thread to do it. What waits for the disk runs where it may
//! block: a commit ([`super::Writers::commit`]), and a begin that has to wait for another process.

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, Statement};
use sqlx::Error;
use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfo, AnyTypeInfoKind, AnyValue};
use sqlx_core::HashMap;
use sqlx_core::any::{AnyColumn, AnyValueKind};
use sqlx_core::ext::ustr::UStr;

use super::refusal::refused;

/// FULL: a commit that was answered survives a power cut.
const SESSION: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8000; \
     PRAGMA temp_store = MEMORY";
/// How long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many statements are kept prepared: more than there are.
const PREPARED: usize = 512;
/// So many connections are kept open that nobody uses.
const MOST_IDLE: usize = 8;

/// A database file, and the connections to it that are open and idle.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    idle: Mutex<Vec<Open>>,
}

/// A connection to a file. Dropped, it takes back what was not committed, and waits for its next use.
#[derive(Debug)]
pub struct FileConnection {
    open: Option<Open>,
    file: Arc<File>,
}

struct Open {
    connection: Connection,
    /// What rows look like, by statement.
    shapes: HashMap<Box<str>, Arc<Shape>>,
}

/// The columns of a statement's rows.
struct Shape {
    names: Arc<HashMap<UStr, usize>>,
    columns: Vec<AnyColumn>,
}

impl File {
    /// A file by its path; nothing is done with it yet.
    pub(super) fn new(path: &Path) -> Arc<File> {
        Arc::new(File { path: path.to_owned(), idle: Mutex::default() })
    }

    /// Makes the file if it is missing, for its owner alone: SQLite gives what lies beside it the same rights.
    pub(super) fn make(&self) -> std::io::Result<()> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// A connection that is idle, or a new one.
    pub fn connect(self: &Arc<File>) -> Result<FileConnection, Error> {
        let idle = self.idle().pop();
        let open = match idle {
            Some(open) => open,
            None => Open::new(&self.path).map_err(refused)?,
        };
        Ok(FileConnection { open: Some(open), file: self.clone() })
    }

    /// A new connection: what it reads comes from the file, not from what an older one remembers.
    pub fn anew(self: &Arc<File>) -> Result<FileConnection, Error> {
        let open = Open::new(&self.path).map_err(refused)?;
        Ok(FileConnection { open: Some(open), file: self.clone() })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Open>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn new(path: &Path) -> Result<Open, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(SESSION)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(Open { connection, shapes: HashMap::new() })
    }
}

impl FileConnection {
    /// Runs statements that take no arguments, one after another, whatever they find. Gives how many rows the last one
    /// changed.
    pub(super) fn batch(&mut self, sql: &str) -> Result<u64, Error> {
        let Open { connection, .. } = self.open()?;
        connection.execute_batch(sql).map_err(refused)?;
        Ok(connection.changes())
    }

    /// As [`Self::batch`], but does not wait for another process: false, it would have to.
    pub(super) fn batch_at_once(&mut self, sql: &str) -> Result<bool, Error> {
        self.open()?.connection.busy_timeout(Duration::ZERO).map_err(refused)?;
        let done = self.batch(sql);
        self.open()?.connection.busy_timeout(PATIENCE).map_err(refused)?;
        match done {
            Ok(_) => Ok(true),
            Err(error) if super::sqlite::is_busy(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::batch`] on a thread that may block. Gives the connection back, unless that thread broke down.
    pub(super) async fn batch_elsewhere(
        mut self,
        sql: &'static str,
    ) -> (Option<FileConnection>, Result<(), Error>) {
        let run = move || {
            let done = self.batch(sql).map(|_| ());
            (Some(self), done)
        };
        tokio::task::spawn_blocking(run).await.unwrap_or((None, Err(Error::WorkerCrashed)))
    }

    /// Runs a statement to its end. Gives how many rows it changed.
    pub(super) fn execute(&mut self, sql: &str, arguments: &AnyArguments) -> Result<u64, Error> {
        let Open { connection, .. } = self.open()?;
        let mut statement = connection.prepare_cached(sql).map_err(refused)?;
        bind(&mut statement, arguments)?;
        let mut rows = statement.raw_query();
        while rows.next().map_err(refused)?.is_some() {}
        Ok(connection.changes())
    }

    /// Runs a statement and gives the rows that it finds, so many at most. Without arguments its parameters are null.
    pub(super) fn fetch(
        &mut self,
        sql: &str,
        arguments: Option<&AnyArguments>,
        most: usize,
    ) -> Result<Vec<AnyRow>, Error> {
        let Open { connection, shapes } = self.open()?;
        let mut statement = connection.prepare_cached(sql).map_err(refused)?;
        if let Some(arguments) = arguments {
            bind(&mut statement, arguments)?;
        }
        // A column that was added since makes it another shape.
        let known = shapes.get(sql).filter(|known| known.columns.len() == statement.column_count());
        let shape = match known {
            Some(known) => known.clone(),
            None => {
                let shape = Arc::new(Shape::of(&statement));
                if shapes.len() == PREPARED {
                    shapes.clear();
                }
                shapes.insert(sql.into(), shape.clone());
                shape
            }
        };
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while found.len() < most
            && let Some(row) = rows.next().map_err(refused)?
        {
            found.push(shape.row(row)?);
        }
        Ok(found)
    }

    /// The one text that a statement finds.
    pub(super) fn text(&mut self, sql: &str) -> Result<String, Error> {
        let Open { connection, .. } = self.open()?;
        connection.query_row(sql, (), |row| row.get(0)).map_err(refused)
    }

    fn open(&mut self) -> Result<&mut Open, Error> {
        self.open.as_mut().ok_or(Error::PoolClosed)
    }
}

impl Drop for FileConnection {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let at_rest =
            open.connection.is_autocommit() || open.connection.execute_batch("ROLLBACK").is_ok();
        let mut idle = self.file.idle();
        if at_rest && idle.len() < MOST_IDLE {
            idle.push(open);
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

impl Shape {
    fn of(statement: &Statement<'_>) -> Shape {
        let type_info = AnyTypeInfo { kind: AnyTypeInfoKind::Null };
        let column = |(ordinal, name): (usize, &str)| {
            let (name, type_info) = (UStr::new(name), type_info.clone());
            AnyColumn { ordinal, name, type_info }
        };
        let names = statement.column_names();
        let columns: Vec<AnyColumn> = names.into_iter().enumerate().map(column).collect();
        let names = columns.iter().map(|column| (column.name.clone(), column.ordinal)).collect();
        Shape { names: Arc::new(names), columns }
    }

    fn row(&self, row: &Row<'_>) -> Result<AnyRow, Error> {
        let value = |column: &AnyColumn| {
            let kind = value(row.get_ref(column.ordinal).map_err(refused)?)?;
            Ok(AnyValue { kind })
        };
        let values = self.columns.iter().map(value).collect::<Result<_, Error>>()?;
        Ok(AnyRow { column_names: self.names.clone(), columns: self.columns.clone(), values })
    }
}

fn value(value: ValueRef<'_>) -> Result<AnyValueKind, Error> {
    Ok(match value {
        ValueRef::Null => AnyValueKind::Null(AnyTypeInfoKind::Null),
        ValueRef::Integer(number) => AnyValueKind::BigInt(number),
        ValueRef::Real(number) => AnyValueKind::Double(number),
        ValueRef::Text(text) => {
            let text = str::from_utf8(text).map_err(|error| Error::Decode(error.into()))?;
            AnyValueKind::Text(Arc::new(text.to_owned()))
        }
        ValueRef::Blob(bytes) => AnyValueKind::Blob(Arc::new(bytes.to_owned())),
    })
}

/// Binds `$1` to the first argument, wherever it stands in the statement.
fn bind(statement: &mut Statement<'_>, arguments: &AnyArguments) -> Result<(), Error> {
    for place in 1..=statement.parameter_count() {
        let number = statement.parameter_name(place).and_then(|name| name.strip_prefix('$'));
        let number = number.and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
        let argument = number.and_then(|number| arguments.values.0.get(number));
        let argument =
            argument.ok_or_else(|| Error::Encode("a parameter without a value".into()))?;
        let bound = match argument {
            AnyValueKind::Null(_) => ValueRef::Null,
            AnyValueKind::Bool(yes) => ValueRef::Integer(i64::from(*yes)),
            AnyValueKind::SmallInt(number) => ValueRef::Integer(i64::from(*number)),
            AnyValueKind::Integer(number) => ValueRef::Integer(i64::from(*number)),
            AnyValueKind::BigInt(number) => ValueRef::Integer(*number),
            AnyValueKind::Text(text) => ValueRef::Text(text.as_bytes()),
            AnyValueKind::TextSlice(text) => ValueRef::Text(text.as_bytes()),
            AnyValueKind::Blob(bytes) => ValueRef::Blob(bytes),
            other => return Err(Error::Encode(format!("no column holds {other:?}").into())),
        };
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(bound)).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
