//! Events to an HTTP address, one POST each, signed as Standard Webhooks describes
//! (<https://www.standardwebhooks.com>).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use url::Url;

use super::link::{Link, LinkError, Offer, Progress, Transport, Work};
use super::spool::Waiting;
use crate::base::{Secret, utc_now};

/// What a body is.
const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// A secret that begins so is base64 behind it.
const BASE64_SECRET: &str = "whsec_";

/// How to reach a webhook.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// Where to post.
    pub url: Url,
    /// Account for basic authentication.
    pub login: Option<(String, Secret)>,
    /// What requests are signed with: `whsec_` and base64, or any text.
    pub secret: Option<Secret>,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Trust these authorities (PEM) instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// A webhook that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The secret says that it is base64, and is not.
    #[error("the secret begins with whsec_, so what follows must be base64")]
    Secret,
    /// The authorities cannot be read.
    #[error("{file}: no certificate authorities in PEM format ({reason})")]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// A way to a webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    inner: Arc<Inner>,
}

struct Inner {
    agent: Agent,
    url: Url,
    authorization: Option<Secret>,
    key: Option<Vec<u8>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// Will post to the address of `options`.
    ///
    /// # Errors
    /// [`WebhookError`] if the secret or the authorities are of no use.
    pub fn new(options: WebhookOptions) -> Result<Self, WebhookError> {
        let roots = match &options.ca_file {
            None => RootCerts::PlatformVerifier,
            Some(file) => authorities(file)?,
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            .timeout_global(Some(options.timeout))
            // Another address is another receiver: it is not followed.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("gantryd/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let authorization = options.login.map(|(user, password)| {
            let pair = format!("{user}:{}", password.expose());
            Secret::new(format!("Basic {}", STANDARD.encode(pair)))
        });
        let key = options.secret.as_ref().map(key).transpose()?;
        Ok(Self {
            inner: Arc::new(Inner {
                agent,
                url: options.url,
                authorization,
                key,
            }),
        })
    }
}

fn authorities(file: &std::path::Path) -> Result<RootCerts, WebhookError> {
    let fault = |reason: String| WebhookError::Authorities {
        file: file.to_owned(),
        reason,
    };
    let text = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(fault(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(fault("it holds none".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn key(secret: &Secret) -> Result<Vec<u8>, WebhookError> {
    match secret.expose().strip_prefix(BASE64_SECRET) {
        Some(text) => STANDARD.decode(text).map_err(|_fault| WebhookError::Secret),
        None => Ok(secret.expose().as_bytes().to_vec()),
    }
}

/// `v1,` and the base64 of the HMAC-SHA256 over id, seconds since 1970 and body.
fn signature(key: &[u8], id: &str, secs: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{secs}.{body}").as_bytes());
    let sum = mac.finalize().into_bytes();
    Some(format!("v1,{}", STANDARD.encode(sum)))
}

impl Inner {
    fn post(&self, event: &Waiting) -> Result<(), LinkError> {
        let secs = utc_now().0 / 1_000_000_000;
        let mut request = self
            .agent
            .post(self.url.as_str())
            .header("content-type", MEDIA_TYPE)
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", secs.to_string());
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.expose());
        }
        let signed = self
            .key
            .as_deref()
            .map(|key| signature(key, &event.id, secs, &event.text));
        if let Some(signature) = signed.flatten() {
            request = request.header("webhook-signature", signature);
        }
        match request.send(event.text.as_str()) {
            Ok(answer) => judge(answer.status().as_u16()),
            Err(error) => Err(LinkError::Lost(error.to_string())),
        }
    }
}

/// What a status says about an event.
fn judge(status: u16) -> Result<(), LinkError> {
    match status {
        200..=299 => Ok(()),
        // The event itself is at fault, not the moment.
        413 | 422 => Err(LinkError::Refused(format!("the webhook answers {status}"))),
        // It may as well be the signature, or a proxy that knows no such host: nothing is given up.
        400 | 415 => Err(LinkError::Denied(format!(
            "the webhook answers {status}; check secret_file and url of the sink, and what its receiver expects"
        ))),
        401 | 403 => Err(LinkError::Denied(format!(
            "the webhook answers {status}; check secret_file, user and password_file of the sink"
        ))),
        300..=399 => Err(LinkError::Denied(format!(
            "the webhook answers {status}, another address; write that into url of the sink"
        ))),
        404 | 405 | 410 => Err(LinkError::Denied(format!(
            "the webhook answers {status}; check url of the sink"
        ))),
        _ => Err(LinkError::Lost(format!("the webhook answers {status}"))),
    }
}

impl Transport for Webhook {
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
        let link: Box<dyn Link> = Box::new(self.clone());
        Box::pin(async move { Ok(link) })
    }
}

impl Link for Webhook {
    fn is_proven(&self) -> bool {
        false
    }

    fn deliver<'a>(
        &'a mut self,
        batch: &'a [Waiting],
        progress: &'a mut Progress,
    ) -> Work<'a, Result<(), LinkError>> {
        Box::pin(async move {
            for event in batch {
                let (inner, event) = (Arc::clone(&self.inner), event.clone());
                progress.sent += 1;
                // A request that hangs holds up no stop.
                let posted = tokio::task::spawn_blocking(move || inner.post(&event)).await;
                posted.map_err(|error| LinkError::Lost(error.to_string()))??;
                progress.acknowledged += 1;
            }
            Ok(())
        })
    }

    fn offer<'a>(&'a mut self, _offer: &'a Offer) -> Work<'a, Result<(), LinkError>> {
        // The configuration asks for none here.
        Box::pin(std::future::ready(Ok(())))
    }

    fn broken(&mut self) -> Work<'_, LinkError> {
        Box::pin(std::future::pending())
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the Standard Webhooks specification's own example.
    #[test]
    fn a_request_is_signed_as_the_standard_says() {
        let key = key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn a_status_says_whether_the_event_or_the_moment_is_at_fault() {
        assert_eq!(judge(204), Ok(()));
        for status in [413, 422] {
            assert!(matches!(judge(status), Err(LinkError::Refused(_))));
        }
        for status in [301, 400, 401, 403, 404, 415] {
            assert!(matches!(judge(status), Err(LinkError::Denied(_))));
        }
        for status in [408, 425, 429, 500, 502, 503] {
            assert!(matches!(judge(status), Err(LinkError::Lost(_))));
        }
    }
}
