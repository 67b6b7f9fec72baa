//! The page on a network: nobody gets in who may not, and what others send does no harm.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/page.rs"]
mod page;

use std::io::{Read, Write};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use browser::Browser;
use gantryd::sinks::web::{Digest, PasswordHash};
use page::{PageDaemon, client, request, wait_until};
use serde_json::json;

const ANNA: &str = "correct horse battery";
const VERA: &str = "only looks around";

/// anna operates, vera looks, and each has a token of the same role.
fn accounts() -> String {
    let user = |name: &str, role: &str, password: &str| {
        let hash = PasswordHash::of(password).unwrap();
        let hash = hash.expose();
        format!("[[web.users]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n")
    };
    let token = |name: &str, role: &str, secret: &str| {
        let hash = Digest::of(secret).written();
        format!("[[web.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\ntoken_hash = \"{hash}\"\n")
    };
    [
        user("anna", "operator", ANNA),
        user("vera", "viewer", VERA),
        token("robot", "operator", "robot-token"),
        token("wall", "viewer", "wall-token"),
    ]
    .concat()
}

fn gantryd(arguments: &[&str], stdin: &str) -> (i32, String, String) {
    let mut child = Command::cargo_bin("gantryd")
        .unwrap()
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn an_open_address_without_accounts_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("site.toml");
    let text = "[[cameras]]\nid = \"gate\"\nuri = \"rtsp://10.0.0.5/live\"\n\
                [web]\nlisten = \"0.0.0.0:8780\"\n";
    std::fs::write(&config, text).unwrap();
    let (code, _, told) = gantryd(&["run", "--config", config.to_str().unwrap()], "");
    assert_eq!(code, 78, "{told}");
    for part in [
        "web.listen: \"0.0.0.0:8780\" can be reached from outside and there are no accounts",
        "gantryd web user NAME",
        "gantryd web certificate",
    ] {
        assert!(told.contains(part), "missing {part} in\n{told}");
    }
}

