//! A bound on open connections, and on how long one may be silent.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Accepts connections while fewer than the limit are open; the others wait in the kernel's queue.
pub(super) struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Limited {
    /// At most `connections` at a time; a peer has `patience` for a whole request, and for taking a
    /// piece of the answer.
    pub(super) fn new(listener: TcpListener, connections: usize, patience: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections)),
            patience,
        }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; without a place the connection is merely not counted.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            patience: self.patience,
            deadline: Box::pin(tokio::time::sleep(self.patience)),
            _place: place,
        };
        (connection, peer)
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
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// What is pending fails once the peer's time is over.
    fn unless_late<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_pending() && self.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
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
                let limited = Limited::new(listener, 2, Duration::from_millis(100));
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
