//! What every transport offers: a way to connect, and a link that delivers in order.

use std::future::Future;
use std::pin::Pin;

use super::spool::Waiting;
use crate::base::CameraId;

/// What is told without a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its camera.
    pub camera: CameraId,
    /// The zone or line whose state it is; `None` for the result of a frame.
    pub place: Option<String>,
    /// The text to send.
    pub text: String,
}

/// Something that takes a while, on the thread of a sink.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Why events are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The other side is not there, or does not answer: tried again soon.
    #[error("{0}")]
    Lost(String),
    /// The other side is there and does not let us in: a person is needed; tried again, less often.
    #[error("{0}")]
    Denied(String),
    /// The other side will never take the first event that is not acknowledged.
    #[error("{0}")]
    Refused(String),
}

/// Why a login is [`LinkError::Denied`].
pub(super) const WRONG_LOGIN: &str =
    "the server refuses user and password; check user and password_file of the sink";

/// How far a delivery came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Events handed over, from the first of the batch on.
    pub sent: usize,
    /// Of those, acknowledged without a gap.
    pub acknowledged: usize,
}

/// A way to a broker or webhook.
pub trait Transport: Send {
    /// Connects and logs in.
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>>;
}

/// A way that is open.
pub trait Link {
    /// Has the link shown that the other side is there? A webhook shows it only with an answer.
    fn is_proven(&self) -> bool;

    /// Sends `batch` in order and waits for the acknowledgements. `progress` is right at any moment,
    /// also when this fails or is given up.
    ///
    /// # Errors
    /// [`LinkError`], about the first event that is not acknowledged.
    fn deliver<'a>(
        &'a mut self,
        batch: &'a [Waiting],
        progress: &'a mut Progress,
    ) -> Work<'a, Result<(), LinkError>>;

    /// Sends what is not an event once, without waiting for anybody.
    ///
    /// # Errors
    /// [`LinkError`] if the link is no more.
    fn offer<'a>(&'a mut self, offer: &'a Offer) -> Work<'a, Result<(), LinkError>>;

    /// Ends when the link breaks while nothing is sent.
    fn broken(&mut self) -> Work<'_, LinkError>;

    /// Says good-bye.
    fn close(self: Box<Self>) -> Work<'static, ()>;
}
