//! One connection to Redis, from its introduction to its end. It sends what it is given and knows what the server
//! told about itself; it neither queues nor reconnects.

use super::command::{all_scripts, parse, pipeline};
use crate::{BackplaneConfig, BackplaneError};
use ::redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    RedisConnectionInfo, Value, aio::MultiplexedConnection,
};
use std::{collections::HashMap, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::task::TaskTracker;

/// Where Redis is and how to introduce ourselves.
#[derive(Clone)]
pub(super) struct Endpoint {
    address: Address,
    login: RedisConnectionInfo,
    password_file: Option<PathBuf>,
    connect_timeout: Duration,
    call_timeout: Duration,
}

#[derive(Clone)]
enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// What the server told about itself.
pub(super) struct Facts {
    /// The server's run id, or `always` where it acknowledges only what is on its disk.
    pub(super) run: String,
    /// Why the server may lose what it acknowledges, and what to set; empty where it does not.
    pub(super) doubt: String,
    /// Redis time at which this connection was made, in milliseconds.
    pub(super) since: u64,
    cluster: bool,
}

impl Facts {
    pub(super) fn publish(&self) -> &'static str {
        if self.cluster { "SPUBLISH" } else { "PUBLISH" }
    }

    pub(super) fn subscribe(&self) -> &'static str {
        if self.cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" }
    }

    pub(super) fn unsubscribe(&self) -> &'static str {
        if self.cluster { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" }
    }
}

/// A connection that has been introduced; dropping it closes it.
pub(super) struct Session {
    pub(super) facts: Facts,
    connection: MultiplexedConnection,
    driver: Driver,
    timeout: Duration,
}

impl Endpoint {
    /// Reads the address from the configuration.
    pub(super) fn new(url: &str, config: &BackplaneConfig) -> Result<Self, BackplaneError> {
        let refused = |reason: String| BackplaneError::Refused(format!("backplane.url: {reason}"));
        let info = url.into_connection_info().map_err(|error| refused(error.to_string()))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(refused("TLS is not built in; use redis:// on a private network".into())),
        };
        let login =
            info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        Ok(Self {
            address,
            login,
            password_file: config.password_file.clone(),
            connect_timeout: config.connect_timeout,
            call_timeout: config.call_timeout,
        })
    }

    /// Connects and introduces ourselves. Pushed messages go to `pushed`, on the connection's own task.
    pub(super) async fn connect(
        &self,
        tasks: &TaskTracker,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Session, BackplaneError> {
        let connecting = self.connect_unbounded(tasks, pushed);
        timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(unavailable("no connection within the connect timeout")))
    }

    async fn connect_unbounded(
        &self,
        tasks: &TaskTracker,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Session, BackplaneError> {
        let stream: Box<dyn Stream> = match &self.address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unavailable)?;
                stream.set_nodelay(true).map_err(unavailable)?;
                Box::new(stream)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(unavailable)?),
        };
        let login = self.login().await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.call_timeout));
        let config = config.set_push_sender(move |push| {
            pushed(push);
            Ok::<(), ()>(())
        });
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(unavailable)?;
        let driver = Driver(tasks.spawn(driver));
        let facts = Facts { run: String::new(), doubt: String::new(), since: 0, cluster: false };
        let mut session = Session { facts, connection, driver, timeout: self.call_timeout };
        session.introduce().await?;
        Ok(session)
    }

    async fn login(&self) -> Result<RedisConnectionInfo, BackplaneError> {
        let Some(file) = &self.password_file else { return Ok(self.login.clone()) };
        let password = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| unavailable(format!("{}: {error}", file.display())))?;
        Ok(self.login.clone().set_password(password.trim_end()))
    }
}

