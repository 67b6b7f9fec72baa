//! A bound on open connections, and on how long one may be silent.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::wire::Wire;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    address: SocketAddr,
    /// Requests of the connection that are being worked on.
    at_work: Arc<AtomicUsize>,
}

impl Peer {
    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// While this lives, the connection waits for us and not for its peer: its time does not run.
    #[must_use]
    pub fn at_work(&self) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.at_work))
    }
}

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        stream.io().peer().clone()
    }
}

/// See [`Peer::at_work`].
#[derive(Debug)]
pub struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one address: whoever has an IPv6 network has 2^64 of them.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Open connections by network.
type Shares = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// A connection of a network, as long as it is open.
struct Share {
    of: IpAddr,
    shares: Shares,
}

impl Share {
    /// `None` where the network has `most` open already.
    fn take(shares: &Shares, of: IpAddr, most: usize) -> Option<Self> {
        let mut open = shares.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(of).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        let shares = Arc::clone(shares);
        Some(Self { of, shares })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.of);
            }
        }
    }
}

/// Accepts connections while fewer than the limit are open; the others wait in the kernel's queue. One
/// network leaves an eighth of the places to others; what it opens beyond that is closed at once.
pub(super) struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    most_of_one: usize,
    shares: Shares,
    patience: Duration,
    tls: Option<TlsAcceptor>,
}

impl Limited {
    /// At most `connections` at a time; a peer has `patience` for a whole request, and for taking a
    /// piece of the answer.
    pub(super) fn new(listener: TcpListener, connections: usize, patience: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections)),
            most_of_one: connections - connections / 8,
            shares: Shares::default(),
            patience,
            tls: None,
        }
    }

    /// Speaks TLS with each of them.
    pub(super) fn with_tls(mut self, tls: Option<TlsAcceptor>) -> Self {
        self.tls = tls;
        self
    }
}

impl Listener for Limited {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        // The semaphore is never closed; without a place the connection is merely not counted.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address, share) = loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let network = network_of(address.ip());
            if let Some(share) = Share::take(&self.shares, network, self.most_of_one) {
                break (stream, address, share);
            }
        };
        let at_work = Arc::default();
        let connection = Connection {
            stream,
            patience: self.patience,
            deadline: Box::pin(tokio::time::sleep(self.patience)),
            at_work: Arc::clone(&at_work),
            _place: place,
            _share: share,
        };
        let peer = Peer { address, at_work };
        (Wire::new(connection, self.tls.as_ref(), peer), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that gives its place back when it closes.
pub(super) struct Connection {
    stream: TcpStream,
    patience: Duration,
    /// Runs since the connection was made or an answer last got on; what the peer sends does not
    /// move it, so that one byte at a time holds no place either.
    deadline: Pin<Box<Sleep>>,
    at_work: Arc<AtomicUsize>,
    _place: Option<OwnedSemaphorePermit>,
    _share: Share,
}

impl Connection {
    /// What is pending fails once the peer's time is over.
    fn unless_late<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        while outcome.is_pending() && self.deadline.as_mut().poll(context).is_ready() {
            if self.at_work.load(Ordering::Relaxed) == 0 {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let next = Instant::now() + self.patience;
            self.deadline.as_mut().reset(next);
        }
        outcome
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.unless_late(outcome, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        if outcome.is_ready() {
            let next = Instant::now() + self.patience;
            self.deadline.as_mut().reset(next);
        }
        self.unless_late(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Worker, WorkerEnd};
    use std::io::{Read, Write};

    #[test]
    fn one_network_has_its_share_and_gives_it_back() {
        let shares = Shares::default();
        let take = |of: &str| Share::take(&shares, network_of(of.parse().unwrap()), 2);
        let held = (take("192.0.2.1"), take("::ffff:192.0.2.1"));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(take("192.0.2.1").is_none());
        let other = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(other.1.is_some() && take("2001:db8::3").is_none());
        drop(held.0);
        assert!(take("192.0.2.1").is_some());
        drop((held.1, other));
        assert!(shares.lock().unwrap().is_empty());
    }

    #[test]
    fn silent_and_slow_peers_give_their_places_back() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve = move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let limited = Limited {
                    most_of_one: 3,
                    ..Limited::new(listener, 2, Duration::from_millis(100))
                };
                let router = axum::Router::new().fallback(|| async { "alive" });
                tokio::select! {
                    _ = axum::serve(limited, router).into_future() => {}
                    _ = stopped => {}
                }
            });
        };
        let server = Worker::spawn("http", serve, |_| {}).unwrap();
        let silent = std::net::TcpStream::connect(address).unwrap();
        let mut halting = std::net::TcpStream::connect(address).unwrap();
        halting.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();

        let mut probe = std::net::TcpStream::connect(address).unwrap();
        probe
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        probe
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("alive"), "{answer}");
        drop((silent, halting));
        stop.send(()).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        assert_eq!(server.join_until(deadline), WorkerEnd::Finished);
    }
}
