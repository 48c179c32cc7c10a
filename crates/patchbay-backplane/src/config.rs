//! The `[backplane]` section of a service's configuration, and the constructor that follows it.

use crate::{BackplaneError, MemoryBackplane, RedisBackplane, SharedBackplane};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where replicas meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackplaneConfig {
    /// Redis, as `redis://[user[:password]@]host[:port][/database]`; absent: this process is alone.
    pub url: Option<String>,
    /// File with the Redis password, which then need not stand in `url`.
    pub password_file: Option<PathBuf>,
    /// File in which a process without Redis keeps streams, values and marks over restarts; absent: it forgets them.
    pub file: Option<PathBuf>,
    /// Time to connect to Redis and to introduce ourselves.
    #[serde(with = "span")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// Time until a call without an answer fails.
    #[serde(with = "span")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Time between checks that an idle Redis connection is alive.
    #[serde(with = "span")]
    #[schemars(with = "String")]
    pub ping_interval: Duration,
    /// Most commands in one Redis pipeline.
    pub batch: usize,
    /// Most calls that wait for Redis or for the disk; beyond them calls are refused.
    pub queue: usize,
}

impl Default for BackplaneConfig {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            file: None,
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(2),
            batch: 512,
            queue: 16_384,
        }
    }
}

/// Makes the backplane that the configuration asks for. Redis need not be there yet: the backplane is then down
/// and heals when it comes. Must be called in a tokio runtime.
pub async fn connect(
    config: BackplaneConfig,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) -> Result<SharedBackplane, BackplaneError> {
    if let Some(url) = &config.url {
        return Ok(Arc::new(RedisBackplane::start(url, &config, &tasks, &shutdown)?));
    }
    let Some(file) = &config.file else {
        return Ok(Arc::new(MemoryBackplane::volatile(&tasks, &shutdown)));
    };
    let (file, writer_tasks) = (file.clone(), tasks.clone());
    let open = move || MemoryBackplane::open(&file, config.queue, &writer_tasks, &shutdown);
    let backplane =
        tasks.spawn_blocking(open).await.map_err(|error| BackplaneError::Store(error.to_string()))??;
    Ok(Arc::new(backplane))
}

/// Durations as text with a unit, such as `5s` and `250ms`.
mod span {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(D::Error::custom)
    }
}
