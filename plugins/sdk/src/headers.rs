//! Headers of what a provider sent.

use crate::contract::types::{Fault, Fields};
use crate::fault;

/// The value of a header that a signature rests on: two of a name could be read as either.
///
/// # Errors
/// `signature` unless it stands there once, with a value.
pub fn one<'a>(headers: &'a Fields, name: &str) -> Result<&'a str, Fault> {
    let mut found = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) if !value.is_empty() => Ok(value),
        (Some(_), Some(_)) => Err(fault::signature(format!("`{name}` stands there twice"))),
        _ => Err(fault::signature(format!("`{name}` is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_stands_there_once() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![pair("Sig", "a"), pair("Time", "1"), pair("time", "2"), pair("id", "")];
        assert_eq!(one(&headers, "sig").unwrap(), "a");
        for (name, why) in [("time", "twice"), ("id", "missing"), ("nonce", "missing")] {
            let fault = one(&headers, name).unwrap_err();
            assert_eq!(fault.code, "signature");
            assert!(fault.message.contains(why), "{}", fault.message);
        }
    }
}
