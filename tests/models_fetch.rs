//! `gantryd models fetch` against a server on this machine that stalls, cuts off, lies and redirects.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed unwrap is a failed test, and its servers end with the process"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assert_cmd::Command;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use gantryd::app::models::{
    Checked, FetchError, FetchOptions, Fetched, by_id, fetch, list, verify,
};
use sha2::{Digest, Sha256};

/// A real model, so that it may also come without a SHA-256.
const MODEL: &[u8] = include_bytes!("fixtures/models/shapes.onnx");

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the server does, and what it was asked.
#[derive(Default)]
struct Server {
    /// Ends each of the first connections after so many bytes.
    cuts: Mutex<Vec<usize>>,
    ignores_ranges: bool,
    has_no_tags: bool,
    requests: AtomicUsize,
    ranges: Mutex<Vec<String>>,
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    server.requests.fetch_add(1, Ordering::SeqCst);
    let response = Response::builder();
    let path = request.uri().path();
    let bytes: Bytes = match path {
        "/m.onnx" => Bytes::from_static(MODEL),
        "/other.onnx" => Bytes::from_static(b"another file"),
        "/page.onnx" => Bytes::from_static(b"<!DOCTYPE html><p>Please log in"),
        "/moved.onnx" => {
            let response = response.status(302).header(header::LOCATION, "/m.onnx");
            return response.body(Body::empty()).unwrap();
        }
        "/busy.onnx" => return response.status(503).body(Body::empty()).unwrap(),
        _ => return response.status(404).body(Body::empty()).unwrap(),
    };
    ranged(&server, request.headers(), bytes)
}

fn ranged(server: &Server, asked: &HeaderMap, bytes: Bytes) -> Response<Body> {
    let tag = format!("\"{}\"", hex(&bytes));
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok());
    let range = text(header::RANGE).filter(|_| !server.ignores_ranges);
    if let Some(range) = range {
        server.ranges.lock().unwrap().push(range.to_owned());
    }
    let is_mine = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let start: usize = range
        .filter(|_| is_mine)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let total = bytes.len();
    let mut response = Response::builder();
    if !server.has_no_tags {
        response = response.header(header::ETAG, tag);
    }
    if start >= total {
        let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE);
        let response = response.header(header::CONTENT_RANGE, format!("bytes */{total}"));
        return response.body(Body::empty()).unwrap();
    }
    let rest = bytes.slice(start..);
    response = response.header(header::CONTENT_LENGTH, rest.len());
    if start > 0 {
        let range = format!("bytes {start}-{}/{total}", total - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT);
        response = response.header(header::CONTENT_RANGE, range);
    }
    let mut cuts = server.cuts.lock().unwrap();
    if cuts.is_empty() {
        return response.body(Body::from(rest)).unwrap();
    }
    // An error in the body makes the server close the connection before the announced length.
    let sent = rest.slice(..cuts.remove(0).min(rest.len()));
    let broken = std::io::Error::other("cut off");
    let parts = tokio_stream(vec![Ok(sent), Err(broken)]);
    response.body(parts).unwrap()
}

/// A body that ends in an error.
fn tokio_stream(parts: Vec<Result<Bytes, std::io::Error>>) -> Body {
    struct Parts(std::vec::IntoIter<Result<Bytes, std::io::Error>>, bool);
    impl http_body::Body for Parts {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
            // Between two parts the first one gets out of the buffers.
            self.1 = !self.1;
            if self.1 {
                let waker = context.waker().clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    waker.wake();
                });
                return std::task::Poll::Pending;
            }
            let next = self.0.next();
            std::task::Poll::Ready(next.map(|part| part.map(http_body::Frame::data)))
        }
    }
    Body::new(Parts(parts.into_iter(), false))
}

/// Address of a running server.
fn serve(server: Server) -> (String, Arc<Server>) {
    let server = Arc::new(server);
    let shared = Arc::clone(&server);
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().fallback(answer).with_state(shared);
            axum::serve(listener, router).await.unwrap();
        });
    });
    (format!("http://{}", address.recv().unwrap()), server)
}

/// A folder with the manifest of a model "m" whose file is not there.
fn manifest(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("m")).unwrap();
    let text = format!("file = \"m.onnx\"\n{text}");
    std::fs::write(folder.path().join("m/manifest.toml"), text).unwrap();
    folder
}

fn pinned(url: &str) -> tempfile::TempDir {
    let hash = hex(MODEL);
    manifest(&format!(
        "url = \"{url}\"\nsha256 = \"{hash}\"\nlicence = \"Apache-2.0\"\n"
    ))
}

