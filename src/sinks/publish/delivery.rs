//! The thread of a sink: takes what waits in the spool, delivers it in order, and forgets it only
//! when the other side has acknowledged it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::link::{Link, LinkError, Offer, Progress, Transport};
use super::spool::{Signal, Spool, Waiting};
use crate::base::{DropReason, Metrics, SinkStep, Stage, causes};

/// Events that are under way at once.
pub const BATCH: usize = 64;

/// Results of frames that may wait for a sink; what comes when it is full is dropped and counted.
pub const RESULT_QUEUE: usize = 16;

/// A link that does not take a result within this time is stuck.
const OFFER_WAIT: Duration = Duration::from_secs(20);

/// Where results come from; `None` where none are wanted, or no more come.
type Results = Option<mpsc::Receiver<Offer>>;

/// At the end, a sink that is connected has at most this long for what still waits.
pub const LAST_WAIT: Duration = Duration::from_secs(3);

/// A link that held this long was a good one: the next failure is the first again.
const STEADY: Duration = Duration::from_secs(10);

/// A spool that cannot be read is tried again after this time.
const REREAD_AFTER: Duration = Duration::from_secs(1);

/// Delivers one sink's events.
pub struct Delivery {
    name: String,
    address: String,
    last_wait: Duration,
    spool: Arc<Spool>,
    transport: Box<dyn Transport>,
    metrics: Arc<Metrics>,
    results: Results,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a sink remembers from one link to the next.
#[derive(Debug, Default)]
struct Course {
    /// Everything up to this place of the queue is delivered.
    delivered: u64,
    /// After a failure events go one by one until one is taken, so that it shows which is at fault.
    is_careful: bool,
    backoff: Backoff,
    /// The failure that was told last; `None` while events are taken.
    told: Option<LinkError>,
    /// Why results are not taken, where that was told.
    told_of_results: Option<LinkError>,
    /// That the spool fails was told.
    told_of_spool: bool,
    /// The newest state of each place, from while nobody took it.
    states: VecDeque<Offer>,
}

impl Delivery {
    /// Will deliver what waits in `spool` for the sink `name`; `address` names the other side to
    /// people.
    #[must_use]
    pub fn new(
        name: String,
        address: String,
        spool: Arc<Spool>,
        transport: Box<dyn Transport>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            name,
            address,
            last_wait: LAST_WAIT,
            spool,
            transport,
            metrics,
            results: None,
        }
    }

    /// Sends results of frames too, as far as there is time for them.
    #[must_use]
    pub fn with_results(mut self, results: mpsc::Receiver<Offer>) -> Self {
        self.results = Some(results);
        self
    }

    /// Has at most `wait` for what still waits at the end.
    #[must_use]
    pub fn with_last_wait(mut self, wait: Duration) -> Self {
        self.last_wait = wait.min(LAST_WAIT);
        self
    }

