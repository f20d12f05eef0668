//! The gateway: HTTP faces, flows, jobs and store around the rules of `tollgate-domain` and the sandbox of
//! `tollgate-plugin`. `ARCHITECTURE.md` beside this crate walks through it.

pub mod api;
pub mod cashier;
pub mod chance;
pub mod cli;
pub mod config;
pub mod files;
pub mod flows;
pub mod gateway;
pub mod jobs;
pub mod net;
pub mod sealing;
pub mod server;
pub mod store;
pub mod webhooks;