fn options(folder: &Path) -> FetchOptions {
    FetchOptions {
        folders: vec![folder.to_owned()],
        from: None,
        to: folder.to_owned(),
        accepted_licence: None,
        retry_wait: Duration::from_millis(1),
    }
}

fn fetched(folder: &tempfile::TempDir) -> Result<Fetched, FetchError> {
    fetch("m", &options(folder.path()))
}

/// Names in the model's folder, in order.
fn left(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("m")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once_and_then_known_to_be_there() {
    let (address, server) = serve(Server::default());
    let folder = pinned(&format!("{address}/m.onnx"));
    assert!(by_id("m", &[folder.path().to_owned()]).is_err());

    let first = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(&first.path).unwrap(), MODEL);
    assert_eq!(
        (first.checked, first.was_there),
        (Checked::ByManifest, false)
    );
    assert_eq!(left(&folder), ["fetched.toml", "m.onnx", "manifest.toml"]);
    assert!(by_id("m", &[folder.path().to_owned()]).is_ok());

    let again = fetched(&folder).unwrap();
    assert!(again.was_there && again.to_string().contains("already there"));
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_that_is_cut_is_gone_on_with() {
    let (address, server) = serve(Server {
        cuts: Mutex::new(vec![1000, 500]),
        ..Server::default()
    });
    let folder = pinned(&format!("{address}/m.onnx"));
    let got = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(got.path).unwrap(), MODEL);
    let ranges = server.ranges.lock().unwrap();
    assert_eq!(*ranges, ["bytes=1000-", "bytes=1500-"]);
}

#[test]
fn what_was_left_by_an_interruption_is_gone_on_with_by_the_next_command() {
    // Every connection of the first command brings nothing new after 1000 bytes.
    let (address, server) = serve(Server {
        cuts: Mutex::new(vec![1000, 0, 0, 0, 0]),
        ..Server::default()
    });
    let folder = pinned(&format!("{address}/m.onnx"));
    let error = fetched(&folder).unwrap_err();
    assert!(error.is_temporary());
    assert!(
        error
            .to_string()
            .contains("1000 bytes are kept, the same command goes on"),
        "{error}"
    );
    assert_eq!(
        left(&folder),
        ["m.onnx.part", "m.onnx.part.toml", "manifest.toml"]
    );
    assert!(by_id("m", &[folder.path().to_owned()]).is_err());

    fetched(&folder).unwrap();
    assert_eq!(server.ranges.lock().unwrap().last().unwrap(), "bytes=1000-");
    assert_eq!(left(&folder), ["fetched.toml", "m.onnx", "manifest.toml"]);
}

#[test]
fn a_server_without_ranges_sends_it_from_the_beginning() {
    let (address, server) = serve(Server {
        cuts: Mutex::new(vec![1000]),
        ignores_ranges: true,
        ..Server::default()
    });
    let folder = pinned(&format!("{address}/m.onnx"));
    let got = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(got.path).unwrap(), MODEL);
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
}

#[test]
fn a_part_of_another_version_is_not_mixed_with_this_one() {
    let (address, _server) = serve(Server::default());
    let url = format!("{address}/m.onnx");
    let folder = manifest(&format!("url = \"{url}\"\n"));
    let file = |name: &str| folder.path().join("m").join(name);
    std::fs::write(file("m.onnx.part"), vec![7; 1000]).unwrap();
    let known = format!("url = \"{url}\"\netag = \"\\\"old\\\"\"\n");
    std::fs::write(file("m.onnx.part.toml"), known).unwrap();
    let got = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(got.path).unwrap(), MODEL);
}

#[test]
fn a_part_of_which_nothing_is_known_is_thrown_away() {
    let (address, server) = serve(Server {
        has_no_tags: true,
        ..Server::default()
    });
    let folder = manifest(&format!("url = \"{address}/m.onnx\"\n"));
    std::fs::write(folder.path().join("m/m.onnx.part"), vec![7; 1000]).unwrap();
    let got = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(got.path).unwrap(), MODEL);
    assert!(server.ranges.lock().unwrap().is_empty());
}

#[test]
fn halves_that_nothing_proves_to_belong_together_are_not_joined() {
    let (address, server) = serve(Server {
        cuts: Mutex::new(vec![1000]),
        has_no_tags: true,
        ..Server::default()
    });
    let folder = manifest(&format!("url = \"{address}/m.onnx\"\n"));
    let got = fetched(&folder).unwrap();
    assert_eq!(std::fs::read(got.path).unwrap(), MODEL);
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
    assert!(server.ranges.lock().unwrap().is_empty());
}

