//! Why a source cannot be reached, and whether it can again: GStreamer says only "could not open".

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::debug;

use super::{HttpSource, RtspSource, Source};
use crate::base::Worker;

/// How long one knock may take at one address; stop waits for it.
const KNOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// How long a host that is back may take to answer a connection begun while it was away.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Addresses of one name that are kept: more would only make a knock long.
const ADDRESSES: usize = 2;

/// How often a name is looked up that has no address yet.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// How often the address of a name is looked up anew: a camera may come back at another one.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);

/// Where a source is to be found, and when it can be asked whether it is there.
#[derive(Debug)]
pub(super) enum Door {
    /// A port of a host.
    Host(Host),
    /// A device of this machine.
    Device(PathBuf),
}

/// A port of a host.
#[derive(Debug)]
pub(super) struct Host {
    /// Host name, to be looked up; `None` if the URI holds an address.
    name: Option<String>,
    port: u16,
    tls: bool,
    found: Arc<Mutex<Found>>,
    /// The last look-up and when it began. A resolver cannot be interrupted, so nobody joins it; it
    /// ends by its own time limit, and only one runs.
    look_up: Mutex<Option<(Worker, Instant)>>,
}

/// What is known of a host's name.
#[derive(Debug, Default)]
struct Found {
    /// The last addresses known: the name may be gone while its host is away.
    addresses: Vec<SocketAddr>,
    /// Why the last look-up gave none.
    refusal: Option<String>,
}

impl Door {
    /// The door of a source that has one; begins to look up the name of its host.
    pub fn of(source: &Source) -> Option<Self> {
        let uri = match source {
            Source::Rtsp(RtspSource { uri, .. }) | Source::Http(HttpSource { uri, .. }) => uri,
            Source::V4l2(path) => return Some(Self::Device(path.clone())),
            _ => return None,
        };
        // IANA: rtsp 554, rtsps 322.
        let default_port = match uri.scheme() {
            "rtsp" => 554,
            "rtsps" => 322,
            "https" => 443,
            _ => 80,
        };
        let port = uri.port().unwrap_or(default_port);
        let text = uri.host_str()?.trim_matches(['[', ']']);
        let address: Option<IpAddr> = text.parse().ok();
        let known = address.map(|address| SocketAddr::new(address, port));
        let host = Host {
            name: address.is_none().then(|| text.to_owned()),
            port,
            tls: uri.scheme().ends_with('s'),
            found: Arc::new(Mutex::new(Found {
                addresses: known.into_iter().collect(),
                refusal: None,
            })),
            look_up: Mutex::new(None),
        };
        host.look_up_if_due();
        Some(Self::Host(host))
    }

    /// True if somebody is there now.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Host(host) => {
                host.look_up_if_due();
                host.knock().is_ok()
            }
            Self::Device(path) => path.exists(),
        }
    }

    /// The words for the operator after a connection was not made.
    pub fn words(&self) -> Option<String> {
        let Self::Host(host) = self else { return None };
        if host.known().is_empty() {
            return host.nameless();
        }
        Some(match host.knock() {
            Err(error) => format!("cannot be reached: {error}"),
            Ok(()) if host.tls => {
                "the host answers, but TLS fails: its certificate is not trusted; \
                 give tls_ca_file, or tls_insecure = true to accept any"
                    .to_owned()
            }
            Ok(()) => {
                "the port is open, but what listens there does not speak this protocol".to_owned()
            }
        })
    }
}

impl Host {
    fn known(&self) -> Vec<SocketAddr> {
        lock(&self.found).addresses.clone()
    }

    /// The words for a name that was looked up in vain; `None` while nobody has answered.
    fn nameless(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        let refusal = lock(&self.found).refusal.clone()?;
        Some(format!(
            "the host name {name} has no address: {refusal}; correct the name in uri, give the \
             address in its place, or see to this machine's name server (getent hosts {name})"
        ))
    }

