//! Base addresses: how the manifest writes them, what an account makes of them, and which addresses they cover.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Grant, Refusal, refuse};
use crate::contract::{Manifest, Origin};

/// A parsed base address: scheme, host with at most one `*` label in front, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub scheme: String,
    host: String,
    any_label: bool,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

impl Base {
    /// Reads `https://host[:port][/path]`; the host may start with `*.`. The error is the rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("is no absolute address with a host")?;
        let any_label = rest.starts_with("*.");
        let plain = format!("{scheme}://{}", rest.strip_prefix("*.").unwrap_or(rest));
        let url = strict_url(&plain)?;
        if url.query().is_some() {
            return Err("has a query".into());
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        if any_label && !host.contains('.') {
            return Err("has a * above a top-level name".into());
        }
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host,
            any_label,
            port: url.port_or_known_default().unwrap_or_default(),
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path behind the base, if the address starts with it.
    pub fn rest_of<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let host = url.host_str()?;
        let host_held = if self.any_label {
            host.split_once('.').is_some_and(|(_, h)| h == self.host)
        } else {
            host == self.host
        };
        let given = (url.scheme(), url.port_or_known_default()?);
        let as_named = given == (self.scheme.as_str(), self.port);
        // A provider that hands out `http:` links hands out the same over TLS.
        let safer = given == ("https", 443) && self.scheme == "http" && self.port == 80;
        if !host_held || !(as_named || safer) {
            return None;
        }
        let rest = url.path().strip_prefix(&self.path)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// Whether the host is this very machine.
    pub fn is_loopback(&self) -> bool {
        !self.any_label && is_loopback(&self.host)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads an address that is exactly what will be sent: in its normal form, without user, fragment or odd characters.
pub(crate) fn strict_url(text: &str) -> Result<Url, String> {
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err("holds characters that no address has".into());
    }
    let url = Url::parse(text).map_err(|_| "is no address")?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("is neither https nor http".into());
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        // An @ may stand in a query in its encoded form; bare, readers differ on what it means.
        return Err("holds a user or an @".into());
    }
    if url.fragment().is_some() {
        return Err("has a fragment".into());
    }
    if url.as_str() != text && url.as_str().trim_end_matches('/') != text {
        return Err("is not in its normal form".into());
    }
    match url.host() {
        Some(Host::Domain(name)) if !odd_name(name) => Ok(url),
        Some(Host::Ipv4(ip)) if ip.is_loopback() => Ok(url),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Ok(url),
        _ => Err("has a host that is no plain name".into()),
    }
}

fn odd_name(name: &str) -> bool {
    let label_held = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name != "localhost" && (!name.contains('.') || !name.split('.').all(label_held))
}

/// Base addresses by name, as the account has them: live or sandbox, with settings put in, or the simulator's.
///
/// # Errors
/// An override of an account that is no simulator's, of an unknown name or off this machine; a setting that does not
/// fit into a host name; no address at all for this mode.
pub fn origins_of(manifest: &Manifest, grant: &Grant) -> Result<Vec<(String, String)>, Refusal> {
    if !grant.simulator && !grant.origins.is_empty() {
        return refuse("only a simulator's account takes addresses of its own");
    }
    for (name, text) in &grant.origins {
        if !manifest.origins.iter().any(|origin| origin.name == *name) {
            return refuse(format!("this plugin has no origin {name:?}"));
        }
        match Base::parse(text) {
            Ok(base) if base.is_loopback() => {}
            Ok(_) => return refuse(format!("origin {name} must be on this machine")),
            Err(rule) => return refuse(format!("origin {name} {rule}")),
        }
    }
    let mut bases = Vec::new();
    for origin in &manifest.origins {
        if let Some(text) = base_text(origin, grant)? {
            bases.push((origin.name.clone(), text));
        }
    }
    if bases.is_empty() && !manifest.origins.is_empty() {
        return refuse("this plugin has no address in this mode");
    }
    Ok(bases)
}

fn base_text(origin: &Origin, grant: &Grant) -> Result<Option<String>, Refusal> {
    if grant.simulator {
        // A simulator's account reaches this machine or nothing.
        let own = grant.origins.get(&origin.name);
        return Ok(own.map(|text| text.trim_end_matches('/').to_owned()));
    }
    let template = if grant.live { &origin.live } else { &origin.sandbox };
    let Some(template) = template else {
        return Ok(None);
    };
    let mut text = template.clone();
    for (name, value) in &grant.settings {
        let place = format!("{{{name}}}");
        if !text.contains(&place) {
            continue;
        }
        let label = value.len() <= 63
            && !value.is_empty()
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !label {
            return refuse(format!("setting {name} does not fit into an address"));
        }
        text = text.replace(&place, value);
    }
    match Base::parse(&text) {
        Ok(base) if base.is_loopback() => refuse(format!("origin {} is this machine", origin.name)),
        Ok(_) => Ok(Some(text.trim_end_matches('/').to_owned())),
        Err(rule) => refuse(format!("origin {} {rule}", origin.name)),
    }
}

/// Whether a path pattern of `call.path` covers a path: `*` in it is one segment, alone it is any path.
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if plain_segment(segment) => {}
            (Some(literal), Some(segment)) if literal != "*" && literal == segment => {}
            _ => return false,
        }
    }
}

