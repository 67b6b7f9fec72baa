//! Keeps other sites out: the page is for whoever can reach its address, and for no site that such a
//! person happens to look at.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Everything comes from here, nothing may frame the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

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
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let host = text(header::HOST).unwrap_or_default();
    if !is_address(host) {
        return Some("ask by IP address or as localhost");
    }
    let origin = text(header::ORIGIN)?;
    let is_own = origin.strip_prefix("http://") == Some(host);
    (!is_own).then_some("another site's script may not ask here")
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
}