    /// Tries to connect to one address after the other.
    fn knock(&self) -> std::io::Result<()> {
        let mut last = Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name of the host has no address",
        ));
        for address in self.known() {
            last = TcpStream::connect_timeout(&address, KNOCK_TIMEOUT).map(drop);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// Looks the name up on a thread of its own, unless that was done lately or goes on still.
    fn look_up_if_due(&self) {
        let Some(name) = self.name.clone() else {
            return;
        };
        let pause = if self.known().is_empty() {
            LOOK_UP_EVERY
        } else {
            LOOK_UP_AGAIN
        };
        let mut look_up = self.look_up.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = look_up
            .as_ref()
            .is_none_or(|(worker, began)| worker.is_finished() && began.elapsed() >= pause);
        if !is_due {
            return;
        }
        let (port, found) = (self.port, Arc::clone(&self.found));
        let ask = move || match (name.as_str(), port).to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.take(ADDRESSES).collect();
                if !addresses.is_empty() {
                    *lock(&found) = Found {
                        addresses,
                        refusal: None,
                    };
                }
            }
            Err(error) => lock(&found).refusal = Some(error.to_string()),
        };
        match Worker::spawn("dns", ask, |_| {}) {
            Ok(worker) => *look_up = Some((worker, Instant::now())),
            Err(error) => debug!(%error, "starting thread dns"),
        }
    }
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source's door while a connection to it is being made.
#[derive(Debug)]
pub(super) struct SeenDoor<'a> {
    door: Option<&'a Door>,
    /// Nobody answered the last knock before the connection was begun.
    is_away: bool,
    back_since: Option<Instant>,
}

impl<'a> SeenDoor<'a> {
    pub fn new(door: Option<&'a Door>, is_away: bool) -> Self {
        Self {
            door,
            is_away,
            back_since: None,
        }
    }

    pub fn door(&self) -> Option<&'a Door> {
        self.door
    }

    /// True if the host came back meanwhile and has had its time to answer: the kernel repeats a
    /// request for a connection after 1, 3, 7, 15 s only, so this one would notice late.
    pub fn is_missed(&mut self) -> bool {
        if !self.is_away {
            return false;
        }
        match self.back_since {
            Some(since) => since.elapsed() >= ANSWER_WAIT,
            None => {
                self.back_since = self.door.is_some_and(Door::is_open).then(Instant::now);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        match Door::of(&Source::parse(text).unwrap()) {
            Some(Door::Host(host)) => host,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_camera_listens_where_its_uri_says() {
        let addresses = |text| host(text).known();
        assert_eq!(
            addresses("rtsp://10.0.0.5/1"),
            ["10.0.0.5:554".parse().unwrap()]
        );
        assert_eq!(
            addresses("rtsps://[::1]:8322/1"),
            ["[::1]:8322".parse().unwrap()]
        );
    }

    #[test]
    fn a_host_is_knocked_at_by_name_and_its_address_outlives_the_name() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut host = host(&format!("rtsp://localhost:{port}/1"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while host.knock().is_err() {
            assert!(Instant::now() < deadline, "{host:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let known = host.known();
        // RFC 6761: a name below .invalid never resolves.
        host.name = Some("gone.invalid".to_owned());
        host.look_up = Mutex::new(None);
        host.look_up_if_due();
        let look_up = host.look_up.lock().unwrap().take();
        let (worker, _) = look_up.unwrap();
        assert_eq!(
            worker.join_until(Instant::now() + Duration::from_secs(30)),
            crate::base::WorkerEnd::Finished
        );
        assert_eq!(host.known(), known);
    }

    #[test]
    fn a_name_without_an_address_is_told_with_what_can_be_done() {
        let host = host("rtsp://gate.invalid/1");
        let look_up = host.look_up.lock().unwrap().take();
        let (worker, _) = look_up.unwrap();
        assert_eq!(
            worker.join_until(Instant::now() + Duration::from_secs(30)),
            crate::base::WorkerEnd::Finished
        );
        let words = Door::Host(host).words().unwrap();
        for part in [
            "gate.invalid has no address",
            "uri",
            "getent hosts gate.invalid",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn a_device_is_there_when_its_path_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("video0");
        let door = Door::of(&Source::V4l2(path.clone())).unwrap();
        assert!(!door.is_open());
        std::fs::write(path, "").unwrap();
        assert!(door.is_open());
    }
    #[test]
    fn a_return_during_a_connection_is_noticed_once_it_had_time_to_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("video0");
        let door = Door::of(&Source::V4l2(path.clone())).unwrap();
        let mut seen = SeenDoor::new(Some(&door), true);
        assert!(!seen.is_missed(), "still away");
        std::fs::write(path, "").unwrap();
        let back = Instant::now();
        while !seen.is_missed() {
            assert!(back.elapsed() < Duration::from_secs(10));
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert!(back.elapsed() >= ANSWER_WAIT);
        assert!(!SeenDoor::new(Some(&door), false).is_missed(), "was there");
    }
}
