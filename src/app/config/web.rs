//! `[web]`, `[[web.users]]` and `[[web.tokens]]`: the page and who may use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Listen;
use super::reader::Section;
use super::sections::read_listen;
use super::words::quoted;
use crate::sinks::web::{AccessRules, AccessToken, Account, Digest, PasswordHash, Role};

/// Longest name of an account.
const NAME_CHARS: usize = 64;

/// Most accounts, and most tokens.
const MOST: usize = 256;

/// Where the certificate is that the page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those above it, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// `[web]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebConfig {
    /// Address of the page; one that can be reached from outside has accounts, and TLS or
    /// `plain_http`.
    pub listen: Listen,
    /// Widest picture that is shown, px.
    pub max_width: u32,
    /// Most pictures per second and viewer.
    pub fps: f64,
    /// What the cameras send is shown as it is, where a browser can have it.
    pub webrtc: bool,
    /// Browsers that may have live video at a time.
    pub webrtc_viewers: u32,
    /// Who tells this machine's address as seen from outside, `stun://host:port`.
    pub stun: Option<String>,
    /// Names of the machine that the page may be asked for by, lower case.
    pub names: Vec<String>,
    /// TLS.
    pub certificate: Option<CertificateFiles>,
    /// No TLS although others can reach the address: something in front of it speaks it.
    pub plain_http: bool,
    /// A session that is not used for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long.
    pub session_longest: Duration,
    /// Persons; without any, and without tokens, nobody is asked.
    pub users: Vec<Account>,
    /// Programs.
    pub tokens: Vec<AccessToken>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: Listen::Off,
            max_width: 960,
            fps: 12.0,
            webrtc: false,
            webrtc_viewers: 16,
            stun: None,
            names: Vec::new(),
            certificate: None,
            plain_http: false,
            session_idle: Duration::from_secs(60 * 60),
            session_longest: Duration::from_secs(12 * 60 * 60),
            users: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

impl WebConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let s = &mut section;
        let default = Self::default();
        let listen = read_listen(s, default.listen);
        let users = s.children("users");
        let tokens = s.children("tokens");
        let has_accounts = !users.is_empty() || !tokens.is_empty();
        for (key, count) in [("users", users.len()), ("tokens", tokens.len())] {
            if count > MOST {
                s.fault(key, format!("{count}, allowed are at most {MOST}"));
            }
        }
        let config = Self {
            listen,
            max_width: s.integer("max_width_px", 160..=3840, default.max_width),
            fps: s.number("fps", 0.2..=60.0, default.fps),
            webrtc: s.boolean("webrtc", default.webrtc),
            webrtc_viewers: s.integer("webrtc_viewers", 1..=256, default.webrtc_viewers),
            stun: read_stun(s),
            names: read_names(s),
            certificate: read_certificate(s),
            plain_http: s.boolean("plain_http", default.plain_http),
            session_idle: minutes(s, "session_idle_minutes", default.session_idle),
            session_longest: minutes(s, "session_max_minutes", default.session_longest),
            users: users.into_iter().filter_map(read_user).collect(),
            tokens: tokens.into_iter().filter_map(read_token).collect(),
        };
        let names = |names: Vec<Arc<str>>, key| {
            if let Some((first, second)) = AccessRules::doubled(&names) {
                let name = quoted(&names[second]);
                let text = format!("{name} is the name of {key}[{first}] too, each needs its own");
                s.fault(&format!("{key}[{second}].name"), text);
            }
        };
        names(
            config.users.iter().map(|it| Arc::clone(&it.name)).collect(),
            "users",
        );
        names(
            config
                .tokens
                .iter()
                .map(|it| Arc::clone(&it.name))
                .collect(),
            "tokens",
        );
        config.refuse_open_door(s, has_accounts);
        section.finish();
        config
    }

    /// Pictures of cameras are for nobody who merely finds the address.
    fn refuse_open_door(&self, s: &Section<'_>, has_accounts: bool) {
        let Listen::At(address) = self.listen else {
            return;
        };
        if address.ip().is_loopback() {
            return;
        }
        if !has_accounts {
            s.fault(
                "listen",
                format!(
                    "\"{address}\" can be reached from outside and there are no accounts; make one \
                     with gantryd web user NAME, or listen on 127.0.0.1 (docs/web.md)"
                ),
            );
        }
        let says_tls = s.was_given("tls_cert_file") || s.was_given("tls_key_file");
        if !says_tls && !self.plain_http {
            s.fault(
                "listen",
                format!(
                    "\"{address}\" can be reached from outside and passwords and pictures would pass \
                     unencrypted; give tls_cert_file and tls_key_file (gantryd web certificate makes \
                     both), or plain_http = true behind a proxy that speaks TLS"
                ),
            );
        }
    }

    /// Is there a page, and does it show what the cameras send?
    #[must_use]
    pub fn shows_video(&self) -> bool {
        self.webrtc && self.listen != Listen::Off
    }

    /// What the page needs to know of who may use it.
    #[must_use]
    pub fn access(&self) -> AccessRules {
        AccessRules {
            users: self.users.clone(),
            tokens: self.tokens.clone(),
            names: self.names.clone(),
            is_tls: self.certificate.is_some(),
            session_idle: self.session_idle,
            session_longest: self.session_longest,
        }
    }
}

