//! The smallest service: one section of its own, one gRPC method. The frame's lifecycle tests run it for real.

use patchbay_auth::Requirement;
use patchbay_chassis::{
    Context, GrpcServices, MethodScopes, Problems, Running, Service, ServiceConfig, Span, StartError,
};
use patchbay_proto::console::v1::{
    ListNodesRequest, ListNodesResponse,
    overview_server::{Overview, OverviewServer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use tonic::{Request, Response, Status};

fn main() -> ExitCode {
    patchbay_chassis::main::<Smallest>()
}

struct Smallest;

/// The service's own sections.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// How it greets.
    greeting: Greeting,
}

/// How it greets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Greeting {
    /// What it says.
    text: String,
    /// How often; not zero.
    every: Span,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { text: "hello".to_owned(), every: Span::seconds(15) }
    }
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        if self.greeting.every == Span::default() {
            problems.add("greeting.every", "must not be zero");
        }
    }
}

impl Service for Smallest {
    const NAME: &'static str = "smallest";
    const GRPC_PORT: u16 = 9190;
    const OPS_PORT: u16 = 9290;
    type Config = Config;

    async fn start(_config: Config, _context: Context) -> Result<Running, StartError> {
        let listing = Requirement::Scope { service: "console", action: "read" };
        let methods =
            MethodScopes::new("smallest.patchbay").method("/patchbay.console.v1.Overview/ListNodes", listing);
        let grpc = GrpcServices {
            routes: tonic::service::Routes::new(OverviewServer::new(Self)),
            methods,
            descriptors: patchbay_proto::DESCRIPTOR_SET,
        };
        Ok(Running { grpc: Some(grpc), ..Running::default() })
    }
}

#[tonic::async_trait]
impl Overview for Smallest {
    async fn list_nodes(&self, _: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        Ok(Response::new(ListNodesResponse::default()))
    }
}
