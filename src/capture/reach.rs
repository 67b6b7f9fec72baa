//! Why a host cannot be reached, and whether it can again: GStreamer says only "could not open".

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{HttpSource, RtspSource, Source};

/// How long one knock may take; stop waits for it.
const KNOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// The address where a source listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Door {
    address: SocketAddr,
    tls: bool,
}

impl Door {
    /// The door of a source whose host is an address; looking a name up could block.
    pub fn of(source: &Source) -> Option<Self> {
        let uri = match source {
            Source::Rtsp(RtspSource { uri, .. }) | Source::Http(HttpSource { uri, .. }) => uri,
            _ => return None,
        };
        // IANA: rtsp 554, rtsps 322.
        let default_port = match uri.scheme() {
            "rtsp" => 554,
            "rtsps" => 322,
            "https" => 443,
            _ => 80,
        };
        let host = uri.host_str()?.trim_matches(['[', ']']);
        let address: IpAddr = host.parse().ok()?;
        Some(Self {
            address: SocketAddr::new(address, uri.port().unwrap_or(default_port)),
            tls: uri.scheme().ends_with('s'),
        })
    }

    /// Tries to connect.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn knock(self) -> std::io::Result<()> {
        TcpStream::connect_timeout(&self.address, KNOCK_TIMEOUT).map(drop)
    }

    /// The words for the operator after a connection was not made.
    pub fn words(self) -> String {
        match self.knock() {
            Err(error) => format!("cannot be reached: {error}"),
            Ok(()) if self.tls => {
                "the host answers, but TLS fails: its certificate is not trusted; \
                 give tls_ca_file, or tls_insecure = true to accept any"
                    .to_owned()
            }
            Ok(()) => {
                "the port is open, but what listens there does not speak this protocol".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_listens_where_its_uri_says() {
        let door =
            |text| Door::of(&Source::parse(text).unwrap()).map(|door| door.address.to_string());
        assert_eq!(door("rtsp://10.0.0.5/1").as_deref(), Some("10.0.0.5:554"));
        assert_eq!(door("rtsps://[::1]:8322/1").as_deref(), Some("[::1]:8322"));
        assert_eq!(door("rtsp://camera.example/1"), None);
    }
}