fn minutes(s: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    let default = u32::try_from(default.as_secs() / 60).unwrap_or(u32::MAX);
    Duration::from_secs(u64::from(s.integer(key, 1..=43_200, default)) * 60)
}

fn read_names(s: &mut Section<'_>) -> Vec<String> {
    let names = s.texts("names").unwrap_or_default();
    let is_plain = |name: &String| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && name.len() <= 253 && name.chars().all(is_known)
    };
    if let Some(name) = names.iter().find(|name| !is_plain(name)) {
        let allowed = "the name alone, \"box.example\", without scheme, port and *";
        s.fault("names", format!("{}, allowed is {allowed}", quoted(name)));
    }
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn read_stun(s: &mut Section<'_>) -> Option<String> {
    let stun = s.text("stun")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.[]:".contains(c);
    let place = stun.strip_prefix("stun://");
    let place = place.and_then(|place| place.rsplit_once(':'));
    let is_usable = place.is_some_and(|(host, port)| {
        !host.is_empty() && host.chars().all(is_plain) && port.parse::<u16>().is_ok()
    });
    if !is_usable {
        let text = format!("{}, allowed is \"stun://HOST:PORT\"", quoted(&stun));
        s.fault("stun", text);
    }
    is_usable.then_some(stun)
}

fn read_certificate(s: &mut Section<'_>) -> Option<CertificateFiles> {
    let (has_cert, has_key) = (s.has("tls_cert_file"), s.has("tls_key_file"));
    let cert = s.existing_file("tls_cert_file");
    let key = s.existing_file("tls_key_file");
    match (has_cert, has_key) {
        (true, false) => s.fault(
            "tls_cert_file",
            "given without tls_key_file, both are needed",
        ),
        (false, true) => s.fault(
            "tls_key_file",
            "given without tls_cert_file, both are needed",
        ),
        _ => {}
    }
    Some(CertificateFiles {
        cert: cert?,
        key: key?,
    })
}

fn read_name(s: &mut Section<'_>) -> Option<Arc<str>> {
    let Some(name) = s.text("name") else {
        s.fault_if_absent("name", "missing, every account needs one, name = \"anna\"");
        return None;
    };
    if name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        let text = format!(
            "{}, allowed are at most {NAME_CHARS} characters",
            quoted(&name)
        );
        s.fault("name", text);
    }
    Some(Arc::from(name))
}

