//! The gateway from outside: orders, payments, messages, refunds and bills over HTTP, with a simulated provider on the
//! other side of real sockets, real plugins in the sandbox, and a database of
//! either engine.
#![allow(clippy::unwrap_used)]

mod accounts;
mod bad_input;
mod baskets;
mod bills;
mod cashier;
mod clerk;
mod closing;
mod crowds;
mod dark;
mod disputes;
mod elsewhere;
mod forgeries;
mod idempotency;
mod late;
mod late_keys;
mod lists;
mod messages;
mod postgres;
mod products;
mod reconciliation;
mod refunds;
mod replicas;
mod replies;
mod reversals;
mod shapes;
mod silence;
mod statements;
mod strangers;
mod unfit;
mod vectors;
mod webhooks;
