//! What SQLite says when it refuses, in sqlx's words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};

/// SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY.
const UNIQUE: [i32; 2] = [2067, 1555];

/// Why SQLite refused.
#[derive(Debug)]
struct Refusal {
    /// The extended result code.
    code: i32,
    message: String,
}

/// An error of SQLite's as one of sqlx's.
pub(super) fn refused(error: rusqlite::Error) -> Error {
    match error.sqlite_error() {
        Some(code) => {
            let (code, message) = (code.extended_code, error.to_string());
            Error::Database(Box::new(Refusal { code, message }))
        }
        None => Error::AnyDriverError(Box::new(error)),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl StdError for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        if UNIQUE.contains(&self.code) { ErrorKind::UniqueViolation } else { ErrorKind::Other }
    }
}