#[test]
fn the_command_makes_accounts_that_are_taken() {
    let (code, out, told) = gantryd(&["web", "user", "anna"], "correct horse\n");
    assert_eq!(code, 0, "{told}");
    let table: toml::Table = out.parse().unwrap();
    let user = &table["web"]["users"][0];
    assert_eq!(user["role"].as_str(), Some("viewer"));
    let hash = user["password_hash"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$") && !out.contains("horse"));
    let (code, ..) = gantryd(&["web", "user", "anna", "correct horse"], "");
    assert_eq!(code, 2, "no password on the command line");
    let (code, _, told) = gantryd(&["web", "user", "anna"], "short\n");
    assert!(code == 1 && told.contains("too short"), "{told}");

    let (code, out, told) = gantryd(&["web", "token", "ci"], "");
    assert_eq!(code, 0, "{told}");
    let secret = told.lines().last().unwrap();
    assert!(out.contains(&Digest::of(secret).written()) && !out.contains(secret));
}

#[test]
fn people_log_in_and_out_and_do_what_their_role_allows() {
    let daemon = PageDaemon::start(&accounts());
    for path in [
        "/api/v1/cameras",
        "/api/v1/session",
        "/api/v1/openapi.json",
        "/api/v1/cameras/street/snapshot.jpg",
        "/api/v1/cameras/street/events",
        "/api/v1/cameras/street/events/1/clip.mp4",
        "/api/v1/cameras/street/recordings/street_20260301T080000Z.mp4",
        "/api/v1/system",
        "/page.js",
    ] {
        assert_eq!(daemon.ask("GET", path, &[], None).status, 401, "{path}");
    }
    let page = daemon.ask("GET", "/", &[], None);
    // What browsers obey goes with the page, with data and with refusals.
    let refused = daemon.ask("GET", "/api/v1/cameras", &[], None);
    for answer in [&page, &refused] {
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(
            !policy.contains("http:") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(
        page.status == 401 && page.text.contains("Log in"),
        "{}",
        page.text
    );

    let wrong = daemon.log_in("anna", "incorrect horse");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    let nobody = daemon.log_in("nobody", ANNA);
    assert_eq!((nobody.status, &nobody.text), (401, &wrong.text));
    let metrics = daemon.metrics();
    assert!(
        metrics.contains("gantryd_web_logins_total{result=\"refused\"} 2"),
        "{metrics}"
    );

    let right = daemon.log_in("anna", ANNA);
    let cookie = right.header("set-cookie");
    assert!(
        cookie.starts_with("gantryd=") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    assert!(
        cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );

    // An operator with and without the word of the page.
    let (cookie, csrf) = daemon.session("anna", ANNA);
    let mine = [("Cookie", &*cookie)];
    assert_eq!(
        daemon.ask("GET", "/api/v1/cameras", &mine, None).status,
        200
    );
    let change =
        |headers: &[(&str, &str)]| daemon.ask("PUT", "/api/v1/nothing", headers, Some(&json!({})));
    assert_eq!(change(&mine).status, 403);
    assert_eq!(change(&[mine[0], ("X-CSRF-Token", "guessed")]).status, 403);
    assert_eq!(
        change(&[mine[0], ("X-CSRF-Token", &csrf)]).status,
        404,
        "let through"
    );
    let foreign = [
        mine[0],
        ("X-CSRF-Token", &csrf),
        ("Origin", "http://evil.example"),
    ];
    assert_eq!(change(&foreign).status, 403);

    // A viewer looks, changes nothing, and may leave.
    let (cookie_v, csrf_v) = daemon.session("vera", VERA);
    let theirs = [("Cookie", &*cookie_v), ("X-CSRF-Token", &*csrf_v)];
    assert_eq!(
        daemon.ask("GET", "/api/v1/cameras", &theirs, None).status,
        200
    );
    let refused = change(&theirs);
    assert!(
        refused.status == 403 && refused.text.contains("viewer"),
        "{}",
        refused.text
    );
    let swapped = [theirs[0], ("X-CSRF-Token", &csrf)];
    assert_eq!(
        daemon.ask("POST", "/api/v1/logout", &swapped, None).status,
        403
    );

    // Who logs out sees no more, in a stream that is open either.
    wait_until("a picture", || {
        let path = "/api/v1/cameras/street/snapshot.jpg";
        let mut answer = daemon
            .client
            .get(daemon.url(path))
            .header("Cookie", &cookie)
            .call()
            .unwrap();
        answer
            .body_mut()
            .read_to_vec()
            .unwrap()
            .starts_with(&[0xff, 0xd8])
    });
    let mut stream = daemon.connect();
    write!(
        stream,
        "GET /api/v1/cameras/street/live.mjpeg HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    )
    .unwrap();
    let mut piece = [0; 4096];
    assert!(stream.read(&mut piece).unwrap() > 0);
    let out = daemon.ask(
        "POST",
        "/api/v1/logout",
        &[mine[0], ("X-CSRF-Token", &csrf)],
        None,
    );
    assert!(out.status == 204 && out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(
        daemon.ask("GET", "/api/v1/cameras", &mine, None).status,
        401
    );
    while stream.read(&mut piece).unwrap_or(0) > 0 {}
    assert_eq!(
        daemon.ask("GET", "/api/v1/cameras", &theirs, None).status,
        200
    );
}

#[test]
fn tokens_work_and_guessing_passwords_is_held_up() {
    let daemon = PageDaemon::start(&accounts());
    let bearer = |token: &str| format!("Bearer {token}");
    let ask = |method: &str, token: &str| {
        let header = bearer(token);
        let path = if method == "GET" {
            "/api/v1/cameras"
        } else {
            "/api/v1/nothing"
        };
        daemon
            .ask(method, path, &[("Authorization", &header)], None)
            .status
    };
    assert_eq!(ask("GET", "wall-token"), 200);
    assert_eq!(ask("DELETE", "wall-token"), 403);
    assert_eq!(
        ask("DELETE", "robot-token"),
        404,
        "let through, without a word of the page"
    );
    assert_eq!(ask("GET", "other-token"), 401);

    for _ in 0..5 {
        assert_eq!(daemon.log_in("anna", "a guess of hers").status, 401);
    }
    let held = daemon.log_in("anna", ANNA);
    assert_eq!(held.status, 429, "the right one, too");
    let metrics = daemon.metrics();
    assert!(
        metrics.contains("gantryd_web_logins_total{result=\"held_up\"} 1"),
        "{metrics}"
    );
    let wait: u64 = held.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(ask("GET", "wall-token"), 200, "others go on");
}

#[test]
fn tls_is_spoken_with_the_certificate_of_the_files_and_a_renewed_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let make = || {
        let out = folder.path().to_str().unwrap();
        let (code, lines, told) = gantryd(&["web", "certificate", "127.0.0.1", "--out", out], "");
        assert_eq!(code, 0, "{told}");
        lines
    };
    let lines = make();
    let first = std::fs::read(folder.path().join("web.crt")).unwrap();
    let daemon = PageDaemon::start_in(folder, &format!("{lines}{}", accounts()), Some(&first));
    let cookie = daemon.log_in("anna", ANNA);
    let cookie = cookie.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-gantryd=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    let (cookie, _) = daemon.session("anna", ANNA);
    let asked = daemon.ask("GET", "/api/v1/cameras", &[("Cookie", &cookie)], None);
    assert_eq!(asked.status, 200);
    let (_, plain) = daemon.raw("GET /page.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1 200"), "{plain}");
    // One that connects and says nothing keeps nobody out.
    let silent = daemon.connect();
    assert_eq!(daemon.ask("GET", "/page.css", &[], None).status, 200);
    drop(silent);

    for name in ["web.crt", "web.key"] {
        std::fs::remove_file(daemon.file(name)).unwrap();
    }
    let out = daemon.folder.path().to_str().unwrap();
    assert_eq!(
        gantryd(&["web", "certificate", "127.0.0.1", "--out", out], "").0,
        0
    );
    let second = std::fs::read(daemon.file("web.crt")).unwrap();
    assert_ne!(first, second);
    wait_until("the renewed certificate", || {
        let renewed = client(Some(&second));
        renewed.get(daemon.url("/page.css")).call().is_ok()
    });
}

#[test]
fn what_strangers_send_does_no_harm() {
    let daemon = PageDaemon::start(&format!("names = [\"box.example\"]\n{}", accounts()));
    let token = "Authorization: Bearer robot-token\r\nConnection: close\r\n";
    let named = |host: &str, more: &str| {
        daemon
            .raw(&format!(
                "GET /api/v1/cameras HTTP/1.1\r\nHost: {host}\r\n{token}{more}\r\n"
            ))
            .0
    };
    assert_eq!(named("box.example", ""), 200);
    assert_eq!(
        named("Box.Example:8780", "Origin: http://Box.Example:8780\r\n"),
        200
    );
    assert_eq!(named("evil.example", ""), 403);
    assert_eq!(named("box.example", "Origin: http://evil.example\r\n"), 403);
    assert_eq!(
        named(
            "box.example",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"
        ),
        403
    );
    let login = "{\"name\":\"anna\",\"password\":\"x\"}";
    let (status, _) = daemon.raw(&format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{login}",
        login.len()
    ));
    assert_eq!(status, 403, "no log-in from another site");

    for path in [
        "/../site.toml",
        "/%2e%2e/site.toml",
        "/page.css/../../site.toml",
        "//etc/passwd",
        "/api/v1/cameras/..%2f..%2fsite.toml/snapshot.jpg",
        "/login.js%00/../site.toml",
    ] {
        let (status, text) = daemon.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}\r\n"
        ));
        assert!([400, 404].contains(&status), "{path}: {text}");
        assert!(!text.contains("rtsp") && !text.contains("root:"), "{text}");
        let (status, _) = daemon.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        ));
        assert!([400, 401].contains(&status), "{path} without a log-in");
    }

    // A body that is said to be huge, and one that is.
    let (status, _) = daemon.raw(&format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Content-Type: application/json\r\n\
         Content-Length: 100000000000\r\n\r\n"
    ));
    assert_eq!(status, 413);
    for put in ["zones", "config"] {
        let (status, _) = daemon.raw(&format!(
            "PUT /api/v1/cameras/street/{put} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Content-Type: application/json\r\n\
             Content-Length: 100000000000\r\n\r\n"
        ));
        assert_eq!(status, 413, "{put}");
    }
    let mut endless = daemon.connect();
    let head = "POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n40001\r\n";
    endless.write_all(head.as_bytes()).unwrap();
    endless.write_all(&[b' '; 0x40001]).unwrap();
    let mut status = [0; 12];
    endless.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");

    // Garbage instead of WebSocket frames, from somebody who may come and from somebody who may not.
    for (who, expected) in [(token, 101), ("", 401)] {
        let who = who.replace("Connection: close\r\n", "");
        let mut garbage = daemon.connect();
        write!(
            garbage,
            "GET /api/v1/cameras/street/live HTTP/1.1\r\nHost: 127.0.0.1\r\n{who}Connection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut head = [0; 12];
        garbage.read_exact(&mut head).unwrap();
        let status = String::from_utf8_lossy(&head);
        assert!(status.ends_with(&expected.to_string()), "{status}");
        garbage.write_all(&[0xff; 65536]).ok();
    }
    assert_eq!(named("127.0.0.1", ""), 200, "and all is well");
}

