//! What the sandbox promises, shown over real components, sockets and files: no secret byte reaches a component, a log,
//! a row or an answer; a component that misbehaves is stopped; accounts do not mix.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod accounts;
mod canary;
mod files;
mod hostile;
mod keys;
mod liar;
mod loading;
mod logs;
mod mirror;
mod needles;
mod private_fields;
mod routes;
mod schema;
mod sealing;
mod stage;
mod tenants;
mod theft;
