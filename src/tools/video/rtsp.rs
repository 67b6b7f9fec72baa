//! Cameras over RTSP, each rendered or played only while somebody looks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::prelude::*;

use super::{Film, Shape, VideoError, frames_of, with_encoder};
use crate::base::{PipelineText, Worker, WorkerEnd};

const RENDERED: &str = include_str!("../../../pipelines/simulate-rtsp.gst");
const PLAYED: &str = include_str!("../../../pipelines/play-rtsp.gst");

/// Threads that answer the clients of a server; by default there is one, with which a hundred cameras that are
/// opened at once wait for each other.
const THREADS: i32 = 8;

/// The threads must have ended this long after the end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// One camera.
pub struct Camera {
    /// Address to listen at.
    pub host: String,
    /// Port to listen at; 0 takes a free one.
    pub port: u16,
    /// What follows the port, with its leading slash.
    pub path: String,
    /// What it shows.
    pub shows: Shows,
}

/// What a camera shows.
pub enum Shows {
    /// A place that is rendered.
    Place {
        /// Size and rate.
        shape: Shape,
        /// Begins to film: gives a function that lets so many seconds pass and takes the picture, RGB.
        begin: Box<dyn Fn() -> TakePicture + Send + Sync>,
    },
    /// A film as it is encoded, again and again, with times that go on.
    Film(Arc<Film>),
}

/// Lets so many seconds pass and takes a picture.
pub type TakePicture = Box<dyn FnMut(f32) -> Vec<u8> + Send>;

/// Threads that film at the moment.
type Filming = Arc<Mutex<Vec<Worker>>>;

/// Servers that run until they are dropped.
#[derive(Debug)]
pub struct RtspServer {
    main_loop: glib::MainLoop,
    worker: Option<Worker>,
    filming: Filming,
    ended: Arc<AtomicBool>,
    /// Where each camera can be reached, in the order they were given.
    pub uris: Vec<String>,
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.main_loop.quit();
        let deadline = Instant::now() + END_WITHIN;
        let filming =
            std::mem::take(&mut *self.filming.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in self.worker.take().into_iter().chain(filming) {
            let name = worker.name().to_owned();
            match worker.join_until(deadline) {
                WorkerEnd::Finished => {}
                end => tracing::warn!(thread = name, ?end, "simulated camera does not end"),
            }
        }
    }
}

impl RtspServer {
    /// Begins to serve the cameras; those with the same host and port share a server.
    ///
    /// # Errors
    /// If an address cannot be listened at, or GStreamer lacks something.
    pub fn start(cameras: Vec<Camera>) -> Result<Self, VideoError> {
        gst::init()
            .map_err(|error| VideoError::Setup(format!("GStreamer does not start: {error}")))?;
        let context = glib::MainContext::new();
        let mut servers: BTreeMap<(String, u16), server::RTSPServer> = BTreeMap::new();
        let (filming, ended) = (Filming::default(), Arc::new(AtomicBool::new(false)));
        let mut places = Vec::new();
        for camera in cameras {
            let key = (camera.host.clone(), camera.port);
            let server = servers.entry(key.clone()).or_insert_with(|| {
                let server = server::RTSPServer::new();
                server.set_address(&key.0);
                server.set_service(&key.1.to_string());
                if let Some(pool) = server.thread_pool() {
                    pool.set_max_threads(THREADS);
                }
                server
            });
            let mounts = server.mount_points().ok_or_else(|| {
                VideoError::Setup("the RTSP server has no mount points".to_owned())
            })?;
            places.push((key, camera.path.clone()));
            let path = camera.path.clone();
            mounts.add_factory(&path, factory(camera, &filming, &ended)?);
        }
        let mut ports = BTreeMap::new();
        for (key, server) in &servers {
            let (host, port) = key;
            server
                .attach(Some(&context))
                .map_err(|error| VideoError::Address {
                    address: format!("{host}:{port}"),
                    reason: format!("{error}; is the port taken?"),
                })?;
            ports.insert(key.clone(), server.bound_port());
        }
        let uris = places
            .iter()
            .map(|(key, path)| format!("rtsp://{}:{}{path}", key.0, ports[key]))
            .collect();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let running = main_loop.clone();
        let work = move || {
            // The servers live as long as their loop.
            let servers: Vec<server::RTSPServer> = servers.into_values().collect();
            // A client that vanished without a word leaves a session that only this ends.
            let sweep =
                glib::timeout_source_new_seconds(2, None, glib::Priority::DEFAULT, move || {
                    for pool in servers.iter().filter_map(RTSPServerExt::session_pool) {
                        pool.cleanup();
                    }
                    glib::ControlFlow::Continue
                });
            sweep.attach(Some(&context));
            let run = || running.run();
            if let Err(error) = context.with_thread_default(run) {
                tracing::error!(%error, "RTSP server does not run");
            }
        };
        let worker = Worker::spawn("rtsp-server", work, |text| {
            tracing::error!(panic = text, "RTSP server ended");
        })
        .map_err(|error| VideoError::Setup(format!("no thread for the RTSP server: {error}")))?;
        Ok(Self {
            main_loop,
            worker: Some(worker),
            filming,
            ended,
            uris,
        })
    }
}

