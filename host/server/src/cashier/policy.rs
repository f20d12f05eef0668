//! What a browser may do with a page: nothing but what the page needs.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue, header};
use tollgate_domain::ids::{AccountId, MerchantId};
use url::Url;

use crate::flows::account;
use crate::gateway::Gateway;

/// The headers of every page. A form may go to us and to `targets`, where its redirects may lead too: some browsers
/// hold a form's redirects to the same rule.
pub fn headers(targets: &[String]) -> HeaderMap {
    let mut forms = BTreeSet::new();
    forms.extend(targets.iter().map(String::as_str));
    let forms: String = forms.into_iter().map(|target| format!(" {target}")).collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data: 'self'; \
         form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut headers = HeaderMap::new();
    // A policy that cannot be written must not become none at all.
    let strictest =
        HeaderValue::from_static("default-src 'none'; form-action 'self'; frame-ancestors 'none'");
    let policy = HeaderValue::from_str(&policy).unwrap_or(strictest);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers
}

/// The origin of an address that a form goes to.
pub fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
}

/// Where payers of these accounts may be sent: what the manifests list for browsers, and for starting a payment.
pub async fn payer_origins(
    gateway: &Gateway,
    merchant: MerchantId,
    accounts: impl IntoIterator<Item = AccountId>,
) -> Vec<String> {
    let accounts: BTreeSet<AccountId> = accounts.into_iter().collect();
    let mut origins = Vec::new();
    for id in accounts {
        // An account that cannot be opened takes no payment either; who tries is told then.
        let Ok(account) = account::open(gateway, merchant, id).await else {
            continue;
        };
        let manifest = account.plugin.manifest();
        let browser = manifest.origins.iter().filter(|origin| origin.purpose == "browser");
        let pay = manifest.operations.iter().filter(|ability| ability.operation == "pay");
        let calls = pay.flat_map(|ability| &ability.calls);
        let names: BTreeSet<&str> = browser
            .map(|origin| origin.name.as_str())
            .chain(calls.map(|call| call.origin.as_str()))
            .collect();
        let bases = account.origins.iter().filter(|(name, _)| names.contains(name.as_str()));
        origins.extend(bases.filter_map(|(_, base)| source(base)));
    }
    origins
}

/// A base address as a policy names it: scheme, host and port, the host perhaps with a star for its first label.
fn source(base: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-*:[]".contains(&byte);
    let is_web = matches!(scheme, "https" | "http") && !host.is_empty();
    (is_web && host.bytes().all(plain)).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_do_nothing_but_what_it_needs() {
        let targets = [
            "https://b.example".to_owned(),
            "https://a.example".into(),
            "https://b.example".into(),
        ];
        let headers = headers(&targets);
        assert_eq!(
            headers[header::CONTENT_SECURITY_POLICY],
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             img-src data: 'self'; form-action 'self' https://a.example https://b.example; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    }

    #[test]
    fn a_target_cannot_write_the_policy() {
        assert_eq!(source("https://a.example; script-src *"), None);
        assert_eq!(source("https://a.example 'unsafe-inline'"), None);
        assert_eq!(source("javascript://a"), None);
        assert_eq!(
            source("https://*.example.com/gateway.do"),
            Some("https://*.example.com".into())
        );
        assert_eq!(source("http://127.0.0.1:9000/x?y"), Some("http://127.0.0.1:9000".into()));
        assert_eq!(origin("https://a.example:443/x"), Some("https://a.example".into()));
        assert_eq!(origin("javascript:alert(1)"), None);
        let broken = headers(&["https://a\nb".to_owned()]);
        assert!(
            broken[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
    }
}
