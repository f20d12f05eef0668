//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07) on whatever changes something under `/v1`: one layer
//! for every route, so that none is forgotten.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::body::unread;
use super::problem::Problem;
use super::{Shared, finish};
use crate::flows::FieldError;
use crate::flows::idempotency::{self, Answer, Asked, Outcome, fingerprint};
use crate::store::keys::Holder;

/// The header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was kept from the first time.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 255;
/// The headers that belong to an answer; the others are made anew each time.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// Runs a request once under its key. Without a key it runs as often as it comes, unless the merchant demands one.
pub async fn once(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    let holder = request.extensions().get::<Holder>().cloned();
    let Some(holder) = holder.filter(|_| !request.method().is_safe()) else {
        return next.run(request).await;
    };
    match key_of(request.headers()) {
        Err(problem) => problem.into_response(),
        Ok(None) if holder.demands_keys == 1 => {
            let detail = "this merchant's requests need the header Idempotency-Key";
            Problem::new("idempotency-key-missing", detail).into_response()
        }
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => {
            let done = keyed(gateway, holder, key, request, next).await;
            done.unwrap_or_else(Problem::into_response)
        }
    }
}

/// The key of a request: a string of structured fields (RFC 9651) in quotes, as the draft wants it, or the same text
/// without them, as most send it.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refused = |rule: String| {
        let errors = vec![FieldError::new("Idempotency-Key", rule)];
        Err(Problem::new("idempotency-key-malformed", "the idempotency key breaks a rule")
            .with(errors))
    };
    if values.next().is_some() {
        return refused("must stand there once".to_owned());
    }
    let text = value.to_str().unwrap_or_default().trim();
    let bare = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or_default(),
        None => text,
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if bare.is_empty() || bare.len() > LONGEST || !bare.bytes().all(plain) {
        return refused(format!(
            "must be 1 to {LONGEST} visible ASCII characters without \\ and \", in quotes or not"
        ));
    }
    Ok(Some(bare.to_owned()))
}

async fn keyed(
    gateway: Shared,
    holder: Holder,
    key: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = format!("{} {}", request.method(), path.unwrap_or_default());
    let (parts, body) = request.into_parts();
    let address = parts.uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
    // Reading it as the handler would keeps to the limit on bodies.
    let whole = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(whole, &()).await.map_err(unread)?;
    let fingerprint = fingerprint(&gateway.marks, &address, &bytes);
    let asked = Asked { merchant: holder.merchant_id, route, key, fingerprint };
    // A client that hangs up takes neither the work nor its answer with it.
    let outcome = finish(async move {
        idempotency::run(&gateway, &asked, |turn| async move {
            let mut request = Request::from_parts(parts, Body::from(bytes));
            request.extensions_mut().insert(turn);
            taken(next.run(request).await).await
        })
        .await
    });
    Ok(match outcome.await? {
        Outcome::Ran(response) => response,
        Outcome::Replayed(answer) => replayed(answer),
    })
}

/// An answer as it is kept, and as it is sent this first time.
async fn taken(response: Response) -> (Answer, Response) {
    let (parts, body) = response.into_parts();
    // It is of our own making: all of it is there.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: kept(&parts),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    (answer, Response::from_parts(parts, Body::from(bytes)))
}

fn kept(parts: &response::Parts) -> Vec<(String, String)> {
    let value = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    KEPT.iter().filter_map(value).collect()
}

fn replayed(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, HeaderValue::from_bytes(value).unwrap());
        }
        key_of(&headers)
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let longest = "k".repeat(LONGEST);
        for (value, key) in [
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (" a ", "a"),
            ("order:17;try=1", "order:17;try=1"),
            (&longest, &longest),
        ] {
            assert_eq!(read(&[value.as_bytes()]).unwrap().as_deref(), Some(key), "{value}");
        }
        assert_eq!(read(&[]).unwrap(), None);
    }

    #[test]
    fn what_is_no_key_is_refused_by_the_name_of_the_header() {
        let long = "k".repeat(LONGEST + 1);
        for values in [
            &[b"" as &[u8]] as &[&[u8]],
            &[b"\"\""],
            &[b"\"a"],
            &[b"a\""],
            &[b"\"a\";p=1"],
            &[b"a b"],
            &[b"a\tb"],
            &[b"a\\b"],
            &["é".as_bytes()],
            &[long.as_bytes()],
            &[b"a", b"a"],
        ] {
            let problem = read(values).unwrap_err();
            assert_eq!(problem.status(), 400, "{values:?}");
            assert_eq!(problem.errors()[0].field, "Idempotency-Key");
            assert!(!problem.errors()[0].rule.is_empty());
        }
    }
}
