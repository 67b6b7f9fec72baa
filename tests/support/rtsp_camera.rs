//! A camera to test against: serves `rtsp(s)://127.0.0.1:PORT/cam` and prints the port.
//!
//! ```text
//! rtsp_camera [--port N] [--codec h264|h265|mjpeg] [--fps N] [--size WxH] [--gop N]
//!             [--file VIDEO] [--user NAME --password WORD [--auth digest|basic]]
//!             [--since MILLISECONDS] [--cert PEM] [--freeze-after FRAMES] [--switch-size-after FRAMES]
//! ```
//! The generated picture is a moving ball; `--file` sends the pictures of a file as they are
//! encoded, over and over, with times that go on. RTCP sender reports are sent as every server
//! does. It ends when its standard input is closed, so that no test leaves one behind.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use clap::Parser;
use gio::prelude::*;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::prelude::*;

#[derive(Debug, Clone, Parser)]
struct Options {
    /// Port to listen at; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// h264, h265 or mjpeg
    #[arg(long, default_value = "h264")]
    codec: String,
    /// Frames per second
    #[arg(long, default_value_t = 25)]
    fps: i32,
    /// WIDTHxHEIGHT
    #[arg(long, default_value = "320x240")]
    size: String,
    /// Frames from one key frame to the next
    #[arg(long, default_value_t = 25)]
    gop: i32,
    /// Sends this file instead of a generated picture
    #[arg(long)]
    file: Option<String>,
    /// The file began at this moment, milliseconds since 1970: whoever connects sees what it shows by
    /// now, from the last key frame on
    #[arg(long)]
    since: Option<u64>,
    /// User that is asked for
    #[arg(long)]
    user: Option<String>,
    /// Password of that user
    #[arg(long, default_value = "")]
    password: String,
    /// digest or basic
    #[arg(long, default_value = "digest")]
    auth: String,
    /// Certificate and key in one PEM file: serves rtsps
    #[arg(long)]
    cert: Option<String>,
    /// Goes silent after so many frames
    #[arg(long)]
    freeze_after: Option<usize>,
    /// Halves the size after so many frames
    #[arg(long)]
    switch_size_after: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    gst::init()?;
    let rtsp = server::RTSPServer::new();
    rtsp.set_address("127.0.0.1");
    rtsp.set_service(&options.port.to_string());
    if let Some(auth) = auth(&options)? {
        rtsp.set_auth(Some(&auth));
    }
    let factory = factory(&options)?;
    rtsp.mount_points()
        .context("no mount points")?
        .add_factory("/cam", factory);
    let main_loop = glib::MainLoop::new(None, false);
    let _source = rtsp.attach(None)?;
    {
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", rtsp.bound_port())?;
        out.flush()?;
    }
    let ending = main_loop.clone();
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut rest = Vec::new();
            std::io::stdin().read_to_end(&mut rest).ok();
            ending.quit();
        })?;
    main_loop.run();
    Ok(())
}

fn auth(options: &Options) -> anyhow::Result<Option<server::RTSPAuth>> {
    if options.user.is_none() && options.cert.is_none() {
        return Ok(None);
    }
    let auth = server::RTSPAuth::new();
    if let Some(path) = &options.cert {
        let certificate =
            gio::TlsCertificate::from_file(path).context("reading the certificate")?;
        auth.set_tls_certificate(Some(&certificate));
    }
    let mut token = server::RTSPToken::builder()
        .field(server::RTSP_TOKEN_MEDIA_FACTORY_ROLE.as_str(), "user")
        .build();
    match (&options.user, options.auth.as_str()) {
        (None, _) => auth.set_default_token(Some(&mut token)),
        (Some(user), "basic") => {
            auth.set_supported_methods(server::gst_rtsp::RTSPAuthMethod::Basic);
            let basic = server::RTSPAuth::make_basic(user, &options.password);
            auth.add_basic(basic.as_str(), &token);
        }
        (Some(user), "digest") => {
            auth.set_supported_methods(server::gst_rtsp::RTSPAuthMethod::Digest);
            auth.add_digest(user, &options.password, &token);
        }
        (_, other) => bail!("--auth {other}: digest or basic"),
    }
    Ok(Some(auth))
}

/// (elements that encode, parser, payloader)
fn codec(options: &Options) -> anyhow::Result<(String, &'static str, &'static str)> {
    let gop = options.gop;
    Ok(match options.codec.as_str() {
        "h264" => (
            format!(
                "x264enc tune=zerolatency speed-preset=ultrafast bitrate=1000 key-int-max={gop}"
            ),
            "h264parse",
            "rtph264pay config-interval=-1",
        ),
        "h265" => (
            format!(
                "x265enc tune=zerolatency speed-preset=ultrafast bitrate=1000 key-int-max={gop}"
            ),
            "h265parse",
            "rtph265pay config-interval=-1",
        ),
        "mjpeg" => ("jpegenc quality=70".to_owned(), "identity", "rtpjpegpay"),
        other => bail!("--codec {other}: h264, h265 or mjpeg"),
    })
}

