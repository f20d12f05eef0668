//! The gateway's own program, killed, stopped and starved: at every point at which something becomes durable, is sent
//! or arrives, under load, and on a disk that fails. What kills it stands between the program and libc (`shim.c`), so
//! that the program is the one that is shipped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod alone;
mod books;
mod disk;
mod load;
mod points;
mod postgres;
mod program;
