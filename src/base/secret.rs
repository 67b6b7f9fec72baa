//! Keeps credentials out of logs, errors and `Debug`.

use std::fmt;

use url::Url;

/// What is printed in place of a secret.
pub const REDACTED: &str = "***";

/// A secret that prints as `***`; its text is read with [`Secret::expose`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A network address and, apart from it, what it held for logging in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriParts {
    /// Without user and password; a token in path or query is still in it.
    pub uri: Url,
    /// User, percent-decoded.
    pub user: Option<String>,
    /// Password, percent-decoded.
    pub password: Option<Secret>,
}

/// A text that is no address of a host. Prints without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown}: {reason}")]
pub struct UriError {
    /// The text, credentials hidden.
    pub shown: String,
    /// What is wrong with it and what to write instead.
    pub reason: String,
}

/// Takes user and password out of a URI.
///
/// # Errors
/// [`UriError`] if it does not parse or has no host, and if a `#`, or an `@` behind the host, shows
/// that a password with an unescaped character was cut in two: its rest would pass for the host or
/// the path, and be shown.
pub fn split_credentials(text: &str) -> Result<UriParts, UriError> {
    let fault = |reason: &str| UriError {
        shown: redact_uri(text),
        reason: reason.to_owned(),
    };
    let mut uri = Url::parse(text)
        .map_err(|error| fault(&format!("{error}; a special character in the password is written as %XX (@ is %40, / is %2F, # is %23, ? is %3F)")))?;
    if uri.host_str().is_none_or(str::is_empty) {
        return Err(fault("there is no host in it"));
    }
    let behind_host = [Some(uri.path()), uri.query(), uri.fragment()];
    if behind_host
        .into_iter()
        .flatten()
        .any(|part| part.contains('@'))
    {
        return Err(fault(
            "there is an @ behind the host; a special character in the password is written as %XX (@ is %40, / is %2F, # is %23, ? is %3F)",
        ));
    }
    if uri.fragment().is_some() {
        return Err(fault("a # in the password is written as %23"));
    }
    let user = (!uri.username().is_empty()).then(|| percent_decoded(uri.username()));
    let password = uri
        .password()
        .map(|word| Secret::new(percent_decoded(word)));
    if uri.set_username("").is_err() || uri.set_password(None).is_err() {
        return Err(fault("user and password cannot be taken from it"));
    }
    Ok(UriParts {
        uri,
        user,
        password,
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Keys of cameras' URIs whose values are harmless and help to tell one stream from another.
/// Every other `key=value` is hidden whole: a token that ends in `=` looks like a key.
const HARMLESS_KEYS: [&str; 14] = [
    "camera",
    "channel",
    "codec",
    "fps",
    "height",
    "profile",
    "proto",
    "resolution",
    "stream",
    "subtype",
    "transportmode",
    "unicast",
    "videocodec",
    "width",
];

/// Longest harmless value: anything longer may be a token under an innocent name.
const HARMLESS_VALUE_CHARS: usize = 16;

/// A URI for people to read: no user, no password, no token.
///
/// Everything up to the last `@` is taken for credentials, because real passwords contain `/`, `?`
/// and `@` unescaped. In path, query and fragment only the values of well-known harmless keys are
/// kept; a query part without `=` is hidden as a whole. Text without `://` is left as it is.
#[must_use]
pub fn redact_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (marker, place) = match rest.rsplit_once('@') {
        Some((_, place)) => ("***@", place),
        None => ("", rest),
    };
    let mut shown = format!("{scheme}://{marker}");
    let mut in_query = false;
    let mut piece_start = 0;
    for (at, separator) in place.match_indices(['/', '?', '&', ';', '#']) {
        shown.push_str(redact_piece(&place[piece_start..at], in_query));
        shown.push_str(separator);
        in_query |= separator == "?" || separator == "#";
        piece_start = at + separator.len();
    }
    shown.push_str(redact_piece(&place[piece_start..], in_query));
    shown
}

/// What [`redact_uri`] hides behind the host of `uri`: the parts and their values, also decoded.
#[must_use]
pub fn hidden_words(uri: &Url) -> Vec<String> {
    let mut words = Vec::new();
    let query = uri.query().map(|query| (query, true));
    for (part, in_query) in [Some((uri.path(), false)), query].into_iter().flatten() {
        for piece in part.split(['/', '?', '&', ';']) {
            if redact_piece(piece, in_query) != REDACTED {
                continue;
            }
            let value = piece.split_once('=').map_or(piece, |(_, value)| value);
            words.extend([piece.to_owned(), value.to_owned(), percent_decoded(value)]);
        }
    }
    words
}

fn redact_piece(piece: &str, in_query: bool) -> &str {
    let is_shown = match piece.split_once('=') {
        None => !in_query || piece.is_empty(),
        Some((key, value)) => {
            HARMLESS_KEYS.contains(&key.to_ascii_lowercase().as_str())
                && value.len() <= HARMLESS_VALUE_CHARS
                && !value.contains(['=', '%'])
        }
    };
    if is_shown { piece } else { REDACTED }
}

/// A message of somebody else's (GStreamer, the operating system) with every URI in it redacted.
///
/// A URI runs from its scheme to the next white space, double quote or escape.
#[must_use]
pub fn redact_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // The escape begins a colour code of a log line.
    let is_end = |c: char| c.is_whitespace() || c == '"' || c == '\u{1b}';
    for word in text.split_inclusive(is_end) {
        let (body, end) = match word.char_indices().next_back() {
            Some((at, last)) if is_end(last) => word.split_at(at),
            _ => (word, ""),
        };
        shown.push_str(&redact_uri(body));
        shown.push_str(end);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn host_path_and_channel_stay_readable() {
        for (uri, shown) in [
            ("rtsp://10.0.0.5:554/stream1", "rtsp://10.0.0.5:554/stream1"),
            ("rtsp://admin:pw@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
            ("rtsp://a:p/w@x@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
            (
                "rtsp://h/cam/realmonitor?channel=1&subtype=0",
                "rtsp://h/cam/realmonitor?channel=1&subtype=0",
            ),
            (
                "http://h/snap.cgi?usr=admin&pwd=x&channel=2#tok",
                "http://h/snap.cgi?***&***&channel=2#***",
            ),
            (
                "rtsp://h/user=admin_password=x_channel=1.sdp",
                "rtsp://h/***",
            ),
            ("/srv/video/gate.mp4", "/srv/video/gate.mp4"),
        ] {
            assert_eq!(redact_uri(uri), shown);
        }
    }

    #[test]
    fn user_and_password_leave_the_uri() {
        let parts = split_credentials("rtsp://op:s%40cret@10.0.0.5:554/ch1?subtype=1").unwrap();
        assert_eq!(parts.uri.as_str(), "rtsp://10.0.0.5:554/ch1?subtype=1");
        assert_eq!(parts.user.as_deref(), Some("op"));
        assert_eq!(parts.password.as_ref().map(Secret::expose), Some("s@cret"));
    }

    #[test]
    fn a_password_cut_in_two_is_refused_and_shown_to_nobody() {
        for uri in [
            "rtsp://admin:hunter2?x@10.0.0.5/live",
            "rtsp://admin:12345?6@10.0.0.5/live",
            "rtsp://admin:12345/6@10.0.0.5/live",
            "rtsp://admin:12345#6@10.0.0.5/live",
            "http://admin:123\\6@10.0.0.5/live",
        ] {
            let error = split_credentials(uri).unwrap_err().to_string();
            assert!(error.contains("%23"), "{error}");
            for word in ["hunter2", "x@", "123", "6@"] {
                assert!(!error.contains(word), "{error}");
            }
        }
    }

    #[test]
    fn uris_inside_a_message_are_redacted() {
        let message = "could not open \"rtsp://u:secret@h/x\" (rtsp://u:secret@h/y?token=abc)\n";
        assert_eq!(
            redact_text(message),
            "could not open \"rtsp://***@h/x\" (rtsp://***@h/y?***\n"
        );
    }

    proptest! {
        /// Upper-case secrets among lower-case surroundings: what is upper case must be gone.
        #[test]
        fn no_credential_survives(
            user in "[A-Z0-9:/?#@&=%._~-]{1,12}[A-Z]",
            password in "[A-Z][A-Z0-9:/?#@&=%._~-]{0,20}[A-Z]",
            token in "[A-Z][A-Z0-9%._~=-]{0,30}",
            key in "(password|pwd|token|auth|user|x|sessionid|apikey)",
            scheme in "(rtsp|rtsps|http|https)",
        ) {
            let uri = format!("{scheme}://{user}:{password}@host.example/live?{key}={token}&{token}&subtype=1#{token}");
            let message = format!("cannot reach {uri} now");
            for shown in [redact_uri(&uri), redact_text(&message)] {
                prop_assert!(!shown.contains(|c: char| c.is_ascii_uppercase()), "{shown}");
                prop_assert!(shown.contains("host.example/live"), "{}", shown);
            }
        }
    }
}
