//! A service whose one method misbehaves as its caller asks.

use patchbay_auth::Requirement;
use patchbay_chassis::{
    Context, GrpcServices, MethodScopes, Mode, Options, Problems, Running, Service, ServiceConfig, Span,
    StartError,
};
use patchbay_proto::console::v1::{
    ListNodesRequest, ListNodesResponse,
    overview_server::{Overview, OverviewServer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

pub(crate) struct Sample;

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SampleConfig {
    /// How it greets.
    pub(crate) greeting: Greeting,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Greeting {
    /// What it says.
    pub(crate) text: String,
    /// How often; not zero.
    pub(crate) every: Span,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { text: "hello".to_owned(), every: Span::seconds(15) }
    }
}

impl ServiceConfig for SampleConfig {
    fn validate(&self, problems: &mut Problems) {
        if self.greeting.every == Span::default() {
            problems.add("greeting.every", "must not be zero");
        }
    }
}

impl Service for Sample {
    const NAME: &'static str = "sample";
    const GRPC_PORT: u16 = 9190;
    const OPS_PORT: u16 = 9290;
    type Config = SampleConfig;

    async fn start(_: SampleConfig, _: Context) -> Result<Running, StartError> {
        let listing = Requirement::Scope { service: "console", action: "read" };
        let methods =
            MethodScopes::new("sample.patchbay").method("/patchbay.console.v1.Overview/ListNodes", listing);
        let routes = tonic::service::Routes::new(OverviewServer::new(Self));
        let grpc = GrpcServices { routes, methods, descriptors: patchbay_proto::DESCRIPTOR_SET };
        Ok(Running { grpc: Some(grpc), ..Running::default() })
    }
}

#[tonic::async_trait]
impl Overview for Sample {
    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        match request.metadata().get("behaviour").map(tonic::metadata::MetadataValue::as_bytes) {
            Some(b"panic") => panic!("the password is hunter2"),
            Some(b"hang") => std::future::pending().await,
            _ => Ok(Response::new(ListNodesResponse::default())),
        }
    }
}

/// Options that read no environment but what is given.
pub(crate) fn options(environment: &[(&str, &str)]) -> Options {
    let mut options = Options::from_environment(Mode::Development);
    options.environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options
}