/// A segment that no server takes for two: not empty, and no slash, backslash, dot or NUL in disguise.
fn plain_segment(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let hidden = ["%2f", "%5c", "%2e", "%00"];
    !segment.is_empty() && !hidden.iter().any(|code| lower.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_strict() {
        let good = [
            "https://api.example.com/pay?a=b%20c",
            "https://api.example.com",
            "http://127.0.0.1:8080/x",
            "http://[::1]:80801".trim_end_matches('1'),
            "http://localhost:9/",
        ];
        for text in good {
            assert!(strict_url(text).is_ok(), "{text}");
        }
        let bad = [
            "",
            "api.example.com",
            "ftp://api.example.com/",
            "https://user@api.example.com/",
            "https://api.example.com@evil.com/",
            "https://api.example.com\\@evil.com/",
            "https://api.example.com/#top",
            "https://api.example.com/a/../b",
            "https://api.example.com/%2e%2e/b",
            "https://api.example.com:443/",
            "https://API.example.com/",
            "https://api.example.com/a b",
            "https://api.example.com/\r\nHost: x",
            "https://api.example.com/é",
            "https://1.1.1.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://127.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://intranet/",
            "https://a_b.example.com/",
            "https://example.com./",
            "javascript:alert(1)",
        ];
        for text in bad {
            assert!(strict_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bases_cover_their_addresses_only() {
        let rows = [
            ("https://api.example.com", "https://api.example.com/a", Some("/a")),
            ("https://api.example.com/v1", "https://api.example.com/v1/a", Some("/a")),
            ("https://api.example.com/v1", "https://api.example.com/v1", Some("")),
            ("https://api.example.com/v1", "https://api.example.com/v11", None),
            ("https://api.example.com", "http://api.example.com/a", None),
            ("https://api.example.com", "https://api.example.com:8443/a", None),
            ("https://api.example.com", "https://xapi.example.com/a", None),
            ("https://*.example.com", "https://dl.example.com/a", Some("/a")),
            ("https://*.example.com", "https://a.dl.example.com/a", None),
            ("https://*.example.com", "https://example.com/a", None),
            ("https://*.example.com", "https://evilexample.com/a", None),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x/y", Some("/y")),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8081/x/y", None),
            ("http://f.example.com/x", "https://f.example.com/x/y", Some("/y")),
            ("http://f.example.com", "https://g.example.com/a", None),
            ("http://f.example.com", "https://f.example.com:8443/a", None),
            ("http://f.example.com:8080", "https://f.example.com/a", None),
        ];
        for (base, address, rest) in rows {
            let url = strict_url(address).unwrap();
            assert_eq!(Base::parse(base).unwrap().rest_of(&url), rest, "{base} {address}");
        }
        for base in ["https://*.com", "https://*", "https://a.*.com", "https://", "x"] {
            assert!(Base::parse(base).is_err(), "{base}");
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let rows = [
            ("/v1/*/capture", "/v1/abc/capture", true),
            ("/v1/*/capture", "/v1//capture", false),
            ("/v1/*/capture", "/v1/a%2Fb/capture", false),
            ("/v1/*/capture", "/v1/a/b/capture", false),
            ("/v1/*", "/v1/a/refund", false),
            ("*", "/anything/at/all", true),
            ("/gateway.do", "/gateway.do", true),
            ("/gateway.do", "/gateway.do/", false),
            ("/a*", "/ab", false),
        ];
        for (pattern, path, held) in rows {
            assert_eq!(path_matches(pattern, path), held, "{pattern} {path}");
        }
    }
}
