//! HTTP: a port that is answered, and the endpoint of metrics and health. The one place with an async
//! runtime.

mod limit;
mod tls;
mod wire;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tracing::{error, info};

use crate::base::{Metrics, Stop, Worker};
use limit::Limited;
use tokio_rustls::TlsAcceptor;

pub use limit::{AtWork, Peer, network_of};
pub use tls::{Certificate, CertificateError};

/// Media type of the exposition: OpenMetrics, which Prometheus asks for first.
const EXPOSITION_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Open connections beyond this wait to be accepted.
const CONNECTIONS: usize = 512;

/// Threads for work that would hold up the answers: encoding pictures, a password that is compared, a
/// change of the configuration, a look at the certificate, and waiting for the stop.
const BLOCKING_THREADS: usize = 6;

/// A peer has this long for a whole request, and for taking a piece of the answer; then its place is
/// given to another.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stop waits this long for answers that are on their way.
const GRACE: Duration = Duration::from_secs(1);

/// The thread that waits for the stop looks up this often; the stop itself wakes it at once.
const WAKE: Duration = Duration::from_secs(3600);

/// The endpoint cannot listen.
#[derive(Debug)]
pub struct ListenError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        write!(f, "{address}: ")?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                let port = address.port();
                write!(
                    f,
                    "another program listens there (ss -ltnp 'sport = :{port}' names it); \
                     stop it, or choose another port for {}, or \"off\"",
                    self.key
                )
            }
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "this machine has no such address; 127.0.0.1 is here alone, 0.0.0.0 everywhere",
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one")
            }
            _ => f.write_str("cannot listen there"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl ListenError {
    /// Is another program listening there?
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// What `GET /` answers: enough to know gantryd by.
pub const GREETING: &str = "gantryd: /metrics /healthz /readyz\n";

/// Answers a probe: Ok, or what is wrong.
pub type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Tells what an operator has to know although nothing is wrong with the process.
pub type Notice = Box<dyn Fn() -> Option<&'static str> + Send + Sync>;

/// What the endpoint shows.
pub struct Endpoint {
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// `/healthz`: is the process worth keeping?
    pub health: Probe,
    /// `/readyz`: does it do its work?
    pub readiness: Probe,
    /// Follows an `ok` of both.
    pub notice: Notice,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

/// A port that is ours, not yet answered.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Certificate>>,
}

impl Listening {
    /// Takes the port that `key` of the configuration names; to be done before anything else starts.
    ///
    /// # Errors
    /// [`ListenError`] names the address and the remedy.
    pub fn bind(key: &'static str, address: SocketAddr) -> Result<Self, ListenError> {
        let with_address = |source| ListenError {
            key,
            address,
            source,
        };
        let listener = TcpListener::bind(address).map_err(with_address)?;
        listener.set_nonblocking(true).map_err(with_address)?;
        let address = listener.local_addr().map_err(with_address)?;
        Ok(Self {
            listener,
            address,
            tls: None,
        })
    }

    /// Answers with this certificate, and nobody without TLS.
    #[must_use]
    pub fn with_tls(mut self, certificate: Option<Arc<Certificate>>) -> Self {
        self.tls = certificate;
        self
    }

    /// The address, with the real port if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with `router` from a thread of its own, `name`, until `stop`.
    ///
    /// # Errors
    /// If the operating system refuses the thread or its event queue.
    pub fn serve(
        self,
        name: &'static str,
        router: Router,
        stop: Stop,
        on_panic: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Worker> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("http-work")
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let address = self.address;
        let answer = move || {
            if let Err(error) = runtime.block_on(self.answer(router, stop)) {
                error!(%address, %error, thread = name, "no longer answered");
            }
            // The thread that waits for the stop may still wait: leave it to end by itself.
            runtime.shutdown_background();
        };
        let worker = Worker::spawn(name, answer, on_panic)?;
        info!(%address, thread = name, "HTTP is answered");
        Ok(worker)
    }

    async fn answer(self, router: Router, stop: Stop) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let (sender, stopped) = tokio::sync::watch::channel(());
        tokio::task::spawn_blocking(move || {
            // Ends when the source stops or is gone; the channel disconnects then.
            while !stop.wait(WAKE) {}
            drop(sender);
        });
        let tls = match &self.tls {
            None => None,
            Some(certificate) => {
                let config = certificate.server_config().map_err(io::Error::other)?;
                tokio::spawn(look_after(Arc::clone(certificate)));
                Some(TlsAcceptor::from(config))
            }
        };
        let listener = Limited::new(listener, CONNECTIONS, PATIENCE).with_tls(tls);
        let service = router.into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(listener, service).with_graceful_shutdown(closed(stopped.clone()));
        tokio::select! {
            result = server.into_future() => result,
            () = async { closed(stopped).await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

async fn closed(mut stopped: tokio::sync::watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// Takes a certificate that was renewed, as long as the runtime lives.
async fn look_after(certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(tls::LOOK_EVERY).await;
        let certificate = Arc::clone(&certificate);
        let looked = tokio::task::spawn_blocking(move || certificate.look_again());
        if looked.await.is_err() {
            return;
        }
    }
}

/// Metrics and health.
pub fn router(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/", get(|| async { GREETING }))
        .route("/metrics", get(metrics))
        .route(
            "/healthz",
            get(|State(e): Shared| async move { probed(&e.health, &e.notice) }),
        )
        .route(
            "/readyz",
            get(|State(e): Shared| async move { probed(&e.readiness, &e.notice) }),
        )
        .with_state(Arc::new(endpoint))
}

type Shared = State<Arc<Endpoint>>;

async fn metrics(State(endpoint): Shared) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, endpoint.metrics.registry()) {
        Ok(()) => ([(header::CONTENT_TYPE, EXPOSITION_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn probed(probe: &Probe, notice: &Notice) -> Response {
    match probe() {
        Ok(()) => match notice() {
            Some(notice) => format!("ok\n{notice}\n").into_response(),
            None => "ok\n".into_response(),
        },
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{CameraId, StopSource, WorkerEnd};
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    const KEY: &str = "metrics.listen";
    const ANYWHERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn get(address: SocketAddr, path: &str) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    fn endpoint(metrics: &Arc<Metrics>, ready: &Arc<AtomicBool>) -> Endpoint {
        let ready = Arc::clone(ready);
        Endpoint {
            metrics: Arc::clone(metrics),
            health: Box::new(|| Ok(())),
            readiness: Box::new(move || {
                let is_ready = ready.load(Ordering::Relaxed);
                is_ready
                    .then_some(())
                    .ok_or_else(|| "waiting for gate".to_owned())
            }),
            notice: Box::new(|| Some("recording is paused")),
        }
    }

    #[test]
    fn metrics_and_probes_are_answered_until_the_stop() {
        let (metrics, ready) = (Metrics::new(), Arc::new(AtomicBool::new(false)));
        let source = StopSource::default();
        let listening = Listening::bind(KEY, ANYWHERE).unwrap();
        let address = listening.address();
        let worker = listening
            .serve(
                "http",
                router(endpoint(&metrics, &ready)),
                source.stop_flag(),
                |_| {},
            )
            .unwrap();

        metrics.frame_received(&CameraId::new("gate")).processed();
        let answer = get(address, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(EXPOSITION_TYPE), "{answer}");
        assert!(
            answer.contains("gantryd_frames_processed_total{camera=\"gate\"} 1"),
            "{answer}"
        );
        assert!(answer.ends_with("# EOF\n"), "{answer}");

        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("waiting for gate\n"));
        ready.store(true, Ordering::Relaxed);
        let answer = get(address, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 200"));
        assert!(answer.ends_with("ok\nrecording is paused\n"), "{answer}");
        assert!(get(address, "/nowhere").starts_with("HTTP/1.1 404"));

        // A client that never finishes its request does not hold the stop.
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /metr").unwrap();
        source.stop();
        let end = worker.join_until(Instant::now() + Duration::from_secs(10));
        assert_eq!(end, WorkerEnd::Finished);
        assert!(
            Listening::bind(KEY, address).is_ok(),
            "the port is free again"
        );
    }

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let first = Listening::bind(KEY, ANYWHERE).unwrap();
        let address = first.address();
        let error = Listening::bind(KEY, address).unwrap_err().to_string();
        let start = format!("{address}: another program listens there");
        assert!(
            error.starts_with(&start) && error.contains("choose another port"),
            "{error}"
        );
    }
}
