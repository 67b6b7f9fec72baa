//! Sinks over TLS: an authority that is named is trusted, and no other is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_nats::ConnectOptions;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::daemon::Site;
use crate::nats::NatsServer;
use crate::outage::{Receiver, firsts};
use crate::redis::RedisServer;
use crate::webhook::Hook;
use crate::{free_port, is_installed, wait_until};

/// An authority of our own, and a server at `localhost` that it vouches for.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write("ca.pem", params.self_signed(&ca_key).unwrap().pem());
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        write("server.pem", server.signed_by(&key, &issuer).unwrap().pem());
        write("server.key", key.serialize_pem());
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }
}

/// With the system's authorities nothing is sent and everything waits; with ours named it all comes.
fn ours_is_trusted_and_no_other(
    authority: &Authority,
    sink: &str,
    received: impl Fn() -> Vec<String>,
) {
    let mut site = Site::new(sink);
    site.start();
    site.wait_for_log("the sink takes no events; they wait in the spool");
    let log = site.log().to_lowercase();
    assert!(
        log.contains("certificate") || log.contains("unknownissuer"),
        "the reason is told: {log}"
    );
    wait_until("events in the spool", || {
        site.metric("sink_waiting", None) >= 5
    });
    assert_eq!(site.metric("sink_events_total", Some("acknowledged")), 0);
    site.kill();
    site.configure(&format!(
        "{sink}tls_ca_file = {:?}\n",
        authority.text("ca.pem")
    ));
    site.start();
    wait_until("what waited", || received().len() >= 8);
    site.stop();
    for (index, envelope) in firsts(&received()).iter().enumerate() {
        let expected = format!("{:020}", index + 1);
        assert_eq!(envelope["sequence"], expected.as_str());
    }
}

#[test]
fn rediss_trusts_the_named_authority_and_no_other() {
    if !is_installed("redis-server", "redis-server") {
        return;
    }
    let authority = Authority::new();
    let port = free_port().to_string();
    let mut server = RedisServer::new(&[
        "--requirepass",
        "right",
        "--tls-port",
        &port,
        "--tls-cert-file",
        &authority.text("server.pem"),
        "--tls-key-file",
        &authority.text("server.key"),
        "--tls-ca-cert-file",
        &authority.text("ca.pem"),
        "--tls-auth-clients",
        "no",
    ]);
    server.start();
    let password = authority.file("password");
    std::fs::write(&password, "right\n").unwrap();
    let sink = format!(
        "url = \"rediss://localhost:{port}\"\ntopic = \"plant/7\"\nuser = \"default\"\npassword_file = {:?}\n",
        password.to_str().unwrap()
    );
    ours_is_trusted_and_no_other(&authority, &sink, || server.received());
}

#[test]
fn nats_over_tls_trusts_the_named_authority_and_no_other() {
    if !is_installed("nats-server", "nats-server") {
        return;
    }
    let authority = Authority::new();
    let mut server = NatsServer::new(&[
        "--tls",
        "--tlscert",
        &authority.text("server.pem"),
        "--tlskey",
        &authority.text("server.key"),
    ]);
    server.start();
    let port = server.server.port;
    let sink =
        format!("url = \"tls://localhost:{port}\"\nstream = \"plant\"\ntopic = \"plant/7\"\n");
    let received = || {
        let options = ConnectOptions::new()
            .add_root_certificates(authority.file("ca.pem"))
            .require_tls(true);
        let messages = server.messages_by(options).into_iter();
        messages.map(|(_, text)| text).collect()
    };
    ours_is_trusted_and_no_other(&authority, &sink, received);
}

#[test]
fn a_webhook_over_tls_trusts_the_named_authority_and_no_other() {
    let authority = Authority::new();
    let mut hook = Hook::new();
    hook.start();
    let door = TlsDoor::before(hook.address(), &authority);
    let sink = format!("url = \"https://localhost:{}/events\"\n", door.port);
    ours_is_trusted_and_no_other(&authority, &sink, || hook.received());
}

/// Speaks TLS outside and passes on what is said, in plain, to a server inside.
struct TlsDoor {
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl TlsDoor {
    fn before(inside: SocketAddr, authority: &Authority) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let certificate = CertificateDer::from_pem_file(authority.file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(authority.file("server.key")).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((outer, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust the certificate goes away.
                    let Ok(mut outer) = acceptor.accept(outer).await else {
                        return;
                    };
                    let mut inner = TcpStream::connect(inside).await.unwrap();
                    tokio::io::copy_bidirectional(&mut outer, &mut inner)
                        .await
                        .ok();
                });
            }
        });
        Self {
            port,
            _runtime: runtime,
        }
    }
}
