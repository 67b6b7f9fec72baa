//! Keeps other sites out: the page is for whoever can reach its address, and for no site that such a
//! person happens to look at.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Everything comes from here, nothing may frame the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What browsers say of where a request comes from (W3C, Fetch Metadata Request Headers).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// No other site may embed what is answered here (WHATWG, Fetch).
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const FOREIGN: &str = "another site's page may not ask here";

/// Refuses requests that a foreign site may have caused, and adds headers that browsers obey.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.headers()) {
        Some(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request is refused. A name that an attacker's DNS server points here shows in `Host`; a
/// foreign site's script shows in `Origin`.
fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !is_address(host) {
        return Some("ask by IP address or as localhost");
    }
    // Not the page itself, but a link to it, may come from elsewhere.
    let is_link = text(FETCH_MODE) == Some("navigate");
    let is_foreign = matches!(text(FETCH_SITE), Some("cross-site" | "same-site"));
    if is_foreign && !is_link {
        return Some(FOREIGN);
    }
    let origin = text(header::ORIGIN)?;
    let is_own = origin.strip_prefix("http://") == Some(host);
    (!is_own).then_some(FOREIGN)
}

/// An IP address or localhost, with or without a port.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        refusal(&headers).is_none()
    }

    #[test]
    fn only_the_page_itself_may_ask() {
        assert!(asked("127.0.0.1:8780", None));
        assert!(asked("localhost:8780", Some("http://localhost:8780")));
        assert!(asked("[::1]:8780", Some("http://[::1]:8780")));
        assert!(!asked("evil.example:8780", None), "a rebound name");
        assert!(!asked("127.0.0.1:8780", Some("http://evil.example")));
        assert!(!asked("127.0.0.1:8780", Some("http://127.0.0.1:9999")));
        assert!(!asked("127.0.0.1:8780", Some("null")));
        assert!(!asked("", None));
    }

    #[test]
    fn another_site_may_link_to_the_page_and_nothing_else() {
        let asked = |site: &'static str, mode: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8780"));
            headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            headers.insert(FETCH_MODE, HeaderValue::from_static(mode));
            refusal(&headers).is_none()
        };
        assert!(asked("same-origin", "cors"));
        assert!(asked("none", "navigate"));
        assert!(asked("cross-site", "navigate"));
        assert!(!asked("cross-site", "no-cors"), "an image on another site");
        assert!(!asked("cross-site", "websocket"));
        assert!(!asked("same-site", "cors"), "another port of this machine");
    }
}