#[test]
fn a_part_that_is_whole_already_only_gets_its_name() {
    let (address, server) = serve(Server::default());
    let url = format!("{address}/m.onnx");
    let folder = pinned(&url);
    let file = |name: &str| folder.path().join("m").join(name);
    std::fs::write(file("m.onnx.part"), MODEL).unwrap();
    std::fs::write(file("m.onnx.part.toml"), format!("url = \"{url}\"\n")).unwrap();
    fetched(&folder).unwrap();
    let whole = format!("bytes={}-", MODEL.len());
    assert_eq!(*server.ranges.lock().unwrap(), [whole]);
}

#[test]
fn a_wrong_hash_is_refused_deleted_and_ends_with_78() {
    let (address, _server) = serve(Server::default());
    let folder = pinned(&format!("{address}/other.onnx"));
    let error = fetched(&folder).unwrap_err();
    assert!(!error.is_temporary());
    let text = error.to_string();
    for part in [&hex(b"another file"), &hex(MODEL), "refused and deleted"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(left(&folder), ["manifest.toml"]);

    Command::cargo_bin("gantryd")
        .unwrap()
        .args(["models", "fetch", "m", "--to"])
        .arg(folder.path())
        .env("GANTRYD_MODELS", folder.path())
        .env_remove("http_proxy")
        .assert()
        .code(78);
}

#[test]
fn a_wrong_file_that_is_there_is_replaced_by_the_right_one() {
    let (address, _server) = serve(Server::default());
    let folder = pinned(&format!("{address}/m.onnx"));
    let file = folder.path().join("m/m.onnx");
    std::fs::write(&file, b"damaged").unwrap();
    assert!(!fetched(&folder).unwrap().was_there);
    assert_eq!(std::fs::read(file).unwrap(), MODEL);
}

#[test]
fn without_a_hash_the_first_one_is_noted_and_held_against_the_file() {
    let (address, _server) = serve(Server::default());
    let folder = manifest(&format!("url = \"{address}/m.onnx\"\n"));
    let got = fetched(&folder).unwrap();
    assert_eq!(
        (got.checked, got.sha256.as_str()),
        (Checked::Noted, hex(MODEL).as_str())
    );
    let folders = [folder.path().to_owned()];
    assert!(verify(&folders).to_string().contains("intact"));
    assert_eq!(fetched(&folder).unwrap().checked, Checked::ByNote);

    let mut damaged = MODEL.to_vec();
    damaged[100] ^= 1;
    std::fs::write(&got.path, damaged).unwrap();
    assert!(!verify(&folders).is_intact());
    assert!(!fetched(&folder).unwrap().was_there);
    assert!(verify(&folders).is_intact());
}

#[test]
fn a_page_instead_of_a_model_is_refused_also_without_a_hash() {
    let (address, _server) = serve(Server::default());
    let folder = manifest(&format!("url = \"{address}/page.onnx\"\n"));
    let error = fetched(&folder).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("a web page"), "{cause}");
    assert_eq!(left(&folder), ["manifest.toml"]);
}

