//! Keeps other sites out: the page is for whoever can reach its address, and for no site that such a
//! person happens to look at.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Access, AccessRules};

/// Everything comes from here, nothing may frame the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What browsers say of where a request comes from (W3C, Fetch Metadata Request Headers).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// No other site may embed what is answered here (WHATWG, Fetch).
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// No window of another site keeps hold of the page (WHATWG, HTML).
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Longest body of a request, bytes: all zones of a camera are a tenth of it.
pub(super) const LONGEST_BODY: usize = 256 * 1024;

const FOREIGN: &str = "another site's page may not ask here";

/// Refuses requests that a foreign site may have caused, and adds headers that browsers obey.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match refusal(request.method(), request.headers(), &access.rules) {
        Some(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
        None if is_too_long(request.headers()) => {
            let text = format!("a request has at most {LONGEST_BODY} bytes\n");
            (StatusCode::PAYLOAD_TOO_LARGE, text).into_response()
        }
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
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
fn refusal(method: &Method, headers: &HeaderMap, rules: &AccessRules) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let bare = without_port(host);
    if !is_address(bare) && !rules.names.contains(&bare.to_ascii_lowercase()) {
        return Some("ask by IP address, as localhost, or by a name that names of [web] lists");
    }
    // Not the page itself, but a link to it, may come from elsewhere.
    let is_link = text(FETCH_MODE) == Some("navigate") && method == Method::GET;
    let is_foreign = matches!(text(FETCH_SITE), Some("cross-site" | "same-site"));
    if is_foreign && !is_link {
        return Some(FOREIGN);
    }
    // Without TLS of ours a proxy may speak it.
    let schemes: &[&str] = if rules.is_tls {
        &["https://"]
    } else {
        &["http://", "https://"]
    };
    let origin = text(header::ORIGIN)?;
    let is_own = schemes
        .iter()
        .any(|it| origin.strip_prefix(it) == Some(host));
    (!is_own).then_some(FOREIGN)
}

/// Does it say itself that it is too long? One that does not is cut off while it is read.
fn is_too_long(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|it| it > LONGEST_BODY as u64)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

/// An IP address or localhost, without a port.
fn is_address(name: &str) -> bool {
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
        refusal(&Method::GET, &headers, &AccessRules::default()).is_none()
    }

    #[test]
    fn configured_names_are_taken_and_others_are_not() {
        let asked = |host: &'static str, origin: &'static str, is_tls| {
            let rules = AccessRules {
                names: vec!["box.example".to_owned()],
                is_tls,
                ..AccessRules::default()
            };
            let headers = HeaderMap::from_iter([
                (header::HOST, HeaderValue::from_static(host)),
                (header::ORIGIN, HeaderValue::from_static(origin)),
            ]);
            refusal(&Method::POST, &headers, &rules).is_none()
        };
        assert!(asked("Box.Example", "https://Box.Example", true));
        assert!(asked("box.example:8780", "http://box.example:8780", false));
        assert!(
            asked("box.example", "https://box.example", false),
            "a proxy"
        );
        assert!(
            !asked("box.example", "http://box.example", true),
            "a downgrade"
        );
        assert!(!asked(
            "box.example.evil.example",
            "https://box.example",
            true
        ));
        assert!(!asked("box.example", "https://evil.example", true));
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
            refusal(&Method::GET, &headers, &AccessRules::default()).is_none()
        };
        assert!(asked("same-origin", "cors"));
        assert!(asked("none", "navigate"));
        assert!(asked("cross-site", "navigate"));
        assert!(!asked("cross-site", "no-cors"), "an image on another site");
        assert!(!asked("cross-site", "websocket"));
        assert!(!asked("same-site", "cors"), "another port of this machine");
    }
}