#[test]
fn two_hundred_browsers_are_served_side_by_side() {
    let daemon = PageDaemon::start(&accounts());
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let token = "Authorization: Bearer wall-token\r\n";
    let mut live: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = daemon.connect();
            write!(
                stream,
                "GET /api/v1/cameras/street/live HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}{upgrade}"
            )
            .unwrap();
            stream
        })
        .collect();
    for stream in &mut live {
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
    }
    // Each asks for the page's figures too, over a connection that stays open.
    let mut asking: Vec<_> = (0..200).map(|_| daemon.connect()).collect();
    for stream in &mut asking {
        write!(
            stream,
            "GET /api/v1/system HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}\r\n"
        )
        .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    let header = [("Authorization", "Bearer wall-token")];
    let system = daemon.ask("GET", "/api/v1/system", &header, None).json();
    assert!(system["viewers"].as_u64().unwrap() >= 100, "{system}");
}

#[test]
fn a_browser_logs_in_looks_and_logs_out() {
    let Some(page) = Browser::start() else {
        eprintln!("SKIPPED: no Chromium with its driver here (apt-get install chromium-driver)");
        return;
    };
    let daemon = PageDaemon::start(&accounts());
    page.open(&daemon.url("/"));
    let log_in = |name: &str, password: &str| {
        page.value(&format!(
            "document.getElementById('name').value = {name:?}; \
             document.getElementById('password').value = {password:?}; \
             document.querySelector('#login button').click()"
        ));
    };
    let told = || page.value("return document.getElementById('told')?.textContent ?? ''");
    log_in("vera", "wrong password");
    wait_until("the refusal", || told() == "name or password is wrong\n");
    log_in("vera", VERA);
    wait_until("frames", || {
        page.value("return Number(document.body.dataset.frames ?? 0)")
            .as_f64()
            > Some(2.0)
    });
    let account = page.value("return document.getElementById('account').textContent");
    assert_eq!(account, "vera, viewer");
    assert_eq!(
        page.value("return document.cookie"),
        "",
        "no script sees the session"
    );
    page.value("document.getElementById('logout').click()");
    wait_until("the page to log in with", || {
        page.value("return !!document.getElementById('login')") == true
    });
    let url = daemon.url("/api/v1/cameras");
    assert_eq!(request(&daemon.client, "GET", &url, &[], None).status, 401);
}