#[test]
fn a_redirect_is_followed_and_a_missing_file_is_told_at_once() {
    let (address, server) = serve(Server::default());
    let folder = pinned(&format!("{address}/moved.onnx"));
    fetched(&folder).unwrap();

    let before = server.requests.load(Ordering::SeqCst);
    let folder = pinned(&format!("{address}/gone.onnx"));
    let error = fetched(&folder).unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 404, .. }),
        "{error}"
    );
    assert!(!error.is_temporary());
    assert_eq!(server.requests.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_busy_server_is_asked_again_and_then_given_up() {
    let (address, server) = serve(Server::default());
    let folder = pinned(&format!("{address}/busy.onnx"));
    let error = fetched(&folder).unwrap_err();
    assert!(
        error.to_string().contains("the server answers 503"),
        "{error}"
    );
    assert!(error.is_temporary());
    assert_eq!(server.requests.load(Ordering::SeqCst), 4);
}

#[test]
fn a_folder_a_file_or_another_address_can_stand_in() {
    let (address, _server) = serve(Server::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("m.onnx");
    std::fs::write(&file, MODEL).unwrap();
    let elsewhere = elsewhere.path().display().to_string();
    for from in [
        elsewhere.clone(),
        file.display().to_string(),
        address.clone(),
        format!("{address}/m.onnx"),
    ] {
        let folder = pinned("http://127.0.0.1:1/m.onnx");
        let mut options = options(folder.path());
        options.from = Some(from.clone());
        let got = fetch("m", &options).unwrap();
        assert_eq!(std::fs::read(got.path).unwrap(), MODEL, "{from}");
    }
    let folder = pinned("http://127.0.0.1:1/m.onnx");
    let mut options = options(folder.path());
    options.from = Some(folder.path().display().to_string());
    std::fs::write(folder.path().join("x.onnx"), b"x").unwrap();
    let error = fetch("m", &options).unwrap_err().to_string();
    assert!(error.ends_with("holds no m.onnx"), "{error}");
}

#[test]
fn the_manifest_goes_with_the_file_to_another_folder() {
    let (address, _server) = serve(Server::default());
    let (folder, other) = (
        pinned(&format!("{address}/m.onnx")),
        tempfile::tempdir().unwrap(),
    );
    let mut options = options(folder.path());
    options.to = other.path().join("models");
    let got = fetch("m", &options).unwrap();
    assert_eq!(got.path, other.path().join("models/m/m.onnx"));
    let folders = [folder.path().to_owned(), other.path().join("models")];
    assert_eq!(by_id("m", &folders).unwrap().onnx, got.path);
    assert!(list(&folders).0[0].present);
}

#[test]
fn a_licence_that_binds_has_to_be_accepted() {
    let (address, server) = serve(Server::default());
    let folder = manifest(&format!(
        "url = \"{address}/m.onnx\"\nlicence = \"AGPL-3.0\"\nsource = \"https://example.org\"\n"
    ));
    let error = fetched(&folder).unwrap_err();
    let text = error.to_string();
    for part in [
        "under AGPL-3.0 (https://example.org)",
        "gantryd models fetch m --accept-licence AGPL-3.0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
    let mut options = options(folder.path());
    options.from = Some(format!("{address}/m.onnx"));
    let text = fetch("m", &options).unwrap_err().to_string();
    let again = format!("gantryd models fetch m --from {address}/m.onnx --accept-licence AGPL-3.0");
    assert!(text.contains(&again), "{text}");
    options.from = None;
    options.accepted_licence = Some("agpl-3.0".to_owned());
    let told = fetch("m", &options).unwrap().to_string();
    assert!(told.contains("licence  AGPL-3.0"), "{told}");
}

#[test]
fn a_model_that_nobody_offers_says_how_it_is_made() {
    let folder = manifest("source = \"https://example.org\"\nexport = \"python export.py\"\n");
    let text = fetched(&folder).unwrap_err().to_string();
    assert_eq!(
        text,
        "model m: https://example.org offers no ONNX file; make it with: python export.py, \
         then: gantryd models fetch m --from FILE.onnx"
    );
}

#[test]
fn a_manifest_cannot_write_outside_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("m")).unwrap();
    let text = "file = \"../../evil.onnx\"\nurl = \"http://127.0.0.1:1/x.onnx\"\n";
    std::fs::write(folder.path().join("m/manifest.toml"), text).unwrap();
    let error = fetched(&folder).unwrap_err().to_string();
    assert!(
        error.contains("lies outside of the model's folder"),
        "{error}"
    );
}

/// A proxy that leads every tunnel to `server`; the address, and the first lines it was asked.
fn proxy(server: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, server) = (Arc::clone(&asked), server.replace("http://", ""));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            log.lock()
                .unwrap()
                .push(head.lines().next().unwrap().to_owned());
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let mut upstream = TcpStream::connect(&server).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut upstream, &mut client));
        }
    });
    (address, asked)
}

fn fetch_behind(proxy: &str, no_proxy: &str, folder: &Path) -> String {
    let done = Command::cargo_bin("gantryd")
        .unwrap()
        .args(["models", "fetch", "m", "--to"])
        .arg(folder)
        .env("GANTRYD_MODELS", folder)
        .env_remove("ALL_PROXY")
        .env_remove("HTTPS_PROXY")
        .env("HTTP_PROXY", proxy)
        .env("NO_PROXY", no_proxy)
        .assert()
        .success();
    String::from_utf8_lossy(&done.get_output().stdout).into_owned()
}

#[test]
fn the_proxy_of_the_environment_is_used_but_for_hosts_without() {
    let (address, _server) = serve(Server::default());
    let (proxy, asked) = proxy(&address);
    let folder = pinned("http://models.invalid/m.onnx");
    let told = fetch_behind(&proxy, "", folder.path());
    assert!(told.contains("m: fetched"), "{told}");
    assert_eq!(
        *asked.lock().unwrap(),
        ["CONNECT models.invalid:80 HTTP/1.1"]
    );

    let folder = pinned(&format!("{address}/m.onnx"));
    let told = fetch_behind(&proxy, "127.0.0.1", folder.path());
    assert!(told.contains("m: fetched"), "{told}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}