    /// Delivers until the spool is closed. What is not delivered then stays on the disk.
    pub fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build();
        let (runtime, signal) = match (runtime, self.spool.signal(&self.name)) {
            (Ok(runtime), Some(signal)) => (runtime, signal),
            (Err(error), _) => {
                let sink = &self.name;
                tracing::error!(sink, %error, "the sink cannot start; its events wait in the spool");
                return;
            }
            (_, None) => return,
        };
        let mut results = self.results.take();
        runtime.block_on(async {
            tokio::select! {
                () = self.deliver_until_closed(signal.clone(), &mut results) => {}
                () = ended(signal, self.last_wait) => {}
            }
        });
        // A request that hangs is left to end by itself.
        runtime.shutdown_background();
        self.metrics.sinks().connected(&self.name, false);
        let (sink, waiting) = (&self.name, self.spool.waiting(&self.name));
        if waiting > 0 {
            tracing::warn!(sink, waiting, "events wait in the spool for the next start");
        }
    }

    async fn deliver_until_closed(
        &self,
        mut signal: watch::Receiver<Signal>,
        results: &mut Results,
    ) {
        let mut course = Course::default();
        self.metrics.sinks().connected(&self.name, false);
        loop {
            let error = match self.transport.connect().await {
                Ok(mut link) => {
                    let began = Instant::now();
                    self.drop_stale(results, &mut course);
                    // Being let in does not show that events are taken, if any wait.
                    if link.is_proven() && self.spool.waiting(&self.name) == 0 {
                        self.works(&mut course);
                    }
                    match self
                        .serve(&mut *link, &mut signal, &mut course, results)
                        .await
                    {
                        Ok(()) => return link.close().await,
                        Err(error) => {
                            if began.elapsed() > STEADY {
                                course.backoff.reset();
                            }
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            self.metrics.sinks().connected(&self.name, false);
            course.is_careful = true;
            let pause = course.backoff.next(&error);
            self.tell(error, pause, &mut course);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = closed(&mut signal) => return,
            }
        }
    }

    /// Delivers over `link` until the spool is closed and empty.
    async fn serve(
        &self,
        link: &mut dyn Link,
        signal: &mut watch::Receiver<Signal>,
        course: &mut Course,
        results: &mut Results,
    ) -> Result<(), LinkError> {
        loop {
            // After a failure an event goes alone first. Then never more results than the queue
            // holds, so that events have their turn.
            let is_trying = course.is_careful && self.spool.waiting(&self.name) > 0;
            while let Some(state) = course.states.front().filter(|_| !is_trying).cloned() {
                self.offer(link, &state, course).await?;
                course.states.pop_front();
            }
            let most = if is_trying { 0 } else { RESULT_QUEUE };
            for _ in 0..most {
                match results.as_mut().map(mpsc::Receiver::try_recv) {
                    Some(Ok(line)) => self.offer(link, &line, course).await?,
                    _ => break,
                }
            }
            // Looked at before reading: what comes afterwards is a change.
            let is_closed = signal.borrow_and_update().is_closed;
            let most = if course.is_careful { 1 } else { BATCH };
            let batch = match self.spool.read(&self.name, course.delivered, most) {
                Ok(batch) => {
                    course.told_of_spool = false;
                    batch
                }
                Err(error) => {
                    if !std::mem::replace(&mut course.told_of_spool, true) {
                        let (sink, error) = (&self.name, causes(&error));
                        tracing::warn!(
                            sink,
                            error,
                            "the spool cannot be read; it is tried every second"
                        );
                    }
                    tokio::time::sleep(REREAD_AFTER).await;
                    continue;
                }
            };
            if !batch.is_empty() {
                self.send(link, &batch, course).await?;
            } else if is_closed {
                return Ok(());
            } else {
                tokio::select! {
                    changed = signal.changed() => if changed.is_err() { return Ok(()) },
                    error = link.broken() => return Err(error),
                    line = next(results) => self.offer(link, &line, course).await?,
                }
            }
        }
    }

    /// Events do not depend on what becomes of a result: only a link that broke is an error.
    async fn offer(
        &self,
        link: &mut dyn Link,
        line: &Offer,
        course: &mut Course,
    ) -> Result<(), LinkError> {
        let offered = match tokio::time::timeout(OFFER_WAIT, link.offer(line)).await {
            Ok(offered) => offered,
            Err(_elapsed) => Err(LinkError::Lost("the connection is stuck".to_owned())),
        };
        let Err(error) = offered else {
            course.told_of_results = None;
            let sinks = self.metrics.sinks();
            sinks.count(&self.name, SinkStep::ResultSent, 1);
            return Ok(());
        };
        self.count_dropped(line, DropReason::SinkFailed);
        if matches!(error, LinkError::Lost(_)) {
            return Err(error);
        }
        if course.told_of_results.as_ref() != Some(&error) {
            let (sink, address) = (&self.name, &self.address);
            tracing::error!(sink, address, %error, "results are not taken; events go on");
            course.told_of_results = Some(error);
        }
        Ok(())
    }

    /// Results that waited while nobody took them are old. What holds until something else is told, the
    /// state of a place, is kept.
    fn drop_stale(&self, results: &mut Results, course: &mut Course) {
        while let Some(Ok(line)) = results.as_mut().map(mpsc::Receiver::try_recv) {
            if line.place.is_none() {
                self.count_dropped(&line, DropReason::SinkSlow);
                continue;
            }
            let is_older = |it: &Offer| (&it.camera, &it.place) == (&line.camera, &line.place);
            course.states.retain(|it| !is_older(it));
            course.states.push_back(line);
        }
    }

    fn count_dropped(&self, line: &Offer, reason: DropReason) {
        self.metrics
            .result_dropped(&line.camera, Stage::Publish, reason);
    }

    async fn send(
        &self,
        link: &mut dyn Link,
        batch: &[Waiting],
        course: &mut Course,
    ) -> Result<(), LinkError> {
        self.spool
            .hold(&self.name, batch.last().map_or(0, |it| it.order));
        let result = self.send_held(link, batch, course).await;
        self.spool.hold(&self.name, 0);
        result
    }

    async fn send_held(
        &self,
        link: &mut dyn Link,
        batch: &[Waiting],
        course: &mut Course,
    ) -> Result<(), LinkError> {
        let mut progress = Progress::default();
        let result = link.deliver(batch, &mut progress).await;
        let count = |step, number: usize| {
            if number > 0 {
                self.metrics.sinks().count(&self.name, step, number as u64);
            }
        };
        count(SinkStep::Sent, progress.sent);
        count(SinkStep::Acknowledged, progress.acknowledged);
        let (taken, rest) = batch.split_at(progress.acknowledged.min(batch.len()));
        if let Some(last) = taken.last() {
            course.delivered = last.order;
            course.is_careful = false;
            course.backoff.reset();
            self.works(course);
        }
        let result = match (result, rest.first()) {
            (Err(LinkError::Refused(reason)), Some(refused)) => {
                let (sink, event) = (&self.name, &refused.text);
                tracing::error!(sink, reason, event, "an event was refused and is given up");
                count(SinkStep::Refused, 1);
                course.delivered = refused.order;
                Ok(())
            }
            (Err(error), _) => {
                count(
                    SinkStep::Retried,
                    progress.sent.saturating_sub(progress.acknowledged),
                );
                Err(error)
            }
            (Ok(()), _) => Ok(()),
        };
        if course.delivered >= batch.first().map_or(0, |it| it.order)
            && let Err(error) = self.spool.forget(&self.name, course.delivered)
        {
            // They are not sent again by this process; the next time takes them along.
            if !std::mem::replace(&mut course.told_of_spool, true) {
                let (sink, error) = (&self.name, causes(&error));
                tracing::warn!(
                    sink,
                    error,
                    "delivered events cannot be deleted from the spool yet"
                );
            }
        }
        result
    }

    /// The other side takes events.
    fn works(&self, course: &mut Course) {
        self.metrics.sinks().connected(&self.name, true);
        let (sink, waiting) = (&self.name, self.spool.waiting(&self.name));
        if course.told.take().is_some() {
            tracing::warn!(sink, waiting, "the sink takes events again");
        }
    }

    /// A failure is told once, until it is another or over.
    fn tell(&self, error: LinkError, pause: Duration, course: &mut Course) {
        let (sink, waiting) = (&self.name, self.spool.waiting(&self.name));
        let (address, wait_secs) = (&self.address, pause.as_secs_f64());
        if course.told.as_ref() == Some(&error) {
            tracing::debug!(sink, %error, waiting, wait_secs, "the sink still takes no events");
            return;
        }
        if matches!(error, LinkError::Denied(_)) {
            tracing::error!(sink, address, %error, waiting, wait_secs, "the sink lets us not in; events wait in the spool");
        } else {
            tracing::warn!(sink, address, %error, waiting, wait_secs, "the sink takes no events; they wait in the spool");
        }
        course.told = Some(error);
    }
}

/// The next result; waits for ever when there are none.
async fn next(results: &mut Results) -> Offer {
    loop {
        match results {
            Some(receiver) => match receiver.recv().await {
                Some(line) => return line,
                None => *results = None,
            },
            None => std::future::pending().await,
        }
    }
}

/// Ends when nothing more is kept.
async fn closed(signal: &mut watch::Receiver<Signal>) {
    // An error says that the spool itself is gone.
    drop(signal.wait_for(|it| it.is_closed).await);
}

/// Ends `wait` after nothing more is kept.
async fn ended(mut signal: watch::Receiver<Signal>, wait: Duration) {
    closed(&mut signal).await;
    tokio::time::sleep(wait).await;
}

#[cfg(test)]
mod tests {
    use super::super::link::Work;
    use super::super::spool::QueueLimit;
    use super::*;
    use crate::base::CameraId;

    #[derive(Debug)]
    struct Nowhere;

    impl Transport for Nowhere {
        fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
            Box::pin(async { Err(LinkError::Lost("nobody is there".to_owned())) })
        }
    }

    fn offer(place: Option<&str>, text: &str) -> Offer {
        Offer {
            camera: CameraId::new("gate"),
            place: place.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_newest_state_of_each_place_outlives_an_outage_and_results_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let limits = [QueueLimit {
            sink: "room".to_owned(),
            max_bytes: 1 << 20,
        }];
        let metrics = Metrics::new();
        let file = folder.path().join("events.redb");
        let spool = Spool::open(&file, &limits, Arc::clone(&metrics)).unwrap();
        let delivery = Delivery::new(
            "room".to_owned(),
            String::new(),
            Arc::new(spool),
            Box::new(Nowhere),
            Arc::clone(&metrics),
        );
        let (sender, receiver) = mpsc::channel(16);
        let (mut results, mut course) = (Some(receiver), Course::default());
        let mut after_outage = |offers: &[Offer]| -> Vec<String> {
            for it in offers {
                sender.try_send(it.clone()).unwrap();
            }
            delivery.drop_stale(&mut results, &mut course);
            course.states.iter().map(|it| it.text.clone()).collect()
        };
        let first = [
            offer(None, "result"),
            offer(Some("yard"), "3"),
            offer(Some("dock"), "1"),
            offer(Some("yard"), "0"),
        ];
        assert_eq!(after_outage(&first), ["1", "0"]);
        assert_eq!(after_outage(&[offer(Some("dock"), "2")]), ["0", "2"]);
        let dropped =
            metrics.results_dropped(&CameraId::new("gate"), Stage::Publish, DropReason::SinkSlow);
        assert_eq!(dropped, 1);
    }
}