fn read_user(mut section: Section<'_>) -> Option<Account> {
    let s = &mut section;
    let name = read_name(s);
    let role = s.choice("role", Role::ALL, Role::Viewer);
    let password = match s.text("password_hash") {
        None => {
            s.fault_if_absent("password_hash", "missing, gantryd web user NAME makes one");
            None
        }
        Some(text) => PasswordHash::parse(&text)
            .map_err(|reason| {
                let text = format!("not usable ({reason}); gantryd web user NAME makes one");
                s.fault("password_hash", text);
            })
            .ok(),
    };
    section.finish();
    Some(Account {
        name: name?,
        role,
        password: password?,
    })
}

fn read_token(mut section: Section<'_>) -> Option<AccessToken> {
    let s = &mut section;
    let name = read_name(s);
    let role = s.choice("role", Role::ALL, Role::Viewer);
    let digest = match s.text("token_hash") {
        None => {
            s.fault_if_absent("token_hash", "missing, gantryd web token NAME makes one");
            None
        }
        Some(text) => Digest::parse(&text).or_else(|| {
            let text =
                "not usable, allowed is sha256: and 64 digits; gantryd web token NAME makes one";
            s.fault("token_hash", text);
            None
        }),
    };
    section.finish();
    Some(AccessToken {
        name: name?,
        role,
        digest: digest?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    const CAMERA: &str = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n[web]\n";

    fn faults(text: &str) -> String {
        let read = Config::from_text(&format!("{CAMERA}{text}"), Path::new("site.toml"));
        read.err().map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_address_for_others_needs_accounts_and_tls() {
        let shown = faults("listen = \"0.0.0.0:8780\"\n");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2, "{shown}");
        assert!(lines[0].starts_with("site.toml: web.listen: \"0.0.0.0:8780\" can be reached"));
        assert!(lines[0].contains("gantryd web user NAME"), "{shown}");
        assert!(lines[1].contains("gantryd web certificate"), "{shown}");
        assert_eq!(faults("listen = \"127.0.0.1:8780\"\n"), "");
        assert_eq!(faults("listen = \"[::1]:8780\"\n"), "");
        let token = format!("sha256:{}", "0".repeat(64));
        let with = format!(
            "listen = \"0.0.0.0:8780\"\nplain_http = true\n[[web.tokens]]\nname = \"a\"\ntoken_hash = \"{token}\"\n"
        );
        assert_eq!(faults(&with), "");
    }

    #[test]
    fn a_faulty_account_is_told_without_its_secret() {
        let shown = faults(
            "[[web.users]]\nname = \"anna\"\npassword_hash = \"hunter2\"\nrole = \"admin\"\n\
             [[web.tokens]]\nname = \"ci\"\ntoken_hash = \"hunter2\"\n[[web.tokens]]\n",
        );
        for part in [
            "web.users[0].password_hash: not usable",
            "web.users[0].role: \"admin\", allowed is one of viewer, operator",
            "web.tokens[0].token_hash: not usable",
            "web.tokens[1].name: missing",
        ] {
            assert!(shown.contains(part), "missing {part} in\n{shown}");
        }
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_stun_server_is_an_address_and_viewers_are_bounded() {
        let shown = faults("stun = \"stun.example:3478\"\nwebrtc_viewers = 0\n");
        assert!(
            shown.contains("web.stun: \"stun.example:3478\", allowed is \"stun://HOST:PORT\""),
            "{shown}"
        );
        assert!(shown.contains("web.webrtc_viewers"), "{shown}");
        let good = "webrtc = true\nstun = \"stun://[2001:db8::1]:3478\"\n";
        assert_eq!(faults(good), "");
    }

    #[test]
    fn names_are_names_and_accounts_differ() {
        let shown = faults("names = [\"https://box.example\"]\n");
        assert!(
            shown.contains("web.names: \"https://box.example\", allowed is the name alone"),
            "{shown}"
        );
        let token = format!(
            "[[web.tokens]]\nname = \"a\"\ntoken_hash = \"sha256:{}\"\n",
            "0".repeat(64)
        );
        let shown = faults(&format!("{token}{token}"));
        assert!(
            shown.contains("web.tokens[1].name: \"a\" is the name of tokens[0] too"),
            "{shown}"
        );
    }
}
