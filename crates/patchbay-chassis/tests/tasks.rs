//! A task that a service cannot do without takes the process down when it ends, and says why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use patchbay_chassis::{
    Context, Mode, Options, Problems, Process, RunError, Running, Service, ServiceConfig, StartError, Suite,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Nothing {}

impl ServiceConfig for Nothing {
    fn validate(&self, _: &mut Problems) {}
}

struct Panics;
struct EndsEarly;
struct Careless;

macro_rules! service {
    ($service:ty, $name:literal, |$tasks:ident| $spawn:expr) => {
        impl Service for $service {
            const NAME: &'static str = $name;
            const GRPC_PORT: u16 = 0;
            const OPS_PORT: u16 = 0;
            type Config = Nothing;

            async fn start(_: Nothing, context: Context) -> Result<Running, StartError> {
                let $tasks = context.tasks;
                $spawn;
                Ok(Running::default())
            }
        }
    };
}

service!(Panics, "panics", |tasks| tasks.spawn_critical("accept", async { panic!("out of sockets") }));
service!(EndsEarly, "ends-early", |tasks| tasks.spawn_critical("accept", async {}));
service!(Careless, "careless", |tasks| tasks.spawn("connection", async { panic!("one client's fault") }));

async fn start<S: Service>() -> Process {
    let mut options = Options::from_environment(Mode::Development);
    options.environment =
        ["DELAY", "SPREAD"].map(|key| (format!("PATCHBAY_DRAIN__{key}"), "0s".to_owned())).to_vec();
    Process::start(Suite::single::<S>().load(&options).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_end_of_a_critical_task_is_the_end_of_the_process() {
    for (process, what) in [
        (start::<Panics>().await, "task panics/accept panicked: out of sockets"),
        (start::<EndsEarly>().await, "task ends-early/accept ended early"),
    ] {
        let Err(RunError::Task(told)) = process.run().await else { panic!("it must fail") };
        assert_eq!(told, what);
    }
}

#[tokio::test]
async fn the_panic_of_a_connection_is_not() {
    let process = start::<Careless>().await;
    let running = tokio::time::timeout(std::time::Duration::from_millis(300), process.run());
    assert!(running.await.is_err(), "it goes on");
}
