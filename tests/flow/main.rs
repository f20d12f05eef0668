//! The gateway from outside: orders, payments, messages, refunds and bills over HTTP, with a simulated provider on the
//! other side of real sockets, real plugins in the sandbox, and a database in a file.
#![allow(clippy::unwrap_used)]

mod products;
