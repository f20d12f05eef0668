//! Where a payer is, guessed from what the browser says of itself.

use axum::http::{HeaderMap, header};

/// `phone` or `desktop`: what methods are offered for.
pub fn guess(headers: &HeaderMap) -> &'static str {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("sec-ch-ua-mobile") {
        "?1" => return "phone",
        "?0" => return "desktop",
        _ => {}
    }
    let agent = text(header::USER_AGENT.as_str()).to_ascii_lowercase();
    let phone = ["mobi", "iphone", "android", "harmony"].iter().any(|word| agent.contains(word));
    if phone { "phone" } else { "desktop" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn phones_and_desktops_are_told_apart() {
        let rows = [
            (
                "user-agent",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148",
                "phone",
            ),
            (
                "user-agent",
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140 Mobile Safari",
                "phone",
            ),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", "desktop"),
            ("user-agent", "curl/8.5", "desktop"),
            ("sec-ch-ua-mobile", "?1", "phone"),
            ("x-none", "", "desktop"),
        ];
        for (name, value, surface) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
            assert_eq!(guess(&headers), surface, "{value}");
        }
    }
}
