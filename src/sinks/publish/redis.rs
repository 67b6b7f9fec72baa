//! Events to a Redis stream, `<topic>:events`: one entry each with the fields `id`, `route` and
//! `event`. Results of frames go to the channel `<topic>:results:<camera>`.

use std::path::PathBuf;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisError, ServerErrorKind, TlsCertificates,
};
use url::Url;

use super::link::{Link, LinkError, Offer, Progress, Transport, WRONG_LOGIN, Work};
use super::spool::Waiting;
use crate::base::Secret;

/// A server that says nothing for this long while something is asked of it is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server is asked this often whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How to reach a Redis server.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `redis://host:port/database` or `rediss://`, without credentials.
    pub url: Url,
    /// Account.
    pub login: Option<(String, Secret)>,
    /// Trust these authorities (PEM) instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What the key begins with.
    pub topic: String,
    /// About as many entries are kept in the stream; 0 keeps all.
    pub max_len: u32,
}

/// A Redis sink that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RedisSetupError {
    /// The authorities cannot be read.
    #[error("{file}: reading the certificate authorities")]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The client refuses.
    #[error("the address or the authorities are of no use")]
    Client(#[from] RedisError),
}

/// A way to a Redis server.
#[derive(Debug)]
pub struct Redis {
    client: Client,
    key: String,
    results: String,
    max_len: u32,
}

impl Redis {
    /// Will reach the server of `options`.
    ///
    /// # Errors
    /// [`RedisSetupError`] if the address or the authorities are of no use.
    pub fn new(options: &RedisOptions) -> Result<Self, RedisSetupError> {
        let mut info: ConnectionInfo = options.url.as_str().into_connection_info()?;
        if let Some((user, password)) = &options.login {
            let account = info.redis_settings().clone();
            let account = account.set_username(user).set_password(password.expose());
            info = info.set_redis_settings(account);
        }
        let client = match &options.ca_file {
            None => Client::open(info)?,
            Some(file) => {
                let read = std::fs::read(file);
                let authorities = read.map_err(|source| RedisSetupError::Authorities {
                    file: file.clone(),
                    source,
                })?;
                let trusted = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(authorities),
                };
                Client::build_with_tls(info, trusted)?
            }
        };
        Ok(Self {
            client,
            key: format!("{}:events", options.topic.replace('/', ":")),
            results: format!("{}:results", options.topic.replace('/', ":")),
            max_len: options.max_len,
        })
    }

    async fn open(&self) -> Result<Box<dyn Link>, LinkError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connected = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        Ok(Box::new(RedisLink {
            connection: connected.map_err(|error| fault(&error))?,
            key: self.key.clone(),
            results: self.results.clone(),
            max_len: self.max_len,
        }))
    }
}

impl Transport for Redis {
    fn connect(&self) -> Work<'_, Result<Box<dyn Link>, LinkError>> {
        Box::pin(self.open())
    }
}

struct RedisLink {
    connection: MultiplexedConnection,
    key: String,
    results: String,
    max_len: u32,
}

impl RedisLink {
    /// All or nothing is acknowledged: after a failure events go one by one.
    async fn send(&mut self, batch: &[Waiting], progress: &mut Progress) -> Result<(), LinkError> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for event in batch {
            let command = pipeline.cmd("XADD").arg(&self.key);
            if self.max_len > 0 {
                command.arg("MAXLEN").arg("~").arg(self.max_len);
            }
            command
                .arg("*")
                .arg("id")
                .arg(&event.id)
                .arg("route")
                .arg(&event.route);
            command.arg("event").arg(&event.text);
        }
        progress.sent = batch.len();
        let places: Vec<String> = pipeline
            .query_async(&mut self.connection)
            .await
            .map_err(|error| fault(&error))?;
        progress.acknowledged = places.len().min(batch.len());
        if progress.acknowledged < batch.len() {
            return Err(LinkError::Lost("the server left events out".to_owned()));
        }
        Ok(())
    }
}

fn fault(error: &RedisError) -> LinkError {
    match error.kind() {
        ErrorKind::AuthenticationFailed => LinkError::Denied(WRONG_LOGIN.to_owned()),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            LinkError::Denied("the server does not let this user write to the stream".to_owned())
        }
        _ => match error.code() {
            Some("WRONGPASS" | "NOAUTH") => LinkError::Denied(WRONG_LOGIN.to_owned()),
            Some("WRONGTYPE") => LinkError::Denied(
                "the key of the stream is taken by something else; choose another topic".to_owned(),
            ),
            _ => LinkError::Lost(error.to_string()),
        },
    }
}

impl Link for RedisLink {
    fn is_proven(&self) -> bool {
        true
    }

    fn deliver<'a>(
        &'a mut self,
        batch: &'a [Waiting],
        progress: &'a mut Progress,
    ) -> Work<'a, Result<(), LinkError>> {
        Box::pin(self.send(batch, progress))
    }

    fn offer<'a>(&'a mut self, offer: &'a Offer) -> Work<'a, Result<(), LinkError>> {
        Box::pin(async move {
            let mut command = redis::cmd("PUBLISH");
            command
                .arg(format!("{}:{}", self.results, offer.camera))
                .arg(&offer.text);
            let published: Result<(), RedisError> = command.exec_async(&mut self.connection).await;
            published.map_err(|error| fault(&error))
        })
    }

    fn broken(&mut self) -> Work<'_, LinkError> {
        Box::pin(async {
            loop {
                tokio::time::sleep(KEEP_ALIVE).await;
                let asked: Result<(), RedisError> =
                    redis::cmd("PING").exec_async(&mut self.connection).await;
                if let Err(error) = asked {
                    return fault(&error);
                }
            }
        })
    }

    fn close(self: Box<Self>) -> Work<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
