//! PayPal's plugin, native: what each code and status of its transaction report stands for, by table.
#![allow(clippy::unwrap_used)]

mod bills;
