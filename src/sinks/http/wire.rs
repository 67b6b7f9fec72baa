//! A connection with TLS or without.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::limit::{Connection, Peer};

/// What HTTP is spoken over. TLS is agreed on when the first byte is asked for, so that a slow peer
/// keeps nobody from being accepted.
pub(super) struct Wire {
    stage: Stage,
    peer: Peer,
}

enum Stage {
    Plain(Connection),
    Greeting(Box<Accept<Connection>>),
    Secure(Box<TlsStream<Connection>>),
    /// TLS could not be agreed on.
    Failed,
}

impl Wire {
    pub(super) fn new(connection: Connection, tls: Option<&TlsAcceptor>, peer: Peer) -> Self {
        let stage = match tls {
            None => Stage::Plain(connection),
            Some(tls) => Stage::Greeting(Box::new(tls.accept(connection))),
        };
        Self { stage, peer }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Goes on with what `act` does to the stream once there is one.
    fn with<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Both>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Stage::Greeting(accept) = &mut self.stage {
            match ready!(Pin::new(accept.as_mut()).poll(context)) {
                Ok(stream) => self.stage = Stage::Secure(Box::new(stream)),
                Err(error) => {
                    self.stage = Stage::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut self.stage {
            Stage::Plain(stream) => act(Pin::new(stream), context),
            Stage::Secure(stream) => act(Pin::new(stream.as_mut()), context),
            Stage::Greeting(_) | Stage::Failed => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(context, |stream, context| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(context, |stream, context| stream.poll_shutdown(context))
    }
}