impl Session {
    /// Sends a pipeline and returns one value for each of its commands, errors among them.
    pub(super) async fn exchange(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, BackplaneError> {
        let count = pipeline.len();
        let exchange = self.connection.send_packed_commands(pipeline, 0, count);
        match timeout(self.timeout, exchange).await {
            Ok(Ok(values)) if values.len() == count => Ok(values),
            Ok(Ok(_)) => Err(unavailable("answers are missing")),
            Ok(Err(error)) => Err(unavailable(error)),
            Err(_) => Err(unavailable("no answer within the call timeout")),
        }
    }

    /// Checks that the server answers within `limit`.
    pub(super) async fn ping(&mut self, limit: Duration) -> Result<(), BackplaneError> {
        let mut ping = Pipeline::new();
        ping.cmd("PING");
        timeout(limit, self.exchange(&ping))
            .await
            .unwrap_or_else(|_| Err(unavailable("no answer to PING")))
            .map(drop)
    }

    /// Resolves when the connection has been closed.
    pub(super) async fn closed(&mut self) {
        // A driver that panicked has closed the connection, too.
        drop((&mut self.driver.0).await);
    }

    /// Loads all scripts; after a restart or `SCRIPT FLUSH` the server knows none.
    pub(super) async fn load_scripts(&mut self) -> Result<(), BackplaneError> {
        let mut load = Pipeline::new();
        for script in all_scripts() {
            load.cmd("SCRIPT").arg("LOAD").arg(&script.code);
        }
        for loaded in self.exchange(&load).await? {
            loaded.extract_error().map_err(unavailable)?;
        }
        Ok(())
    }

    async fn introduce(&mut self) -> Result<(), BackplaneError> {
        let mut questions = pipeline("INFO", ["server"]);
        questions.cmd("TIME");
        questions.cmd("CONFIG").arg("GET").arg(&SETTINGS);
        let answers: [Value; 3] =
            self.exchange(&questions).await?.try_into().map_err(|_| unavailable("answers are missing"))?;
        let [info, time, settings] = answers;
        let info: String = parse(info)?;
        let (seconds, micros): (u64, u64) = parse(time)?;
        self.facts.since = seconds * 1000 + micros / 1000;
        self.facts.cluster = info_field(&info, "redis_mode") == Some("cluster");
        let doubt = doubt(settings);
        let run = if doubt.is_none() { Some("always") } else { info_field(&info, "run_id") };
        self.facts.doubt = doubt.unwrap_or_default();
        self.facts.run = run.map(str::to_owned).ok_or_else(|| unavailable("the server has no run id"))?;
        self.load_scripts().await
    }
}

fn info_field<'a>(info: &'a str, field: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim)
}

/// What decides whether the server may lose what it acknowledged.
const SETTINGS: [&str; 5] =
    ["appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy"];

/// Why the server may lose what it acknowledges, and what to set; `CONFIG GET` may be forbidden, and then nothing
/// is believed to be durable.
fn doubt(answer: Value) -> Option<String> {
    let told: HashMap<String, String> = parse(answer).unwrap_or_default();
    let is = |setting: &str, value: &str| told.get(setting).is_some_and(|told| told == value);
    if told.is_empty() {
        return Some("Redis does not tell how it keeps data: allow this user CONFIG GET".into());
    }
    let wanted = [("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
    if !wanted.iter().all(|(setting, value)| is(setting, value)) {
        let all = wanted.map(|(setting, value)| format!("{setting} {value}")).join(", ");
        return Some(format!("Redis may lose what it acknowledges: set {all}"));
    }
    let evicts = told.get("maxmemory-policy").is_none_or(|policy| policy.starts_with("allkeys"));
    (evicts && !is("maxmemory", "0"))
        .then(|| "Redis may evict what it acknowledged: set maxmemory-policy noeviction".into())
}

pub(super) fn unavailable(reason: impl std::fmt::Display) -> BackplaneError {
    BackplaneError::Unavailable(reason.to_string())
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The task that moves bytes; it must not outlive its session.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings: &[(&str, &str)]) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        Value::Map(settings.iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    #[test]
    fn only_a_server_that_loses_nothing_is_believed() {
        let good = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("no-appendfsync-on-rewrite", "no"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "allkeys-lru"),
        ];
        assert_eq!(doubt(told(&good)), None);
        for (index, bad) in ["no", "everysec", "yes", "100"].into_iter().enumerate() {
            let mut settings = good;
            settings[index].1 = bad;
            let doubt = doubt(told(&settings)).unwrap();
            assert!(doubt.contains("set ") && doubt.contains(good[index].0), "{doubt}");
        }
        assert!(doubt(Value::Nil).unwrap().contains("CONFIG GET"));
    }
}