fn factory(
    camera: Camera,
    filming: &Filming,
    ended: &Arc<AtomicBool>,
) -> Result<server::RTSPMediaFactory, VideoError> {
    let text = match &camera.shows {
        Shows::Place { shape, .. } => with_encoder("simulate-rtsp.gst", RENDERED, *shape, true)?,
        Shows::Film(film) => PipelineText::new("play-rtsp.gst", PLAYED)
            .fill(&[
                ("parser", film.codec().parser()),
                ("payloader", film.codec().payloader()),
            ])
            .map_err(|error| VideoError::Setup(error.to_string()))?,
    };
    let factory = server::RTSPMediaFactory::new();
    factory.set_launch(&format!("( {text} )"));
    factory.set_shared(true);
    let shows = Arc::new(camera.shows);
    let (filming, ended) = (Arc::clone(filming), Arc::clone(ended));
    factory.connect_media_configure(move |_, media| {
        let bin = media.element().downcast::<gst::Bin>().ok();
        let Some(frames) = bin.as_ref().and_then(frames_of) else {
            tracing::error!("the pipeline of a camera has no appsrc `frames`");
            return;
        };
        match &*shows {
            Shows::Place { shape, .. } => {
                frames.set_caps(Some(&shape.caps()));
                render(&shows, frames, media, &filming, &ended);
            }
            Shows::Film(film) => play(film, &frames),
        }
    });
    Ok(factory)
}

/// Sends a film for ever, as fast as its times say.
fn play(film: &Arc<Film>, frames: &gst_app::AppSrc) {
    frames.set_caps(Some(film.caps()));
    let (film, next) = (Arc::clone(film), AtomicU64::new(0));
    let callbacks = gst_app::AppSrcCallbacks::builder()
        .need_data(move |frames, _| {
            let picture = film.picture(next.fetch_add(1, Ordering::Relaxed));
            // An error is that nobody looks any more.
            frames.push_buffer(picture).ok();
        })
        .build();
    frames.set_callbacks(callbacks);
}

/// Begins to film, on a thread of its own, until nobody looks.
fn render(
    shows: &Arc<Shows>,
    frames: gst_app::AppSrc,
    media: &server::RTSPMedia,
    filming: &Filming,
    ended: &Arc<AtomicBool>,
) {
    let unwatched = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&unwatched);
    media.connect_unprepared(move |_| flag.store(true, Ordering::Relaxed));
    let (shows, ended) = (Arc::clone(shows), Arc::clone(ended));
    let stopped = move || unwatched.load(Ordering::Relaxed) || ended.load(Ordering::Relaxed);
    let work = move || {
        if let Shows::Place { shape, begin } = &*shows {
            film(*shape, begin(), &frames, stopped);
        }
    };
    let worker = Worker::spawn("sim-camera", work, |text| {
        tracing::error!(panic = text, "simulated camera ended");
    });
    match worker {
        Ok(worker) => {
            let mut filming = filming.lock().unwrap_or_else(PoisonError::into_inner);
            filming.retain(|worker| !worker.is_finished());
            filming.push(worker);
        }
        Err(error) => tracing::error!(%error, "no thread for a simulated camera"),
    }
}

/// Films in real time until nobody looks; a machine that is too slow leaves pictures out.
fn film(
    shape: Shape,
    mut picture: TakePicture,
    frames: &gst_app::AppSrc,
    stopped: impl Fn() -> bool,
) {
    let step = 1.0 / f64::from(shape.fps);
    let began = Instant::now();
    let mut frame = 0_u64;
    while !stopped() {
        let due = (began.elapsed().as_secs_f64() / step) as u64;
        let skipped = due.saturating_sub(frame);
        frame += skipped + 1;
        let rgb = picture((step * (skipped + 1) as f64) as f32);
        if frames.push_buffer(shape.buffer(&rgb)).is_err() {
            return;
        }
        let next = Duration::from_secs_f64(step * frame as f64);
        if let Some(wait) = next.checked_sub(began.elapsed()) {
            std::thread::sleep(wait);
        }
    }
}
