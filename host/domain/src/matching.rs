//! Matching a bill with our records.
