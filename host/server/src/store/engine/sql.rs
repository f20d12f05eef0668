//! What statements run on: SQLite's file in this process, or a server over a socket. Statements are the same text for
//! both, and are bound and read by sqlx's `Any`.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Either, Error, Execute, Executor, SqlStr};

use super::file::FileConnection;

/// A connection, whichever engine is behind it.
#[derive(Debug)]
pub enum Sql {
    /// To SQLite's file. A statement runs where it is asked for.
    File(FileConnection),
    /// To a server, out of its pool.
    Pooled(PoolConnection<Any>),
    /// To a server, on its own.
    Single(AnyConnection),
}

type Answer<'e, T> = BoxFuture<'e, Result<T, Error>>;

impl Sql {
    fn way(&mut self) -> Result<&mut FileConnection, &mut AnyConnection> {
        match self {
            Sql::File(file) => Ok(file),
            Sql::Pooled(connection) => Err(connection),
            Sql::Single(connection) => Err(connection),
        }
    }
}

impl<'c> Executor<'c> for &'c mut Sql {
    type Database = Any;

    fn execute<'e, 'q: 'e, E>(self, mut query: E) -> Answer<'e, AnyQueryResult>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let file = match self.way() {
            Ok(file) => file,
            Err(connection) => return connection.execute(query),
        };
        let done = match query.take_arguments() {
            Ok(Some(arguments)) => file.execute(query.sql().as_str(), &arguments),
            Ok(None) => file.batch(query.sql().as_str()),
            Err(error) => Err(Error::Encode(error)),
        };
        said(done.map(|rows_affected| AnyQueryResult { rows_affected, last_insert_id: None }))
    }

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let file = match self.way() {
            Ok(file) => file,
            Err(connection) => return connection.fetch_many(query),
        };
        let found = match query.take_arguments() {
            Ok(arguments) => file.fetch(query.sql().as_str(), arguments.as_ref(), usize::MAX),
            Err(error) => Err(Error::Encode(error)),
        };
        let rows: Vec<_> = match found {
            Ok(rows) => rows.into_iter().map(|row| Ok(Either::Right(row))).collect(),
            Err(error) => vec![Err(error)],
        };
        let rows = async move {
            tokio::task::consume_budget().await;
            stream::iter(rows)
        };
        stream::once(rows).flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, mut query: E) -> Answer<'e, Option<AnyRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let file = match self.way() {
            Ok(file) => file,
            Err(connection) => return connection.fetch_optional(query),
        };
        let found = match query.take_arguments() {
            Ok(arguments) => file.fetch(query.sql().as_str(), arguments.as_ref(), 1),
            Err(error) => Err(Error::Encode(error)),
        };
        said(found.map(|mut rows| rows.pop()))
    }

    fn prepare_with<'e>(self, sql: SqlStr, types: &'e [AnyTypeInfo]) -> Answer<'e, AnyStatement>
    where
        'c: 'e,
    {
        match self.way() {
            Ok(_) => said(Err(unprepared())),
            Err(connection) => connection.prepare_with(sql, types),
        }
    }
}

/// Nobody asks for it: statements in a file are prepared as they run.
fn unprepared() -> Error {
    Error::AnyDriverError("a statement in a file is prepared as it runs".into())
}

/// An answer that is there already. A transaction of many statements gives other tasks their turn all the same.
fn said<'e, T: Send + 'e>(answer: Result<T, Error>) -> Answer<'e, T> {
    Box::pin(async move {
        tokio::task::consume_budget().await;
        answer
    })
}
