//! Tokens: taken by the host out of an answer that no plugin sees.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use crate::contract::{HttpResponse, Token};

/// Longest token, in bytes: it has to fit into a header.
const LONGEST: usize = 8 << 10;
/// A token that says it lives longer is asked for again all the same.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The token in an answer and how long it lives, by the manifest's JSON pointers. The life is a number of seconds, or
/// text of one.
///
/// # Errors
/// What is wrong with the answer, without a byte of it.
pub fn token_of(
    token: &Token,
    response: &HttpResponse,
) -> Result<(SecretString, Duration), &'static str> {
    if !(200..300).contains(&response.status) {
        return Err("the provider gave no token");
    }
    let body: Value =
        serde_json::from_slice(&response.body).map_err(|_| "the token's answer is not JSON")?;
    let text = body.pointer(&token.value).and_then(Value::as_str).unwrap_or_default();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > LONGEST || !plain {
        return Err("the answer has no token at its place");
    }
    let life = body.pointer(&token.expires_in).and_then(|life| match life {
        Value::Number(seconds) => seconds.as_u64(),
        Value::String(seconds) => seconds.parse().ok(),
        _ => None,
    });
    match life {
        Some(seconds @ 1..) => {
            Ok((SecretString::from(text), Duration::from_secs(seconds).min(LONGEST_LIFE)))
        }
        _ => Err("the answer does not say how long its token lives"),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(status: u16, body: &str) -> Result<(String, u64), &'static str> {
        let token = Token { value: "/a/token".into(), expires_in: "/a/life".into() };
        let response = HttpResponse { status, headers: Vec::new(), body: body.into() };
        token_of(&token, &response)
            .map(|(token, life)| (token.expose_secret().to_owned(), life.as_secs()))
    }

    #[test]
    fn a_token_is_found_by_its_pointers() {
        let answer = r#"{"a":{"token":"T-1","life":60}}"#;
        assert_eq!(read(200, answer), Ok(("T-1".to_owned(), 60)));
        assert_eq!(read(201, &answer.replace("60", "\"60\"")), Ok(("T-1".to_owned(), 60)));
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_byte_of_it() {
        for (status, answer) in [
            (401, r#"{"a":{"token":"T-1","life":60}}"#),
            (200, "T-1"),
            (200, r#"{"token":"T-1","life":60}"#),
            (200, r#"{"a":{"token":"","life":60}}"#),
            (200, r#"{"a":{"token":"T 1","life":60}}"#),
            (200, r#"{"a":{"token":1,"life":60}}"#),
            (200, r#"{"a":{"token":"T-1"}}"#),
            (200, r#"{"a":{"token":"T-1","life":0}}"#),
            (200, r#"{"a":{"token":"T-1","life":-5}}"#),
        ] {
            let rule = read(status, answer).unwrap_err();
            assert!(!rule.contains("T-1") && !rule.contains("T 1"), "{answer}: {rule}");
        }
    }
}