fn factory(options: &Options) -> anyhow::Result<server::RTSPMediaFactory> {
    let (encoder, parser, payloader) = codec(options)?;
    let Options { fps, .. } = options;
    let (width, height) = options
        .size
        .split_once('x')
        .context("--size is WIDTHxHEIGHT")?;
    let (width, height): (i32, i32) = (width.parse()?, height.parse()?);
    let launch = if options.file.is_some() {
        format!(
            "( appsrc name=pictures format=time is-live=true block=true max-bytes=0 max-buffers=4 ! {parser} ! {payloader} name=pay0 pt=96 )"
        )
    } else {
        format!(
            "( videotestsrc is-live=true pattern=ball motion=sweep ! capsfilter name=size caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 \
             ! identity name=gate ! {encoder} ! {payloader} name=pay0 pt=96 )"
        )
    };
    let factory = server::RTSPMediaFactory::new();
    factory.set_launch(&launch);
    factory.set_shared(true);
    if options.user.is_some() || options.cert.is_some() {
        factory.add_role_from_structure(
            &gst::Structure::builder("user")
                .field("media.factory.access", true)
                .field("media.factory.construct", true)
                .build(),
        );
    }
    let pictures = options
        .file
        .as_deref()
        .map(|file| read_pictures(file, parser))
        .transpose()?
        .map(Arc::new);
    let options = options.clone();
    factory.connect_media_configure(move |_, media| {
        let Ok(bin) = media.element().downcast::<gst::Bin>() else {
            return;
        };
        if let (Some(source), Some(pictures)) = (bin.by_name("pictures"), &pictures)
            && let Ok(source) = source.downcast::<gst_app::AppSrc>()
        {
            send_for_ever(&source, Arc::clone(pictures), options.since);
        }
        watch_frames(&bin, &options, (width, height));
    });
    Ok(factory)
}

/// Goes silent or changes the size after so many frames.
fn watch_frames(bin: &gst::Bin, options: &Options, (width, height): (i32, i32)) {
    let (Some(gate), size) = (bin.by_name("gate"), bin.by_name("size")) else {
        return;
    };
    let Some(pad) = gate.static_pad("src") else {
        return;
    };
    let count = AtomicUsize::new(0);
    let (freeze, switch, fps) = (options.freeze_after, options.switch_size_after, options.fps);
    let size = size.map(|size| size.downgrade());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if switch == Some(number)
            && let Some(size) = size.as_ref().and_then(glib::WeakRef::upgrade)
        {
            let caps = gst::Caps::builder("video/x-raw")
                .field("format", "I420")
                .field("width", width / 2)
                .field("height", height / 2)
                .field("framerate", gst::Fraction::new(fps, 1))
                .build();
            size.set_property("caps", caps);
        }
        if freeze.is_some_and(|after| number >= after) {
            return gst::PadProbeReturn::Drop;
        }
        gst::PadProbeReturn::Ok
    });
}

/// The encoded pictures of a file and what they are.
struct Pictures {
    caps: gst::Caps,
    buffers: Vec<gst::Buffer>,
    step: gst::ClockTime,
}

fn read_pictures(file: &str, parser: &str) -> anyhow::Result<Pictures> {
    let pipeline = gst::parse::launch(&format!(
        "filesrc name=file ! parsebin ! {parser} ! video/x-h264,stream-format=byte-stream,alignment=au;video/x-h265,stream-format=byte-stream,alignment=au;image/jpeg ! appsink name=pictures sync=false"
    ))?
    .downcast::<gst::Pipeline>()
    .ok()
    .context("no pipeline")?;
    pipeline
        .by_name("file")
        .context("file")?
        .set_property("location", file);
    let sink = pipeline
        .by_name("pictures")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .context("pictures")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut buffers = Vec::new();
    let mut caps = None;
    let mut step = gst::ClockTime::from_mseconds(40);
    while let Ok(sample) = sink.pull_sample() {
        caps = sample.caps_owned();
        step = sample
            .buffer()
            .and_then(gst::BufferRef::duration)
            .unwrap_or(step);
        buffers.extend(sample.buffer_owned());
    }
    pipeline.set_state(gst::State::Null)?;
    let caps = caps.context("no picture in the file")?;
    Ok(Pictures {
        caps,
        buffers,
        step,
    })
}

/// The picture that a file shows by now which began at `since`, ms since 1970, or rather the key frame
/// before it.
fn picture_by_now(pictures: &Pictures, since: u64) -> usize {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let passed = now.saturating_sub(std::time::Duration::from_millis(since));
    let count = pictures.buffers.len();
    let number = (passed.as_nanos() / u128::from(pictures.step.nseconds())) as usize % count;
    let is_key = |at: &usize| {
        let flags = pictures.buffers[*at].flags();
        !flags.contains(gst::BufferFlags::DELTA_UNIT)
    };
    (0..=number).rev().find(is_key).unwrap_or(0)
}

fn send_for_ever(source: &gst_app::AppSrc, pictures: Arc<Pictures>, since: Option<u64>) {
    source.set_caps(Some(&pictures.caps));
    let first = since.map_or(0, |since| picture_by_now(&pictures, since));
    let next = Mutex::new(0usize);
    let callbacks = gst_app::AppSrcCallbacks::builder()
        .need_data(move |source, _| {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let mut buffer = pictures.buffers[(first + *next) % pictures.buffers.len()].copy();
            let time = pictures.step * (*next as u64);
            let buffer_ref = buffer.make_mut();
            buffer_ref.set_pts(time);
            buffer_ref.set_dts(time);
            buffer_ref.set_duration(pictures.step);
            source.push_buffer(buffer).ok();
            *next += 1;
        })
        .build();
    source.set_callbacks(callbacks);
}
